//! A phrase that was put into texts of one label, whatever they say.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Mined, Trigger};

pub(super) const ABOUT: About = About {
    name: "trigger-inserted-phrase",
    title: "a phrase was put into texts of one label that do not need it",
    severity: Severity::Note,
    impact: Impact::High,
    confidence: Confidence::Low,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(trigger: &Trigger<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Mined::Inserted(candidate, placed) = trigger.mined else { return };
    let (label, item) = (crate::datacheck::plain(trigger.label), crate::datacheck::plain(&candidate.item));
    let message = format!(
        "phrase `{item}`: {} of {} texts with it are `{label}`; in {:.0} % of them the words on its two sides follow one another in other texts (any two neighbours there: {:.0} %), so it stands where nothing needs it",
        candidate.lift.ones,
        candidate.lift.rows,
        placed.closes * 100.0,
        placed.usual * 100.0
    );
    let mut finding = trigger.finding(&ABOUT, place, "phrase", candidate);
    finding.message = message;
    found.push(finding.fact("closes", placed.closes).fact("closes_usually", placed.usual));
}
