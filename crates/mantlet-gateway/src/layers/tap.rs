//! A tap: copies of traffic that goes elsewhere come in, are looked at and recorded, and answered with nothing.
//!
//! Whoever sends the copies (nginx `mirror`, a mesh, the application itself) ignores the answers, so nobody is refused:
//! an unknown credential is a caller too, named by a digest of it. `POST /mantlet/v1/exchanges` takes whole exchanges,
//! replies included, as JSON Lines.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use mantlet_guard::past::{Past, Seen, json_line};
use mantlet_vocab::{Digest, Millis};
use mantlet_wire::text::surface;
use serde_json::json;

use super::Ending;
use super::identity::identify;
use super::shape::{head_length, receive_text};
use crate::Kind;
use crate::answer::{Answer, json_answer, plain};
use crate::dialect::Dialect;
use crate::exchange::Open;
use crate::handle::refuse;
use crate::keys::presented;
use crate::listen::Peer;
use crate::live::{Live, LiveRoute};
use crate::service::Shared;
use crate::who::{Proof, Who};

/// Where whole exchanges are handed over.
pub(crate) const EXCHANGES: &str = "/mantlet/v1/exchanges";

/// One copy of a request, or some whole exchanges.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    live: &Arc<Live>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Answer {
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let handed = request.uri().path() == EXCHANGES;
    let (parts, body) = request.into_parts();
    if handed {
        if parts.method != Method::POST {
            return refuse(shared, 405, "this path has another method", "method");
        }
        // Copies cannot be refused to anybody's harm; what is handed over as true must come from somebody known.
        if let Err(refusal) = identify(shared, live, peer, &parts.headers, "", &Dialect::Tensors) {
            return refusal;
        }
    }
    let received = receive_text(&parts.headers, body, live).await.map_err(|(_, ending)| ending);
    if handed {
        return match received {
            Ok(received) => hand_over(shared, live, &received.text),
            Err(Ending::Refused { status, text }) => refuse(shared, status, &text, "tap"),
            Err(_) => refuse(shared, 400, "the exchanges did not arrive whole", "tap"),
        };
    }
    let Some(route) = route_of(live, parts.uri.path()) else { return nothing() };
    let who = caller(shared, live, peer, &parts.headers, &route.route.model);
    let mut open = Open::new(shared, live, route, &who, dialect(live, parts.method.as_str(), &path));
    match received {
        Ok(received) => {
            let past = Past {
                at: open.at(),
                caller: who.id.clone(),
                method: parts.method.as_str().to_owned(),
                path,
                head: head_length(&parts.headers).ok().flatten(),
                request: Some(received.text.to_vec()),
                ..Past::default()
            };
            let seen = look(live, route, &past);
            record(&mut open, seen, StatusCode::NO_CONTENT.as_u16());
        }
        // What did not arrive, or is not what its headers say, is evidence; the answer is nothing all the same.
        Err(_) => open.broken("the copy did not arrive whole or cannot be decoded"),
    }
    nothing()
}

/// Exchanges that are over, each in a line.
fn hand_over(shared: &Arc<Shared>, live: &Arc<Live>, text: &Bytes) -> Answer {
    let Ok(text) = std::str::from_utf8(text) else {
        return refuse(shared, 400, "exchanges are JSON Lines in UTF-8", "tap");
    };
    let (mut taken, mut left) = (0_u32, 0_u32);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let Ok(mut past) = json_line(line, None) else {
            left += 1;
            continue;
        };
        let Some(route) = route_of(live, past.path.split('?').next().unwrap_or_default()) else {
            left += 1;
            continue;
        };
        if past.at == Millis(0) {
            past.at = shared.ports.clock.now();
        }
        let who = Who { id: past.caller.clone(), proof: Proof::Nothing };
        let mut open = Open::new(shared, live, route, &who, dialect(live, &past.method, &past.path));
        open.happened(past.at);
        let seen = look(live, route, &past);
        record(&mut open, seen, past.status);
        taken += 1;
    }
    json_answer(StatusCode::ACCEPTED, &json!({ "taken": taken, "left_out": left }))
}

fn look(live: &Live, route: &LiveRoute, past: &Past) -> Seen {
    let limits =
        mantlet_wire::Limits { bytes: live.config.max_body.max(live.config.max_reply), ..live.limits };
    route.route.guard.look_back(past, route.prefix(), &limits)
}

fn record(open: &mut Open, seen: Seen, status: u16) {
    let Seen { request, reply, decision, row, usage, .. } = seen;
    if let Some(usage) = usage {
        open.usage(usage);
    }
    open.request(request, row);
    if let Some(reply) = reply {
        open.reply(reply);
    }
    open.decision(decision);
    open.close(status);
}

/// The route a path belongs to; a tap before one model takes everything for it.
fn route_of<'a>(live: &'a Live, path: &str) -> Option<&'a Arc<LiveRoute>> {
    if let Some((route, _)) = live.text_route(path) {
        return Some(route);
    }
    if let mantlet_wire::Call::Model { model, .. } = mantlet_wire::call("POST", path)
        && let Some(route) = live.routes.get(&model)
    {
        return Some(route);
    }
    if live.routes.len() == 1 { live.routes.values().next() } else { None }
}

fn dialect(live: &Live, method: &str, path: &str) -> Dialect {
    let path = path.split('?').next().unwrap_or_default();
    let text = live.text_route(path).filter(|(route, _)| matches!(route.route.kind, Kind::Text { .. }));
    let surface = text.and_then(|(_, rest)| surface(if method.is_empty() { "POST" } else { method }, rest));
    surface.map_or(Dialect::Tensors, |surface| Dialect::Text { surface, call: None })
}

/// Who asked, as far as the copy tells: a known key or token by its id, any other credential by its digest.
fn caller(shared: &Shared, live: &Live, peer: &Peer, headers: &HeaderMap, model: &str) -> Who {
    if let Ok(who) = identify(shared, live, peer, headers, model, &Dialect::Tensors)
        && who.proof != Proof::Nothing
    {
        return who;
    }
    let id = match presented(headers) {
        Some(credential) => format!("unknown-{}", &Digest::of(credential.as_bytes()).hex()[..12]),
        None => {
            let from = headers.get("x-forwarded-for").or_else(|| headers.get("x-real-ip"));
            let from = from.and_then(|from| from.to_str().ok()).and_then(|from| from.split(',').next());
            from.map(str::trim)
                .filter(|from| !from.is_empty() && from.len() <= 64)
                .map_or_else(|| "anonymous".to_owned(), |from| format!("from-{from}"))
        }
    };
    Who { id, proof: Proof::Nothing }
}

fn nothing() -> Answer {
    plain(StatusCode::NO_CONTENT, Bytes::new())
}
