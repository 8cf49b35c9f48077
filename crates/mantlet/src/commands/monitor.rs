//! `mantlet monitor`: the profile of a reference, and what changed since.
//!
//! Long because the monitors share their options and their report.

mod fairness;
mod labels;
mod ranges;
mod redecide;
mod rows;
pub mod sealed;
mod unlike;
mod watch;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use mantlet_dataset::{Engine as _, Judged, Measured, Reference};
use mantlet_drift::segment::{SegmentSettings, Segments};
use mantlet_drift::{Comparison, Layout, Profile, Settings};
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::cluster::Engine;
use crate::commands::conclude::{Looked, conclude_kept};
use crate::commands::raise::Raising;
use crate::commands::tables::Named;
use crate::exit::Usage;
use crate::terminal::Terminal;
use sealed::Trusting;

/// What to do with data that comes after a model was made.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the profile of a reference, which later data are compared with; the reference is not read again.
    Baseline {
        /// The reference: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
        #[arg(required = true)]
        tables: Vec<PathBuf>,
        /// Where the profile is written.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// A column to leave out: a label, a score, a row number.
        #[arg(long, value_name = "COLUMN")]
        without: Vec<String>,
        /// Divide rows as this profile does, so that both can be merged.
        #[arg(long, value_name = "FILE", conflicts_with = "without")]
        like: Option<PathBuf>,
        #[command(flatten)]
        trusting: Trusting,
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        engine: Engine,
    },
    /// Make one profile of several that divide rows alike (`baseline --like`): that of all their rows, none of which is
    /// read again.
    Merge {
        /// The profiles.
        #[arg(required = true, num_args = 2..)]
        profiles: Vec<PathBuf>,
        /// Where the profile is written.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        trusting: Trusting,
    },
    /// Compare later data with a profile: columns that drifted, missing values, new words, relations that turned.
    Drift {
        /// The later data.
        #[arg(required = true)]
        tables: Vec<PathBuf>,
        /// The profile that `mantlet monitor baseline` wrote.
        #[arg(long, value_name = "FILE")]
        baseline: PathBuf,
        /// The chance of any false alarm in a whole comparison, between 0 and 0.5.
        #[arg(long, value_name = "SHARE", default_value_t = Settings::default().alpha)]
        alpha: f64,
        /// The least change of a distribution that is told: a Kolmogorov-Smirnov distance, or a share of rows.
        #[arg(long, value_name = "SHARE", default_value_t = Settings::default().shape)]
        least: f64,
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        trusting: Trusting,
        #[command(flatten)]
        raising: Raising,
        #[command(flatten)]
        engine: Engine,
        #[command(flatten)]
        reporting: Reporting,
    },
    /// Find the segments, crossings of up to three columns, in which the model errs more than before, or a column
    /// moved by itself.
    Segments {
        /// The later data.
        #[arg(required = true)]
        tables: Vec<PathBuf>,
        /// The reference: a file or a folder of files.
        #[arg(long, value_name = "TABLE", required = true)]
        reference: Vec<PathBuf>,
        /// The column with what was true; with `--prediction`, segments of errors are looked for too.
        #[arg(long, value_name = "COLUMN", requires = "prediction")]
        label: Option<String>,
        /// The column with what the model said, in the label's words.
        #[arg(long, value_name = "COLUMN", requires = "label")]
        prediction: Option<String>,
        /// A column that says whether a signal of the guard fired (of the history `signals.NAME`): segments in which it
        /// fires more than before, instead of errors. May be given more than once.
        #[arg(long, value_name = "COLUMN", conflicts_with_all = ["label", "prediction"])]
        signal: Vec<String>,
        /// Cut segments as this profile of the reference lays them out, instead of making one anew.
        #[arg(long, value_name = "FILE", conflicts_with = "without")]
        baseline: Option<PathBuf>,
        /// A column to leave out.
        #[arg(long, value_name = "COLUMN")]
        without: Vec<String>,
        /// Segments named at most, of each kind.
        #[arg(long, value_name = "N", default_value_t = SegmentSettings::default().most)]
        most: usize,
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        rows: rows::Rows,
        #[command(flatten)]
        trusting: Trusting,
        #[command(flatten)]
        raising: Raising,
        #[command(flatten)]
        engine: Engine,
        #[command(flatten)]
        reporting: Reporting,
    },
    /// Say how good the model still is, window by window: measured from labels as they come, estimated before, told
    /// when it fell, and withheld where labels contradict the scores.
    Labels(labels::Options),
    /// Score decisions on record again with the known-good version: which would have been different, whose, how much
    /// is at stake.
    Redecide(redecide::Options),
    /// Hold shares of decisions, means of scores and rates of segments against the ranges that the configuration declares
    /// safe.
    Ranges(ranges::Options),
    /// Find groups that are decided about otherwise than others, and more so than before.
    Fairness(fairness::Options),
    /// Compare new texts with those of a reference: how well they are told apart, by which words, with examples.
    Texts(unlike::Texts),
    /// Compare new embeddings (.npy) or pictures with those of a reference, with the least alike named.
    Embeddings(unlike::Embeddings),
    /// Watch shares of decisions, misses and inputs bin after bin, and alarm as early as a stated run length allows.
    Watch(watch::Options),
}

