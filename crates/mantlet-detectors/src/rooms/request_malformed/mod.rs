//! A message breaks the rules of its protocol.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "request-malformed",
    title: "a message breaks the rules of its protocol",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0043"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The signal for a message that a protocol reader refused: `defect` is the reader's stable name for what is wrong
/// (a fact of the signal), `message` says it with its place.
#[must_use]
pub fn request_malformed(defect: &str, message: String) -> Signal {
    ABOUT.signal(1.0, message).fact("defect", defect)
}
