//! Reports hold their promises: layout, versions, links between rules and results, and that foreign text
//! stays text in every format.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

mod hostile;
mod layout;
mod sample;
mod sarif;
