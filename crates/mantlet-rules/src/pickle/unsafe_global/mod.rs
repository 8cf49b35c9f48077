//! A pickle reaches a function that runs commands, writes files or talks to the network.

use mantlet_formats::Facts;
use mantlet_formats::pickle::Effect;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "pickle-unsafe-global",
    title: "a pickle reaches a function that runs commands, writes files or talks to the network",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0018.002", "AML.T0010.003"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A pickle reaches a function that runs commands, writes files or talks to the network.
pub(crate) struct PickleUnsafeGlobal;

impl Rule for PickleUnsafeGlobal {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        for accused in super::accused(pickle, |effect| {
            matches!(effect, Effect::Executes | Effect::Writes | Effect::Network)
        }) {
            found.push(accused.finding(&ABOUT, place));
        }
    }
}
