//! Columns that are promised and not there, or there and not promised.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Judged;
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "schema-other-columns",
    title: "the table has other columns than its schema",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(judged: &Judged, place: &Place, found: &mut Vec<Finding>) {
    let list = |names: &[String]| {
        let shown: Vec<String> = names.iter().take(10).map(|name| format!("`{}`", plain(name))).collect();
        format!("{}{}", shown.join(", "), if names.len() > 10 { ", …" } else { "" })
    };
    for (names, what) in [(&judged.absent, "lacks"), (&judged.unknown, "has, against its schema,")] {
        if names.is_empty() {
            continue;
        }
        let message = format!("the table {what} {} columns: {}", names.len(), list(names));
        found.push(ABOUT.finding(place.clone(), message).fact("columns", names.clone()));
    }
}
