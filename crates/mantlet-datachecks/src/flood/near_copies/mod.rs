//! One feed, or one batch, sends the same thing over and over.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Flood;

pub(super) const ABOUT: About = About {
    name: "flood-near-copies",
    title: "one source floods the data with near copies",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(flood: &Flood<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Some(source) = flood.concentrated() else { return };
    let word = crate::datacheck::plain(&source.word);
    let message = format!(
        "{} nearly equal {}, {} of them from {} {word}",
        flood.group.total, flood.what, source.rows, source.what
    );
    found.push(
        flood.finding(&ABOUT, place, message).fact(source.what, source.word).fact("from_there", source.rows),
    );
}
