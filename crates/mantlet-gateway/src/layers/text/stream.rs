//! A reply on its way: each event is read, looked at and released in order, as soon as everything in it is settled.
//!
//! The task holds the upstream's connection: when the client goes away it ends at once, and with it the upstream's
//! work.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use mantlet_guard::shared::tokens_of;
use mantlet_guard::{Inspection, ReplyWatch, Verdict};
use mantlet_vocab::{Mode, OnFailure};
use mantlet_wire::text::{Frame, StreamReader, Surface, Usage, refuse_stream};
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
    let answer = open.begun(status, &headers, Body::Written(receiver));
    let pump = Pump {
        reader: StreamReader::new(surface, {
            let live = open.live();
            mantlet_wire::Limits { bytes: live.config.max_reply, ..live.limits }
        }),
        watch: open.route().route.guard.watch(&inspection),
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

struct Pump {
    reader: StreamReader,
    watch: ReplyWatch,
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
        let Self { watch, usage, tokens, mut open, surface, sender, .. } = self;
        watch.conclude(inspection);
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
                let _ = sender.send(Ok(Bytes::from(refuse_stream(surface, reason, &id)))).await;
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
