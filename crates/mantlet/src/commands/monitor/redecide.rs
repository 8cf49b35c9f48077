//! `mantlet monitor redecide`: decisions on record, scored again by a version that is known to be good.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mantlet_columns::{Row, is_left_out};
use mantlet_drift::decision::{self, Redecided, Redecision};
use mantlet_model::Classifier;
use mantlet_registry::RegistryStore as _;
use mantlet_store::{ExchangeFilter, Store};
use mantlet_vocab::{ArtifactSummary, Coverage, Examination, Gap, Millis, Place, Tensor};

use crate::cli::{Format, Reporting};
use crate::commands::{Which, registry};
use crate::config::Loaded;
use crate::exit::{self, Usage};
use crate::protect::subject;
use crate::runtime;
use crate::terminal::{Terminal, write_whole};

/// Which past decisions would the known-good version have made differently?
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    /// The version that decides again; the known-good one when none is named. Its digest and signature are verified
    /// first.
    #[arg(long, value_name = "VERSION")]
    with: Option<String>,
    /// Decisions from this time on: `2026-11-03` or `2026-11-03T10:00:00Z`.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Decisions up to this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only decisions for this caller.
    #[arg(long, value_name = "KEY")]
    caller: Option<String>,
    /// The feature of `data.features` that holds the amount at stake.
    #[arg(long, value_name = "FEATURE")]
    amount: Option<String>,
    /// Everything about this one decision.
    #[arg(long, value_name = "ID", conflicts_with_all = ["since", "until", "caller"])]
    id: Option<String>,
    /// Write the suspects here, as CSV, the largest amounts first.
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    out: Option<PathBuf>,
    /// Suspects listed at most; all are counted.
    #[arg(long, value_name = "N", default_value_t = 40)]
    most: usize,
    #[command(flatten)]
    reporting: Reporting,
}

/// Decisions read at most; the newest are.
const DECISIONS: usize = 1_000_000;
/// Decisions scored at a time.
const BATCH: usize = 512;

pub(super) fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let filter = ExchangeFilter {
        since: options.since.as_deref().map(|text| time("since", text)).transpose()?.unwrap_or(Millis(0)),
        until: options
            .until
            .as_deref()
            .map(|text| time("until", text))
            .transpose()?
            .unwrap_or(Millis(u64::MAX)),
        caller: options.caller.clone(),
        ids: options.id.iter().cloned().collect(),
        most: DECISIONS,
        ..ExchangeFilter::default()
    };
    runtime::block_on(async {
        let (loaded, store) = options.which.open().await?;
        let outcome = redecide(terminal, options, filter, &loaded, &store).await;
        store.close().await?;
        outcome
    })
}

async fn redecide(
    terminal: Terminal,
    options: &Options,
    filter: ExchangeFilter,
    loaded: &Loaded,
    store: &Store,
) -> anyhow::Result<ExitCode> {
    let system = loaded.config.system.name.clone();
    let with = match &options.with {
        Some(version) => version.clone(),
        None => {
            let record = store.system(&system).await?;
            record
                .and_then(|record| record.known_good)
                .ok_or_else(|| Usage(format!("{system} has no known-good version; name one with --with")))?
        }
    };
    let record = store.version(&system, &with).await?;
    let record = record.ok_or_else(|| {
        Usage(format!("version {with} is not on record; `mantlet registry list` shows those that are"))
    })?;
    registry::registry(store, loaded)?.verify(&record).with_context(|| format!("version {with}"))?;
    let mut file = record.path.clone();
    if file.is_dir() {
        file.push(loaded.config.model.path.file_name().unwrap_or_default());
    }
    let classifier = subject::load_model(&file)
        .map_err(|gap| anyhow::anyhow!("version {with} cannot decide again: {}; {}", gap.why, gap.remedy))?;
    let features = loaded.config.data.as_ref().map(|data| data.features.clone()).unwrap_or_default();
    let amount = match &options.amount {
        Some(name) => Some(features.iter().position(|feature| feature == name).ok_or_else(|| {
            Usage(format!("`data.features` of {} names no `{name}`", loaded.file.display()))
        })?),
        None => None,
    };
    let rows = store.exchanges(ExchangeFilter { system: Some(system.clone()), ..filter }).await?;
    let mut gaps = Vec::new();
    if rows.len() >= DECISIONS {
        gaps.push(format!("only the newest {DECISIONS} decisions were read; choose a shorter time"));
    }
    let read = rows.len();
    let again = Again { classifier: &classifier, amount };
    let redecided = again.decide(&with, rows, &mut gaps)?;
    if let Some(id) = &options.id {
        let row = store.exchange(id).await?;
        let row = row.ok_or_else(|| Usage(format!("no decision `{id}` is on record")))?;
        terminal.say(&dossier(&row, &features, &redecided, &record));
    }
    conclude(terminal, options, &system, read, redecided, gaps)
}

