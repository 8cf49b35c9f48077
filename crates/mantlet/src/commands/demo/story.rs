//! What the demo tells: lines on the way, and the report at the end.

use std::time::Duration;

use mantlet_report::{
    Answers, Basis, EventKind, Figure, IncidentStory, Interval, NextStep, PinnedCase, SeedRow, SeedTable,
    StepRow, SystemReport, TimelineEvent, Tone, Unit,
};
use mantlet_respond::{Incident, IncidentFilter, Undo};
use mantlet_store::Store;
use mantlet_verdict::Admit;

use super::battle::{Battle, RADIUS};
use super::example::{BackdoorRow, Example, TARGET};
use super::harden::Hardened;
use super::sink::Sink;
use crate::protect::Protected;
use crate::terminal::Terminal;

/// Incidents of the attack, oldest first.
pub async fn incidents(store: &Store) -> anyhow::Result<Vec<Incident>> {
    let mut incidents = store.incidents(&IncidentFilter::default()).await?;
    incidents.reverse();
    Ok(incidents)
}

/// Prints the search for triggers on other seeds.
pub fn say_backdoors(terminal: Terminal, rows: &[BackdoorRow]) {
    for row in rows {
        terminal.say(&format!(
            "  seed {}: the mark commands {:.1} % of the tampered model's answers; found class {:?} in it, {:?} in the clean one, {:.1} s  {}",
            row.seed,
            row.commanded * 100.0,
            row.tampered,
            row.clean,
            row.millis as f64 / 1000.0,
            if row.held() { "held" } else { "NOT HELD" }
        ));
    }
}

/// Prints incident, delivery, case and rule.
pub fn say_answer(terminal: Terminal, incidents: &[Incident], sink: &Sink, hardened: &Hardened) {
    if let Some(incident) = incidents.first() {
        for line in incident.plain().lines() {
            terminal.say(&format!("  | {line}"));
        }
    }
    terminal.say(&format!(
        "  {} incidents, {} deliveries at the webhook",
        incidents.len(),
        sink.deliveries().len()
    ));
    for incident in incidents {
        let times = incident.times();
        terminal.say(&format!(
            "  {} {}: seen after {} queries ({} ms), contained {}",
            incident.id,
            incident.kind,
            times.detect_queries,
            times.detect_ms,
            times.contain_ms.map_or("not".to_owned(), |ms| format!("{ms} ms later"))
        ));
    }
    for pinned in &hardened.pinned {
        terminal.say(&format!("  case {} became rule {}, which stops:", pinned.case, pinned.rule.id));
        pinned.rule.description.iter().for_each(|line| terminal.say(&format!("    - {line}")));
        for (replay, alone) in pinned.replays.iter().zip(&pinned.alone) {
            terminal.say(&format!(
                "    replay of {}: {} after {} answered queries; by the rule alone: {}",
                replay.what,
                if replay.stopped { "stopped" } else { "NOT STOPPED" },
                replay.queries,
                if *alone { "stopped" } else { "NOT STOPPED" }
            ));
        }
    }
    terminal.say(&format!(
        "  benign after pinning: {} queries, {} refused",
        hardened.benign, hardened.benign_refused
    ));
}

/// What did not hold, in words; empty when everything did.
pub fn held(
    v1: &Protected,
    v2: &Protected,
    backdoors: &[BackdoorRow],
    battle: &Battle,
    hardened: &Hardened,
) -> Vec<String> {
    let mut broken = Vec::new();
    if v1.admission.decision != Admit::Admit {
        broken.push("v1 was not admitted".to_owned());
    }
    if v2.admission.decision != Admit::Refuse {
        broken.push("v2 was not refused".to_owned());
    }
    let missed = backdoors.iter().filter(|row| !row.held()).count();
    if missed > 0 {
        broken.push(format!("the backdoor search erred on {missed} of {} seeds", backdoors.len()));
    }
    let lost = battle.attacks.iter().filter(|attack| !attack.held()).count();
    if lost > 0 {
        broken.push(format!("{lost} of {} attacks were not stopped in time", battle.attacks.len()));
    }
    if battle.benign_refused > 0 {
        broken.push(format!("{} of {} benign queries were refused", battle.benign_refused, battle.benign));
    }
    if !hardened.held() {
        broken
            .push("a replay or variant was not stopped, or a pinned rule touched benign traffic".to_owned());
    }
    broken
}

/// What this program does not do yet, said plainly.
pub fn not_yet() -> String {
    "\nNot there yet: the scenario assistant; attacks on language models; a thief with much natural data is seen \
     by his budget only; what a detector remembers is each machine's own."
        .to_owned()
}

