//! Connections that become WebSockets, on routes that allow it: identity, limits and controls, the upstream's consent,
//! then bytes both ways that nobody looks at. The record says so.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use mantlet_guard::Caller;

use super::limits as together;
use super::{Ending, Replied, recordable, unanswered, version};
use crate::answer::Answer;
use crate::body::Body;
use crate::dialect::Dialect;
use crate::exchange::Open;
use crate::handle::refuse;
use crate::headers::onward;
use crate::layers::identity::identify;
use crate::listen::Peer;
use crate::live::{Live, LiveRoute};
use crate::service::Shared;
use crate::upstream::{Call, Fault, Path, upgrade};

/// How often it is asked whether the caller was blocked meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// One connection of a known caller.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    live: &Arc<Live>,
    peer: &Peer,
    route: &Arc<LiveRoute>,
    path: String,
    mut request: Request<Incoming>,
) -> Answer {
    let dialect = Dialect::Tensors;
    let who = match identify(shared, live, peer, request.headers(), &route.route.model, &dialect) {
        Ok(who) => who,
        Err(refusal) => return refusal,
    };
    let Ok(room) = Arc::clone(&shared.upgraded).try_acquire_owned() else {
        return refuse(shared, 503, "too many connections are WebSockets already", "upgrade");
    };
    let mut open = Open::new(shared, live, route, &who, dialect);
    let reply = match flow(&mut open, &who, path, &request).await {
        Ok(reply) => reply,
        Err(ending) => return open.end(ending),
    };
    open.unseen("a WebSocket");
    let head = {
        let mut head = Response::new(Body::Whole(None));
        *head.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *head.headers_mut() = crate::headers::back(reply.headers());
        head.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        crate::answer::signed(head, &open.id(), live.generation)
    };
    let client = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (client, upstream) = tokio::join!(client, hyper::upgrade::on(reply));
        if let (Ok(client), Ok(upstream)) = (client, upstream) {
            carry(&open, &who, client, upstream).await;
            open.close(StatusCode::SWITCHING_PROTOCOLS.as_u16());
        }
        drop(room);
    });
    head
}

/// The layers.
async fn flow(
    open: &mut Open,
    key: &str,
    path: String,
    request: &Request<Incoming>,
) -> Result<Response<Incoming>, Ending> {
    let (shared, live, route) = (open.shared(), open.live(), open.route());
    let guard = &route.route.guard;
    let caller = Caller { key };
    let target = version(open, &route, key, None)?;
    if let Some(stopped) = guard.admit(caller, open.at()) {
        return Err(Ending::Stopped(stopped.decision, stopped.reason));
    }
    if let Some(diverted) = guard.diverts(caller, open.at()) {
        return Err(Ending::Diverted(diverted.decision, diverted.reason));
    }
    recordable(open)?;
    open.traced(request.headers());
    together::arrived(open, 0).await?;
    let mut headers = onward(request.headers(), true);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let call = Call { method: Method::GET, path: Path::Below(path), headers, body: Bytes::new() };
    let timeout = Duration::from_millis(live.config.upstream_timeout_ms);
    let reply = tokio::time::timeout(timeout, upgrade(&shared, &live, target, &call)).await;
    let reply = reply.unwrap_or(Err(Fault::Late)).map_err(|fault| {
        shared.metrics.upstream_faults.inc();
        unanswered(open, fault)
    })?;
    if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(reply);
    }
    // It does not want to: its answer is an ordinary one.
    let (parts, body) = reply.into_parts();
    let body = http_body_util::Limited::new(body, live.config.max_reply).collect();
    let body = tokio::time::timeout(timeout, body).await.map_err(|_| unanswered(open, Fault::Late))?;
    let body = body.map_err(|_| unanswered(open, Fault::Broken))?.to_bytes();
    Err(Ending::Passed(Box::new(Replied { status: parts.status, headers: parts.headers, body })))
}

/// Bytes both ways, until one side ends, the caller is blocked or the gateway stops.
async fn carry(open: &Open, key: &str, client: Upgraded, upstream: Upgraded) {
    let (shared, route) = (open.shared(), open.route());
    let mut stop = shared.stop.clone();
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    let blocked = async {
        loop {
            tokio::time::sleep(LOOK).await;
            if route.route.guard.is_blocked(Caller { key }, shared.ports.clock.now()) {
                return;
            }
        }
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
        () = blocked => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
