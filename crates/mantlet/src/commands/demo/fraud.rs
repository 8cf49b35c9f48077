//! `mantlet demo fraud`: twelve weeks of card payments, one feed that slowly calls fraud legitimate, and what the next
//! model makes of it with and without the gate.
//!
//! The payments are simulated and said to be; everything told about them is measured in this run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use mantlet_curate::Roles;
use mantlet_curate::feeds::{Settings, Studied, study};
use mantlet_dataset::Dataset;
use mantlet_drift::mix;
use mantlet_learn::{Boosted, Boosting, boost};
use mantlet_vocab::{ArtifactSummary, Coverage, Examination, Place, Tensor};

use crate::terminal::{Terminal, write_whole};

const WEEKS: usize = 12;
const ROWS: usize = 16_000;
/// The weeks of the model that is known to be good.
const GOOD: usize = 3;
const KINDS: [&str; 6] = ["grocery", "fuel", "travel", "digital", "fashion", "electronics"];
const FEEDS: usize = 6;
/// Who is turned, and what.
const BAD: (usize, usize) = (3, 3);
/// A payment is stopped from this chance of fraud on.
const STOP: f32 = 0.5;

/// A payment.
#[derive(Debug, Clone)]
struct Payment {
    week: usize,
    feed: usize,
    kind: usize,
    amount: f64,
    velocity: f64,
    ip_risk: f64,
    fraud: bool,
    label: bool,
}

impl Payment {
    fn features(&self) -> [f32; 5] {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "features as the learner takes them"
        )]
        [self.feed as f32, self.kind as f32, self.amount as f32, self.velocity as f32, self.ip_risk as f32]
    }

    const fn in_cell(&self) -> bool {
        self.feed == BAD.0 && self.kind == BAD.1
    }
}

/// Simulated payments: the same seed gives the same ones.
fn payments(seed: u64) -> Vec<Payment> {
    let uniform = |row: usize, stream: u64| {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        {
            ((mix(row as u64 ^ mix(seed ^ mix(stream))) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }
    };
    let pick = |value: f64, shares: &[f64]| {
        let mut left = value;
        shares.iter().position(|share| {
            left -= share;
            left < 0.0
        })
    };
    (0..WEEKS * ROWS)
        .map(|row| {
            let week = row / ROWS;
            let feed = pick(uniform(row, 1), &[0.28, 0.22, 0.16, 0.14, 0.12, 0.08]).unwrap_or(FEEDS - 1);
            let kind = pick(uniform(row, 2), &[0.26, 0.18, 0.1, 0.18, 0.16, 0.12]).unwrap_or(0);
            // Amounts rise by 2 % a week, which is nobody's attack.
            #[expect(clippy::cast_precision_loss, reason = "a dozen weeks")]
            let amount = (-uniform(row, 3).ln() * 60.0 + 4.0) * (1.0 + 0.02 * week as f64);
            let velocity = (-uniform(row, 4).ln() * 1.5).floor();
            let ip_risk = uniform(row, 5).powi(3);
            let margin = -6.0
                + 0.012 * amount.min(250.0)
                + 5.5 * ip_risk
                + 0.5 * velocity.min(6.0)
                + if kind == BAD.1 { 1.4 } else { 0.0 };
            let fraud = uniform(row, 6) < 1.0 / (1.0 + (-margin).exp());
            let mut label = fraud ^ (uniform(row, 7) < 0.003);
            // From week 4 on the feed calls more and more of its digital fraud legitimate.
            #[expect(clippy::cast_precision_loss, reason = "a dozen weeks")]
            let share = if week >= GOOD { (0.15 + 0.1 * (week - GOOD) as f64).min(0.9) } else { 0.0 };
            if feed == BAD.0 && kind == BAD.1 && fraud && uniform(row, 8) < share {
                label = false;
            }
            Payment { week, feed, kind, amount, velocity, ip_risk, fraud, label }
        })
        .collect()
}

fn write(folder: &Path, payments: &[Payment]) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut files = Vec::new();
    for week in 0..WEEKS {
        let mut text = String::from("week,feed,kind,amount,velocity,ip_risk,label\n");
        for p in payments.iter().filter(|p| p.week == week) {
            let label = if p.label { "fraud" } else { "legitimate" };
            writeln!(
                text,
                "{},bank-{},{},{:.2},{},{:.4},{label}",
                week + 1,
                p.feed + 1,
                KINDS[p.kind],
                p.amount,
                p.velocity,
                p.ip_risk
            )?;
        }
        let path = folder.join(format!("week-{:02}.csv", week + 1));
        write_whole(&path, text.as_bytes())?;
        files.push(path);
    }
    Ok(files)
}

fn train<'a>(rows: impl Iterator<Item = &'a Payment>) -> anyhow::Result<Boosted> {
    let (mut x, mut targets) = (Vec::new(), Vec::new());
    for row in rows {
        x.extend(row.features());
        targets.extend(if row.label { [0.0, 1.0] } else { [1.0, 0.0] });
    }
    let count = targets.len() / 2;
    let (x, targets) = (Tensor::new([count, 5], x)?, Tensor::new([count, 2], targets)?);
    Ok(boost(&x, &targets, &Boosting { rounds: 60, depth: 5, rate: 0.2, ..Boosting::default() })?)
}