/// The report of the whole run.
pub fn report(
    example: &Example,
    v1: &Protected,
    v2: &Protected,
    backdoors: &[BackdoorRow],
    battle: &Battle,
    hardened: &Hardened,
    incidents: &[Incident],
) -> SystemReport {
    let mut report = super::blank(v1);
    let candidate = super::blank(v2);
    report.models.extend(candidate.models);
    report.evasion.extend(candidate.evasion);
    report.triggers.extend(candidate.triggers);
    report.extraction.extend(candidate.extraction);
    report.membership.extend(candidate.membership);
    report.probes.extend(candidate.probes);
    report.gaps.extend(candidate.gaps);
    let broken = held(v1, v2, backdoors, battle, hardened);
    report.verdict.tone = if broken.is_empty() { Tone::Good } else { Tone::Bad };
    report.verdict.headline =
        "v1 serves behind the guard; v2 is refused because it hides a backdoor.".to_owned();
    let attacks = battle.attacks.len();
    let stopped = battle.attacks.iter().filter(|attack| attack.held()).count();
    report.verdict.sentences = vec![
        format!("A 2x2 mark turns any digit into a {TARGET} in v2: a forger could choose the amount."),
        format!("{stopped} of {attacks} attacks through the gateway were seen and stopped before they succeeded."),
        format!("{} of {} benign requests were refused.", battle.benign_refused, battle.benign),
        "The attackers and the benign clients are simulated; model, gateway, detectors and log are the real ones.".to_owned(),
    ];
    report.verdict.sentences.extend(broken.iter().map(|what| format!("It did not hold: {what}.")));
    report.verdict.next = vec![
        NextStep {
            what: "do the same for a model of your own".to_owned(),
            command: Some("mantlet init".to_owned()),
        },
        NextStep {
            what: "check the log of everything that happened".to_owned(),
            command: Some(format!("mantlet audit verify {}", example.v1.root.display())),
        },
    ];
    report.seeds.push(backdoor_table(backdoors));
    report.seeds.push(battle_table(battle));
    for curve in report.extraction.iter_mut().filter(|curve| curve.model == "v1") {
        let theft = battle.attacks.iter().find(|attack| attack.kind == "extraction");
        curve.flagged_at = theft.and_then(|theft| theft.flagged_at);
        curve.blocked_at = theft.and_then(|theft| theft.withheld_at);
    }
    report.incidents.extend(incidents.iter().take(2).map(|incident| attack(incident, hardened, battle)));
    report.figures.push(benign_figure("benign requests refused", battle.benign_refused, battle.benign));
    report.figures.push(benign_figure(
        "benign requests refused after pinning",
        hardened.benign_refused,
        hardened.benign,
    ));
    report.figures.push(benign_figure(
        "benign requests marked, and answered",
        battle.benign_flagged,
        battle.benign,
    ));
    report.credits.push(
        "Digits: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, \
         as distributed inside scikit-learn, CC BY 4.0."
            .to_owned(),
    );
    report
}

