//! A storage is not what the pickle of the archive says.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "torch-storage-mismatch",
    title: "a storage is not what the pickle of the archive says",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0107"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A storage is not what the pickle of the archive says.
pub(crate) struct TorchStorageMismatch;

impl Rule for TorchStorageMismatch {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Torch(torch) = facts else { return };
        for what in &torch.mismatches {
            found.push(ABOUT.finding(place.clone(), what.clone()));
        }
    }
}
