//! `mantlet demo`.
mod sink;
use crate::terminal::Terminal;
use std::process::ExitCode;
/// Options.
#[derive(Debug, clap::Args)]
pub struct Options {}
/// Runs.
pub fn run(_terminal: Terminal, _options: Options) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
