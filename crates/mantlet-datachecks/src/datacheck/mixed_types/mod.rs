//! Text among numbers.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::{Kind, TableSummary};

pub(super) const ABOUT: About = About {
    name: "datacheck-mixed-types",
    title: "text stands among numbers",
    severity: Severity::Suspicious,
    impact: Impact::Low,
    confidence: Confidence::Medium,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    for column in table.columns.iter().filter(|column| column.spec.kind == Kind::Numeric && column.texts > 0)
    {
        let message = format!("{} of {} values are text", column.texts, column.filled());
        let trace =
            column.text_examples.iter().map(|(row, text)| format!("row {row}: {}", super::plain(text)));
        found.push(
            ABOUT
                .finding(super::column(place, &column.spec.name), message)
                .trace(trace)
                .fact("texts", column.texts),
        );
    }
}
