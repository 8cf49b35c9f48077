//! The analysis of a rollout: exchanges in; traffic moved, and everything recorded.
//!
//! [`Analyst`] does the work and knows no timer: it takes observations and is told the time. [`start`] runs it as a
//! task with a bounded queue. A candidate that does worse is taken back the moment the evidence says so, not at
//! the next tick; if the version to return to cannot be verified, the path's decisions go to people instead.

mod analyst;
mod observe;
mod run;

#[cfg(test)]
mod tests;

pub use analyst::{Analyst, Done, Traffic};
pub use observe::{observation, output_of};
pub use run::{RolloutHandle, RolloutSink, start};
