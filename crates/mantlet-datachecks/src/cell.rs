//! One cell of a row, and what is known of its column before.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Numbers.
    Numeric,
    /// One of a set of words.
    Categorical,
    /// Free text.
    Text,
    /// What the model is taught to answer. A table has at most one; further ones are read as categorical.
    Label,
}

/// What is known of a column before its rows are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// Its name.
    pub name: String,
    /// What it means.
    pub kind: Kind,
    /// The smallest and largest number that makes sense, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
    /// The words that make sense, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<String>>,
}

impl ColumnSpec {
    /// A column without stated range or words.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, range: None, categories: None }
    }
}

/// One cell of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Missing,
    /// A number; not-a-number and infinities are kept as such.
    Number(f64),
    /// Text.
    Text(&'a str),
}

impl<'a> Cell<'a> {
    /// Reads a cell of a text table: empty, `?`, `NA`, `N/A`, `null`, `None` and `NaN` are missing. `none` is a word:
    /// tables use it for "there is none".
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let text = text.trim();
        if matches!(text, "" | "?" | "NA" | "N/A" | "n/a" | "null" | "NULL" | "None")
            || text.eq_ignore_ascii_case("nan")
        {
            return Self::Missing;
        }
        text.parse().map_or(Self::Text(text), Self::Number)
    }
}

/// The cell as a class; `None` when missing.
pub(crate) fn word(cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Missing => None,
        Cell::Number(number) => Some(number.to_string()),
        Cell::Text(text) => Some(bounded(text)),
    }
}

/// Text as a key: long text is cut and told apart by its digest.
pub(crate) fn bounded(text: &str) -> String {
    const LONGEST: usize = 96;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… #{:08x}", &text[..end], short(Sha256::new().chain_update(text)) >> 96)
}

/// The first half of a digest.
pub(crate) fn short(hash: Sha256) -> u128 {
    let digest = hash.finalize();
    digest.iter().take(16).fold(0, |sum, &byte| (sum << 8) | u128::from(byte))
}
