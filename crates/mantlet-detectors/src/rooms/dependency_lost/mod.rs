//! Something a guarded route needs was not there.

use mantlet_vocab::{About, Confidence, Impact, OnFailure, Severity, Signal};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "dependency-lost",
    title: "the model's endpoint, the record, the shared counts or other replicas were not there, and the configured answer decided",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0029"],
    owasp: &["LLM06:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The signal for what an exchange needed and did not have: `what` is `upstream`, `record`, `limits` or `replicas`,
/// `how` says how it failed, and `choice` what then was to happen.
#[must_use]
pub fn dependency_lost(what: &str, how: &str, choice: OnFailure) -> Signal {
    let choice = match choice {
        OnFailure::Refuse => "refuse",
        OnFailure::Divert => "divert",
        OnFailure::PassAndFlag => "pass-and-flag",
    };
    let message = format!("{what}: {how}; the route's choice is `{choice}`");
    ABOUT.signal(1.0, message).fact("what", what).fact("how", how).fact("choice", choice)
}
