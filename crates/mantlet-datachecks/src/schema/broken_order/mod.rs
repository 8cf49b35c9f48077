//! Rows in which what comes first stands above what comes later.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Judged;
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "schema-broken-order",
    title: "of two columns the one that comes first is above the other",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(judged: &Judged, place: &Place, found: &mut Vec<Finding>) {
    for broken in judged.disordered.iter().filter(|broken| broken.count > 0) {
        let names: Vec<String> = broken.columns.iter().map(|name| plain(name)).collect();
        let message = format!(
            "in {} of {} rows `{}` is above `{}`",
            broken.count,
            judged.rows,
            names.first().map_or("", String::as_str),
            names.last().map_or("", String::as_str)
        );
        found.push(
            ABOUT
                .finding(place.part(super::named(&broken.columns)), message)
                .trace(super::rows(&broken.examples))
                .fact("rows", broken.count)
                .fact("of", judged.rows),
        );
    }
}
