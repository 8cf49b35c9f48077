//! A column holds words that the reference has not.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::{Comparison, NEW};

pub(super) const ABOUT: About = About {
    name: "drift-new-words",
    title: "a column has words the reference has not",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(comparison: &Comparison<'_>, place: &Place, found: &mut Vec<Finding>) {
    for change in &comparison.columns {
        let Some(new) = change.new.filter(|new| new.told) else { continue };
        let rows = comparison.current.columns[change.column][usize::from(NEW)];
        let message = format!(
            "{rows} rows ({}) have a word that no row of the reference has, beyond what chance brings",
            super::percent(new.size)
        );
        let column = &comparison.profile.columns[change.column];
        found.push(
            ABOUT
                .finding(super::column(place, column), message)
                .fact("rows", rows)
                .fact("share", new.size)
                .fact("picture", super::two(["words the reference has not", "words it has"], 0.0, new.size))
                .fact("chance", new.chance),
        );
    }
}