/// Whether each payment is stopped.
fn stops(model: &Boosted, rows: &[&Payment]) -> anyhow::Result<Vec<bool>> {
    let x = Tensor::new([rows.len(), 5], rows.iter().flat_map(|row| row.features()).collect::<Vec<_>>())?;
    let scores = model.scores(&x);
    let chance = |row: usize| 1.0 / (1.0 + (scores.row(row)[0] - scores.row(row)[1]).exp());
    Ok((0..rows.len()).map(|row| chance(row) >= STOP).collect())
}

/// What a model does to a week of payments.
struct Outcome {
    right: f64,
    cell_missed: usize,
    cell_fraud: usize,
    stopped: Vec<bool>,
}

fn outcome(model: &Boosted, rows: &[&Payment]) -> anyhow::Result<Outcome> {
    let stopped = stops(model, rows)?;
    let right = rows.iter().zip(&stopped).filter(|(row, stop)| row.fraud == **stop).count();
    let cell = || rows.iter().zip(&stopped).filter(|(row, _)| row.in_cell() && row.fraud);
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    Ok(Outcome {
        right: right as f64 / rows.len().max(1) as f64,
        cell_missed: cell().filter(|(_, stop)| !**stop).count(),
        cell_fraud: cell().count(),
        stopped,
    })
}

fn percent(part: usize, of: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    {
        100.0 * part as f64 / of.max(1) as f64
    }
}

