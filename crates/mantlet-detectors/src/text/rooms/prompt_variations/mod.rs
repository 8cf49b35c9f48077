//! A caller asks the same in ever other dress.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "prompt-variations",
    title: "a caller asks the same in ever other dress",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0054", "AML.T0043.001"],
    owasp: &["LLM01:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Other dresses of the same words from which it is no accident: a person retypes a question, and a program none.
const NEEDED: usize = 4;

/// The signal when the words of a prompt were asked in so many other dresses before.
pub(crate) fn varied(dresses: usize) -> Option<Signal> {
    #[expect(clippy::cast_precision_loss, reason = "at most 48")]
    let score = dresses as f64 / NEEDED as f64;
    (score >= 1.0).then(|| {
        ABOUT
            .signal(score, format!("the same words came in {dresses} other dresses"))
            .fact("dresses", dresses)
    })
}
