//! An XML file reads other files or expands without end.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "config-entity",
    title: "an XML file reads other files or expands without end",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0029"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// An XML file reads other files or expands without end.
pub(crate) struct ConfigEntity;

impl Rule for ConfigEntity {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Xml(xml) = facts else { return };
        for (what, at) in xml.external.iter().take(16) {
            let at = place.at(Span::at(*at));
            let finding = ABOUT.finding(at, format!("the {what}"));
            // A document type by its public address is how documents of old name their grammar.
            let beside = what.contains(".dtd`") && !what.contains("://") && !what.contains("`/");
            let grammar = what.starts_with("document type") && (what.contains("http") || beside);
            found.push(if grammar { finding.severity(Severity::Note) } else { finding });
        }
        for (target, at) in xml.includes.iter().take(16) {
            found.push(ABOUT.finding(place.at(Span::at(*at)), format!("an element includes `{target}`")));
        }
        if xml.expansion > 0 {
            let message = format!("its entities stand for {} characters", xml.expansion);
            found.push(ABOUT.finding(place.clone(), message));
        }
    }
}
