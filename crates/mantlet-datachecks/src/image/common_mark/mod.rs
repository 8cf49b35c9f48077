//! Pictures of one label that bear one mark at one place.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Marked, Seen};
use crate::feed::real;

pub(super) const ABOUT: About = About {
    name: "image-common-mark",
    title: "pictures of one label bear one mark that no others have",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Of ten marked pictures, at most one of another label lies as far.
const ELSEWHERE: f64 = 0.1;
/// Deviations from which on a mark is told although the content agrees with the label, when hardly any picture of
/// another label lies as far: natural kinds of a label lie up to seven apart.
const PLAIN: f64 = 9.0;
/// A mark in more of a label's pictures than this is what the label looks like.
const MOST: f64 = 0.45;

pub(super) fn look(marked: &Marked<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Seen::Mark(mark) = marked.seen else { return };
    let many = mark.rows.len() as u64;
    if real(mark.elsewhere) > ELSEWHERE * real(many) || real(many) > MOST * real(mark.of) {
        return;
    }
    // What stands at one place in pictures of most labels, as a frame does, decides none of them.
    let (beside, labels) = mark.beside;
    if beside + 1 >= 3 && (beside + 1) * 5 >= labels * 3 {
        return;
    }
    let contradicted = mark.is_contradicted();
    if !contradicted && (mark.apart < PLAIN || real(mark.elsewhere) > ELSEWHERE / 2.0 * real(many)) {
        return;
    }
    let [left, top, right, bottom] = mark.within;
    let content = if contradicted {
        format!(
            "what else is in them looks like `{}` in {:.0} %, in the label's other pictures in {:.0} %",
            marked.label(),
            mark.own * 100.0,
            mark.usual * 100.0
        )
    } else {
        "what else is in them agrees with the label (clean-label)".to_owned()
    };
    let message = format!(
        "{many} of {} pictures of `{}` bear one mark between {left} and {right} % of the width and {top} and {bottom} % of the height, and {} of other labels; {content}",
        mark.of,
        marked.label(),
        mark.elsewhere
    );
    let finding = marked
        .finding(&ABOUT, place, message)
        .fact("elsewhere", mark.elsewhere)
        .fact("deviations", mark.apart)
        .fact("explained", mark.own)
        .fact("usual", mark.usual)
        .fact("within", mark.within.to_vec());
    found.push(if contradicted { finding } else { finding.confidence(Confidence::Medium) });
}
