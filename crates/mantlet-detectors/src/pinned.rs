//! The guard rule that a confirmed attack yields.

use mantlet_vocab::{NamedValue, Signal};
use serde::{Deserialize, Serialize};

use crate::{Encoded, Profile, RowFacts};

/// The recorded stream of a confirmed attack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Id of the case.
    pub case: String,
    /// Name of the attack, when known.
    pub attack: String,
    /// Its queries in order.
    pub rows: Vec<TraceRow>,
}

/// One query of an attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceRow {
    /// The inputs, one row.
    pub inputs: Vec<NamedValue>,
    /// The label the model gave, when it was asked.
    pub label: Option<usize>,
    /// Whether the attack succeeded with this row.
    pub success: bool,
}

/// Why a trace yields no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Nothing in the trace differs from honest traffic.
    #[error("nothing in the {rows} rows of the trace differs enough from honest traffic to be pinned")]
    Nothing {
        /// Rows of the trace.
        rows: usize,
    },
}

/// A guard rule derived from a confirmed attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedRule {
    /// Id, `pin-` and a digest of what is pinned.
    pub id: String,
    /// The case it comes from.
    pub case: String,
    /// What is pinned; any of them matching is a hit.
    pub pins: Vec<Pin>,
    /// What it stops, in plain words.
    pub description: String,
}

/// One thing a rule pins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "pin")]
pub enum Pin {
    /// How the attack's stream behaves: thresholds between what honest streams do and what it did.
    Stream {
        /// Distinct near rows from which it matches.
        near: Option<u32>,
        /// Rows on straight lines from which it matches.
        aligned: Option<u32>,
        /// Evidence from which it matches.
        evidence: Option<f64>,
    },
    /// Where in the input space the attack ended: balls around its successful rows.
    Region {
        /// Centres, in the profile's sketch space.
        centres: Vec<Vec<f32>>,
        /// Radius around each.
        radius: f64,
    },
    /// What honest rows never do and the attack's rows did.
    Constraint(Constraint),
}

/// A constraint on single rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// Outlier score from which a row matches.
    pub outlier: f64,
    /// Matching rows in the recent past from which the stream matches.
    pub rows: u32,
}

impl PinnedRule {
    /// Judges the rows of a request.
    #[must_use]
    pub fn look(&self, profile: &Profile, encoded: &Encoded, rows: &[RowFacts]) -> Option<Signal> {
        let _ = (profile, encoded, rows);
        None
    }
}

/// Derives the rule that stops a confirmed attack, its replay and unseen variants, and no honest traffic.
///
/// # Errors
/// When nothing in the trace differs enough from honest traffic.
pub fn derive(trace: &Trace, profile: &Profile) -> Result<PinnedRule, PinError> {
    let _ = profile;
    Err(PinError::Nothing { rows: trace.rows.len() })
}
