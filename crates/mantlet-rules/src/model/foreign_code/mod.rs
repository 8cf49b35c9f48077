//! A model needs code that its format's runtime does not bring.

use mantlet_formats::Facts;
use mantlet_formats::structure::Power;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "model-foreign-code",
    title: "a model needs code that its format's runtime does not bring",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.001", "AML.T0010.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A model needs code that its format's runtime does not bring.
pub(crate) struct ModelForeignCode;

impl Rule for ModelForeignCode {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Structure(model) = facts else { return };
        for (power, named) in model.code.iter().take(64) {
            let does = match power {
                Power::Native => "is run by a native library from outside, with the rights of the loader",
                Power::Class => "is a class that the application supplies and that runs as its own code",
                Power::Python => "calls a Python function of the process that loads the model",
                Power::Pickle => "decodes pickles, which can run any code, for what it stores",
                Power::Machine => "is machine code within the file",
                Power::Bytecode => "is bytecode within the file, which loading turns into a function",
                Power::Files => "reads or writes files of the process that runs the model",
                Power::Process => {
                    "starts programs or loads further code in the process that scores with the model"
                }
                Power::Network => "talks to other machines while the model runs",
            };
            let message = format!("{}: the {} `{}` {does}", model.format, named.role, named.name);
            found.push(ABOUT.finding(place.at(Span::at(named.at)), message));
        }
    }
}
