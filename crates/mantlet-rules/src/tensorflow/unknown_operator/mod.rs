//! A TensorFlow graph needs operators that are not part of TensorFlow.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "tensorflow-unknown-operator",
    title: "a TensorFlow graph needs operators that are not part of TensorFlow",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.001", "AML.T0010.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A TensorFlow graph needs operators that are not part of TensorFlow.
pub(crate) struct TensorflowUnknownOperator;

impl Rule for TensorflowUnknownOperator {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::TensorFlow(model) = facts else { return };
        let mut said = std::collections::BTreeSet::new();
        for operator in model.operators.iter().filter(|operator| operator.reach.is_none()) {
            if said.insert(operator.name.as_str()) {
                let message = format!(
                    "operator `{}` (node `{}`) is not part of TensorFlow",
                    operator.name, operator.node
                );
                found.push(ABOUT.finding(place.at(Span::at(operator.at)), message));
            }
        }
    }
}
