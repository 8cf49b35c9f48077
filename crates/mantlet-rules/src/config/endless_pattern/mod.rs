//! A pattern takes a time that doubles with each letter.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "config-endless-pattern",
    title: "a pattern takes a time that doubles with each letter",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0029"],
    owasp: &["LLM06:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A pattern takes a time that doubles with each letter.
pub(crate) struct ConfigEndlessPattern;

impl Rule for ConfigEndlessPattern {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Config(config) = facts else { return };
        for said in config.patterns.iter().take(16) {
            let at = place.at(Span::at(said.offset));
            let message =
                format!("`{}`: `{}` may be tried in endless ways on a short text", said.path, said.text);
            found.push(ABOUT.finding(at, message));
        }
    }
}
