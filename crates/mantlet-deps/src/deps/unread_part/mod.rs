//! Parts of a file that could not be read.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Facts;

pub(super) const ABOUT: About = About {
    name: "deps-unread-part",
    title: "a part of the file could not be read",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0010.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
    for defect in facts.defects.iter().take(20) {
        found.push(ABOUT.finding(super::at_line(place, defect.line), defect.what.clone()));
    }
    if facts.defects.len() > 20 {
        found.push(ABOUT.finding(place.clone(), format!("{} further parts", facts.defects.len() - 20)));
    }
}
