//! The JSON API: what the pages show and do, for programs. Described by `/api/openapi.json`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::request::Parts;
use http::{Method, StatusCode, header};
use mantlet_access::{Act, Role, Session};
use mantlet_respond::IncidentFilter;
use mantlet_vocab::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::PortError;
use crate::pages::batch;
use crate::pages::fault::Fault;
use crate::pages::review::carry_out;
use crate::server::Shared;
use crate::session::{self, Fields, Who};

/// A fault in JSON.
#[derive(Debug)]
pub(crate) struct ApiFault(Fault);

impl<E: Into<Fault>> From<E> for ApiFault {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for ApiFault {
    fn into_response(self) -> Response {
        let (status, headline, sentence) = self.0.words();
        let mut response = (status, Json(json!({ "error": headline, "detail": sentence }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let realm = http::HeaderValue::from_static("Bearer realm=\"mantlet\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// Who calls: a managing API key (as an operator who may also decide), or a signed-in person. A person's
/// changes carry the session's token in `X-Form-Token`.
pub(crate) struct Caller(Who);

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = ApiFault;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiFault> {
        let now = shared.now();
        if let Some(bearer) = parts.headers.get(header::AUTHORIZATION) {
            let presented = bearer.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or("");
            let key = shared.ports.people.managing_key(presented.trim(), now).await?;
            let id = key.ok_or_else(|| Fault::SignIn(String::new()))?;
            let (hash, expires) = (Digest([0; 32]), now.plus(60_000));
            let user = format!("key {id}");
            let session =
                Session { hash, user, role: Role::Admin, csrf: String::new(), created: now, expires };
            return Ok(Self(Who { session }));
        }
        let session = session::current(shared, &parts.headers).await?;
        let who = Who { session: session.ok_or_else(|| Fault::SignIn(String::new()))? };
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            let token = parts.headers.get("x-form-token").and_then(|token| token.to_str().ok()).unwrap_or("");
            if !who.session.is_csrf(token) {
                return Err(Fault::Stale.into());
            }
        }
        Ok(Self(who))
    }
}

type Answer = Result<Json<Value>, ApiFault>;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/systems", get(systems))
        .route("/systems/{system}/versions", get(versions))
        .route("/systems/{system}/roll-back", post(roll_back))
        .route("/incidents", get(incidents))
        .route("/incidents/{id}", get(incident))
        .route("/incidents/{id}/close", post(close))
        .route("/incidents/{id}/steps/{step}/apply", post(apply))
        .route("/incidents/{id}/steps/{step}/undo", post(undo))
        .route("/reviews", get(reviews))
        .route("/reviews/{id}", get(review))
        .route("/reviews/{id}/decide", post(decide))
        .route("/batches", get(batches))
        .route("/batches/{system}/{batch}", get(one_batch))
        .route("/batches/{system}/{batch}/decide", post(decide_batch))
        .route("/exchanges", get(exchanges))
        .route("/audit", get(audit))
        .route("/keys", get(keys))
        .fallback(async || ApiFault(Fault::Missing("resource at this address".to_owned())))
}

fn body<T: serde::Serialize>(name: &str, value: &T) -> Answer {
    let value = serde_json::to_value(value).map_err(|error| Fault::failed("writing JSON", &error))?;
    Ok(Json(json!({ "version": 1, name: value })))
}

async fn systems(State(shared): State<Arc<Shared>>, _: Caller) -> Answer {
    body("systems", &shared.ports.views.systems().await?)
}

async fn versions(State(shared): State<Arc<Shared>>, _: Caller, Path(system): Path<String>) -> Answer {
    body("versions", &shared.ports.views.versions(&system).await?)
}

#[derive(Deserialize)]
struct Why {
    why: String,
}

impl Why {
    fn text(&self) -> Result<String, Fault> {
        let text: String = self.why.trim().chars().take(1_000).collect();
        if text.is_empty() { Err(Fault::Wrong("`why` is empty".to_owned())) } else { Ok(text) }
    }
}

async fn roll_back(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    Path(system): Path<String>,
    Json(why): Json<Why>,
) -> Answer {
    who.must(Act::RollBack)?;
    shared.ports.actions.roll_back(who.name(), &system, &why.text()?).await?;
    body("done", &true)
}

async fn incidents(State(shared): State<Arc<Shared>>, _: Caller, Query(query): Query<Fields>) -> Answer {
    let open = query.get("state").is_none_or(|state| state != "all");
    let base = if open { IncidentFilter::open() } else { IncidentFilter::default() };
    let filter = IncidentFilter { system: query.get("system").cloned(), limit: Some(500), ..base };
    body("incidents", &shared.ports.views.incidents(&filter).await?)
}

async fn incident(State(shared): State<Arc<Shared>>, _: Caller, Path(id): Path<String>) -> Answer {
    let found = shared.ports.views.incident(&id).await?;
    body("incident", &found.ok_or_else(|| PortError::Missing(format!("incident {id}")))?)
}

async fn close(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Answer {
    who.must(Act::CloseIncident)?;
    shared.ports.actions.close_incident(who.name(), &id, &why.text()?).await?;
    body("done", &true)
}

async fn apply(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    Path((id, step)): Path<(String, String)>,
) -> Answer {
    who.must(Act::Contain)?;
    shared.ports.actions.apply_step(who.name(), &id, &step).await?;
    body("done", &true)
}

async fn undo(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    Path((id, step)): Path<(String, String)>,
) -> Answer {
    who.must(Act::UndoContainment)?;
    shared.ports.actions.undo_step(who.name(), &id, &step).await?;
    body("done", &true)
}

async fn reviews(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    Query(query): Query<Fields>,
) -> Answer {
    who.must(Act::SeeExchanges)?;
    let all = query.get("state").is_some_and(|state| state == "all");
    body("reviews", &shared.ports.views.reviews(!all).await?)
}

async fn review(State(shared): State<Arc<Shared>>, Caller(who): Caller, Path(id): Path<String>) -> Answer {
    who.must(Act::SeeExchanges)?;
    let found = shared.ports.views.review(&id).await?;
    body("review", &found.ok_or_else(|| PortError::Missing(format!("decision {id}")))?)
}

#[derive(Deserialize)]
struct Decide {
    ruling: String,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    note: String,
}

async fn decide(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Json(ask): Json<Decide>,
) -> Answer {
    carry_out(&shared, &who, &id, &ask.ruling, &ask.answer, &ask.note).await?;
    body("done", &true)
}

async fn batches(State(shared): State<Arc<Shared>>, _: Caller) -> Answer {
    let ledgers = shared.ports.batches.ledgers().await?;
    let all: Vec<Value> = ledgers
        .iter()
        .flat_map(|(system, ledger)| {
            ledger.batches.values().map(move |batch| json!({ "system": system, "batch": batch }))
        })
        .collect();
    body("batches", &all)
}

async fn one_batch(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    Path((system, name)): Path<(String, String)>,
) -> Answer {
    who.must(Act::SeeExchanges)?;
    let (batch, frozen) = batch::find(&shared, &system, &name).await?;
    let sheet = shared.ports.batches.sheet(&system, &batch).await?;
    let rulings = batch.rulings.digest();
    body("batch", &json!({ "batch": batch, "frozen": frozen, "rulings": rulings, "sheet": sheet }))
}

async fn decide_batch(
    State(shared): State<Arc<Shared>>,
    Caller(who): Caller,
    Path((system, name)): Path<(String, String)>,
    Json(fields): Json<Fields>,
) -> Answer {
    batch::carry_out(&shared, &who, (&system, &name), &fields).await?;
    body("done", &true)
}

async fn exchanges(State(shared): State<Arc<Shared>>, Caller(who): Caller) -> Answer {
    who.must(Act::SeeExchanges)?;
    body("exchanges", &shared.ports.live.recent(200))
}

async fn audit(State(shared): State<Arc<Shared>>, Caller(who): Caller) -> Answer {
    who.must(Act::ReadAudit)?;
    body("audit", &shared.ports.views.audit(200).await?)
}

async fn keys(State(shared): State<Arc<Shared>>, _: Caller) -> Answer {
    let keys = shared.ports.views.keys().await?;
    // Hashes of secrets are nobody's business out here.
    let shown: Vec<Value> = keys
        .iter()
        .map(|key| {
            json!({
                "id": key.id, "label": key.label, "scopes": key.scopes,
                "created": key.created, "expires": key.expires, "revoked": key.revoked,
            })
        })
        .collect();
    body("keys", &shown)
}
