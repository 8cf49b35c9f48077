//! Times of a column stand some hours from where they stood.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Changed, How};
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "version-time-shift",
    title: "a clock is set to another time zone",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(changed: &Changed, place: &Place, found: &mut Vec<Finding>) {
    let How::Clock(shifted) = &changed.how else { return };
    let way = if shifted.minutes > 0 { "later" } else { "earlier" };
    let minutes = shifted.minutes.unsigned_abs();
    let hours = if minutes.is_multiple_of(60) {
        format!("{} hours", minutes / 60)
    } else {
        format!("{} hours {} minutes", minutes / 60, minutes % 60)
    };
    let share =
        if shifted.share > 0.9 { "all".to_owned() } else { format!("{:.0} %", shifted.share * 100.0) };
    let who = if changed.who.is_empty() { String::new() } else { format!(" of {}", plain(&changed.who)) };
    let message = format!(
        "{share} of the times{who} stand {hours} {way} in the day than those of {}; that leaves {:.1} of {:.1} % unexplained",
        changed.beside,
        shifted.left * 100.0,
        shifted.difference * 100.0
    );
    found.push(
        ABOUT
            .finding(changed.place(place), message)
            .fact("minutes", shifted.minutes)
            .fact("share", shifted.share)
            .fact("difference", shifted.difference)
            .fact("left", shifted.left),
    );
}
