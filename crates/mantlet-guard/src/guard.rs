//! The guard of one route.

use std::sync::Arc;

use mantlet_detectors::{PinnedRule, Profile, Trace};
use mantlet_vocab::{Decision, Millis, Reply, Request};

use crate::{Controls, GuardConfig};

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The key's id, never the key.
    pub key: &'a str,
}

/// Why a guard cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The configuration names a rule that does not exist.
    #[error("there is no rule `{name}`; `mantlet explain` lists them")]
    UnknownRule {
        /// The name.
        name: String,
    },
}

/// What inspecting a request gave; kept until the reply is there.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The decision before the model is asked.
    pub decision: Decision,
    /// Why, in words the caller may read.
    pub reason: String,
    /// The number of the request's last row in the caller's stream.
    pub row: u64,
}

/// What replaying a stream against the guard gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// Rows replayed.
    pub rows: usize,
    /// The first row (from 1) with a signal at its threshold.
    pub flagged_at: Option<usize>,
    /// The first row (from 1) whose answer the guard withholds when enforcing.
    pub stopped_at: Option<usize>,
    /// Names of the signals, in order of appearance.
    pub signals: Vec<String>,
}

/// The guard of one route.
pub struct Guard {
    config: GuardConfig,
    controls: Arc<Controls>,
}

impl Guard {
    /// A guard. Without a profile only limits and controls work, and [`Guard::explains`] says so.
    ///
    /// # Errors
    /// When the configuration names rules that do not exist.
    pub fn new(
        config: GuardConfig,
        profile: Option<Arc<Profile>>,
        pinned: Vec<PinnedRule>,
        controls: Arc<Controls>,
    ) -> Result<Self, GuardError> {
        let _ = (profile, pinned);
        Ok(Self { config, controls })
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &GuardConfig {
        &self.config
    }

    /// The switches.
    #[must_use]
    pub const fn controls(&self) -> &Arc<Controls> {
        &self.controls
    }

    /// Pinned rules in force.
    #[must_use]
    pub fn pinned(&self) -> Vec<PinnedRule> {
        Vec::new()
    }

    /// Adds a pinned rule; one of the same id is replaced. In force from the next request on.
    pub fn pin(&self, rule: PinnedRule) {
        let _ = rule;
    }

    /// Removes a pinned rule; says whether there was one.
    pub fn unpin(&self, id: &str) -> bool {
        let _ = id;
        false
    }

    /// Decides before the model is asked.
    #[must_use]
    pub fn inspect(&self, caller: Caller<'_>, request: &Request, now: Millis) -> Inspection {
        let _ = (caller, request, now);
        Inspection { decision: Decision::allow(self.config.mode), reason: String::new(), row: 0 }
    }

    /// Decides again once the model has answered; an answer that is diverted must be withheld.
    pub fn observe_reply(&self, caller: Caller<'_>, inspection: &mut Inspection, reply: &Reply, now: Millis) {
        let _ = (caller, inspection, reply, now);
    }

    /// Replays a stream as a fresh caller against rules and thresholds, without touching any state.
    #[must_use]
    pub fn replay(&self, trace: &Trace) -> Replayed {
        Replayed { rows: trace.rows.len(), flagged_at: None, stopped_at: None, signals: Vec::new() }
    }

    /// What this guard does not do, in plain words; empty when it does everything.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        Vec::new()
    }
}
