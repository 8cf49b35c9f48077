//! Bytes follow the pickle that belong to nothing.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "pickle-trailing-bytes",
    title: "bytes follow the pickle that belong to nothing",
    severity: Severity::Note,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Bytes follow the pickle that belong to nothing.
pub(crate) struct PickleTrailingBytes;

impl Rule for PickleTrailingBytes {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        if pickle.trailing > 0 {
            let message = format!("{} bytes follow the last pickle", pickle.trailing);
            found.push(ABOUT.finding(place.at(Span::new(pickle.end, pickle.trailing)), message));
        }
    }
}
