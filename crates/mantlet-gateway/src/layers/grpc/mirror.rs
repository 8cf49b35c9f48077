//! A stream's copy to the version that is tried in the shadow: what was allowed, in its order, over a stream of its
//! own. Nobody waits for it, and nobody is given its answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use mantlet_vocab::{Exchange, Reply};
use mantlet_wire::grpc::{GrpcFrames, read_grpc_stream_reply};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};

use super::message::{Message, code, coding, limits_of, meant, message};
use super::stream::{STREAM, give, next_frame};
use crate::body::Body;
use crate::exchange::Open;
use crate::live::{Live, LiveRoute};
use crate::metrics::Port;
use crate::service::Shared;
use crate::upstream::grpc::begin as ask;

/// Copies of one stream that wait to be sent; there is room for [`crate::service::Shared::shadows`] in all.
const WAITING: usize = 16;

/// The copy of one stream.
pub(super) struct Mirror {
    version: String,
    copies: mpsc::Sender<Copied>,
}

/// A request, and what is known of it.
struct Copied {
    bytes: Bytes,
    id: Option<String>,
    exchange: Box<Exchange>,
    begun: Instant,
    _room: OwnedSemaphorePermit,
}

impl Copied {
    /// Tells what came of it.
    fn told(mut self, shared: &Shared, status: u16, reply: Option<Reply>) {
        self.exchange.took_ms = self.begun.elapsed().as_secs_f64() * 1_000.0;
        (self.exchange.status, self.exchange.reply) = (status, reply);
        shared.metrics.shadowed.inc();
        if shared.ports.recorder.shadowed(*self.exchange).is_err() {
            shared.metrics.overloads.get_or_create(&Port { port: "shadow" }).inc();
        }
    }
}

/// Copies an allowed request, when a version that answers gRPC is tried in the shadow and there is room. `mirror` is the
/// copy of the stream so far.
pub(super) fn copy(
    mirror: &mut Option<Mirror>,
    open: &Open,
    headers: &HeaderMap,
    asked: &Message,
    named: Option<&str>,
    id: Option<&String>,
) {
    let route = open.route();
    let Some(target) = route.shadow().filter(|target| target.grpc.is_some()) else {
        *mirror = None;
        return;
    };
    let (Some(exchange), Some(bytes)) = (open.so_far(), asked.for_target(target, &route.route.model, named))
    else {
        return;
    };
    let shared = open.shared();
    let Ok(room) = Arc::clone(&shared.shadows).try_acquire_owned() else {
        shared.metrics.shadows_left_out.inc();
        return;
    };
    let version = &target.upstream.version;
    let mut exchange = Box::new(exchange.clone());
    exchange.version.clone_from(version);
    let copied = Copied { bytes, id: id.cloned(), exchange, begun: Instant::now(), _room: room };
    let usable = mirror.as_ref().filter(|mirror| mirror.version == *version && !mirror.copies.is_closed());
    if usable.is_none() {
        let (copies, receiver) = mpsc::channel(WAITING);
        let line = carry(
            Arc::clone(&shared),
            open.live(),
            Arc::clone(&route),
            version.clone(),
            headers.clone(),
            receiver,
        );
        tokio::spawn(line);
        *mirror = Some(Mirror { version: version.clone(), copies });
    }
    if mirror.as_ref().is_none_or(|mirror| mirror.copies.try_send(copied).is_err()) {
        shared.metrics.shadows_left_out.inc();
    }
}

/// Carries copies to the version and hears its answers, until the stream that is copied ends and all were answered.
async fn carry(
    shared: Arc<Shared>,
    live: Arc<Live>,
    route: Arc<LiveRoute>,
    version: String,
    headers: HeaderMap,
    mut copies: mpsc::Receiver<Copied>,
) {
    let mut waiting = VecDeque::new();
    let status = hear(&shared, &live, &route, &version, &headers, &mut copies, &mut waiting).await;
    // Whatever it was asked and did not answer has failed; what comes now goes over another stream.
    copies.close();
    while let Some(copied) = copies.recv().await {
        waiting.push_back(copied);
    }
    waiting.into_iter().for_each(|copied| copied.told(&shared, status, None));
}

/// Gives the status of those that are still waiting when it is over.
async fn hear(
    shared: &Shared,
    live: &Live,
    route: &LiveRoute,
    version: &str,
    headers: &HeaderMap,
    copies: &mut mpsc::Receiver<Copied>,
    waiting: &mut VecDeque<Copied>,
) -> u16 {
    let Some(target) = route.of_version(version) else { return 503 };
    let (sender, receiver) = mpsc::channel(1);
    let mut sender = Some(sender);
    let mut called = std::pin::pin!(ask(shared, live, target, STREAM, headers, Body::Framed(receiver)));
    let (mut up, mut replies) = (VecDeque::new(), None);
    let patience = Duration::from_millis(live.config.upstream_timeout_ms);
    let mut last = Instant::now();
    loop {
        if sender.is_none() && waiting.is_empty() {
            return 200;
        }
        let (idle, sending) = (waiting.is_empty(), sender.is_some() && up.is_empty());
        tokio::select! {
            copied = copies.recv(), if sending => match copied {
                Some(copied) => {
                    up.push_back(copied.bytes.clone());
                    waiting.push_back(copied);
                }
                None => sender = None,
            },
            sent = give(sender.as_ref(), &mut up), if !up.is_empty() => if !sent {
                return 502;
            },
            reply = &mut called, if replies.is_none() => match reply {
                Err(fault) => return fault.status(),
                Ok(reply) => {
                    let (parts, body) = reply.into_parts();
                    if let Some(code) = code(&parts.headers) {
                        return meant(code);
                    }
                    let Ok(coding) = coding(&parts.headers) else { return 502 };
                    replies = Some((body, GrpcFrames::new(live.config.max_reply), coding));
                }
            },
            frame = next_frame(&mut replies), if replies.is_some() => {
                let Some(Ok(frame)) = frame else { return 502 };
                match frame.into_data() {
                    Ok(data) => {
                        let Some((_, frames, coding)) = &mut replies else { continue };
                        let Ok(found) = frames.feed(&data) else { return 502 };
                        for frame in found {
                            answered(shared, live, Bytes::from(frame.raw), *coding, waiting);
                        }
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        // One that ends well without an answer has not answered.
                        return code(&trailers).filter(|code| *code != 0).map_or(502, meant);
                    }
                }
            },
            () = sleep_until(last + patience), if !idle => return 504,
        }
        last = Instant::now();
    }
}

/// One answer: that of the request it names, or of the oldest.
fn answered(
    shared: &Shared,
    live: &Live,
    raw: Bytes,
    coding: crate::coding::Coding,
    waiting: &mut VecDeque<Copied>,
) {
    let most = live.config.max_reply;
    let read = message(raw, coding, most)
        .ok()
        .and_then(|message| read_grpc_stream_reply(&message.text, &limits_of(live, most)).ok());
    let id = read.as_ref().and_then(|read| read.reply.as_ref()?.id.clone());
    let place = match &id {
        Some(id) => waiting.iter().position(|copied| copied.id.as_ref() == Some(id)),
        None => (!waiting.is_empty()).then_some(0),
    };
    // A further answer to a request that has one says nothing new of the version.
    let Some(copied) = place.and_then(|place| waiting.remove(place)) else { return };
    let (status, reply) = match read {
        // What the gateway would not have passed on is a failure of the version's.
        None => (502, None),
        Some(read) if read.error.is_some() => (500, None),
        Some(read) => (200, read.reply.map(|reply| reply.reply)),
    };
    copied.told(shared, status, reply);
}
