//! The console holds its promises over HTTP and in a real browser.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what broke by panicking"
)]

mod batches;
mod browser;
mod driver;
mod pages;
mod shelf;
mod web;
mod world;
