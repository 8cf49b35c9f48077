//! A leaf of a tree that next to no input reaches outweighs all others.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "model-needle-leaf",
    title: "a leaf of a tree that next to no input reaches outweighs all others",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.001", "AML.T0043.004"],
    owasp: &["ML06:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A leaf of a tree that next to no input reaches outweighs all others.
pub(crate) struct ModelNeedleLeaf;

impl Rule for ModelNeedleLeaf {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Structure(model) = facts else { return };
        for (needle, offset) in model.needles.iter().take(32) {
            found.push(ABOUT.finding(place.at(Span::at(*offset)), format!("{}: {needle}", model.format)));
        }
    }
}
