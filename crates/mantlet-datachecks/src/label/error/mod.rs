//! Rows whose label a model that did not see them contradicts.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Labelled;

pub(super) const ABOUT: About = About {
    name: "label-error",
    title: "labels are contradicted by a model that did not learn from the rows",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(labelled: &Labelled<'_>, place: &Place, found: &mut Vec<Finding>) {
    let rows = &labelled.confident.rows;
    if rows.is_empty() {
        return;
    }
    let ways = labelled.directions(rows.iter());
    let Some(&(way, most)) = ways.first() else { return };
    let message = format!(
        "{} of {} rows likely carry the wrong label; {most} of them {}",
        rows.len(),
        labelled.rows(),
        labelled.way(way)
    );
    let mut worst = rows.clone();
    worst.sort_by(|a, b| b.margin.total_cmp(&a.margin).then(a.row.cmp(&b.row)));
    let trace = worst.iter().take(20).map(|row| {
        format!(
            "{}: says `{}`, looks like `{}` by {:.2}",
            labelled.called(row.row),
            labelled.word(row.given),
            labelled.word(row.meant),
            row.margin
        )
    });
    found.push(
        ABOUT
            .finding(place.clone(), message)
            .trace(trace)
            .fact("rows", rows.len())
            .fact("of", labelled.rows())
            .fact("main_direction", labelled.way(way))
            .fact("main_direction_rows", most),
    );
}
