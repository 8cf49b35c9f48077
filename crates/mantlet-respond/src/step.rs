//! Containment steps: what is done, how it is undone, when it ends and whom it touches.

use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Containment {
    /// Lets one key ask only so often.
    ThrottleKey {
        /// The key id.
        key: String,
        /// Requests a minute.
        per_minute: u32,
    },
    /// Refuses one key.
    BlockKey {
        /// The key id.
        key: String,
    },
    /// A person decides what one key asks.
    DivertKey {
        /// The key id.
        key: String,
    },
    /// A person decides everything on a route (or on all routes) of a system.
    DivertPath {
        /// The system.
        system: String,
        /// The route; `None` for all.
        route: Option<String>,
    },
    /// An earlier version answers again. Its digest and signature are verified before.
    RollBack {
        /// The system.
        system: String,
        /// The version that answers now, and again after undoing.
        from: Option<String>,
        /// The version to go back to; `None` for the last known-good one.
        to: Option<String>,
    },
    /// A candidate (model version or data set) cannot be promoted.
    HoldCandidate {
        /// The system.
        system: String,
        /// The version or data set.
        subject: String,
    },
    /// No model may learn from any batch, until it is undone.
    FreezeRetraining {
        /// The system.
        system: String,
    },
    /// The guard gets a rule made from the attack.
    PinRule {
        /// The system.
        system: String,
        /// The rule's name.
        name: String,
        /// What it pins, in plain words.
        plain: String,
        /// The rule as the guard reads it.
        rule: serde_json::Value,
    },
}

impl Containment {
    /// The action's word, as in its room's name.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ThrottleKey { .. } => "throttle-key",
            Self::BlockKey { .. } => "block-key",
            Self::DivertKey { .. } => "divert-key",
            Self::DivertPath { .. } => "divert-path",
            Self::RollBack { .. } => "roll-back",
            Self::HoldCandidate { .. } => "hold-candidate",
            Self::FreezeRetraining { .. } => "freeze-retraining",
            Self::PinRule { .. } => "pin-rule",
        }
    }

    /// The key it is about.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::ThrottleKey { key, .. } | Self::BlockKey { key } | Self::DivertKey { key } => Some(key),
            Self::DivertPath { .. }
            | Self::RollBack { .. }
            | Self::HoldCandidate { .. }
            | Self::FreezeRetraining { .. }
            | Self::PinRule { .. } => None,
        }
    }

    /// The same done to several keys, as an instruction in plain words; `None` for what is not about a key.
    #[must_use]
    pub fn plain_for(&self, keys: &[&str]) -> Option<String> {
        let mut names = keys.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        if keys.len() > 3 {
            names.push_str(", ...");
        }
        let keys = format!("{} keys ({names})", keys.len());
        match self {
            Self::ThrottleKey { per_minute, .. } => {
                Some(format!("Slow {keys} down to {per_minute} requests a minute each"))
            }
            Self::BlockKey { .. } => Some(format!("Refuse every request of {keys}")),
            Self::DivertKey { .. } => Some(format!("Let a person decide what {keys} ask")),
            Self::DivertPath { .. }
            | Self::RollBack { .. }
            | Self::HoldCandidate { .. }
            | Self::FreezeRetraining { .. }
            | Self::PinRule { .. } => None,
        }
    }

    /// What it does, as an instruction in plain words.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::ThrottleKey { key, per_minute } => {
                format!("Slow key {key} down to {per_minute} requests a minute")
            }
            Self::BlockKey { key } => format!("Refuse every request of key {key}"),
            Self::DivertKey { key } => format!("Let a person decide what key {key} asks"),
            Self::DivertPath { system, route: Some(route) } => {
                format!("Let a person decide everything on route {route} of {system}")
            }
            Self::DivertPath { system, route: None } => {
                format!("Let a person decide everything {system} decides")
            }
            Self::RollBack { system, from, to } => {
                let from = from.as_ref().map(|from| format!(" instead of {from}")).unwrap_or_default();
                match to {
                    Some(to) => format!("Let version {to} of {system} answer{from}"),
                    None => format!("Let the last known-good version of {system} answer{from}"),
                }
            }
            Self::HoldCandidate { system, subject } => format!("Keep {subject} out of {system}"),
            Self::FreezeRetraining { system } => format!("Hold retraining of {system}"),
            Self::PinRule { plain, .. } => format!("Stop this attack and its like: {plain}"),
        }
    }
}

