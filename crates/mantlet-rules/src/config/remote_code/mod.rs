//! A configuration makes the loader import code.

use mantlet_formats::Facts;
use mantlet_formats::config::Act;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "config-remote-code",
    title: "a configuration makes the loader import code",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0010.003", "AML.T0011.000"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A configuration makes the loader import code.
pub(crate) struct ConfigRemoteCode;

impl Rule for ConfigRemoteCode {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Config(config) = facts else { return };
        for item in &config.items {
            let (message, note) = match item.act {
                Act::ForeignCode => {
                    let repository = item.value.split("--").next().and_then(|name| name.split(':').next());
                    let repository = repository.unwrap_or("");
                    (
                        format!("`{}` imports `{}` from the repository {repository}", item.path, item.value),
                        false,
                    )
                }
                Act::LocalCode => (
                    format!("`{}` imports `{}` from the files beside it, if trusted", item.path, item.value),
                    true,
                ),
                Act::Imports => (format!("`{}` imports `{}` by name", item.path, item.value), false),
                Act::Trusts => (format!("`{}` switches the question for trust off", item.path), false),
                Act::Calls | Act::PythonTag => continue,
            };
            let finding = ABOUT.finding(place.at(Span::at(item.offset)), message);
            found.push(if note { finding.severity(Severity::Note) } else { finding });
        }
    }
}
