//! A safetensors file does not tile its data as the format demands.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "safetensors-malformed",
    title: "a safetensors file does not tile its data as the format demands",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A safetensors file does not tile its data as the format demands.
pub(crate) struct SafetensorsMalformed;

impl Rule for SafetensorsMalformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Safetensors(file) = facts else { return };
        found.extend(file.faults.iter().take(32).map(|fault| ABOUT.finding(place.clone(), fault.describe())));
    }
}
