//! `mantlet attack run --through`: the same attacks without and with the guard, and what it does to ordinary rows.

use std::fmt::Write as _;
use std::sync::Arc;

use mantlet_attacks::{Detail, wilson};
use mantlet_detectors::Profile;
use mantlet_guard::{Controls, Guard};
use mantlet_redteam::{Figure, NoJournal, ProbeReport, Target};
use mantlet_vocab::Mode;
use mantlet_worker::battery::{Results, SmallLearner, WallClock};
use mantlet_worker::harden::{Benign, Capped, Purse, Scene, Through, benign, benign_through, through};

use crate::config::Loaded;
use crate::deploy;
use crate::runtime;

/// The word that stands for the guard of the folder, in this process.
pub(super) const GUARD: &str = "guard";
/// Said of what was left out for want of money.
const SPENT: &str =
    "what the run may spend is spent: not put through the guard, or not wholly; raise the cap";
/// Ordinary rows asked of a running gateway before the attacks.
const ORDINARY: usize = 200;

/// What came of running it all through a guard.
pub(super) struct Compared {
    rows: Vec<(String, Through)>,
    benign: Benign,
    notes: Vec<String>,
}

/// The guard of the folder as it would be in force, enforcing; with the profile given where the folder has none.
///
/// # Errors
/// When the configuration does not hold.
pub(super) fn guard_of(loaded: &Loaded, profile: Arc<Profile>) -> anyhow::Result<(Guard, Vec<String>)> {
    let mut enforcing = loaded.clone();
    let mut notes = Vec::new();
    if enforcing.config.gateway.mode != Mode::Enforce {
        enforcing.config.gateway.mode = Mode::Enforce;
        notes.push(
            "the gateway is configured to observe or advise; figures are of the same guard enforcing"
                .to_owned(),
        );
    }
    let (guard, _) = runtime::block_on(deploy::guard_of(&enforcing))?;
    if guard.profile().is_some() {
        return Ok((guard, notes));
    }
    notes.push(
        "the folder has no profile yet; one was learned from the training rows, as `mantlet protect` does"
            .to_owned(),
    );
    let config = guard.config().clone();
    let pinned = guard.pinned();
    Ok((Guard::new(config, Some(profile), pinned, Arc::new(Controls::new()))?, notes))
}

/// Runs every attack that had a hit through the guard in this process.
pub(super) fn in_process(
    scene: &Scene<'_>,
    target: &mut dyn Target,
    purse: &mut Purse,
    guard: &Guard,
    results: &Results,
    mut notes: Vec<String>,
    step: &mut dyn FnMut(&str),
) -> Compared {
    step("ordinary rows");
    purse.short = false;
    let benign = benign(&mut Capped::new(target, purse), guard, &scene.layout, &scene.half(1), scene.seed);
    if purse.short {
        notes.push(SPENT.to_owned());
    }
    let mut rows = Vec::new();
    for probe in &results.probes {
        let Some(campaign) = probe.campaign.as_ref().filter(|_| probe.report.counts.hit > 0) else {
            continue;
        };
        step(&probe.report.probe);
        purse.short = false;
        let found = through(scene, &mut Capped::new(target, purse), guard, campaign, &probe.report);
        if purse.short {
            notes.push(format!("{}: {SPENT}", probe.report.probe));
        } else if let Some(found) = found {
            rows.push((probe.report.probe.clone(), found));
        }
    }
    Compared { rows, benign, notes }
}

