//! Drift and segments: what changed between a reference and what came later, over mergeable counts.
//!
//! A [`Profile`] lays out buckets and holds the reference's [`Counts`]; whoever reads data turns values into codes
//! with [`Buckets`] and counts them with a [`Counter`]. Counts of any division of the rows add up to the same, so
//! reports are equal byte for byte however the work was spread. The rooms look at a [`Comparison`].

pub mod bytes;
mod compare;
mod counts;
mod cube;
pub mod decision;
pub mod drift;
pub mod fairness;
pub mod online;
pub mod performance;
mod profile;
pub mod range;
pub mod segment;
mod sketch;
pub mod statistic;
mod tally;
pub mod unlike;

use mantlet_vocab::About;

pub use compare::{Change, ColumnChange, Comparison, PairChange, Settings};
pub use counts::{Cells, Counter, Counts, pairs};
pub use cube::{Cell, Cube, DIMENSIONS, Dimension, Layout, Measure, RANK, SEGMENT_LEVELS};
pub use profile::{
    Buckets, CROSSED, ColumnProfile, Dictionary, LEVELS, MISSING, NEW, PROFILE_VERSION, Profile, TAIL,
    crossed,
};
pub use sketch::{NumberSketch, WordSketch, mix, short};
pub use tally::Tally;

/// Why counts cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DriftError {
    /// The profile is of another version.
    #[error(
        "the profile has version {found}, not {PROFILE_VERSION}; make it anew with `mantlet monitor baseline`"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// A column of the profile contradicts itself.
    #[error("column `{column}` of the profile is damaged: {what}; make the profile anew")]
    Profile {
        /// The column.
        column: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A reference without labels of both kinds.
    #[error(
        "the reference has {negative} negative and {positive} positive labels; both kinds and {least} together are needed"
    )]
    Unlabelled {
        /// Negative ones.
        negative: u64,
        /// Positive ones.
        positive: u64,
        /// Needed.
        least: u64,
    },
    /// Counts and profile do not belong together.
    #[error("the counts are not of this profile")]
    Counts,
    /// Those who counted parts of a table did not read the same labels.
    #[error(
        "the tables of labels were not the same for all who counted; leave them alone meanwhile, and have the same ones \
         under their paths everywhere"
    )]
    Labels,
}

/// What every room of this crate says about itself.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    let segments = segment::all().iter().map(|room| room.about);
    let performance = performance::all().iter().map(|room| room.about);
    drift::all()
        .iter()
        .map(|room| room.about)
        .chain(segments)
        .chain(performance)
        .chain(decision::all().iter().map(|room| room.about))
        .chain(fairness::all().iter().map(|room| room.about))
        .chain(online::all().iter().map(|room| room.about))
        .chain(range::all().iter().map(|room| room.about))
        .chain(unlike::all().iter().map(|room| room.about))
        .collect()
}
