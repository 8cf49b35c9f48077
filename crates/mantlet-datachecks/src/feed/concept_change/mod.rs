//! A label changed in a segment, in every feed alike.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Nature, Turned};

pub(super) const ABOUT: About = About {
    name: "feed-concept-change",
    title: "a label has changed its meaning in a segment, whoever delivers it",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(turned: &Turned<'_>, place: &Place, found: &mut Vec<Finding>) {
    if turned.nature() != Nature::Change {
        return;
    }
    let (alarm, label) = (turned.alarm, turned.label());
    let ratio = super::real(alarm.seen) / alarm.expected.max(1e-9);
    let message = format!(
        "{}: `{label}` is {} often as in the first batches, not tied to one feed or labeler: a change; {}",
        turned.who(),
        format_args!("{ratio:.2} times as"),
        turned.figures()
    );
    // What happens to a label in a wide part of the table has happened in the world; what hits the crossing of two
    // columns in every feed at once deserves a look at what the feeds share.
    let wide = alarm.axes.len() == 1;
    let finding = turned.finding(&ABOUT, place, message);
    found.push(if wide { finding.severity(Severity::Note) } else { finding });
}
