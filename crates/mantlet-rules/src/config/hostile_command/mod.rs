//! A configuration holds a command that only an attack needs.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "config-hostile-command",
    title: "a configuration holds a command that only an attack needs",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.001", "AML.T0050"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A configuration holds a command that only an attack needs.
pub(crate) struct ConfigHostileCommand;

impl Rule for ConfigHostileCommand {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Config(config) = facts else { return };
        // A value may have been put together in several ways: it is told once.
        let mut told = std::collections::HashSet::new();
        for command in &config.commands {
            if told.contains(&command.offset) {
                continue;
            }
            if let Some(why) = crate::code::hostile(&command.text) {
                let message = format!("`{}` runs `{}`, which {why}", command.path, shown(&command.text));
                found.push(ABOUT.finding(place.at(Span::at(command.offset)), message));
                told.insert(command.offset);
            } else if let Some(why) = crate::code::doubtful(&command.text) {
                let message = format!("`{}` runs `{}`, which {why}", command.path, shown(&command.text));
                let finding = ABOUT.finding(place.at(Span::at(command.offset)), message);
                found.push(finding.severity(Severity::Suspicious));
                told.insert(command.offset);
            } else if config.for_strangers && pasted(&command.text) {
                let what = if command.path.ends_with(".ref") {
                    "checks out the code of a stranger with the rights of the repository"
                } else {
                    "pastes what a stranger writes into a shell that has the rights of the repository"
                };
                let message = format!("`{}` runs `{}`, which {what}", command.path, shown(&command.text));
                let finding = ABOUT.finding(place.at(Span::at(command.offset)), message);
                found.push(finding.severity(Severity::Suspicious));
            }
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Whether a command of a workflow is put together with words that anybody may write.
fn pasted(text: &str) -> bool {
    const WORDS: [&str; 9] = [
        "github.event.pull_request.head.sha",
        "github.head_ref",
        "github.event.pull_request.head.ref",
        "github.event.pull_request.head.label",
        "github.event.workflow_run.head_branch",
        ".title",
        ".body",
        ".message",
        ".page_name",
    ];
    text.split("${{").skip(1).any(|rest| {
        let inner = rest.split("}}").next().unwrap_or("");
        WORDS.iter().any(|word| inner.contains(word))
            && (inner.contains("github.event.") || inner.contains("github.head_ref"))
    })
}