/// A share given on the command line.
fn within(name: &str, value: f64, most: f64) -> Result<(), Usage> {
    if value > 0.0 && value <= most {
        return Ok(());
    }
    Err(Usage(format!("--{name} is above 0 and at most {most}, not {value}")))
}

/// Runs the command.
///
/// # Errors
/// When a table or the profile cannot be read, or a file cannot be written.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Baseline { tables, out, without, like, trusting, named, engine } => {
            let how = (without.as_slice(), like.as_deref());
            baseline(terminal, (&tables, &named), &out, how, (&trusting, &engine))
        }
        Command::Merge { profiles, out, trusting } => merge(terminal, &profiles, &out, &trusting),
        Command::Drift { tables, baseline, alpha, least, named, trusting, raising, engine, reporting } => {
            within("alpha", alpha, 0.5)?;
            within("least", least, 1.0)?;
            let settings = Settings { alpha, shape: least, joint: least, ..Settings::default() };
            let by = (&trusting, &engine);
            drift(terminal, (&tables, &named, &baseline), settings, by, (&raising, &reporting))
        }
        Command::Segments {
            tables,
            reference,
            label,
            prediction,
            signal,
            baseline,
            without,
            most,
            named,
            rows,
            trusting,
            raising,
            engine,
            reporting,
        } => {
            let judged = label.zip(prediction).map(|(label, prediction)| Judged { label, prediction });
            let settings = SegmentSettings { most, ..SegmentSettings::default() };
            let asked = Segmenting {
                judged: judged.as_ref(),
                signals: &signal,
                baseline: baseline.as_deref(),
                without,
                settings,
                rows,
            };
            let by = (&trusting, &engine);
            segments(terminal, ([&reference, &tables], &named), asked, by, (&raising, &reporting))
        }
        Command::Labels(options) => labels::run(terminal, &options),
        Command::Redecide(options) => redecide::run(terminal, &options),
        Command::Ranges(options) => ranges::run(terminal, &options),
        Command::Fairness(options) => fairness::run(terminal, &options),
        Command::Texts(options) => unlike::texts(terminal, &options),
        Command::Embeddings(options) => unlike::embeddings(terminal, &options),
        Command::Watch(options) => watch::run(terminal, &options),
    }
}

/// What segments are looked for.
struct Segmenting<'a> {
    judged: Option<&'a Judged>,
    signals: &'a [String],
    baseline: Option<&'a Path>,
    without: Vec<String>,
    settings: SegmentSettings,
    rows: rows::Rows,
}

/// What the guard itself wrote into a history: its signals are not explained by them.
const OF_THE_GUARD: [&str; 6] = ["signals", "signal_scores.0", "action", "proposed", "mode", "status"];