/// Adds the time of each station.
pub fn add_times(report: &mut SystemReport, stations: &[(&'static str, Duration)]) {
    let command = report.command.clone();
    for (name, took) in stations {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run")]
        report.figures.push(Figure {
            name: format!("time of station: {name}"),
            value: took.as_millis() as f64,
            unit: Unit::Millis,
            interval: None,
            basis: Basis {
                n: 1,
                of: "run".to_owned(),
                seeds: Vec::new(),
                command: command.clone(),
                note: None,
            },
        });
    }
}

fn benign_figure(name: &str, hits: usize, n: usize) -> Figure {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    Figure {
        name: name.to_owned(),
        value: hits as f64 / n.max(1) as f64,
        unit: Unit::Share,
        interval: Interval::wilson(hits as u64, n as u64),
        basis: Basis {
            n: n as u64,
            of: "benign requests".to_owned(),
            seeds: Vec::new(),
            command: "mantlet demo".to_owned(),
            note: None,
        },
    }
}

fn backdoor_table(rows: &[BackdoorRow]) -> SeedTable {
    let held = rows.iter().filter(|row| row.held()).count();
    let classes = |found: &[usize]| if found.is_empty() { "none".to_owned() } else { format!("{found:?}") };
    SeedTable {
        title: "The search for a hidden mark, seed by seed".to_owned(),
        sentence: format!(
            "On {held} of {} seeds the right class was found in the tampered model and none in the clean one.",
            rows.len()
        ),
        columns: ["the mark commands", "found in the tampered model", "found in the clean model", "seconds"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows
            .iter()
            .map(|row| SeedRow {
                seed: row.seed,
                cells: vec![
                    format!("{:.1} %", row.commanded * 100.0),
                    classes(&row.tampered),
                    classes(&row.clean),
                    format!("{:.1}", row.millis as f64 / 1000.0),
                ],
                held: row.held(),
            })
            .collect(),
        basis: Basis {
            n: rows.len() as u64 * 2,
            of: "models".to_owned(),
            seeds: rows.iter().map(|row| row.seed).collect(),
            command: "mantlet demo".to_owned(),
            note: Some("both models of a row are trained in this run".to_owned()),
        },
    }
}

fn battle_table(battle: &Battle) -> SeedTable {
    let number = |at: Option<u64>| at.map_or("-".to_owned(), |at| at.to_string());
    let held = battle.attacks.iter().filter(|attack| attack.held()).count();
    SeedTable {
        title: "Attacks through the gateway, seed by seed".to_owned(),
        sentence: format!(
            "{held} of {} were seen before they succeeded. Evasion succeeds with a digit the model misreads within L2 {RADIUS} \
             of the one it was made from; extraction with a copy that agrees on 80 % of unseen digits.",
            battle.attacks.len()
        ),
        columns: ["attack", "flagged at query", "answer withheld at", "succeeds without a guard at"]
            .map(str::to_owned)
            .to_vec(),
        rows: battle
            .attacks
            .iter()
            .map(|attack| SeedRow {
                seed: attack.seed,
                cells: vec![
                    attack.kind.to_owned(),
                    number(attack.flagged_at),
                    number(attack.withheld_at),
                    number(attack.succeeds_at),
                ],
                held: attack.held(),
            })
            .collect(),
        basis: Basis {
            n: battle.attacks.len() as u64,
            of: "attacks".to_owned(),
            seeds: battle.attacks.iter().map(|attack| attack.seed).collect(),
            command: "mantlet demo".to_owned(),
            note: Some("no threshold was set with these seeds".to_owned()),
        },
    }
}

fn attack(incident: &Incident, hardened: &Hardened, battle: &Battle) -> IncidentStory {
    let attack = battle.attacks.iter().find(|attack| Some(&attack.key) == incident.caller.as_ref());
    let pinned = hardened
        .pinned
        .iter()
        .filter(|pinned| attack.is_some_and(|attack| pinned.rule.attack == attack.trace.attack));
    let basis = Basis {
        n: incident.queries,
        of: "requests of the hostile key".to_owned(),
        seeds: attack.map(|attack| attack.seed).into_iter().collect(),
        command: "mantlet demo".to_owned(),
        note: None,
    };
    let times = incident.times();
    IncidentStory {
        pinned: pinned
            .map(|pinned| PinnedCase {
                case: pinned.case.clone(),
                pins: pinned.rule.description.join("; "),
                replays: pinned.replays.iter().map(|replay| (replay.what.clone(), replay.stopped)).collect(),
            })
            .collect(),
        time_to_detect_ms: Some(times.detect_ms),
        time_to_contain_ms: times.contain_ms,
        queries_to_detect: Some(times.detect_queries),
        ..story(incident, basis)
    }
}

/// An incident as the report tells it.
pub fn story(incident: &Incident, basis: Basis) -> IncidentStory {
    let five = &incident.five;
    let kind = |what: &str| {
        let has = |words: &[&str]| words.iter().any(|word| what.starts_with(word));
        if has(&["undone: ", "ended by itself: ", "could not be undone"]) {
            EventKind::Undo
        } else if has(&["doing: ", "done: ", "could not be done"]) {
            EventKind::Contain
        } else if has(&["told "]) {
            EventKind::Deliver
        } else if has(&["incident opened", "key ", "it went on"]) {
            EventKind::Alert
        } else {
            EventKind::Signal
        }
    };
    IncidentStory {
        id: incident.id.clone(),
        title: incident.title.clone(),
        impact: incident.impact,
        answers: Answers {
            changed: five.changed.clone(),
            suspicious: five.suspicious.clone(),
            affected: five.affected.clone(),
            decisions: five.decisions.clone(),
            next: five.next.clone(),
        },
        events: incident
            .timeline
            .iter()
            .map(|entry| TimelineEvent {
                at: entry.at,
                actor: entry.actor.clone(),
                what: entry.what.clone(),
                kind: kind(&entry.what),
            })
            .collect(),
        steps: incident
            .step_groups()
            .iter()
            .filter_map(|group| Some((group, group.steps().first()?)))
            .map(|(group, step)| StepRow {
                action: group.plain(),
                state: step.state.word().to_owned(),
                undo: match &step.undo {
                    _ if group.only().is_none() => "one by one, as in force".to_owned(),
                    Undo::By { plain } => plain.clone(),
                    Undo::None { why } => format!("cannot be undone: {why}"),
                },
                expires: step.expires,
                blast_radius: step.blast_radius.plain.clone(),
            })
            .collect(),
        pinned: Vec::new(),
        time_to_detect_ms: None,
        time_to_contain_ms: None,
        queries_to_detect: None,
        basis,
    }
}
