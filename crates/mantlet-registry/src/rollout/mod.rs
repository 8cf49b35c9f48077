//! Putting a version before users step by step, and taking it back when it does worse.
//!
//! ```text
//! shadow -> canary 1 % -> canary 5 % -> ... -> promoted
//!    \__________\______________\______ rolled back (a metric is worse) | aborted (a person's wish)
//! ```
//!
//! Everything here is a function of its arguments: observations and instants come in, a [`Verdict`] comes out.
//! [`Evidence`] compares the candidate with the version that serves by a test that may be looked at after every
//! observation; [`Plan::false_rollback`] bounds how often a version that is no worse than the plan allows is
//! taken back, over the whole rollout and every look together. Whatever is missing (samples, figures, time)
//! holds the rollout where it is; only evidence takes it back, and only enough samples take it on.

mod bet;
mod evidence;
mod plan;
mod record;
mod sampler;

pub use bet::Bet;
pub use evidence::{Arm, Evidence, Metric, Observation, Standing, Tally};
pub use plan::{Margins, Outputs, Plan, PlanError, Step};
pub use record::{Hold, Phase, Rollout, RolloutLine, Verdict, Worse};
pub use sampler::Sampler;
