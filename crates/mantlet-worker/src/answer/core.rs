//! The work of the answering loop, one input after the other. It knows a clock only as a port.

use std::time::Duration;

use mantlet_guard::GuardEvent;
use mantlet_respond::{
    Actuator, Alert, Desk, Hands, Incident, IncidentFilter, IncidentStore, IncidentStoreError, OnExpiry,
    RespondError, SELF, Seen, StepState, Streams,
};
use mantlet_vocab::{Exchange, Impact, Millis};
use serde_json::json;
use tokio::sync::mpsc;

use super::config::AnswerConfig;
use super::deliver::{Outbox, Outcome};
use super::notice::{Cooldown, NoticeKind};
use super::ports::{AnswerError, Clock, Journal};

/// How often an incident that somebody else changed is read again before giving up.
const RETRIES: usize = 3;
/// Notices that a crash kept from being sent are sent at the next start, when they are younger than this.
const STILL_NEWS_MS: u64 = 24 * 3_600_000;
/// Incidents nobody added to are put down after this many correlation windows.
const WINDOWS_ON_DESK: u64 = 2;

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Contain { step: String },
    Undo { step: String },
    Close { why: String },
}

/// The answering loop's work.
pub struct Answer<A, S, J, C> {
    pub(super) config: AnswerConfig,
    pub(super) hands: Hands<A, S>,
    pub(super) journal: J,
    pub(super) clock: C,
    streams: Streams,
    pub(super) desk: Desk,
    pub(super) outbox: Outbox,
    pub(super) cooldown: Cooldown,
    pub(super) dirty: std::collections::BTreeSet<String>,
}

