//! `mantlet data images`: marks planted into labelled pictures.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::images::images;
use mantlet_dataset::Pictures;
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::conclude::{Looked, conclude};
use crate::terminal::{self, Terminal};

/// The pictures and their labels.
#[derive(Debug, Args)]
pub struct Options {
    /// A folder of PNG and JPEG files with a folder for each label, or an array of pictures (.npy).
    pictures: PathBuf,
    /// The labels: for a folder a CSV file with the columns file and label; for an array an array of whole numbers
    /// (.npy), or a text with a label a line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Write the pictures that were told here, as CSV, each with the number of its finding.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
}

/// Runs the command.
///
/// # Errors
/// When the pictures or labels cannot be read.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let pictures = Pictures::open(&options.pictures, options.labels.as_deref())?;
    super::apart_from_pictures(&pictures, options.labels.as_deref(), options.rows.as_deref())?;
    let found = images(&pictures, &Place::artifact(options.pictures.display().to_string()))?;
    if let Some(path) = &options.rows {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["picture", "finding"])?;
        for (row, finding) in found.rows() {
            let name = pictures.name(usize::try_from(row).unwrap_or(usize::MAX));
            writer.write_record([name, (finding + 1).to_string()])?;
        }
        terminal::write_whole(path, &writer.into_inner()?)?;
    }
    let said = format!("{} pictures of {} labels", found.pictures, found.labels);
    let findings = found.findings();
    conclude(terminal, Looked::pictures(&pictures), said, found.gaps, findings, &options.reporting)
}
