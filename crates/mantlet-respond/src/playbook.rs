//! The playbook's limits and durations, and the plan for an incident.

use mantlet_vocab::{Millis, Mode};
use serde::{Deserialize, Serialize};

use crate::action::{self, Draft, Situation};
use crate::alert::Alert;
use crate::incident::{Incident, SELF};
use crate::step::{Step, StepState};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Steps an incident may hold.
const MOST_STEPS: usize = 64;

/// Limits and durations. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Playbook {
    /// Requests a minute a slowed key may make.
    pub throttle_per_minute: u32,
    /// How long a key is slowed, in milliseconds. So are the others.
    pub throttle_ms: u64,
    /// How long a key is refused.
    pub block_ms: u64,
    /// How long a key's decisions go to a person. Longer than a block, so that the key comes back watched.
    pub divert_ms: u64,
    /// How long a route's decisions go to a person.
    pub divert_path_ms: u64,
    /// When to remind of a roll-back.
    pub roll_back_ms: u64,
    /// When to remind of a held candidate.
    pub hold_ms: u64,
    /// When to remind of retraining that is held.
    pub freeze_ms: u64,
    /// When to remind of a pinned rule.
    pub pin_ms: u64,
    /// Alerts of one caller or system within this join one incident.
    pub window_ms: u64,
    /// Alerts after a step took hold that lead to the next.
    pub escalate_after: u64,
    /// Refused requests after a step took hold that lead to the next.
    pub escalate_after_refused: u64,
    /// Keys doing the same at once that count as one attack.
    pub coordinated_callers: usize,
    /// Hints (odd or ill-formed inputs) of one caller that make an alert...
    pub hints: u64,
    /// ...when they are also at least this share of what it asked lately.
    pub hint_share: f64,
}

impl Default for Playbook {
    fn default() -> Self {
        Self {
            throttle_per_minute: 6,
            throttle_ms: 15 * MINUTE,
            block_ms: HOUR,
            divert_ms: DAY,
            divert_path_ms: 4 * HOUR,
            roll_back_ms: 7 * DAY,
            hold_ms: 14 * DAY,
            freeze_ms: 7 * DAY,
            pin_ms: 30 * DAY,
            window_ms: 30 * MINUTE,
            escalate_after: 3,
            escalate_after_refused: 30,
            coordinated_callers: 3,
            hints: 5,
            hint_share: 0.2,
        }
    }
}

impl Playbook {
    /// Adds the steps the playbook's actions plan for this incident now, and returns their ids. A step whose
    /// action is planned or in force already, or that a person took back, is not planned twice.
    pub fn plan(&self, incident: &mut Incident, alert: &Alert, now: Millis) -> Vec<String> {
        let rung = incident.rung;
        let drafts: Vec<Draft> = action::all()
            .iter()
            .filter_map(|action| action.plan(&Situation { incident, alert, rung, playbook: self }))
            .collect();
        let mut planned = Vec::new();
        for draft in drafts {
            if incident.steps.len() >= MOST_STEPS || incident.steps.iter().any(|step| settled(step, &draft)) {
                continue;
            }
            let state = match incident.mode {
                Mode::Observe => StepState::Recorded,
                Mode::Enforce if draft.automatic => StepState::Applying,
                Mode::Advise | Mode::Enforce => StepState::Proposed,
            };
            let id = format!("s{}", incident.steps.len() + 1);
            let lead = match state {
                StepState::Recorded => "would have done",
                StepState::Applying => "doing",
                _ => "proposed",
            };
            incident.note(now, SELF, format!("{lead}: {} ({id})", draft.action.plain()));
            incident.steps.push(Step {
                id: id.clone(),
                action: draft.action,
                why: draft.why,
                undo: draft.undo,
                lasts_ms: draft.lasts_ms,
                on_expiry: draft.on_expiry,
                expires: None,
                reminded: false,
                blast_radius: draft.blast_radius,
                state,
                changed: now,
                by: SELF.to_owned(),
            });
            planned.push(id);
        }
        if !planned.is_empty() {
            incident.refresh();
        }
        planned
    }
}

/// Whether a step already says what a draft says. One that ended by itself may be planned again; one that a
/// person undid may not: people overrule the playbook.
fn settled(step: &Step, draft: &Draft) -> bool {
    step.action == draft.action && step.state != StepState::Expired
}
