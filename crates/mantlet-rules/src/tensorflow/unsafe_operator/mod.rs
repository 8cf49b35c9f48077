//! A TensorFlow graph reads or writes files, talks to the network or runs Python.

use mantlet_formats::Facts;
use mantlet_formats::tensorflow::Reach;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "tensorflow-unsafe-operator",
    title: "a TensorFlow graph reads or writes files, talks to the network or runs Python",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0018.002"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A TensorFlow graph reads or writes files, talks to the network or runs Python.
pub(crate) struct TensorflowUnsafeOperator;

impl Rule for TensorflowUnsafeOperator {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::TensorFlow(model) = facts else { return };
        for operator in &model.operators {
            let Some(reach) = operator.reach else { continue };
            let inside = match operator.function.as_str() {
                "" => String::new(),
                function => format!(" in function `{function}`"),
            };
            let given = match operator.texts.as_slice() {
                [] => String::new(),
                texts => format!(
                    ", given {}",
                    texts.iter().take(4).map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
                ),
            };
            let message = format!(
                "`{}` (node `{}`{inside}) can {}{given}",
                operator.name,
                operator.node,
                reach.phrase()
            );
            let finding = ABOUT.finding(place.at(Span::at(operator.at)), message);
            let grave = reach == Reach::Writes && operator.name == "WriteFile" || reach == Reach::Network;
            found.push(if grave { finding.severity(Severity::Malicious) } else { finding });
        }
    }
}
