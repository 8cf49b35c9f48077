//! Two columns hang together differently than in the reference, though each alone may look the same.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Comparison;
use crate::profile::LEVELS;
use crate::statistic::real;

pub(super) const ABOUT: About = About {
    name: "drift-joint-shift",
    title: "two columns hang together differently",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(comparison: &Comparison<'_>, place: &Place, found: &mut Vec<Finding>) {
    for (at, pair) in comparison.pairs.iter().enumerate().filter(|(_, pair)| pair.joint.told) {
        let (a, b) = pair.columns;
        let name = |column: usize| super::plain(&comparison.profile.columns[column].name);
        let was = correlation(&comparison.profile.counts.pairs[at]);
        let is = correlation(&comparison.current.pairs[at]);
        let message = format!(
            "`{}` and `{}` hang together differently: {} of the rows stand where their old relation does not put \
             them (correlation of levels {was:+.2} before, {is:+.2} now)",
            name(a),
            name(b),
            super::percent(pair.joint.size),
        );
        found.push(
            ABOUT
                .finding(place.part(format!("columns {} and {}", name(a), name(b))), message)
                .fact("share", pair.joint.size)
                .fact("correlation_before", was)
                .fact("correlation_now", is)
                .fact("chance", pair.joint.chance),
        );
    }
}

/// The correlation of the levels of a pair, from -1 to 1; 0 when one of them is constant.
fn correlation(cells: &[u64]) -> f64 {
    let all = real(cells.iter().sum::<u64>()).max(1.0);
    let mean = |of: &dyn Fn(f64, f64) -> f64| {
        let term = |(cell, &count): (usize, &u64)| {
            real(count) * of(real((cell / LEVELS) as u64), real((cell % LEVELS) as u64))
        };
        cells.iter().enumerate().map(term).sum::<f64>() / all
    };
    let (a, b) = (mean(&|a, _| a), mean(&|_, b| b));
    let (of_a, of_b) = (mean(&|x, _| (x - a).powi(2)), mean(&|_, y| (y - b).powi(2)));
    if of_a <= 0.0 || of_b <= 0.0 { 0.0 } else { mean(&|x, y| (x - a) * (y - b)) / (of_a * of_b).sqrt() }
}
