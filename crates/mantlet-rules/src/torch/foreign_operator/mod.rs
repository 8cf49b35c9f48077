//! TorchScript code calls an operator of an unknown library.

use mantlet_formats::Facts;
use mantlet_formats::torch::Power;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "torch-foreign-operator",
    title: "TorchScript code calls an operator of an unknown library",
    severity: Severity::Note,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0010.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// TorchScript code calls an operator of an unknown library.
pub(crate) struct TorchForeignOperator;

impl Rule for TorchForeignOperator {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Torch(torch) = facts else { return };
        for operator in torch.operators.iter().filter(|operator| operator.power == Power::Foreign) {
            let message = format!("`{}` can {}: {}", operator.name, operator.power.phrase(), operator.line);
            let place = place.member(operator.member.clone()).at(Span::at(operator.offset));
            found.push(ABOUT.finding(place, message).fact("operator", operator.name.clone()));
        }
    }
}
