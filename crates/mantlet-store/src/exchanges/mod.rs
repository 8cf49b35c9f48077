//! The history of exchanges: Parquet segments, a write-ahead for what is not yet in one, the last few in memory.
//!
//! [`ExchangeRecorder::record`] never waits: it puts an exchange behind others on their way to the writer, as the row it
//! becomes, and when there is no room the exchange is dropped and counted ([`HistoryStatus::dropped`]). Rows travel as the
//! bytes that stand in the write-ahead: an exchange has a dozen texts, and memory that one thread allocates and another
//! frees costs both more than writing the row. The writer first appends rows to the write-ahead
//! file, so what a killed process can lose is what is on its way (milliseconds); the file is
//! flushed every [`HistoryOptions::sync_ms`], so a power cut loses at most that long. A segment is written when
//! rows, bytes or [`HistoryOptions::flush_ms`] say so: to a temporary name, flushed, then renamed; only then is
//! its write-ahead removed. Segment and write-ahead share an id, so nothing is ever counted twice.

mod disk;
mod files;
mod frames;
mod pending;
mod query;
mod store;
mod writer;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};

use mantlet_columns::{Fields, Redaction, Row};
use mantlet_guard::{Overloaded, Recorder};
use mantlet_vocab::{Exchange, Millis};
use tokio::sync::broadcast;

use crate::StoreError;
use crate::audit::blocking;
use frames::put_frame;
use pending::Pending;
pub use store::system_folder;
use writer::{Message, Writer};

/// How exchanges are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Exchanges that may wait for the writer.
    pub queue: usize,
    /// Rows of a segment at most.
    pub rows: usize,
    /// Bytes of features a segment holds at most, about.
    pub bytes: usize,
    /// Milliseconds after which a begun segment is written.
    pub flush_ms: u64,
    /// Milliseconds between flushes of the write-ahead to disk: what a power cut can cost.
    pub sync_ms: u64,
    /// Exchanges kept whole in memory for live views; with none, nobody who subscribed hears of exchanges either.
    pub recent: usize,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self { queue: 2048, rows: 4096, bytes: 4 << 20, flush_ms: 60_000, sync_ms: 1_000, recent: 500 }
    }
}

/// How the history is doing. `dropped` and `lost` belong on a screen: they are gaps in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryStatus {
    /// Exchanges taken.
    pub recorded: u64,
    /// Exchanges not taken because the queue was full or the store closed.
    pub dropped: u64,
    /// Rows given up because segments could not be written for long.
    pub lost: u64,
    /// Rows that were not protected against a kill because the write-ahead could not be written.
    pub unprotected: u64,
    /// Segments written.
    pub segments: u64,
    /// Rows put into a segment at opening, left by a killed process.
    pub recovered: u64,
    /// Write-ahead lines that were torn or damaged, at opening.
    pub torn: u64,
    /// Segments that failed to be written, the last reason being in the log.
    pub failures: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    recorded: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
    unprotected: AtomicU64,
    segments: AtomicU64,
    recovered: AtomicU64,
    torn: AtomicU64,
    failures: AtomicU64,
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

/// Messages to the writer that may wait. Rows have a way of their own.
const MESSAGES: usize = 64;

/// Bytes of rows on their way to the writer at most.
const WAY_BYTES: usize = 16 << 20;

/// Room for one row that is kept for the next.
const FRAME_BYTES: usize = 16 << 10;

/// Rows on their way to the writer.
#[derive(Default)]
struct Way {
    /// As they stand in the write-ahead.
    frames: Vec<u8>,
    rows: usize,
    /// The exchanges themselves, where the last ones are kept for live views.
    whole: Vec<Arc<Exchange>>,
    /// The writer takes no more.
    closed: bool,
}

/// What the writer shares with readers and recorders.
pub(crate) struct Shared {
    folder: PathBuf,
    /// Rows that may be on their way at once.
    most: usize,
    /// Whether the last exchanges are kept whole.
    keeps_whole: bool,
    /// What goes on record; everything where it is nothing.
    redaction: RwLock<Option<Arc<Redaction>>>,
    way: Mutex<Way>,
    counters: Counters,
    /// The last exchanges could not be taken or written.
    troubled: AtomicBool,
    /// Rows that are in no segment yet.
    pending: Mutex<Pending>,
    recent: Mutex<std::collections::VecDeque<Arc<Exchange>>>,
    live: broadcast::Sender<Arc<Exchange>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands exchanges to the history without waiting.
#[derive(Clone)]
pub struct ExchangeRecorder {
    sender: mpsc::SyncSender<Message>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for ExchangeRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExchangeRecorder")
    }
}

impl ExchangeRecorder {
    /// From now on this goes on record, and nothing else: into the write-ahead, segments and the live view.
    pub fn redact(&self, redaction: Redaction) {
        let own = (!redaction.is_none()).then(|| Arc::new(redaction));
        *self.shared.redaction.write().unwrap_or_else(PoisonError::into_inner) = own;
    }

