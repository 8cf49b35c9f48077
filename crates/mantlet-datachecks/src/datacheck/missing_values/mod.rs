//! Columns with many empty cells, and rows without a class.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::TableSummary;

pub(super) const ABOUT: About = About {
    name: "datacheck-missing-values",
    title: "values are missing",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    for (index, column) in table.columns.iter().enumerate() {
        let missing = super::share(column.missing, table.rows);
        let is_label = Some(index) == table.label;
        if column.missing == 0 || (!is_label && missing < 0.05) {
            continue;
        }
        let message =
            format!("{} of {} values are missing ({:.1} %)", column.missing, table.rows, missing * 100.0);
        let finding = ABOUT
            .finding(super::column(place, &column.spec.name), message)
            .fact("missing", column.missing)
            .fact("rows", table.rows);
        found.push(if is_label || missing >= 0.5 { finding.severity(Severity::Suspicious) } else { finding });
    }
    if let (count @ 1.., Some(first)) = table.ragged {
        let message =
            format!("{count} rows have another number of cells than the header, the first is row {first}");
        found.push(
            ABOUT.finding(place.clone(), message).severity(Severity::Suspicious).fact("ragged_rows", count),
        );
    }
}
