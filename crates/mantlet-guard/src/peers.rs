//! What guards of several replicas tell one another of callers, so that a caller who spreads over them is seen as one.
//!
//! After a row was looked at here it is told to the others; each takes it into its own memory of that caller as if it
//! had been asked there. So every replica remembers the whole stream, later by the time the news takes, and judges the
//! next request in its light. Requests never wait for it. While the others are out of reach each guard sees its own
//! part only: [`PeersStatus::alone`] says so, and [`crate::GuardConfig::replicas_on_failure`] decides what then happens.

use std::collections::VecDeque;
use std::hash::{Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use mantlet_detectors::text::Asked;
use mantlet_detectors::{Encoded, Profile};
use mantlet_vocab::{Action, Millis, Signal, Tensor};
use serde::{Deserialize, Serialize};

use crate::callers::Withheld;
use crate::{Caller, Guard, GuardConfig, Overloaded};

/// Rows of one request that are told at most: as many as a memory holds. The others are counted.
const ROWS: usize = 64;
/// Requests of others whose rows are kept until their answers are told.
const WAITING: usize = 256;

/// What a guard saw of a caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Which guard's: of what system, route and profile. What another one saw is not understood.
    pub guard: u64,
    /// The caller's key id.
    pub caller: String,
    /// When.
    pub at: Millis,
    /// What.
    pub what: Seen,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Rows were asked about.
    Asked {
        /// Their hash, all of them.
        rows: u64,
        /// Values of one row, in the profile's space.
        width: usize,
        /// The last rows, one after the other.
        values: Vec<f32>,
        /// Rows before those, which are only counted.
        left_out: u64,
    },
    /// The model gave these labels to the last rows of a request.
    Answered {
        /// The rows' hash.
        rows: u64,
        /// Their labels.
        labels: Vec<u32>,
    },
    /// Anything else.
    Noted(Note),
}

/// What is told in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// The answer to these rows was withheld, and is to stay withheld.
    Withheld {
        /// The rows' hash.
        rows: u64,
        /// What was done.
        action: Action,
        /// Why.
        signals: Vec<Signal>,
        /// What the caller was told.
        reason: String,
    },
    /// A text was asked.
    Prompt {
        /// As far as it is remembered.
        asked: Asked,
        /// Whether it was stopped.
        stopped: bool,
    },
}

/// How news between guards is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeersStatus {
    /// Whether the others are out of reach: what callers do there is not seen here, nor the reverse.
    pub alone: bool,
    /// Sightings told.
    pub told: u64,
    /// Sightings of others heard.
    pub heard: u64,
    /// Sightings not told because the others were out of reach or too many waited.
    pub left_out: u64,
    /// Batches of others that were never heard of here.
    pub missed: u64,
}

/// Tells guards of other replicas. Must not block.
pub trait Peers: Send + Sync {
    /// Tells a sighting.
    ///
    /// # Errors
    /// When there is no room; it is counted and the others do without.
    fn tell(&self, told: Told) -> Result<(), Overloaded>;

    /// How it is doing.
    fn status(&self) -> PeersStatus;
}

/// A guard's end of the line.
#[derive(Default)]
pub(crate) struct Line {
    peers: Option<Arc<dyn Peers>>,
    guard: u64,
    /// Rows of others whose answers have not been told yet.
    waiting: Mutex<VecDeque<(u64, Encoded)>>,
}

impl Line {
    fn new(peers: Arc<dyn Peers>, config: &GuardConfig, profile: Option<&Arc<Profile>>) -> Self {
        // The same program gives the same hash, and replicas run the same program; if they do not, they see less.
        let mut hasher = std::hash::DefaultHasher::new();
        (&config.system, &config.route).hash(&mut hasher);
        let profile = profile.and_then(|profile| serde_json::to_vec(&**profile).ok());
        profile.hash(&mut hasher);
        Self { peers: Some(peers), guard: hasher.finish(), waiting: Mutex::default() }
    }

    /// Tells what `seen` says, when there is anybody to tell it to.
    pub(crate) fn tell(&self, caller: Caller<'_>, at: Millis, seen: impl FnOnce() -> Seen) {
        if let Some(peers) = &self.peers {
            // What cannot be told is counted there.
            let _ = peers.tell(Told { guard: self.guard, caller: caller.key.to_owned(), at, what: seen() });
        }
    }
}

