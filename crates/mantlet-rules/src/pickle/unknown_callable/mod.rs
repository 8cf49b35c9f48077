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
        let carried = |callee: &str| {
            pickle
                .carried
                .iter()
                .any(|module| callee.strip_prefix(module.as_str()).is_some_and(|rest| rest.starts_with('.')))
        };
        let unknown = super::accused(pickle, |effect| matches!(effect, Effect::Unknown));
        for accused in unknown.into_iter().filter(|accused| !carried(&accused.callee)) {
            found.push(accused.finding(&ABOUT, place).fact("table", pickle.effects.name()));
        }
    }
}
