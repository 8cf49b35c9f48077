//! The audit log: an append-only Merkle log in C2SP tlog-tiles, with a signed checkpoint.
//!
//! An entry is acknowledged when its bundle, its tiles and the signed checkpoint that covers them were flushed
//! to disk; entries that arrive together share the flushes. Files are written under names the old checkpoint
//! does not reach and the checkpoint is renamed into place last, so a process killed at any byte leaves the
//! old log whole; what lies beyond it was never acknowledged and is removed at the next start.
//!
//! The checkpoint is signed with the key in `log.key`. Whoever can read that file can rewrite the log: keep an
//! earlier checkpoint (`mantlet audit verify` prints it) elsewhere, and verification tells.

mod clean;
mod disk;
mod edge;
mod read;
#[cfg(test)]
mod tests;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mantlet_seal::log::{Checkpoint, Hash, LogKey, LogVerifier, inclusion};
use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::database::Database;
use crate::error::AuditError;
use crate::{Clock, StoreError};
use disk::{Disk, ENTRY_BYTES};
pub use verify::{AuditReport, verify_audit};

/// Entries that wait for the writer at most; further appends wait for room.
const WAITING: usize = 1024;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    /// Who: a person, a key id, or `mantlet`.
    pub actor: String,
    /// What was done, kebab-case, in the past: `version-serving`, `key-revoked`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// Anything else; never secrets.
    pub detail: Value,
}

impl NewEntry {
    /// An entry.
    #[must_use]
    pub fn new(actor: &str, action: &str, subject: &str, detail: Value) -> Self {
        Self { actor: actor.to_owned(), action: action.to_owned(), subject: subject.to_owned(), detail }
    }
}

/// An entry as kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place in the log, from 0. Not part of the signed bytes, which the place is proven for.
    #[serde(skip)]
    pub index: u64,
    /// When.
    pub at: Millis,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// What was found at opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Whether the log is new.
    pub created: bool,
    /// Whole entries beyond the signed head, which were never acknowledged and were removed.
    pub unacknowledged: u64,
    /// Files beyond the signed head that were removed.
    pub removed_files: u64,
}

type Ack = oneshot::Sender<Result<u64, StoreError>>;

/// What the writer is asked for.
enum Job {
    Append(Vec<u8>, Ack),
    /// Bring the folder up to what the replicas agree on.
    Refresh(oneshot::Sender<Result<(), StoreError>>),
}

/// The log. Clones share one writer.
#[derive(Clone)]
pub struct AuditLog {
    folder: PathBuf,
    verifier: LogVerifier,
    recovery: Recovery,
    clock: Arc<dyn Clock>,
    writer: Arc<Mutex<Option<Writer>>>,
    shared: bool,
}

struct Writer {
    sender: mpsc::Sender<Job>,
    thread: std::thread::JoinHandle<()>,
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl AuditLog {
    /// Opens a log or makes one, and removes what was never acknowledged.
    ///
    /// # Errors
    /// When the folder cannot be written, the log is not what was signed, or the key is not acceptable.
    pub async fn open(folder: &Path, origin: &str, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_patiently(folder, origin, clock, Duration::from_secs(5)).await
    }

    /// As [`Self::open`], waiting this long for another process that is writing, now and at each append.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_patiently(
        folder: &Path,
        origin: &str,
        clock: Arc<dyn Clock>,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        Self::open_shared(folder, origin, clock, patience, None).await
    }

