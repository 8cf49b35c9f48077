//! A configuration puts a secret of the environment into an address.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "config-sends-secret",
    title: "a configuration puts a secret of the environment into an address",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0055", "AML.T0024"],
    owasp: &["LLM02:2026", "ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A configuration puts a secret of the environment into an address.
pub(crate) struct ConfigSendsSecret;

impl Rule for ConfigSendsSecret {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Config(config) = facts else { return };
        for said in config.sent.iter().take(16) {
            let at = place.at(Span::at(said.offset));
            found.push(ABOUT.finding(at, format!("`{}` is `{}`", said.path, said.text)));
        }
    }
}
