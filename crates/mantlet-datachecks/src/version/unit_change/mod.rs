//! A column, or part of it, is in another unit.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Changed, How};
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "version-unit-change",
    title: "numbers are in another unit",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(changed: &Changed, place: &Place, found: &mut Vec<Finding>) {
    let How::Unit(scaled) = &changed.how else { return };
    let unit = &scaled.unit;
    let plus = if unit.plus == 0.0 {
        String::new()
    } else {
        format!(" {} {:.4}", if unit.plus < 0.0 { "-" } else { "+" }, unit.plus.abs())
    };
    let share = if scaled.share > 0.97 { "all".to_owned() } else { format!("{:.0} %", scaled.share * 100.0) };
    let known =
        if unit.words.is_empty() { "another currency or scale".to_owned() } else { unit.words.to_owned() };
    let who = if changed.who.is_empty() { String::new() } else { format!(" of {}", plain(&changed.who)) };
    let message = format!(
        "{share} of the values{who} are those of {} times {}{plus} ({known}); that leaves {:.1} of {:.1} % unexplained",
        changed.beside,
        four(unit.times),
        scaled.left * 100.0,
        scaled.difference * 100.0
    );
    let mut finding = ABOUT
        .finding(changed.place(place), message)
        .fact("times", unit.times)
        .fact("plus", unit.plus)
        .fact("share", scaled.share)
        .fact("difference", scaled.difference)
        .fact("left", scaled.left);
    if unit.words.is_empty() {
        // A factor between no units that are known may be a price that rose.
        finding = finding.severity(Severity::Note).confidence(Confidence::Low);
    }
    found.push(finding);
}

/// Four digits.
fn four(value: f64) -> String {
    if value >= 1.0 && value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.4}") }
}
