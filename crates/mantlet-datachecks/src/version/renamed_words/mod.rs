//! Words of a column went while others came in their place.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Changed, How, Renamed};
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "version-renamed-words",
    title: "words of a column have another name",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(changed: &Changed, place: &Place, found: &mut Vec<Finding>) {
    let How::Names(renamed) = &changed.how else { return };
    let one = |own: &Renamed| {
        let why = if own.alike {
            "the same but for case, spaces and signs"
        } else if own.told {
            "in as many rows and the same company"
        } else {
            "in as many rows"
        };
        format!(
            "`{}` ({} rows) is now `{}` ({} rows): {why}",
            plain(&own.was.word),
            own.was.rows,
            plain(&own.is.word),
            own.is.rows
        )
    };
    let message = match renamed.as_slice() {
        [] => return,
        [only] => one(only),
        [first, ..] => format!("{} words, such as {}", renamed.len(), one(first)),
    };
    let map: std::collections::BTreeMap<&str, &str> =
        renamed.iter().map(|own| (own.was.word.as_str(), own.is.word.as_str())).collect();
    let mut finding = ABOUT
        .finding(changed.place(place), message)
        .trace(renamed.iter().take(20).map(one))
        .fact("words", renamed.len())
        .fact("renamed", serde_json::json!(map));
    if !renamed.iter().any(|own| own.told) {
        finding = finding.severity(Severity::Note).confidence(Confidence::Low);
    }
    found.push(finding);
}
