//! What can go wrong with the folder, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use mantlet_columns::ColumnsError;
use mantlet_seal::log::LogError;

use crate::database::Kind;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused for another reason than those below.
    #[error("cannot {verb} {path}: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder that is no batch.
    #[error("{path} cannot be part of a batch: {why}")]
    Folder {
        /// What in it.
        path: PathBuf,
        /// Why, and what would do.
        why: String,
    },
    /// No space is left.
    #[error("the disk that holds {path} is full; free some space, nothing was changed")]
    Full {
        /// Where.
        path: PathBuf,
    },
    /// The folder cannot be written.
    #[error("{path} cannot be written; give the user that runs mantlet the right to write there")]
    ReadOnly {
        /// Where.
        path: PathBuf,
    },
    /// Another process serves from this folder.
    #[error("{path} is in use by another mantlet; stop it first, or name another folder")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes and does not come to an end.
    #[error("{path} is locked by another process for too long; try again")]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// The database is damaged.
    #[error("{path} is damaged ({reason}); restore it from a backup, then run `mantlet audit verify`")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What the database says.
        reason: String,
    },
    /// The database was written by a later version.
    #[error("{path} has schema {found}, this mantlet knows up to {known}; use the later mantlet")]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The database server's address is none.
    #[error("`database` is no address such as postgres://user@host/name: {0}")]
    Address(String),
    /// The database server cannot be reached.
    #[error("the database {path} cannot be reached ({reason}); is it running, and may this machine connect?")]
    Unreachable {
        /// Server and database.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another database fault.
    #[error("the state database could not {verb}: {reason}")]
    Database {
        /// What was tried.
        verb: &'static str,
        /// What the database says.
        reason: String,
    },
    /// A kept record does not read back.
    #[error(
        "a record in {table} is not readable ({reason}); it was written by another version or changed by hand"
    )]
    Record {
        /// The table.
        table: &'static str,
        /// Why.
        reason: String,
    },
    /// Nothing by this name.
    #[error("there is no {what} `{name}`")]
    Missing {
        /// A kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It is not in a state that allows this.
    #[error("{what} `{name}` is {state} already")]
    Settled {
        /// A kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its state.
        state: &'static str,
    },
    /// The audit log is not whole.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// History could not be written or read.
    #[error(transparent)]
    Columns(#[from] ColumnsError),
    /// No entropy.
    #[error("the operating system gives no randomness: {0}")]
    Entropy(String),
    /// The store was closed.
    #[error("the store was closed")]
    Closed,
    /// A batch of training data may not be treated like this.
    #[error(transparent)]
    Batch(#[from] mantlet_registry::batch::BatchError),
    /// A file of a batch cannot be read.
    #[error(transparent)]
    BatchFile(#[from] mantlet_registry::DiskError),
}

impl StoreError {
    /// The same fault for another waiter of the same group.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Full { path } => Self::Full { path: path.clone() },
            Self::ReadOnly { path } => Self::ReadOnly { path: path.clone() },
            Self::Locked { path } => Self::Locked { path: path.clone() },
            Self::Audit(fault) => Self::Audit(fault.clone()),
            Self::Io { verb, path, source } => {
                let source = io::Error::new(source.kind(), source.to_string());
                Self::Io { verb, path: path.clone(), source }
            }
            other => Self::Database { verb: "append to the audit log", reason: other.to_string() },
        }
    }
}

/// What is wrong with an audit log. The first bad entry is named where it can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The signed head is missing or not acceptable.
    #[error("the audit log's checkpoint is not acceptable: {source}")]
    Checkpoint {
        /// Why.
        source: LogError,
    },
    /// The signed head is gone though entries are there.
    #[error("the audit log has entries but no checkpoint; it was removed")]
    NoCheckpoint,
    /// The log's key is missing or not acceptable.
    #[error("the audit log's key {path} is not acceptable: {reason}")]
    Key {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The replicas' log is signed with another key.
    #[error(
        "the log that the replicas share is signed with another key than {path}; copy `log.key` and `log.pub` \
         from a replica that has them into this folder"
    )]
    OtherKey {
        /// The folder.
        path: PathBuf,
    },
    /// An entry is not what was recorded.
    #[error("audit entry {index} was changed, moved or removed")]
    Entry {
        /// Its index, from 0.
        index: u64,
    },
    /// Entries are gone.
    #[error("audit entries from {first} on are missing, {size} were signed")]
    Cut {
        /// The first missing entry.
        first: u64,
        /// The signed size.
        size: u64,
    },
    /// A tile of hashes is not what the entries give.
    #[error("the hash of audit entries {first} to {last} in {path} was changed")]
    Tile {
        /// The file.
        path: String,
        /// The first entry it covers.
        first: u64,
        /// The last entry it covers.
        last: u64,
    },
    /// Entries and hashes were changed alike; the place is known to a run of entries.
    #[error("one of the audit entries {first} to {last} was changed together with its hash")]
    Range {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// Entries and tiles agree with each other and not with the signed head.
    #[error("the entries do not give the signed root; at least one of them was changed")]
    Root,
    /// The log is older than one that was seen.
    #[error("the log has {found} entries, {known} were seen before; it was cut or replaced by an older copy")]
    Older {
        /// Entries now.
        found: u64,
        /// Entries seen.
        known: u64,
    },
    /// The log is not a continuation of one that was seen.
    #[error("the log's first {known} entries are not those that were seen before; it was rewritten")]
    Forked {
        /// Entries seen.
        known: u64,
    },
    /// An entry cannot be kept because it is too long.
    #[error("the entry has {len} bytes, at most {most} are kept; leave detail out")]
    TooLong {
        /// Bytes.
        len: usize,
        /// Allowed.
        most: usize,
    },
}

