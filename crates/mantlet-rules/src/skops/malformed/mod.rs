//! The schema of a skops file cannot be read.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "skops-malformed",
    title: "the schema of a skops file cannot be read",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The schema of a skops file cannot be read.
pub(crate) struct SkopsMalformed;

impl Rule for SkopsMalformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Skops(skops) = facts else { return };
        if let Some(defect) = &skops.defect {
            found.push(
                ABOUT.finding(place.clone(), format!("the schema is not the JSON it must be: {defect}")),
            );
        }
    }
}