    /// As [`Self::open_patiently`]; in a database that replicas share, the folder becomes a copy of their log.
    pub(crate) async fn open_shared(
        folder: &Path,
        origin: &str,
        clock: Arc<dyn Clock>,
        patience: Duration,
        database: Option<&Database>,
    ) -> Result<Self, StoreError> {
        let (path, origin) = (folder.to_owned(), origin.to_owned());
        if let Some(database) = database
            && disk::lacks_key(folder, database).await?
        {
            return Err(AuditError::OtherKey { path }.into());
        }
        let entropy = crate::entropy()?;
        let shared = database.map(|database| disk::Shared {
            database: database.clone(),
            runtime: tokio::runtime::Handle::current(),
        });
        let opened = blocking(move || {
            let (mut disk, recovery) = Disk::open(&path, &origin, &entropy, patience)?;
            if let Some(shared) = shared {
                disk.join(shared)?;
            }
            Ok((disk, recovery))
        });
        let (mut disk, recovery) = opened.await?;
        if recovery.removed_files > 0 {
            tracing::warn!(
                entries = recovery.unacknowledged,
                files = recovery.removed_files,
                "the audit log was cut back to its signed head; what was removed was never acknowledged"
            );
        }
        let verifier = disk.verifier().clone();
        let (sender, mut receiver) = mpsc::channel::<Job>(WAITING);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            while let Some(first) = receiver.blocking_recv() {
                let (mut entries, mut acks, mut readers) = (Vec::new(), Vec::new(), Vec::new());
                let mut next = Some(first);
                while let Some(job) = next {
                    match job {
                        Job::Append(entry, ack) => {
                            entries.push(entry);
                            acks.push(ack);
                        }
                        Job::Refresh(ack) => readers.push(ack),
                    }
                    next = if entries.len() < WAITING { receiver.try_recv().ok() } else { None };
                }
                if !entries.is_empty() {
                    match disk.append(&entries) {
                        Ok(first) => acks.into_iter().zip(first..).for_each(|(ack, index)| {
                            let _ = ack.send(Ok(index));
                        }),
                        Err(fault) => refuse(acks, &fault),
                    }
                }
                if !readers.is_empty() {
                    let refreshed = disk.refresh();
                    for reader in readers {
                        let _ = reader.send(match &refreshed {
                            Ok(()) => Ok(()),
                            Err(fault) => Err(fault.again()),
                        });
                    }
                }
            }
        });
        let thread = thread.map_err(crate::error::io("start the writer of", folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            verifier,
            recovery,
            clock,
            writer: Arc::new(Mutex::new(Some(Writer { sender, thread }))),
            shared: database.is_some(),
        })
    }

    /// Appends an entry; its index comes back after it was flushed to disk and signed over. A detail that does
    /// not fit is replaced by its length and digest.
    ///
    /// # Errors
    /// When the disk is full or read-only, the log is not what was signed, or the store was closed. The entry
    /// is then not in the log.
    pub async fn append(&self, entry: NewEntry) -> Result<u64, StoreError> {
        let bytes = encode(entry, self.clock.now())?;
        let (ack, answer) = oneshot::channel();
        let sender = self.writer().as_ref().map(|writer| writer.sender.clone()).ok_or(StoreError::Closed)?;
        sender.send(Job::Append(bytes, ack)).await.map_err(|_| StoreError::Closed)?;
        drop(sender);
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Fetches what other replicas appended, where they share a log.
    async fn refresh(&self) -> Result<(), StoreError> {
        if !self.shared {
            return Ok(());
        }
        let (ack, answer) = oneshot::channel();
        let sender = self.writer().as_ref().map(|writer| writer.sender.clone()).ok_or(StoreError::Closed)?;
        sender.send(Job::Refresh(ack)).await.map_err(|_| StoreError::Closed)?;
        drop(sender);
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// What was found at opening.
    #[must_use]
    pub const fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// The key to verify checkpoints with; keep its text outside the folder.
    #[must_use]
    pub const fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// The signed checkpoint as it is on disk now, a C2SP signed note.
    ///
    /// # Errors
    /// When it cannot be read or does not verify.
    pub async fn checkpoint(&self) -> Result<(Checkpoint, String), StoreError> {
        self.refresh().await?;
        let (folder, verifier) = (self.folder.clone(), self.verifier.clone());
        blocking(move || read::read_checkpoint(&folder, &verifier)).await
    }

    /// Size and root of the log.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub async fn head(&self) -> Result<(u64, Hash), StoreError> {
        let (checkpoint, _) = self.checkpoint().await?;
        Ok((checkpoint.size, checkpoint.root))
    }

    /// The last `most` entries, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn tail(&self, most: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let (size, _) = self.head().await?;
        self.entries(size.saturating_sub(most as u64), most).await
    }

    /// Entries from `first` on, at most `most`, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn entries(&self, first: u64, most: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.refresh().await?;
        let (folder, verifier) = (self.folder.clone(), self.verifier.clone());
        blocking(move || read::read_entries(&folder, &verifier, first, most)).await
    }

    /// The audit path of an entry to the present root, with the checkpoint it leads to.
    ///
    /// # Errors
    /// When there is no such entry or a tile cannot be read.
    pub async fn prove(&self, index: u64) -> Result<(Vec<Hash>, String), StoreError> {
        let (checkpoint, note) = self.checkpoint().await?;
        let folder = self.folder.clone();
        blocking(move || {
            let tiles = read::Tiles::new(&folder, checkpoint.size);
            let path = inclusion(&tiles, index, checkpoint.size);
            Ok((path.map_err(|source| AuditError::Checkpoint { source })?, note))
        })
        .await
    }

    /// Recomputes everything from the entries and compares it with tiles and checkpoint; `since` is a head
    /// that was seen earlier.
    ///
    /// # Errors
    /// Names the first bad entry, or what else is wrong.
    pub async fn verify(&self, since: Option<Checkpoint>) -> Result<AuditReport, StoreError> {
        self.refresh().await?;
        let (folder, verifier) = (self.folder.clone(), self.verifier.clone());
        blocking(move || verify_audit(&folder, Some(&verifier), since.as_ref())).await
    }

    /// Compares the head with one kept elsewhere: the log may only have grown.
    pub(crate) async fn check_anchor(&self, anchor: Option<(u64, String)>) -> Result<(), StoreError> {
        let Some((known, root)) = anchor.filter(|(known, _)| *known > 0) else { return Ok(()) };
        let (checkpoint, _) = self.checkpoint().await?;
        if checkpoint.size < known {
            return Err(AuditError::Older { found: checkpoint.size, known }.into());
        }
        let folder = self.folder.clone();
        let found = blocking(move || {
            let tiles = read::Tiles::new(&folder, checkpoint.size);
            mantlet_seal::log::root(&tiles, known).map_err(|source| AuditError::Checkpoint { source }.into())
        });
        let found: String = found.await?.iter().map(|byte| format!("{byte:02x}")).collect();
        if found == root { Ok(()) } else { Err(AuditError::Forked { known }.into()) }
    }

    /// Stops the writer after what was handed over is on disk. Other clones then answer `Closed`.
    pub(crate) async fn close(&self) {
        let Some(Writer { sender, thread }) = self.writer().take() else { return };
        drop(sender);
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells everyone of a group the same.
fn refuse(acks: Vec<Ack>, fault: &StoreError) {
    for ack in acks {
        let _ = ack.send(Err(fault.again()));
    }
}

fn encode(entry: NewEntry, at: Millis) -> Result<Vec<u8>, StoreError> {
    let NewEntry { actor, action, subject, detail } = entry;
    let mut kept = AuditEntry { index: 0, at, actor, action, subject, detail };
    let mut bytes = to_bytes(&kept)?;
    if bytes.len() > ENTRY_BYTES {
        let detail = to_bytes(&kept.detail)?;
        kept.detail = json!({
            "left_out_bytes": detail.len(),
            "digest": mantlet_vocab::Digest::of(&detail),
        });
        bytes = to_bytes(&kept)?;
    }
    if bytes.len() > ENTRY_BYTES {
        return Err(AuditError::TooLong { len: bytes.len(), most: ENTRY_BYTES }.into());
    }
    Ok(bytes)
}

fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value)
        .map_err(|fault| StoreError::Record { table: "audit", reason: fault.to_string() })
}

/// Runs file work off the reactor.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)?
}

/// Reads the log's signing key.
pub(crate) fn read_key(path: &Path) -> Result<LogKey, StoreError> {
    let fault = |reason: String| AuditError::Key { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|wrong| fault(wrong.to_string()))?;
    LogKey::from_text(&text).map_err(|wrong| fault(wrong.to_string()).into())
}
