//! `mantlet data labels`: rows whose label out-of-sample predictions contradict.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::Roles;
use mantlet_curate::labels::{Asked, Found, labels};
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::conclude::{Looked, conclude};
use crate::commands::tables;
use crate::exit::Usage;
use crate::terminal::{self, Terminal};

/// The table, and where probabilities come from.
#[derive(Debug, Args)]
pub struct Options {
    /// The table: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The column with the label.
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// The column that says who delivered a row.
    #[arg(long, value_name = "COLUMN")]
    feed: Option<String>,
    /// The column that says who labelled a row.
    #[arg(long, value_name = "COLUMN")]
    labeler: Option<String>,
    /// A column that is no feature.
    #[arg(long, value_name = "COLUMN")]
    without: Vec<String>,
    /// The column with the probability of a class, from a model that did not learn from the row; one for each class.
    /// Without them, models are trained here on the other parts of the table.
    #[arg(long, value_name = "CLASS=COLUMN")]
    probability: Vec<String>,
    /// Write the flagged rows here, as CSV.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
}

/// Runs the command.
///
/// # Errors
/// When the table cannot be read, or a column cannot play its role.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let pair = |text: &String| {
        let (class, column) = text
            .split_once('=')
            .ok_or_else(|| Usage(format!("--probability is CLASS=COLUMN, not `{text}`")))?;
        Ok((class.to_owned(), column.to_owned()))
    };
    let asked = Asked {
        roles: Roles {
            label: options.label.clone(),
            feed: options.feed.clone(),
            labeler: options.labeler.clone(),
            without: options.without.clone(),
            ..Roles::default()
        },
        probabilities: options.probability.iter().map(pair).collect::<Result<_, Usage>>()?,
    };
    let dataset = tables::open(&options.tables)?;
    let found = labels(&dataset, &asked)?;
    if let Some(path) = &options.rows {
        write(path, &found)?;
    }
    let findings = found.findings(&Place::artifact(dataset.name()));
    let by =
        if asked.probabilities.is_empty() { "boosted trees, out of fold" } else { "given probabilities" };
    let said = format!("{} rows, {} classes, {by}", found.rows.len(), found.classes.len());
    conclude(terminal, Looked::table(&dataset), said, found.gaps, findings, &options.reporting)
}

fn write(path: &Path, found: &Found) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["row", "given", "likely", "margin"])?;
    for row in &found.confident.rows {
        let word = |class: usize| found.classes.get(class).cloned().unwrap_or_default();
        let number = found.rows.get(row.row).map_or(0, |row| row + 1);
        writer.write_record([
            number.to_string(),
            word(row.given),
            word(row.meant),
            format!("{:.6}", row.margin),
        ])?;
    }
    terminal::write_whole(path, &writer.into_inner()?)
}
