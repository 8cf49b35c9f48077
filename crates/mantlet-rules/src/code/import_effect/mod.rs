//! Code acts while it is imported or installed.

use mantlet_formats::Facts;
use mantlet_formats::python::{Call, Power, Role};
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "code-import-effect",
    title: "code acts while it is imported or installed",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0011.001", "AML.T0010.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Code acts while it is imported or installed.
pub(crate) struct CodeImportEffect;

impl Rule for CodeImportEffect {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Script(script) = facts else { return };
        let (when, strict) = match script.role {
            Role::Install => ("installing the package", true),
            Role::Startup => ("every start of Python", true),
            Role::Module => ("importing the module", true),
            Role::Node => ("running the flow", true),
            Role::Script | Role::Notebook => ("running the script", false),
        };
        let runs = |call: &&Call| {
            call.at_import || strict && (script.install_hooks || call.reached || script.role == Role::Node)
        };
        for call in script.calls.iter().filter(runs) {
            let what = match call.power {
                Power::Runs if !super::ordinary_command(&super::text_of(call)) => "runs a command",
                Power::Network
                    if strict
                        && script.role != Role::Node
                        && (call.at_import && call.callee != "socket.socket" || !prepares(call)) =>
                {
                    "talks to the network"
                }
                Power::Writes
                    if call.at_import
                        && (matches!(script.role, Role::Startup | Role::Module) || script.back_end)
                        && !call.arguments.first().is_some_and(|first| {
                            first.shown.contains("devnull") || first.shown.contains("/dev/null")
                        }) =>
                {
                    "writes a file"
                }
                Power::Evaluates if script.role == Role::Startup => "runs code",
                _ => continue,
            };
            let at = place.part(format!("line {}", call.line));
            let calls = if call.at_import || script.install_hooks { "calls" } else { "may call" };
            let finding = ABOUT.finding(at, format!("{when} {calls} {}, which {what}", call.shown()));
            found.push(if strict { finding } else { finding.severity(Severity::Note) });
        }
    }
}

/// Making a socket and looking a name up is not yet talking to somebody.
fn prepares(call: &Call) -> bool {
    matches!(
        call.callee.as_str(),
        "socket.socket" | "socket.getaddrinfo" | "socket.gethostbyname" | "socket.gethostbyname_ex"
    )
}
