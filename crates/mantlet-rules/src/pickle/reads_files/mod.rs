//! A pickle reads files or imports modules by name while loading.

use mantlet_formats::Facts;
use mantlet_formats::pickle::Effect;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "pickle-reads-files",
    title: "a pickle reads files or imports modules by name while loading",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A pickle reads files or imports modules by name while loading.
pub(crate) struct PickleReadsFiles;

impl Rule for PickleReadsFiles {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        for accused in super::accused(pickle, |effect| matches!(effect, Effect::Reads | Effect::Imports)) {
            found.push(accused.finding(&ABOUT, place));
        }
    }
}
