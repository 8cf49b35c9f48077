//! Values that are not possible.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::TableSummary;

pub(super) const ABOUT: About = About {
    name: "datacheck-out-of-range",
    title: "values lie outside what is possible",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    for column in &table.columns {
        if column.outside == 0 {
            continue;
        }
        let allowed = match (&column.spec.range, &column.spec.categories) {
            (Some((low, high)), _) => format!("{low} to {high}"),
            (None, Some(known)) => format!("{} known words", known.len()),
            (None, None) => "finite numbers".to_owned(),
        };
        let message = format!("{} of {} values are outside {allowed}", column.outside, column.filled());
        let trace =
            column.outside_examples.iter().map(|(row, text)| format!("row {row}: {}", super::plain(text)));
        found.push(
            ABOUT
                .finding(super::column(place, &column.spec.name), message)
                .trace(trace)
                .fact("outside", column.outside)
                .fact("filled", column.filled()),
        );
    }
}
