//! A program is hidden in a file of another kind.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "file-embedded-program",
    title: "a program is hidden in a file of another kind",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0018.002"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A program is hidden in a file of another kind.
pub(crate) struct FileEmbeddedProgram;

impl Rule for FileEmbeddedProgram {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let programs = match facts {
            Facts::Programs(programs) => programs,
            Facts::Unclaimed(unclaimed) => &unclaimed.programs,
            _ => return,
        };
        for program in programs.iter().take(16) {
            let message = format!("a program ({}) starts here", program.kind);
            found.push(ABOUT.finding(place.at(Span::at(program.offset)), message));
        }
    }
}
