//! `mantlet monitor watch`: shares of decisions, misses and inputs, bin after bin, with alarms as early as a stated run
//! length allows; what was told is kept, so that nothing is told twice.
//!
//! Long because the options, the state that is kept and what is told of it stand together.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use mantlet_dataset::{Labels, Series, Watching};
use mantlet_drift::online::{Alarm, Bin, Counted, Stream, Told, Usual, Watch, WatchSettings, look};
use mantlet_vocab::{Finding, Place};
use serde::{Deserialize, Serialize};

use crate::cli::Reporting;
use crate::commands::cluster::Alone;
use crate::commands::conclude::{Looked, conclude_kept};
use crate::commands::raise::Raising;
use crate::commands::tables;
use crate::exit::Usage;
use crate::terminal::{self, Terminal};

/// What is watched, and against what.
#[derive(Debug, Args)]
pub struct Options {
    /// The decisions: files (CSV, JSON Lines, Parquet, Arrow), or folders of them, such as the gateway's history.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// Decisions of a time in which all was well, at least eight bins and better some weeks.
    #[arg(long, value_name = "TABLE", required = true)]
    reference: Vec<PathBuf>,
    /// The column of the time; of numbers, from 100,000,000,000 on, milliseconds since 1970 (the history's `at`), else
    /// each number is a bin.
    #[arg(long, value_name = "COLUMN")]
    time: String,
    /// The length of a bin.
    #[arg(long, value_enum, default_value_t = Every::Hour)]
    every: Every,
    /// What repeats: shares are compared with those at the same time of the day or week.
    #[arg(long, value_enum, default_value_t = Season::Day)]
    season: Season,
    /// The column of what the model said (the history's `label`).
    #[arg(long, value_name = "COLUMN")]
    prediction: Option<String>,
    /// The column of what was true; missing values have not come yet.
    #[arg(long, value_name = "COLUMN", requires = "prediction")]
    label: Option<String>,
    /// Tables of labels that came later, in the order in which they came.
    #[arg(long, value_name = "TABLE", requires_all = ["id", "label"])]
    labels: Vec<PathBuf>,
    /// The column, in decisions and labels, by which they belong together.
    #[arg(long, value_name = "COLUMN", requires = "labels")]
    id: Option<String>,
    /// The word or number of a positive.
    #[arg(long, value_name = "WORD", default_value = "1")]
    positive: String,
    /// A column that divides the rows; its most frequent words are watched each by itself.
    #[arg(long, value_name = "COLUMN")]
    segment: Vec<String>,
    /// A column of numbers of which unusually high and low values are counted.
    #[arg(long, value_name = "COLUMN")]
    column: Vec<String>,
    /// Bins between false alarms, at least, on average, over all that is watched.
    #[arg(long, value_name = "BINS", default_value_t = WatchSettings::default().run_length)]
    run_length: f64,
    /// A change by that part of a share is no change.
    #[arg(long, value_name = "SHARE", default_value_t = WatchSettings::default().tolerance)]
    tolerance: f64,
    /// Bins for which what was told is not told again.
    #[arg(long, value_name = "BINS", default_value_t = WatchSettings::default().cooldown)]
    cooldown: u32,
    /// Newest bins that are left for the next time: the labels of their decisions have not come.
    #[arg(long, value_name = "BINS", default_value_t = 0)]
    lag: usize,
    /// Go on where the last run ended, and keep what was told. The newest bin is left for the next run: it still fills.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Append each new alarm here as a line of JSON, for whoever is to be told.
    #[arg(long, value_name = "FILE")]
    alerts: Option<PathBuf>,
    /// Write what was told in the last seven days here, as Markdown.
    #[arg(long, value_name = "FILE", requires = "state")]
    digest: Option<PathBuf>,
    #[command(flatten)]
    alone: Alone,
    #[command(flatten)]
    named: tables::Named,
    #[command(flatten)]
    raising: Raising,
    #[command(flatten)]
    reporting: Reporting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Every {
    /// An hour.
    Hour,
    /// A day in UTC.
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Season {
    /// Nothing repeats.
    None,
    /// The day, where bins are hours.
    Day,
    /// The week.
    Week,
}

/// An alarm that was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    bin: i64,
    at: String,
    finding: Finding,
}

/// What a run leaves to the next.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    season: u32,
    series: Series,
    watch: Watch,
    told: Vec<Record>,
}

const VERSION: u32 = 1;
/// Six hundred streams of a week of hours are a few megabytes.
const STATE_MOST: u64 = 128 << 20;
/// Alarms kept.
const TOLD_MOST: usize = 2_000;
/// Streams named beside the strongest.
const BESIDE: usize = 6;
/// Seconds of a week.
const WEEK: i64 = 7 * 86_400;

