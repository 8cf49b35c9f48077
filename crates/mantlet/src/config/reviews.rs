//! `[reviews]`: who decides what the guard withholds, how soon, and who is told.

use std::path::PathBuf;

use mantlet_store::{AtDeadline, ReviewTerms};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Decisions that the guard withholds for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reviews {
    /// Whose they are: a team or a person, named on the page and in the record.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Minutes in which they are to be decided.
    pub minutes: u64,
    /// What happens then: `reject` gives the caller no answer, `release` the model's own where there is one, and
    /// lets a text that waited before the model go to it.
    pub at_deadline: Deadline,
    /// Address that is told what became of each, as signed JSON by POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// File with the secret that signs it; the installation's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret_file: Option<PathBuf>,
}

/// What happens to a decision nobody made in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Deadline {
    /// The caller gets no answer.
    #[default]
    Reject,
    /// The model's answer goes out, or the text goes to the model.
    Release,
}

impl Default for Reviews {
    fn default() -> Self {
        Self {
            owner: String::new(),
            minutes: 24 * 60,
            at_deadline: Deadline::Reject,
            webhook: None,
            webhook_secret_file: None,
        }
    }
}

impl Reviews {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The terms under which decisions are filed.
    #[must_use]
    pub fn terms(&self) -> ReviewTerms {
        ReviewTerms {
            lasts_ms: self.minutes.max(1).saturating_mul(60_000),
            owner: self.owner.clone(),
            at_deadline: match self.at_deadline {
                Deadline::Reject => AtDeadline::Reject,
                Deadline::Release => AtDeadline::Release,
            },
        }
    }
}
