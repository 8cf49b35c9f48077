//! A template puts what was said into an address.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "template-leaks",
    title: "a template puts what was said into an address",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0051.002", "AML.T0057"],
    owasp: &["LLM02:2026", "LLM01:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A template puts what was said into an address.
pub(crate) struct TemplateLeaks;

impl Rule for TemplateLeaks {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Template(template) = facts else { return };
        for spot in template.leaks.iter().take(8) {
            let message = format!("what was said goes into the address `{}`", spot.what);
            found.push(ABOUT.finding(place.at(Span::at(spot.offset as u64)), message));
        }
    }
}
