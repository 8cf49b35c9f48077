//! A file of a batch was delivered before.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Again;
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "batch-file-again",
    title: "a file of this batch was delivered before",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(again: Again<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Again::File(same) = again else { return };
    let message = format!(
        "{} has the bytes of a file of batch {} (feed {}), which is {}",
        plain(&same.file),
        plain(&same.batch),
        plain(&same.feed),
        same.state
    );
    found.push(
        ABOUT
            .finding(place.part(plain(&same.file)), message)
            .fact("batch", same.batch.clone())
            .fact("feed", same.feed.clone())
            .fact("state", same.state.clone()),
    );
}
