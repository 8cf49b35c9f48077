//! How many rows hold their decision as more is done to them: by distance over all evasions, by severity of everyday damage.

use std::collections::BTreeMap;

use mantlet_attacks::{Detail, Norm, State};
use mantlet_redteam::ProbeReport;
use mantlet_report::{Basis, HoldCurve, HoldLine};
use mantlet_worker::battery::Results;

/// The curves of one version.
pub fn curves(version: &str, results: &Results, command: &str) -> Vec<HoldCurve> {
    let reports: Vec<&ProbeReport> = results.probes.iter().map(|probe| &probe.report).collect();
    let mut curves: Vec<HoldCurve> = [Norm::L2, Norm::Linf]
        .iter()
        .filter_map(|norm| distances(version, &reports, *norm, command))
        .collect();
    curves.extend(reports.iter().filter_map(|report| severities(version, report)));
    curves
}

/// The nearest change of each row that was attacked, over all evasions; infinite where none turned it.
fn nearest(reports: &[&ProbeReport], norm: Norm) -> BTreeMap<usize, f32> {
    let mut rows: BTreeMap<usize, f32> = BTreeMap::new();
    for report in reports.iter().filter(|report| report.probe.starts_with("evasion-")) {
        let Some(outcome) = report.outcome.as_ref() else { continue };
        if !matches!(outcome.detail, Detail::Evasion { .. }) {
            continue;
        }
        for row in &outcome.rows {
            let own = rows.entry(row.row).or_insert(f32::INFINITY);
            // What turned a row beyond an attack's own radius turned it all the same.
            let turned = row.state == State::Hit
                || (row.changed.is_some() && row.after.is_some() && row.after != row.before);
            if let Some(distances) = row.distances.filter(|_| turned) {
                *own = own.min(distances.of(norm));
            }
        }
    }
    rows
}

fn distances(version: &str, reports: &[&ProbeReport], norm: Norm, command: &str) -> Option<HoldCurve> {
    let rows = nearest(reports, norm);
    let n = rows.len();
    let mut found: Vec<f32> = rows.into_values().filter(|distance| distance.is_finite()).collect();
    found.sort_by(f32::total_cmp);
    // One or two distances, or one and the same for all, are told better in words.
    if found.len() < 3 || found.first() == found.last() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    let held = |turned: usize| 1.0 - turned as f64 / n as f64;
    let mut points = vec![(0.0, 1.0)];
    for (at, distance) in found.iter().enumerate() {
        // A step down at each distance.
        points.push((f64::from(*distance), held(at)));
        points.push((f64::from(*distance), held(at + 1)));
    }
    let middle = found[found.len() / 2];
    let seeds: std::collections::BTreeSet<u64> = reports.iter().map(|report| report.seed).collect();
    Some(HoldCurve {
        model: version.to_owned(),
        title: format!("{version}: rows that hold, by the size of the change ({})", norm.word()),
        sentence: format!(
            "Of {n} rows that were read right, {} were turned by some attack, half of those within {middle:.3}; where the \
             line stays up no attack of this run came nearer, which is no proof that none can.",
            found.len()
        ),
        x: format!("{} of the change, in ranges of a value", norm.word()),
        y: "rows that kept their decision".to_owned(),
        lines: vec![HoldLine { name: "the nearest change over all attacks".to_owned(), points }],
        basis: Basis {
            n: n as u64,
            of: "rows attacked".to_owned(),
            seeds: seeds.into_iter().collect(),
            command: command.to_owned(),
            note: None,
        },
    })
}

/// Rows read right by severity of damage, the worst kind first.
fn severities(version: &str, report: &ProbeReport) -> Option<HoldCurve> {
    let figures = report.figures.iter();
    let plain = figures.clone().find(|figure| figure.name == "rows read right, undamaged")?.value.value;
    let mut lines: Vec<HoldLine> = Vec::new();
    for figure in figures {
        let Some((kind, severity)) = figure
            .name
            .strip_prefix("rows read right, ")
            .and_then(|rest| rest.rsplit_once(" of severity "))
            .and_then(|(kind, severity)| Some((kind, severity.parse::<f64>().ok()?)))
        else {
            continue;
        };
        if lines.last().is_none_or(|line| line.name != kind) {
            lines.push(HoldLine { name: kind.to_owned(), points: vec![(0.0, plain)] });
        }
        if let Some(line) = lines.last_mut() {
            line.points.push((severity, figure.value.value));
        }
    }
    let worst = lines.first()?.name.clone();
    Some(HoldCurve {
        model: version.to_owned(),
        title: format!("{version}: rows read right under everyday damage"),
        sentence: format!("The full line is the worst kind, {worst}; the others are {}.", {
            let others: Vec<&str> = lines.iter().skip(1).map(|line| line.name.as_str()).collect();
            if others.is_empty() { "not asked".to_owned() } else { others.join(", ") }
        }),
        x: "severity of the damage".to_owned(),
        y: "rows read right".to_owned(),
        lines,
        basis: Basis {
            n: report.n as u64,
            of: "rows".to_owned(),
            seeds: vec![report.seed],
            command: report.command.clone(),
            note: None,
        },
    })
}
