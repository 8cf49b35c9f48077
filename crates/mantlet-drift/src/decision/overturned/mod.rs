//! Decisions that the other version makes differently.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Redecided;
use crate::drift::{percent, plain};
use crate::statistic::real;

pub(super) const ABOUT: About = About {
    name: "decision-overturned",
    title: "the known-good version decides differently",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0031"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(redecided: &Redecided, place: &Place, found: &mut Vec<Finding>) {
    for (then, now, turn) in redecided.turns() {
        let (then, now) = (plain(then), plain(now));
        let share = real(turn.decisions) / real(redecided.decided.max(1));
        let mut message = format!(
            "{} of {} decisions ({}) were `{then}` and are `{now}` with {}",
            turn.decisions,
            redecided.decided,
            percent(share),
            plain(&redecided.with)
        );
        if turn.with_amount > 0 {
            message += &format!("; at most {:.2} is at stake in {} of them", turn.amount, turn.with_amount);
        }
        if turn.noticed > 0 {
            message += &format!("; the guard had noticed something at {}", turn.noticed);
        }
        let mut finding = ABOUT
            .finding(place.part(format!("{then} to {now}")), message)
            .fact("decisions", turn.decisions)
            .fact("share", share)
            .fact("noticed", turn.noticed);
        if turn.with_amount > 0 {
            finding = finding.fact("amount", turn.amount);
        }
        found.push(finding);
    }
}
