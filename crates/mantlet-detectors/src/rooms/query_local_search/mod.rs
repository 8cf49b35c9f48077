//! A caller asks about many variants of one input.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

use crate::{Detector, Observation};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "query-local-search",
    title: "a caller asks about many variants of one input",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0043.001", "AML.T0040"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Counts the variants of a row among the caller's recent ones.
pub(crate) struct QueryLocalSearch;

impl Detector for QueryLocalSearch {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn look(&self, seen: &Observation<'_>) -> Option<Signal> {
        let most = seen.rows.iter().max_by_key(|row| row.near)?;
        let needed = seen.profile.honest.near_needed;
        let score = f64::from(most.near) / f64::from(needed.max(1));
        (score >= 1.0).then(|| {
            let message = format!(
                "row {} is a slight variation of {} of the caller's recent rows; honest callers reach {}",
                most.row, most.near, seen.profile.honest.near
            );
            ABOUT.signal(score, message).fact("near", most.near).fact("needed", needed)
        })
    }
}
