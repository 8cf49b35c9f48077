//! A reply on its way: each event is read, looked at and released in order, as soon as everything in it is settled.
//!
//! The task holds the upstream's connection: when the client goes away it ends at once, and with it the upstream's
//! work.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use mantlet_guard::shared::tokens_of;
use mantlet_guard::{Inspection, ReplyWatch, Verdict};
use mantlet_vocab::{Mode, OnFailure, Piece};
use mantlet_wire::text::{
    Frame, StreamReader, Surface, TextReply, Usage, event_data, event_with, read_text_reply,
    refuse_call_stream, refuse_stream, rewrite,
};
use tokio::sync::mpsc;

use super::Streamed;
use crate::answer::Answer;
use crate::body::{Body, Broken};
use crate::exchange::Open;
use crate::layers::Loss;
use crate::upstream::direct::Arriving;

/// How a stream ends.
enum End {
    /// The upstream ended it.
    Finished,
    /// The guard stops it.
    Stopped(String),
    /// The upstream broke it off.
    Broken,
    /// The upstream fell silent.
    Silent,
    /// The client went away.
    Gone,
}

/// Begins the answer, and a task that writes it.
pub(super) fn answer(open: Open, surface: Surface, streamed: Streamed) -> Answer {
    let Streamed { status, headers, body, inspection } = streamed;
    let (sender, receiver) = mpsc::channel(1);
    let answer = open.begun(status, headers, Body::Written(receiver));
    let pump = Pump {
        reader: StreamReader::new(surface, {
            let live = open.live();
            mantlet_wire::Limits { bytes: live.config.max_reply, ..live.limits }
        }),
        watch: open.route().route.guard.watch(&inspection),
        asked: inspection.clone(),
        worst: None,
        unreadable: Vec::new(),
        blind: false,
        exact: true,
        usage: None,
        counts: open.counts(),
        tokens: 0,
        open,
        surface,
        sender,
    };
    tokio::spawn(pump.run(status.as_u16(), body, inspection));
    answer
}

/// What becomes of a message of JSON-RPC.
enum Message {
    /// It passes as it came.
    Passes(Frame),
    /// This is sent in its place.
    Instead(Vec<u8>),
    /// The stream ends, for this reason.
    Stops(String),
}

/// The id of a message of JSON-RPC, as JSON; a notification has none.
fn rpc_id(data: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(data).ok()?;
    message.get("id").filter(|id| id.is_string() || id.is_number()).map(ToString::to_string)
}

struct Pump {
    reader: StreamReader,
    watch: ReplyWatch,
    /// What the request left, for messages that are looked at as a whole.
    asked: Inspection,
    /// The message of JSON-RPC so far of which most was decided.
    worst: Option<Inspection>,
    /// Bytes that came and were not released: what a guard that only observes passes on when it cannot read them.
    unreadable: Vec<u8>,
    /// Nothing more is read.
    blind: bool,
    /// Nothing was changed so far.
    exact: bool,
    usage: Option<Usage>,
    /// Whether tokens are counted here, and how many came: by estimate, for streams whose upstream counts none.
    counts: bool,
    tokens: u64,
    open: Open,
    surface: Surface,
    sender: mpsc::Sender<Result<Bytes, Broken>>,
}

impl Pump {
    async fn run(mut self, status: u16, mut body: Arriving, mut inspection: Inspection) {
        let idle = Duration::from_millis(self.open.live().config.stream_idle_ms);
        let end = loop {
            let next = tokio::select! {
                biased;
                () = self.sender.closed() => break End::Gone,
                next = tokio::time::timeout(idle, body.frame()) => next,
            };
            let data = match next {
                Err(_) => break End::Silent,
                Ok(None) => break self.finish().await,
                Ok(Some(Err(_))) => break End::Broken,
                // Trailers are headers of the connection's kind.
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
            };
            if let Err(end) = self.take(data).await {
                break end;
            }
        };
        drop(body);
        self.close(status, end, &mut inspection).await;
    }

    /// Takes what came, and sends what it releases.
    async fn take(&mut self, data: Bytes) -> Result<(), End> {
        if self.blind {
            return self.send(data).await;
        }
        let observes = self.exact && self.open.route().route.guard.config().mode != Mode::Enforce;
        if observes {
            self.unreadable.extend_from_slice(&data);
        }
        match self.reader.feed(&data) {
            Ok(frames) => self.release(frames).await,
            Err(defect) => {
                self.open.defect(&defect);
                if !observes {
                    return Err(End::Stopped("the model's reply could not be read".to_owned()));
                }
                self.blind = true;
                let rest = std::mem::take(&mut self.unreadable);
                self.send(Bytes::from(rest)).await
            }
        }
    }

    async fn release(&mut self, frames: Vec<Frame>) -> Result<(), End> {
        let began = std::time::Instant::now();
        let mut out = Vec::new();
        let mut stopped = None;
        for frame in frames {
            self.usage = frame.usage.or(self.usage);
            if self.counts {
                self.tokens += frame.fragments.iter().map(|part| tokens_of(&part.text)).sum::<u64>();
            }
            if self.surface == Surface::Mcp {
                match self.message(frame) {
                    Message::Passes(frame) => self.put(vec![frame], &mut out),
                    Message::Instead(bytes) => out.extend(bytes),
                    Message::Stops(reason) => {
                        stopped = Some(End::Stopped(reason));
                        break;
                    }
                }
                continue;
            }
            let release = self.watch.feed(frame);
            self.exact &= release.verdict != Verdict::Redacted;
            self.put(release.frames, &mut out);
            if let Verdict::Stop { reason } = release.verdict {
                stopped = Some(End::Stopped(reason));
                break;
            }
        }
        self.open.looked(began.elapsed());
        if !out.is_empty() {
            self.send(Bytes::from(out)).await?;
        }
        stopped.map_or(Ok(()), Err)
    }

