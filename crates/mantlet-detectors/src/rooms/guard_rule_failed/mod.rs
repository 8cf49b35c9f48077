//! A rule of the guard failed itself.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "guard-rule-failed",
    title: "a rule of the guard failed, and its configured answer to failure decided",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0015"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The signal for a rule that failed on a request; the fact `rule` names it.
#[must_use]
pub fn guard_rule_failed(rule: &str) -> Signal {
    ABOUT.signal(1.0, format!("the rule `{rule}` failed; its `on_failure` decided")).fact("rule", rule)
}
