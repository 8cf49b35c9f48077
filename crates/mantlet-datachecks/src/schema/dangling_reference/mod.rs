//! Values that should stand in another table and do not.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Judged;
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "schema-dangling-reference",
    title: "rows refer to something that the other table does not have",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(judged: &Judged, place: &Place, found: &mut Vec<Finding>) {
    for dangling in judged.dangling.iter().filter(|dangling| dangling.count > 0) {
        let message = format!(
            "{} of {} rows refer to what {} does not have",
            dangling.count,
            judged.rows,
            plain(&dangling.table)
        );
        found.push(
            ABOUT
                .finding(place.part(super::named(&dangling.columns)), message)
                .trace(super::rows(&dangling.examples))
                .fact("rows", dangling.count)
                .fact("of", judged.rows)
                .fact("table", dangling.table.clone()),
        );
    }
}
