//! A skops file names code that is not known.

use mantlet_formats::Facts;
use mantlet_formats::pickle::Effect;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "skops-unknown-type",
    title: "a skops file names code that is not known",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0011.000", "AML.T0010.003"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A skops file names code that is not known.
pub(crate) struct SkopsUnknownType;

impl Rule for SkopsUnknownType {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Skops(skops) = facts else { return };
        for named in skops.named.iter().filter(|named| named.effect == Effect::Unknown) {
            let message = format!("{} loads `{}`, about which nothing is known", named.loader, named.name);
            found.push(ABOUT.finding(place.clone(), message).fact("name", named.name.clone()));
        }
    }
}
