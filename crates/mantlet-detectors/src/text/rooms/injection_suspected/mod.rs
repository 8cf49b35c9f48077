//! A text reads like known attacks on models, by a trained model.

use mantlet_vocab::{About, Confidence, Impact, Severity};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "injection-suspected",
    title: "a text reads like known attacks on models",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Low,
    atlas: &["AML.T0051", "AML.T0054"],
    owasp: &["LLM01:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};
