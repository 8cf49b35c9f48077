//! The one thread that writes exchanges.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use mantlet_vocab::Exchange;

use super::disk::Disk;
use super::files::wal_path;
use super::frames::rows_of;
use super::{HistoryOptions, Shared, add, held};
use crate::StoreError;
use crate::error::io;

/// Bytes of values the exchanges kept for live views hold at most, about.
const RECENT_BYTES: usize = 1 << 20;

/// Room for rows on their way that is kept for the next ones.
const ROOM: usize = 512 << 10;

/// How long the writer lets exchanges gather once one has come: waking for each costs more than writing it.
const GATHER: Duration = Duration::from_millis(4);

/// How long to wait after a segment could not be written.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) enum Message {
    /// Rows are on their way.
    Rows,
    Flush(SyncSender<Result<(), StoreError>>),
    /// The segment handed over was written, or could not be.
    Written(Result<(), StoreError>),
    Close,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    options: HistoryOptions,
    id: String,
    wal: File,
    /// Rows just taken, as they stand in it.
    frames: Vec<u8>,
    unsynced: bool,
    synced: Instant,
    /// When the segment being filled got its first row.
    begun: Option<Instant>,
    bytes: usize,
    recent_bytes: usize,
    /// The id of the segment that is being written.
    writing: Option<String>,
    /// When writing it failed; it is tried again after a pause.
    failed: Option<Instant>,
    /// When no new write-ahead could be begun.
    stuck: Option<Instant>,
    disk: Disk,
    /// Who waits until everything is in a segment.
    waiting: Vec<SyncSender<Result<(), StoreError>>>,
}

