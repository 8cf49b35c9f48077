//! Replicas against real servers, started here, killed here, and cut off by a proxy.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bus;
mod limits;
mod peers;
mod servers;
mod tls;
