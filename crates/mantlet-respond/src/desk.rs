//! Joins alerts into incidents and decides when an answer is escalated. Pure: alerts and times in, incidents
//! with planned steps out.

use std::collections::BTreeMap;

use mantlet_vocab::{Millis, Mode};

use crate::alert::Alert;
use crate::incident::{Incident, SELF};
use crate::playbook::Playbook;
use crate::step::StepState;

/// What became of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intake {
    /// The incident it opened or joined.
    pub incident: String,
    /// Whether it opened it.
    pub opened: bool,
    /// Whether the answer was escalated.
    pub escalated: bool,
    /// Whether anything a person would want to know changed (opened, escalated, graver, new steps).
    pub changed: bool,
    /// Steps that were planned, by id.
    pub planned: Vec<String>,
}

/// The open incidents.
#[derive(Debug, Clone)]
pub struct Desk {
    pub(crate) playbook: Playbook,
    pub(crate) incidents: BTreeMap<String, Incident>,
}

impl Desk {
    /// A desk with these incidents on it, as after a restart.
    #[must_use]
    pub fn new(playbook: Playbook, incidents: Vec<Incident>) -> Self {
        let incidents = incidents.into_iter().map(|incident| (incident.id.clone(), incident)).collect();
        Self { playbook, incidents }
    }

    /// The playbook.
    #[must_use]
    pub const fn playbook(&self) -> &Playbook {
        &self.playbook
    }

    /// Replaces the playbook, as after a configuration change.
    pub fn set_playbook(&mut self, playbook: Playbook) {
        self.playbook = playbook;
    }

    /// The incident of this id.
    #[must_use]
    pub fn incident(&self, id: &str) -> Option<&Incident> {
        self.incidents.get(id)
    }

    /// The incident of this id, to change.
    pub fn incident_mut(&mut self, id: &str) -> Option<&mut Incident> {
        self.incidents.get_mut(id)
    }

    /// Every incident on the desk.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// Puts an incident on the desk, replacing the one of the same id.
    pub fn put(&mut self, incident: Incident) {
        self.incidents.insert(incident.id.clone(), incident);
    }

    /// Takes an incident off the desk.
    pub fn remove(&mut self, id: &str) -> Option<Incident> {
        self.incidents.remove(id)
    }

    /// Takes an alert in: it joins the incident it belongs to or opens one, and steps are planned.
    pub fn receive(&mut self, alert: &Alert, mode: Mode) -> Intake {
        let now = alert.at;
        let joined = self.belongs_to(alert);
        let opened = joined.is_none();
        let id = joined.unwrap_or_else(|| {
            let incident = Incident::open(alert, mode);
            let id = incident.id.clone();
            self.incidents.insert(id.clone(), incident);
            id
        });
        let mut intake =
            Intake { incident: id.clone(), opened, escalated: false, changed: opened, planned: Vec::new() };
        let Some(incident) = self.incidents.get_mut(&id) else { return intake };
        if !opened {
            let (impact, kind, callers) = (incident.impact, incident.kind, incident.callers.len());
            incident.mode = mode;
            incident.join(alert);
            if alert.at > incident.rung_at {
                incident.since_rung = incident.since_rung.saturating_add(1);
            }
            intake.escalated = escalate(incident, &self.playbook, now);
            intake.changed = intake.escalated
                || incident.impact > impact
                || incident.kind > kind
                || incident.callers.len() > callers;
        }
        if intake.changed || lapsed(incident) {
            intake.planned = self.playbook.plan(incident, alert, now);
            intake.changed |= !intake.planned.is_empty();
        }
        intake
    }

    /// Notes that a request of a caller was refused by a step; returns the incident that should be escalated,
    /// when the caller keeps hammering.
    pub fn refused(&mut self, system: &str, caller: &str, at: Millis) -> Option<String> {
        let incident = self.incidents.values_mut().find(|incident| {
            incident.closed.is_none()
                && incident.system == system
                && incident.callers.iter().any(|key| key == caller)
        })?;
        if at <= incident.rung_at {
            return None;
        }
        incident.refused_since_rung = incident.refused_since_rung.saturating_add(1);
        (incident.refused_since_rung >= self.playbook.escalate_after_refused && incident.rung == 0)
            .then(|| incident.id.clone())
    }

    fn belongs_to(&self, alert: &Alert) -> Option<String> {
        let window = self.playbook.window_ms;
        let fresh = |incident: &&Incident| {
            let near = alert.at.since(incident.last_alert) <= window
                && incident.last_alert.since(alert.at) <= window;
            let known = incident.kind.recurs() && alert.kind.recurs();
            incident.closed.is_none() && incident.system == alert.system && (near || known)
        };
        let newest = |incidents: Vec<&Incident>| {
            incidents
                .into_iter()
                .max_by_key(|incident| (incident.last_alert, incident.id.clone()))
                .map(|i| i.id.clone())
        };
        let Some(caller) = &alert.caller else {
            // Without a caller, what is concerned must be the same thing.
            return newest(
                self.incidents
                    .values()
                    .filter(fresh)
                    .filter(|incident| {
                        incident.caller.is_none()
                            && incident.kind.is_live() == alert.kind.is_live()
                            && (&incident.version, &incident.subject) == (&alert.version, &alert.subject)
                    })
                    .collect(),
            );
        };
        let own: Vec<&Incident> = self
            .incidents
            .values()
            .filter(fresh)
            .filter(|incident| incident.callers.contains(caller))
            .collect();
        if !own.is_empty() {
            return newest(own);
        }
        // One more key doing what several others do at the same time is the same attack.
        let alike: Vec<&Incident> = self
            .incidents
            .values()
            .filter(fresh)
            .filter(|incident| incident.caller.is_some() && incident.kind == alert.kind)
            .collect();
        let keys: usize = alike.iter().map(|incident| incident.callers.len()).sum();
        if keys + 1 < self.playbook.coordinated_callers { None } else { newest(alike) }
    }
}

/// Whether nothing is in force any more because time ran out, while the trouble is back.
pub(crate) fn lapsed(incident: &Incident) -> bool {
    let ended = |step: &crate::step::Step| step.state == StepState::Expired;
    incident.steps.iter().any(ended) && !incident.steps.iter().any(|step| step.state.may_hold())
}

/// Whether so many further alerts would take the answer one rung up: the trouble went on after the last step took hold.
pub(crate) fn escalates(incident: &Incident, further: u64, playbook: &Playbook) -> bool {
    let goes_on = incident.since_rung.saturating_add(further) >= playbook.escalate_after
        || incident.refused_since_rung >= playbook.escalate_after_refused;
    incident.rung == 0 && goes_on
}

/// Goes one rung up when it is time.
fn escalate(incident: &mut Incident, playbook: &Playbook, now: Millis) -> bool {
    if !escalates(incident, 0, playbook) {
        return false;
    }
    incident.rung += 1;
    incident.since_rung = 0;
    incident.refused_since_rung = 0;
    incident.rung_at = now;
    incident.note(now, SELF, "it went on, so the answer is escalated");
    true
}
