//! `mantlet data triggers`: phrases, letters and values that decide a label against everything else.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::Roles;
use mantlet_curate::triggers::triggers;
use mantlet_datachecks::trigger::Limits;
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::conclude::{Looked, conclude};
use crate::commands::tables;
use crate::terminal::Terminal;

/// The table, and what its columns stand for.
#[derive(Debug, Args)]
pub struct Options {
    /// The table: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The column with the label.
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// The column with the text; without it pairs of values are looked for.
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// A column that is not looked at: a row number, a feed, a time.
    #[arg(long, value_name = "COLUMN")]
    without: Vec<String>,
    /// Rows a trigger has at least.
    #[arg(long, value_name = "N", default_value_t = Limits::default().rows)]
    least: u64,
    #[command(flatten)]
    reporting: Reporting,
}

/// Runs the command.
///
/// # Errors
/// When the table cannot be read, or a column is missing.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let roles = Roles { label: options.label.clone(), without: options.without.clone(), ..Roles::default() };
    let dataset = tables::open(&options.tables)?;
    let limits = Limits { rows: options.least.max(3), ..Limits::default() };
    let found = triggers(&dataset, &roles, options.text.as_deref(), &limits)?;
    let findings = found.findings(&Place::artifact(dataset.name()));
    let said = format!("{} rows, {} labels", found.rows, found.beside.len());
    conclude(terminal, Looked::table(&dataset), said, found.gaps, findings, &options.reporting)
}
