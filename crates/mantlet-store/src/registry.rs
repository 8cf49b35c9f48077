//! Systems, versions and their history: the registry's port over the database.

use mantlet_registry::rollout::Rollout;
use mantlet_registry::{Change, ModelVersion, RegistryStore, System, Transition};
use serde_json::json;

use crate::database::{doc, instant, read, read_all};
use crate::{Record, RecordKind, Store, StoreError};

const HELD: &str = "held";

fn hold_id(system: &str, subject: &str) -> String {
    format!("{system}/{subject}")
}

fn rollout_of(doc: serde_json::Value) -> Result<Rollout, StoreError> {
    serde_json::from_value(doc)
        .map_err(|fault| StoreError::Record { table: "records", reason: fault.to_string() })
}

impl Store {
    /// Holds a version or data set back from use, or releases it. Audited.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn hold(&self, system: &str, subject: &str, on: bool, actor: &str) -> Result<(), StoreError> {
        let record = Record {
            id: hold_id(system, subject),
            system: system.to_owned(),
            at: self.now(),
            state: if on { HELD } else { "released" }.to_owned(),
            doc: json!({ "subject": subject }),
        };
        self.put_record(RecordKind::Hold, &record, actor).await
    }
}

impl RegistryStore for Store {
    type Error = StoreError;

    async fn system(&self, name: &str) -> Result<Option<System>, StoreError> {
        let database = &self.inner.database;
        let row = sqlx::query("SELECT doc FROM systems WHERE name = $1").bind(name);
        let row = row.fetch_optional(database.pool()).await.map_err(database.fault("read systems"))?;
        row.map(|row| read("systems", &row)).transpose()
    }

    async fn systems(&self) -> Result<Vec<System>, StoreError> {
        let database = &self.inner.database;
        let rows = sqlx::query("SELECT doc FROM systems ORDER BY name").fetch_all(database.pool()).await;
        read_all("systems", &rows.map_err(database.fault("read systems"))?)
    }

    async fn put_system(&self, system: &System) -> Result<(), StoreError> {
        let database = &self.inner.database;
        let mut writing = database.begin().await?;
        let row = sqlx::query("SELECT doc FROM systems WHERE name = $1").bind(&system.name);
        let row = row.fetch_optional(&mut *writing).await.map_err(database.fault("read systems"))?;
        let known: Option<System> = row.map(|row| read("systems", &row)).transpose()?;
        let record = match &known {
            Some(known) => System {
                serving: known.serving.clone(),
                known_good: known.known_good.clone(),
                created: known.created,
                ..system.clone()
            },
            None => System { serving: None, known_good: None, ..system.clone() },
        };
        if known.as_ref() == Some(&record) {
            return Ok(());
        }
        let action = if known.is_some() { "system-changed" } else { "system-added" };
        self.note(&record.owner, action, &record.name, json!(record)).await?;
        sqlx::query(
            "INSERT INTO systems (name, doc) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET doc = excluded.doc",
        )
        .bind(&record.name)
        .bind(doc("systems", &record)?)
        .execute(&mut *writing)
        .await
        .map_err(database.fault("write systems"))?;
        writing.commit().await.map_err(database.fault("write systems"))
    }

    async fn version(&self, system: &str, version: &str) -> Result<Option<ModelVersion>, StoreError> {
        let database = &self.inner.database;
        let row = sqlx::query("SELECT doc FROM versions WHERE system = $1 AND version = $2");
        let row = row.bind(system).bind(version).fetch_optional(database.pool()).await;
        let row = row.map_err(database.fault("read versions"))?;
        row.map(|row| read("versions", &row)).transpose()
    }

    async fn versions(&self, system: &str) -> Result<Vec<ModelVersion>, StoreError> {
        let database = &self.inner.database;
        let rows =
            sqlx::query("SELECT doc FROM versions WHERE system = $1 ORDER BY added, version").bind(system);
        let rows = rows.fetch_all(database.pool()).await.map_err(database.fault("read versions"))?;
        read_all("versions", &rows)
    }

    async fn is_held(&self, system: &str, version: &str) -> Result<bool, StoreError> {
        let hold = self.record(RecordKind::Hold, &hold_id(system, version)).await?;
        Ok(hold.is_some_and(|hold| hold.state == HELD))
    }

