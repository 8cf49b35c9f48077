//! The words every other crate of mantlet speaks: what a room says about itself, what it found, where,
//! how bad and how sure, and the values that travel between a caller and a model.
//!
//! This crate performs no I/O, knows no clock and no randomness. It is storey 0 of the house.

mod about;
pub mod catalogue;
mod decision;
mod digest;
mod examination;
mod exchange;
mod finding;
mod place;
mod relation;
mod severity;
mod signal;
mod source;
mod tensor;
mod time;
mod trees;

pub use about::{About, Explanation, HouseFault};
pub use decision::{Action, Decision, Detail, Mode, OnFailure};
pub use digest::{Digest, ParseDigestError};
pub use examination::{ArtifactSummary, Coverage, Examination, Gap, Verdict};
pub use exchange::{Exchange, Fragment, Kind, NamedValue, Piece, Reply, Request};
pub use finding::Finding;
pub use place::{Place, Span};
pub use relation::{Relation, Term};
pub use severity::{Confidence, Impact, Severity};
pub use signal::Signal;
pub use source::{MemorySource, Source, SourceError, SubSource, read_exact_at, read_window};
pub use tensor::{ShapeError, Tensor, Value};
pub use time::Millis;
pub use trees::{Aggregate, Compare, Node, Post, Tree, TreeEnsemble};