impl Options {
    const fn seconds(&self) -> u32 {
        match self.every {
            Every::Hour => 3_600,
            Every::Day => 86_400,
        }
    }

    const fn phases(&self) -> u32 {
        match (self.season, self.every) {
            (Season::None, _) | (Season::Day, Every::Day) => 1,
            (Season::Day, Every::Hour) => 24,
            (Season::Week, Every::Hour) => 168,
            (Season::Week, Every::Day) => 7,
        }
    }

    fn settings(&self) -> WatchSettings {
        WatchSettings { run_length: self.run_length, tolerance: self.tolerance, cooldown: self.cooldown }
    }

    fn watching(&self) -> Watching {
        Watching {
            time: self.time.clone(),
            seconds: self.seconds(),
            prediction: self.prediction.clone(),
            label: self.label.clone(),
            id: self.id.clone(),
            positive: self.positive.clone(),
            segments: self.segment.clone(),
            columns: self.column.clone(),
        }
    }

    /// The command that shows where the change is.
    fn look(&self) -> String {
        let paths = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        let mut text = format!(
            "`mantlet monitor segments {} --reference {}",
            paths(&self.tables),
            paths(&self.reference)
        );
        if let (Some(label), Some(prediction), true) = (&self.label, &self.prediction, self.labels.is_empty())
        {
            let _ = write!(text, " --label {label} --prediction {prediction}");
        }
        text.push('`');
        text
    }
}

/// The start of a bin in words.
fn name(series: &Series, bin: i64) -> String {
    if !series.is_clock {
        return format!("{} {bin}", series.watching().time);
    }
    let seconds = i64::from(series.watching().seconds);
    let stamp = bin.checked_mul(seconds).and_then(|second| jiff::Timestamp::from_second(second).ok());
    stamp.map_or_else(
        || bin.to_string(),
        |stamp| {
            let text = stamp.to_string();
            if seconds >= 86_400 { text.chars().take(10).collect() } else { text }
        },
    )
}

/// Bins of a timeline that is drawn: the newest.
const POINTS: usize = 48;

/// What was expected and seen in the bins before an alarm, as a picture.
fn timeline(state: &State, counts: &[(i64, Vec<Bin>)], alarm: &Alarm) -> Option<serde_json::Value> {
    let usual = state.watch.usual(alarm.stream)?;
    let stream = state.series.streams.get(alarm.stream)?;
    let newest: Vec<(i64, Bin)> = counts[counts.len().saturating_sub(POINTS)..]
        .iter()
        .filter_map(|(bin, own)| Some((*bin, *own.get(alarm.stream)?)))
        .collect();
    if newest.len() < 2 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "rows of a bin")]
    let expected: Vec<f64> = newest.iter().map(|(bin, own)| usual.share(*bin) * own.rows as f64).collect();
    let place = |wanted: i64| newest.iter().position(|(bin, _)| *bin >= wanted);
    Some(serde_json::json!({
        "kind": "timeline",
        "what": format!("{} among {}", stream.what(), stream.whose()),
        "names": newest.iter().map(|(bin, _)| name(&state.series, *bin)).collect::<Vec<_>>(),
        "expected": expected,
        "seen": newest.iter().map(|(_, own)| own.hits).collect::<Vec<_>>(),
        "since": place(alarm.since),
        "told": place(alarm.at),
    }))
}

