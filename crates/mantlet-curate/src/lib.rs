//! Training data examined before a model learns from it.
//!
//! Tables are streamed (`mantlet-dataset`), expectations are learned from them, and the rooms of
//! `mantlet-datachecks` look at the counts.

mod coding;
mod error;
pub mod feedback;
pub mod feeds;
pub mod floods;
pub mod gallery;
pub mod images;
pub mod influence;
pub mod labels;
pub mod marks;
pub mod relations;
pub mod schema;
pub mod simulate;
pub mod split;
pub mod texts;
pub mod triggers;
pub mod unlike;
pub mod versions;
pub mod worth;

pub use coding::{Roles, keyed};
pub use error::CurateError;

/// A number between 0 and 1 that belongs to a row and a seed.
fn mix_share(row: u64, seed: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    {
        (mantlet_drift::mix(row ^ mantlet_drift::mix(seed)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
