//! Model server, gateway and client on loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod failures;
mod faults;
mod flow;
mod limits;
mod peer;
mod reload;
mod rollout;
mod service;
mod step_up;
mod text;
mod tokens;
mod transport;
mod upstreams;
mod world;
