//! Bytes in a file belong to no format.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "file-unclaimed",
    title: "bytes in a file belong to no format",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.002", "AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Bytes in a file belong to no format.
pub(crate) struct FileUnclaimed;

impl Rule for FileUnclaimed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Unclaimed(unclaimed) = facts else { return };
        let message = format!(
            "{} bytes here belong to nothing a loader reads; they begin with `{}`",
            unclaimed.len, unclaimed.sample
        );
        let span = Span::new(unclaimed.offset, unclaimed.len);
        found.push(ABOUT.finding(place.at(span), message));
    }
}
