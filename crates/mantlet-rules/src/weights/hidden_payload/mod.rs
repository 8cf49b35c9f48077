//! A text beside the weights hides a program.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "weights-hidden-payload",
    title: "a text beside the weights hides a program",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0018.002"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A text beside the weights hides a program.
pub(crate) struct WeightsHiddenPayload;

impl Rule for WeightsHiddenPayload {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Metadata(texts) = facts else { return };
        for text in texts {
            if let Some(what) = text.hides {
                let message = format!("`{}` holds {what} in {} encoded bytes", text.key, text.len);
                found.push(ABOUT.finding(place.part(text.key.clone()), message));
            }
        }
    }
}
