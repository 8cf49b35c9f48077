//! Telling people and the journal what happened.

use mantlet_respond::{Actuator, Deed, IncidentStore, IncidentStoreError, SELF, StepState};
use mantlet_vocab::Millis;
use serde_json::{Value, json};

use super::core::Answer;
use super::deliver::Outcome;
use super::notice::{Notice, NoticeKind};
use super::ports::{Clock, Journal};

impl<A: Actuator, S: IncidentStore, J: Journal, C: Clock> Answer<A, S, J, C> {
    /// Records how a notice fared.
    pub async fn delivered(&mut self, outcome: Outcome) {
        if self.fetch(&outcome.incident).await.is_err() {
            return;
        }
        let detail = json!({
            "channel": outcome.delivery.channel,
            "notice": outcome.delivery.notice,
            "attempts": outcome.delivery.attempts,
            "failed": outcome.delivery.failed,
        });
        if let Some(incident) = self.desk.incident_mut(&outcome.incident) {
            incident.delivered(outcome.delivery);
        }
        self.append(SELF, "incident-notice", &outcome.incident, detail).await;
        self.dirty.insert(outcome.incident);
    }

    /// Enters deeds into the journal, and tells people of those that failed.
    pub(super) async fn record(&mut self, id: &str, deeds: &[Deed]) {
        let now = self.clock.now();
        for deed in deeds {
            let subject = format!("{id}/{}", deed.step);
            let action = format!("containment-{}", deed.verb);
            self.append(&deed.actor, &action, &subject, json!({ "failed": deed.failed })).await;
        }
        let failed = self.desk.incident(id).is_some_and(|incident| {
            deeds.iter().any(|deed| {
                incident.step(&deed.step).is_some_and(|step| matches!(step.state, StepState::Failed { .. }))
            })
        });
        if failed {
            self.tell(id, NoticeKind::Failed, now).await;
        }
    }

    pub(super) async fn tell(&mut self, id: &str, kind: NoticeKind, now: Millis) {
        if self.outbox.is_empty() {
            return;
        }
        let notify = &self.config.notify;
        let Some(incident) = self.desk.incident_mut(id) else { return };
        match self.cooldown.admit(incident, kind, now, notify.cooldown_ms, notify.most_an_hour) {
            Ok(()) => {
                let notice = Notice::new(incident, kind, now, notify.console.as_deref());
                for delivery in self.outbox.send(&notice) {
                    incident.delivered(delivery);
                    self.dirty.insert(id.to_owned());
                }
            }
            Err(why) => {
                incident.note(now, SELF, format!("nobody was told ({}): {why}", kind.word()));
                self.dirty.insert(id.to_owned());
            }
        }
    }

    /// Tells of an incident that a monitor opened or made graver elsewhere. Of several replicas the one tells whose
    /// save comes first.
    pub(super) async fn tell_of(&mut self, id: &str, now: Millis) {
        let Some(mut incident) = self.desk.incident(id).cloned() else { return };
        incident.untold = false;
        match self.hands.save(&mut incident).await {
            Ok(()) => {
                let opened = NoticeKind::Opened.word();
                let known = incident.deliveries.iter().any(|delivery| delivery.notice == opened);
                self.desk.put(incident);
                self.tell(id, if known { NoticeKind::Changed } else { NoticeKind::Opened }, now).await;
            }
            Err(IncidentStoreError::Conflict { .. }) => {
                // Another replica has it, or will be read again within a tick.
                self.desk.remove(id);
            }
            Err(error) => {
                tracing::error!(incident = id, %error, "nobody is told yet; trying again");
                self.desk.remove(id);
            }
        }
    }

    pub(super) async fn append(&self, actor: &str, action: &str, subject: &str, detail: Value) {
        if let Err(error) = self.journal.append(actor, action, subject, detail).await {
            tracing::error!(action, subject, error, "not entered into the audit log");
        }
    }
}
