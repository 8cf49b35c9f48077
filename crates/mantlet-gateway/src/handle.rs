//! One request: which kind of traffic it is, and so which layers it goes through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use mantlet_wire::grpc::{GrpcCall, grpc_call};
use mantlet_wire::service::service;
use mantlet_wire::text::{Surface, surface};
use mantlet_wire::{Call as Asked, Verb};
use serde_json::json;

use crate::answer::{Answer, from_refusal, json_answer, passed, plain};
use crate::body::Body;
use crate::dialect::Dialect;
use crate::exchange::Open;
use crate::keys::presented;
use crate::layers::identity::identify;
use crate::layers::{REVIEW, analyze, classic, grpc, pass, step_up, tap, tensors, text, upgrade};
use crate::listen::Peer;
use crate::live::{Live, LiveRoute, NoVersion};
use crate::metrics::Refusal;
use crate::service::{Face, Shared};
use crate::upstream::{Call, Path, ask};
use crate::{Kind, Reviewed, admin};

/// Handles one request.
pub(crate) async fn handle(
    shared: &Arc<Shared>,
    face: Face,
    peer: &Peer,
    request: Request<Incoming>,
) -> Answer {
    let path = request.uri().path();
    if matches!(path, "/status" | "/metrics") {
        let headers = request.headers();
        let allowed = face == Face::Admin
            || (face == Face::Both && is_the_machine(peer, headers))
            || presented(headers)
                .is_some_and(|key| shared.ports.keys.reads_status(key, shared.ports.clock.now()));
        if allowed && request.method() == Method::GET {
            return admin::answer(shared, path);
        }
        return refuse(shared, 404, "there is nothing here", "no-such-path");
    }
    if face == Face::Admin {
        return refuse(shared, 404, "there is nothing here", "no-such-path");
    }
    if recoded(request.headers()) {
        return refuse(
            shared,
            501,
            "a body comes whole or in chunks: no other transfer coding is read",
            "coding",
        );
    }
    let live = shared.live.load_full();
    if live.config.tap {
        return tap::answer(shared, &live, peer, request).await;
    }
    // What flows over an upgraded connection could not be looked at.
    if upgrades(request.headers()) {
        let allowed = live.upgrade_route(path).filter(|_| request.method() == Method::GET);
        let Some((route, rest)) = allowed else {
            return refuse(shared, 403, "connections are not upgraded to WebSocket here", "upgrade");
        };
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let (route, path) = (Arc::clone(route), format!("{rest}{query}"));
        return upgrade::answer(shared, &live, peer, &route, path, request).await;
    }
    if path == step_up::PATH {
        return step_up::answer(shared, &live, peer, request).await;
    }
    if let Some(ticket) = path.strip_prefix("/mantlet/v1/reviews/") {
        return review(shared, &live, peer, ticket, &request).await;
    }
    if let Some((route, rest)) = live.text_route(path) {
        let method = request.method().as_str();
        let query = request.uri().query().map(str::to_owned);
        if let Some(service) = service(method, rest) {
            let route = Arc::clone(route);
            let dialect = Dialect::Service(service);
            let key = match identify(shared, &live, peer, request.headers(), &route.route.model, &dialect) {
                Ok(key) => key,
                Err(refusal) => return refusal,
            };
            let open = Open::new(shared, &live, &route, &key, dialect);
            return analyze::answer(open, &key, service, query.as_deref(), request).await;
        }
        // Servers that are mounted below a path have a slash at its end.
        let known = if rest == "/mcp/" { "/mcp" } else { rest };
        if let Some(surface) = surface(method, known) {
            let route = Arc::clone(route);
            let asked = query.map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
            let dialect = Dialect::Text { surface, call: None };
            let key = match identify(shared, &live, peer, request.headers(), &route.route.model, &dialect) {
                Ok(key) => key,
                Err(refusal) => return refusal,
            };
            let open = Open::new(shared, &live, &route, &key, dialect);
            return text::answer(open, &key, surface, asked, request).await;
        }
    }
    let asked = grpc_call(path);
    if asked != GrpcCall::Unknown {
        return grpc::handle(shared, &live, peer, asked, request).await;
    }
    if let Some((route, asked)) = live.classic_route(request.method().as_str(), path) {
        let route = Arc::clone(route);
        if classic::is_alive(&asked) {
            return classic::alive(shared, &live, &route, &asked).await;
        }
        let dialect = Dialect::Classic(asked.dialect);
        let key = match identify(shared, &live, peer, request.headers(), &route.route.model, &dialect) {
            Ok(key) => key,
            Err(refusal) => return refusal,
        };
        let open = Open::new(shared, &live, &route, &key, dialect);
        return classic::answer(open, &key, asked, request).await;
    }
    match mantlet_wire::call(request.method().as_str(), path) {
        // Whether this process lives is no secret and needs no key: orchestrators ask without one.
        Asked::Live => plain(StatusCode::OK, Bytes::new()),
        Asked::Ready => ready(shared, &live).await,
        Asked::ServerMetadata => {
            match identify(shared, &live, peer, request.headers(), "", &Dialect::Tensors) {
                Ok(_) => server_metadata(),
                Err(refusal) => refusal,
            }
        }
        Asked::Model { model, version, verb } => {
            let key = match identify(shared, &live, peer, request.headers(), &model, &Dialect::Tensors) {
                Ok(key) => key,
                Err(refusal) => return refusal,
            };
            let route = live.routes.get(&model).filter(|route| route.route.kind == Kind::Tensors);
            let Some(route) = route else {
                return refuse(shared, 404, &format!("there is no model `{model}`"), "no-such-model");
            };
            if verb == Verb::Infer {
                let open = Open::new(shared, &live, route, &key, Dialect::Tensors);
                let named = version.as_deref();
                if route.route.inspect {
                    tensors::answer(open, &key, named, request).await
                } else {
                    pass::answer(open, &key, named, Path::Model("/infer"), request).await
                }
            } else {
                about(shared, &live, route, &key, version.as_deref(), verb).await
            }
        }
        Asked::SharedMemory => {
            refuse(shared, 403, "shared memory hides inputs from inspection and is refused", "shared-memory")
        }
        Asked::Administration => refuse(shared, 403, "administration is not offered here", "administration"),
        Asked::WrongMethod => refuse(shared, 405, "this path has another method", "method"),
        Asked::Unknown => nowhere(shared, &live, peer, &request),
    }
}

