//! A pickle changes imported code or registers hooks.

use mantlet_formats::Facts;
use mantlet_formats::pickle::Effect;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "pickle-patched-import",
    title: "a pickle changes imported code or registers hooks",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0107"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A pickle changes imported code or registers hooks.
pub(crate) struct PicklePatchedImport;

impl Rule for PicklePatchedImport {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        for accused in super::accused(pickle, |effect| matches!(effect, Effect::Patches | Effect::Registers))
        {
            found.push(accused.finding(&ABOUT, place));
        }
    }
}
