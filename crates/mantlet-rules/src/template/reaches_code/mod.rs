//! A template reaches into Python and can run commands.

use mantlet_formats::Facts;
use mantlet_formats::jinja::Reach;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "template-reaches-code",
    title: "a template reaches into Python and can run commands",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0050"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A template reaches into Python and can run commands.
pub(crate) struct TemplateReachesCode;

impl Rule for TemplateReachesCode {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Template(template) = facts else { return };
        for load in template.loads.iter().take(16) {
            let path = load.what.split('"').nth(1).unwrap_or("");
            if path.starts_with(['/', '\\', '~']) || path.split(['/', '\\']).any(|part| part == "..") {
                let message = format!("`{}` reads a file of the machine", load.what);
                let finding = ABOUT.finding(place.at(Span::at(load.offset as u64)), message);
                found.push(finding.severity(Severity::Suspicious).confidence(Confidence::Medium));
            }
        }
        for access in template.accesses.iter().take(16) {
            let message = match access.reach {
                Reach::Code => {
                    format!("`{}.{}` leads to any function of the process", access.path, access.name)
                }
                Reach::Internals => format!("`{}.{}` is an internal of Python", access.path, access.name),
            };
            let finding = ABOUT
                .finding(place.at(Span::at(access.offset as u64)), message)
                .fact("attribute", access.name.clone());
            found.push(match access.reach {
                Reach::Code => finding,
                Reach::Internals => finding.severity(Severity::Suspicious).confidence(Confidence::Medium),
            });
        }
    }
}
