//! Pictures of several labels that bear one mark which their content does not explain.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Marked, Seen};
use crate::feed::real;

pub(super) const ABOUT: About = About {
    name: "image-shared-mark",
    title: "one mark goes with several labels that nothing else in its pictures explains",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(marked: &Marked<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Seen::Shared(shared) = marked.seen else { return };
    let many = shared.rows.len();
    let words: Vec<String> = marked.words().iter().map(|word| format!("`{word}`")).collect();
    let share = real(shared.against) / real(shared.asked.max(1));
    let stands = match shared.fixed {
        Some((_, [left, top, right, bottom])) => format!(
            "one mark between {left} and {right} % of the width and {top} and {bottom} % of the height"
        ),
        None => "one small pattern of pixels, which stands anywhere in them".to_owned(),
    };
    let message = format!(
        "{many} of {} pictures of {} bear {stands}; in {:.0} % of them what else is there speaks for another label, in pictures without it in {:.0} %",
        shared.of,
        words.join(" and "),
        share * 100.0,
        shared.usual * 100.0
    );
    let mut finding = marked
        .finding(&ABOUT, place, message)
        .fact("labels", marked.words())
        .fact("against", share)
        .fact("usual", shared.usual);
    if let Some((apart, within)) = shared.fixed {
        finding = finding.fact("deviations", apart).fact("within", within.to_vec());
    }
    found.push(finding);
}