/// A time of the command line.
fn time(name: &str, text: &str) -> Result<Millis, Usage> {
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    });
    stamp.and_then(|stamp| u64::try_from(stamp.as_millisecond()).ok()).map(Millis).ok_or_else(|| {
        Usage(format!("--{name} is a time such as 2026-11-03 or 2026-11-03T10:00:00Z, not `{text}`"))
    })
}

/// The other version, ready to decide.
struct Again<'a> {
    classifier: &'a Classifier,
    amount: Option<usize>,
}

impl Again<'_> {
    /// Scores rows again, and says which could not be.
    fn decide(&self, with: &str, rows: Vec<Row>, gaps: &mut Vec<String>) -> anyhow::Result<Redecided> {
        let shape = self.classifier.input_shape();
        let width: usize = shape.iter().product();
        let mut redecided = Redecided::new(with);
        let (mut unanswered, mut other, mut more, mut left_out) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut fitting = Vec::with_capacity(BATCH);
        let mut rest = rows.into_iter();
        loop {
            let next = rest.next();
            let end = next.is_none();
            if let Some(row) = next {
                if row.label.is_empty() {
                    unanswered += 1;
                } else if row.features.len() < width || self.class(&row.label).is_none() {
                    other += 1;
                } else if row.features.iter().take(width).any(|value| is_left_out(*value)) {
                    left_out += 1;
                } else {
                    more += u64::from(row.rows > 1);
                    fitting.push(row);
                }
            }
            if fitting.len() == BATCH || (end && !fitting.is_empty()) {
                self.batch(&mut fitting, width, shape, &mut redecided)?;
            }
            if end {
                break;
            }
        }
        if other > 0 {
            gaps.push(format!(
                "{other} decisions were recorded without the {width} values of this model, or with a class it has not"
            ));
        }
        if left_out > 0 {
            gaps.push(format!(
                "{left_out} decisions cannot be made again: features of them are not recorded, as `[record]` says"
            ));
        }
        if more > 0 {
            gaps.push(format!(
                "{more} requests asked about several rows; only the first of each is on record"
            ));
        }
        if unanswered > 0 && redecided.decided == 0 {
            gaps.push(format!("{unanswered} requests have no answer on record"));
        }
        Ok(redecided)
    }

    fn batch(
        &self,
        rows: &mut Vec<Row>,
        width: usize,
        shape: &[usize],
        redecided: &mut Redecided,
    ) -> anyhow::Result<()> {
        let values: Vec<f32> = rows.iter().flat_map(|row| row.features.iter().take(width).copied()).collect();
        let whole: Vec<usize> = std::iter::once(rows.len()).chain(shape.iter().copied()).collect();
        let answers = self.classifier.labels(&Tensor::new(whole, values)?)?;
        let name = |class: usize| self.classifier.class_names().get(class).cloned().unwrap_or_default();
        for (row, answer) in rows.drain(..).zip(answers) {
            let amount = self.amount.and_then(|at| row.features.get(at)).map(|&amount| f64::from(amount));
            redecided.take(Redecision {
                then: self.class(&row.label).map(name).unwrap_or_default(),
                now: name(answer),
                at: row.at.to_string(),
                id: row.id,
                caller: row.caller,
                version: row.version,
                amount,
                signals: row.signals,
            });
        }
        Ok(())
    }

    /// The class that a recorded label names: by its name, or by its number.
    fn class(&self, label: &str) -> Option<usize> {
        let names = self.classifier.class_names();
        names
            .iter()
            .position(|name| name == label)
            .or_else(|| label.parse().ok().filter(|&at| at < names.len()))
    }
}

