//! How a battery is run, and what it may spend.

use std::path::PathBuf;

use mantlet_attacks::Goal;
use mantlet_redteam::Patience;

use super::Kin;

/// Hard caps over all attacks of a battery, questions that measure a copy's fidelity included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caps {
    /// Rows asked of the target.
    pub queries: u64,
    /// Milliseconds.
    pub millis: u64,
    /// Tokens billed by the target.
    pub tokens: u64,
    /// The price of a query, to be told in reports.
    pub price: Option<f64>,
}

impl Default for Caps {
    fn default() -> Self {
        Self { queries: u64::MAX, millis: u64::MAX, tokens: u64::MAX, price: None }
    }
}

/// How the battery is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seed of every random choice.
    pub seed: u64,
    /// Rows attacked by each evasion probe.
    pub rows: usize,
    /// Largest change of a feature, as a share of its range, in the evasion probe that is shown as pictures.
    pub shown_epsilon: f64,
    /// Queries the decision-based probe may spend on each row.
    pub queries: u64,
    /// Sizes of the transfer set at which a thief's copy is measured.
    pub extraction: Vec<usize>,
    /// What shadows of the model are made of.
    pub kin: Kin,
    /// What the whole battery may spend.
    pub caps: Caps,
    /// A folder for journals: a battery that is killed goes on from them.
    pub journal: Option<PathBuf>,
    /// The command that runs the battery again; each probe adds its own name.
    pub command: String,
    /// Keys of an attack's configuration set by the caller, over those of the policy.
    pub set: serde_json::Value,
    /// What evasions want; other families ask about classes only.
    pub goal: Goal,
    /// Which of its scores is looked at when the model gives scores rather than classes.
    pub scored: Option<usize>,
    /// Whether the questions of each campaign are written down.
    pub streams: bool,
    /// How refusals and failures of the target are borne.
    pub patience: Patience,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            rows: 50,
            shown_epsilon: 0.1,
            queries: 800,
            extraction: vec![25, 50, 100, 150, 250, 400, 600],
            kin: Kin::Network,
            caps: Caps::default(),
            journal: None,
            command: String::new(),
            set: serde_json::Value::Null,
            goal: Goal::Leave,
            scored: None,
            streams: false,
            patience: Patience::default(),
        }
    }
}