/// What is at no path of a dialect, said in the shape of the dialect that was meant.
fn nowhere(shared: &Shared, live: &Live, peer: &Peer, request: &Request<Incoming>) -> Answer {
    let (method, path) = (request.method().as_str(), request.uri().path());
    if let Some((dialect, model)) = live.classic_stranger(method, path) {
        let dialect = Dialect::Classic(dialect);
        // Which models there are is nobody's business without a key.
        return match identify(shared, live, peer, request.headers(), &model, &dialect) {
            Ok(_) => {
                turn_away(shared, &dialect, 404, &format!("there is no model `{model}`"), "no-such-model")
            }
            Err(refusal) => refusal,
        };
    }
    let calls = live.text_route(path).and_then(|(_, rest)| rest.strip_prefix("/v1/"));
    let Some(rest) = calls else {
        return refuse(shared, 404, "there is nothing here", "no-such-path");
    };
    let anthropic = rest.starts_with("messages") || request.headers().contains_key("anthropic-version");
    let surface = if anthropic { Surface::AnthropicMessages } else { Surface::OpenAiChat };
    let text = "this call is not offered here: audio, images, batches and what is stored elsewhere could not be \
                looked at, and every path has one method and no slash at its end";
    turn_away(shared, &Dialect::Text { surface, call: None }, 404, text, "no-such-path")
}

/// Whether the body comes in a transfer coding other than chunks, which another reader could take apart otherwise
/// (RFC 9112, section 6.1).
fn recoded(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(TRANSFER_ENCODING).iter();
    let odd = |value: &HeaderValue| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    values.next().is_some_and(odd) || values.next().is_some()
}

