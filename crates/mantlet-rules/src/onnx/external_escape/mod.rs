//! An ONNX model reads tensors from a file outside its folder.

use mantlet_formats::Facts;
use mantlet_formats::onnx::External;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "onnx-external-escape",
    title: "an ONNX model reads tensors from a file outside its folder",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// An ONNX model reads tensors from a file outside its folder.
pub(crate) struct OnnxExternalEscape;

impl Rule for OnnxExternalEscape {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Onnx(model) = facts else { return };
        for external in model.external.iter().filter(|external| outside(external)).take(32) {
            let shown: String = external.location.chars().filter(|c| !c.is_control()).take(200).collect();
            let mut message = format!("tensor `{}` is stored in `{shown}`", external.tensor);
            if let Some(target) = &external.leads {
                message.push_str(&format!(", a link to `{target}`"));
            }
            found.push(ABOUT.finding(place.at(Span::at(external.offset)), message));
        }
    }
}

fn outside(external: &External) -> bool {
    escapes(&external.location) || external.leads.is_some()
}

fn escapes(location: &str) -> bool {
    let path = location.replace('\\', "/");
    path.starts_with('/') || path.contains(':') || path.split('/').any(|part| part == "..")
}
