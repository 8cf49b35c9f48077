//! An R file carries code that runs when it is looked at.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "rdata-promise",
    title: "an R file carries code that runs when it is looked at",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// An R file carries code that runs when it is looked at.
pub(crate) struct RdataPromise;

impl Rule for RdataPromise {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::RData(data) = facts else { return };
        for (code, at) in data.promises.iter().take(16) {
            let at = place.at(Span::at(*at));
            let message = if code.is_empty() {
                "a promise: its code runs when the object is used".to_owned()
            } else {
                format!("a promise: using the object calls {code}")
            };
            found.push(ABOUT.finding(at, message).fact("calls", code.clone()));
        }
    }
}
