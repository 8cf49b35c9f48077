//! Incidents: the answering engine's port over the database.

use mantlet_respond::{Incident, IncidentFilter, IncidentStore, IncidentStoreError};
use serde_json::json;

use crate::database::{count, doc, instant, read, read_all};
use crate::{Store, StoreError};

/// Incidents a list gives when no limit is asked for.
const LIST_MOST: usize = 10_000;

impl Store {
    async fn save_incident(&self, incident: &Incident) -> Result<bool, StoreError> {
        let database = &self.inner.database;
        let mut writing = database.begin().await?;
        let row = sqlx::query("SELECT doc FROM incidents WHERE id = $1").bind(&incident.id);
        let row = row.fetch_optional(&mut *writing).await.map_err(database.fault("read incidents"))?;
        let kept: Option<Incident> = row.map(|row| read("incidents", &row)).transpose()?;
        let stands_at = kept.as_ref().map_or(0, |kept| kept.revision);
        if Some(incident.revision) != stands_at.checked_add(1) {
            return Ok(false);
        }
        // The log holds what is new: the lines of the timeline since the last revision.
        let known = kept.as_ref().map(|kept| kept.timeline.as_slice()).unwrap_or_default();
        let new: Vec<_> = incident.timeline.iter().filter(|line| !known.contains(line)).take(50).collect();
        // Another alert counted into an open incident is state, not an event: an attacker must not write our log.
        let event = kept.as_ref().is_none_or(|kept| kept.state != incident.state) || !new.is_empty();
        let actor = new.last().map_or("mantlet", |line| line.actor.as_str());
        let detail = json!({
            "revision": incident.revision,
            "title": incident.title,
            "system": incident.system,
            "state": incident.state,
            "impact": incident.impact,
            "lines": new,
        });
        let action = if kept.is_none() { "incident-opened" } else { "incident-changed" };
        if event {
            self.note(actor, action, &incident.id, detail).await?;
        }
        sqlx::query(
            "INSERT INTO incidents (id, revision, system, state, opened, doc) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, system = excluded.system, \
             state = excluded.state, doc = excluded.doc",
        )
        .bind(&incident.id)
        .bind(i64::try_from(incident.revision).unwrap_or(i64::MAX))
        .bind(&incident.system)
        .bind(incident.state.word())
        .bind(instant(incident.opened))
        .bind(doc("incidents", incident)?)
        .execute(&mut *writing)
        .await
        .map_err(database.fault("write incidents"))?;
        writing.commit().await.map_err(database.fault("write incidents"))?;
        Ok(true)
    }

    /// The incident of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn incident(&self, id: &str) -> Result<Option<Incident>, StoreError> {
        let database = &self.inner.database;
        let row = sqlx::query("SELECT doc FROM incidents WHERE id = $1").bind(id);
        let row = row.fetch_optional(database.pool()).await.map_err(database.fault("read incidents"))?;
        row.map(|row| read("incidents", &row)).transpose()
    }

    /// Incidents, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, StoreError> {
        let database = &self.inner.database;
        let states: Vec<&str> = filter.states.iter().map(|state| state.word()).collect();
        let rows = sqlx::query(
            "SELECT doc FROM incidents WHERE ($1 IS NULL OR system = $1) \
             AND ($2 = '' OR $2 LIKE '%,' || state || ',%') ORDER BY opened DESC, id DESC LIMIT $3",
        )
        .bind(filter.system.as_deref())
        .bind(if states.is_empty() { String::new() } else { format!(",{},", states.join(",")) })
        .bind(count(filter.limit.unwrap_or(LIST_MOST)))
        .fetch_all(database.pool())
        .await
        .map_err(database.fault("read incidents"))?;
        read_all("incidents", &rows)
    }
}

impl IncidentStore for Store {
    async fn save(&self, incident: &Incident) -> Result<(), IncidentStoreError> {
        match self.save_incident(incident).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(IncidentStoreError::Conflict { id: incident.id.clone() }),
            Err(fault) => Err(IncidentStoreError::Failed(fault.to_string())),
        }
    }

    async fn load(&self, id: &str) -> Result<Option<Incident>, IncidentStoreError> {
        self.incident(id).await.map_err(|fault| IncidentStoreError::Failed(fault.to_string()))
    }

    async fn list(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, IncidentStoreError> {
        self.incidents(filter).await.map_err(|fault| IncidentStoreError::Failed(fault.to_string()))
    }
}
