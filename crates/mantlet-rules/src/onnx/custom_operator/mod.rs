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
            let what = if python { "runs Python code" } else { "comes from a library outside ONNX" };
            let message = format!("operator `{domain}.{operator}` {what}");
            let finding = ABOUT.finding(place.at(Span::at(*offset)), message);
            found.push(if python { finding.severity(Severity::Malicious) } else { finding });
        }
    }
}

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
