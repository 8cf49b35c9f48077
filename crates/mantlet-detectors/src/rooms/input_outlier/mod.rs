//! An input looks like nothing the model was trained on.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

use crate::{Detector, Observation};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "input-outlier",
    title: "an input looks like nothing the model was trained on",
    severity: Severity::Suspicious,
    impact: Impact::Low,
    confidence: Confidence::Medium,
    atlas: &["AML.T0043", "AML.T0040"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Judges single rows by how typical they are.
pub(crate) struct InputOutlier;

impl Detector for InputOutlier {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn look(&self, seen: &Observation<'_>) -> Option<Signal> {
        let worst = seen.rows.iter().max_by(|a, b| a.outlier.total_cmp(&b.outlier))?;
        (worst.outlier >= 1.0).then(|| {
            let message = format!(
                "row {} is {:.1} times as far from the training data as one honest row in {:.0} is",
                worst.row,
                worst.outlier,
                1.0 / seen.profile.outlier_rate
            );
            let rows = seen.rows.iter().filter(|row| row.outlier >= 1.0).count();
            ABOUT.signal(worst.outlier, message).fact("rows", rows)
        })
    }
}
