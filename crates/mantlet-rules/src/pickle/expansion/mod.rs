//! A small pickle grows enormously when loaded.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "pickle-expansion",
    title: "a small pickle grows enormously when loaded",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0029"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A small pickle grows enormously when loaded.
pub(crate) struct PickleExpansion;

impl Rule for PickleExpansion {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        if pickle.expanded >= 10_000_000 && pickle.expanded / pickle.opcodes.max(1) >= 1_000 {
            let message = format!("{} opcodes stand for {} items", pickle.opcodes, pickle.expanded);
            found.push(ABOUT.finding(place.clone(), message).fact("expanded", pickle.expanded));
        }
        if let Some((offset, size)) = pickle.huge_size {
            let message = format!("a constructor is handed the size {size}");
            found.push(ABOUT.finding(place.at(Span::at(offset)), message));
        }
    }
}
