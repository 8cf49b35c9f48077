//! A NumPy file does not hold what its header says.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "npy-malformed",
    title: "a NumPy file does not hold what its header says",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A NumPy file does not hold what its header says.
pub(crate) struct NpyMalformed;

impl Rule for NpyMalformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Npy(npy) = facts else { return };
        found.extend(npy.defects.iter().map(|defect| ABOUT.finding(place.clone(), defect.clone())));
    }
}
