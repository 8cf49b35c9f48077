//! A column goes with the label in some feeds only.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Uneven;
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "relation-spurious",
    title: "a column goes with the label in some places only",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020", "AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(relation: &Uneven, place: &Place, found: &mut Vec<Finding>) {
    let named = |(name, strength): &(String, f64)| format!("{} ({strength:.2})", plain(name));
    let mut there: Vec<String> = relation.there.iter().take(5).map(named).collect();
    if relation.there.len() > 5 {
        there.push("…".to_owned());
    }
    let elsewhere = if relation.reversed {
        format!("the other way round than everywhere else ({:.2})", relation.elsewhere)
    } else {
        format!("and not elsewhere ({:.2})", relation.elsewhere)
    };
    let message = format!(
        "`{}` goes with the label where {} is {}, {} of {} rows, {elsewhere}; 0 is not at all, 1 is wholly",
        plain(&relation.column),
        plain(&relation.by),
        there.join(", "),
        relation.rows,
        relation.of
    );
    found.push(
        ABOUT
            .finding(place.part(format!("column {}", plain(&relation.column))), message)
            .fact("by", relation.by.clone())
            .fact("there", relation.there.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())
            .fact("strength", relation.there.first().map_or(0.0, |(_, strength)| *strength))
            .fact("elsewhere", relation.elsewhere)
            .fact("rows", relation.rows)
            .fact("reversed", relation.reversed),
    );
}
