//! A share of decisions, false alarms or unusual values changed.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Counted, Told};

pub(super) const ABOUT: About = About {
    name: "online-rate-change",
    title: "a share of decisions or inputs has changed",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(told: &Told<'_>, place: &Place, found: &mut Vec<Finding>) {
    if told.is_evasion() {
        return;
    }
    let (suspicious, doubt) = match told.stream.counted {
        Counted::Decided => (
            "the model decides otherwise than it used to; the people, an input or the model changed",
            "those made since then",
        ),
        Counted::Missed => (
            "fewer positives are missed than usual: labels may be incomplete or turned",
            "those whose label came since then",
        ),
        Counted::FalseAlarms => (
            "labels call more or fewer of the model's positives wrong than they used to",
            "the positive ones since then",
        ),
        Counted::High | Counted::Low => (
            "an input moved by itself: a broken feed, a change of unit, or somebody who steers it",
            "those that rest on it",
        ),
    };
    found.push(told.finding(&ABOUT, place, suspicious, doubt));
}
