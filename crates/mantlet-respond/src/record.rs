//! The parts of an incident that are plain records: answers, timeline, deliveries, times.

use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

/// The five answers, in the order they are asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FiveAnswers {
    /// What changed?
    pub changed: String,
    /// What is suspicious?
    pub suspicious: String,
    /// Who and what is affected?
    pub affected: String,
    /// Which decisions may be wrong?
    pub decisions: String,
    /// What to do now?
    pub next: String,
}

impl FiveAnswers {
    /// Each question with its answer.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("What changed", &self.changed),
            ("What is suspicious", &self.suspicious),
            ("Who and what is affected", &self.affected),
            ("Which decisions may be wrong", &self.decisions),
            ("What to do now", &self.next),
        ]
    }
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Millis,
    /// Who: a user, or `mantlet`.
    pub actor: String,
    /// What happened, in plain words.
    pub what: String,
}

/// How a notification went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// When it ended.
    pub at: Millis,
    /// `webhook` or `smtp`, and where to, without credentials.
    pub channel: String,
    /// What it told: `opened`, `escalated`.
    pub notice: String,
    /// Attempts made.
    pub attempts: u32,
    /// What went wrong, in the end; `None` when it arrived.
    pub failed: Option<String>,
}

/// How fast an incident was found and contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// From the start of the caller's activity to the incident, at most.
    pub detect_ms: u64,
    /// Requests the caller made up to then, at most.
    pub detect_queries: u64,
    /// From the incident to the first step in force.
    pub contain_ms: Option<u64>,
    /// Requests the caller made between the two.
    pub contain_queries: Option<u64>,
}
