//! One folder that keeps state, exchange history and the audit log.
//!
//! ```text
//! <folder>/state.db          systems, versions, incidents, reviews, people, keys (SQLite, WAL, synchronous=FULL)
//! <folder>/exchanges/        Parquet segments and the write-ahead of the rows not yet in one
//! <folder>/systems/NAME/exchanges/   the same of a further system
//! <folder>/audit/            C2SP tlog-tiles: entries, hashes, signed checkpoint; the log's key (mode 0600)
//! <folder>/reviews.journal   diverted decisions that were ticketed and are not yet in state.db
//! <folder>/service.lock      held by the one process that serves from here
//! ```
//!
//! With [`Options::database`] several replicas share one PostgreSQL: state stands there instead of `state.db`, and the
//! audit log too, of which each folder holds a copy with the same key. History, the journal and what is not yet in
//! the database stay in each replica's own folder.
//!
//! What survives what is said where it is kept: [`AuditLog`] and [`ExchangeRecorder`]. State is durable when a
//! method returns. Changes of state that matter are written to the audit log before they take effect; when
//! the process dies in between, the log holds an intention that was not carried out, never the reverse.

mod audit;
mod batches;
mod clock;
mod database;
mod error;
mod exchanges;
mod incidents;
mod people;
mod records;
mod registry;
mod reports;
mod reviews;
mod stamp;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use audit::{AuditEntry, AuditLog, AuditReport, NewEntry, Recovery, verify_audit};
pub use batches::{Ledgers, Seen, batch_digest};
pub use clock::{Clock, FixedClock, SystemClock};
pub use error::{AuditError, StoreError};
pub use exchanges::{ExchangeFilter, ExchangeRecorder, HistoryOptions, HistoryStatus, system_folder};
pub use records::{Record, RecordKind};
pub use reports::{REPORTS, Report};
pub use reviews::{
    AtDeadline, DEADLINE, Review, ReviewDecision, ReviewDesk, ReviewFilter, ReviewState, ReviewTerms,
};
pub use stamp::Stamp;

use database::Database;
use exchanges::History;

/// Entries after which the audit log's head is kept in the database again.
const ANCHOR_EVERY: u64 = 32;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether this process serves: it then holds the folder alone, records exchanges and files reviews. A
    /// tool (`false`) may open the same folder meanwhile to read and to change state.
    pub serve: bool,
    /// The audit log's name, of a new log only: no spaces and no `+`.
    pub origin: String,
    /// How exchanges are kept.
    pub history: HistoryOptions,
    /// Diverted decisions that may wait for a person at most; beyond that requests are refused.
    pub reviews_most: usize,
    /// How long to wait for another process that is writing.
    pub patience: Duration,
    /// The database that replicas share, `postgres://user:password@host/name`; `None` keeps state in the folder.
    pub database: Option<String>,
    /// Further systems whose exchanges this process records, each into a folder of its own.
    pub further: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            serve: false,
            origin: "mantlet.invalid/audit".to_owned(),
            history: HistoryOptions::default(),
            reviews_most: 10_000,
            patience: Duration::from_secs(5),
            database: None,
            further: Vec::new(),
        }
    }
}

