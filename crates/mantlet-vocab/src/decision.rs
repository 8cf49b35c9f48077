//! What the guard decides about an exchange.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::Signal;

/// What is done with an exchange, mildest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// Passes untouched.
    Allow,
    /// Passes untouched and is marked for a person.
    Flag,
    /// Passes with parts of its text replaced.
    Redact,
    /// The model is asked, and its answer passes with less detail.
    Coarsen {
        /// What is left of it.
        to: Detail,
    },
    /// Is refused for now.
    Throttle {
        /// When the caller may try again, in milliseconds.
        retry_after_ms: u64,
    },
    /// Is refused until the caller has proved again who it is.
    StepUp,
    /// The model's decision is withheld and a person decides.
    Divert,
    /// Is refused.
    Refuse,
}

impl Action {
    /// The word used in records, metrics and configuration.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Flag => "flag",
            Self::Redact => "redact",
            Self::Coarsen { .. } => "coarsen",
            Self::Throttle { .. } => "throttle",
            Self::StepUp => "step-up",
            Self::Divert => "divert",
            Self::Refuse => "refuse",
        }
    }

    /// Whether the model sees the request and the caller its answer, be they changed.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Allow | Self::Flag | Self::Redact | Self::Coarsen { .. })
    }
}

/// What is left of the numbers of a reply. More detail is the milder choice, and comes first in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// Scores rounded to so many digits after the point.
    Digits(u8),
    /// The decision alone: every score of a row but the highest, which becomes one, is nought.
    Label,
}

impl Ord for Detail {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Digits(a), Self::Digits(b)) => b.cmp(a),
            (Self::Digits(_), Self::Label) => Ordering::Less,
            (Self::Label, Self::Digits(_)) => Ordering::Greater,
            (Self::Label, Self::Label) => Ordering::Equal,
        }
    }
}

impl PartialOrd for Detail {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How far automation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Record what would have been done.
    Observe,
    /// Propose it; a person does it with one click.
    Advise,
    /// Do it.
    Enforce,
}

/// What happens to a request when a rule itself fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Refuse it.
    Refuse,
    /// Send it to a person.
    Divert,
    /// Let it pass, marked.
    PassAndFlag,
}

/// The decision about one exchange: what was done, what would have been done, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What was done.
    pub action: Action,
    /// What an enforcing guard would have done; equals `action` in enforce mode.
    pub proposed: Action,
    /// The mode in force.
    pub mode: Mode,
    /// The signals behind it, strongest first.
    pub signals: Vec<Signal>,
}

impl Decision {
    /// Nothing was noticed.
    #[must_use]
    pub const fn allow(mode: Mode) -> Self {
        Self { action: Action::Allow, proposed: Action::Allow, mode, signals: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_grow_harsher_in_order_and_survive_json() {
        let order = [
            Action::Allow,
            Action::Flag,
            Action::Redact,
            Action::Coarsen { to: Detail::Digits(3) },
            Action::Coarsen { to: Detail::Digits(1) },
            Action::Coarsen { to: Detail::Label },
            Action::Throttle { retry_after_ms: 1 },
            Action::StepUp,
            Action::Divert,
            Action::Refuse,
        ];
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]));
        for action in order {
            let stored = serde_json::to_string(&action).expect("an action is plain data");
            assert_eq!(serde_json::from_str::<Action>(&stored).ok().as_ref(), Some(&action), "{stored}");
            assert_eq!(action.passes(), action < Action::Throttle { retry_after_ms: 0 });
        }
    }
}
