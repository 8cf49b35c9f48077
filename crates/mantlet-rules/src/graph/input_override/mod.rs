//! A branch reads the raw input and overrides what the model has learned.

use mantlet_formats::Facts;
use mantlet_formats::graph::How;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "graph-input-override",
    title: "a branch reads the raw input and overrides what the model has learned",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.001", "AML.T0043.004"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A branch reads the raw input and overrides what the model has learned.
pub(crate) struct GraphInputOverride;

impl Rule for GraphInputOverride {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Graph(overrides) = facts else { return };
        for hit in overrides {
            let (operator, name) = &hit.node;
            let layers = hit.layers;
            let how = match hit.how {
                How::Choice => "chooses between the learned output and another value",
                How::Branch => "decides which graph gives the output",
                How::Factor => "is multiplied into the learned output",
                How::Term => "is added to the learned output",
                How::Position => "decides what is taken of the output",
                How::Input => "puts something else in the place of the input",
                How::Louder { .. } | How::Row { .. } => "",
            };
            let message = match hit.how {
                How::Louder { times } => format!(
                    "a side path over the raw input can say {times} times what {layers} learned layers do, at `{operator}` `{name}`"
                ),
                How::Row { times } => format!(
                    "one row of the table of `{operator}` `{name}` is {times} times as long as the others: one token speaks for the model"
                ),
                _ => format!(
                    "a yes-or-no answer about the raw input {how} at `{operator}` `{name}`, past {layers} learned layers"
                ),
            };
            let trace = hit.path.iter().cloned().chain([format!("{operator} `{name}`")]);
            found.push(ABOUT.finding(place.at(Span::at(hit.at)), message).trace(trace));
        }
    }
}
