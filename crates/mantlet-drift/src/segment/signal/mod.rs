//! The guard sees more of something in one segment than its own past explains.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Segments;
use crate::drift::{percent, plain};

pub(super) const ABOUT: About = About {
    name: "segment-signal",
    title: "a signal of the guard fires more often in one segment",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(segments: &Segments<'_>, place: &Place, found: &mut Vec<Finding>) {
    for (signal, segment) in
        segments.raised.iter().flat_map(|(signal, all)| all.iter().map(move |one| (signal, one)))
    {
        let (who, signal) = (segments.words(segment), plain(signal));
        let message = format!(
            "{who}: `{signal}` on {} of {} rows, before on {}; over all rows {}, before {}. This segment's excess is {} \
             of all rows with it",
            percent(segment.now),
            segment.rows,
            percent(segment.before),
            percent(segment.everywhere.1),
            percent(segment.everywhere.0),
            percent(segment.share),
        );
        found.push(
            ABOUT
                .finding(place.part(format!("{signal} in segment {who}")), message.clone())
                .trace([
                    format!("what changed: {message}"),
                    "what is suspicious: a campaign comes from one place; new customers who look like one do too"
                        .to_owned(),
                    format!("who and what is affected: {who}, {} rows", segment.rows),
                    format!("which decisions may be wrong: those of the segment on which `{signal}` fired"),
                    "what to do now: look at the exchanges of the segment, and contain the callers if it is an attack"
                        .to_owned(),
                ])
                .fact("signal", signal.clone())
                .fact("rows", segment.rows)
                .fact("rate_before", segment.before)
                .fact("rate_now", segment.now)
                .fact("share_of_signals", segment.share)
                .fact("chance", segment.chance),
        );
    }
}
