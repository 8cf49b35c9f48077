//! `[monitor]`: what the model's output has to stay within, as people have declared it.

use mantlet_drift::range::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is watched for this system.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Ranges that are declared safe, which `mantlet monitor ranges` holds decisions against.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<SafeRange>,
}

/// A range that is declared safe: of a word's share, or of a column's mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SafeRange {
    /// What it is called in reports and incidents.
    pub name: String,
    /// The column that is held: of the gateway's history `label` is what the model said, `scores.1` a score and
    /// `signals.NAME` whether a signal fired.
    pub column: String,
    /// The word or number whose share of the rows is held; without it, the mean of the column is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// A column each of whose words is held by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The least that is safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// The most that is safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
    /// Rows below which nothing is said.
    #[serde(default = "hundred")]
    pub rows: u64,
}

const fn hundred() -> u64 {
    100
}

impl Monitor {
    /// Whether nothing was said.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range> {
        let range = |own: &SafeRange| Range {
            name: own.name.clone(),
            column: own.column.clone(),
            word: own.word.clone(),
            segment: own.segment.clone(),
            least: own.least,
            most: own.most,
            rows: own.rows,
        };
        self.ranges.iter().map(range).collect()
    }

    /// What is wrong with them.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let ranges = self.ranges();
        let mut names = std::collections::BTreeSet::new();
        let doubled = ranges.iter().find(|range| !names.insert(range.name.as_str()));
        let doubled = doubled.map(|range| format!("two ranges are called `{}`", range.name));
        ranges.iter().find_map(Range::fault).or(doubled)
    }
}
