//! Tables of any length, streamed: the profile of a reference, and the counts of what came later.
//!
//! A [`Dataset`] is one table in one or many files (CSV, JSON Lines, Parquet, Arrow IPC), read in the order of the
//! files' names. Columns and their kinds are taken from the first file and pinned: a file that differs is an error
//! that names the column. Memory is a batch of rows and the counts, whatever the table's length.

mod coded;
mod decisions;
mod erring;
mod error;
mod gather;
mod grouped;
mod labels;
mod lane;
mod measure;
mod open;
mod parts;
mod pictures;
mod ranges;
mod read;
mod series;
mod vectors;
mod window;

pub use coded::{Chunk, Coding, Feature, Look, Looked, NO_LABEL, Sample, day};
pub use decisions::{
    Decided, Scored, Tallies, Truth, WINDOWS_MOST, Windows, reference, reference_by, windows, windows_by,
};
pub use erring::{Asked, erring};
pub use error::DatasetError;
pub use gather::{
    Counted, Engine, Gathered, Job, Pass, Prepared, Reference, Sketch, Sketched, Sketches, Stream, Worker,
    sketched_by,
};
pub use grouped::{Grouping, Groups, Placed, grouped, grouped_by};
pub use labels::{Came, LABELS_MOST, Labels, Late};
pub use lane::Lane;
pub use measure::{Judged, Measured, count, count_by, cube, cube_by, profile, profile_by, signal_cube_by};
pub use open::{Column, Dataset, Kind, is_table};
pub use parts::Part;
pub use pictures::{Frame, LABELS_OF_PICTURES, Pictures};
pub use ranges::{Summed, summed};
pub use series::{Series, Watching};
pub use vectors::Vectors;
pub use window::{Cut, Span};

/// Rows of a batch at most.
const BATCH: usize = 8192;
/// Cells of a batch, above [`FEW`] rows.
const CELLS: usize = 1 << 20;
/// Rows of a batch at least.
const FEW: usize = 64;
/// Bytes of text of which a batch is full.
const BATCH_BYTES: usize = 8 << 20;

/// Rows of a batch with so many columns.
pub(crate) fn batch_of(columns: usize) -> usize {
    (CELLS / columns.max(1)).clamp(FEW, BATCH)
}

/// Bytes of one row of a text format.
pub(crate) const ROW_MOST: u64 = 16 << 20;
/// Columns of a table.
pub(crate) const COLUMNS_MOST: usize = 10_000;
