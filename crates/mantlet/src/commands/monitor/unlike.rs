//! `mantlet monitor texts` and `mantlet monitor embeddings`: drift of what has no columns.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::unlike::{self, Told};
use mantlet_dataset::Pictures;
use mantlet_drift::unlike::{UnlikeSettings, look};
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::cluster::Alone;
use crate::commands::conclude::{Looked, conclude_kept};
use crate::commands::raise::Raising;
use crate::commands::tables;
use crate::exit::Usage;
use crate::terminal::Terminal;

/// When a drift is told.
#[derive(Debug, Args)]
struct Limits {
    /// The chance of a false alarm, between 0 and 0.5.
    #[arg(long, value_name = "SHARE", default_value_t = UnlikeSettings::default().alpha)]
    alpha: f64,
    /// How well new ones are told from those of the reference at least: 0.5 is chance, 1 always.
    #[arg(long, value_name = "SHARE", default_value_t = UnlikeSettings::default().least)]
    least: f64,
}

impl Limits {
    fn settings(&self) -> Result<UnlikeSettings, Usage> {
        super::within("alpha", self.alpha, 0.5)?;
        if !(self.least >= 0.5 && self.least < 1.0) {
            return Err(Usage(format!("--least is at least 0.5 and below 1, not {}", self.least)));
        }
        Ok(UnlikeSettings { alpha: self.alpha, least: self.least })
    }
}

/// New texts and a reference.
#[derive(Debug, Args)]
pub struct Texts {
    /// The new texts: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The reference.
    #[arg(long, value_name = "TABLE", required = true)]
    reference: Vec<PathBuf>,
    /// The column with the text.
    #[arg(long, value_name = "COLUMN")]
    text: String,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    alone: Alone,
    #[command(flatten)]
    raising: Raising,
    #[command(flatten)]
    reporting: Reporting,
}

/// New embeddings or pictures and a reference.
#[derive(Debug, Args)]
pub struct Embeddings {
    /// New embeddings, an array of rows (.npy); or a folder of pictures (PNG, JPEG) in folders.
    now: PathBuf,
    /// The reference, of the same kind.
    #[arg(long, value_name = "PATH")]
    reference: PathBuf,
    #[command(flatten)]
    alone: Alone,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    raising: Raising,
    #[command(flatten)]
    reporting: Reporting,
}

fn said(told: &Told) -> String {
    let [before, now] = told.0.rows;
    format!(
        "{now} {} told from {before} of the reference in {:.1} of 100 pairs",
        told.0.what,
        told.0.auc * 100.0
    )
}

pub(super) fn texts(terminal: Terminal, options: &Texts) -> anyhow::Result<ExitCode> {
    let settings = options.limits.settings()?;
    options
        .alone
        .check("a classifier learns from the texts one after the other, which no engine does in parts")?;
    let (before, now) = (tables::open(&options.reference)?, tables::open(&options.tables)?);
    let told = unlike::texts(&before, &now, &options.text)?;
    let findings = look(&told.0, settings, &Place::artifact(now.name()));
    let said = said(&told);
    options.raising.raise(terminal, &findings, "the examples in the report")?;
    conclude_kept(
        terminal,
        Looked::compared(&now),
        said,
        told.1,
        findings,
        (&options.reporting, &options.raising, "monitor texts"),
    )
}

pub(super) fn embeddings(terminal: Terminal, options: &Embeddings) -> anyhow::Result<ExitCode> {
    let settings = options.limits.settings()?;
    options
        .alone
        .check("a classifier learns from the rows one after the other, which no engine does in parts")?;
    let place = Place::artifact(options.now.display().to_string());
    let (told, looked) = if options.now.is_dir() {
        let (before, now) = (Pictures::open(&options.reference, None)?, Pictures::open(&options.now, None)?);
        (unlike::pictures(&before, &now)?, Looked::pictures(&now))
    } else {
        (unlike::embeddings(&options.reference, &options.now)?, Looked::file(&options.now))
    };
    let findings = look(&told.0, settings, &place);
    let said = said(&told);
    options.raising.raise(terminal, &findings, "the examples in the report")?;
    conclude_kept(
        terminal,
        looked,
        said,
        told.1,
        findings,
        (&options.reporting, &options.raising, "monitor embeddings"),
    )
}
