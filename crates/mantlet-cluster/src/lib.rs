//! Counts of a table by DataFusion: in this process, or spread over executors that a scheduler keeps busy.
//!
//! One plan everywhere. A scan reads the table with the readers of `mantlet-dataset`, so every engine reads every format
//! alike. For drift a scalar function `bucket` turns each value into a cell of the stored profile and an aggregate
//! `tally` adds cells up; every other pass is an aggregate `gather`, which counts as the job of the plan says. All sums
//! are of whole numbers, the same in any order: a lost executor's share is done again by the others. `gather` runs the
//! plan in this process, or on the cluster of a `Scheduler` and its `executor`s (Apache Ballista). Executors count only
//! with profiles whose signature they trust (`Vouching`).
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
mod codec;
#[cfg(feature = "engine")]
mod error;
#[cfg(feature = "engine")]
mod executor;
#[cfg(feature = "engine")]
mod fence;
#[cfg(feature = "engine")]
mod gather;
#[cfg(feature = "engine")]
mod known;
#[cfg(feature = "engine")]
mod plan;
#[cfg(feature = "engine")]
mod scan;
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
    client::{Asked, COLUMNS, ROOM, gather, gather_parts},
    error::ClusterError,
    executor::{Executor, executor},
    fence::Roots,
    known::Vouching,
    scheduler::Scheduler,
    trust::Trust,
};
