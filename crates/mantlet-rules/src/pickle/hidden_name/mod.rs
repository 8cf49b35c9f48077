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
            let severity = match defect.fault {
                Fault::DynamicName | Fault::ExtensionCode(_) | Fault::ComputedName(_, false) => {
                    ABOUT.severity
                }
                // What is computed here may be computed otherwise elsewhere: harmless, as far as it is known.
                Fault::ComputedName(_, true) => Severity::Suspicious,
                _ => continue,
            };
            let at = place.at(Span::at(defect.offset));
            found.push(ABOUT.finding(at, defect.fault.describe()).severity(severity));
        }
    }
}