pub(super) fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    options.alone.check("bins follow one another, and what was told is remembered from bin to bin")?;
    if !(options.run_length >= 10.0 && options.run_length <= 1e12) {
        return Err(
            Usage(format!("--run-length is between 10 and 10^12 bins, not {}", options.run_length)).into()
        );
    }
    if !(0.0..=10.0).contains(&options.tolerance) {
        return Err(Usage(format!("--tolerance is between 0 and 10, not {}", options.tolerance)).into());
    }
    if options.prediction.is_none() && options.column.is_empty() {
        return Err(Usage("nothing is watched: name --prediction, --column or both".into()).into());
    }
    let now = options.named.open(&options.tables)?;
    let late = match &options.id {
        Some(id) => {
            let label = options.label.as_deref().unwrap_or_default();
            Some(Labels::read(&tables::open(&options.labels)?, id, label, &options.positive)?)
        }
        None => None,
    };
    let late_files: Vec<PathBuf> = match &options.labels[..] {
        [] => Vec::new(),
        labels => tables::open(labels)?.files().map(Path::to_owned).collect(),
    };
    tables::apart(
        now.files().chain(late_files.iter().map(PathBuf::as_path)),
        &[
            ("state", options.state.as_deref()),
            ("alerts", options.alerts.as_deref()),
            ("digest", options.digest.as_deref()),
            ("output", options.reporting.output.as_deref()),
        ],
    )?;
    let mut gaps = Vec::new();
    let kept =
        options.state.as_deref().filter(|path| path.exists()).map(|path| read(path, options)).transpose()?;
    let (mut state, seen) = match kept {
        Some(state) => (state, true),
        None => learn(options, late.as_ref(), &mut gaps)?,
    };
    let (mut counts, timeless) = state.series.count(&now, state.watch.last(), late.as_ref())?;
    if let (Some(prediction), false) = (&options.prediction, seen || positives(&state.series, &counts) > 0) {
        return Err(Usage(format!(
            "no row of the reference or of {} has `{}` in column `{prediction}`: nothing is ever decided so; name the \
             word of a positive with --positive",
            now.name(),
            options.positive
        ))
        .into());
    }
    for name in &options.segment {
        let divides = |stream: &Stream| stream.segment.as_ref().is_some_and(|(segment, _)| segment == name);
        if !state.series.streams.iter().any(divides) {
            gaps.push(format!(
                "column `{name}` divides nothing: it has no word in a hundred rows of the reference, and in enough of its \
                 bins; numbers that differ from row to row are no segments"
            ));
        }
    }
    if let Some(label) = &options.label
        && !counts.is_empty()
        && rows(&state.series, &counts, &[Counted::Missed, Counted::FalseAlarms]).0 == 0
    {
        gaps.push(format!("errors were not watched: no row has a label in `{label}` yet"));
    }
    if timeless > 0 {
        gaps.push(format!("{timeless} rows have no time"));
    }
    gaps.extend(now.notes());
    let left = options.lag.max(usize::from(options.state.is_some()));
    counts.truncate(counts.len().saturating_sub(left));
    let place = Place::artifact(now.name());
    let look_at = options.look();
    let mut findings = Vec::new();
    for (number, (bin, own)) in counts.iter().enumerate() {
        let alarms = state.watch.take(*bin, own);
        let Some(first) = alarms.first() else { continue };
        let Some(stream) = state.series.streams.get(first.stream) else { continue };
        let beside: Vec<String> = alarms
            .iter()
            .skip(1)
            .take(BESIDE)
            .filter_map(|alarm| {
                let stream = state.series.streams.get(alarm.stream)?;
                let verb = if alarm.rose { "rose" } else { "fell" };
                let (before, after) = (alarm.expected * 100.0, alarm.share() * 100.0);
                Some(format!(
                    "{} among {} {verb} from {before:.1} % to {after:.1} %",
                    stream.what(),
                    stream.whose()
                ))
            })
            .collect();
        let (since, at) = (name(&state.series, first.since), name(&state.series, first.at));
        let run_length = state.watch.settings().run_length;
        let told = Told {
            alarm: first,
            stream,
            since: &since,
            at: &at,
            run_length,
            beside: &beside,
            look: &look_at,
        };
        let picture = timeline(&state, &counts[..=number], first);
        for mut finding in look(&told, &place) {
            if let Some(picture) = &picture {
                finding.facts.insert("picture".to_owned(), picture.clone());
            }
            state.told.push(Record { bin: *bin, at: at.clone(), finding: finding.clone() });
            findings.push((at.clone(), finding));
        }
    }
    let excess = state.told.len().saturating_sub(TOLD_MOST);
    state.told.drain(..excess);
    // Before the state is kept: told twice joins the same incident, never told would be lost.
    let raised: Vec<Finding> = findings.iter().map(|(_, finding)| finding.clone()).collect();
    options.raising.raise(terminal, &raised, &look_at)?;
    if let Some(path) = &options.alerts {
        append(path, &findings)?;
    }
    if let Some(path) = &options.digest {
        terminal::write_whole(path, digest(&state).as_bytes())?;
    }
    if let Some(path) = &options.state {
        super::keep(path, &serde_json::to_vec(&state)?)?;
    }
    let said = format!(
        "{} bins of {} streams, one false alarm in {} bins or fewer",
        counts.len(),
        state.watch.streams(),
        state.watch.settings().run_length
    );
    let findings = findings.into_iter().map(|(_, finding)| finding).collect();
    conclude_kept(
        terminal,
        Looked::compared(&now),
        said,
        gaps,
        findings,
        (&options.reporting, &options.raising, "monitor watch"),
    )
}

