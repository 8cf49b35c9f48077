//! `mantlet deps check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use mantlet_vocab::Examination;

use crate::cli::Reporting;
use crate::protect::take_in;
use crate::terminal::Terminal;
use crate::{config, exit};

/// What to do with dependencies.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check lock files for pins, hashes, addresses and look-alike names. Nothing is contacted; advisories are
    /// not consulted yet.
    Check {
        /// Lock files, or folders with mantlet.toml.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        reporting: Reporting,
    },
}

/// Runs the command.
///
/// # Errors
/// When a folder has no valid configuration, or the report cannot be written.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Check { paths, reporting } = command;
    let mut examination = Examination::default();
    for path in paths {
        if path.is_dir() {
            let loaded = config::load(&path)?;
            for lock in &loaded.config.dependencies.lock {
                examination.merge(take_in::lock(&loaded.path(lock)));
            }
        } else {
            examination.merge(take_in::lock(&path));
        }
    }
    super::report(terminal, &examination, &reporting)?;
    Ok(exit::verdict(examination.verdict(reporting.threshold)))
}
