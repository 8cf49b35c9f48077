//! The guard against attack streams and honest clients on the digits, and its laws.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod laws;
mod splits;
mod streams;
mod text;
mod world;
