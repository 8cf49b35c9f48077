//! A Keras model imports something that is not of Keras.

use mantlet_formats::Facts;
use mantlet_formats::keras::Danger;
use mantlet_formats::pickle::Effect;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "keras-foreign-import",
    title: "a Keras model imports something that is not of Keras",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0010.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A Keras model imports something that is not of Keras.
pub(crate) struct KerasForeignImport;

impl Rule for KerasForeignImport {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Keras(model) = facts else { return };
        for suspect in &model.suspects {
            let Danger::Foreign { module, name, effect, function } = &suspect.danger else { continue };
            let place = place.part(suspect.path.clone());
            let severity = match effect {
                Effect::Data | Effect::Object | Effect::Instance | Effect::Reference => continue,
                Effect::Unknown if *function => Severity::Suspicious,
                Effect::Unknown => Severity::Note,
                _ => Severity::Malicious,
            };
            let message = match effect {
                Effect::Unknown => format!("`{module}.{name}` is imported; nothing is known about it"),
                other => format!("`{module}.{name}` is imported and can {}", other.phrase()),
            };
            found.push(ABOUT.finding(place, message).severity(severity));
        }
    }
}
