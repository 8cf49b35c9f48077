//! The database: a SQLite file of one machine, or PostgreSQL for several; one set of statements for both.
//!
//! Statements are written once, with numbered parameters (`$1`), which both understand. What differs is how the
//! database is opened, its schema's types, and how writers wait for each other: SQLite has one writer at a time, and
//! on PostgreSQL a writing transaction takes one advisory lock first, so that what holds for one file holds for many
//! replicas.

mod bounded;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mantlet_seal::log::Hash;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

use crate::StoreError;
use crate::error::sql;
use bounded::Pool;
pub(crate) use bounded::Writing;

/// Each step is run once, in order, in one transaction with the note that it was.
const SQLITE: [&str; 1] = [include_str!("migrations/0001_state.sql")];
const POSTGRES: [&str; 1] = [include_str!("migrations/postgres_0001_state.sql")];

/// The advisory lock of writing transactions: "mantlet" in ASCII.
const WRITERS: &str = "SELECT pg_advisory_xact_lock(30786325577788788)";
/// The advisory lock of appends to the audit log, taken inside the one above: a change notes itself before it is
/// committed.
const LOG: &str = "SELECT pg_advisory_xact_lock(30786325577788789)";

/// How long a call to a file may take: its own locks have bounds, and nothing is between it and this process.
const FILE: Duration = Duration::from_secs(3_600);
/// How long a connection that lay idle may take to show that it is still one.
const SIGN: Duration = Duration::from_millis(500);

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// The database and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: Pool,
    kind: Kind,
    /// The file, or the server without its credentials.
    path: PathBuf,
}

