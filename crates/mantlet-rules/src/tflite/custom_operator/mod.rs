//! A TensorFlow Lite model needs operators that are not built in.

use mantlet_formats::Facts;
use mantlet_formats::tensorflow::{is_known, reach};
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "tflite-custom-operator",
    title: "a TensorFlow Lite model needs operators that are not built in",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.001", "AML.T0010.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A TensorFlow Lite model needs operators that are not built in.
pub(crate) struct TfliteCustomOperator;

impl Rule for TfliteCustomOperator {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Tflite(model) = facts else { return };
        for (name, offset) in &model.custom {
            let place = place.at(Span::at(*offset));
            if let Some(operator) = name.strip_prefix("Flex") {
                let finding = match reach(operator) {
                    Some(reach) => {
                        let message =
                            format!("`{name}` runs TensorFlow's `{operator}`, which can {}", reach.phrase());
                        ABOUT.finding(place, message)
                    }
                    None if is_known(operator) => {
                        let message = format!("`{name}` needs all of TensorFlow beside the interpreter");
                        ABOUT.finding(place, message).severity(Severity::Note)
                    }
                    None => {
                        ABOUT.finding(place, format!("`{name}` names an operator TensorFlow does not have"))
                    }
                };
                found.push(finding);
            } else if !KNOWN.contains(&name.as_str()) {
                found.push(ABOUT.finding(
                    place,
                    format!("operator `{name}` comes from a library outside TensorFlow Lite"),
                ));
            }
        }
    }
}

/// Operators that the interpreter and the common delegates ship.
const KNOWN: [&str; 12] = [
    "TFLite_Detection_PostProcess",
    "AudioSpectrogram",
    "Mfcc",
    "NumericVerify",
    "Convolution2DTransposeBias",
    "MaxPoolingWithArgmax2D",
    "MaxUnpooling2D",
    "Landmarks2TransformMatrix",
    "TransformLandmarks",
    "TransformTensorBilinear",
    "edgetpu-custom-op",
    "ethos-u",
];
