//! Two readers of the archive see different members.

use mantlet_formats::Facts;
use mantlet_formats::zip::ZipFault;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "archive-disagreement",
    title: "two readers of the archive see different members",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Two readers of the archive see different members.
pub(crate) struct ArchiveDisagreement;

impl Rule for ArchiveDisagreement {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Zip(zip) = facts else { return };
        let damaged = |fault: &ZipFault| {
            matches!(fault, ZipFault::NoEnd | ZipFault::Directory | ZipFault::NoLocalHeader(_))
        };
        for (fault, offset) in zip.faults.iter().filter(|(fault, _)| !damaged(fault)).take(32) {
            found.push(ABOUT.finding(place.at(Span::at(*offset)), fault.describe()));
        }
    }
}
