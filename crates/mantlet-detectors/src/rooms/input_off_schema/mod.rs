//! A request does not have the form the model was trained for.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

use crate::{Detector, Observation};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "input-off-schema",
    title: "a request does not have the form the model was trained for",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0043"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Compares a request with the schema and ranges of the profile.
pub(crate) struct InputOffSchema;

impl Detector for InputOffSchema {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn look(&self, seen: &Observation<'_>) -> Option<Signal> {
        let worst = seen.encoded.faults.iter().max_by(|a, b| a.score.total_cmp(&b.score))?;
        let place = match worst.at {
            Some((row, column)) => format!("`{}` row {row} value {column}", worst.input),
            None if worst.input.is_empty() => "the request".to_owned(),
            None => format!("`{}`", worst.input),
        };
        let message = if worst.at.is_none() && worst.input.is_empty() {
            worst.what.clone()
        } else {
            format!("{place} {}", worst.what)
        };
        Some(ABOUT.signal(worst.score, message).fact("departures", seen.encoded.faults.len()))
    }
}
