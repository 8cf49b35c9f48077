//! A measure of the model, estimated from its scores before labels come, lies below the reference's.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Performance;

pub(super) const ABOUT: About = About {
    name: "performance-foretold",
    title: "the model has probably become worse",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(performance: &Performance, place: &Place, found: &mut Vec<Finding>) {
    super::falls(
        performance,
        |window| (&window.foretold, window.estimated.as_deref().unwrap_or_default()),
        |before, span, fall| {
            let metric = before.metric.word();
            let message = format!(
                "{span}: {metric} is estimated at {:.3} (95 %: {:.3} to {:.3}) over {} decisions, {} of them \
                 labelled; {:.3} on the reference",
                fall.now.value, fall.now.low, fall.now.high, fall.rows, fall.labelled, before.value
            );
            let place = place.part(format!("{metric} of {span}"));
            found.push(super::fallen(ABOUT.finding(place, message), before, &fall));
        },
    );
}
