//! `mantlet monitor labels`: how good the model still is, from labels that come late and estimates before they do.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use mantlet_dataset::{Cut, Decided, Late, Measured, Span, Truth};
use mantlet_drift::performance::{Figure, Performance, PerformanceSettings, Reference, Window};
use mantlet_vocab::Place;
use serde::{Deserialize, Serialize};

use crate::cli::{Format, Reporting};
use crate::commands::cluster::Engine;
use crate::commands::conclude::{Looked, conclude_kept};
use crate::commands::raise::Raising;
use crate::commands::tables;
use crate::exit::Usage;
use crate::terminal::Terminal;

/// How good is the model still?
#[derive(Debug, Args)]
pub struct Options {
    /// The decisions: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// Decisions with labels from a time in which the model did well.
    #[arg(long, value_name = "TABLE", required = true)]
    reference: Vec<PathBuf>,
    /// The column of the score: the chance of a positive, or anything that rises with it.
    #[arg(long, value_name = "COLUMN")]
    score: String,
    /// The column of the label in the reference, and in the decisions unless `--labels` names tables.
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// The column of what the model said; without it, positive from the threshold on.
    #[arg(long, value_name = "COLUMN")]
    prediction: Option<String>,
    /// The score from which a decision is positive.
    #[arg(long, value_name = "SCORE", default_value_t = 0.5, conflicts_with = "prediction")]
    score_threshold: f64,
    /// The word or number of a positive; everything else is negative.
    #[arg(long, value_name = "LABEL", default_value = "1")]
    positive: String,
    /// Tables of labels that came later, in the order in which they came: a later row corrects an earlier one.
    #[arg(long, value_name = "TABLE", requires = "id")]
    labels: Vec<PathBuf>,
    /// The column, in decisions and labels, by which they belong together.
    #[arg(long, value_name = "COLUMN", requires = "labels")]
    id: Option<String>,
    /// The column of the decision's time, or of the value by which windows are cut.
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// The length of a window.
    #[arg(long, value_enum, default_value_t = Every::Week, requires = "time")]
    every: Every,
    /// Without `--time`: rows of a window.
    #[arg(long, value_name = "N", default_value_t = 5000, conflicts_with = "time")]
    rows: u64,
    /// Keep the windows as told in this file, and say what was restated since it was last written.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// The chance of any false alarm of one kind over all windows, between 0 and 0.5.
    #[arg(long, value_name = "SHARE", default_value_t = PerformanceSettings::default().alpha)]
    alpha: f64,
    /// The least fall of a measure that is told.
    #[arg(long, value_name = "SHARE", default_value_t = PerformanceSettings::default().least)]
    least: f64,
    #[command(flatten)]
    named: tables::Named,
    #[command(flatten)]
    raising: Raising,
    #[command(flatten)]
    engine: Engine,
    #[command(flatten)]
    reporting: Reporting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Every {
    /// A day in UTC.
    Day,
    /// An ISO week in UTC.
    Week,
    /// A month in UTC.
    Month,
    /// Each value of the column is a window.
    Value,
}

/// The windows as they were told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct History {
    version: u32,
    reference: Vec<Figure>,
    windows: Vec<Window>,
}

const VERSION: u32 = 1;
/// A thousand windows are about a megabyte.
const HISTORY_MOST: u64 = 64 << 20;

