//! Values of two columns whose rows have a label that nothing else in them explains.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Mined, Trigger};

pub(super) const ABOUT: About = About {
    name: "trigger-pair",
    title: "a pair of values decides the label against the rest of the row",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(trigger: &Trigger<'_>, place: &Place, found: &mut Vec<Finding>) {
    match trigger.mined {
        Mined::Pair(candidate) => found.push(trigger.finding(&ABOUT, place, "values", candidate)),
        Mined::Patch(candidate) => {
            let (label, item) =
                (crate::datacheck::plain(trigger.label), crate::datacheck::plain(&candidate.item));
            let lift = &candidate.lift;
            let mut finding = trigger.finding(&ABOUT, place, "values", candidate);
            finding.message = format!(
                "values `{item}` always stand together in {} rows of `{label}`, and in {} others",
                lift.ones,
                lift.rows - lift.ones
            );
            found.push(finding);
        }
        Mined::Phrase(_) | Mined::Form(_) | Mined::Inserted(..) | Mined::Hidden { .. } => {}
    }
}
