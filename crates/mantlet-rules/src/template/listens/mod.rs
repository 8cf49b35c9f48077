//! A template acts on words in a message.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "template-listens",
    title: "a template acts on words in a message",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0051.002"],
    owasp: &["LLM01:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A template acts on words in a message.
pub(crate) struct TemplateListens;

impl Rule for TemplateListens {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Template(template) = facts else { return };
        if let Some(spot) = template.injections.first() {
            let words: Vec<&str> = template.triggers.iter().take(5).map(|spot| spot.what.as_str()).collect();
            let when = match (words.as_slice(), template.dates.first()) {
                ([], Some(date)) => format!("on a day that is compared with {}", date.what),
                _ => format!("when a message contains {words:?}"),
            };
            let message = format!("{when}, the template writes into the prompt: \"{}\"", spot.what);
            found.push(
                ABOUT.finding(place.at(Span::at(spot.offset as u64)), message).severity(Severity::Suspicious),
            );
            return;
        }
        for spot in template.triggers.iter().take(8) {
            let message = format!("the template looks for \"{}\" in a message", spot.what);
            found.push(ABOUT.finding(place.at(Span::at(spot.offset as u64)), message));
        }
    }
}
