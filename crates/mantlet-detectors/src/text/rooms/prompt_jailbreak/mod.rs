//! A caller talks the model out of its limits.

use mantlet_vocab::{About, Confidence, Impact, Severity};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "prompt-jailbreak",
    title: "a caller talks the model out of its limits",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0054", "AML.T0065"],
    owasp: &["LLM01:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};
