//! `mantlet attack run --keep FOLDER`: each hit as a case, a trace and a rule of the guard.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mantlet_attacks::wilson;
use mantlet_redteam::Target;
use mantlet_worker::battery::Results;
use mantlet_worker::harden::{Capped, Hardened, Purse, Reproducer, Scene};
use serde::Serialize;

/// Keeps every hit of the results; says in words what was kept.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn keep(
    folder: &Path,
    scene: &Scene<'_>,
    target: &mut dyn Target,
    purse: &mut Purse,
    results: &Results,
    step: &mut dyn FnMut(&str),
) -> anyhow::Result<String> {
    let mut text = String::new();
    for probe in &results.probes {
        let Some(campaign) = probe.campaign.as_ref().filter(|_| probe.report.counts.hit > 0) else {
            continue;
        };
        step(&probe.report.probe);
        let stream = results.stream(campaign).cloned().unwrap_or_default();
        purse.short = false;
        let hardened = scene.harden(&mut Capped::new(target, purse), campaign, &probe.report, &stream);
        let Some(mut kept) = hardened else { continue };
        if purse.short {
            // What was not asked says nothing of what a rule stops.
            kept.rule = None;
            kept.notes = vec![
                "what the run may spend was spent before a rule could be shown to stop this attack: none is kept; \
                 raise the cap"
                    .to_owned(),
            ];
        }
        write(folder, &kept)?;
        say(&mut text, folder, &probe.report.probe, &kept);
    }
    if text.is_empty() {
        text.push_str("nothing to keep: no attack that a guard of requests can stop had a hit\n");
    }
    Ok(text)
}

fn write(folder: &Path, kept: &Hardened) -> anyhow::Result<()> {
    if let Some(case) = &kept.case {
        put(folder, "cases", &format!("{}.json", case.id), &pretty(case)?)?;
    }
    if !kept.trace.rows.is_empty() {
        put(folder, "traces", &format!("{}.jsonl", kept.trace.case), kept.trace.to_lines().as_bytes())?;
    }
    if let Some(rule) = &kept.rule {
        put(folder, "rules", &format!("{}.json", rule.id), &pretty(rule)?)?;
    }
    Ok(())
}

fn pretty(value: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

fn put(folder: &Path, kind: &str, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = folder.join(kind);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(name);
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn say(text: &mut String, folder: &Path, attack: &str, kept: &Hardened) {
    let id = kept.case.as_ref().map_or(kept.trace.case.as_str(), |case| case.id.as_str());
    let minimal = if kept.case.as_ref().is_some_and(|case| case.minimal) { ", of one row" } else { "" };
    let _ = writeln!(text, "{attack}: kept as {id}{minimal}");
    if let Some(rule) = &kept.rule {
        let file = folder.join("rules").join(format!("{}.json", rule.id));
        let _ = writeln!(text, "  guard rule {}: {}", rule.id, file.display());
        for line in &rule.description {
            let _ = writeln!(text, "    stops {line}");
        }
        if let Some(shown) = &rule.shown {
            let (stopped, blocked) =
                (wilson(shown.stopped, shown.variants), wilson(shown.blocked, shown.benign));
            let _ = writeln!(
                text,
                "    shown: {} of {} unseen variants stopped [{:.3}, {:.3}]; {} of {} ordinary rows blocked [{:.4}, {:.4}]",
                shown.stopped,
                shown.variants,
                stopped.low,
                stopped.high,
                shown.blocked,
                shown.benign,
                blocked.low,
                blocked.high
            );
        }
    }
    for note in &kept.notes {
        let _ = writeln!(text, "  note: {note}");
    }
}

/// The cases kept in a file, a folder, or a folder's `cases`, in order of name.
///
/// # Errors
/// When one cannot be read.
pub(super) fn cases(from: &Path) -> anyhow::Result<Vec<Reproducer>> {
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is no kept case", path.display()))
    };
    files(from, "cases", "json")?.into_iter().map(read).collect()
}

/// The files of one kind: the one named, those of a folder, or those of its folder of that kind; in order of name.
///
/// # Errors
/// When a folder cannot be listed.
pub(super) fn files(from: &Path, kind: &str, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    if from.is_file() {
        return Ok(vec![from.to_owned()]);
    }
    let inner = from.join(kind);
    let folder = if inner.is_dir() { inner } else { from.to_owned() };
    let listed = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in listed {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
