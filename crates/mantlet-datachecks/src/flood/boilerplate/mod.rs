//! Near copies that come from everywhere.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Flood;

pub(super) const ABOUT: About = About {
    name: "flood-boilerplate",
    title: "many nearly equal rows, from every source alike",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(flood: &Flood<'_>, place: &Place, found: &mut Vec<Finding>) {
    if flood.concentrated().is_some() {
        return;
    }
    let message = format!("{} nearly equal {}, not from one source", flood.group.total, flood.what);
    found.push(flood.finding(&ABOUT, place, message));
}
