//! A group is decided about otherwise than all others, and more so than before.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Gap, told};

pub(super) const ABOUT: About = About {
    name: "fairness-gap-grew",
    title: "a group is treated more differently from others than before",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0059"],
    owasp: &["ML02:2023", "ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(gaps: &[Gap], place: &Place, found: &mut Vec<Finding>) {
    for gap in gaps.iter().filter(|gap| gap.changed <= gap.settings.alpha && gap.grew() >= gap.settings.least)
    {
        let (column, word) = &gap.group;
        let message = format!(
            "{} of {column} {word} are {:.1} % and of all others {:.1} %; before they were {:.1} % and {:.1} %",
            gap.rate.word(),
            gap.now.0 * 100.0,
            gap.now.1 * 100.0,
            gap.before.0 * 100.0,
            gap.before.1 * 100.0
        );
        found.push(told(&ABOUT, gap, place, message).fact("grew", gap.grew()).fact("chance", gap.changed));
    }
}
