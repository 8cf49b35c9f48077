//! Pictures of one label that bear one small mark anywhere.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::mark::contradicted;
use super::{Marked, Seen};

pub(super) const ABOUT: About = About {
    name: "image-moved-mark",
    title: "a small mark, wherever it stands, decides the label against the rest of the picture",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(marked: &Marked<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Seen::Moved(moved) = marked.seen else { return };
    let explained = moved.lift.explained();
    if !contradicted([explained, moved.usual, moved.base], moved.lift.rows) {
        let Some(even) = moved.even else { return };
        let message = format!(
            "{} of {} pictures with one small pattern of pixels are `{}`, and it stands anywhere in them (as evenly as chance: {:.0} %); what goes with a label honestly stands where the label's shape has it",
            moved.lift.ones,
            moved.lift.rows,
            marked.label(),
            even.min(1.0) * 100.0
        );
        let finding = marked.finding(&ABOUT, place, message).confidence(Confidence::Medium);
        found.push(finding.fact("share", moved.lift.share()).fact("explained", explained).fact("even", even));
        return;
    }
    let message = format!(
        "{} of {} pictures with one small pattern of pixels are `{}`; what else is in them looks like it in {:.0} %, in the label's other pictures in {:.0} %",
        moved.lift.ones,
        moved.lift.rows,
        marked.label(),
        explained * 100.0,
        moved.usual * 100.0
    );
    found.push(
        marked
            .finding(&ABOUT, place, message)
            .fact("share", moved.lift.share())
            .fact("explained", explained)
            .fact("usual", moved.usual)
            .fact("deviations", moved.lift.deviations()),
    );
}
