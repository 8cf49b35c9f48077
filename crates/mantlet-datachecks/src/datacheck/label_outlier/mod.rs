//! Rows whose label none of their neighbours share.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use std::collections::BTreeMap;

use crate::kept::{distance, scaled, scales};
use crate::{KeptRow, TableSummary};

pub(super) const ABOUT: About = About {
    name: "datacheck-label-outlier",
    title: "rows disagree with all their neighbours about the label",
    severity: Severity::Note,
    impact: Impact::High,
    confidence: Confidence::Low,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Neighbours that are asked.
const NEIGHBOURS: usize = 10;
/// So many of them must agree for their answer to count.
const AGREEING: usize = 8;
/// A table with fewer labelled rows tells nothing about neighbourhoods.
const FEWEST: usize = 100;

/// One row against its neighbourhood.
struct Suspect<'a> {
    row: u64,
    label: &'a str,
    neighbours: &'a str,
}

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    let Some(label) = table.label.and_then(|label| table.columns.get(label)) else { return };
    let rows: Vec<&KeptRow> = table.kept().collect();
    let classes = table.classes();
    if rows.len() < FEWEST || classes.len() < 2 || classes.len() > rows.len() / 20 {
        return;
    }
    let (agreed, suspects) = neighbourhoods(table, &rows);
    // Where neighbours rarely agree, or often disagree with the row between them, the features do not hold the
    // label, and a lonely label says nothing.
    let clear = agreed * 2 >= rows.len() && suspects.len() * 5 <= agreed;
    if !clear || suspects.len() < 3 || suspects.len() * 200 < rows.len() {
        return;
    }
    let mut directions: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for suspect in &suspects {
        *directions.entry((suspect.neighbours, suspect.label)).or_default() += 1;
    }
    let Some((&(from, to), &most)) = directions.iter().max_by_key(|(_, count)| **count) else { return };
    let message = format!(
        "{} of {} compared rows carry a label that at least {AGREEING} of {NEIGHBOURS} nearest rows do not share; {most} look like `{}` and say `{}`",
        suspects.len(),
        rows.len(),
        super::plain(from),
        super::plain(to)
    );
    let trace = suspects.iter().take(20).map(|suspect| {
        let (label, neighbours) = (super::plain(suspect.label), super::plain(suspect.neighbours));
        format!("row {}: says `{label}`, its neighbours say `{neighbours}`", suspect.row)
    });
    let finding = ABOUT
        .finding(super::column(place, &label.spec.name), message)
        .trace(trace)
        .fact("suspects", suspects.len())
        .fact("compared", rows.len())
        .fact("neighbourhoods_agreeing", agreed)
        .fact("main_direction", format!("{} -> {}", super::plain(from), super::plain(to)))
        .fact("main_direction_rows", most);
    // Honest mistakes go in many directions; a flip from one class to one other has an author.
    let second =
        directions.iter().filter(|(way, _)| **way != (from, to)).map(|(_, count)| *count).max().unwrap_or(0);
    let one_way = classes.len() > 2 && most >= 10 && most >= 3 * second;
    found.push(if one_way {
        finding.severity(Severity::Suspicious).confidence(Confidence::Medium)
    } else {
        finding
    });
}

/// How many rows have agreeing neighbours, and those that contradict them, by row number.
fn neighbourhoods<'a>(table: &TableSummary, rows: &[&'a KeptRow]) -> (usize, Vec<Suspect<'a>>) {
    let scales = scales(&table.columns, table.kept.numeric());
    let points: Vec<Vec<f32>> = rows.iter().map(|row| scaled(row, &scales)).collect();
    let mut agreed = 0;
    let mut suspects = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        // The nearest so far, nearest first.
        let mut nearest: Vec<(f32, usize)> = Vec::with_capacity(NEIGHBOURS + 1);
        for (other, point) in points.iter().enumerate() {
            if other == index {
                continue;
            }
            let enough = if nearest.len() < NEIGHBOURS { f32::INFINITY } else { nearest[NEIGHBOURS - 1].0 };
            let away = distance((&points[index], &row.words), (point, &rows[other].words), enough);
            if away < enough {
                let at = nearest.partition_point(|(near, _)| *near <= away);
                nearest.insert(at, (away, other));
                nearest.truncate(NEIGHBOURS);
            }
        }
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for &(_, other) in &nearest {
            *votes.entry(rows[other].class.as_str()).or_default() += 1;
        }
        let Some((&class, _)) = votes.iter().find(|(_, count)| **count >= AGREEING) else { continue };
        agreed += 1;
        if class != row.class {
            suspects.push(Suspect { row: row.row, label: &row.class, neighbours: class });
        }
    }
    suspects.sort_by_key(|suspect| suspect.row);
    (agreed, suspects)
}
