//! Columns that say nothing.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::TableSummary;

pub(super) const ABOUT: About = About {
    name: "datacheck-constant-column",
    title: "a column holds one value only",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    if table.rows < 20 {
        return;
    }
    for (index, column) in table.columns.iter().enumerate() {
        let constant = column.values_full_at.is_none() && column.values.len() <= 1 && column.missing == 0;
        let empty = column.missing == table.rows;
        if Some(index) == table.label || !(constant || empty) {
            continue;
        }
        let message = match column.values.keys().next() {
            Some(value) => format!("all {} rows hold `{}`", table.rows, super::plain(value)),
            None => format!("all {} rows are empty", table.rows),
        };
        found.push(ABOUT.finding(super::column(place, &column.spec.name), message));
    }
}