impl Database {
    /// Opens the file of one machine.
    pub(crate) async fn open(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let absolute = std::path::absolute(path).map_err(crate::error::io("open", path))?;
        let options: AnyConnectOptions =
            sqlite_url(&absolute).parse().map_err(sql("open", path, Kind::Sqlite))?;
        let settings = format!(
            "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA cache_size = -512;",
            patience.as_millis()
        );
        // A pool tries again what fails: what is wrong with the file is found out before.
        let mut first = options.connect().await.map_err(sql("open", path, Kind::Sqlite))?;
        let set = first.execute(sqlx::raw_sql(AssertSqlSafe(settings.clone()))).await;
        set.map_err(sql("open", path, Kind::Sqlite))?;
        first.close().await.map_err(sql("open", path, Kind::Sqlite))?;
        let pool = AnyPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(patience * 2 + Duration::from_secs(1))
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move {
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await.map(|_| ())
                })
            });
        let pool = pool.connect_with(options).await.map_err(sql("open", path, Kind::Sqlite))?;
        let pool = Pool::new(pool, FILE);
        let database = Self { pool, kind: Kind::Sqlite, path: path.to_owned() };
        database.check().await?;
        database.migrate_sqlite().await?;
        Ok(database)
    }

    /// Connects to PostgreSQL and brings its schema up to date. `url` is `postgres://user:password@host/database`.
    pub(crate) async fn connect(url: &str, patience: Duration) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions =
            url.parse().map_err(|fault: sqlx::Error| StoreError::Address(fault.to_string()))?;
        let shown = &options.database_url;
        let path = PathBuf::from(format!("{}{}", shown.host_str().unwrap_or("localhost"), shown.path()));
        // A replica that is cut off in the middle of a transaction keeps nobody from the locks for long.
        let (wait, idle) = (patience.as_millis(), patience.as_millis() * 3);
        let wait = format!(
            "SET lock_timeout = {wait}; SET idle_in_transaction_session_timeout = {idle}; \
             SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
        );
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(patience)
            .test_before_acquire(false)
            .before_acquire(|connection, _| {
                // As the pool's own test, but that no answer is one.
                Box::pin(async move {
                    match tokio::time::timeout(SIGN, connection.ping()).await {
                        Ok(answer) => answer.map(|()| true),
                        Err(_) => Err(sqlx::Error::PoolTimedOut),
                    }
                })
            })
            .after_connect(move |connection, _| {
                let wait = wait.clone();
                Box::pin(
                    async move { connection.execute(sqlx::raw_sql(AssertSqlSafe(wait))).await.map(|_| ()) },
                )
            });
        let pool = pool.connect_with(options).await.map_err(sql("connect", &path, Kind::Postgres))?;
        // Longer than whoever waits for a lock is made to.
        let pool = Pool::new(pool, patience * 2);
        let database = Self { pool, kind: Kind::Postgres, path };
        database.migrate_postgres().await?;
        Ok(database)
    }

    /// Whether replicas share it.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self.kind, Kind::Postgres)
    }

    /// A translation of faults for this database.
    pub(crate) fn fault(&self, verb: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
        sql(verb, &self.path, self.kind)
    }

    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A transaction that may write from its start: it waits its turn instead of failing halfway.
    pub(crate) async fn begin(&self) -> Result<Writing, StoreError> {
        match self.kind {
            Kind::Sqlite => self.pool.begin("BEGIN IMMEDIATE").await.map_err(self.fault("begin")),
            Kind::Postgres => self.begin_locked(WRITERS).await,
        }
    }

    /// A transaction that appends to the log replicas share.
    pub(crate) async fn begin_log(&self) -> Result<Writing, StoreError> {
        self.begin_locked(LOG).await
    }

    async fn begin_locked(&self, lock: &'static str) -> Result<Writing, StoreError> {
        let mut writing = self.pool.begin("BEGIN").await.map_err(self.fault("begin"))?;
        sqlx::raw_sql(lock).execute(&mut *writing).await.map_err(self.fault("begin"))?;
        Ok(writing)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    async fn check(&self) -> Result<(), StoreError> {
        let row = sqlx::query("PRAGMA quick_check(1)").fetch_one(&self.pool).await;
        let answer: String = row.and_then(|row| row.try_get(0)).map_err(self.fault("check"))?;
        if answer == "ok" {
            Ok(())
        } else {
            Err(StoreError::Damaged { path: self.path.clone(), reason: answer })
        }
    }

    async fn migrate_sqlite(&self) -> Result<(), StoreError> {
        let mut writing = self.begin().await?;
        let row = sqlx::query("PRAGMA user_version").fetch_one(&mut *writing).await;
        let found: i64 = row.and_then(|row| row.try_get(0)).map_err(self.fault("read its schema"))?;
        let known = i64::try_from(SQLITE.len()).unwrap_or(i64::MAX);
        if found > known || found < 0 {
            return Err(StoreError::Newer { path: self.path.clone(), found, known });
        }
        for step in SQLITE.iter().skip(usize::try_from(found).unwrap_or(0)) {
            sqlx::raw_sql(*step).execute(&mut *writing).await.map_err(self.fault("migrate"))?;
        }
        if found < known {
            // A pragma takes no parameter.
            let text = AssertSqlSafe(format!("PRAGMA user_version = {known}"));
            sqlx::raw_sql(text).execute(&mut *writing).await.map_err(self.fault("migrate"))?;
        }
        writing.commit().await.map_err(self.fault("migrate"))
    }

    async fn migrate_postgres(&self) -> Result<(), StoreError> {
        // Two replicas that start at once: the second one waits and finds everything done.
        let mut writing = self.begin().await?;
        let made = "CREATE TABLE IF NOT EXISTS mantlet_schema (version BIGINT NOT NULL)";
        sqlx::raw_sql(made).execute(&mut *writing).await.map_err(self.fault("migrate"))?;
        let row = sqlx::query("SELECT version FROM mantlet_schema").fetch_optional(&mut *writing).await;
        let row = row.map_err(self.fault("read its schema"))?;
        let found: i64 = match row {
            Some(row) => row.try_get(0).map_err(self.fault("read its schema"))?,
            None => 0,
        };
        let known = i64::try_from(POSTGRES.len()).unwrap_or(i64::MAX);
        if found > known || found < 0 {
            return Err(StoreError::Newer { path: self.path.clone(), found, known });
        }
        for step in POSTGRES.iter().skip(usize::try_from(found).unwrap_or(0)) {
            sqlx::raw_sql(*step).execute(&mut *writing).await.map_err(self.fault("migrate"))?;
        }
        if found < known {
            let clear = sqlx::raw_sql("DELETE FROM mantlet_schema").execute(&mut *writing).await;
            clear.map_err(self.fault("migrate"))?;
            let note = sqlx::query("INSERT INTO mantlet_schema (version) VALUES ($1)").bind(known);
            note.execute(&mut *writing).await.map_err(self.fault("migrate"))?;
        }
        writing.commit().await.map_err(self.fault("migrate"))
    }

    pub(crate) async fn anchor(&self) -> Result<Option<(u64, String)>, StoreError> {
        let row = sqlx::query("SELECT size, root FROM audit_anchor").fetch_optional(&self.pool).await;
        let Some(row) = row.map_err(self.fault("read the audit anchor"))? else { return Ok(None) };
        let size: i64 = row.try_get(0).map_err(self.fault("read the audit anchor"))?;
        let root = row.try_get(1).map_err(self.fault("read the audit anchor"))?;
        Ok(Some((u64::try_from(size).unwrap_or(0), root)))
    }

    /// Keeps the head if it is ahead of the one kept.
    pub(crate) async fn keep_anchor(&self, size: u64, root: Hash) -> Result<(), StoreError> {
        let root: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
        sqlx::query(
            "INSERT INTO audit_anchor (one, size, root) VALUES (1, $1, $2) \
             ON CONFLICT (one) DO UPDATE SET size = excluded.size, root = excluded.root \
             WHERE excluded.size > audit_anchor.size",
        )
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .bind(root)
        .execute(&self.pool)
        .await
        .map_err(self.fault("keep the audit anchor"))?;
        Ok(())
    }
}

/// The address of a file, everything but plain characters escaped.
fn sqlite_url(path: &Path) -> String {
    let mut url = "sqlite://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => url.push(char::from(*byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url.push_str("?mode=rwc");
    url
}

/// A record as JSON text.
pub(crate) fn doc<T: Serialize>(table: &'static str, record: &T) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|fault| StoreError::Record { table, reason: fault.to_string() })
}

/// A record from the first column of a row.
pub(crate) fn read<T: DeserializeOwned>(table: &'static str, row: &AnyRow) -> Result<T, StoreError> {
    let fault = |reason: String| StoreError::Record { table, reason };
    let text: &str = row.try_get(0).map_err(|wrong| fault(wrong.to_string()))?;
    serde_json::from_str(text).map_err(|wrong| fault(wrong.to_string()))
}

/// Records from the first column of rows.
pub(crate) fn read_all<T: DeserializeOwned>(
    table: &'static str,
    rows: &[AnyRow],
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| read(table, row)).collect()
}

/// Milliseconds as the database keeps them.
pub(crate) fn instant(at: mantlet_vocab::Millis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A count as the database takes it.
pub(crate) fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
