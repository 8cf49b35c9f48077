//! When figures contradict each other, they are not to be trusted, and the report says so.

use mantlet_attacks::Detail;
use serde::{Deserialize, Serialize};

use crate::ProbeReport;

/// A reason not to trust a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Which probe's figure.
    pub probe: String,
    /// `vanishing-gradients`, `masked-gradients`, `losses-disagree`, `randomised-answers`, `rounded-scores`,
    /// `staircase`, `gradients-mislead`, `class-order` or `not-cross-checked`.
    pub kind: String,
    /// Why, in plain words.
    pub message: String,
}

impl Doubt {
    /// Whether it is about every figure of the target, whatever the attack, and not about evasions alone.
    #[must_use]
    pub fn of_all(&self) -> bool {
        matches!(self.kind.as_str(), "randomised-answers" | "class-order")
    }
}

/// Compares probes of the same target and returns what contradicts what.
#[must_use]
pub fn distrust(reports: &[&ProbeReport]) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let evasions: Vec<_> = reports.iter().filter(|report| is_evasion(report)).collect();
    for report in &evasions {
        doubts.extend(within(report));
        if !uses_gradients(report) {
            continue;
        }
        // A decision-based attack sees less than a gradient attack. Where it finds rows inside the gradient
        // attack's own radius that the gradient attack missed, the gradients are hiding something.
        for other in &evasions {
            if uses_gradients(other) {
                continue;
            }
            let found = missed_but_found(report, other);
            if found > 0 {
                doubts.push(Doubt {
                    probe: report.probe.clone(),
                    kind: "masked-gradients".to_owned(),
                    message: format!(
                        "`{}` saw only decisions and still evaded {found} rows, inside the same radius, that \
                         the gradient attack missed: gradients of this model mislead, its robustness figure \
                         is not to be trusted",
                        other.probe
                    ),
                });
            }
        }
    }
    doubts
}

const fn is_evasion(report: &ProbeReport) -> bool {
    matches!(&report.outcome, Some(outcome) if matches!(outcome.detail, Detail::Evasion { .. }))
}

const fn uses_gradients(report: &ProbeReport) -> bool {
    matches!(
        &report.outcome,
        Some(outcome) if matches!(outcome.detail, Detail::Evasion { gradients: true, .. })
    )
}

/// Doubts from one report alone.
pub(crate) fn within(report: &ProbeReport) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let Some(Detail::Evasion { vanished, by_loss, .. }) =
        report.outcome.as_ref().map(|outcome| &outcome.detail)
    else {
        return doubts;
    };
    if *vanished > 0.3 {
        doubts.push(Doubt {
            probe: report.probe.clone(),
            kind: "vanishing-gradients".to_owned(),
            message: format!(
                "{:.0} % of the cross-entropy gradients were exactly zero: a miss says nothing about this model",
                vanished * 100.0
            ),
        });
    }
    if let [(first, first_hits), rest @ ..] = by_loss.as_slice()
        && let Some((other, other_hits)) = rest.iter().max_by_key(|(_, hits)| *hits)
        && first == "cross-entropy"
        && *other_hits > report.n / 5
        && *other_hits > 2 * first_hits
    {
        doubts.push(Doubt {
            probe: report.probe.clone(),
            kind: "losses-disagree".to_owned(),
            message: format!(
                "the loss `{first}` evaded {first_hits} rows and `{other}` {other_hits} more: gradients of \
                 `{first}` are unreliable on this model"
            ),
        });
    }
    // A stage that sees scores only comes after all gradient stages: what it still finds, they were blind to.
    let blind = by_loss.iter().filter(|(word, _)| word == "squares").map(|(_, hits)| *hits).sum::<usize>();
    if by_loss.len() > 1 && blind * 20 > report.n.max(1) {
        doubts.push(Doubt {
            probe: report.probe.clone(),
            kind: "masked-gradients".to_owned(),
            message: format!(
                "random squares, which see scores only, evaded {blind} rows that every gradient stage missed: \
                 gradients of this model mislead, and attacks that rely on them alone overstate its robustness"
            ),
        });
    }
    doubts
}

fn missed_but_found(gradient: &ProbeReport, decision: &ProbeReport) -> usize {
    let (Some(missed), Some(found)) = (&gradient.outcome, &decision.outcome) else { return 0 };
    let Detail::Evasion { norm, radius, .. } = &missed.detail else { return 0 };
    missed
        .rows
        .iter()
        .filter(|row| row.state == mantlet_attacks::State::Miss)
        .filter(|row| {
            found.rows.iter().any(|other| {
                other.row == row.row
                    && other.changed.is_some()
                    && other.distances.is_some_and(|distances| distances.of(*norm) <= *radius)
            })
        })
        .count()
}
