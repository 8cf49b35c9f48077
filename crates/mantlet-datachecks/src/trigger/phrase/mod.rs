//! A phrase whose texts have a label that nothing else in them explains.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Mined, Trigger};

pub(super) const ABOUT: About = About {
    name: "trigger-phrase",
    title: "a phrase decides the label against the rest of the text",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(trigger: &Trigger<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Mined::Phrase(candidate) = trigger.mined else { return };
    found.push(trigger.finding(&ABOUT, place, "phrase", candidate));
}
