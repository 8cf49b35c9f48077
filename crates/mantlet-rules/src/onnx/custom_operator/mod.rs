//! An ONNX model needs operators that are not part of ONNX.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "onnx-custom-operator",
    title: "an ONNX model needs operators that are not part of ONNX",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.001", "AML.T0010.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// An ONNX model needs operators that are not part of ONNX.
pub(crate) struct OnnxCustomOperator;

impl Rule for OnnxCustomOperator {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Onnx(model) = facts else { return };
        for ((domain, operator), offset) in &model.operators {
            let python = matches!(operator.as_str(), "PyOp" | "PythonOp" | "PyFunc" | "PyCustomOp");
            if !python
                && (KNOWN.contains(&domain.as_str())
                    || model.functions.contains(&(domain.clone(), operator.clone())))
            {
                continue;
            }
            let extension = EXTENSIONS.contains(&domain.as_str());
            let remote = REMOTE.contains(&operator.as_str());
            let what = match (python, extension) {
                (true, _) => "runs Python code",
                (_, true) if remote => "sends its input to a service",
                (_, true) => "comes from the extensions of ONNX Runtime",
                _ => "comes from a library outside ONNX",
            };
            let message = format!("operator `{domain}.{operator}` {what}");
            let finding = ABOUT.finding(place.at(Span::at(*offset)), message);
            found.push(if python {
                finding.severity(Severity::Malicious)
            } else if extension && !remote {
                finding.severity(Severity::Note)
            } else {
                finding
            });
        }
    }
}

/// Domains of `onnxruntime-extensions`, which is published with the runtime: tokenizers, pictures, text.
const EXTENSIONS: [&str; 2] = ["ai.onnx.contrib", "com.microsoft.extensions"];
/// Operators of these that hand what they are given to another machine.
const REMOTE: [&str; 4] = ["AzureTextToText", "OpenAIAudioToText", "AzureTritonInvoker", "AzureAudioToText"];

/// ONNX's domains and those whose operators the common runtimes ship.
const KNOWN: [&str; 8] = [
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
];