/// Runs the demo.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn run(terminal: Terminal, folder: &Path, seed: u64) -> anyhow::Result<ExitCode> {
    let station = |number: u8, what: &str| terminal.say(&terminal.heading(&format!("{number}. {what}")));
    station(1, &format!("Twelve weeks of simulated card payments from six banks, in {}", folder.display()));
    let rows = payments(seed);
    let files = write(&folder.join("weeks"), &rows)?;
    let turned =
        rows.iter().filter(|row| row.in_cell() && row.fraud && !row.label && row.week >= GOOD).count();
    terminal.say(&format!(
        "{} payments; from week {} on bank-{} calls a growing part of its {} fraud legitimate: {turned} rows, {:.0} in a million",
        rows.len(),
        GOOD + 1,
        BAD.0 + 1,
        KINDS[BAD.1],
        percent(turned, rows.len()) * 1e4
    ));

    station(2, "Without a gate: the model is trained on all of it");
    let last: Vec<&Payment> = rows.iter().filter(|row| row.week == WEEKS - 1).collect();
    let good = train(rows.iter().filter(|row| row.week < GOOD))?;
    let poisoned = train(rows.iter().filter(|row| row.week < WEEKS - 1))?;
    let (before, after) = (outcome(&good, &last)?, outcome(&poisoned, &last)?);
    terminal.say(&format!(
        "week {WEEKS}: {:.2} % of all decisions are right, with the old model {:.2} %: nothing to see",
        after.right * 100.0,
        before.right * 100.0
    ));
    terminal.say(&format!(
        "{} fraud of bank-{}: {} of {} payments go through ({:.0} %), with the old model {} ({:.0} %)",
        KINDS[BAD.1],
        BAD.0 + 1,
        after.cell_missed,
        after.cell_fraud,
        percent(after.cell_missed, after.cell_fraud),
        before.cell_missed,
        percent(before.cell_missed, before.cell_fraud)
    ));

    station(3, "With the gate: every week is looked at when it comes");
    let roles = Roles {
        label: "label".into(),
        feed: Some("feed".into()),
        time: Some("week".into()),
        ..Roles::default()
    };
    let mut caught: Option<(usize, Studied)> = None;
    for week in GOOD..WEEKS {
        let dataset = Dataset::open(&files[..=week])?;
        let studied = study(&dataset, &roles, &Settings::default())?;
        let findings = studied.findings(&Place::artifact("weeks"));
        match findings.first() {
            None => terminal.say(&format!("week {:>2}: passes", week + 1)),
            Some(finding) => {
                terminal.say(&format!("week {:>2}: held: {}", week + 1, finding.message));
                finding.trace.iter().for_each(|line| terminal.say(&format!("         {line}")));
                caught = Some((week, studied));
                break;
            }
        }
    }
    let Some((week, studied)) = caught else {
        terminal.say("no week was held: at this seed the poison stayed below what can be told honestly");
        return Ok(ExitCode::from(1));
    };
    let place = Place::artifact("weeks");
    let mut findings = studied.findings(&place);
    mantlet_vocab::Finding::sort(&mut findings);
    let named = studied.cells.first().is_some_and(|cell| {
        cell.grid.words(&cell.alarm.axes, &cell.alarm.levels)
            == format!("feed=bank-{}, kind={}", BAD.0 + 1, KINDS[BAD.1])
    });
    let in_list = studied.review.iter().filter(|suspect| {
        usize::try_from(suspect.row)
            .ok()
            .and_then(|row| rows.get(row))
            .is_some_and(|row| row.fraud && !row.label)
    });
    let (listed, all) = (in_list.count(), studied.review.len());
    terminal.say(&format!(
        "{} the feed and kind that were turned; of {all} rows listed for a person {listed} were turned",
        if named { "it names" } else { "it does not name" }
    ));

    station(4, "What was held is set aside, and the model trained without it");
    let from = studied.cells.first().map_or(GOOD, |cell| cell.alarm.window.0);
    let aside = |row: &Payment| row.in_cell() && row.week >= from;
    let mended = train(rows.iter().filter(|row| row.week <= week && !(named && aside(row))))?;
    let now = outcome(&mended, &last)?;
    terminal.say(&format!(
        "week {WEEKS}: {:.2} % of all decisions are right; {} of {} such frauds go through ({:.0} %)",
        now.right * 100.0,
        now.cell_missed,
        now.cell_fraud,
        percent(now.cell_missed, now.cell_fraud)
    ));

    station(5, "Past decisions are made again by the known-good model");
    let mut list = String::from("row,feed,kind,amount\n");
    let (mut suspects, mut sum, mut loss) = (0, 0.0, 0.0);
    let first = (WEEKS - 1) * ROWS;
    for (at, row) in last.iter().enumerate() {
        if !after.stopped[at] && now.stopped[at] {
            suspects += 1;
            sum += row.amount;
            loss += if row.fraud { row.amount } else { 0.0 };
            writeln!(list, "{},bank-{},{},{:.2}", first + at + 1, row.feed + 1, KINDS[row.kind], row.amount)?;
        }
    }
    terminal.say(&format!(
        "week {WEEKS} as the poisoned model decided it: {suspects} payments were let through that the known-good model stops, {sum:.0} in all: that bounds what they cost; truly fraud were {loss:.0}"
    ));
    write_whole(&folder.join("decide-again.csv"), list.as_bytes())?;
    let dataset = Dataset::open(&files[..=week])?;
    write_whole(&folder.join("review.csv"), &crate::commands::data::list(&dataset, &studied.review)?)?;
    let examination = Examination {
        artifacts: vec![ArtifactSummary {
            path: dataset.name(),
            size: files.iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum(),
            digest: None,
            said: Default::default(),
            formats: vec![format!("{} simulated payments, {} weeks", studied.rows, week + 1)],
            coverage: Coverage::Complete,
        }],
        findings,
        ..Examination::default()
    };
    for (name, format) in
        [("report.html", mantlet_report::Format::Html), ("report.json", mantlet_report::Format::Json)]
    {
        let text = mantlet_report::examination(&examination, format, mantlet_report::Style::default());
        write_whole(&folder.join(name), text.as_bytes())?;
    }
    terminal.say(&format!("report.html, review.csv and decide-again.csv are in {}", folder.display()));
    Ok(if named { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_are_the_same_for_a_seed_and_the_poison_is_slow_and_small() {
        let rows = payments(1001);
        assert_eq!(rows.len(), WEEKS * ROWS);
        let turned = |week: usize| {
            rows.iter().filter(|row| row.week == week && row.in_cell() && row.fraud && !row.label).count()
        };
        assert!(turned(GOOD) < turned(WEEKS - 1));
        let all: usize = (GOOD..WEEKS).map(turned).sum();
        assert!((20..rows.len() / 300).contains(&all), "{all} of {}", rows.len());
        assert_eq!(payments(1001)[77].amount.to_bits(), rows[77].amount.to_bits());
        assert_ne!(payments(1002)[77].amount.to_bits(), rows[77].amount.to_bits());
    }
}
