//! A pickle computes what it imports or calls.

use mantlet_formats::Facts;
use mantlet_formats::pickle::{Effect, Fault};
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "pickle-hidden-name",
    title: "a pickle computes what it imports or calls",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0011.000", "AML.T0107"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A pickle computes what it imports or calls.
pub(crate) struct PickleHiddenName;

impl Rule for PickleHiddenName {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        for accused in super::accused_calls(pickle, |effect| effect == Effect::Resolves) {
            found.push(accused.finding(&ABOUT, place));
        }
        for defect in &pickle.defects {
            if matches!(defect.fault, Fault::DynamicName | Fault::ExtensionCode(_)) {
                found.push(ABOUT.finding(place.at(Span::at(defect.offset)), defect.fault.describe()));
            }
        }
    }
}
