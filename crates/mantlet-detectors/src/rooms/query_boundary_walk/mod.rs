//! A caller walks along the line where the decision changes.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

use crate::{Detector, Observation, Outcome};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "query-boundary-walk",
    title: "a caller walks along the line where the decision changes",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0043.001", "AML.T0042"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Changes of decision between near rows from which a stream is a walk.
const FLIPS: u32 = 3;

/// Sees bisection before the model answers, and a boundary crossed again and again once it has.
pub(crate) struct QueryBoundaryWalk;

impl Detector for QueryBoundaryWalk {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn look(&self, seen: &Observation<'_>) -> Option<Signal> {
        let most = seen.rows.iter().filter(|row| row.on_line).max_by_key(|row| row.aligned)?;
        let needed = seen.profile.honest.aligned_needed;
        let score = f64::from(most.aligned) / f64::from(needed.max(1))
            * if seen.profile.lines_are_sure() { 2.0 } else { 1.0 };
        (score >= 1.0).then(|| {
            let message = format!(
                "row {} lies on a straight line through two earlier rows, as {} recent rows do: a bisection",
                most.row, most.aligned
            );
            ABOUT.signal(score, message).fact("aligned", most.aligned).fact("needed", needed)
        })
    }

    fn outcome(&self, seen: &Outcome<'_>) -> Option<Signal> {
        let most = seen.flips.iter().copied().max()?;
        let score = f64::from(most) / f64::from(FLIPS);
        (score >= 1.0).then(|| {
            let message = format!("the decision changed {most} times between rows very near one another");
            ABOUT.signal(score, message).fact("changes", most)
        })
    }
}
