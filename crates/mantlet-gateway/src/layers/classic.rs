//! Classic inference over REST beside the Open Inference Protocol: TensorFlow Serving, MLflow, Seldon, KServe v1, and
//! JSON of one's own shape. The layers are those of tensors; what differs is how messages are read.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use mantlet_guard::{Caller, Guard, Inspection, coarsened};
use mantlet_vocab::{Action, Detail, Mode, NamedValue, Reply, Tensor, Value};
use mantlet_wire::Defect;
use mantlet_wire::classic::{
    Ask, Classic, Mapping, read_classic_reply, read_classic_request, rewrite_scores,
};

use super::limits as together;
use super::shape::received;
use super::tensors::{limits, upstream};
use super::{Ending, Replied, align, beside, decision, pass, recordable, step_up, version};
use crate::answer::{Answer, passed};
use crate::body::Body;
use crate::coding::{Coding, Undecodable};
use crate::exchange::Open;
use crate::handle::refuse;
use crate::live::{Asked, Live, LiveRoute};
use crate::service::Shared;
use crate::shadow;
use crate::upstream::{Call, Path, ask};

/// Whether a call asks no more than whether the server lives, which is no secret and needs no key.
pub(crate) fn is_alive(asked: &Asked) -> bool {
    asked.call.ask == Ask::About
        && matches!(
            asked.path.as_str(),
            "/ping" | "/health" | "/health/ping" | "/health/status" | "/ready" | "/live"
        )
}

/// Asks the answering version whether it lives.
pub(crate) async fn alive(shared: &Shared, live: &Live, route: &LiveRoute, asked: &Asked) -> Answer {
    let Ok(target) = route.target("", None) else {
        return refuse(shared, 503, "the chosen version has no endpoint", "version");
    };
    let call = Call { path: Path::Below(asked.path.clone()), ..Call::get("") };
    match ask(shared, live, route, target, call).await {
        Ok(reply) => passed(reply.status, reply.headers, Body::from(reply.body)),
        Err(fault) => refuse(shared, fault.status(), fault.text(), "upstream"),
    }
}

/// One call of a known caller, from its request to its end.
pub(crate) async fn answer(mut open: Open, key: &str, asked: Asked, request: Request<Incoming>) -> Answer {
    let route = open.route();
    if asked.call.ask == Ask::About || !route.route.inspect {
        let named = asked.call.version.clone();
        let path =
            route.target(key, named.as_deref()).map_or_else(|_| asked.path.clone(), |t| t.classic(&asked));
        return pass::answer(open, key, named.as_deref(), Path::Below(path), request).await;
    }
    let ending = match flow(&mut open, key, &asked, request).await {
        Ok(replied) => Ending::Passed(replied),
        Err(ending) => ending,
    };
    open.end(ending)
}

/// The layers.
async fn flow(
    open: &mut Open,
    key: &str,
    asked: &Asked,
    request: Request<Incoming>,
) -> Result<Box<Replied>, Ending> {
    let route = open.route();
    let caller = Caller { key };
    let target = version(open, &route, key, asked.call.version.as_deref())?;
    limits(open, caller)?;
    recordable(open)?;
    let (parts, body) = request.into_parts();
    step_up::shown(open, caller, &parts.headers);
    let kind = content_type(asked.dialect, &parts.headers)?;
    let query = parts.uri.query().filter(|query| !query.is_empty());
    if query.is_some() && asked.dialect != Classic::Mapped {
        // Some of these servers take a whole message from the query, and then not the body.
        return Err(Ending::refused(400, "this call has no query"));
    }
    let body = received(open, &parts.headers, body).await?;
    together::arrived(open, body.raw.len()).await?;
    let (mut inspection, looked) = detect(open, caller, asked, kind.as_deref(), query, &body.text)?;
    together::read(open).await?;
    let diverted = decision(&inspection)?;
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    if !diverted {
        let (copied, query) = (asked.clone(), query.clone());
        let (dialect, route) = (asked.dialect, open.route());
        let read = move |live: &Live, _: &HeaderMap, body: &Bytes| {
            read_classic_reply(dialect, body, route.mapping.as_ref(), &reply_limits(live)).ok()
        };
        let path = move |target: &crate::live::Target| Path::Below(target.classic(&copied) + &query);
        shadow::send(open, &parts.headers, &body.raw, path, read);
    }
    let path = Path::Below(target.classic(asked) + &query);
    let mut replied = upstream(open, target, path, parts.headers, body.raw, &inspection, diverted).await?;
    detect_reply(open, caller, asked.dialect, &mut inspection, &mut replied, looked)?;
    if inspection.decision.action == Action::Divert {
        return Err(Ending::Diverted(inspection.decision, inspection.reason));
    }
    open.decision(inspection.decision);
    Ok(replied)
}

/// The type of the body, as the one reader of it must take it. Servers that choose another reader by the type get no
/// other type; TensorFlow Serving and KServe read every body as JSON.
fn content_type(dialect: Classic, headers: &HeaderMap) -> Result<Option<String>, Ending> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Ending::refused(400, "the type of the body is said twice"));
    }
    let Some(value) = first else { return Ok(None) };
    let value = value.to_str().map_err(|_| Ending::refused(415, "the type of the body cannot be read"))?;
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = essence == "application/json";
    let known = match dialect {
        Classic::TfServing | Classic::Kserve => !essence.starts_with("multipart/"),
        Classic::Mlflow => json || essence == "text/csv",
        Classic::Seldon => json,
        Classic::Mapped => json || (essence.starts_with("application/") && essence.ends_with("+json")),
    };
    if known {
        Ok(Some(value.to_owned()))
    } else {
        Err(Ending::refused(415, format!("a body of type `{essence}` is not read here; send JSON")))
    }
}

