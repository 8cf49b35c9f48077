//! The command line of mantlet: one program from the data a model learns from to the decision it makes.
#![expect(
    unreachable_pub,
    reason = "a binary has no outside; `pub` marks what a module offers its neighbours"
)]

mod cli;
mod commands;
mod config;
mod deploy;
mod engine;
mod exit;
mod infer;
mod protect;
mod runtime;
mod terminal;

use std::process::ExitCode;

/// A gateway allocates for each exchange, and another thread frees what it records of it: what this allocator is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