    /// Takes one exchange that somebody else looks at too.
    ///
    /// # Errors
    /// When there is no room.
    pub fn record_shared(&self, exchange: Arc<Exchange>) -> Result<(), Overloaded> {
        thread_local! {
            static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let shared = &self.shared;
        let redaction = shared.redaction.read().unwrap_or_else(PoisonError::into_inner).clone();
        let exchange = match &redaction {
            Some(redaction) => Arc::new(redaction.exchange(&exchange)),
            None => exchange,
        };
        let taken = FRAME.with_borrow_mut(|frame| {
            frame.clear();
            let fields = redaction.as_ref().map(|redaction| redaction.fields(&exchange));
            put_frame(frame, &fields.unwrap_or_else(|| Fields::of(&exchange)));
            let taken = shared.take(frame, exchange);
            frame.shrink_to(FRAME_BYTES);
            taken
        });
        let Some(rows) = taken else {
            add(&shared.counters.dropped, 1);
            shared.troubled.store(true, Ordering::Relaxed);
            return Err(Overloaded);
        };
        add(&shared.counters.recorded, 1);
        if rows == 1 {
            // The writer has taken all before it. When it has no room for another message, it is about to look anyway.
            let _ = self.sender.try_send(Message::Rows);
        }
        Ok(())
    }
}

impl Shared {
    /// Puts a row on its way; how many then are, when there is room.
    fn take(&self, frame: &[u8], exchange: Arc<Exchange>) -> Option<usize> {
        let mut way = held(&self.way);
        // A row that is too long for a frame has none.
        let fits = !frame.is_empty() && way.rows < self.most && way.frames.len() + frame.len() <= WAY_BYTES;
        if way.closed || !fits {
            return None;
        }
        way.frames.extend_from_slice(frame);
        way.rows += 1;
        if self.keeps_whole {
            way.whole.push(exchange);
        }
        Some(way.rows)
    }
}

impl Recorder for ExchangeRecorder {
    fn record(&self, exchange: Exchange) -> Result<(), Overloaded> {
        self.record_shared(Arc::new(exchange))
    }

    fn keeps(&self) -> bool {
        !self.shared.troubled.load(Ordering::Relaxed)
    }
}

/// Which exchanges to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeFilter {
    /// Not before this.
    pub since: Millis,
    /// Not after this.
    pub until: Millis,
    /// Only of this system.
    pub system: Option<String>,
    /// Only of this caller.
    pub caller: Option<String>,
    /// Only these ids; empty for all.
    pub ids: Vec<String>,
    /// Only those that were not simply allowed.
    pub noticed: bool,
    /// At most this many, newest first.
    pub most: usize,
}

impl Default for ExchangeFilter {
    fn default() -> Self {
        Self {
            since: Millis(0),
            until: Millis(u64::MAX),
            system: None,
            caller: None,
            ids: Vec::new(),
            noticed: false,
            most: 1_000,
        }
    }
}

impl ExchangeFilter {
    /// Whether a row passes (the limit apart).
    #[must_use]
    pub fn admits(&self, row: &Row) -> bool {
        row.at >= self.since
            && row.at <= self.until
            && self.system.as_ref().is_none_or(|system| *system == row.system)
            && self.caller.as_ref().is_none_or(|caller| *caller == row.caller)
            && (self.ids.is_empty() || self.ids.contains(&row.id))
            && (!self.noticed || row.action != "allow" || row.proposed != "allow")
    }
}

/// The serving process's history.
pub(crate) struct History {
    recorder: ExchangeRecorder,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl History {
    /// Opens the folder; with `live`, whoever follows that history follows this one, too.
    pub(crate) async fn open(
        folder: &Path,
        options: &HistoryOptions,
        live: Option<broadcast::Sender<Arc<Exchange>>>,
    ) -> Result<Self, StoreError> {
        let (folder, options) = (folder.to_owned(), *options);
        blocking(move || {
            crate::make_folder(&folder)?;
            let shared = Arc::new(Shared {
                folder: folder.clone(),
                most: options.queue.max(1),
                keeps_whole: options.recent > 0,
                redaction: RwLock::default(),
                way: Mutex::default(),
                counters: Counters::default(),
                troubled: AtomicBool::new(false),
                pending: Mutex::default(),
                recent: Mutex::default(),
                live: live.unwrap_or_else(|| broadcast::Sender::new(options.recent.max(16))),
            });
            let recovered = files::recover(&folder)?;
            add(&shared.counters.recovered, recovered.rows);
            add(&shared.counters.torn, recovered.torn);
            let (sender, receiver) = mpsc::sync_channel(MESSAGES);
            let writer = Writer::new(shared.clone(), options, sender.clone())?;
            let thread = std::thread::Builder::new().name("history".to_owned());
            let thread = thread.spawn(move || writer.run(&receiver));
            let thread = thread.map_err(crate::error::io("start the writer of", &folder))?;
            Ok(Self { recorder: ExchangeRecorder { sender, shared }, thread: Mutex::new(Some(thread)) })
        })
        .await
    }

    pub(crate) fn recorder(&self) -> ExchangeRecorder {
        self.recorder.clone()
    }

    /// Where whoever follows it is told.
    pub(crate) fn live(&self) -> broadcast::Sender<Arc<Exchange>> {
        self.recorder.shared.live.clone()
    }

    async fn flush(&self) -> Result<(), StoreError> {
        let sender = self.recorder.sender.clone();
        blocking(move || {
            let (ack, answer) = mpsc::sync_channel(1);
            sender.send(Message::Flush(ack)).map_err(|_| StoreError::Closed)?;
            answer.recv().map_err(|_| StoreError::Closed)?
        })
        .await
    }

    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        let Some(thread) = held(&self.thread).take() else { return Ok(()) };
        let flushed = self.flush().await;
        let sender = self.recorder.sender.clone();
        blocking(move || {
            let _ = sender.send(Message::Close);
            thread.join().map_err(|_| StoreError::Closed)
        })
        .await?;
        flushed
    }
}
