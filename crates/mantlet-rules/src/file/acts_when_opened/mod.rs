//! A file makes whoever opens or unpacks it act.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "file-acts-when-opened",
    title: "a file makes whoever opens or unpacks it act",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0011.001", "AML.T0010.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A file makes whoever opens or unpacks it act.
pub(crate) struct FileActsWhenOpened;

impl Rule for FileActsWhenOpened {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Opened(acts) = facts else { return };
        for act in acts {
            let at = if act.line == 0 { place.clone() } else { place.part(format!("line {}", act.line)) };
            found.push(ABOUT.finding(at, format!("`{}` {}", act.shown, act.what)));
        }
    }
}