/// What happens when a step's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnExpiry {
    /// It is undone by itself.
    Undo,
    /// It stays, and a person is reminded: undoing it unattended would bring the harm back.
    Remind,
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "undo")]
pub enum Undo {
    /// What undoing does, in plain words.
    By {
        /// As in `Key k-12 asks as fast as before`.
        plain: String,
    },
    /// It cannot be undone, and why.
    None {
        /// The reason.
        why: String,
    },
}

/// Whom a step touches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlastRadius {
    /// Callers touched; `None` when not known.
    pub callers: Option<u64>,
    /// Requests a minute touched; `None` when not known.
    pub per_minute: Option<f64>,
    /// Share of the system's traffic; `None` when not known.
    pub share: Option<f64>,
    /// The same in plain words.
    pub plain: String,
}

/// Where a step stands. `Applying` and `Undoing` are written before the deed, so that a crash in between is
/// finished at the next start; they are also how another process asks for a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum StepState {
    /// Observe mode: it would have been done.
    Recorded,
    /// A person may do it with one click.
    Proposed,
    /// It is to be done, or being done.
    Applying,
    /// It is in force.
    Applied,
    /// It is to be undone, or being undone.
    Undoing,
    /// A person undid it.
    Undone,
    /// Its time was over.
    Expired,
    /// It could not be done or undone.
    Failed {
        /// What went wrong.
        why: String,
        /// Whether undoing failed, so that the step may still be in force.
        undoing: bool,
    },
}

impl StepState {
    /// The word used on screens.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Recorded => "would have been done",
            Self::Proposed => "proposed",
            Self::Applying => "being done",
            Self::Applied => "in force",
            Self::Undoing => "being undone",
            Self::Undone => "undone",
            Self::Expired => "ended by itself",
            Self::Failed { undoing: false, .. } => "could not be done",
            Self::Failed { undoing: true, .. } => "could not be undone",
        }
    }

    /// Whether the step may be in force now.
    #[must_use]
    pub const fn may_hold(&self) -> bool {
        matches!(self, Self::Applying | Self::Applied | Self::Undoing | Self::Failed { undoing: true, .. })
    }

    /// Whether a person may have it done.
    #[must_use]
    pub const fn can_apply(&self) -> bool {
        matches!(
            self,
            Self::Recorded
                | Self::Proposed
                | Self::Undone
                | Self::Expired
                | Self::Failed { undoing: false, .. }
        )
    }
}

/// One step of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Id within the incident: `s1`, `s2`.
    pub id: String,
    /// What it does.
    pub action: Containment,
    /// Why, in plain words.
    pub why: String,
    /// How it is undone.
    pub undo: Undo,
    /// How long it lasts once done.
    pub lasts_ms: u64,
    /// What happens then.
    pub on_expiry: OnExpiry,
    /// When it ends, once done.
    #[serde(default)]
    pub expires: Option<Millis>,
    /// Whether a person was reminded that its time is over.
    #[serde(default)]
    pub reminded: bool,
    /// Whom it touches.
    pub blast_radius: BlastRadius,
    /// Where it stands.
    pub state: StepState,
    /// When it got there.
    pub changed: Millis,
    /// Who brought it there.
    pub by: String,
}

impl Step {
    /// Whether its time is over.
    #[must_use]
    pub fn is_due(&self, now: Millis) -> bool {
        self.state == StepState::Applied && self.expires.is_some_and(|expires| now >= expires)
    }

    /// Whether it can be undone at all.
    #[must_use]
    pub const fn undoable(&self) -> bool {
        matches!(self.undo, Undo::By { .. })
    }
}

/// A duration as people say it: `45 seconds`, `15 minutes`, `24 hours`, `30 days`.
#[must_use]
pub fn lasting(millis: u64) -> String {
    let seconds = millis / 1_000;
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
