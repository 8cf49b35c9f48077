//! A form of a sentence whose texts have a label that none of their words explains.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Mined, Trigger};

pub(super) const ABOUT: About = About {
    name: "trigger-template",
    title: "the form of a text decides the label against its words",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(trigger: &Trigger<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Mined::Form(candidate) = trigger.mined else { return };
    found.push(trigger.finding(&ABOUT, place, "form", candidate));
}
