//! `mantlet data labels`: rows whose label out-of-sample predictions contradict.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::Roles;
use mantlet_curate::labels::{Asked, Found, labels};
use mantlet_dataset::Pictures;
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::conclude::{Looked, conclude};
use crate::commands::tables;
use crate::exit::Usage;
use crate::terminal::{self, Terminal};

/// The table, and where probabilities come from.
#[derive(Debug, Args)]
pub struct Options {
    /// The table: files (CSV, JSON Lines, Parquet, Arrow), or folders of them; with `--pictures` a folder of PNG and
    /// JPEG files with a folder for each label, or an array of pictures (.npy).
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The column with the label.
    #[arg(long, value_name = "COLUMN", required_unless_present = "pictures")]
    label: Option<String>,
    /// The column with a text whose words say what a row is, instead of the other columns.
    #[arg(long, value_name = "COLUMN", conflicts_with = "probability")]
    text: Option<String>,
    /// These are pictures.
    #[arg(long, conflicts_with_all = ["label", "text", "feed", "labeler", "without", "probability"])]
    pictures: bool,
    /// The labels of pictures: for a folder a CSV file with the columns file and label; for an array an array of whole
    /// numbers (.npy), or a text with a label a line.
    #[arg(long, value_name = "FILE", requires = "pictures")]
    labels: Option<PathBuf>,
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
    if options.pictures {
        return pictures(terminal, options);
    }
    let pair = |text: &String| {
        let (class, column) = text
            .split_once('=')
            .ok_or_else(|| Usage(format!("--probability is CLASS=COLUMN, not `{text}`")))?;
        Ok((class.to_owned(), column.to_owned()))
    };
    let asked = Asked {
        roles: Roles {
            label: options.label.clone().unwrap_or_default(),
            feed: options.feed.clone(),
            labeler: options.labeler.clone(),
            without: options.without.clone(),
            ..Roles::default()
        },
        probabilities: options.probability.iter().map(pair).collect::<Result<_, Usage>>()?,
        text: options.text.clone(),
    };
    let dataset = tables::open(&options.tables)?;
    tables::apart(dataset.files(), &[("rows", options.rows.as_deref())])?;
    let found = labels(&dataset, &asked)?;
    if let Some(path) = &options.rows {
        write(path, &found)?;
    }
    let findings = found.findings(&Place::artifact(dataset.name()));
    let said = format!("{} rows, {} classes, {}", found.rows.len(), found.classes.len(), asked.by());
    conclude(terminal, Looked::table(&dataset), said, found.gaps, findings, &options.reporting)
}

fn pictures(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let [path] = options.tables.as_slice() else {
        return Err(Usage("name one folder or array of pictures".to_owned()).into());
    };
    let pictures = Pictures::open(path, options.labels.as_deref())?;
    super::apart_from_pictures(&pictures, options.labels.as_deref(), options.rows.as_deref())?;
    let found = mantlet_curate::labels::pictures(&pictures)?;
    if let Some(path) = &options.rows {
        write(path, &found)?;
    }
    let findings = found.findings(&Place::artifact(path.display().to_string()));
    let said = format!(
        "{} pictures, {} labels, a small network, out of fold",
        found.rows.len(),
        found.classes.len()
    );
    conclude(terminal, Looked::pictures(&pictures), said, found.gaps, findings, &options.reporting)
}

fn write(path: &Path, found: &Found) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Pictures have a name instead of a number.
    let first = if found.names.is_empty() { "row" } else { "picture" };
    writer.write_record([first, "given", "likely", "margin"])?;
    for (at, row) in found.confident.rows.iter().enumerate() {
        let word = |class: usize| found.classes.get(class).cloned().unwrap_or_default();
        let number = found.rows.get(row.row).map_or(0, |row| row + 1);
        writer.write_record([
            found.names.get(at).cloned().unwrap_or_else(|| number.to_string()),
            word(row.given),
            word(row.meant),
            format!("{:.6}", row.margin),
        ])?;
    }
    terminal::write_whole(path, &writer.into_inner()?)
}
