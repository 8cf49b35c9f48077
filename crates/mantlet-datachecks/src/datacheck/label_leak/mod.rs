//! One column that already is the answer.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::TableSummary;

pub(super) const ABOUT: About = About {
    name: "datacheck-label-leak",
    title: "one column alone decides the label",
    severity: Severity::Note,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Values of the column must foretell the label this well ...
const FORETOLD: f64 = 0.999;
/// ... where always naming the commonest class is right at most this often.
const EASY: f64 = 0.95;

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    let classes = table.classes();
    let labelled: u64 = classes.values().sum();
    let commonest = classes.values().copied().max().unwrap_or(0);
    if labelled < 50 || classes.len() < 2 || super::share(commonest, labelled) > EASY {
        return;
    }
    for (index, column) in table.columns.iter().enumerate() {
        let Some(joint) = column.by_class.as_ref().filter(|_| Some(index) != table.label) else { continue };
        let counted: u64 = joint.values().flat_map(|counts| counts.values()).sum();
        // As many values as rows foretell anything; each value must have been seen a few times.
        if joint.len() < 2 || (joint.len() as u64) * 5 > counted || counted * 2 < labelled {
            continue;
        }
        let right: u64 = joint.values().filter_map(|counts| counts.values().max()).sum();
        if super::share(right, counted) < FORETOLD {
            continue;
        }
        let message = format!(
            "its {} values foretell the label in {right} of {counted} rows; the commonest class alone would in {commonest} of {labelled}",
            joint.len()
        );
        found.push(
            ABOUT
                .finding(super::column(place, &column.spec.name), message)
                .fact("right", right)
                .fact("rows", counted),
        );
    }
}
