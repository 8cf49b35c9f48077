//! `mantlet data floods`: near copies, and where they come from.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::Roles;
use mantlet_curate::floods::floods;
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
    /// The column with the text; without it whole rows are compared, numbers to two digits.
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// The column that says who delivered a row.
    #[arg(long, value_name = "COLUMN")]
    feed: Option<String>,
    /// The column with the batch, day or week of a row; without it every file is a batch.
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// The column with the label.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// A column that is not compared: a row number, a time.
    #[arg(long, value_name = "COLUMN")]
    without: Vec<String>,
    /// Write the rows of all told groups here, as CSV.
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
    let roles = Roles {
        label: options.label.clone().unwrap_or_default(),
        feed: options.feed.clone(),
        time: options.time.clone(),
        without: options.without.clone(),
        ..Roles::default()
    };
    let dataset = tables::open(&options.tables)?;
    tables::apart(dataset.files(), &[("rows", options.rows.as_deref())])?;
    let flooded = floods(&dataset, &roles, options.text.as_deref(), options.rows.is_some())?;
    if let Some(path) = &options.rows {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["row", "group"])?;
        for (row, group) in &flooded.rows {
            writer.write_record([(row + 1).to_string(), group.to_string()])?;
        }
        terminal::write_whole(path, &writer.into_inner()?)?;
    }
    let findings = flooded.findings(&Place::artifact(dataset.name()));
    let said = format!("{} rows, {} in groups of near copies", flooded.all(), flooded.flooded);
    conclude(terminal, Looked::table(&dataset), said, flooded.gaps, findings, &options.reporting)
}
