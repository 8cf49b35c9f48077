//! The SQLite file: opening, migrations, and reading records back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mantlet_seal::log::Hash;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::StoreError;
use crate::error::sql;

/// Each step is run once, in order, in one transaction with the note that it was.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_state.sql")];

/// The database and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: SqlitePool,
    path: PathBuf,
}

impl Database {
    pub(crate) async fn open(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(patience);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(patience * 2 + Duration::from_secs(1));
        let pool = pool.connect_with(options).await.map_err(sql("open", path))?;
        let database = Self { pool, path: path.to_owned() };
        database.check().await?;
        database.migrate().await?;
        Ok(database)
    }

    /// A translation of faults for this file.
    pub(crate) fn fault(&self, verb: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
        sql(verb, &self.path)
    }

    pub(crate) const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A transaction that may write from its start: it waits its turn instead of failing halfway.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.fault("begin"))
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

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut writing = self.begin().await?;
        let row = sqlx::query("PRAGMA user_version").fetch_one(&mut *writing).await;
        let found: i64 = row.and_then(|row| row.try_get(0)).map_err(self.fault("read its schema"))?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known || found < 0 {
            return Err(StoreError::Newer { path: self.path.clone(), found, known });
        }
        for step in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            sqlx::raw_sql(*step).execute(&mut *writing).await.map_err(self.fault("migrate"))?;
        }
        if found < known {
            // A pragma takes no parameter; one statement for each known version keeps the text constant.
            let text = const { ["PRAGMA user_version = 0", "PRAGMA user_version = 1"] };
            let text = text[MIGRATIONS.len()];
            sqlx::raw_sql(text).execute(&mut *writing).await.map_err(self.fault("migrate"))?;
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
            "INSERT INTO audit_anchor (one, size, root) VALUES (1, ?, ?) \
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

/// A record as JSON text.
pub(crate) fn doc<T: Serialize>(table: &'static str, record: &T) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|fault| StoreError::Record { table, reason: fault.to_string() })
}

/// A record from the first column of a row.
pub(crate) fn read<T: DeserializeOwned>(table: &'static str, row: &SqliteRow) -> Result<T, StoreError> {
    let fault = |reason: String| StoreError::Record { table, reason };
    let text: &str = row.try_get(0).map_err(|wrong| fault(wrong.to_string()))?;
    serde_json::from_str(text).map_err(|wrong| fault(wrong.to_string()))
}

/// Records from the first column of rows.
pub(crate) fn read_all<T: DeserializeOwned>(
    table: &'static str,
    rows: &[SqliteRow],
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| read(table, row)).collect()
}

/// Milliseconds as SQLite keeps them.
pub(crate) fn instant(at: mantlet_vocab::Millis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A count as SQLite takes it.
pub(crate) fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
