//! Equal features with different classes.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::TableSummary;

pub(super) const ABOUT: About = About {
    name: "datacheck-conflicting-labels",
    title: "equal rows carry different labels",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020", "AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    let mut conflicts: Vec<_> = table
        .duplicates
        .values()
        .filter_map(|seen| seen.conflict_row.map(|row| (seen.first_row, row, seen.count)))
        .collect();
    if conflicts.is_empty() {
        return;
    }
    conflicts.sort_unstable();
    let rows: u64 = conflicts.iter().map(|(_, _, count)| count).sum();
    let conflicting = super::share(rows, table.rows);
    let message = format!(
        "{} sets of equal features, {rows} rows ({:.1} %), do not agree on the label",
        conflicts.len(),
        conflicting * 100.0
    );
    let trace = conflicts.iter().take(10).map(|(first, other, _)| format!("rows {first} and {other}"));
    let finding =
        ABOUT.finding(place.clone(), message).trace(trace).fact("rows", rows).fact("sets", conflicts.len());
    // With few coarse columns many rows fall together, and honest labels differ among them. Copies made in order to
    // contradict are what most repetition in a table of fine columns then consists of.
    let repeated = table.duplicates.values().filter(|seen| seen.count > 1).count();
    found.push(if conflicting >= 0.01 && conflicts.len() * 2 >= repeated {
        finding.severity(Severity::Suspicious)
    } else {
        finding
    });
}