/// Rows and hits that streams over all rows counted.
fn rows(series: &Series, counts: &[(i64, Vec<Bin>)], of: &[Counted]) -> (u64, u64) {
    let places = series.streams.iter().enumerate();
    let places = places.filter(|(_, own)| own.segment.is_none() && of.contains(&own.counted));
    let bins = places.flat_map(|(at, _)| counts.iter().filter_map(move |(_, own)| own.get(at)));
    bins.fold((0, 0), |(rows, hits), bin| (rows + bin.rows, hits + bin.hits))
}

/// Positives that the model decided.
fn positives(series: &Series, counts: &[(i64, Vec<Bin>)]) -> u64 {
    rows(series, counts, &[Counted::Decided]).1
}

/// Lays out the streams and learns what is usual; and whether there were positives.
fn learn(options: &Options, late: Option<&Labels>, gaps: &mut Vec<String>) -> anyhow::Result<(State, bool)> {
    let before = options.named.open(&options.reference)?;
    tables::apart(
        before.files(),
        &[
            ("state", options.state.as_deref()),
            ("alerts", options.alerts.as_deref()),
            ("digest", options.digest.as_deref()),
            ("output", options.reporting.output.as_deref()),
        ],
    )?;
    let mut series = Series::lay_out(&before, &options.watching())?;
    let reference_late =
        late.filter(|_| !before.columns().iter().any(|own| Some(&own.name) == options.label.as_ref()));
    let (counts, _) = series.count(&before, None, reference_late)?;
    let seen = positives(&series, &counts) > 0;
    let mut usual = Vec::new();
    let mut thin = 0;
    let mut streams = Vec::new();
    for (at, stream) in series.streams.iter().enumerate() {
        let bins: Vec<(i64, Bin)> =
            counts.iter().filter_map(|(bin, counts)| Some((*bin, *counts.get(at)?))).collect();
        match Usual::learn(&bins, options.phases() as usize) {
            Some(own) => {
                usual.push(own);
                streams.push(stream.clone());
            }
            None => thin += 1,
        }
    }
    if streams.is_empty() {
        let why = "the reference has too few bins to say what is usual: at least eight with rows, and more than twelve of them when a rhythm of the day or week is watched; take a longer reference, longer bins, or --season none";
        return Err(Usage(why.into()).into());
    }
    if thin > 0 {
        gaps.push(format!(
            "{thin} streams are not watched: the reference has too few bins with rows of theirs"
        ));
    }
    series.streams = streams;
    let watch = Watch::new(usual, options.settings());
    Ok((State { version: VERSION, season: options.phases(), series, watch, told: Vec::new() }, seen))
}

/// The state that an earlier run left.
fn read(path: &Path, options: &Options) -> anyhow::Result<State> {
    let text = super::bounded(path, STATE_MOST)?;
    let wrong = |why: String| {
        Usage(format!("{} is no state of this watch: {why}; move it away to begin anew", path.display()))
    };
    let state: State = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if state.version != VERSION || !state.watch.is_sound(state.series.streams.len()) {
        return Err(wrong("its numbers are not those of a watch".into()).into());
    }
    let same = *state.series.watching() == options.watching()
        && state.season == options.phases()
        && state.watch.settings() == options.settings();
    if !same {
        return Err(wrong("it was begun with other options".into()).into());
    }
    Ok(state)
}

/// One line for each alarm.
fn append(path: &Path, findings: &[(String, Finding)]) -> anyhow::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let cannot = || format!("cannot write {}", path.display());
    let mut lines = Vec::new();
    for (at, finding) in findings {
        serde_json::to_writer(&mut lines, &serde_json::json!({ "at": at, "finding": finding }))?;
        lines.push(b'\n');
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).with_context(cannot)?;
    file.write_all(&lines).with_context(cannot)?;
    Ok(())
}

/// What was told in the last seven days, and how much was watched.
fn digest(state: &State) -> String {
    let last = state.watch.last();
    let bins =
        if state.series.is_clock { WEEK / i64::from(state.series.watching().seconds.max(1)) } else { 7 };
    let from = last.map_or(i64::MIN, |last| last.saturating_sub(bins));
    let mut text = String::from("# What the watch told\n\n");
    let until = last.map_or_else(|| "nothing yet".to_owned(), |last| name(&state.series, last));
    let _ =
        writeln!(text, "Up to {until}; {} streams over {} bins.\n", state.watch.streams(), state.watch.bins);
    let recent: Vec<&Record> = state.told.iter().filter(|record| record.bin > from).collect();
    if recent.is_empty() {
        text.push_str("Nothing changed in the last seven days.\n");
    }
    for record in recent {
        let _ = writeln!(text, "## {}: {}\n", record.at, record.finding.title);
        for line in &record.finding.trace {
            let _ = writeln!(text, "- {line}");
        }
        text.push('\n');
    }
    text
}