fn segments(
    terminal: Terminal,
    ([reference, tables], named): ([&[PathBuf]; 2], &Named),
    asked: Segmenting<'_>,
    (trusting, engine): (&Trusting, &Engine),
    (raising, reporting): (&Raising, &Reporting),
) -> anyhow::Result<ExitCode> {
    let Segmenting { judged, signals, baseline, mut without, settings, rows } = asked;
    let engine = engine.chosen(terminal, trusting.storage());
    let (before, now) = named.both(reference, tables)?;
    crate::commands::tables::apart(
        before.files().chain(now.files()).chain(baseline),
        &[("review-out", rows.out()), ("output", reporting.output.as_deref())],
    )?;
    let judging = || judged.iter().flat_map(|judged| [&judged.label, &judged.prediction]).chain(signals);
    let (reference, mut gaps) = match baseline {
        Some(path) => {
            let known = trusting.read(path)?;
            if let Some(name) = judging().find(|name| known.profile.column(name).is_some()) {
                let why = format!("the profile {} divides rows by `{name}`", path.display());
                return Err(Usage(format!("{why}; make one `--without {name}`")).into());
            }
            let gaps = known.gap().into_iter().collect();
            (Reference::signed(known.profile, known.text, known.seal), gaps)
        }
        None => {
            without.extend(
                judging().filter(|name| before.columns().iter().any(|own| own.name == **name)).cloned(),
            );
            // When a row came and what it is called are no segments of their own.
            without.extend(rows.own().filter(|name| before.columns().iter().any(|own| own.name == *name)));
            if before.is_history() && !signals.is_empty() {
                let own = |name: &&str| OF_THE_GUARD.contains(name) || name.starts_with("signals.");
                let names = before.columns().iter().map(|column| column.name.as_str());
                without.extend(names.filter(own).map(str::to_owned));
            }
            without.sort();
            without.dedup();
            let Measured { value, gaps } = mantlet_dataset::profile_by(&engine, &before, &without)?;
            (engine.vouch(Reference::of(value)?)?, gaps)
        }
    };
    let profile = reference.profile();
    let layout = if judged.is_some() || !signals.is_empty() {
        Layout::of_errors(profile)
    } else {
        Layout::new(profile)
    };
    // A chance for all searches together.
    let settings = SegmentSettings { alpha: settings.alpha / signals.len().max(1) as f64, ..settings };
    let mut searched: Option<Segments<'_>> = None;
    for signal in signals {
        let old = mantlet_dataset::signal_cube_by(&engine, &before, &reference, signal)?;
        let new = mantlet_dataset::signal_cube_by(&engine, &now, &reference, signal)?;
        let found = Segments::search_signal(profile, &layout, (&old.value, &new.value), signal, settings)?;
        gaps.extend(new.gaps);
        match &mut searched {
            None => searched = Some(found),
            Some(all) => all.beside(found),
        }
    }
    let mut segments = match searched {
        Some(segments) => segments,
        None => {
            let old = mantlet_dataset::cube_by(&engine, &before, &reference, judged)?;
            let new = mantlet_dataset::cube_by(&engine, &now, &reference, judged)?;
            if let Some(judged) = judged {
                for (table, cube) in [(&before, &old.value), (&now, &new.value)] {
                    if cube.whole(&layout).judged == 0 {
                        gaps.push(format!(
                            "errors were not looked for: no row of {} has both `{}` and `{}`",
                            table.name(),
                            judged.label,
                            judged.prediction
                        ));
                    }
                }
            }
            gaps.extend(new.gaps);
            Segments::search(profile, &layout, &old.value, &new.value, settings)?
        }
    };
    if let Some(judged) = judged {
        rows.look(&now, &mut segments, judged)?;
    }
    gaps.extend(layout.left_out.iter().filter_map(|&at| profile.columns.get(at)).map(|column| {
        format!("segments are not cut from, or not compared in, column `{}`: there are too many", column.name)
    }));
    let uncut: Vec<&str> =
        layout.uncut.iter().filter_map(|&at| Some(profile.columns.get(at)?.name.as_str())).collect();
    if let Some((first, others)) = uncut.split_first() {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        gaps.push(format!(
            "errors are not looked for in ranges of column `{first}`{more}: segments are cut from {} columns; leave some \
             out (`--without`)",
            layout.dimensions.len()
        ));
    }
    gaps.extend(now.notes());
    gaps.sort();
    gaps.dedup();
    let findings = mantlet_drift::segment::look(&segments, &Place::artifact(now.name()));
    let said = format!("{} tests of segments against {}", segments.tests, before.name());
    raising.raise(terminal, &findings, &format!("`mantlet monitor segments {}`", tables_of(tables)))?;
    conclude_kept(
        terminal,
        Looked::compared(&now),
        said,
        gaps,
        findings,
        (reporting, raising, "monitor segments"),
    )
}

