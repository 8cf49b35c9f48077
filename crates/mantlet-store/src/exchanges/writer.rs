//! The one thread that writes exchanges.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use mantlet_columns::Row;
use mantlet_vocab::Exchange;

use super::files::{put_frame, wal_path, write_segment};
use super::{HistoryOptions, Shared, add, held};
use crate::StoreError;
use crate::error::io;

/// Exchanges taken from the queue at once.
const GROUP: usize = 1024;

/// Bytes of values the exchanges kept for live views hold at most, about.
const RECENT_BYTES: usize = 32 << 20;

/// How long the writer lets exchanges gather once one has come: waking for each costs more than writing it.
const GATHER: Duration = Duration::from_millis(4);

/// How long to wait after a segment could not be written.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) enum Message {
    Exchange(Box<Exchange>),
    Flush(SyncSender<Result<(), StoreError>>),
    Close,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    options: HistoryOptions,
    id: String,
    wal: File,
    unsynced: bool,
    synced: Instant,
    /// When the segment being filled got its first row.
    begun: Option<Instant>,
    bytes: usize,
    recent_bytes: usize,
    failed: Option<Instant>,
}

fn fresh(shared: &Shared) -> Result<(String, File), StoreError> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let path = wal_path(&shared.folder, &id);
    let file = OpenOptions::new().create_new(true).append(true).open(&path).map_err(io("write", &path))?;
    Ok((id, file))
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, options: HistoryOptions) -> Result<Self, StoreError> {
        let (id, wal) = fresh(&shared)?;
        Ok(Self {
            shared,
            options,
            id,
            wal,
            unsynced: false,
            synced: Instant::now(),
            begun: None,
            bytes: 0,
            recent_bytes: 0,
            failed: None,
        })
    }

    pub(super) fn run(mut self, queue: &Receiver<Message>) {
        loop {
            let mut group = Vec::new();
            let mut flushes = Vec::new();
            let mut closing = false;
            let mut next = match queue.recv_timeout(self.patience()) {
                Ok(message) => {
                    if matches!(message, Message::Exchange(_)) {
                        std::thread::sleep(GATHER);
                    }
                    Some(message)
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Message::Close),
            };
            while let Some(message) = next {
                match message {
                    Message::Exchange(exchange) => group.push(*exchange),
                    Message::Flush(ack) => flushes.push(ack),
                    Message::Close => closing = true,
                }
                if closing || group.len() >= GROUP {
                    break;
                }
                next = queue.try_recv().ok();
            }
            if !group.is_empty() {
                self.take(group);
            }
            self.sync();
            let due = self.is_due();
            let flushed = if due || closing || !flushes.is_empty() { self.flush() } else { Ok(()) };
            if let Err(fault) = &flushed {
                tracing::error!(%fault, "a segment of exchanges could not be written; its rows are kept and tried again");
            }
            for ack in flushes {
                let _ = ack.send(match &flushed {
                    Ok(()) => Ok(()),
                    Err(fault) => Err(fault.again()),
                });
            }
            if closing {
                return;
            }
        }
    }

    /// Until something has to be done without being asked.
    fn patience(&self) -> Duration {
        let flush = match self.failed {
            Some(failed) => Some(PAUSE.saturating_sub(failed.elapsed())),
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
        if let Some(failed) = self.failed {
            return failed.elapsed() >= PAUSE;
        }
        begun.elapsed() >= Duration::from_millis(self.options.flush_ms)
            || self.bytes >= self.options.bytes
            || held(&self.shared.pending).len() >= self.options.rows
    }

    /// Rows into the write-ahead first, then into memory where readers see them.
    fn take(&mut self, group: Vec<Exchange>) {
        let rows: Vec<Row> = group.iter().map(Row::of).collect();
        let mut lines = Vec::new();
        for row in &rows {
            put_frame(&mut lines, row);
            self.bytes += 400 + 4 * (row.features.len() + row.scores.len());
        }
        match self.wal.write_all(&lines) {
            Ok(()) => self.unsynced = true,
            Err(fault) => {
                add(&self.shared.counters.unprotected, rows.len());
                tracing::error!(%fault, rows = rows.len(), "the write-ahead of exchanges could not be written");
            }
        }
        self.begun.get_or_insert_with(Instant::now);
        Arc::make_mut(&mut held(&self.shared.pending)).extend(rows);
        let mut recent = held(&self.shared.recent);
        for exchange in group.into_iter().map(Arc::new) {
            self.recent_bytes += weight(&exchange);
            recent.push_back(exchange.clone());
            let _ = self.shared.live.send(exchange);
            while recent.len() > self.options.recent || (self.recent_bytes > RECENT_BYTES && recent.len() > 1)
            {
                self.recent_bytes -= recent.pop_front().map_or(0, |oldest| weight(&oldest));
            }
        }
    }

    fn sync(&mut self) {
        let due = self.synced.elapsed() >= Duration::from_millis(self.options.sync_ms);
        if self.unsynced && due {
            if let Err(fault) = self.wal.sync_data() {
                tracing::error!(%fault, "the write-ahead of exchanges could not be flushed to disk");
            }
            self.unsynced = false;
            self.synced = Instant::now();
        }
    }

    /// Writes the segment and begins the next. When that fails the rows stay, up to four segments' worth; then
    /// the oldest are given up and counted.
    fn flush(&mut self) -> Result<(), StoreError> {
        // Only this thread adds and removes rows, so what is written here is what is removed below.
        let rows = Arc::clone(&held(&self.shared.pending));
        if rows.is_empty() {
            return Ok(());
        }
        let done = write_segment(&self.shared.folder, &self.id, &rows);
        drop(rows);
        if let Err(fault) = done {
            add(&self.shared.counters.failures, 1);
            self.failed = Some(Instant::now());
            let mut pending = held(&self.shared.pending);
            let pending = Arc::make_mut(&mut pending);
            let over = pending.len().saturating_sub(self.options.rows.saturating_mul(4));
            if over > 0 || self.bytes > self.options.bytes.saturating_mul(4) {
                let over = over.max(pending.len() / 4);
                pending.drain(..over);
                self.bytes = self.bytes / 4 * 3;
                add(&self.shared.counters.lost, over);
            }
            return Err(fault);
        }
        add(&self.shared.counters.segments, 1);
        *held(&self.shared.pending) = Arc::default();
        let old = wal_path(&self.shared.folder, &self.id);
        (self.begun, self.bytes, self.failed, self.unsynced) = (None, 0, None, false);
        let (id, wal) = fresh(&self.shared)?;
        (self.id, self.wal) = (id, wal);
        let _ = std::fs::remove_file(old);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // An empty write-ahead says nothing.
        if held(&self.shared.pending).is_empty() {
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