fn fresh(shared: &Shared) -> Result<(String, File), StoreError> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let path = wal_path(&shared.folder, &id);
    let file = OpenOptions::new().create_new(true).append(true).open(&path).map_err(io("write", &path))?;
    Ok((id, file))
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: HistoryOptions,
        back: SyncSender<Message>,
    ) -> Result<Self, StoreError> {
        let (id, wal) = fresh(&shared)?;
        let disk = Disk::start(&shared.folder, back)?;
        disk.name();
        Ok(Self {
            shared,
            options,
            id,
            wal,
            frames: Vec::new(),
            unsynced: false,
            synced: Instant::now(),
            begun: None,
            bytes: 0,
            recent_bytes: 0,
            writing: None,
            failed: None,
            stuck: None,
            disk,
            waiting: Vec::new(),
        })
    }

    pub(super) fn run(mut self, queue: &Receiver<Message>) {
        let mut closing = false;
        loop {
            let mut next = match queue.recv_timeout(self.patience()) {
                Ok(message) => {
                    if matches!(message, Message::Rows) {
                        std::thread::sleep(GATHER);
                    }
                    Some(message)
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Message::Close),
            };
            let mut asked = false;
            while let Some(message) = next {
                match message {
                    Message::Rows => {}
                    Message::Flush(ack) => {
                        self.waiting.push(ack);
                        asked = true;
                    }
                    Message::Written(written) => self.written(written),
                    Message::Close => (closing, asked) = (true, true),
                }
                if closing {
                    break;
                }
                next = queue.try_recv().ok();
            }
            self.take(closing);
            self.sync();
            if (asked && self.failed.is_some()) || self.is_due_again() {
                self.write_again();
            } else if self.writing.is_none() && (self.is_due() || closing || !self.waiting.is_empty()) {
                self.hand_over();
            }
            if self.writing.is_none() {
                self.waiting.drain(..).for_each(|ack| drop(ack.send(Ok(()))));
            }
            if closing && (self.writing.is_none() || self.failed.is_some()) {
                return;
            }
        }
    }

    /// Until something has to be done without being asked.
    fn patience(&self) -> Duration {
        let flush = match self.failed {
            Some(failed) => Some(PAUSE.saturating_sub(failed.elapsed())),
            // One segment at a time: its end is a message.
            None if self.writing.is_some() => None,
            None => self
                .begun
                .map(|begun| Duration::from_millis(self.options.flush_ms).saturating_sub(begun.elapsed())),
        };
        let sync = self
            .unsynced
            .then(|| Duration::from_millis(self.options.sync_ms).saturating_sub(self.synced.elapsed()));
        let next = [flush, sync].into_iter().flatten().min().unwrap_or(Duration::from_secs(3600));
        next.max(Duration::from_millis(1))
    }

    fn is_due(&self) -> bool {
        let Some(begun) = self.begun else { return false };
        begun.elapsed() >= Duration::from_millis(self.options.flush_ms)
            || self.bytes >= self.options.bytes
            || held(&self.shared.pending).filling.len() >= self.options.rows
    }

    fn is_due_again(&self) -> bool {
        self.failed.is_some_and(|failed| failed.elapsed() >= PAUSE)
    }

    /// Takes the rows that are on their way: into the write-ahead first, then into memory where readers see them.
    fn take(&mut self, closing: bool) {
        let (rows, whole) = {
            let mut way = held(&self.shared.way);
            way.closed |= closing;
            std::mem::swap(&mut way.frames, &mut self.frames);
            (std::mem::take(&mut way.rows), std::mem::take(&mut way.whole))
        };
        if rows == 0 {
            return;
        }
        match self.wal.write_all(&self.frames) {
            Ok(()) => {
                self.unsynced = true;
                self.shared.troubled.store(self.failed.is_some(), Ordering::Relaxed);
            }
            Err(fault) => {
                add(&self.shared.counters.unprotected, rows);
                self.shared.troubled.store(true, Ordering::Relaxed);
                tracing::error!(%fault, rows, "the write-ahead of exchanges could not be written");
            }
        }
        self.begun.get_or_insert_with(Instant::now);
        let mut bytes = 0;
        let kept = {
            let filling = &mut held(&self.shared.pending).filling;
            rows_of(&self.frames).try_for_each(|row| {
                bytes += 400 + 4 * (row.features.len() + row.scores.len());
                filling.push(&row)
            })
        };
        self.bytes += bytes;
        self.frames.clear();
        self.frames.shrink_to(ROOM);
        if let Err(fault) = kept {
            self.complain(&fault.into());
        }
        self.give_up_the_oldest();
        let mut recent = held(&self.shared.recent);
        for exchange in whole {
            self.recent_bytes += weight(&exchange);
            recent.push_back(exchange.clone());
            let _ = self.shared.live.send(exchange);
            while recent.len() > self.options.recent || (self.recent_bytes > RECENT_BYTES && recent.len() > 1)
            {
                self.recent_bytes -= recent.pop_front().map_or(0, |oldest| weight(&oldest));
            }
        }
    }

    /// Flushes the write-ahead, unless that is still being done.
    fn sync(&mut self) {
        let due = self.synced.elapsed() >= Duration::from_millis(self.options.sync_ms);
        if self.unsynced && due && self.disk.is_free() {
            match self.wal.try_clone() {
                Ok(wal) => self.disk.flush(wal),
                Err(fault) => {
                    tracing::error!(%fault, "the write-ahead of exchanges could not be flushed to disk")
                }
            }
            self.unsynced = false;
            self.synced = Instant::now();
        }
    }

    /// Hands the rows over to be written, and begins the next segment with a write-ahead of its own.
    fn hand_over(&mut self) {
        let rests = self.stuck.is_some_and(|stuck| stuck.elapsed() < PAUSE) && self.waiting.is_empty();
        if rests || held(&self.shared.pending).filling.len() == 0 {
            return;
        }
        let (id, wal) = match fresh(&self.shared) {
            Ok(fresh) => fresh,
            // Nothing was handed over; the rows stay with the write-ahead they have.
            Err(fault) => {
                self.stuck = Some(Instant::now());
                return self.complain(&fault);
            }
        };
        let taken = {
            let mut pending = held(&self.shared.pending);
            pending.filling.take().map(|filled| {
                pending.writing = Arc::new(filled);
                Arc::clone(&pending.writing)
            })
        };
        let rows = match taken {
            Ok(rows) => rows,
            Err(fault) => return self.complain(&fault.into()),
        };
        self.disk.name();
        self.disk.flush(std::mem::replace(&mut self.wal, wal));
        let id = std::mem::replace(&mut self.id, id);
        (self.begun, self.bytes, self.unsynced) = (None, 0, false);
        self.writing = Some(id.clone());
        self.disk.write(id, rows);
    }

    /// The segment was written, or could not be; then its rows stay and are tried again.
    fn written(&mut self, written: Result<(), StoreError>) {
        match written {
            Ok(()) => {
                add(&self.shared.counters.segments, 1);
                self.shared.troubled.store(false, Ordering::Relaxed);
                held(&self.shared.pending).writing = Arc::default();
                if let Some(id) = self.writing.take() {
                    let _ = std::fs::remove_file(wal_path(&self.shared.folder, &id));
                }
                self.failed = None;
            }
            Err(fault) => {
                self.failed = Some(Instant::now());
                self.complain(&fault);
            }
        }
    }

    fn complain(&mut self, fault: &StoreError) {
        add(&self.shared.counters.failures, 1);
        self.shared.troubled.store(true, Ordering::Relaxed);
        tracing::error!(%fault, "a segment of exchanges could not be written; its rows are kept and tried again");
        self.waiting.drain(..).for_each(|ack| drop(ack.send(Err(fault.again()))));
    }

    fn write_again(&mut self) {
        if let Some(id) = &self.writing
            && self.failed.take().is_some()
        {
            self.disk.write(id.clone(), Arc::clone(&held(&self.shared.pending).writing));
        }
    }

    /// While segments cannot be written, four segments' worth of rows are kept; then the oldest are given up in memory.
    /// Those whose write-ahead is on disk come back when the store is opened again.
    fn give_up_the_oldest(&mut self) {
        let mut pending = held(&self.shared.pending);
        let most = self.options.rows.saturating_mul(4);
        let over = pending.filling.len().saturating_sub(most);
        if over > 0 || self.bytes > self.options.bytes.saturating_mul(4) {
            let given = pending.filling.give_up(over);
            drop(pending);
            match given {
                Ok((gone, all)) => {
                    self.bytes -= self.bytes / all.max(1) * gone;
                    add(&self.shared.counters.lost, gone);
                }
                Err(fault) => self.complain(&fault.into()),
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        held(&self.shared.way).closed = true;
        // An empty write-ahead says nothing.
        if held(&self.shared.pending).filling.len() == 0 {
            let _ = std::fs::remove_file(wal_path(&self.shared.folder, &self.id));
        }
    }
}

/// About how many bytes an exchange holds.
fn weight(exchange: &Exchange) -> usize {
    let inputs = exchange.request.inputs.iter();
    let outputs = exchange.reply.iter().flat_map(|reply| &reply.outputs);
    let values: usize = inputs.chain(outputs).map(|v| v.value.shape().iter().product::<usize>()).sum();
    let texts: usize = exchange.request.pieces.iter().map(|piece| piece.text.len()).sum();
    1024 + values.saturating_mul(8) + texts
}
