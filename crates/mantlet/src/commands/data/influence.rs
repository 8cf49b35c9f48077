//! `mantlet data influence`: what each feed does to a model's answers.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::Roles;
use mantlet_curate::influence::influence;
use mantlet_datachecks::influence::InfluenceSettings;
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
    /// The column with the label; the rarest value is looked at.
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// The column that says who delivered a row.
    #[arg(long, value_name = "COLUMN")]
    feed: String,
    /// A column that divides the rows into segments; without it every column of few words.
    #[arg(long, value_name = "COLUMN")]
    segment: Vec<String>,
    /// A column that is no feature: a row number, a score, a labeler, what is only known later.
    #[arg(long, value_name = "COLUMN")]
    without: Vec<String>,
    #[command(flatten)]
    reporting: Reporting,
}

/// Runs the command.
///
/// # Errors
/// When the table cannot be read, or a column cannot play its role.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let dataset = tables::open(&options.tables)?;
    let roles = Roles {
        label: options.label.clone(),
        feed: Some(options.feed.clone()),
        segments: options.segment.clone(),
        without: options.without.clone(),
        ..Roles::default()
    };
    let found = influence(&dataset, &roles)?;
    let findings = found.findings(InfluenceSettings::default(), &Place::artifact(dataset.name()));
    let said = format!("{} rows, {} models, {} effects", found.rows, found.models, found.effects.len());
    conclude(terminal, Looked::table(&dataset), said, found.gaps, findings, &options.reporting)
}
