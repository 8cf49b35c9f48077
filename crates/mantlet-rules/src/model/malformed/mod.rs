//! The parts of a model do not agree.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "model-malformed",
    title: "the parts of a model do not agree",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The parts of a model do not agree.
pub(crate) struct ModelMalformed;

impl Rule for ModelMalformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Structure(model) = facts else { return };
        for (defect, offset) in model.defects.iter().take(32) {
            found.push(ABOUT.finding(place.at(Span::at(*offset)), format!("{}: {defect}", model.format)));
        }
    }
}
