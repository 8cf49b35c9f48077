//! `mantlet data texts`: what a model would learn from texts and give away or obey.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::texts::texts;
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::conclude::{Looked, conclude};
use crate::commands::tables;
use crate::terminal::{self, Terminal};

/// The table, and what its columns stand for.
#[derive(Debug, Args)]
pub struct Options {
    /// The table: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The column with the text.
    #[arg(long, value_name = "COLUMN")]
    text: String,
    /// The column that says who delivered a row.
    #[arg(long, value_name = "COLUMN")]
    feed: Option<String>,
    /// A word or phrase that must not be learned.
    #[arg(long, value_name = "WORDS")]
    term: Vec<String>,
    /// Write the rows with a hit here, as CSV, with the rules that hit and never what they found.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
}

/// Runs the command.
///
/// # Errors
/// When the table cannot be read, or a column is missing.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let dataset = tables::open(&options.tables)?;
    tables::apart(dataset.files(), &[("rows", options.rows.as_deref())])?;
    let found = texts(&dataset, &options.text, options.feed.as_deref(), &options.term)?;
    if let Some(path) = &options.rows {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["row", "rules"])?;
        for (row, rules) in &found.found {
            writer.write_record([(row + 1).to_string(), rules.join(" ")])?;
        }
        terminal::write_whole(path, &writer.into_inner()?)?;
    }
    let said = format!("{} texts, {} with something a model should not learn", found.rows, found.found.len());
    let findings = found.findings(&Place::artifact(dataset.name()));
    conclude(terminal, Looked::table(&dataset), said, found.gaps, findings, &options.reporting)
}
