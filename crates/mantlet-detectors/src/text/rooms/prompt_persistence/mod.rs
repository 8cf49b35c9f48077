//! A caller asks on, nearly the same, after being stopped.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "prompt-persistence",
    title: "a caller asks on, nearly the same, after being stopped",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0054", "AML.T0051.000"],
    owasp: &["LLM01:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Stopped attempts near this one from which it is no misunderstanding.
const NEEDED: usize = 3;

/// The signal when so many prompts near this one were stopped before.
pub(crate) fn persistent(stopped: usize) -> Option<Signal> {
    #[expect(clippy::cast_precision_loss, reason = "at most 48")]
    let score = stopped as f64 / NEEDED as f64;
    (score >= 1.0).then(|| {
        ABOUT
            .signal(score, format!("{stopped} nearly equal prompts were stopped before"))
            .fact("stopped", stopped)
    })
}
