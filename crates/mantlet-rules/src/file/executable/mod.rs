//! A program lies among the model files.

use mantlet_formats::Facts;
use mantlet_formats::route::Format;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "file-executable",
    title: "a program lies among the model files",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0018.002", "AML.T0010.003"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A program lies among the model files.
pub(crate) struct FileExecutable;

impl Rule for FileExecutable {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Route(route) = facts else { return };
        for format in &route.formats {
            if matches!(format, Format::Elf | Format::Pe | Format::MachO) {
                let mut message = format!("the content is a {}", format.name());
                if route.formats.contains(&Format::Zip) {
                    message.push_str(
                        " with an archive in it, as a llamafile is: running it runs its code; models in it are \
                         examined as members",
                    );
                }
                let finding = ABOUT.finding(place.clone(), message);
                // Extension modules are what wheels of one platform are for.
                found.push(if route.declared { finding.severity(Severity::Note) } else { finding });
            }
        }
    }
}
