//! `mantlet data diff`: what changed between two versions of a table.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::versions::versions;
use mantlet_dataset::{Dataset, Measured};
use mantlet_drift::{Comparison, Settings};
use mantlet_vocab::{Finding, Place};

use crate::cli::Reporting;
use crate::commands::conclude::{Looked, conclude};
use crate::commands::tables;
use crate::exit::Usage;
use crate::terminal::Terminal;

/// The two versions.
#[derive(Debug, Args)]
pub struct Options {
    /// The later version: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The earlier version: a file or a folder of files.
    #[arg(long, value_name = "TABLE", required = true)]
    before: Vec<PathBuf>,
    /// The column that says who delivered a row: units and clocks are compared feed by feed as well.
    #[arg(long, value_name = "COLUMN")]
    feed: Option<String>,
    /// A column to leave out: a row number, a time.
    #[arg(long, value_name = "COLUMN")]
    without: Vec<String>,
    /// The chance of any false alarm in the whole comparison, between 0 and 0.5.
    #[arg(long, value_name = "SHARE", default_value_t = Settings::default().alpha)]
    alpha: f64,
    #[command(flatten)]
    reporting: Reporting,
}

/// Runs the command.
///
/// # Errors
/// When a table cannot be read, or a column holds something else than before.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    if !(options.alpha > 0.0 && options.alpha <= 0.5) {
        return Err(Usage(format!("--alpha is above 0 and at most 0.5, not {}", options.alpha)).into());
    }
    let (before, after) = (tables::open(&options.before)?, tables::open(&options.tables)?);
    // A column that went is a change, and no reason to compare nothing.
    let has = |table: &Dataset, name: &String| table.columns().iter().any(|own| own.name == *name);
    let names = before.columns().iter().map(|column| &column.name);
    let gone: Vec<String> =
        names.filter(|name| !options.without.contains(name) && !has(&after, name)).cloned().collect();
    let without: Vec<String> = options.without.iter().chain(&gone).cloned().collect();
    let Measured { value: profile, gaps: _ } = mantlet_dataset::profile(&before, &without)?;
    let counted = mantlet_dataset::count(&after, &profile)?;
    let settings = Settings { alpha: options.alpha, ..Settings::default() };
    let comparison = Comparison::new(&profile, &counted.value, settings)?;
    let place = Place::artifact(after.name());
    let mut findings = mantlet_drift::drift::look(&comparison, &place);
    let named = versions(&before, &after, options.feed.as_deref(), &options.without)?;
    findings.extend(mantlet_datachecks::version::look(&named.changes, &place));
    Finding::sort(&mut findings);
    // What was left out on purpose is no gap.
    let left_out =
        |gap: &String| options.without.iter().any(|name| gap.contains(&format!("column `{name}` ")));
    let new = |gap: String| match gap.strip_suffix(" is not in the profile and was not looked at") {
        Some(column) => format!("{column} is new, and was not compared"),
        None => gap,
    };
    let gone = gone
        .iter()
        .map(|name| format!("column `{name}` is gone: {} has it; the others were compared", before.name()));
    let counted = counted.gaps.into_iter().filter(|gap| !left_out(gap)).map(new);
    let gaps = gone.chain(counted).chain(named.gaps).collect();
    let said =
        format!("{} rows against {} of {}", comparison.current.rows, profile.counts.rows, before.name());
    conclude(terminal, Looked::table(&after), said, gaps, findings, &options.reporting)
}
