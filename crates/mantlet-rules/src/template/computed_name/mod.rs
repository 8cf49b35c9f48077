//! A template hides which attribute it reads.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "template-computed-name",
    title: "a template hides which attribute it reads",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0011.000", "AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A template hides which attribute it reads.
pub(crate) struct TemplateComputedName;

impl Rule for TemplateComputedName {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Template(template) = facts else { return };
        for spot in template.computed.iter().take(16) {
            let message =
                format!("`{}` reads an attribute whose name is only known when it is rendered", spot.what);
            found.push(ABOUT.finding(place.at(Span::at(spot.offset as u64)), message));
        }
    }
}
