//! `mantlet monitor ranges`: decisions held against the ranges that the configuration declares safe.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_drift::range::{Held, Stands, hold, look};
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::cluster::Alone;
use crate::commands::conclude::{Looked, conclude_kept};
use crate::commands::raise::Raising;
use crate::commands::tables::Named;
use crate::config;
use crate::exit::Usage;
use crate::terminal::Terminal;

/// Decisions, and where their ranges are declared.
#[derive(Debug, Args)]
pub struct Options {
    /// The decisions: files (CSV, JSON Lines, Parquet, Arrow), or folders of them, such as the gateway's history.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The folder with mantlet.toml, whose `[[monitor.ranges]]` say what is safe.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The chance of any false alarm over all ranges and segments, between 0 and 0.5.
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    alpha: f64,
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    raising: Raising,
    #[command(flatten)]
    alone: Alone,
    #[command(flatten)]
    reporting: Reporting,
}

pub(super) fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    super::within("alpha", options.alpha, 0.5)?;
    options.alone.check("what ranges are held against is summed by streaming only")?;
    let loaded = config::load(&options.folder)?;
    let ranges = loaded.config.monitor.ranges();
    if ranges.is_empty() {
        let why = "declares no range: add `[[monitor.ranges]]` with `name`, `column`, and `least` or `most`";
        return Err(Usage(format!("{} {why}", loaded.file.display())).into());
    }
    let now = options.named.only(&options.tables)?;
    let summed = mantlet_dataset::summed(&now, &ranges)?;
    let held = hold(summed.value, options.alpha);
    let mut gaps = summed.gaps;
    gaps.extend(now.notes());
    gaps.extend(held.iter().filter_map(Held::gap));
    let command =
        format!("`mantlet monitor segments {}` beside a reference", super::tables_of(&options.tables));
    let findings = look(&held, &command, &Place::artifact(now.name()));
    let within = held.iter().filter(|held| held.stands == Stands::Within).count();
    let said = format!("{} ranges declared, {within} of {} held are within", ranges.len(), held.len());
    options.raising.raise(terminal, &findings, &command)?;
    conclude_kept(
        terminal,
        Looked::compared(&now),
        said,
        gaps,
        findings,
        (&options.reporting, &options.raising, "monitor ranges"),
    )
}
