//! Signing in and out, and knowing who asks.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use axum::Extension;
use axum::extract::{Form, FromRequestParts, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use mantlet_access::{Act, Role, Secret, Session, may, spend_password_time};
use mantlet_vocab::Millis;

use crate::pages::fault::Fault;
use crate::pages::sign_in;
use crate::server::{Peer, Shared};

/// The fields of a form.
pub(crate) type Fields = BTreeMap<String, String>;

/// A signed-in person, taken from the session cookie.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) session: Session,
}

impl Who {
    pub(crate) fn name(&self) -> &str {
        &self.session.user
    }

    /// Whether somebody signed in, and no key that may manage.
    pub(crate) fn is_person(&self) -> bool {
        !self.session.csrf.is_empty()
    }

    pub(crate) fn may(&self, act: Act) -> bool {
        may(self.session.role, act)
    }

    /// Fails unless the person's role may do this.
    pub(crate) fn must(&self, act: Act) -> Result<(), Fault> {
        if self.may(act) { Ok(()) } else { Err(Fault::Forbidden(self.session.role)) }
    }

    /// Fails unless the form carries the session's token.
    pub(crate) fn check(&self, fields: &Fields) -> Result<(), Fault> {
        let presented = fields.get("form_token").map_or("", String::as_str);
        if self.session.is_csrf(presented) { Ok(()) } else { Err(Fault::Stale) }
    }
}

impl FromRequestParts<Arc<Shared>> for Who {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Fault> {
        let here = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        current(shared, &parts.headers).await?.map(|session| Self { session }).ok_or(Fault::SignIn(here))
    }
}

/// The running session of the request's cookie.
pub(crate) async fn current(shared: &Shared, headers: &HeaderMap) -> Result<Option<Session>, Fault> {
    let Some(token) = cookie(headers, session_cookie(shared.https)) else { return Ok(None) };
    let found = shared.ports.people.session(&Session::hash(token)).await?;
    Ok(found.filter(|session| session.runs(shared.now())))
}

/// With HTTPS the prefix makes browsers refuse a cookie set by a neighbouring host (RFC 6265bis).
const fn session_cookie(https: bool) -> &'static str {
    if https { "__Host-mantlet_session" } else { "mantlet_session" }
}

const fn form_cookie(https: bool) -> &'static str {
    if https { "__Host-mantlet_form" } else { "mantlet_form" }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

fn set_cookie(shared: &Shared, name: &str, value: &str, seconds: u64) -> HeaderValue {
    let secure = if shared.https { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// Random bytes of the operating system.
fn entropy<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Fault::failed("no randomness", &error))?;
    Ok(bytes)
}

/// A path of ours to go to after signing in; anything else is the overview.
fn inside(next: Option<&str>) -> &str {
    match next {
        Some(path)
            if path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']) =>
        {
            path
        }
        _ => "/",
    }
}

pub(crate) async fn form(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(query): Query<Fields>,
) -> Result<Response, Fault> {
    let next = inside(query.get("next").map(String::as_str));
    if current(&shared, &headers).await?.is_some() {
        return Ok(Redirect::to(next).into_response());
    }
    show_form(&shared, &headers, next, "", None, StatusCode::OK)
}

fn show_form(
    shared: &Shared,
    headers: &HeaderMap,
    next: &str,
    name: &str,
    wrong: Option<&str>,
    status: StatusCode,
) -> Result<Response, Fault> {
    let known = cookie(headers, form_cookie(shared.https)).filter(|token| token.len() == 32);
    let token = match known {
        Some(token) => token.to_owned(),
        None => entropy::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let mut response = (status, sign_in::page(&token, next, name, wrong)).into_response();
    let cookie = set_cookie(shared, form_cookie(shared.https), &token, 3_600);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(crate) async fn sign_in(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, Fault> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (name, next) =
        (field("name").trim().chars().take(100).collect::<String>(), inside(Some(field("next"))));
    let again = |wrong: &str, status| show_form(&shared, &headers, next, &name, Some(wrong), status);
    // Before there is a session, the form's token is one of a cookie (double submit).
    if cookie(&headers, form_cookie(shared.https)).is_none_or(|token| token != field("form_token")) {
        return again("The form was too old. Please sign in again.", StatusCode::FORBIDDEN);
    }
    let now = shared.now();
    let brakes = [format!("name {name}"), format!("address {}", peer.ip())];
    let wait = {
        let attempts = shared.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        brakes.iter().map(|brake| attempts.wait(brake, now)).max().unwrap_or(0)
    };
    if wait > 0 {
        let words = format!(
            "Too many failed attempts. Please wait {} and try again.",
            mantlet_respond::lasting(wait.max(1_000))
        );
        return again(&words, StatusCode::TOO_MANY_REQUESTS);
    }
    if let Some(role) = check_password(&shared, &name, field("password")).await? {
        {
            let mut attempts = shared.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            attempts.succeed(&brakes[0]);
        }
        return begin(&shared, &name, role, now, next).await;
    }
    {
        let mut attempts = shared.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        brakes.iter().for_each(|brake| attempts.fail(brake, now));
    }
    tracing::warn!(user = %mantlet_report::clean_line(&name), %peer, "a sign-in failed");
    again("The name or the password is not right.", StatusCode::UNAUTHORIZED)
}

/// The person's role when the password is right. Takes as long for a name that does not exist.
pub(crate) async fn check_password(
    shared: &Shared,
    name: &str,
    password: &str,
) -> Result<Option<Role>, Fault> {
    let user = shared.ports.people.user(name).await?;
    let _turn = shared.checks.acquire().await.map_err(|error| Fault::failed("password checks", &error))?;
    let password = Secret::new(password);
    let checked = tokio::task::spawn_blocking(move || match user {
        Some(user) => user.is_password(password.expose()).then_some(user.role),
        None => {
            spend_password_time(password.expose());
            None
        }
    });
    checked.await.map_err(|error| Fault::failed("password check", &error))
}

/// Begins a session and goes on to `next`.
pub(crate) async fn begin(
    shared: &Shared,
    name: &str,
    role: Role,
    now: Millis,
    next: &str,
) -> Result<Response, Fault> {
    let (token, session) = Session::begin(name, role, &entropy::<64>()?, now, shared.session_ms);
    shared.ports.people.open_session(&session).await?;
    let mut response = Redirect::to(next).into_response();
    let cookies = [
        set_cookie(shared, session_cookie(shared.https), token.expose(), shared.session_ms / 1_000),
        set_cookie(shared, form_cookie(shared.https), "", 0),
    ];
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

pub(crate) async fn sign_out(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Form(fields): Form<Fields>,
) -> Result<Response, Fault> {
    who.check(&fields)?;
    shared.ports.people.end_session(&who.session.hash).await?;
    let mut response = Redirect::to("/sign-in").into_response();
    let cookie = set_cookie(&shared, session_cookie(shared.https), "", 0);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Salt for a new password.
pub(crate) fn salt() -> Result<[u8; 16], Fault> {
    entropy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_gone_on_to() {
        assert_eq!(inside(Some("/incidents/inc-1?x=1")), "/incidents/inc-1?x=1");
        for foreign in
            ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/a\r\nb", ""]
        {
            assert_eq!(inside(Some(foreign)), "/", "{foreign}");
        }
    }
}
