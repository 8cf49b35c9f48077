//! The model errs more in one segment than its own past explains.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Segments;
use crate::drift::percent;

pub(super) const ABOUT: About = About {
    name: "segment-loss",
    title: "the model has become worse in one segment",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(segments: &Segments<'_>, place: &Place, found: &mut Vec<Finding>) {
    for segment in &segments.losses {
        let who = segments.words(segment);
        let message = format!(
            "{who}: the model errs on {} of {} rows, before on {}; over all rows {}, before {}. This segment's \
             excess is {} of all errors",
            percent(segment.now),
            segment.rows,
            percent(segment.before),
            percent(segment.everywhere.1),
            percent(segment.everywhere.0),
            percent(segment.share),
        );
        found.push(
            ABOUT
                .finding(place.part(format!("segment {who}")), message)
                .fact("rows", segment.rows)
                .fact("error_rate_before", segment.before)
                .fact("error_rate_now", segment.now)
                .fact("share_of_errors", segment.share)
                .fact("chance", segment.chance),
        );
    }
}
