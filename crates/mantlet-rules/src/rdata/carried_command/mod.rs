//! A function in an R file runs commands.

use mantlet_formats::Facts;
use mantlet_formats::rdata::RUNS;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "rdata-carried-command",
    title: "a function in an R file runs commands",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0011.000", "AML.T0018.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A function in an R file runs commands.
pub(crate) struct RdataCarriedCommand;

impl Rule for RdataCarriedCommand {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::RData(data) = facts else { return };
        for (name, at) in data.startup.iter().take(16) {
            let message =
                format!("R calls `{name}` by itself when it starts or ends in the folder of this file");
            found.push(ABOUT.finding(place.at(Span::at(*at)), message));
        }
        for (name, at) in data.opens.iter().take(16) {
            let message =
                format!("a vector of the form `{name}` is a file of the machine that is opened by its name");
            found.push(ABOUT.finding(place.at(Span::at(*at)), message));
        }
        for (name, at) in data.formulas.iter().take(16) {
            let message = format!("a formula that is evaluated when the model predicts calls `{name}`");
            found.push(ABOUT.finding(place.at(Span::at(*at)), message));
        }
        // What a promise calls is said by that rule.
        if data.functions == 0 || !data.promises.is_empty() {
            return;
        }
        let runs = data.called.iter().filter(|(name, _)| RUNS.contains(&name.as_str()));
        for (name, at) in runs.take(16) {
            let message = format!("a function that is kept with the data calls `{name}`");
            found.push(ABOUT.finding(place.at(Span::at(*at)), message));
        }
        if let Some(at) = data.evaluates() {
            let message = "a function that is kept with the data runs a text as code";
            found.push(ABOUT.finding(place.at(Span::at(at)), message));
        }
    }
}
