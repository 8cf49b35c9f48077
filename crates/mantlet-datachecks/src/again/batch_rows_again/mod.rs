//! Most rows of a batch stand in batches that were let through before.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Again;
use crate::datacheck::share;
use crate::feed::binomial_tail;

pub(super) const ABOUT: About = About {
    name: "batch-rows-again",
    title: "rows of this batch were delivered before",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The share of rows beyond what is usual at least.
const BEYOND: f64 = 0.2;
/// The chance of so many at most.
const ALPHA: f64 = 1e-6;

pub(super) fn look(again: Again<'_>, place: &Place, found: &mut Vec<Finding>) {
    let Again::Rows(shared) = again else { return };
    if shared.exact == 0 || shared.train == 0 {
        return;
    }
    // What a further row of the same kind would find there already (Good and Turing).
    let usual = 1.0 - share(shared.once, shared.train);
    let seen = share(shared.exact, shared.test);
    let chance = binomial_tail(shared.exact, shared.test, usual.clamp(1e-9, 1.0));
    if seen - usual < BEYOND || chance > ALPHA {
        return;
    }
    let message = format!(
        "{} of {} rows ({:.1} %) stand to the last letter in batches that were let through before, {} of them with another label; a further row finds itself there {:.1} % of the time",
        shared.exact,
        shared.test,
        seen * 100.0,
        shared.contrary,
        usual * 100.0
    );
    let shown = shared.examples.iter();
    let shown = shown.map(|(own, other)| format!("row {} is row {} of those before", own + 1, other + 1));
    found.push(
        ABOUT
            .finding(place.clone(), message)
            .trace(shown)
            .fact("rows", shared.exact)
            .fact("other_label", shared.contrary)
            .fact("of", shared.test)
            .fact("usual", usual),
    );
}
