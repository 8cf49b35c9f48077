//! One request: who asks, what is asked, the guard, the upstream, the guard again, the record.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use mantlet_guard::Caller;
use mantlet_vocab::{Action, Reply};
use mantlet_wire::{Call, Defect, Verb};
use serde_json::json;

use crate::answer::{Answer, from_refusal, json_answer, passed, plain};
use crate::exchange::Open;
use crate::keys::presented;
use crate::live::{Live, LiveRoute, NoVersion};
use crate::metrics::Refusal;
use crate::service::{Face, Shared};
use crate::upstream::ask;
use crate::{KeyLookup, Reviewed, admin};

/// The header of the binary form.
const HEAD_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
/// Handles one request.
pub(crate) async fn handle(
    shared: &Shared,
    face: Face,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let path = request.uri().path();
    if matches!(path, "/status" | "/metrics") {
        let allowed = face == Face::Admin || (face == Face::Both && peer.ip().is_loopback());
        if allowed && request.method() == Method::GET {
            return admin::answer(shared, path);
        }
        return refuse(shared, 404, "there is nothing here", "no-such-path");
    }
    if face == Face::Admin {
        return refuse(shared, 404, "there is nothing here", "no-such-path");
    }
    let live = shared.live.load_full();
    if let Some(ticket) = path.strip_prefix("/mantlet/v1/reviews/") {
        return review(shared, request.method(), ticket, request.headers());
    }
    match mantlet_wire::call(request.method().as_str(), path) {
        // Whether this process lives is no secret and needs no key: orchestrators ask without one.
        Call::Live => plain(StatusCode::OK, Bytes::new()),
        Call::Ready => ready(shared, &live).await,
        Call::ServerMetadata => match identify(shared, request.headers(), "") {
            Ok(_) => server_metadata(),
            Err(refusal) => refusal,
        },
        Call::Model { model, version, verb } => {
            let key = match identify(shared, request.headers(), &model) {
                Ok(key) => key,
                Err(refusal) => return refusal,
            };
            let Some(route) = live.routes.get(&model) else {
                return refuse(shared, 404, &format!("there is no model `{model}`"), "no-such-model");
            };
            if verb == Verb::Infer {
                infer(shared, &live, route, &key, version.as_deref(), request).await
            } else {
                about(shared, &live, route, &key, version.as_deref(), verb).await
            }
        }
        Call::SharedMemory => {
            refuse(shared, 403, "shared memory hides inputs from inspection and is refused", "shared-memory")
        }
        Call::Administration => refuse(shared, 403, "administration is not offered here", "administration"),
        Call::WrongMethod => refuse(shared, 405, "this path has another method", "method"),
        Call::Unknown => refuse(shared, 404, "there is nothing here", "no-such-path"),
    }
}

/// The id of the caller's key.
#[expect(clippy::result_large_err, reason = "an answer is built once and moved out at once")]
fn identify(shared: &Shared, headers: &HeaderMap, model: &str) -> Result<String, Answer> {
    let Some(presented) = presented(headers) else {
        let text = "an API key is needed, as `Authorization: Bearer <key>` or `X-API-Key: <key>`";
        return Err(unauthorised(shared, text));
    };
    match shared.keys.lookup(&*shared.ports.keys, presented, model, shared.ports.clock.now()) {
        KeyLookup::Valid { id, .. } => Ok(id),
        KeyLookup::Invalid => Err(unauthorised(shared, "this API key is not in force for this model")),
        KeyLookup::Unavailable => {
            Err(refuse(shared, 503, "API keys cannot be checked now", "keys-unavailable"))
        }
    }
}

