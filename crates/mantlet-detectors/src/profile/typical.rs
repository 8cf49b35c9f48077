//! How typical a row is: distance to the nearest cluster of training rows, and regularised Mahalanobis distance.

use serde::{Deserialize, Serialize};

use super::linear::{nearest, spread};

/// How typical rows look, in the profile's space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typical {
    /// Numbers a row is compared by.
    pub width: usize,
    /// Cluster centres, row after row.
    pub centres: Vec<f32>,
    /// The whitening matrix, row after row: scaled eigenvectors of the regularised covariance.
    pub whiten: Vec<f32>,
    /// What the two distances are divided by: their 95th percentiles on rows kept aside.
    pub units: [f32; 2],
    /// Order statistics of the score on rows kept aside, ascending.
    pub scores: Vec<f32>,
    /// Rows kept aside.
    pub aside: u64,
    /// The score from which a row is an outlier, at the profile's `outlier_rate`.
    pub threshold: f32,
}

/// How honest streams behave: the largest values seen in simulated honest sessions, and the thresholds that
/// follow from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Honest {
    /// Rows nearer than this are the same thing, slightly changed.
    pub radius: f32,
    /// Most near rows seen at once.
    pub near: u32,
    /// Most rows on straight lines seen at once.
    pub aligned: u32,
    /// Most rare rows seen among the last sixteen new ones.
    pub rare: u32,
    /// Most evidence seen.
    pub evidence: f64,
    /// Near rows from which a stream is a local search.
    pub near_needed: u32,
    /// Rows on straight lines from which a stream is a walk.
    pub aligned_needed: u32,
    /// Evidence from which a stream is not honest traffic.
    pub evidence_needed: f64,
}

impl Typical {
    /// The score of a row: the larger of its two distances in units of their 95th percentile.
    #[must_use]
    pub fn score(&self, row: &[f32]) -> f32 {
        let (_, near) = nearest(row, &self.centres, self.width);
        let spread = spread(row, &self.whiten, self.width);
        let score = (near.sqrt() / self.units[0]).max(spread.sqrt() / self.units[1]);
        if score.is_finite() { score } else { f32::MAX }
    }

    /// The share of honest rows with at least this score, never below one in the rows kept aside.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    pub fn rarity(&self, score: f32) -> f64 {
        let below = self.scores.partition_point(|&other| other < score);
        let share = (self.scores.len() - below) as f64 / self.scores.len().max(1) as f64;
        let n = self.aside as f64;
        share.mul_add(n, 1.0) / (n + 1.0)
    }
}
