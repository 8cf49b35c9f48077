//! Code runs text that comes from elsewhere.

use mantlet_formats::Facts;
use mantlet_formats::python::{Power, Role};
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "code-runs-data",
    title: "code runs text that comes from elsewhere",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.001", "AML.T0050"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Code runs text that comes from elsewhere.
pub(crate) struct CodeRunsData;

impl Rule for CodeRunsData {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Script(script) = facts else { return };
        for call in &script.calls {
            let origin = call.origin();
            let (from, severity) = match call.power {
                Power::Evaluates if origin.network => ("the network", Severity::Malicious),
                Power::Evaluates if origin.decoded => ("an encoded form", Severity::Malicious),
                Power::Evaluates
                    if origin.data_file
                        && matches!(script.role, Role::Module | Role::Install | Role::Startup) =>
                {
                    ("a file that is not named like a program", Severity::Suspicious)
                }
                Power::Evaluates | Power::Runs if origin.asked => {
                    ("whoever reaches the server", Severity::Suspicious)
                }
                Power::Evaluates | Power::Runs if origin.fetched => {
                    ("a file that it fetches from a hub", Severity::Suspicious)
                }
                Power::Native if origin.network || origin.fetched || origin.decoded => {
                    ("the network or an encoded form", Severity::Suspicious)
                }
                Power::Native if matches!(script.role, Role::Module | Role::Install | Role::Startup) => {
                    ("a file that is no library of the system", Severity::Suspicious)
                }
                Power::Evaluates if origin.weights_file => ("a file of weights", Severity::Suspicious),
                Power::Evaluates if origin.input && origin.file => {
                    ("a file the caller names", Severity::Note)
                }
                Power::Evaluates if origin.input => ("whoever calls it", Severity::Suspicious),
                Power::Runs if origin.network => ("the network", Severity::Malicious),
                Power::Runs if origin.input && script.role == Role::Module => {
                    ("whoever calls it", Severity::Suspicious)
                }
                Power::Runs if origin.input => ("whoever calls it", Severity::Note),
                _ => continue,
            };
            let does = match call.power {
                Power::Runs => "runs as a command",
                Power::Native => "loads as machine code",
                _ => "runs as code",
            };
            let message = format!("{} {does} what comes from {from}", call.shown());
            let at = place.part(format!("line {}", call.line));
            found.push(ABOUT.finding(at, message).severity(severity));
        }
    }
}
