//! A package offers code that other programs import by themselves.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "package-plugin-hook",
    title: "a package offers code that other programs import by themselves",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0010.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A package offers code that other programs import by themselves.
pub(crate) struct PackagePluginHook;

impl Rule for PackagePluginHook {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Requirements(list) = facts else { return };
        for hook in &list.hooks {
            let at = place.part(format!("line {}", hook.line));
            found.push(ABOUT.finding(at, format!("`{}` is run by {}", hook.target, hook.loader)));
        }
    }
}
