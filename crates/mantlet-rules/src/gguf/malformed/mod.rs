//! A GGUF or GGML file lies about its lengths.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "gguf-malformed",
    title: "a GGUF or GGML file lies about its lengths",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A GGUF or GGML file lies about its lengths.
pub(crate) struct GgufMalformed;

impl Rule for GgufMalformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let defects = match facts {
            Facts::Gguf(file) => &file.defects,
            Facts::Ggml(file) => &file.defects,
            _ => return,
        };
        for (defect, offset) in defects.iter().take(32) {
            found.push(ABOUT.finding(place.at(Span::at(*offset)), defect.clone()));
        }
    }
}