/// What is on record of one decision, and what the other version says of it.
fn dossier(
    row: &Row,
    features: &[String],
    redecided: &Redecided,
    with: &mantlet_registry::ModelVersion,
) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let _ =
        writeln!(text, "decision {}\n  made    {} on route {} for {}", row.id, row.at, row.route, row.caller);
    let _ = writeln!(text, "  by      version {}, configuration {}", row.version, row.generation);
    let scores: Vec<String> = row.scores.iter().take(16).map(|score| format!("{score:.4}")).collect();
    let _ = writeln!(text, "  said    {} ({})", row.label, scores.join(", "));
    let _ = writeln!(text, "  guard   {} ({}), status {}", row.action, row.mode, row.status);
    for (signal, score) in row.signals.iter().zip(&row.signal_scores) {
        let _ = writeln!(text, "          {signal} {score:.3}");
    }
    for (at, value) in row.features.iter().enumerate().take(64) {
        let name = features.get(at).map_or_else(|| format!("value {at}"), Clone::clone);
        let _ = writeln!(text, "  input   {name} = {value}");
    }
    if row.features.len() > 64 {
        let _ = writeln!(text, "  input   and {} more values", row.features.len() - 64);
    }
    let approved: Vec<&str> = with.approvals.iter().map(|approval| approval.by.as_str()).collect();
    let _ = writeln!(
        text,
        "  again   version {} ({}, {}){}",
        with.version,
        with.state,
        with.digest,
        if approved.is_empty() { String::new() } else { format!(", approved by {}", approved.join(", ")) }
    );
    let turned = redecided.turns().next();
    let _ = match (turned, redecided.decided) {
        (Some((then, now, _)), _) => writeln!(text, "          says {now}, not {then}"),
        (None, 0) => writeln!(text, "          could not answer"),
        (None, _) => writeln!(text, "          says the same"),
    };
    text
}

/// Suspects as CSV.
fn list(suspects: &[Redecision]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "at", "caller", "version", "then", "now", "amount", "signals"])?;
    for one in suspects {
        let amount = one.amount.map(|amount| format!("{amount:.2}")).unwrap_or_default();
        let signals = one.signals.join(" ");
        writer.write_record([
            &one.id,
            &one.at,
            &one.caller,
            &one.version,
            &one.then,
            &one.now,
            &amount,
            &signals,
        ])?;
    }
    writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))
}

fn conclude(
    terminal: Terminal,
    options: &Options,
    system: &str,
    read: usize,
    mut redecided: Redecided,
    gaps: Vec<String>,
) -> anyhow::Result<ExitCode> {
    let place = Place::artifact(format!("decisions of {system}"));
    let findings = decision::look(&redecided, &place);
    let said = format!(
        "{read} exchanges on record, {} decided again by {}, {} of them made by another version",
        redecided.decided, redecided.with, redecided.foreign
    );
    if options.id.is_none() && options.reporting.format == Format::Text && options.reporting.output.is_none()
    {
        for one in redecided.suspects().iter().take(options.most) {
            let amount = one.amount.map(|amount| format!("  {amount:.2}")).unwrap_or_default();
            let noticed =
                if one.signals.is_empty() { String::new() } else { format!("  {}", one.signals.join(", ")) };
            terminal.say(&format!(
                "{}  {}  {} by {}: {} is {}{amount}{noticed}",
                one.at, one.id, one.caller, one.version, one.then, one.now
            ));
        }
    }
    if let Some(out) = &options.out {
        write_whole(out, &list(redecided.suspects())?)?;
    }
    let gaps: Vec<Gap> = gaps
        .into_iter()
        .map(|why| Gap {
            what: place.to_string(),
            why,
            remedy: "choose the time and the version that fit one another".to_owned(),
        })
        .collect();
    let examination = Examination {
        artifacts: vec![ArtifactSummary {
            path: place.artifact.clone(),
            size: 0,
            digest: None,
            said: Default::default(),
            formats: vec![said],
            coverage: if gaps.is_empty() { Coverage::Complete } else { Coverage::Partial { gaps } },
        }],
        findings,
        ..Examination::default()
    };
    crate::commands::report(terminal, &examination, &options.reporting)?;
    Ok(exit::verdict(examination.verdict(options.reporting.threshold)))
}
