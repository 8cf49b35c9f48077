//! A model card tells people to run the code of a repository.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "card-remote-code",
    title: "a model card tells people to run the code of a repository",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0010.003", "AML.T0011.000"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A model card tells people to run the code of a repository.
pub(crate) struct CardRemoteCode;

impl Rule for CardRemoteCode {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Advice(places) = facts else { return };
        for advice in places {
            let of = match &advice.repository {
                Some(repository) if advice.foreign => {
                    format!("`{repository}`, which this card is not about")
                }
                Some(repository) => format!("`{repository}`"),
                None => "the repository it is given".to_owned(),
            };
            let until = if advice.pinned { "; a commit is named" } else { "" };
            let message = format!("whoever follows it runs the code of {of}{until}");
            let finding = ABOUT
                .finding(place.at(Span::at(advice.at)), message)
                .trace([format!("{:#x}  {}", advice.at, advice.shown)]);
            let suspicious = advice.foreign && !advice.pinned;
            found.push(if suspicious { finding } else { finding.severity(Severity::Note) });
        }
    }
}
