//! A caller tells the model to set aside its instructions.

use mantlet_vocab::{About, Confidence, Impact, Severity};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "prompt-injection",
    title: "a caller tells the model to set aside its instructions",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0051.000", "AML.T0068"],
    owasp: &["LLM01:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};
