//! Checks of training data over a bounded summary of a table.
//!
//! Rows are fed one by one into a [`TableSummary`]; the rooms look at the summary only, so a table of any length is
//! checked in bounded memory. Opening files and decoding CSV or Parquet is the caller's business.

pub mod abuse;
pub mod again;
mod cell;
pub mod datacheck;
pub mod feed;
pub mod feedback;
pub mod flood;
pub mod gallery;
pub mod image;
mod infer;
pub mod influence;
mod kept;
pub mod label;
pub mod relation;
pub mod schema;
pub mod split;
mod summary;
pub mod trigger;
pub mod version;

use mantlet_vocab::{About, ArtifactSummary, Coverage, Digest, Examination, Finding, Place};

pub use cell::{Cell, ColumnSpec, Kind};
pub use infer::infer;
pub use kept::KeptRow;
pub use summary::{ClassCounts, ColumnSummary, Duplicates, Limits, TableSummary};

/// Every finding of every room, in report order.
#[must_use]
pub fn check(summary: &TableSummary, place: Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in datacheck::all() {
        (room.check)(summary, &place, &mut found);
    }
    Finding::sort(&mut found);
    found
}

/// The same as an examination that says how much of the table was looked at.
#[must_use]
pub fn examine(
    summary: &TableSummary,
    place: Place,
    size: u64,
    digest: Option<Digest>,
    format: &str,
) -> Examination {
    let gaps = summary.gaps(&place);
    let artifact = ArtifactSummary {
        path: place.artifact.clone(),
        size,
        digest,
        formats: vec![format.to_owned()],
        said: Default::default(),
        coverage: if gaps.is_empty() { Coverage::Complete } else { Coverage::Partial { gaps } },
    };
    Examination { artifacts: vec![artifact], findings: check(summary, place), ..Examination::default() }
}

/// What every room of this crate says about itself.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    let abuse = abuse::all().iter().map(|room| room.about);
    let again = again::all().iter().map(|room| room.about);
    let influence = influence::all().iter().map(|room| room.about);
    let labels = label::all().iter().map(|room| room.about);
    let floods = flood::all().iter().map(|room| room.about);
    let feedback = feedback::all().iter().map(|room| room.about);
    let galleries = gallery::all().iter().map(|room| room.about);
    let images = image::all().iter().map(|room| room.about);
    let relations = relation::all().iter().map(|room| room.about);
    let schemas = schema::all().iter().map(|room| room.about);
    let splits = split::all().iter().map(|room| room.about);
    let versions = version::all().iter().map(|room| room.about);
    let triggers = trigger::all().iter().map(|room| room.about);
    let feeds = feed::all().iter().map(|room| room.about);
    datacheck::all()
        .iter()
        .map(|room| room.about)
        .chain(abuse)
        .chain(again)
        .chain(feeds)
        .chain(feedback)
        .chain(floods)
        .chain(galleries)
        .chain(images)
        .chain(influence)
        .chain(labels)
        .chain(relations)
        .chain(schemas)
        .chain(splits)
        .chain(triggers)
        .chain(versions)
        .collect()
}
