//! The playbook's actions: a room each. A room looks at an incident and plans its step, or none.

mod block_key;
mod divert_key;
mod divert_path;
mod freeze_retraining;
mod hold_candidate;
mod pin_rule;
mod roll_back;
mod throttle_key;

use mantlet_vocab::About;

use crate::alert::{Alert, Traffic};
use crate::incident::Incident;
use crate::playbook::Playbook;
use crate::step::{BlastRadius, Containment, OnExpiry, Undo};

/// What a room looks at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The incident, the alert taken in.
    pub incident: &'a Incident,
    /// The alert that led here.
    pub alert: &'a Alert,
    /// How far the answer is escalated: 0 at first.
    pub rung: u8,
    /// The limits and durations in force.
    pub playbook: &'a Playbook,
}

/// A step a room plans.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What to do.
    pub action: Containment,
    /// Why, in plain words.
    pub why: String,
    /// How it is undone.
    pub undo: Undo,
    /// How long it lasts.
    pub lasts_ms: u64,
    /// What happens then.
    pub on_expiry: OnExpiry,
    /// Whom it touches.
    pub blast_radius: BlastRadius,
    /// Whether an enforcing system may do it by itself.
    pub automatic: bool,
}

/// An action of the playbook.
pub trait Action: Sync {
    /// Its identity card.
    fn about(&self) -> &'static About;

    /// The step it plans here, or none.
    fn plan(&self, situation: &Situation<'_>) -> Option<Draft>;
}

/// Every action, in the order steps are planned: first what stops the harm to most.
#[must_use]
pub fn all() -> Vec<&'static dyn Action> {
    vec![
        &roll_back::RollBack,
        &hold_candidate::HoldCandidate,
        &throttle_key::ThrottleKey,
        &divert_key::DivertKey,
        &block_key::BlockKey,
        &divert_path::DivertPath,
        &freeze_retraining::FreezeRetraining,
        &pin_rule::PinRule,
    ]
}

/// The identity cards of every action.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    all().iter().map(|action| action.about()).collect()
}

/// Where one key's requests are touched and nobody else's.
fn one_key(traffic: Option<Traffic>) -> BlastRadius {
    let share = traffic.filter(|t| t.per_minute > 0.0).map(|t| (t.caller_per_minute / t.per_minute).min(1.0));
    let plain = match traffic {
        Some(t) => {
            format!("one key, about {} requests a minute; no other caller", rounded(t.caller_per_minute))
        }
        None => "one key; no other caller".to_owned(),
    };
    BlastRadius { callers: Some(1), per_minute: traffic.map(|t| t.caller_per_minute), share, plain }
}

/// Where every caller of a system is touched.
fn everyone(traffic: Option<Traffic>, what: &str) -> BlastRadius {
    let plain = match traffic {
        Some(t) => {
            format!("{what}: {} callers lately, about {} requests a minute", t.callers, rounded(t.per_minute))
        }
        None => what.to_owned(),
    };
    BlastRadius {
        callers: traffic.map(|t| t.callers),
        per_minute: traffic.map(|t| t.per_minute),
        share: Some(1.0),
        plain,
    }
}

fn rounded(per_minute: f64) -> String {
    if per_minute >= 10.0 { format!("{per_minute:.0}") } else { format!("{per_minute:.1}") }
}

#[cfg(test)]
mod tests;
