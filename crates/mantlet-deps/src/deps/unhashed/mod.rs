//! Pinned dependencies whose bytes nothing checks.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::{Facts, Origin};

pub(super) const ABOUT: About = About {
    name: "deps-unhashed",
    title: "a version is named but its bytes are not checked",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0010.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
    let bare: Vec<_> = facts
        .dependencies
        .iter()
        .filter(|dependency| {
            dependency.origin == Origin::Index && dependency.version.is_some() && dependency.hashes == 0
        })
        .collect();
    let Some(first) = bare.first() else { return };
    let total = facts.dependencies.len();
    let place = if bare.len() == 1 { super::at_line(place, first.line) } else { place.clone() };
    found.push(
        ABOUT
            .finding(place, format!("{} of {total} dependencies carry no hash", bare.len()))
            .fact("unhashed", bare.len())
            .fact("dependencies", total)
            .trace(super::shortened(&bare)),
    );
}
