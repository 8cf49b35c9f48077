//! What the guard decides about an exchange.

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
    /// Is refused for now.
    Throttle {
        /// When the caller may try again, in milliseconds.
        retry_after_ms: u64,
    },
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
            Self::Throttle { .. } => "throttle",
            Self::Divert => "divert",
            Self::Refuse => "refuse",
        }
    }

    /// Whether the model sees the request and the caller its answer.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Allow | Self::Flag)
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
