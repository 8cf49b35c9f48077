//! `[record]`: what of an exchange goes on record.

use mantlet_columns::Keep;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What of an exchange goes on record: into the history, its write-ahead and the live view.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// Callers' ids: `kept`, `digest` (under a key of the installation), `left-out`.
    pub callers: As,
    /// The digest of what was asked: `kept`, `digest` (under a key, so that nobody can try which request it is of),
    /// `left-out`.
    pub requests: As,
    /// Label and scores of the reply: `kept` or `left-out`.
    pub replies: Replies,
    /// Features that are not recorded, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// The features that are recorded, by name, and no others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
}

/// How a field stands on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum As {
    /// As it is.
    #[default]
    Kept,
    /// As a digest under a key.
    Digest,
    /// Not at all.
    LeftOut,
}

/// Whether replies stand on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Replies {
    /// As they are.
    #[default]
    Kept,
    /// Not at all.
    LeftOut,
}

impl From<As> for Keep {
    fn from(kept: As) -> Self {
        match kept {
            As::Kept => Self::Kept,
            As::Digest => Self::Digest,
            As::LeftOut => Self::LeftOut,
        }
    }
}

impl Record {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether some features stay out by name.
    #[must_use]
    pub const fn names_features(&self) -> bool {
        !self.without.is_empty() || !self.only.is_empty()
    }

    /// Whether a feature of this name stays out.
    #[must_use]
    pub fn leaves_out(&self, name: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|own| own == name);
        if self.only.is_empty() { named(&self.without) } else { !named(&self.only) }
    }
}