impl<A: Actuator, S: IncidentStore, J: Journal, C: Clock> Answer<A, S, J, C> {
    /// Reads the open incidents, brings the actuator back to what they say is in force, and sends what a
    /// crash kept from being sent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        config: AnswerConfig,
        actuator: A,
        store: S,
        journal: J,
        clock: C,
        outbox: Outbox,
    ) -> Result<Self, AnswerError> {
        let desk = Desk::new(config.playbook.clone(), Vec::new());
        let mut answer = Self {
            hands: Hands::new(actuator, store),
            desk,
            config,
            journal,
            clock,
            outbox,
            streams: Streams::default(),
            cooldown: Cooldown::default(),
            dirty: std::collections::BTreeSet::new(),
        };
        let mut open = answer.hands.store.list(&IncidentFilter::open()).await?;
        // Oldest first, so that the actuator sees steps in the order they came.
        open.sort_by_key(|incident| (incident.opened, incident.id.clone()));
        for incident in open {
            answer.take_up(incident).await;
        }
        Ok(answer)
    }

    async fn take_up(&mut self, mut incident: Incident) {
        let now = self.clock.now();
        for delivery in incident.deliveries.clone() {
            self.cooldown.recall(&incident, &delivery);
        }
        let deeds = match self.hands.resume(&mut incident, now).await {
            Ok(deeds) => deeds,
            Err(error) => {
                tracing::error!(incident = incident.id, %error, "incident not resumed");
                Vec::new()
            }
        };
        let id = incident.id.clone();
        let told = incident.deliveries.iter().any(|delivery| delivery.notice == NoticeKind::Opened.word());
        let untold = incident.untold;
        let news = !told && incident.closed.is_none() && now.since(incident.opened) < STILL_NEWS_MS;
        self.desk.put(incident);
        self.record(&id, &deeds).await;
        if untold {
            self.tell_of(&id, now).await;
        } else if news {
            self.tell(&id, NoticeKind::Opened, now).await;
        }
    }

    /// The incidents being handled.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.desk.incidents()
    }

    /// Takes in what the guard noticed.
    pub async fn event(&mut self, event: GuardEvent) {
        self.seen(Seen {
            at: event.at,
            exchange: event.exchange,
            system: event.system,
            impact: Impact::Low,
            route: event.route,
            caller: event.caller,
            version: event.version,
            row: event.row,
            signals: event.signals,
            action: event.decision.action,
        })
        .await;
    }

    /// Takes in an exchange that nothing was noticed about and that was let through.
    pub fn passed(&mut self, exchange: &Exchange) {
        self.streams.passed(exchange);
    }

    /// Takes in an exchange, marked or not.
    pub async fn seen(&mut self, mut seen: Seen) {
        let rule = self.config.system(&seen.system);
        seen.impact = rule.impact;
        let raised = self.streams.take(&seen, &self.config.playbook);
        if seen.is_refused()
            && let Some(id) = self.desk.refused(&seen.system, &seen.caller, seen.at)
        {
            // It hammers although slowed: that alone is reason to go on.
            let again = self.desk.incident(&id).map(|incident| {
                let mut again = Alert::new(incident.kind, &incident.system, incident.system_impact, seen.at);
                again.caller = Some(seen.caller.clone());
                again.confidence = incident.confidence;
                again.since = incident.since;
                again
            });
            if let Some(again) = again.filter(|_| raised.is_none()) {
                self.alert(&again).await;
            }
        }
        let Some(raised) = raised else { return };
        if let Some(known) = self.desk.more(&mut self.streams, &mut seen, raised, rule.mode) {
            if !self.dirty.contains(known) {
                self.dirty.insert(known.to_owned());
            }
            return;
        }
        let alert = self.streams.alert(&seen, raised);
        let incident = self.receive(&alert).await;
        self.streams.told(&seen.system, &seen.caller, &incident);
    }

    /// Takes in an alert, from whatever station.
    pub async fn alert(&mut self, alert: &Alert) {
        self.receive(alert).await;
    }

    /// Takes in an alert; gives the id of its incident.
    async fn receive(&mut self, alert: &Alert) -> String {
        let mode = self.config.system(&alert.system).mode;
        let intake = self.desk.receive(alert, mode);
        if !intake.changed {
            self.dirty.insert(intake.incident.clone());
            return intake.incident;
        }
        let now = self.clock.now();
        let pending = self.desk.incident(&intake.incident).is_some_and(|incident| {
            intake.planned.iter().any(|id| incident.step(id).is_some_and(|s| s.state == StepState::Applying))
        });
        if pending {
            self.attend(&intake.incident, now).await;
        } else {
            self.save(&intake.incident).await;
        }
        if intake.opened {
            self.append(SELF, "incident-open", &intake.incident, json!({ "alert": alert.kind.word() })).await;
        }
        let kind = match (intake.opened, intake.escalated) {
            (true, _) => NoticeKind::Opened,
            (false, true) => NoticeKind::Escalated,
            (false, false) => NoticeKind::Changed,
        };
        self.tell(&intake.incident, kind, now).await;
        intake.incident
    }

    /// Ends what is over, does what another process asked for, keeps what has changed.
    pub async fn tick(&mut self) {
        let now = self.clock.now();
        let mut untold = Vec::new();
        match self.hands.store.list(&IncidentFilter::open()).await {
            Ok(stored) => {
                for mut incident in stored {
                    match self.desk.incident(&incident.id) {
                        Some(mine) if mine.revision >= incident.revision => continue,
                        Some(mine) => incident.merge(mine),
                        None if incident.untold || self.is_due(&incident, now) => {}
                        None => continue,
                    }
                    if incident.untold {
                        untold.push(incident.id.clone());
                    }
                    self.desk.put(incident);
                }
            }
            Err(error) => tracing::error!(%error, "incidents not read"),
        }
        for id in untold {
            self.tell_of(&id, now).await;
        }
        let due: Vec<String> = self
            .desk
            .incidents()
            .filter(|incident| self.is_due(incident, now))
            .map(|incident| incident.id.clone())
            .collect();
        for id in due {
            self.attend(&id, now).await;
        }
        for id in std::mem::take(&mut self.dirty) {
            self.save(&id).await;
        }
        let window = self.config.playbook.window_ms.saturating_mul(WINDOWS_ON_DESK);
        let done: Vec<String> = self
            .desk
            .incidents()
            .filter(|incident| now.since(incident.last_alert) > window || incident.closed.is_some())
            .filter(|incident| !incident.steps.iter().any(|step| step.state.may_hold()))
            .map(|incident| incident.id.clone())
            .collect();
        for id in done {
            self.desk.remove(&id);
        }
    }

    fn is_due(&self, incident: &Incident, now: Millis) -> bool {
        incident.steps.iter().any(|step| match (&step.state, step.on_expiry) {
            (StepState::Applying | StepState::Undoing, _) => true,
            (StepState::Applied | StepState::Failed { undoing: true, .. }, OnExpiry::Undo) => {
                step.expires.is_some_and(|expires| now >= expires)
            }
            (StepState::Applied, OnExpiry::Remind) => {
                !step.reminded && step.expires.is_some_and(|expires| now >= expires)
            }
            _ => false,
        })
    }

    /// Does what a person asks for; the incident as it stands afterwards.
    ///
    /// # Errors
    /// When there is no such incident or step, or it could not be done.
    pub(super) async fn wish(&mut self, id: &str, wish: &Wish, actor: &str) -> Result<Incident, AnswerError> {
        let now = self.clock.now();
        self.fetch(id).await?;
        for attempt in 0.. {
            let Some(mut incident) = self.desk.incident(id).cloned() else {
                return Err(AnswerError::NoIncident(id.to_owned()));
            };
            let result = match wish {
                Wish::Contain { step } => self.hands.apply(&mut incident, step, actor, now).await,
                Wish::Undo { step } => self.hands.undo(&mut incident, step, actor, now).await,
                Wish::Close { why } => {
                    incident.close(now, actor, why);
                    self.hands.save(&mut incident).await.map(|()| None).map_err(RespondError::from)
                }
            };
            match result {
                Err(RespondError::Store(IncidentStoreError::Conflict { .. })) if attempt < RETRIES => {
                    self.reread(id).await?;
                }
                Ok(deed) => {
                    self.desk.put(incident.clone());
                    self.record(id, deed.as_slice()).await;
                    if let Wish::Close { why } = wish {
                        self.append(actor, "incident-close", id, json!({ "why": why })).await;
                    }
                    return Ok(incident);
                }
                Err(error) => {
                    self.desk.put(incident);
                    return Err(error.into());
                }
            }
        }
        Err(AnswerError::NoIncident(id.to_owned()))
    }

    /// Gives notices under way at most `limit`, records how they fared, and keeps everything.
    pub async fn finish(&mut self, limit: Duration, told: &mut mpsc::UnboundedReceiver<Outcome>) {
        std::mem::take(&mut self.outbox).finish(limit).await;
        while let Ok(outcome) = told.try_recv() {
            self.delivered(outcome).await;
        }
        for id in std::mem::take(&mut self.dirty) {
            self.save(&id).await;
        }
    }

    /// Takes over a new configuration.
    pub fn reload(&mut self, config: AnswerConfig, outbox: Option<Outbox>) {
        self.desk.set_playbook(config.playbook.clone());
        self.config = config;
        if let Some(outbox) = outbox {
            self.outbox = outbox;
        }
    }

    async fn attend(&mut self, id: &str, now: Millis) {
        for _ in 0..=RETRIES {
            let Some(mut incident) = self.desk.incident(id).cloned() else { return };
            match self.hands.attend(&mut incident, now).await {
                Ok(deeds) => {
                    self.desk.put(incident);
                    self.dirty.remove(id);
                    self.record(id, &deeds).await;
                    if deeds.iter().any(|deed| deed.verb == "remind") {
                        self.tell(id, NoticeKind::Reminder, now).await;
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(incident = id, %error, "incident read again");
                    if self.reread(id).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn save(&mut self, id: &str) {
        for _ in 0..=RETRIES {
            let Some(mut incident) = self.desk.incident(id).cloned() else { return };
            match self.hands.save(&mut incident).await {
                Ok(()) => {
                    self.desk.put(incident);
                    self.dirty.remove(id);
                    return;
                }
                Err(IncidentStoreError::Conflict { .. }) => {
                    if self.reread(id).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(incident = id, %error, "incident not kept; trying again");
                    self.dirty.insert(id.to_owned());
                    return;
                }
            }
        }
    }

    /// Puts the incident on the desk when it is not there.
    pub(super) async fn fetch(&mut self, id: &str) -> Result<(), AnswerError> {
        if self.desk.incident(id).is_some() { Ok(()) } else { self.reread(id).await }
    }

    /// Takes what somebody else saved, and adds what only we know yet.
    async fn reread(&mut self, id: &str) -> Result<(), AnswerError> {
        let stored = self.hands.store.load(id).await?;
        let mut stored = stored.ok_or_else(|| AnswerError::NoIncident(id.to_owned()))?;
        if let Some(mine) = self.desk.incident(id) {
            stored.merge(mine);
        }
        self.desk.put(stored);
        Ok(())
    }
}
