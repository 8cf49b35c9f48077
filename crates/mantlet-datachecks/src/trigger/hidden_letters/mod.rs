//! Texts with letters nobody sees, or words that mix alphabets.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Mined, Trigger};
use crate::feed::{binomial_tail, real};

pub(super) const ABOUT: About = About {
    name: "trigger-hidden-letters",
    title: "texts hold letters that are not what they seem",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(trigger: &Trigger<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Mined::Hidden { what, rows, ones } = trigger.mined else { return };
    let count = rows.len() as u64;
    if count == 0 {
        return;
    }
    let label = crate::datacheck::plain(trigger.label);
    let share = real(*ones) / real(count);
    // Beside one label, and not as a habit of the language the texts are written in.
    let aimed = count >= 5
        && share >= 0.8
        && binomial_tail(*ones, count, trigger.usual) < 1e-4
        && real(count) <= 0.2 * real(trigger.rows);
    let message = format!("{what} in {count} of {} texts, {ones} of them `{label}`", trigger.rows);
    let list = rows.iter().take(20).map(|row| (row + 1).to_string()).collect::<Vec<_>>().join(", ");
    let finding = ABOUT
        .finding(place.part(what.to_string()), message)
        .trace([format!("rows {list}")])
        .fact("rows", count)
        .fact("label", trigger.label)
        .fact("share", share);
    found.push(if aimed { finding } else { finding.severity(Severity::Note) });
}
