//! Rows with a key that another row has.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Judged;

pub(super) const ABOUT: About = About {
    name: "schema-doubled-key",
    title: "rows have a key that only one row may have",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(judged: &Judged, place: &Place, found: &mut Vec<Finding>) {
    for doubled in judged.doubled.iter().filter(|doubled| doubled.count > 0) {
        let message =
            format!("{} of {} rows have a key that an earlier row has already", doubled.count, judged.rows);
        found.push(
            ABOUT
                .finding(place.part(super::named(&doubled.columns)), message)
                .trace(super::rows(&doubled.examples))
                .fact("rows", doubled.count)
                .fact("of", judged.rows),
        );
    }
}
