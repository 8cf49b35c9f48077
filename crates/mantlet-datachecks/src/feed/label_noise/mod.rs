//! A labeler or feed errs evenly, in every direction.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Nature, Turned};

pub(super) const ABOUT: About = About {
    name: "feed-label-noise",
    title: "a labeler or feed is careless: its errors fall evenly on everything",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(turned: &Turned<'_>, place: &Place, found: &mut Vec<Finding>) {
    if turned.nature() != Nature::Noise {
        return;
    }
    let message = format!(
        "{}: about {:.1} % of labels are wrong, evenly over all segments: noise, not an aim; {}",
        turned.who(),
        turned.alarm.share() * 100.0,
        turned.figures()
    );
    found.push(turned.finding(&ABOUT, place, message));
}
