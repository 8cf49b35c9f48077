//! A feed or a labeler turned a label where the others did not.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Nature, Turned};

pub(super) const ABOUT: About = About {
    name: "feed-label-shift",
    title: "a feed or labeler has turned a label against what all others say",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(turned: &Turned<'_>, place: &Place, found: &mut Vec<Finding>) {
    if turned.nature() != Nature::Shift {
        return;
    }
    let (alarm, who, label) = (turned.alarm, turned.who(), turned.label());
    let percent = alarm.share() * 100.0;
    let other = turned
        .other
        .map_or("another label".to_owned(), |other| format!("`{}`", crate::datacheck::plain(other)));
    let way = if alarm.few {
        format!("{percent:.0} % of what should be `{label}` is called {other}")
    } else {
        format!("{percent:.1} % of what should be {other} is called `{label}`")
    };
    let message = format!("{who}: {way}, and nowhere else; {}", turned.figures());
    let from = if alarm.few { (label, other) } else { (other, label) };
    found.push(turned.finding(&ABOUT, place, message).fact("turned", format!("{} -> {}", from.0, from.1)));
}
