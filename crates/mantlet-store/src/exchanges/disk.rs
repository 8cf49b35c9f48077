//! A thread that waits for the disk, so that the writer of exchanges does not.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender, SyncSender};

use super::files::write_segment;
use super::pending::Filled;
use super::writer::Message;
use crate::StoreError;
use crate::error::io;

enum Job {
    Flush(File),
    /// The name of a new write-ahead: what is flushed in it is lost with its name.
    Name,
    Segment {
        id: String,
        rows: Arc<Filled>,
    },
}

/// The thread, as its writer sees it. The writer hands over one segment at a time, and asks [`Disk::is_free`] before it
/// flushes, so few jobs ever wait.
pub(super) struct Disk {
    jobs: Sender<Job>,
    open: Arc<AtomicUsize>,
}

impl Disk {
    /// Starts the thread; it ends with its writer. What became of a segment goes `back`.
    pub(super) fn start(folder: &Path, back: SyncSender<Message>) -> Result<Self, StoreError> {
        let (jobs, receiver) = mpsc::channel();
        let open = Arc::new(AtomicUsize::new(0));
        let (count, place) = (Arc::clone(&open), folder.to_owned());
        let thread = std::thread::Builder::new().name("history-disk".to_owned()).spawn(move || {
            for job in receiver {
                match job {
                    Job::Flush(file) => {
                        if let Err(fault) = file.sync_data() {
                            tracing::error!(%fault, "the write-ahead of exchanges could not be flushed to disk");
                        }
                    }
                    Job::Name => {
                        if let Err(fault) = crate::flush_folder(&place) {
                            tracing::error!(%fault, "the name of a write-ahead could not be flushed to disk");
                        }
                    }
                    Job::Segment { id, rows } => {
                        let written = write_segment(&place, &id, &rows);
                        drop(rows);
                        if back.send(Message::Written(written)).is_err() {
                            return;
                        }
                    }
                }
                count.fetch_sub(1, Ordering::Relaxed);
            }
        });
        thread.map_err(io("start the writer of", folder))?;
        Ok(Self { jobs, open })
    }

    /// Whether nothing waits.
    pub(super) fn is_free(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    pub(super) fn flush(&self, file: File) {
        self.hand(Job::Flush(file));
    }

    /// A write-ahead was begun; what is flushed in it later is found under its name.
    pub(super) fn name(&self) {
        self.hand(Job::Name);
    }

    pub(super) fn write(&self, id: String, rows: Arc<Filled>) {
        self.hand(Job::Segment { id, rows });
    }

    fn hand(&self, job: Job) {
        self.open.fetch_add(1, Ordering::Relaxed);
        let _ = self.jobs.send(job);
    }
}