    async fn commit(&self, change: Change<'_>) -> Result<bool, StoreError> {
        let database = &self.inner.database;
        let mut writing = database.begin().await?;
        let row = sqlx::query("SELECT doc FROM systems WHERE name = $1").bind(&change.expected.name);
        let row = row.fetch_optional(&mut *writing).await.map_err(database.fault("read systems"))?;
        let kept: Option<System> = row.map(|row| read("systems", &row)).transpose()?;
        let same = |kept: &System| {
            kept.serving == change.expected.serving && kept.known_good == change.expected.known_good
        };
        let Some(kept) = kept.filter(same) else { return Ok(false) };
        for update in change.updates {
            let row = sqlx::query("SELECT doc FROM versions WHERE system = $1 AND version = $2")
                .bind(&update.after.system)
                .bind(&update.after.version)
                .fetch_optional(&mut *writing)
                .await
                .map_err(database.fault("read versions"))?;
            let before: Option<ModelVersion> = row.map(|row| read("versions", &row)).transpose()?;
            if before != update.before {
                return Ok(false);
            }
        }
        for line in change.history {
            let subject = format!("{} {}", line.system, line.version);
            self.note(&line.actor, &format!("version-{}", line.to.word()), &subject, json!(line)).await?;
        }
        let system = System {
            serving: change.system.serving.clone(),
            known_good: change.system.known_good.clone(),
            ..kept
        };
        sqlx::query("UPDATE systems SET doc = $1 WHERE name = $2")
            .bind(doc("systems", &system)?)
            .bind(&system.name)
            .execute(&mut *writing)
            .await
            .map_err(database.fault("write systems"))?;
        for update in change.updates {
            sqlx::query(
                "INSERT INTO versions (system, version, added, doc) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (system, version) DO UPDATE SET doc = excluded.doc",
            )
            .bind(&update.after.system)
            .bind(&update.after.version)
            .bind(instant(update.after.added))
            .bind(doc("versions", &update.after)?)
            .execute(&mut *writing)
            .await
            .map_err(database.fault("write versions"))?;
        }
        for line in change.history {
            sqlx::query("INSERT INTO transitions (system, doc) VALUES ($1, $2)")
                .bind(&line.system)
                .bind(doc("transitions", line)?)
                .execute(&mut *writing)
                .await
                .map_err(database.fault("write history"))?;
        }
        writing.commit().await.map_err(database.fault("write the registry"))?;
        Ok(true)
    }

    async fn rollout(&self, system: &str) -> Result<Option<Rollout>, StoreError> {
        let newest = self.records(RecordKind::Rollout, Some(system), 1).await?.pop();
        newest.map(|record| rollout_of(record.doc)).transpose()
    }

    async fn save_rollout(&self, before: Option<u64>, rollout: &Rollout) -> Result<bool, StoreError> {
        let database = &self.inner.database;
        let mut writing = database.begin().await?;
        let row = sqlx::query(
            "SELECT doc FROM records WHERE kind = $1 AND system = $2 ORDER BY at DESC, id LIMIT 1",
        )
        .bind(RecordKind::Rollout.word())
        .bind(&rollout.system)
        .fetch_optional(&mut *writing)
        .await
        .map_err(database.fault("read rollouts"))?;
        let kept: Option<Record> = row.map(|row| read("records", &row)).transpose()?;
        let kept: Option<Rollout> = kept.map(|record| rollout_of(record.doc)).transpose()?;
        let same = match (&kept, before) {
            (Some(kept), Some(before)) => kept.id == rollout.id && kept.revision == before,
            (Some(kept), None) => !kept.runs(),
            (None, before) => before.is_none(),
        };
        if !same {
            return Ok(false);
        }
        let known = kept.filter(|kept| kept.id == rollout.id).map_or(0, |kept| kept.lines.len());
        for line in rollout.lines.iter().skip(known) {
            let subject = format!("{} {}", rollout.system, rollout.candidate);
            let mut detail = json!({ "rollout": rollout.id, "stable": rollout.stable, "line": line });
            if let (Some(route), Some(detail)) = (&rollout.route, detail.as_object_mut()) {
                detail.insert("route".to_owned(), json!(route));
            }
            self.note(&line.actor, &format!("rollout-{}", line.what), &subject, detail).await?;
        }
        let record = Record {
            id: rollout.id.clone(),
            system: rollout.system.clone(),
            at: rollout.started,
            state: if rollout.runs() { "running" } else { "over" }.to_owned(),
            doc: json!(rollout),
        };
        sqlx::query(
            "INSERT INTO records (kind, id, system, at, state, doc) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (kind, id) DO UPDATE SET state = excluded.state, doc = excluded.doc",
        )
        .bind(RecordKind::Rollout.word())
        .bind(&record.id)
        .bind(&record.system)
        .bind(instant(record.at))
        .bind(&record.state)
        .bind(doc("records", &record)?)
        .execute(&mut *writing)
        .await
        .map_err(database.fault("write rollouts"))?;
        writing.commit().await.map_err(database.fault("write rollouts"))?;
        Ok(true)
    }

    async fn history(&self, system: &str) -> Result<Vec<Transition>, StoreError> {
        let database = &self.inner.database;
        let rows = sqlx::query("SELECT doc FROM transitions WHERE system = $1 ORDER BY seq").bind(system);
        let rows = rows.fetch_all(database.pool()).await.map_err(database.fault("read history"))?;
        read_all("transitions", &rows)
    }
}
