//! A template is built to exhaust the host.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "template-exhausts",
    title: "a template is built to exhaust the host",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0029"],
    owasp: &["LLM06:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A template is built to exhaust the host.
pub(crate) struct TemplateExhausts;

impl Rule for TemplateExhausts {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Template(template) = facts else { return };
        for spot in template.exhausts.iter().take(8) {
            let message = format!("`{}` repeats more often than any prompt needs", spot.what);
            found.push(ABOUT.finding(place.at(Span::at(spot.offset as u64)), message));
        }
    }
}
