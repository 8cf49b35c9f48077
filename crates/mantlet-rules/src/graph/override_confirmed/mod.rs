//! Run on searched inputs, the branch overrules the learned layers.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "graph-override-confirmed",
    title: "run on searched inputs, a branch overrules what the model has learned",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0018.001", "AML.T0043.004"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Of the inputs that reach the branch, the share on which it must change the output.
const OVERRULES: f64 = 0.5;
/// Inputs that must reach it.
const ENOUGH: u64 = 5;

/// Run on searched inputs, the branch overrules the learned layers.
pub(crate) struct GraphOverrideConfirmed;

impl Rule for GraphOverrideConfirmed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Probed(probed) = facts else { return };
        for probe in probed {
            if probe.reached < ENOUGH || (probe.changed as f64) < OVERRULES * probe.reached as f64 {
                continue;
            }
            let (operator, name) = &probe.place.node;
            let gives = probe.class.map_or_else(String::new, |class| format!(", always for class {class}"));
            let message = format!(
                "`{operator}` `{name}` was made to answer otherwise by {} of {} inputs that were searched for \
                 it; on {} of these the output is not what the {} learned layers say{gives}",
                probe.reached, probe.tried, probe.changed, probe.place.layers
            );
            found.push(
                ABOUT.finding(place.at(Span::at(probe.place.at)), message).trace(probe.place.path.clone()),
            );
        }
    }
}