fn tables_of(tables: &[PathBuf]) -> String {
    tables.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

fn baseline(
    terminal: Terminal,
    (tables, named): (&[PathBuf], &Named),
    out: &Path,
    (without, like): (&[String], Option<&Path>),
    (trusting, engine): (&Trusting, &Engine),
) -> anyhow::Result<ExitCode> {
    let dataset = named.only(tables)?;
    crate::commands::tables::apart(dataset.files().chain(like), &[("out", Some(out))])?;
    let engine = engine.chosen(terminal, trusting.storage());
    let Measured { value: profile, mut gaps } = match like {
        None => mantlet_dataset::profile_by(&engine, &dataset, without)?,
        Some(path) => {
            let known = trusting.read(path)?;
            let unsigned = known.gap();
            let reference = Reference::signed(known.profile, known.text, known.seal);
            let mut counted = mantlet_dataset::count_by(&engine, &dataset, &reference)?;
            counted.gaps.extend(unsigned);
            let columns = reference.profile().columns.clone();
            let profile = Profile { counts: counted.value, ..Profile::new(dataset.name(), columns) };
            Measured { value: profile, gaps: counted.gaps }
        }
    };
    gaps.sort();
    gaps.dedup();
    let signature = sealed::write(out, &profile, trusting.storage())?;
    terminal.say(&format!(
        "{}: {} rows, {} columns, {} pairs of columns in {}, signed in {}",
        dataset.name(),
        profile.counts.rows,
        profile.columns.len(),
        profile.counts.pairs.len(),
        out.display(),
        signature.display()
    ));
    for gap in gaps.iter().chain(&dataset.notes()) {
        terminal.say(&format!("not looked at: {gap}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn merge(
    terminal: Terminal,
    profiles: &[PathBuf],
    out: &Path,
    trusting: &Trusting,
) -> anyhow::Result<ExitCode> {
    crate::commands::tables::apart(profiles.iter().map(PathBuf::as_path), &[("out", Some(out))])?;
    let mut all: Option<Profile> = None;
    let mut gaps = Vec::new();
    for path in profiles {
        let known = trusting.read(path)?;
        gaps.extend(known.gap().map(|gap| format!("{}: {gap}", path.display())));
        let own = known.profile;
        match &mut all {
            None => all = Some(own),
            Some(all) => {
                let source = format!("{} and {}", all.source, own.source);
                all.merge(&own).map_err(|_| {
                    Usage(format!(
                        "{} divides rows otherwise than {}; make it with `mantlet monitor baseline --like {1}`",
                        path.display(),
                        profiles.first().unwrap_or(path).display()
                    ))
                })?;
                all.source = source;
            }
        }
    }
    let Some(profile) = all else { return Err(Usage("name two profiles or more".to_owned()).into()) };
    let signature = sealed::write(out, &profile, trusting.storage())?;
    terminal.say(&format!(
        "{}: {} rows of {} profiles, signed in {}",
        out.display(),
        profile.counts.rows,
        profiles.len(),
        signature.display()
    ));
    gaps.iter().for_each(|gap| terminal.say(&format!("not looked at: {gap}")));
    Ok(ExitCode::SUCCESS)
}

/// Writes a file beside and moves it: whoever reads it sees the old one or the new one.
pub(super) fn keep(out: &Path, text: &[u8]) -> anyhow::Result<()> {
    let folder = match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        file.persist(out)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", out.display()))
}

/// The bytes of a file that may come from anywhere.
pub(super) fn bounded(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(most + 1).read_to_end(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
    if text.len() as u64 > most {
        return Err(Usage(format!("{} has more than the {most} bytes that are read", path.display())).into());
    }
    Ok(text)
}

/// Columns that are not crossed with others, where a profile has more than are.
fn uncrossed(profile: &Profile) -> Option<String> {
    let judged =
        profile.columns.iter().filter(|own| !matches!(own.buckets, mantlet_drift::Buckets::Identifier));
    let (all, own) = (judged.count(), mantlet_drift::crossed(&profile.columns).len());
    (all > own).then(|| {
        format!(
            "drift of two columns together was looked for among the first {own} of {all} columns only, drift of each by \
             itself in all; make profiles of fewer columns (`mantlet monitor baseline --without`) to cross others"
        )
    })
}

fn drift(
    terminal: Terminal,
    (tables, named, baseline): (&[PathBuf], &Named, &Path),
    settings: Settings,
    (trusting, engine): (&Trusting, &Engine),
    (raising, reporting): (&Raising, &Reporting),
) -> anyhow::Result<ExitCode> {
    let known = trusting.read(baseline)?;
    let unsigned = known.gap();
    let reference = Reference::signed(known.profile, known.text, known.seal);
    let profile = reference.profile();
    let dataset = named.only(tables)?;
    let mut counted =
        mantlet_dataset::count_by(&engine.chosen(terminal, trusting.storage()), &dataset, &reference)?;
    counted.gaps.extend(unsigned);
    counted.gaps.extend(dataset.notes());
    counted.gaps.extend(uncrossed(profile));
    let comparison = Comparison::new(profile, &counted.value, settings)?;
    let mut findings = mantlet_drift::drift::look(&comparison, &Place::artifact(dataset.name()));
    // What the record leaves out is told of above, and has not drifted.
    for (name, _) in dataset.left_out().into_iter().filter(|(_, all)| *all) {
        let column = format!("column {name}");
        findings.retain(|finding| finding.place.part.as_deref() != Some(column.as_str()));
    }
    let said = format!("{} rows against {} of the profile", comparison.current.rows, profile.counts.rows);
    let look = format!("`mantlet monitor segments {}` beside the reference", tables_of(tables));
    raising.raise(terminal, &findings, &look)?;
    conclude_kept(
        terminal,
        Looked::compared(&dataset),
        said,
        counted.gaps,
        findings,
        (reporting, raising, "monitor drift"),
    )
}