/// Runs every attack that had a hit and asks an endpoint through a running gateway, ordinary rows first: the gateway
/// remembers what its caller did.
pub(super) fn running(
    scene: &Scene<'_>,
    gateway: &mut dyn Target,
    purse: &mut Purse,
    results: &Results,
    step: &mut dyn FnMut(&str),
) -> Compared {
    step("ordinary rows");
    purse.short = false;
    let ordinary = scene.half(1);
    let benign = benign_through(&mut Capped::new(gateway, purse), &ordinary, scene.seed, ORDINARY);
    let mut notes = vec![
        "ordinary rows were asked first, then every attack, all under one key: the gateway remembers its caller; name one \
         attack with --only, and take a new key, for a figure of its own"
            .to_owned(),
    ];
    if purse.short {
        notes.push(SPENT.to_owned());
    }
    let mut rows = Vec::new();
    for probe in &results.probes {
        let Some(campaign) = probe.campaign.as_ref().filter(|_| probe.report.counts.hit > 0) else {
            continue;
        };
        let Some(detail) = probe.report.outcome.as_ref().map(|outcome| &outcome.detail) else { continue };
        let of = match detail {
            Detail::Evasion { gradients: false, .. } => "rows turned",
            Detail::Membership { .. } => "training rows told from others",
            Detail::Extraction { .. } => "rows answered to a thief",
            _ => {
                notes.push(format!(
                    "{} works on the file and was not put through the gateway",
                    probe.report.probe
                ));
                continue;
            }
        };
        step(&probe.report.probe);
        let mut learner = SmallLearner::of(scene.kin);
        let mut clock = WallClock::default();
        purse.short = false;
        let mut capped = Capped::new(gateway, purse);
        let again = match campaign.run_with(&mut capped, &mut learner, &mut NoJournal, &mut clock) {
            Ok(_) if purse.short => {
                notes.push(format!("{}: {SPENT}", probe.report.probe));
                continue;
            }
            Ok(again) => again,
            Err(error) => {
                notes.push(format!("{}: {error}", probe.report.probe));
                continue;
            }
        };
        let found = Through {
            of: of.to_owned(),
            without: probe.report.counts.hit,
            with: again.counts.hit,
            n: probe.report.n.max(probe.report.counts.hit).max(again.counts.hit),
            flagged_at: None,
            withheld_at: (again.refusals > 0).then(|| again.queries.saturating_sub(again.refusals) + 1),
            asked: again.queries,
            answered: again.queries.saturating_sub(again.refusals + again.failures),
            rules: Vec::new(),
        };
        rows.push((probe.report.probe.clone(), found));
    }
    Compared { rows, benign, notes }
}

impl Compared {
    /// Adds what was found to the reports, as figures that every form of report shows.
    pub(super) fn add_to(&self, results: &mut Results) {
        for (probe, found) in &self.rows {
            let report = results
                .probes
                .iter_mut()
                .map(|probe| &mut probe.report)
                .find(|report| report.probe == *probe && !report.facts.contains_key("through-guard"));
            let Some(report) = report else { continue };
            self.add(report, found);
        }
    }

    fn add(&self, report: &mut ProbeReport, found: &Through) {
        let figure = |name: String, value, n| Figure::share(name, value, n);
        report.figures.push(figure(format!("without the guard: {}", found.of), found.before(), found.n));
        report.figures.push(figure(format!("with the guard: {}", found.of), found.after(), found.n));
        let blocked = wilson(self.benign.blocked, self.benign.rows);
        report.figures.push(figure("ordinary rows blocked".to_owned(), blocked, self.benign.rows));
        if let Ok(value) = serde_json::to_value(found) {
            report.facts.insert("through-guard".to_owned(), value);
        }
    }

    /// Side by side, for a terminal.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{:<28} {:>30} {:>30}  what", "through the guard", "without", "with");
        for (probe, found) in &self.rows {
            let share = |count: usize, interval: mantlet_attacks::Interval| {
                format!(
                    "{count}/{} {:.3} [{:.3}, {:.3}]",
                    found.n, interval.value, interval.low, interval.high
                )
            };
            let withheld = found.withheld_at.map_or("nothing withheld".to_owned(), |at| {
                format!("withheld from query {at}, {} of {} answered", found.answered, found.asked)
            });
            let rules =
                if found.rules.is_empty() { String::new() } else { format!(" ({})", found.rules.join(", ")) };
            let _ = writeln!(
                text,
                "{probe:<28} {:>30} {:>30}  {}; {withheld}{rules}",
                share(found.without, found.before()),
                share(found.with, found.after()),
                found.of
            );
        }
        let benign = &self.benign;
        let blocked = wilson(benign.blocked, benign.rows);
        let _ = writeln!(
            text,
            "ordinary rows: {} of {} blocked {:.4} [{:.4}, {:.4}]; {} of {} clients met it{}",
            benign.blocked,
            benign.rows,
            blocked.value,
            blocked.low,
            blocked.high,
            benign.callers_blocked,
            benign.callers,
            if benign.failed > 0 { format!("; {} rows failed", benign.failed) } else { String::new() }
        );
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }
}
