//! A group gets less than four fifths of what others get, or errs by more than a quarter more.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Gap, told};

pub(super) const ABOUT: About = About {
    name: "fairness-gap-stands",
    title: "a group is treated very differently from others",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(gaps: &[Gap], place: &Place, found: &mut Vec<Finding>) {
    for gap in gaps {
        let settings = gap.settings;
        let (least, most) = (gap.now.0.min(gap.now.1), gap.now.0.max(gap.now.1));
        let grew = gap.changed <= settings.alpha && gap.grew() >= settings.least;
        if grew
            || gap.standing > settings.alpha
            || most - least < settings.least
            || least >= settings.ratio * most
        {
            continue;
        }
        let (column, word) = &gap.group;
        let message = format!(
            "{} of {column} {word} are {:.1} % and of all others {:.1} %, as before",
            gap.rate.word(),
            gap.now.0 * 100.0,
            gap.now.1 * 100.0
        );
        found
            .push(told(&ABOUT, gap, place, message).fact("ratio", least / most).fact("chance", gap.standing));
    }
}
