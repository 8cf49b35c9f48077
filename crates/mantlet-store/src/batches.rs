//! Batches of training data: the audit log holds every event, and the ledger is what they add up to.
//!
//! There is no second record that could differ from the log. An event that two replicas let happen at once, and that
//! may not follow the other, is refused when the log is read: the same way by everyone who reads it.

use mantlet_registry::batch::{BatchError, BatchEvent, Ledger};
use mantlet_vocab::Millis;
use serde_json::json;

use crate::{Store, StoreError};

/// Entries read at a time.
const PAGE: usize = 1_000;

impl Store {
    /// The batches of a system, replayed from the audit log, and the events in it that could not happen.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn ledger(&self, system: &str) -> Result<(Ledger, Vec<(BatchEvent, BatchError)>), StoreError> {
        let mut events: Vec<(BatchEvent, String, Millis)> = Vec::new();
        let mut first = 0;
        loop {
            let page = self.audit().entries(first, PAGE).await?;
            first += page.len() as u64;
            let full = page.len() == PAGE;
            for entry in page {
                if entry.detail.get("system").and_then(serde_json::Value::as_str) != Some(system) {
                    continue;
                }
                let event = entry.detail.get("event").cloned().map(serde_json::from_value::<BatchEvent>);
                if let Some(Ok(event)) = event
                    && event.action() == entry.action
                {
                    events.push((event, entry.actor, entry.at));
                }
            }
            if !full {
                break;
            }
        }
        Ok(Ledger::replay(events.iter().map(|(event, actor, at)| (event, actor.as_str(), *at))))
    }

    /// Lets something happen to a batch; nothing is written when it may not. Gives the ledger with it.
    ///
    /// # Errors
    /// When it may not happen, or the log fails.
    pub async fn batch_event(
        &self,
        system: &str,
        event: &BatchEvent,
        actor: &str,
    ) -> Result<Ledger, StoreError> {
        let (mut ledger, _) = self.ledger(system).await?;
        ledger.apply(event, actor, self.now())?;
        let subject = event.batch().unwrap_or(system);
        self.note(actor, event.action(), subject, json!({ "system": system, "event": event })).await?;
        Ok(ledger)
    }
}
