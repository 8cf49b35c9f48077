//! Code sends credentials away.

use mantlet_formats::Facts;
use mantlet_formats::python::{Power, Role};
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "code-sends-secrets",
    title: "code sends credentials away",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0025", "AML.T0055"],
    owasp: &["LLM02:2026", "ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Code sends credentials away.
pub(crate) struct CodeSendsSecrets;

impl Rule for CodeSendsSecrets {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Script(script) = facts else { return };
        for call in script.calls.iter().filter(|call| call.power == Power::Network) {
            if call.origin().secret {
                let at = place.part(format!("line {}", call.line));
                let message = format!("{} sends the environment or a file of credentials", call.shown());
                found.push(ABOUT.finding(at, message));
            }
        }
        for call in script.calls.iter().filter(|call| {
            let last = call.callee.rsplit('.').next().unwrap_or("");
            script.role == Role::Module
                && call.power == Power::Network
                && matches!(last, "send" | "sendall" | "sendto" | "sendmsg")
        }) {
            if call.origin().input {
                let at = place.part(format!("line {}", call.line));
                let message = format!("{} sends what the model is given", call.shown());
                found.push(ABOUT.finding(at, message).severity(Severity::Suspicious));
            }
        }
        for page in &script.pages {
            let message = format!("a script in the page {page}");
            found.push(ABOUT.finding(place.clone(), message).severity(Severity::Suspicious));
        }
        for call in script.calls.iter().filter(|call| call.power == Power::Opens) {
            if call.origin().secret {
                let at = place.part(format!("line {}", call.line));
                let finding = ABOUT.finding(at, format!("{} opens a file of credentials", call.shown()));
                found.push(finding.severity(Severity::Suspicious));
            }
        }
    }
}
