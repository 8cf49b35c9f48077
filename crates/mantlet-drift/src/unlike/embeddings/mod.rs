//! New embeddings or pictures are not like those of the reference.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Unlike, UnlikeSettings};

pub(super) const ABOUT: About = About {
    name: "unlike-embeddings",
    title: "embeddings or pictures are other ones than before",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(unlike: &Unlike, settings: UnlikeSettings, place: &Place, found: &mut Vec<Finding>) {
    if unlike.what != "texts" && unlike.is_told(settings) {
        found.push(unlike.finding(&ABOUT, place));
    }
}
