//! What is remembered of one caller.

use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

use crate::{Encoded, Profile};

/// How much is remembered of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateLimits {
    /// Recent rows kept.
    pub trail: usize,
    /// Recent rows looked at for straight lines through the input space.
    pub lines: usize,
    /// Length of the window of the extraction budget in milliseconds.
    pub window_ms: u64,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { trail: 64, lines: 24, window_ms: 24 * 3_600_000 }
    }
}

/// What is remembered of one caller: bounded by [`StateLimits`], serialisable, advanced one row at a time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CallerState {
    /// Rows seen so far.
    pub rows: u64,
    /// When the last row came.
    pub last: Millis,
}

/// The facts of one row in the light of its caller's past.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RowFacts {
    /// The row's number in the caller's stream, counted from 1.
    pub row: u64,
    /// Outlier score; 1.0 is the calibrated threshold.
    pub outlier: f64,
    /// Exact repeats of this row among the rows remembered.
    pub repeats: u32,
    /// Distinct remembered rows very near this one.
    pub near: u32,
    /// Distance to the nearest distinct remembered row.
    pub nearest: f64,
    /// Rows of the recent past that lie on a straight line through two earlier ones.
    pub aligned: u32,
    /// Evidence that the stream is not honest traffic: natural logarithm of a betting martingale.
    pub evidence: f64,
    /// New rows asked about in the current budget window.
    pub spent: u64,
}

impl CallerState {
    /// Takes the rows of one request, before the model is asked.
    pub fn advance(
        &mut self,
        profile: &Profile,
        rows: &Encoded,
        limits: &StateLimits,
        now: Millis,
    ) -> Vec<RowFacts> {
        let _ = (profile, rows, limits, now);
        Vec::new()
    }

    /// Takes the labels the model gave to the rows of one request; says how many label flips stand between near
    /// rows in the recent past, after each row.
    pub fn answered(
        &mut self,
        profile: &Profile,
        rows: &Encoded,
        labels: &[usize],
        limits: &StateLimits,
    ) -> Vec<u32> {
        let _ = (profile, rows, labels, limits);
        Vec::new()
    }
}
