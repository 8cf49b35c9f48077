//! `mantlet attack replay`: what once worked is tried again, against a model or against a guard's memory of its stream.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use mantlet_detectors::Trace;
use mantlet_redteam::{Case, Patience, ReplayVerdict};
use mantlet_store::RecordKind;
use mantlet_vocab::Verdict;
use mantlet_worker::battery::{SmallLearner, WallClock};

use super::given::Given;
use super::target::Endpoint;
use super::{keep, prepare, through};
use crate::commands::open_store;
use crate::config::Loaded;
use crate::exit::{self, Usage};
use crate::protect::admit;
use crate::runtime;
use crate::terminal::Terminal;

/// Replays cases on record, or those kept in files, against the target.
///
/// # Errors
/// When they cannot be read or the target cannot be opened.
pub(super) fn cases(
    terminal: Terminal,
    folder: &Path,
    wanted: Option<&str>,
    from: Option<&Path>,
    endpoint: &Endpoint,
) -> anyhow::Result<ExitCode> {
    let (loaded, subject) = prepare(folder, &Given::default(), false)?;
    let cases: Vec<Case> = match from {
        Some(from) => {
            let kept = keep::cases(from)?.into_iter().map(|kept| kept.case);
            kept.filter(|case| wanted.is_none_or(|wanted| case.id == wanted)).collect()
        }
        None => on_record(folder, &loaded, wanted)?,
    };
    if cases.is_empty() {
        terminal.say("no case is kept: nothing was replayed");
        return Ok(exit::verdict(Verdict::NotFullyExamined));
    }
    let mut worst = Verdict::Clean;
    let mut learner = SmallLearner::default();
    for case in cases {
        let mut target = endpoint.open(&loaded, &subject)?;
        let result =
            case.replay_with(target.as_mut(), &mut learner, Patience::default(), &mut WallClock::default())?;
        terminal.say(&format!("{}  {}: {}", case.id, case.attack, result.message));
        worst = match (result.verdict, worst) {
            (ReplayVerdict::Passed, _) | (_, Verdict::Found) => Verdict::Found,
            (ReplayVerdict::Inconclusive, _) | (_, Verdict::NotFullyExamined) => Verdict::NotFullyExamined,
            (ReplayVerdict::Stopped | ReplayVerdict::Changed, Verdict::Clean) => Verdict::Clean,
        };
    }
    Ok(exit::verdict(worst))
}

fn on_record(folder: &Path, loaded: &Loaded, wanted: Option<&str>) -> anyhow::Result<Vec<Case>> {
    runtime::block_on(async {
        let (_, store) = open_store(folder).await?;
        let records = store.records(RecordKind::Case, Some(&loaded.config.system.name), 10_000).await?;
        store.close().await?;
        let wanted = records.into_iter().filter(|record| wanted.is_none_or(|wanted| record.id == wanted));
        wanted
            .map(|record| serde_json::from_value(record.doc).context("a kept case cannot be read"))
            .collect()
    })
}

/// Replays traces against the rules and thresholds of the folder's guard, enforcing.
///
/// # Errors
/// When they cannot be read, or the folder has neither a profile nor rows to learn one from.
pub(super) fn traces(terminal: Terminal, folder: &Path, from: &Path) -> anyhow::Result<ExitCode> {
    let (loaded, subject) = prepare(folder, &Given::default(), false)?;
    let learned = admit::learn_profile(Some(&subject))?;
    let profile = admit::profile(&loaded)?.or(learned).map(Arc::new).ok_or_else(|| {
        Usage("too few training rows to know what honest traffic looks like: 32 are needed".to_owned())
    })?;
    let (guard, notes) = through::guard_of(&loaded, profile)?;
    let mut worst = Verdict::Clean;
    let files = keep::files(from, "traces", "jsonl")?;
    for path in &files {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let trace = Trace::from_lines(&text).with_context(|| path.display().to_string())?;
        let replayed = guard.replay(&trace);
        let at = |at: Option<usize>| at.map_or("never".to_owned(), |at| format!("at query {at}"));
        terminal.say(&format!(
            "{}  {}: {} rows, marked {}, withheld {} ({} in all), first success {}: {} ({})",
            trace.case,
            trace.attack,
            replayed.rows,
            at(replayed.flagged_at),
            at(replayed.stopped_at),
            replayed.withheld,
            at(replayed.succeeded_at),
            if replayed.stopped() { "stopped" } else { "NOT STOPPED" },
            replayed.signals.join(", ")
        ));
        if !replayed.stopped() {
            worst = Verdict::Found;
        }
    }
    for note in notes {
        terminal.say(&format!("note: {note}"));
    }
    if files.is_empty() {
        terminal.say("no trace is kept: nothing was replayed");
        return Ok(exit::verdict(Verdict::NotFullyExamined));
    }
    Ok(exit::verdict(worst))
}
