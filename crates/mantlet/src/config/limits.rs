//! What exchanges cost, and which callers must prove again who they are.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one model's exchanges cost, in your currency.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Price {
    /// A million tokens of requests.
    pub input: f64,
    /// A million tokens of replies.
    pub output: f64,
    /// A request.
    pub request: f64,
    /// A row of classic inference.
    pub row: f64,
}

impl From<Price> for mantlet_guard::shared::Price {
    fn from(Price { input, output, request, row }: Price) -> Self {
        Self { input, output, request, row }
    }
}

/// Which signals make a caller prove again who it is, and for how long that counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepUp {
    /// Rules by name, and the score from which each asks (1.0 is a rule's own threshold). A stronger action of the
    /// same rule goes before.
    pub rules: BTreeMap<String, f64>,
    /// How long a challenge can be answered, in seconds.
    pub answer_seconds: u64,
    /// How long a proof counts, in seconds.
    pub valid_seconds: u64,
}

impl Default for StepUp {
    fn default() -> Self {
        Self { rules: BTreeMap::new(), answer_seconds: 300, valid_seconds: 3_600 }
    }
}

impl StepUp {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
