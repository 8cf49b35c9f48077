//! A narrow class is missed more and more, as labels that come back say.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Told;

pub(super) const ABOUT: About = About {
    name: "online-slow-evasion",
    title: "the model misses more and more of a class",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0015"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(told: &Told<'_>, place: &Place, found: &mut Vec<Finding>) {
    if told.is_evasion() {
        let suspicious = "somebody learned to get past the model, or the class changed and the model did not";
        found.push(told.finding(
            &ABOUT,
            place,
            suspicious,
            "the negative ones since then, most of all in this group",
        ));
    }
}
