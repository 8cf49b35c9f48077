//! A pickle uses code that is not on the list of known framework constructors.

use mantlet_formats::Facts;
use mantlet_formats::pickle::Effect;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "pickle-unknown-callable",
    title: "a pickle uses code that is not on the list of known framework constructors",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0011.000", "AML.T0010.003"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A pickle uses code that is not on the list of known framework constructors.
pub(crate) struct PickleUnknownCallable;

impl Rule for PickleUnknownCallable {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        for accused in super::accused(pickle, |effect| matches!(effect, Effect::Unknown)) {
            found.push(accused.finding(&ABOUT, place).fact("table", pickle.effects.name()));
        }
    }
}
