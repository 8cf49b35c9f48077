//! An ONNX model is broken or its tensors lie about their size.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "onnx-malformed",
    title: "an ONNX model is broken or its tensors lie about their size",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// An ONNX model is broken or its tensors lie about their size.
pub(crate) struct OnnxMalformed;

impl Rule for OnnxMalformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Onnx(model) = facts else { return };
        for (defect, offset) in model.defects.iter().take(32) {
            found.push(ABOUT.finding(place.at(Span::at(*offset)), defect.clone()));
        }
    }
}
