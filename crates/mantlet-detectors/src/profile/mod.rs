//! What is known of honest traffic: schema, ranges, how typical rows look, and how honest streams behave.

mod encode;
mod learn;
mod linear;
mod space;
mod typical;

use serde::{Deserialize, Serialize};

pub use encode::{Encoded, Plan, SchemaFault};
pub use learn::Learning;
pub use space::SKETCH;
pub use typical::{Honest, Typical};

/// Why no profile could be learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Too few rows.
    #[error("{found} rows are too few to learn a profile from, at least {needed} are needed")]
    Rows {
        /// Rows given.
        found: usize,
        /// Rows needed.
        needed: usize,
    },
    /// Inputs, labels or scores disagree about the number of rows.
    #[error("`{what}` has {found} rows, the first input {expected}")]
    Uneven {
        /// Which.
        what: String,
        /// Its rows.
        found: usize,
        /// The rows expected.
        expected: usize,
    },
    /// A column has no value at all.
    #[error("`{what}` has no finite value")]
    Empty {
        /// Which column.
        what: String,
    },
    /// More columns than a profile can hold.
    #[error("{found} columns are more than the limit of {limit}")]
    Columns {
        /// Columns given.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

/// What honest traffic looks like. Learned by [`Profile::learn`], stored as JSON, signed with the passport.
///
/// It holds statistics, cluster centres and thresholds, no rows of the training table; where a class or a
/// category has very few rows, a centre can still come close to one of them, so treat it like the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Version of this format.
    pub format: u32,
    /// Rows it was learned from.
    pub rows: u64,
    /// The inputs, in the model's order.
    pub inputs: Vec<InputProfile>,
    /// Class names, when the model is a classifier.
    pub classes: Vec<String>,
    /// Share of each class in the training labels, when known.
    pub priors: Vec<f64>,
    /// The false-positive rate a single honest row has of being called an outlier.
    pub outlier_rate: f64,
    /// How typical rows look.
    pub typical: Typical,
    /// How honest streams behave.
    pub honest: Honest,
}

/// One input of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputProfile {
    /// Its name in the model's signature.
    pub name: String,
    /// `number`, `integer`, `boolean` or `text`.
    pub kind: String,
    /// Shape of one row, without the batch axis.
    pub shape: Vec<usize>,
    /// One entry a value of the row.
    pub columns: Vec<Column>,
    /// Whether all values share one unit (pixels, embeddings), so that their ranges are pooled.
    pub homogeneous: bool,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Column {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
    /// The 1st, 50th and 99th percentile.
    pub percentiles: [f64; 3],
    /// Whether every value is a whole number.
    pub integer: bool,
    /// Share of missing values.
    pub missing: f64,
    /// Texts seen, with their share, when few enough to be categories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<(String, f64)>,
}

/// Numbers a row must have before three rows on a line are no accident.
const WIDE: usize = 16;

impl Profile {
    /// Whether a single row on a straight line through two earlier ones is a bisection for certain: rows are wide, and
    /// simulated honest sessions never had one.
    #[must_use]
    pub const fn lines_are_sure(&self) -> bool {
        self.honest.aligned == 0 && self.typical.width >= WIDE
    }

    /// The extraction budget this profile proposes: new rows a key may ask about in one window. A copy needs
    /// about as many answers as the model had training rows, so twice that is where asking turns into copying;
    /// never fewer than 2,000, below which ordinary use would be counted out.
    #[must_use]
    pub fn proposed_budget(&self) -> u64 {
        self.rows.saturating_mul(2).max(2_000)
    }
}
