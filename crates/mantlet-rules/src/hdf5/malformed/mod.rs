//! An HDF5 file is broken or longer than it says.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "hdf5-malformed",
    title: "an HDF5 file is broken or longer than it says",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// An HDF5 file is broken or longer than it says.
pub(crate) struct Hdf5Malformed;

impl Rule for Hdf5Malformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Hdf5(file) = facts else { return };
        for (defect, offset) in file.defects.iter().take(32) {
            found.push(ABOUT.finding(place.at(Span::at(*offset)), defect.clone()));
        }
    }
}