/// The store. Clones share one folder.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    database: Database,
    audit: AuditLog,
    history: Option<History>,
    /// Histories of further systems, by their names.
    further: std::collections::BTreeMap<String, History>,
    desk: ReviewDesk,
    /// The size of the audit log whose head the database keeps.
    anchored: AtomicU64,
    /// Held while this process serves; the operating system frees it when the process dies.
    _service: Option<std::fs::File>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("folder", &self.inner.folder).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the folder, making what is missing, and recovers what a killed process left behind.
    ///
    /// # Errors
    /// When another process serves from it, it cannot be written, its database is damaged, or its audit log
    /// is not what was signed.
    pub async fn open(folder: &Path, clock: Arc<dyn Clock>, options: Options) -> Result<Self, StoreError> {
        make_folder(folder)?;
        let service = if options.serve { Some(hold(&folder.join("service.lock"), folder)?) } else { None };
        let database = match &options.database {
            Some(url) => Database::connect(url, options.patience).await?,
            None => Database::open(&folder.join("state.db"), options.patience).await?,
        };
        let shared = database.is_shared().then_some(&database);
        let path = folder.join("audit");
        let audit =
            AuditLog::open_shared(&path, &options.origin, clock.clone(), options.patience, shared).await?;
        if shared.is_none() {
            // A log that replicas share stands in that database itself, and is compared with each one's copy.
            audit.check_anchor(database.anchor().await?).await?;
        }
        let history = if options.serve {
            Some(History::open(&folder.join("exchanges"), &options.history, None).await?)
        } else {
            None
        };
        let mut further = std::collections::BTreeMap::new();
        if let Some(first) = &history {
            for system in &options.further {
                let own = system_folder(folder, system).join("exchanges");
                let live = Some(first.live());
                further.insert(system.clone(), History::open(&own, &options.history, live).await?);
            }
        }
        let desk = ReviewDesk::open(folder, &database, clock.clone(), audit.clone(), &options).await?;
        let inner = Inner {
            folder: folder.to_owned(),
            clock,
            database,
            audit,
            history,
            further,
            desk,
            anchored: AtomicU64::new(0),
            _service: service,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether replicas share the state.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.inner.database.is_shared()
    }

    /// How the database's files look now; `None` for a database that replicas share. Take it before reading what is to be
    /// read again only when it changes.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        let file = self.inner.folder.join("state.db");
        (!self.is_shared()).then(|| Stamp::of(&file, std::time::SystemTime::now()))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// A secret for one purpose that every replica of this installation has: derived from the audit log's key.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn derived_key(&self, purpose: &str) -> Result<[u8; 32], StoreError> {
        Ok(audit::read_key(&self.inner.folder.join("audit").join("log.key"))?.derive(purpose))
    }

    /// The present instant, by the clock it was opened with.
    #[must_use]
    pub fn now(&self) -> mantlet_vocab::Millis {
        self.inner.clock.now()
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> &AuditLog {
        &self.inner.audit
    }

    /// Where the gateway hands over finished exchanges; `None` when the store was not opened to serve.
    #[must_use]
    pub fn recorder(&self) -> Option<ExchangeRecorder> {
        self.inner.history.as_ref().map(History::recorder)
    }

    /// Where the gateway files diverted decisions, without waiting.
    #[must_use]
    pub fn desk(&self) -> &ReviewDesk {
        &self.inner.desk
    }

    /// Writes what is buffered (exchanges, reviews, the audit anchor) and stops the writers. Further calls on
    /// any clone answer [`StoreError::Closed`] or count as dropped.
    ///
    /// # Errors
    /// When something could not be written.
    pub async fn close(&self) -> Result<(), StoreError> {
        let mut history = Ok(());
        for own in self.inner.history.iter().chain(self.inner.further.values()) {
            history = history.and(own.close().await);
        }
        let desk = self.inner.desk.close().await;
        let anchored = self.keep_anchor().await;
        self.inner.audit.close().await;
        self.inner.database.close().await;
        history.and(desk).and(anchored)
    }

    async fn keep_anchor(&self) -> Result<(), StoreError> {
        if self.inner.database.is_shared() {
            return Ok(());
        }
        let (size, root) = self.inner.audit.head().await?;
        self.inner.database.keep_anchor(size, root).await
    }

    /// Appends to the audit log. Every so often its head is kept in the database too, on the side: the caller
    /// may be inside a transaction.
    pub(crate) async fn note(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        detail: serde_json::Value,
    ) -> Result<u64, StoreError> {
        let index = self.inner.audit.append(NewEntry::new(actor, action, subject, detail)).await?;
        let anchored = self.inner.anchored.load(Ordering::Relaxed);
        if index >= anchored + ANCHOR_EVERY {
            self.inner.anchored.store(index, Ordering::Relaxed);
            let store = self.clone();
            tokio::spawn(async move {
                if let Err(fault) = store.keep_anchor().await {
                    tracing::warn!(%fault, "the audit log's head could not be kept in the database");
                }
            });
        }
        Ok(index)
    }
}

/// Makes a folder that only its owner may enter.
fn make_folder(path: &Path) -> Result<(), StoreError> {
    let missing: Vec<&Path> = path
        .ancestors()
        .filter(|folder| !folder.as_os_str().is_empty())
        .take_while(|f| !f.exists())
        .collect();
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(error::io("make", path))?;
    // What is flushed in a folder is lost with the folder's own name.
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        flush_folder(parent)?;
    }
    Ok(())
}

/// Flushes a folder, so that the names in it survive a power cut.
pub(crate) fn flush_folder(folder: &Path) -> Result<(), StoreError> {
    std::fs::File::open(folder).and_then(|open| open.sync_all()).map_err(error::io("flush", folder))
}

/// Takes the lock that says this process serves from the folder.
fn hold(path: &Path, folder: &Path) -> Result<std::fs::File, StoreError> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(error::io("write", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse { path: folder.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(error::io("lock", path)(source)),
    }
}

/// Fresh randomness.
pub(crate) fn entropy<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|fault| StoreError::Entropy(fault.to_string()))?;
    Ok(bytes)
}
