//! Connections that become WebSockets, on routes that allow it: identity, limits and controls, the upstream's consent,
//! then bytes both ways that nobody looks at. The record says so.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded as Carried;
use hyper_util::rt::TokioIo;
use mantlet_guard::Caller;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

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
/// Connections that are WebSockets at most.
const MOST: usize = 1_024;

/// Connections that are WebSockets, by caller.
#[derive(Default)]
pub(crate) struct Upgraded(Mutex<HashMap<String, usize>>);

/// Why one more cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    /// All places are taken.
    All,
    /// The caller has as many as it may.
    Caller,
}

impl Upgraded {
    /// A place, when there is one for this caller.
    fn take(self: &Arc<Self>, caller: &str, each: usize) -> Result<Place, Full> {
        let mut open = self.open();
        let own = open.get(caller).copied().unwrap_or(0);
        if own >= each {
            return Err(Full::Caller);
        }
        if open.values().sum::<usize>() >= MOST {
            return Err(Full::All);
        }
        open.insert(caller.to_owned(), own + 1);
        Ok(Place { all: Arc::clone(self), caller: caller.to_owned() })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, free again when this is dropped.
struct Place {
    all: Arc<Upgraded>,
    caller: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.all.open();
        if let Some(count) = open.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.caller);
            }
        }
    }
}

/// When something was last heard of either side.
struct Heard(Mutex<Instant>);

impl Default for Heard {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Heard {
    fn last(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing was heard for so long.
    async fn silence(&self, patience: Duration) {
        loop {
            let until = *self.last() + patience;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// A side, of which what is heard is told.
struct Heeding<'a, T> {
    inner: T,
    heard: &'a Heard,
}

impl<T: AsyncRead + Unpin> AsyncRead for Heeding<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if buffer.filled().len() > before {
            *self.heard.last() = Instant::now();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heeding<'_, T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

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
    let room = match shared.upgraded.take(&who.id, live.config.websockets_per_caller) {
        Ok(room) => room,
        Err(Full::All) => {
            return refuse(shared, 503, "too many connections are WebSockets already", "upgrade");
        }
        Err(Full::Caller) => {
            return refuse(
                shared,
                429,
                "too many connections of this caller are WebSockets already",
                "upgrade",
            );
        }
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
        *head.headers_mut() = crate::headers::back(reply.headers().clone());
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

/// Bytes both ways, until one side ends, both are silent for too long, the caller is blocked or the gateway stops.
async fn carry(open: &Open, key: &str, client: Carried, upstream: Carried) {
    let (shared, route) = (open.shared(), open.route());
    let mut stop = shared.stop.clone();
    let heard = Heard::default();
    let mut client = Heeding { inner: TokioIo::new(client), heard: &heard };
    let mut upstream = Heeding { inner: TokioIo::new(upstream), heard: &heard };
    let idle = Duration::from_millis(open.live().config.websocket_idle_ms);
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
        () = heard.silence(idle) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