fn unauthorised(shared: &Shared, text: &str) -> Answer {
    let mut answer = refuse(shared, 401, text, "key");
    answer.headers_mut().insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

/// One inference.
async fn infer(
    shared: &Shared,
    live: &Live,
    route: &LiveRoute,
    key: &str,
    named: Option<&str>,
    request: Request<Incoming>,
) -> Answer {
    let mut open = Open::new(shared, live, route, key);
    let target = match route.target(key, named) {
        Ok(target) => target,
        Err(NoVersion::NotServed) => {
            let text = format!("version `{}` does not take traffic", named.unwrap_or("-"));
            return open.refuse(Action::Refuse, 404, &text);
        }
        Err(NoVersion::NotConfigured) => {
            return open.refuse(Action::Refuse, 503, "the chosen version has no endpoint");
        }
    };
    open.version(&target.upstream.version);
    let guard = &route.route.guard;
    let caller = Caller { key };
    if let Some(stopped) = guard.admit(caller, open.at()) {
        return open.stopped(stopped.decision, &stopped.reason);
    }
    let (parts, body) = request.into_parts();
    if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return open.refuse(Action::Refuse, 415, "compressed requests are not taken; send the body as it is");
    }
    let head = match head_length(&parts.headers) {
        Ok(head) => head,
        Err(()) => {
            return open.refuse(Action::Refuse, 400, "Inference-Header-Content-Length is not one number");
        }
    };
    let body = match receive(&parts.headers, body, live).await {
        Ok(body) => body,
        Err((status, text)) => return open.refuse(Action::Refuse, status, &text),
    };

    let judging = std::time::Instant::now();
    let limits = mantlet_wire::Limits { bytes: live.config.max_body, ..live.limits };
    let model = &route.route.model;
    let read = match mantlet_wire::read_request(model, named, head, &body, &limits) {
        Ok(read) => read,
        Err(defect) => {
            let status = if matches!(defect, Defect::TooLarge { .. }) { 413 } else { 400 };
            open.defect(&defect);
            return open.refuse(Action::Refuse, status, &defect.to_string());
        }
    };
    let mut inspection = guard.examine(caller, &read.request, open.at());
    open.request(read.request, inspection.row);
    let mut guarded = judging.elapsed();
    let diverted = match inspection.decision.action {
        Action::Allow | Action::Flag | Action::Redact | Action::Coarsen { .. } => false,
        Action::Divert => true,
        Action::Throttle { .. } | Action::StepUp | Action::Refuse => {
            shared.metrics.guarded.observe(guarded.as_secs_f64());
            return open.stopped(inspection.decision, &inspection.reason);
        }
    };

    // A diverted decision is made all the same: the person who reviews it sees what the model would have said.
    let reply = ask(shared, live, target, "/infer", Method::POST, &parts.headers, body).await;
    let (status, headers, bytes) = match reply {
        Ok(reply) => reply,
        Err(_) if diverted => return open.divert(inspection.decision, &inspection.reason),
        Err(fault) => {
            open.decision(inspection.decision);
            return open.fault(fault.status(), fault.text());
        }
    };
    if status != StatusCode::OK {
        if diverted {
            return open.divert(inspection.decision, &inspection.reason);
        }
        open.decision(inspection.decision);
        return open.forward(status, &headers, bytes);
    }
    let judging = std::time::Instant::now();
    let limits = mantlet_wire::Limits { bytes: live.config.max_reply, ..live.limits };
    let reply: Result<Reply, Defect> = head_length(&headers)
        .map_err(|()| Defect::HeadLength { head: 0, body: bytes.len() })
        .and_then(|head| mantlet_wire::read_reply(head, &bytes, &limits))
        .map(|read| read.reply);
    let reply = match reply {
        Ok(reply) => reply,
        Err(defect) => {
            open.decision(inspection.decision.clone());
            open.defect(&defect);
            if diverted {
                return open.divert(inspection.decision, &inspection.reason);
            }
            // What cannot be read cannot have been looked at; only a guard that enforces holds it back.
            if guard.config().mode == mantlet_vocab::Mode::Enforce {
                return open.fault(502, "the model's reply could not be read");
            }
            return open.forward(status, &headers, bytes);
        }
    };
    guard.observe_reply(caller, &mut inspection, &reply, open.at());
    guarded += judging.elapsed();
    shared.metrics.guarded.observe(guarded.as_secs_f64());
    open.reply(reply);
    if inspection.decision.action == Action::Divert {
        return open.divert(inspection.decision, &inspection.reason);
    }
    open.decision(inspection.decision);
    open.forward(status, &headers, bytes)
}

