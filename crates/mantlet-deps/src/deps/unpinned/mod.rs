//! Dependencies whose version the next installation is free to choose.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::{Facts, Origin};

pub(super) const ABOUT: About = About {
    name: "deps-unpinned",
    title: "the next installation is free to choose another version",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0010.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
    let loose: Vec<_> = facts
        .dependencies
        .iter()
        .filter(|dependency| dependency.origin == Origin::Index && dependency.version.is_none())
        .collect();
    let Some(first) = loose.first() else { return };
    let total = facts.dependencies.len();
    let place = if loose.len() == 1 { super::at_line(place, first.line) } else { place.clone() };
    found.push(
        ABOUT
            .finding(place, format!("{} of {total} dependencies name no exact version", loose.len()))
            .fact("unpinned", loose.len())
            .fact("dependencies", total)
            .trace(super::shortened(&loose)),
    );
}
