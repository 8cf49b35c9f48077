//! A stream of inferences: messages both ways. Each request is an exchange of its own, looked at before it goes on; a
//! refused one is told to its caller by a message, and the stream goes on.
//!
//! One task holds both ends, so that whoever goes away takes the other along. It takes from one end only when the other
//! has room: memory is a message each way and what is known of requests that wait for their answer.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use mantlet_guard::Inspection;
use mantlet_wire::grpc::{GrpcFrames, GrpcRefusal, refuse_grpc};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::message::{STATUS, code, coding, ended, onward_grpc};
use super::mirror::Mirror;
use crate::answer::{Answer, passed};
use crate::body::{Body, Broken};
use crate::coding::Coding;
use crate::exchange::Open;
use crate::listen::Peer;
use crate::live::{Live, LiveRoute};
use crate::service::Shared;
use crate::upstream::Fault;
use crate::upstream::grpc::begin as ask;
use crate::who::Who;

pub(super) const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
/// Requests of one stream that wait for their answer at most.
const WAITING: usize = 256;

/// Begins the answer, and a task that carries messages.
pub(super) fn begin(
    shared: &Arc<Shared>,
    live: &Arc<Live>,
    peer: &Peer,
    who: Who,
    request: Request<Incoming>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let (sender, receiver) = mpsc::channel(1);
    let line = Line {
        shared: Arc::clone(shared),
        live: Arc::clone(live),
        peer: peer.clone(),
        who,
        headers: parts.headers,
        route: None,
        chosen: None,
        down: sender,
        outgoing: VecDeque::new(),
        waiting: VecDeque::new(),
        mirror: None,
    };
    tokio::spawn(line.run(body));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    passed(StatusCode::OK, headers, Body::Framed(receiver))
}

/// A request on its way.
pub(super) struct Waiting {
    pub(super) id: Option<String>,
    pub(super) open: Open,
    pub(super) inspection: Inspection,
    pub(super) diverted: bool,
}

/// How a stream ends.
pub(super) enum End {
    /// With these trailers.
    Told(HeaderMap),
    /// The caller went away.
    Gone,
}

impl End {
    pub(super) fn refused(status: u16, text: &str) -> Self {
        let GrpcRefusal { code, message } = refuse_grpc(status, text, "");
        let mut trailers = HeaderMap::new();
        trailers.insert(STATUS, HeaderValue::from(code));
        if let Ok(message) = HeaderValue::try_from(message) {
            trailers.insert("grpc-message", message);
        }
        Self::Told(trailers)
    }

    fn failed(fault: Fault) -> Self {
        Self::refused(fault.status(), fault.text())
    }
}

/// What happened next.
enum Next {
    Moved,
    Asked(Option<Result<Frame<Bytes>, hyper::Error>>),
    Begun(Result<Response<Incoming>, Fault>),
    Answered(Option<Result<Frame<Bytes>, hyper::Error>>),
    Silence,
    Gone,
}

pub(super) struct Line {
    pub(super) shared: Arc<Shared>,
    pub(super) live: Arc<Live>,
    pub(super) peer: Peer,
    pub(super) who: Who,
    pub(super) headers: HeaderMap,
    /// The route that the first message named.
    pub(super) route: Option<Arc<LiveRoute>>,
    /// The version that answers all of the stream, and its name in the requests.
    pub(super) chosen: Option<(String, Option<String>)>,
    pub(super) down: mpsc::Sender<Result<Frame<Bytes>, Broken>>,
    /// Messages for the caller.
    pub(super) outgoing: VecDeque<Bytes>,
    pub(super) waiting: VecDeque<Waiting>,
    /// What a version in the shadow is sent.
    pub(super) mirror: Option<Mirror>,
}

impl Line {
    async fn run(mut self, body: Incoming) {
        let end = self.carry(body).await;
        for bytes in std::mem::take(&mut self.outgoing) {
            if self.down.send(Ok(Frame::data(bytes))).await.is_err() {
                return;
            }
        }
        if let End::Told(trailers) = end {
            let _ = self.down.send(Ok(Frame::trailers(trailers))).await;
        }
    }

