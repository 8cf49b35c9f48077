//! Runtime detectors: what one exchange, or the stream of exchanges of one caller, gives away.
//!
//! Three layers. [`Profile`] is what is known of honest traffic: it is learned once from the training table
//! and signed with the passport. [`CallerState`] is what is remembered of one caller: bounded, serialisable,
//! and advanced one row at a time, so that cutting a stream into other batches changes nothing. The rooms
//! ([`all`]) judge the facts of a row; they never see each other's signals. A confirmed attack is turned into
//! a [`PinnedRule`] by [`derive()`].
//!
//! [`text`] is about language: what a caller asks of a language model, what it is given to read, what it answers.
//!
//! Nothing here performs I/O or knows a clock or randomness: time, seeds and limits come in as values.

mod detector;
mod pinned;
mod profile;
mod rooms;
mod state;
pub mod text;

pub use detector::{Detector, Observation, Outcome};
pub use pinned::{
    Boundary, Constraint, Mark, Ordinary, Pin, PinError, PinnedRule, Shown, Trace, TraceError, TraceRow,
    derive, derive_from, side_by_side,
};
pub use profile::{
    Column, Encoded, Honest, InputProfile, Learning, Plan, Profile, ProfileError, SKETCH, SchemaFault,
    Typical,
};
pub use rooms::{
    abouts, all, configurable, dependency_lost, guard_rule_failed, request_malformed, traffic_unseen,
};
pub use state::{CallerState, RowFacts, StateLimits};
