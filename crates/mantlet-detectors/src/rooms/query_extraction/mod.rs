//! A caller's questions are made up to learn the model rather than to use it.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

use crate::{Detector, Observation};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "query-extraction",
    title: "a caller's questions are made up to learn the model rather than to use it",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0024.002", "AML.T0040"],
    owasp: &["ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Weighs a caller's new rows together.
pub(crate) struct QueryExtraction;

impl Detector for QueryExtraction {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn look(&self, seen: &Observation<'_>) -> Option<Signal> {
        let most = seen.rows.iter().max_by(|a, b| a.evidence.total_cmp(&b.evidence))?;
        let needed = seen.profile.honest.evidence_needed;
        let score = most.evidence / needed;
        (score >= 1.0).then(|| {
            let message = format!(
                "by row {}, the caller's new rows are too odd together to be ordinary use ({} of the last 16 are \
                 rarer than one honest row in a hundred)",
                most.row, most.rare
            );
            ABOUT.signal(score, message).fact("evidence", most.evidence).fact("rare", most.rare)
        })
    }
}
