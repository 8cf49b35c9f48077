//! A column moved in one segment, and nowhere else.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Segments;
use crate::drift::plain;

pub(super) const ABOUT: About = About {
    name: "segment-shift",
    title: "a column has drifted in one segment only",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(segments: &Segments<'_>, place: &Place, found: &mut Vec<Finding>) {
    for segment in &segments.shifts {
        let Some(measure) = segment.measure.and_then(|at| segments.layout.measures.get(at)) else { continue };
        let who = segments.words(segment);
        let column = plain(&segments.profile.columns[measure.column].name);
        let (rose, by) = (segment.now >= segment.before, (segment.now - segment.before).abs() * 100.0);
        let message = format!(
            "{who}: `{column}` {} in this segment only, by {by:.0} of 100 ranks on average over {} rows; over all \
             rows by {:.1}",
            if rose { "rose" } else { "fell" },
            segment.rows,
            (segment.everywhere.1 - segment.everywhere.0).abs() * 100.0,
        );
        found.push(
            ABOUT
                .finding(place.part(format!("column {column} in segment {who}")), message)
                .fact("rows", segment.rows)
                .fact("mean_rank_before", segment.before)
                .fact("mean_rank_now", segment.now)
                .fact("chance", segment.chance),
        );
    }
}
