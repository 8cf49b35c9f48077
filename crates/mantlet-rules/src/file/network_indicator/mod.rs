//! A file names an address that attackers like.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "file-network-indicator",
    title: "a file names an address that attackers like",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::Low,
    atlas: &["AML.T0025"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A file names an address that attackers like.
pub(crate) struct FileNetworkIndicator;

impl Rule for FileNetworkIndicator {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Indicators(indicators) = facts else { return };
        for indicator in indicators.iter().take(16) {
            let at = place.at(Span::at(indicator.offset));
            found.push(ABOUT.finding(at, format!("it names {}", indicator.kind)));
        }
    }
}
