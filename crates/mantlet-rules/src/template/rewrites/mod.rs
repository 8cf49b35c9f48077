//! A template replaces addresses or numbers in what it is given.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "template-rewrites",
    title: "a template replaces addresses or numbers in what it is given",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0051.002", "AML.T0053"],
    owasp: &["LLM01:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A template replaces addresses or numbers in what it is given.
pub(crate) struct TemplateRewrites;

impl Rule for TemplateRewrites {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Template(template) = facts else { return };
        for spot in template.rewrites.iter().take(8) {
            let message = format!("what the model is told is changed: {}", spot.what);
            found.push(ABOUT.finding(place.at(Span::at(spot.offset as u64)), message));
        }
    }
}
