//! Code writes where programs start by themselves, or where people are let in.

use mantlet_formats::Facts;
use mantlet_formats::python::Power;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "code-plants-file",
    title: "code writes where programs start by themselves, or where people are let in",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.001", "AML.T0050"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Code writes where programs start by themselves, or where people are let in.
pub(crate) struct CodePlantsFile;

impl Rule for CodePlantsFile {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Script(script) = facts else { return };
        for call in script.calls.iter().filter(|call| call.power == Power::Plants) {
            let at = place.part(format!("line {}", call.line));
            found.push(ABOUT.finding(at, format!("{} writes there", call.shown())));
        }
    }
}
