//! The program as people and scripts meet it: its commands, exit codes and messages, and what is left behind when it
//! is interrupted, killed or given nothing to write to.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking, and a test program has no outside"
)]

#[cfg(feature = "remote")]
mod addresses;
mod attacks;
mod believed;
mod cluster;
mod data;
mod demo;
mod dialects;
#[cfg(feature = "cluster")]
mod engines;
mod faults;
mod gates;
mod history;
mod incidents;
mod influences;
mod integrations;
mod killed;
mod ledger;
mod looked;
mod mislabelled;
mod monitor;
mod pictures;
mod planted;
mod profiles;
mod program;
mod promises;
mod ranges;
mod record;
mod reviews;
mod rollouts;
mod routes;
mod running;
mod scan;
mod systems;
mod versions;
mod watch;
mod watching;
mod weights;
