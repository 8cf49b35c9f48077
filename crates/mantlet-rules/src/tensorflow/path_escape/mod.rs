//! A TensorFlow model names a file outside its folder.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "tensorflow-path-escape",
    title: "a TensorFlow model names a file outside its folder",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0107", "AML.T0037"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A TensorFlow model names a file outside its folder.
pub(crate) struct TensorflowPathEscape;

impl Rule for TensorflowPathEscape {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::TensorFlow(model) = facts else { return };
        for (asset, offset) in &model.assets {
            let outside = asset.starts_with(['/', '\\', '~'])
                || asset.split(['/', '\\']).any(|part| part == "..")
                || asset.contains("://")
                || asset.get(1..2) == Some(":");
            if outside {
                let message = format!("asset `{asset}` is outside the model's folder");
                found.push(ABOUT.finding(place.at(Span::at(*offset)), message));
            }
        }
    }
}
