//! The model calls a tool, or with arguments, that the configuration does not allow.

use mantlet_vocab::{About, Confidence, Impact, Severity};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "tool-not-allowed",
    title: "the model calls a tool, or with arguments, that it may not",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0053", "AML.T0086"],
    owasp: &["LLM03:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};
