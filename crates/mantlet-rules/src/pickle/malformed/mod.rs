//! A pickle is broken or deviates from what picklers write.

use mantlet_formats::Facts;
use mantlet_formats::pickle::Fault;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "pickle-malformed",
    title: "a pickle is broken or deviates from what picklers write",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A pickle is broken or deviates from what picklers write.
pub(crate) struct PickleMalformed;

impl Rule for PickleMalformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        let faults = pickle.defects.iter().filter(|defect| {
            !matches!(
                defect.fault,
                Fault::DynamicName | Fault::ComputedName(..) | Fault::ExtensionCode(_) | Fault::StackNotEmpty
            )
        });
        let mut faults = faults.peekable();
        let Some(first) = faults.peek().copied() else { return };
        let lines: Vec<String> = faults
            .take(16)
            .map(|defect| format!("{:#x}  {}", defect.offset, defect.fault.describe()))
            .collect();
        let finding = ABOUT.finding(place.at(Span::at(first.offset)), first.fault.describe()).trace(lines);
        // A second PROTO changes nothing about what is loaded; no pickler writes one.
        let idle = pickle.defects.iter().all(|defect| defect.fault == Fault::ProtocolMisplaced);
        found.push(if idle { finding.severity(Severity::Note) } else { finding });
    }
}
