//! One request: which kind of traffic it is, and so which layers it goes through.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use mantlet_wire::{Call, Verb};
use serde_json::json;

use crate::answer::{Answer, from_refusal, json_answer, passed, plain};
use crate::exchange::Open;
use crate::layers::identity::identify;
use crate::layers::tensors;
use crate::live::{Live, LiveRoute, NoVersion};
use crate::metrics::Refusal;
use crate::service::{Face, Shared};
use crate::upstream::ask;
use crate::{Reviewed, admin};

/// Handles one request.
pub(crate) async fn handle(
    shared: &Arc<Shared>,
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
                let open = Open::new(shared, &live, route, &key);
                tensors::answer(open, &key, version.as_deref(), request).await
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

/// A refusal outside any exchange.
pub(crate) fn refuse(shared: &Shared, status: u16, text: &str, why: &'static str) -> Answer {
    shared.metrics.refusals.get_or_create(&Refusal { why }).inc();
    from_refusal(mantlet_wire::refuse(status, text, ""))
}
