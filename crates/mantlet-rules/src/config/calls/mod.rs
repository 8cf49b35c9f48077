//! A configuration calls a function that can do harm.

use mantlet_formats::Facts;
use mantlet_formats::config::Act;
use mantlet_formats::pickle::Effect;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "config-calls",
    title: "a configuration calls a function that can do harm",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0050"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A configuration calls a function that can do harm.
pub(crate) struct ConfigCalls;

impl Rule for ConfigCalls {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Config(config) = facts else { return };
        for item in &config.items {
            if !matches!(item.act, Act::Calls | Act::PythonTag) || item.effect.is_allowed() {
                continue;
            }
            let arguments = item.arguments.join(", ");
            let called = item.value.rsplit_once(':').map_or(item.value.as_str(), |(_, name)| name);
            let call = format!("{called}({arguments})");
            let power = item.effect.phrase();
            let at = place.at(Span::at(item.offset));
            let grave = matches!(
                item.effect,
                Effect::Executes
                    | Effect::Imports
                    | Effect::Decodes
                    | Effect::Network
                    | Effect::Writes
                    | Effect::Resolves
                    | Effect::HigherOrder
                    | Effect::Patches
                    | Effect::Registers
                    | Effect::Code
            );
            match (item.act, item.effect) {
                (_, Effect::Executes | Effect::Imports | Effect::Code | Effect::Patches) => {
                    let message = format!("`{}` calls {call}, which can {power}", item.path);
                    found.push(ABOUT.finding(at, message).fact("callee", called));
                }
                (_, _) if grave || item.effect == Effect::Reads => {
                    let message = format!("`{}` calls {call}, which can {power}", item.path);
                    found.push(
                        ABOUT.finding(at, message).severity(Severity::Suspicious).fact("callee", called),
                    );
                }
                (Act::PythonTag, _) => {
                    let message = format!("the tag `!!python/{}` builds a Python object", item.value);
                    found.push(ABOUT.finding(at, message).severity(Severity::Note));
                }
                _ => {}
            }
        }
    }
}