/// Whether the machine itself asks: what a proxy beside the gateway hands on comes from loopback too, and says for whom.
fn is_the_machine(peer: &Peer, headers: &HeaderMap) -> bool {
    const HANDED_ON: [&str; 6] =
        ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
    peer.address.ip().is_loopback() && !HANDED_ON.iter().any(|name| headers.contains_key(*name))
}

/// Whether the client wants the connection to become a WebSocket. Other upgrades may be passed over in silence.
fn upgrades(headers: &HeaderMap) -> bool {
    headers
        .get_all(UPGRADE)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("websocket")))
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
    match ask(shared, live, route, target, Call::get(verb)).await {
        Ok(reply) => passed(reply.status, reply.headers, Body::from(reply.body)),
        Err(fault) => refuse(shared, fault.status(), fault.text(), "upstream"),
    }
}

/// Ready when every route's answering version is.
async fn ready(shared: &Shared, live: &Live) -> Answer {
    for route in live.routes.values() {
        let up = match route.target("", None) {
            // Servers of text have no common question for it: what is known of them has to do.
            Ok(target) if route.route.kind != Kind::Tensors => !target.breaker.is_open(),
            Ok(target) => {
                let reply = ask(shared, live, route, target, Call::get("/ready")).await;
                reply.is_ok_and(|reply| reply.status.is_success())
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

/// How long a caller may ask to wait for a person's decision.
const WAIT: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// How long the caller prefers to wait (RFC 7240, section 4.3), at most [`WAIT`].
pub(crate) fn preferred_wait(headers: &HeaderMap) -> Duration {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split(','));
    let seconds = preferences.find_map(|preference| preference.trim().strip_prefix("wait=")?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(WAIT)
}

/// Whether this may be a ticket.
pub(crate) fn sane_ticket(ticket: &str) -> bool {
    !ticket.is_empty() && ticket.len() <= 128 && ticket.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

/// What became of a diverted decision: at once, or as soon as somebody decided within the time the caller waits.
async fn review(
    shared: &Shared,
    live: &Live,
    peer: &Peer,
    ticket: &str,
    request: &Request<Incoming>,
) -> Answer {
    if request.method() != Method::GET {
        return refuse(shared, 405, "this path has another method", "method");
    }
    let key = match identify(shared, live, peer, request.headers(), "", &Dialect::Tensors) {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    let sane = sane_ticket(ticket);
    let until = Instant::now() + preferred_wait(request.headers());
    let found = loop {
        let found = if sane { shared.ports.reviews.poll(ticket, &key) } else { Reviewed::Unknown };
        if found != Reviewed::Pending || Instant::now() >= until || *shared.stop.borrow() {
            break found;
        }
        tokio::time::sleep(LOOK).await;
    };
    match found {
        Reviewed::Pending => {
            json_answer(StatusCode::OK, &json!({ "ticket": ticket, "status": "pending-review" }))
        }
        Reviewed::Released(answer) | Reviewed::Answered(answer) => {
            json_answer(StatusCode::OK, &json!({ "ticket": ticket, "status": "released", "answer": answer }))
        }
        Reviewed::GoesOn { went } => {
            let how = if went {
                "the request went to the model".to_owned()
            } else {
                format!("send the same request again with the header `{REVIEW}: {ticket}`")
            };
            let body = json!({ "ticket": ticket, "status": "goes-on", "went": went, "how": how });
            json_answer(StatusCode::OK, &body)
        }
        Reviewed::Rejected(reason) => {
            json_answer(StatusCode::OK, &json!({ "ticket": ticket, "status": "rejected", "reason": reason }))
        }
        Reviewed::Unknown => refuse(shared, 404, "there is no such ticket of this key", "no-such-ticket"),
    }
}

/// A refusal outside any exchange.
pub(crate) fn refuse(shared: &Shared, status: u16, text: &str, why: &'static str) -> Answer {
    turn_away(shared, &Dialect::Tensors, status, text, why)
}

/// The same in the shape of a dialect.
pub(crate) fn turn_away(
    shared: &Shared,
    dialect: &Dialect,
    status: u16,
    text: &str,
    why: &'static str,
) -> Answer {
    shared.metrics.refusals.get_or_create(&Refusal { why }).inc();
    from_refusal(dialect.refuse(status, text, ""))
}
