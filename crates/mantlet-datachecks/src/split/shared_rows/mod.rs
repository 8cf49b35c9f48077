//! Rows to test with stand among those that were learned from.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Split;
use crate::datacheck::share;
use crate::feed::{binomial_tail, real};

pub(super) const ABOUT: About = About {
    name: "split-shared-rows",
    title: "rows to test with stand among those that are learned from",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The share of rows beyond chance at least.
const BEYOND: f64 = 0.01;
/// The chance of so many without a leak at most.
const ALPHA: f64 = 1e-6;
/// The share from which on they are worth a note even when chance explains them.
const MANY: f64 = 0.1;

pub(super) fn look(split: Split<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Split::Rows(shared) = split else { return };
    if shared.near == 0 || shared.train == 0 {
        return;
    }
    // What a further row of the same table would find there already (Good and Turing).
    let usual = 1.0 - share(shared.once, shared.train);
    let seen = share(shared.near, shared.test);
    let chance = binomial_tail(shared.near, shared.test, usual.clamp(1e-9, 1.0));
    let leaked = seen - usual >= BEYOND && chance <= ALPHA;
    if !leaked && seen < MANY {
        return;
    }
    let message = format!(
        "{} of {} rows to test with ({:.1} %) have the features of a row to learn from, {} to the last letter; rows of such a table that are drawn apart share {:.1} %",
        shared.near,
        shared.test,
        seen * 100.0,
        shared.exact,
        usual * 100.0
    );
    let shown = shared
        .examples
        .iter()
        .map(|(test, train)| format!("row {} to test with is row {} to learn from", test + 1, train + 1));
    let mut finding = ABOUT
        .finding(place.clone(), message)
        .trace(shown)
        .fact("rows", shared.near)
        .fact("exact", shared.exact)
        .fact("other_label", shared.contrary)
        .fact("of", shared.test)
        .fact("usual", usual)
        .fact("beyond", (real(shared.near) - usual * real(shared.test)).max(0.0).round());
    if !leaked {
        finding = finding.severity(Severity::Note);
    }
    found.push(finding);
}