/// A call about a model that is no inference.
async fn about(
    shared: &Shared,
    live: &Live,
    route: &LiveRoute,
    key: &str,
    named: Option<&str>,
    verb: Verb,
) -> Answer {
    let target = match route.target(key, named) {
        Ok(target) => target,
        Err(NoVersion::NotServed) => {
            return refuse(shared, 404, "this version does not take traffic", "version");
        }
        Err(NoVersion::NotConfigured) => {
            return refuse(shared, 503, "the chosen version has no endpoint", "version");
        }
    };
    let verb = match verb {
        Verb::Ready => "/ready",
        Verb::Config => "/config",
        Verb::Statistics => "/stats",
        Verb::Metadata | Verb::Infer => "",
    };
    match ask(shared, live, target, verb, Method::GET, &HeaderMap::new(), Bytes::new()).await {
        Ok((status, headers, bytes)) => passed(status, &headers, bytes),
        Err(fault) => refuse(shared, fault.status(), fault.text(), "upstream"),
    }
}

/// Ready when every route's answering version is.
async fn ready(shared: &Shared, live: &Live) -> Answer {
    for route in live.routes.values() {
        let up = match route.target("", None) {
            Ok(target) => {
                let reply =
                    ask(shared, live, target, "/ready", Method::GET, &HeaderMap::new(), Bytes::new()).await;
                reply.is_ok_and(|(status, _, _)| status.is_success())
            }
            Err(_) => false,
        };
        if !up {
            return refuse(shared, 503, "an upstream is not ready", "not-ready");
        }
    }
    plain(StatusCode::OK, Bytes::new())
}

fn server_metadata() -> Answer {
    let body = json!({
        "name": "mantlet",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": ["binary_tensor_data"],
    });
    json_answer(StatusCode::OK, &body)
}

/// What became of a diverted decision.
fn review(shared: &Shared, method: &Method, ticket: &str, headers: &HeaderMap) -> Answer {
    if method != Method::GET {
        return refuse(shared, 405, "this path has another method", "method");
    }
    let key = match identify(shared, headers, "") {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    let sane = !ticket.is_empty()
        && ticket.len() <= 128
        && ticket.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    match if sane { shared.ports.reviews.poll(ticket, &key) } else { Reviewed::Unknown } {
        Reviewed::Pending => {
            json_answer(StatusCode::OK, &json!({ "ticket": ticket, "status": "pending-review" }))
        }
        Reviewed::Released(answer) => {
            json_answer(StatusCode::OK, &json!({ "ticket": ticket, "status": "released", "answer": answer }))
        }
        Reviewed::Rejected(reason) => {
            json_answer(StatusCode::OK, &json!({ "ticket": ticket, "status": "rejected", "reason": reason }))
        }
        Reviewed::Unknown => refuse(shared, 404, "there is no such ticket of this key", "no-such-ticket"),
    }
}

/// The length of the JSON head, when the message is in the binary form. Two values or anything but digits would be
/// read differently by others.
fn head_length(headers: &HeaderMap) -> Result<Option<usize>, ()> {
    let mut values = headers.get_all(HEAD_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || !value.as_bytes().iter().all(u8::is_ascii_digit) {
        return Err(());
    }
    value.to_str().ok().and_then(|value| value.parse().ok()).map(Some).ok_or(())
}

/// The whole body, within size and time.
async fn receive(headers: &HeaderMap, body: Incoming, live: &Live) -> Result<Bytes, (u16, String)> {
    let limit = live.config.max_body;
    let too_large = || (413, format!("the body is larger than {limit} bytes"));
    let said = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if said.is_some_and(|said| said > limit as u64) {
        return Err(too_large());
    }
    let timeout = Duration::from_millis(live.config.body_timeout_ms);
    match tokio::time::timeout(timeout, Limited::new(body, limit).collect()).await {
        Err(_) => Err((408, "the body did not arrive in time".into())),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Ok(Err(_)) => Err((400, "the body broke off".into())),
    }
}

/// A refusal outside any exchange.
fn refuse(shared: &Shared, status: u16, text: &str, why: &'static str) -> Answer {
    shared.metrics.refusals.get_or_create(&Refusal { why }).inc();
    from_refusal(mantlet_wire::refuse(status, text, ""))
}