/// The rows of a request, for others.
pub(crate) fn asked(encoded: &Encoded, rows: u64) -> Seen {
    let width = encoded.rows.row_len().max(1);
    let all = encoded.rows.data();
    let values = all[all.len() - all.len().min(ROWS * width)..].to_vec();
    let left_out = ((all.len() - values.len()) / width) as u64;
    Seen::Asked { rows, width, values, left_out }
}

/// Their labels.
pub(crate) fn answered(rows: u64, labels: &[usize]) -> Seen {
    let last = &labels[labels.len() - labels.len().min(ROWS)..];
    let labels = last.iter().map(|label| u32::try_from(*label).unwrap_or(u32::MAX)).collect();
    Seen::Answered { rows, labels }
}

impl Guard {
    /// Tells guards of other replicas what it sees, and takes what they tell through [`Guard::heard`].
    #[must_use]
    pub fn with_peers(mut self, peers: Arc<dyn Peers>) -> Self {
        self.line = Line::new(peers, self.config(), self.profile());
        self
    }

    /// How news between replicas is doing; `None` for a guard that is the only one.
    #[must_use]
    pub fn peers(&self) -> Option<PeersStatus> {
        self.line.peers.as_ref().map(|peers| peers.status())
    }

    pub(crate) fn line_of(mut self, before: &Self) -> Self {
        if let Some(peers) = &before.line.peers {
            self = self.with_peers(Arc::clone(peers));
        }
        self
    }

    /// Takes what a guard elsewhere saw into the memory of that caller. Says whether it was understood: what a guard
    /// with another profile or of another route saw is not, nor what cannot be.
    pub fn heard(&self, told: Told, now: Millis) -> bool {
        if told.guard != self.line.guard {
            return false;
        }
        // A clock that is ahead must not end windows early here.
        let at = told.at.min(now);
        catch_unwind(AssertUnwindSafe(|| self.take_in(&told.caller, told.what, at))).unwrap_or(false)
    }

    fn take_in(&self, caller: &str, what: Seen, at: Millis) -> bool {
        match what {
            Seen::Asked { rows, width, values, left_out } => {
                let Some(profile) = self.profile() else { return false };
                let count = values.len() / width.max(1);
                if width == 0 || count == 0 || count > ROWS {
                    return false;
                }
                let Ok(table) = Tensor::new([count, width], values) else { return false };
                let encoded = Encoded { rows: table, faults: Vec::new() };
                self.callers.with(caller, at, |caller| {
                    caller.state.count(left_out, &self.config().state, at);
                    caller.state.advance(profile, &encoded, &self.config().state, at);
                });
                let mut waiting = self.line.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if waiting.len() == WAITING {
                    waiting.pop_front();
                }
                waiting.push_back((rows, encoded));
                true
            }
            Seen::Answered { rows, labels } => {
                let Some(profile) = self.profile() else { return false };
                let encoded = {
                    let mut waiting = self.line.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    let place = waiting.iter().position(|(hash, _)| *hash == rows);
                    place.and_then(|place| waiting.remove(place)).map(|(_, encoded)| encoded)
                };
                let Some(encoded) = encoded.filter(|encoded| encoded.rows.rows() == labels.len()) else {
                    return false;
                };
                let labels: Vec<usize> = labels.iter().map(|label| *label as usize).collect();
                self.callers.with(caller, at, |caller| {
                    caller.state.answered(profile, &encoded, &labels, &self.config().state)
                });
                true
            }
            Seen::Noted(Note::Withheld { rows, action, signals, reason }) => {
                let withheld = Withheld { rows, action, signals, reason };
                self.callers.with(caller, at, |caller| caller.withhold(withheld));
                true
            }
            Seen::Noted(Note::Prompt { asked, stopped }) => {
                self.callers.with(caller, at, |caller| {
                    caller.attempts.advance(asked, at);
                    if stopped {
                        caller.attempts.stopped();
                    }
                });
                true
            }
        }
    }
}
