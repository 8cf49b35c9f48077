//! Whoever the rows to test with are of was learned from as well.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Split;
use crate::datacheck::{plain, share};

pub(super) const ABOUT: About = About {
    name: "split-shared-keys",
    title: "rows to test with are of whom is learned from",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The share of keys from which on it is told.
const SHARED: f64 = 0.01;

pub(super) fn look(split: Split<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Split::Keys(keys) = split else { return };
    if keys.keys == 0 || share(keys.shared, keys.keys) < SHARED {
        return;
    }
    let message = format!(
        "{} of {} values of `{}` among the rows to test with stand among those to learn from as well; {} of {} rows have one",
        keys.shared,
        keys.keys,
        plain(&keys.column),
        keys.rows,
        keys.test
    );
    found.push(
        ABOUT
            .finding(place.part(format!("column {}", plain(&keys.column))), message)
            .fact("keys", keys.shared)
            .fact("of", keys.keys)
            .fact("rows", keys.rows),
    );
}