pub(super) fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    super::within("alpha", options.alpha, 0.5)?;
    super::within("least", options.least, 1.0)?;
    if options.rows == 0 {
        return Err(Usage("--rows is at least 1".into()).into());
    }
    let told = options.history.as_deref().filter(|path| path.exists()).map(read).transpose()?;
    let (before, now) = options.named.both(&options.reference, &options.tables)?;
    let decided = Decided {
        score: options.score.clone(),
        prediction: options.prediction.clone(),
        threshold: options.score_threshold,
        positive: options.positive.clone(),
    };
    let engine = options.engine.chosen(terminal, Path::new(""));
    let (scale, parts) =
        mantlet_dataset::reference_by(&engine, &before, &decided, Truth::Column(&options.label))?;
    let reference = Reference::learn(&parts)?;
    let mut gaps = now.notes();
    let late = match &options.id {
        Some(id) => {
            let tables = tables::open(&options.labels)?;
            let late = Late::of(&tables, id, &options.label, &options.positive)?;
            // Copies of addresses live as long as the table does.
            Some((id, late, tables))
        }
        None => None,
    };
    let truth = match &late {
        Some((id, late, _)) => Truth::Late(id, late),
        None if now.columns().iter().any(|column| column.name == options.label) => {
            Truth::Column(&options.label)
        }
        None => Truth::None,
    };
    let cut = match (&options.time, options.every) {
        (None, _) => Cut::Rows(options.rows),
        (Some(column), Every::Day) => Cut::Time(column.clone(), Span::Day),
        (Some(column), Every::Week) => Cut::Time(column.clone(), Span::Week),
        (Some(column), Every::Month) => Cut::Time(column.clone(), Span::Month),
        (Some(column), Every::Value) => Cut::Value(column.clone()),
    };
    let (Measured { value: windows, gaps: more }, came) =
        mantlet_dataset::windows_by(&engine, &now, &decided, truth, &scale, &cut)?;
    if let Some(incomplete) = came.map(|came| came.incomplete).filter(|&incomplete| incomplete > 0) {
        gaps.push(format!("{incomplete} labels have no identifier or no value"));
    }
    gaps.extend(more);
    let settings = PerformanceSettings { alpha: options.alpha, least: options.least };
    let performance = reference.judge(&windows, settings);
    let labelled: u64 = performance.windows.iter().map(|window| window.labelled).sum();
    if let Some(labels) = came.map(|came| came.labels).filter(|&labels| labels > 0 && labelled == 0) {
        gaps.push(format!("none of the {labels} labels belongs to a decision; look at `--id`"));
    }
    let corrected = came.map_or(0, |came| came.corrected);
    if options.reporting.format == Format::Text && options.reporting.output.is_none() {
        terminal.say(&table(&performance, told.as_ref(), corrected));
    }
    if let Some(path) = &options.history {
        let history = History {
            version: VERSION,
            reference: performance.reference.clone(),
            windows: performance.windows.clone(),
        };
        super::keep(path, &serde_json::to_vec_pretty(&history)?)?;
    }
    let findings = mantlet_drift::performance::look(&performance, &Place::artifact(now.name()));
    let rows: u64 = performance.windows.iter().map(|window| window.rows).sum();
    let said = format!(
        "{rows} decisions in {} windows, {labelled} of them labelled, against {}",
        performance.windows.len(),
        before.name()
    );
    options.raising.raise(terminal, &findings, "`mantlet monitor segments` with these tables")?;
    conclude_kept(
        terminal,
        Looked::compared(&now),
        said,
        gaps,
        findings,
        (&options.reporting, &options.raising, "monitor labels"),
    )
}

/// The history that an earlier run left.
fn read(path: &Path) -> anyhow::Result<History> {
    let text = super::bounded(path, HISTORY_MOST)?;
    let wrong = |why: String| {
        Usage(format!(
            "{} is no history of `mantlet monitor labels`: {why}; move it away to begin anew",
            path.display()
        ))
    };
    let history: History = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if history.version != VERSION {
        return Err(wrong(format!("its version is {}, not {VERSION}", history.version)).into());
    }
    Ok(history)
}

/// What a person reads: a line for each window, and what was restated.
fn table(performance: &Performance, told: Option<&History>, corrected: u64) -> String {
    let mut text = String::new();
    let metrics: Vec<_> = performance.reference.iter().map(|figure| figure.metric).collect();
    let cell = |figures: &[Figure], at: usize| {
        let found = figures.iter().find(|figure| Some(&figure.metric) == metrics.get(at));
        found.map_or_else(|| "-".to_owned(), |f| format!("{:.3} [{:.3}, {:.3}]", f.value, f.low, f.high))
    };
    let mut line = |name: &str, rows: &str, labelled: &str, how: &str, cells: Vec<String>| {
        let _ = write!(text, "{name:<24}{rows:>10}{labelled:>10}  {how:<10}");
        for cell in &cells {
            let _ = write!(text, " {cell:<21}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    };
    let heads = metrics.iter().map(|metric| metric.word().to_owned()).collect();
    line("window", "decisions", "labelled", "", heads);
    let whole = |figures: &[Figure]| (0..metrics.len()).map(|at| cell(figures, at)).collect::<Vec<_>>();
    line("reference", "", "", "measured", whole(&performance.reference));
    for window in &performance.windows {
        let (rows, labelled) = (window.rows.to_string(), window.labelled.to_string());
        match &window.estimated {
            Ok(figures) => line(&window.name, &rows, &labelled, "estimated", whole(figures)),
            Err(why) => {
                line(&window.name, &rows, &labelled, "unknown", vec![why.words()]);
            }
        }
        if !window.realised.is_empty() {
            line("", "", "", "measured", whole(&window.realised));
        }
    }
    if corrected > 0 {
        let _ = writeln!(text, "{corrected} labels were corrected by later ones");
    }
    for window in &performance.windows {
        let before = told.and_then(|told| told.windows.iter().find(|before| before.name == window.name));
        let Some(before) =
            before.filter(|before| before.labelled != window.labelled || before.realised != window.realised)
        else {
            continue;
        };
        let _ = write!(
            text,
            "restated: {}, {} labels then and {} now",
            window.name, before.labelled, window.labelled
        );
        for figure in &window.realised {
            let old = before.realised.iter().find(|old| old.metric == figure.metric);
            if let Some(old) = old.filter(|old| (old.value - figure.value).abs() >= 0.0005) {
                let _ = write!(text, "; {} {:.3} is {:.3}", figure.metric.word(), old.value, figure.value);
            }
        }
        text.push('\n');
    }
    text
}
