//! A configuration expands without end.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "config-expansion",
    title: "a configuration expands without end",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0029"],
    owasp: &["LLM06:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A configuration expands without end.
pub(crate) struct ConfigExpansion;

impl Rule for ConfigExpansion {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Config(config) = facts else { return };
        for said in config.sizes.iter().take(16) {
            let at = place.at(Span::at(said.offset));
            let message = format!("`{}: {}` is more than any machine has memory for", said.path, said.text);
            found.push(ABOUT.finding(at, message));
        }
        if config.expansion > 0 {
            let message = format!("its aliases stand for {} nodes", config.expansion);
            found.push(ABOUT.finding(place.clone(), message));
        }
    }
}