/// Layer: the request is read strictly and looked at by every detector, its texts too.
fn detect(
    open: &mut Open,
    caller: Caller<'_>,
    asked: &Asked,
    kind: Option<&str>,
    query: Option<&str>,
    body: &[u8],
) -> Result<(Inspection, Duration), Ending> {
    let began = Instant::now();
    let (route, live) = (open.route(), open.live());
    let limits = mantlet_wire::Limits { bytes: live.config.max_body, ..live.limits };
    let (model, version) = (&route.route.model, asked.call.version.as_deref());
    let mapping = route.mapping.as_ref();
    let read = read_classic_request(asked.dialect, model, version, kind, body, mapping, &limits);
    let mut read = read.map_err(|defect| {
        let status = if matches!(defect, Defect::TooLarge { .. }) { 413 } else { 400 };
        open.defect(&defect);
        Ending::refused(status, defect.to_string())
    })?;
    if let Some(query) = query {
        read.pieces.extend(beside::query(query));
    }
    let guard = &route.route.guard;
    read.inputs = align::aligned(read.inputs, guard.profile().map(|profile| &**profile));
    let mut inspection = guard.examine(caller, &read, open.at());
    // Cells that are texts are pieces already.
    beside::look(guard, &mut inspection, &[], &read.pieces, false);
    open.request(read, inspection.row);
    let looked = began.elapsed();
    if !inspection.decision.action.passes() && inspection.decision.action != Action::Divert {
        open.looked(looked);
    }
    Ok((inspection, looked))
}

fn reply_limits(live: &Live) -> mantlet_wire::Limits {
    mantlet_wire::Limits { bytes: live.config.max_reply, ..live.limits }
}

/// Why a reply was not read.
enum Unread {
    Coding(Undecodable),
    Defect(Defect),
}

/// Layer: the reply is read strictly and looked at. What cannot be read cannot have been looked at; only a guard that
/// enforces holds it back.
fn detect_reply(
    open: &mut Open,
    caller: Caller<'_>,
    dialect: Classic,
    inspection: &mut Inspection,
    replied: &mut Replied,
    looked: Duration,
) -> Result<(), Ending> {
    let began = Instant::now();
    let (route, live) = (open.route(), open.live());
    let guard = &route.route.guard;
    let mapping = route.mapping.as_ref();
    let text = Coding::of(&replied.headers)
        .and_then(|coding| coding.decode(&replied.body, live.config.max_reply))
        .map_err(Unread::Coding);
    let read = text.and_then(|text| {
        let read = read_classic_reply(dialect, &text, mapping, &reply_limits(&live));
        read.map(|reply| (reply, text)).map_err(Unread::Defect)
    });
    let (reply, text) = match read {
        Ok(read) => read,
        Err(unread) => {
            open.decision(inspection.decision.clone());
            match unread {
                Unread::Defect(defect) => open.defect(&defect),
                Unread::Coding(fault) => open.undecodable(fault),
            }
            if inspection.decision.action == Action::Divert {
                return Err(Ending::Diverted(inspection.decision.clone(), inspection.reason.clone()));
            }
            if guard.config().mode == Mode::Enforce {
                return Err(Ending::failed(502, "the model's reply could not be read"));
            }
            let Replied { status, headers, body } = replied;
            let passed = Replied { status: *status, headers: headers.clone(), body: body.clone() };
            return Err(Ending::Passed(Box::new(passed)));
        }
    };
    guard.observe_reply(caller, inspection, &reply, open.at());
    beside::look(guard, inspection, &[], &reply.pieces, true);
    let mut kept = reply;
    if let Action::Coarsen { to } = inspection.decision.action {
        (kept, replied.body) = coarse(guard, dialect, &text, mapping, &kept, to)?;
        replied.headers.remove(CONTENT_ENCODING);
    }
    open.looked(looked + began.elapsed());
    open.reply(kept);
    Ok(())
}

/// The reply with less detail, as values and as bytes.
fn coarse(
    guard: &Guard,
    dialect: Classic,
    text: &[u8],
    mapping: Option<&Mapping>,
    reply: &Reply,
    to: Detail,
) -> Result<(Reply, Bytes), Ending> {
    let mut row = |row: &[f64]| {
        let tensor = Tensor::new([1, row.len()], row.to_vec());
        let value = tensor.map(|tensor| NamedValue { name: String::new(), value: Value::F64(tensor) });
        let reply = Reply { outputs: value.into_iter().collect(), pieces: Vec::new() };
        match coarsened(&reply, to).outputs.first().map(|output| &output.value) {
            Some(Value::F64(tensor)) => tensor.data().to_vec(),
            _ => row.to_vec(),
        }
    };
    let written = rewrite_scores(dialect, text, mapping, &mut row).map_err(|_| {
        // Less detail was decided; all of it is never given instead.
        let decision = mantlet_vocab::Decision {
            action: Action::Divert,
            proposed: Action::Divert,
            ..mantlet_vocab::Decision::allow(guard.config().mode)
        };
        Ending::Diverted(decision, "the reply cannot be given with less detail".to_owned())
    })?;
    Ok((coarsened(reply, to), Bytes::from(written)))
}
