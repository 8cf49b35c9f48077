//! A live signal: something a detector noticed in the stream of exchanges.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Confidence, Impact};

/// What a detector noticed about one exchange and its caller's recent past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The detector's name.
    pub name: String,
    /// How much harm it can do.
    pub impact: Impact,
    /// How sure.
    pub confidence: Confidence,
    /// The detector's statistic; at or above 1.0 means its threshold was reached.
    pub score: f64,
    /// What was noticed, in one line of plain words.
    pub message: String,
    /// Named figures behind it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, serde_json::Value>,
}

impl Signal {
    /// Adds a named figure.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}
