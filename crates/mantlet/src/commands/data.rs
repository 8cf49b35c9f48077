//! `mantlet data check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use mantlet_vocab::Examination;

use crate::cli::Reporting;
use crate::protect::take_in;
use crate::terminal::Terminal;
use crate::{config, exit};

/// What to do with data.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a table for missing, repeated, conflicting, leaking and flipped rows.
    Check {
        /// A CSV or Parquet file, or a folder with mantlet.toml.
        path: PathBuf,
        /// The column that holds the label; the configuration's for a folder.
        #[arg(long)]
        label: Option<String>,
        #[command(flatten)]
        reporting: Reporting,
    },
}

/// Runs the command.
///
/// # Errors
/// When the folder has no valid configuration, or the report cannot be written.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Check { path, label, reporting } = command;
    let mut examination = Examination::default();
    if path.is_dir() {
        let loaded = config::load(&path)?;
        let Some(data) = &loaded.config.data else {
            anyhow::bail!("{} names no data: add `data.train`", loaded.file.display());
        };
        let label = label.or_else(|| data.label.clone());
        for table in std::iter::once(&data.train).chain(&data.test) {
            examination.merge(take_in::table(&loaded.path(table), label.as_deref()));
        }
    } else {
        examination = take_in::table(&path, label.as_deref());
    }
    super::report(terminal, &examination, &reporting)?;
    Ok(exit::verdict(examination.verdict(reporting.threshold)))
}
