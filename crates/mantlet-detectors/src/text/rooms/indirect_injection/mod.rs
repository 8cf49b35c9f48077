//! A document, tool or tool's answer gives the model orders.

use mantlet_vocab::{About, Confidence, Impact, Kind, Severity};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "indirect-injection",
    title: "a document, tool or tool's answer gives the model orders",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0051.001", "AML.T0070", "AML.T0110"],
    owasp: &["LLM01:2026", "LLM09:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// How much orders weigh by where they stand; `None` where text is not judged as orders at all. Nobody has a reason
/// to tell a model "ignore your instructions" in a search result; a tool's description has to say what the tool
/// wants, and its author is not the caller.
pub(crate) const fn weigh(kind: Kind) -> Option<f64> {
    match kind {
        Kind::Document | Kind::ToolResult => Some(1.5),
        Kind::ToolDefinition => Some(0.75),
        Kind::System | Kind::User | Kind::Assistant | Kind::ToolCall | Kind::Reasoning | Kind::Unknown => {
            None
        }
    }
}
