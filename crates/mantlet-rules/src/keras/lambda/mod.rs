//! A Keras model carries Python code.

use mantlet_formats::Facts;
use mantlet_formats::keras::Danger;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "keras-lambda",
    title: "a Keras model carries Python code",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0018.002"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A Keras model carries Python code.
pub(crate) struct KerasLambda;

impl Rule for KerasLambda {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Keras(model) = facts else { return };
        for suspect in &model.suspects {
            let place = place.part(suspect.path.clone());
            match &suspect.danger {
                Danger::Code { names, reaches } => {
                    let shown =
                        names.iter().take(12).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    let message = match (names.is_empty(), *reaches) {
                        (true, _) => "a Lambda holds Python byte code".to_owned(),
                        (_, true) => {
                            format!("a Lambda holds byte code that reaches out of the model: {shown}")
                        }
                        (_, false) => format!("a Lambda holds Python byte code, with {shown}"),
                    };
                    let finding = ABOUT.finding(place, message);
                    found.push(if *reaches { finding.severity(Severity::Malicious) } else { finding });
                }
                Danger::NamedCode(name) => {
                    let message =
                        format!("a Lambda needs the function `{name}` of the program that loads it");
                    found.push(ABOUT.finding(place, message).severity(Severity::Note));
                }
                _ => {}
            }
        }
    }
}
