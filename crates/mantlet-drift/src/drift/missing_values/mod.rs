//! More or fewer values of a column are missing than in the reference.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::statistic::real;
use crate::{Comparison, MISSING};

pub(super) const ABOUT: About = About {
    name: "drift-missing-values",
    title: "the share of missing values has changed",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(comparison: &Comparison<'_>, place: &Place, found: &mut Vec<Finding>) {
    for change in comparison.columns.iter().filter(|change| change.missing.told) {
        let share = |counts: &crate::Counts| {
            let missing = counts.columns[change.column][usize::from(MISSING)];
            real(missing) / real(counts.rows.max(1))
        };
        let (before, after) = (share(&comparison.profile.counts), share(comparison.current));
        let column = &comparison.profile.columns[change.column];
        let message = format!(
            "{} of the values are missing, in the reference {}",
            super::percent(after),
            super::percent(before)
        );
        found.push(
            ABOUT
                .finding(super::column(place, column), message)
                .fact("missing_before", before)
                .fact("missing_now", after)
                .fact("picture", super::two(["missing", "there"], before, after))
                .fact("chance", change.missing.chance),
        );
    }
}
