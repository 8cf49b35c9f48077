//! Counts of a table by DataFusion: in this process, or spread over executors that a scheduler keeps busy.
//!
//! One plan everywhere. `sql` is the text: a scalar function `bucket(column, profile)` turns each value into a cell,
//! an aggregate `tally` adds cells up as whole numbers, and `Tally` turns the sums into the
//! very counts that `mantlet-dataset` makes when it streams the table. `count_here` runs it in this process,
//! `count_there` on the cluster of a `Scheduler` and its `executor`s (Apache Ballista). A lost executor's share is
//! done again by the others; sums of whole numbers are the same in any order.
//!
//! Scheduler, executors and clients speak TLS and show each other certificates that only holders of the cluster's
//! token can make (`Trust`). What plans may read is fenced in by `Roots`, and nothing may be written.
//!
//! All of it stands behind the feature `engine`; without it this crate is empty.

#[cfg(feature = "engine")]
mod bounds;
#[cfg(feature = "engine")]
mod bucket;
#[cfg(feature = "engine")]
mod client;
#[cfg(feature = "engine")]
mod error;
#[cfg(feature = "engine")]
mod executor;
#[cfg(feature = "engine")]
mod fence;
#[cfg(feature = "engine")]
mod plan;
#[cfg(feature = "engine")]
mod scheduler;
#[cfg(feature = "engine")]
mod session;
#[cfg(feature = "engine")]
mod sum;
#[cfg(feature = "engine")]
mod trust;

#[cfg(feature = "engine")]
pub use self::{
    bounds::Bounds,
    client::{count_here, count_there},
    error::ClusterError,
    executor::{Executor, executor},
    fence::Roots,
    plan::sql,
    scheduler::Scheduler,
    trust::Trust,
};