    /// One event of JSON-RPC, which is a whole message: nobody waits for the next to get it, and what it tells a model to
    /// do is seen in all of it. One that may not pass is answered in its place by an error with its id.
    fn message(&mut self, frame: Frame) -> Message {
        let (live, route) = (self.open.live(), self.open.route());
        let guard = &route.route.guard;
        let data = event_data(&frame);
        let limits = mantlet_wire::Limits { bytes: live.config.max_reply, ..live.limits };
        // Names of events and comments are no message, but texts.
        let read = read_text_reply(Surface::Mcp, data.as_bytes(), &limits).unwrap_or_default();
        let beside = frame.fragments.iter().map(|fragment| Piece {
            kind: fragment.kind,
            pointer: String::new(),
            text: fragment.text.clone(),
        });
        let all = TextReply { pieces: beside.collect(), ..TextReply::default() };
        let mut inspection = self.asked.clone();
        let whole = guard.examine_text_reply(&mut inspection, &all);
        let edits = guard.examine_text_reply(&mut inspection, &read);
        let edited = if edits.is_empty() && whole.is_empty() {
            Some(None)
        } else {
            let edited = rewrite(data.as_bytes(), &edits).ok().filter(|_| !edits.is_empty());
            edited.and_then(|data| String::from_utf8(data).ok()).map(Some)
        };
        let passes = inspection.decision.action.passes();
        let reason = inspection.reason.clone();
        self.exact &= matches!(edited, Some(None)) && passes;
        if self.worst.as_ref().is_none_or(|worst| inspection.decision.action > worst.decision.action) {
            self.worst = Some(inspection);
        }
        match edited {
            Some(None) if passes => Message::Passes(frame),
            Some(Some(data)) if passes => Message::Instead(event_with(&frame, &data)),
            _ => {
                let reason = if reason.is_empty() { "the answer holds what may not leave" } else { &reason };
                match rpc_id(&data) {
                    Some(id) => Message::Instead(refuse_call_stream(Some(&id), reason, &self.open.id())),
                    None => Message::Stops(reason.to_owned()),
                }
            }
        }
    }

    fn put(&mut self, frames: Vec<Frame>, out: &mut Vec<u8>) {
        for frame in frames {
            // A guard that only observes changes nothing, so what it releases are the bytes that came.
            let came = frame.raw.len().min(self.unreadable.len());
            self.unreadable.drain(..came);
            out.extend_from_slice(&frame.raw);
        }
    }

    async fn finish(&mut self) -> End {
        if self.blind {
            return End::Finished;
        }
        let last = match self.reader.finish() {
            Ok(last) => last,
            Err(defect) => {
                // Half an answer is what the upstream gave; it was looked at, and the record says what it was.
                self.open.defect(&defect);
                None
            }
        };
        if let Some(frame) = last
            && let Err(end) = self.release(vec![frame]).await
        {
            return end;
        }
        let release = self.watch.finish();
        let mut out = Vec::new();
        self.put(release.frames, &mut out);
        if !out.is_empty()
            && let Err(end) = self.send(Bytes::from(out)).await
        {
            return end;
        }
        match release.verdict {
            Verdict::Stop { reason } => End::Stopped(reason),
            Verdict::Go | Verdict::Redacted => End::Finished,
        }
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), End> {
        self.sender.send(Ok(bytes)).await.map_err(|_| End::Gone)
    }

    /// Ends the stream as the dialect ends one, and the exchange with what was released.
    async fn close(self, status: u16, end: End, inspection: &mut Inspection) {
        let Self { watch, usage, tokens, mut open, surface, sender, worst, .. } = self;
        watch.conclude(inspection);
        if let Some(worst) = worst.filter(|worst| worst.decision.action > inspection.decision.action) {
            inspection.decision = worst.decision;
        }
        open.decision(inspection.decision.clone());
        match usage {
            Some(usage) => open.usage(usage),
            None => open.estimated(tokens),
        }
        let id = open.id();
        match &end {
            End::Gone => return,
            End::Finished => {}
            End::Stopped(reason) => {
                let told = match open.call() {
                    Some(call) => refuse_call_stream(Some(call), reason, &id),
                    None => refuse_stream(surface, reason, &id),
                };
                let _ = sender.send(Ok(Bytes::from(told))).await;
            }
            End::Silent | End::Broken => {
                open.shared().metrics.upstream_faults.inc();
                let (silent, broken) =
                    ("the model's endpoint fell silent", "the model's endpoint broke the answer off");
                let how = if matches!(end, End::Silent) { silent } else { broken };
                // Part of the answer is with the caller: what is left to choose is how the rest ends.
                let choice = open.route().route.guard.config().upstream_on_failure;
                open.lost(&Loss { what: "upstream", how, status, choice });
                if matches!(end, End::Broken) && choice == OnFailure::PassAndFlag {
                    // As a client would see it without this gateway between.
                    let _ = sender.send(Err(Broken::Cut)).await;
                } else {
                    let _ = sender.send(Ok(Bytes::from(refuse_stream(surface, how, &id)))).await;
                }
            }
        }
        open.close(status);
    }
}
