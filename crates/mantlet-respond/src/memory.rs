//! Incidents kept in memory: for drills, dry runs and tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::incident::Incident;
use crate::ports::{IncidentFilter, IncidentStore, IncidentStoreError};

/// Keeps incidents for as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryIncidents(Mutex<BTreeMap<String, Incident>>);

impl MemoryIncidents {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Incident>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IncidentStore for MemoryIncidents {
    async fn save(&self, incident: &Incident) -> Result<(), IncidentStoreError> {
        let mut kept = self.kept();
        let stored = kept.get(&incident.id).map_or(0, |stored| stored.revision);
        if stored.checked_add(1) != Some(incident.revision) {
            return Err(IncidentStoreError::Conflict { id: incident.id.clone() });
        }
        kept.insert(incident.id.clone(), incident.clone());
        Ok(())
    }

    async fn load(&self, id: &str) -> Result<Option<Incident>, IncidentStoreError> {
        Ok(self.kept().get(id).cloned())
    }

    async fn list(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, IncidentStoreError> {
        let mut incidents: Vec<Incident> =
            self.kept().values().filter(|incident| filter.admits(incident)).cloned().collect();
        incidents.sort_by(|a, b| (b.opened, &b.id).cmp(&(a.opened, &a.id)));
        incidents.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(incidents)
    }
}