    async fn carry(&mut self, mut body: Incoming) -> End {
        let requests = match coding(&self.headers) {
            Ok(coding) => coding,
            Err(unread) => return End::refused(unread.status(), &unread.text()),
        };
        let mut frames = GrpcFrames::new(self.live.config.max_body);
        let idle = Duration::from_millis(self.live.config.stream_idle_ms);
        let patience = Duration::from_millis(self.live.config.body_timeout_ms);

        // The first messages say which model is asked; before that nobody is called.
        let mut up: VecDeque<Bytes> = VecDeque::new();
        let mut asking = true;
        while up.is_empty() && asking {
            let next = tokio::select! {
                () = self.down.closed() => return End::Gone,
                next = tokio::time::timeout(patience, body.frame()) => next,
            };
            match next {
                Err(_) if self.route.is_none() || frames.finish().is_err() => {
                    return End::refused(408, "no message arrived in time");
                }
                Err(_) => {}
                Ok(Some(Ok(frame))) => {
                    if let Err(end) = self.take(frame, &mut frames, requests, &mut up).await {
                        return end;
                    }
                }
                Ok(Some(Err(_))) => return End::Gone,
                Ok(None) => asking = false,
            }
            while let Some(bytes) = self.outgoing.pop_front() {
                if self.down.send(Ok(Frame::data(bytes))).await.is_err() {
                    return End::Gone;
                }
            }
        }
        let Some(route) = self.route.clone().filter(|_| !up.is_empty()) else {
            return match frames.finish() {
                Ok(()) => End::Told(ended()),
                Err(defect) => End::refused(400, &defect.to_string()),
            };
        };
        let chosen = self.chosen.as_ref().and_then(|(chosen, _)| route.of_version(chosen));
        let Some(target) = chosen else {
            return End::refused(404, "this version does not take traffic");
        };
        let (sender, receiver) = mpsc::channel(1);
        let mut sender = Some(sender);
        let (shared, live) = (Arc::clone(&self.shared), Arc::clone(&self.live));
        let headers = onward_grpc(&self.headers);
        let called = ask(&shared, &live, target, STREAM, &headers, Body::Framed(receiver));
        let mut called = std::pin::pin!(called);
        let mut replies: Option<(Incoming, GrpcFrames, Coding)> = None;
        let mut last = Instant::now();
        loop {
            if up.is_empty() && !asking {
                // The caller has sent all: the upstream is told so.
                sender = None;
            }
            let half = frames.finish().is_err();
            let watched = half || !self.waiting.is_empty();
            let deadline = last + if half { patience } else { idle };
            let (outgoing, room) = (!self.outgoing.is_empty(), self.waiting.len() < WAITING);
            let next = tokio::select! {
                () = self.down.closed(), if !outgoing => Next::Gone,
                permit = self.down.reserve(), if outgoing => match permit {
                    Ok(permit) => {
                        if let Some(bytes) = self.outgoing.pop_front() {
                            permit.send(Ok(Frame::data(bytes)));
                        }
                        Next::Moved
                    }
                    Err(_) => Next::Gone,
                },
                sent = give(sender.as_ref(), &mut up), if !up.is_empty() => match sent {
                    true => Next::Moved,
                    false => Next::Begun(Err(Fault::Broken)),
                },
                frame = body.frame(), if asking && up.is_empty() && !outgoing && room => Next::Asked(frame),
                reply = &mut called, if replies.is_none() => Next::Begun(reply),
                frame = next_frame(&mut replies), if replies.is_some() && !outgoing => Next::Answered(frame),
                () = sleep_until(deadline), if watched => Next::Silence,
            };
            match next {
                Next::Gone => return End::Gone,
                Next::Moved => {}
                Next::Silence if half => return End::refused(408, "a message did not arrive in time"),
                Next::Silence => {
                    self.shared.metrics.upstream_faults.inc();
                    return End::failed(Fault::Late);
                }
                Next::Asked(None) => {
                    asking = false;
                    if let Err(defect) = frames.finish() {
                        return End::refused(400, &defect.to_string());
                    }
                }
                Next::Asked(Some(Err(_))) => return End::Gone,
                Next::Asked(Some(Ok(frame))) => {
                    if let Err(end) = self.take(frame, &mut frames, requests, &mut up).await {
                        return end;
                    }
                }
                Next::Begun(Err(fault)) => {
                    self.shared.metrics.upstream_faults.inc();
                    return End::failed(fault);
                }
                Next::Begun(Ok(reply)) => {
                    let (parts, body) = reply.into_parts();
                    if code(&parts.headers).is_some() {
                        return End::Told(only(&parts.headers));
                    }
                    match coding(&parts.headers) {
                        Ok(coding) => {
                            replies = Some((body, GrpcFrames::new(self.live.config.max_reply), coding));
                        }
                        Err(_) => return End::refused(502, "the model's reply could not be read"),
                    }
                }
                Next::Answered(None | Some(Err(_))) => {
                    self.shared.metrics.upstream_faults.inc();
                    return End::failed(Fault::Broken);
                }
                Next::Answered(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        let Some((_, frames, coding)) = &mut replies else { continue };
                        let (fed, coding) = (frames.feed(&data), *coding);
                        let Ok(found) = fed else {
                            return End::refused(502, "the model's reply could not be read");
                        };
                        for frame in found {
                            self.answered(Bytes::from(frame.raw), coding);
                        }
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        return End::Told(only(&trailers));
                    }
                },
            }
            last = Instant::now();
        }
    }
}

/// Sends the first message of a queue on; says whether somebody takes it.
pub(super) async fn give(
    sender: Option<&mpsc::Sender<Result<Frame<Bytes>, Broken>>>,
    queue: &mut VecDeque<Bytes>,
) -> bool {
    let Some(sender) = sender else { return false };
    match sender.reserve().await {
        Ok(permit) => {
            if let Some(bytes) = queue.pop_front() {
                permit.send(Ok(Frame::data(bytes)));
            }
            true
        }
        Err(_) => false,
    }
}

pub(super) async fn next_frame(
    replies: &mut Option<(Incoming, GrpcFrames, Coding)>,
) -> Option<Result<Frame<Bytes>, hyper::Error>> {
    match replies {
        Some((body, ..)) => body.frame().await,
        None => poll_fn(|_| std::task::Poll::Pending).await,
    }
}

/// What trailers say of the end of a call.
fn only(headers: &HeaderMap) -> HeaderMap {
    let mut only = HeaderMap::new();
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        if let (Some(value), Ok(name)) = (headers.get(name), http::HeaderName::try_from(name)) {
            only.insert(name, value.clone());
        }
    }
    only
}