/// A file system fault by what can be done about it.
pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem if verb != "read" => {
                StoreError::ReadOnly { path }
            }
            _ => StoreError::Io { verb, path, source },
        }
    }
}

/// A database fault by what can be done about it.
pub(crate) fn sql(verb: &'static str, path: &Path, kind: Kind) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |fault| {
        let path = path.to_owned();
        let (code, reason) = match &fault {
            sqlx::Error::Database(inner) => (inner.code().unwrap_or_default(), inner.message().to_owned()),
            other => (std::borrow::Cow::default(), other.to_string()),
        };
        match fault {
            sqlx::Error::PoolTimedOut if kind == Kind::Postgres => {
                return StoreError::Unreachable { path, reason: "no answer in time".to_owned() };
            }
            sqlx::Error::PoolTimedOut => return StoreError::Locked { path },
            sqlx::Error::PoolClosed => return StoreError::Closed,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => return StoreError::Unreachable { path, reason },
            _ => {}
        }
        if kind == Kind::Postgres {
            // https://www.postgresql.org/docs/15/errcodes-appendix.html
            return match &*code {
                "55P03" | "40001" | "40P01" => StoreError::Locked { path },
                "25006" => StoreError::ReadOnly { path },
                "53100" => StoreError::Full { path },
                "XX001" | "XX002" => StoreError::Damaged { path, reason },
                "57P01" | "57P02" | "57P03" | "08006" => StoreError::Unreachable { path, reason },
                _ => StoreError::Database { verb, reason },
            };
        }
        // Primary result codes of SQLite: https://www.sqlite.org/rescode.html
        match code.parse::<i64>().ok().map(|code| code & 0xff) {
            Some(5 | 6) => StoreError::Locked { path },
            Some(8) => StoreError::ReadOnly { path },
            Some(11 | 26) => StoreError::Damaged { path, reason },
            Some(13) => StoreError::Full { path },
            Some(14) => StoreError::ReadOnly { path },
            _ => StoreError::Database { verb, reason },
        }
    }
}
