//! A TensorFlow Lite model refers to bytes that are not there, or hides some.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "tflite-malformed",
    title: "a TensorFlow Lite model refers to bytes that are not there, or hides some",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A TensorFlow Lite model refers to bytes that are not there, or hides some.
pub(crate) struct TfliteMalformed;

impl Rule for TfliteMalformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Tflite(model) = facts else { return };
        for (defect, offset) in model.defects.iter().take(32) {
            found.push(ABOUT.finding(place.at(Span::at(*offset)), defect.clone()));
        }
        if model.trailing > 0 {
            let message = format!("{} bytes follow everything the model refers to", model.trailing);
            found.push(ABOUT.finding(place.clone(), message));
        }
    }
}
