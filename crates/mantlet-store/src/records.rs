//! Records whose form belongs to others: probe reports, cases, guard rules, deliveries, configurations.

use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::database::{count, doc, instant, read, read_all};
use crate::{Store, StoreError};

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKind {
    /// The report of a take-in station (scan, data, deps).
    Examination,
    /// The report of a probe.
    ProbeReport,
    /// A replayable attack case.
    Case,
    /// A guard rule pinned from a confirmed attack.
    GuardRule,
    /// The switches in force, to be restored after a restart.
    Controls,
    /// A version or data set that an incident keeps from being used.
    Hold,
    /// A delivery of an alert, as tried.
    Delivery,
    /// A configuration that was in force; its id is its generation.
    Generation,
    /// A profile of training data.
    Profile,
    /// A version going before users step by step; kept by the registry's port, its lines audited one by one.
    Rollout,
    /// The rows of a batch of training data that are shown to people.
    BatchSheet,
}

impl RecordKind {
    /// The word used in the database and the audit log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Examination => "examination",
            Self::ProbeReport => "probe-report",
            Self::Case => "case",
            Self::GuardRule => "guard-rule",
            Self::Controls => "controls",
            Self::Hold => "hold",
            Self::Delivery => "delivery",
            Self::Generation => "generation",
            Self::Profile => "profile",
            Self::Rollout => "rollout",
            Self::BatchSheet => "batch-sheet",
        }
    }

    /// Whether a change of it is a change of what is protected, and so goes into the audit log.
    const fn is_audited(self) -> bool {
        !matches!(self, Self::Delivery)
    }
}

/// A record: what the store searches by, and the owner's own document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Unique in its kind.
    pub id: String,
    /// The system it belongs to.
    pub system: String,
    /// When it was made.
    pub at: Millis,
    /// A word of its owner's: `active`, `stopped`, `hit` ...
    pub state: String,
    /// The owner's document.
    pub doc: Value,
}

impl Store {
    /// Adds or replaces a record; audited by its digest, except deliveries.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn put_record(&self, kind: RecordKind, record: &Record, actor: &str) -> Result<(), StoreError> {
        let database = &self.inner.database;
        let text = doc("records", record)?;
        if kind.is_audited() {
            let digest = mantlet_vocab::Digest::of(text.as_bytes());
            let detail = json!({ "system": record.system, "state": record.state, "digest": digest });
            self.note(actor, &format!("{}-kept", kind.word()), &record.id, detail).await?;
        }
        sqlx::query(
            "INSERT INTO records (kind, id, system, at, state, doc) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (kind, id) DO UPDATE SET system = excluded.system, at = excluded.at, \
             state = excluded.state, doc = excluded.doc",
        )
        .bind(kind.word())
        .bind(&record.id)
        .bind(&record.system)
        .bind(instant(record.at))
        .bind(&record.state)
        .bind(text)
        .execute(database.pool())
        .await
        .map_err(database.fault("write records"))?;
        Ok(())
    }

    /// The record of this kind and id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, StoreError> {
        let database = &self.inner.database;
        let row =
            sqlx::query("SELECT doc FROM records WHERE kind = $1 AND id = $2").bind(kind.word()).bind(id);
        let row = row.fetch_optional(database.pool()).await.map_err(database.fault("read records"))?;
        row.map(|row| read("records", &row)).transpose()
    }

    /// Records of a kind, newest first, at most `most`; of one system when named.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn records(
        &self,
        kind: RecordKind,
        system: Option<&str>,
        most: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let database = &self.inner.database;
        let rows = sqlx::query(
            "SELECT doc FROM records WHERE kind = $1 AND ($2 IS NULL OR system = $2) \
             ORDER BY at DESC, id LIMIT $3",
        )
        .bind(kind.word())
        .bind(system)
        .bind(count(most))
        .fetch_all(database.pool())
        .await
        .map_err(database.fault("read records"))?;
        read_all("records", &rows)
    }

    /// Removes a record; says whether there was one. Audited.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn remove_record(&self, kind: RecordKind, id: &str, actor: &str) -> Result<bool, StoreError> {
        if self.record(kind, id).await?.is_none() {
            return Ok(false);
        }
        self.note(actor, &format!("{}-removed", kind.word()), id, Value::Null).await?;
        let database = &self.inner.database;
        let done = sqlx::query("DELETE FROM records WHERE kind = $1 AND id = $2").bind(kind.word()).bind(id);
        let done = done.execute(database.pool()).await.map_err(database.fault("write records"))?;
        Ok(done.rows_affected() > 0)
    }
}
