//! A request matches an attack that was confirmed before. The rules themselves are [`crate::PinnedRule`]s.

use mantlet_vocab::{About, Confidence, Impact, Severity};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "pinned-attack",
    title: "a request matches an attack that was confirmed before",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0043", "AML.T0040"],
    owasp: &["ML01:2023", "ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};
