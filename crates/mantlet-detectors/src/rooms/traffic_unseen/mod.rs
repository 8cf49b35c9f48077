//! Traffic passed that nobody could look at.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "traffic-unseen",
    title: "traffic passed that could not be looked at, because the route allows it",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0043"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The signal for traffic that the configuration lets pass unseen: `what` names it. It stays below the threshold: what
/// was allowed is no alarm, and the record says that nobody looked.
#[must_use]
pub fn traffic_unseen(what: &str) -> Signal {
    ABOUT.signal(0.0, format!("{what} passed, and nobody looked at what flowed over it")).fact("what", what)
}
