//! A measure of the model, counted from labels, lies below the reference's.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Performance;

pub(super) const ABOUT: About = About {
    name: "performance-fell",
    title: "the model has become worse",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(performance: &Performance, place: &Place, found: &mut Vec<Finding>) {
    super::falls(
        performance,
        |window| (&window.fell, &window.realised),
        |before, span, fall| {
            let metric = before.metric.word();
            let message = format!(
                "{span}: {metric} is {:.3} (95 %: {:.3} to {:.3}) on {} labelled decisions, {:.3} on the reference",
                fall.now.value, fall.now.low, fall.now.high, fall.labelled, before.value
            );
            let place = place.part(format!("{metric} of {span}"));
            found.push(super::fallen(ABOUT.finding(place, message), before, &fall));
        },
    );
}
