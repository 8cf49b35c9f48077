//! A TensorFlow file is broken.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "tensorflow-malformed",
    title: "a TensorFlow file is broken",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A TensorFlow file is broken.
pub(crate) struct TensorflowMalformed;

impl Rule for TensorflowMalformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::TensorFlow(model) = facts else { return };
        for (defect, offset) in model.defects.iter().take(32) {
            found.push(ABOUT.finding(place.at(Span::at(*offset)), defect.clone()));
        }
    }
}
