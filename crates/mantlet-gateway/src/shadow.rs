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
use crate::live::{Live, LiveRoute, Target};
use crate::metrics::Port;
use crate::service::Shared;
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
    if open.route().shadow().is_none() {
        return;
    }
    let (headers, body) = (onward(headers, false), body.clone());
    watch(open, move |shared, live, route| async move {
        let target = route.shadow()?;
        let call = Call { method: Method::POST, path: path(target), headers, body };
        let answer = ask(&shared, &live, &route, target, call).await;
        Some(match answer {
            // Another version answered in its place: this one failed.
            Ok(reply) if reply.by.upstream.version != target.upstream.version => (502, None),
            Ok(reply) if reply.status == StatusCode::OK => {
                let body = Coding::of(&reply.headers)
                    .and_then(|coding| coding.decode(&reply.body, live.config.max_reply));
                let read = body.ok().and_then(|body| read(&live, &reply.headers, &body));
                // What the gateway would not have passed on is a failure of the version's.
                (if read.is_some() { 200 } else { 502 }, read)
            }
            Ok(reply) => (reply.status.as_u16(), None),
            Err(fault) => (fault.status(), None),
        })
    });
}

/// Lets `ask` ask the version that is tried in the shadow, beside the exchange, and hands on the status and the reply
/// it gives.
pub(crate) fn watch<F>(
    open: &Open,
    ask: impl FnOnce(Arc<Shared>, Arc<Live>, Arc<LiveRoute>) -> F + Send + 'static,
) where
    F: Future<Output = Option<(u16, Option<Reply>)>> + Send,
{
    let (shared, live, route) = (open.shared(), open.live(), open.route());
    let Some(exchange) = open.so_far() else { return };
    let Some(version) = route.shadow().map(|target| target.upstream.version.clone()) else { return };
    let Ok(room) = Arc::clone(&shared.shadows).try_acquire_owned() else {
        shared.metrics.shadows_left_out.inc();
        return;
    };
    let mut copy = exchange.clone();
    copy.version = version;
    tokio::spawn(async move {
        let started = Instant::now();
        let answer = ask(Arc::clone(&shared), live, route).await;
        let Some((status, reply)) = answer else { return };
        copy.took_ms = started.elapsed().as_secs_f64() * 1_000.0;
        (copy.status, copy.reply) = (status, reply);
        drop(room);
        shared.metrics.shadowed.inc();
        if shared.ports.recorder.shadowed(copy).is_err() {
            shared.metrics.overloads.get_or_create(&Port { port: "shadow" }).inc();
        }
    });
}
