//! Copies of allowed requests to a version that is tried in the shadow: nobody waits for it, and nobody is given its
//! answer.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use mantlet_vocab::Reply;

use crate::coding::Coding;
use crate::exchange::Open;
use crate::headers::onward;
use crate::live::{Live, Target};
use crate::metrics::Port;
use crate::upstream::{Call, Path, ask};

/// Sends a copy, when a version is tried in the shadow and there is room, and hands on what came of it. `path` is where
/// that version is asked, `read` reads its decoded reply.
pub(crate) fn send(
    open: &Open,
    headers: &HeaderMap,
    body: &Bytes,
    path: impl Fn(&Target) -> Path + Send + 'static,
    read: impl Fn(&Live, &HeaderMap, &Bytes) -> Option<Reply> + Send + 'static,
) {
    let (shared, live, route) = (open.shared(), open.live(), open.route());
    let Some(exchange) = open.so_far().filter(|_| route.shadow().is_some()) else { return };
    let Ok(room) = Arc::clone(&shared.shadows).try_acquire_owned() else {
        shared.metrics.shadows_left_out.inc();
        return;
    };
    let (mut copy, headers, body) = (exchange.clone(), onward(headers, false), body.clone());
    tokio::spawn(async move {
        let Some(target) = route.shadow() else { return };
        copy.version.clone_from(&target.upstream.version);
        let started = Instant::now();
        let call = Call { method: Method::POST, path: path(target), headers, body };
        let answer = ask(&shared, &live, &route, target, call).await;
        copy.took_ms = started.elapsed().as_secs_f64() * 1_000.0;
        match answer {
            // Another version answered in its place: this one failed.
            Ok(reply) if reply.by.upstream.version != copy.version => copy.status = 502,
            Ok(reply) => {
                copy.status = reply.status.as_u16();
                if reply.status == StatusCode::OK {
                    let body = Coding::of(&reply.headers)
                        .and_then(|coding| coding.decode(&reply.body, live.config.max_reply));
                    copy.reply = body.ok().and_then(|body| read(&live, &reply.headers, &body));
                    // What the gateway would not have passed on is a failure of the version's.
                    copy.status = if copy.reply.is_some() { 200 } else { 502 };
                }
            }
            Err(fault) => copy.status = fault.status(),
        }
        drop(room);
        shared.metrics.shadowed.inc();
        if shared.ports.recorder.shadowed(copy).is_err() {
            shared.metrics.overloads.get_or_create(&Port { port: "shadow" }).inc();
        }
    });
}
