//! The trait every detector room implements.

use mantlet_vocab::{About, Signal};

use crate::{Encoded, Profile, RowFacts};

/// What is known before the model is asked.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// What honest traffic looks like.
    pub profile: &'a Profile,
    /// The rows of the request.
    pub encoded: &'a Encoded,
    /// The facts of each row.
    pub rows: &'a [RowFacts],
    /// New rows the caller may ask about in one window.
    pub budget: Option<u64>,
}

/// What is known once the model has answered.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// What honest traffic looks like.
    pub profile: &'a Profile,
    /// The label of each row.
    pub labels: &'a [usize],
    /// Label flips between near rows in the caller's recent past, after each row.
    pub flips: &'a [u32],
}

/// A detector: facts in, at most one signal a request out.
pub trait Detector: Send + Sync {
    /// The room.
    fn about(&self) -> &'static About;

    /// Judges a request before the model is asked.
    fn look(&self, seen: &Observation<'_>) -> Option<Signal>;

    /// Judges it again once the model has answered.
    fn outcome(&self, _seen: &Outcome<'_>) -> Option<Signal> {
        None
    }
}
