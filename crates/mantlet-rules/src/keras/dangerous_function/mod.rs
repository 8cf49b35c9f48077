//! A Keras model calls a function that fetches, loads or switches off checks.

use mantlet_formats::Facts;
use mantlet_formats::keras::Danger;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "keras-dangerous-function",
    title: "a Keras model calls a function that fetches, loads or switches off checks",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A Keras model calls a function that fetches, loads or switches off checks.
pub(crate) struct KerasDangerousFunction;

impl Rule for KerasDangerousFunction {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Keras(model) = facts else { return };
        for suspect in &model.suspects {
            let Danger::Keras(name) = &suspect.danger else { continue };
            let message = format!("the configuration names `{name}`, which does more than compute");
            found.push(ABOUT.finding(place.part(suspect.path.clone()), message));
        }
    }
}
