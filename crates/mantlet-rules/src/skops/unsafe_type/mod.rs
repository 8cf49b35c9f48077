//! A skops file names code that can act on the machine.

use mantlet_formats::Facts;
use mantlet_formats::pickle::Effect;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "skops-unsafe-type",
    title: "a skops file names code that can act on the machine",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0018.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A skops file names code that can act on the machine.
pub(crate) struct SkopsUnsafeType;

impl Rule for SkopsUnsafeType {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Skops(skops) = facts else { return };
        for named in skops.named.iter().filter(|named| named.effect != Effect::Unknown) {
            let why = named.why.map(|why| format!("; {why}")).unwrap_or_default();
            let message =
                format!("{} loads `{}`, which can {}{why}", named.loader, named.name, named.effect.phrase());
            found.push(ABOUT.finding(place.clone(), message).fact("name", named.name.clone()));
        }
    }
}
