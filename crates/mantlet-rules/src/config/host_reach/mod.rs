//! A configuration hands the host to a container.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "config-host-reach",
    title: "a configuration hands the host to a container",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0105"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A configuration hands the host to a container.
pub(crate) struct ConfigHostReach;

impl Rule for ConfigHostReach {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Config(config) = facts else { return };
        for said in config.host.iter().take(16) {
            let at = place.at(Span::at(said.offset));
            found.push(ABOUT.finding(at, format!("`{}`: {}", said.path, said.text)));
        }
    }
}
