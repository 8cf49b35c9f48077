//! A model reads files outside its folder.

use mantlet_formats::Facts;
use mantlet_formats::structure::escapes;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "model-outside-file",
    title: "a model reads files outside its folder",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A model reads files outside its folder.
pub(crate) struct ModelOutsideFile;

impl Rule for ModelOutsideFile {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        if let Facts::Config(config) = facts {
            for named in config.paths.iter().take(32) {
                let message = format!("`{}` is `{}`, which lies elsewhere", named.path, named.text);
                found.push(ABOUT.finding(place.at(Span::at(named.offset)), message));
            }
        }
        if let Facts::Card(card) = facts {
            for path in &card.outside {
                let message = format!("the card takes its data from `{path}`, which lies elsewhere");
                found.push(ABOUT.finding(place.clone(), message));
            }
        }
        let Facts::Structure(model) = facts else { return };
        for named in model.paths.iter().filter(|named| escapes(&named.name)).take(32) {
            let message = format!("{}: the {} is `{}`", model.format, named.role, named.name);
            found.push(ABOUT.finding(place.at(Span::at(named.at)), message));
        }
    }
}
