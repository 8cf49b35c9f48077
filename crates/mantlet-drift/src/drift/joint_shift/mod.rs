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
                .fact("picture", picture(&comparison.profile.counts.pairs[at], &comparison.current.pairs[at]))
                .fact("chance", pair.joint.chance),
        );
    }
}

/// Cells of a picture at most.
const CELLS: usize = 12;

/// The shares before and now of the cells that changed most, each named by the level of both columns, from the lowest
/// (1) to the highest.
fn picture(before: &[u64], after: &[u64]) -> serde_json::Value {
    let all = |cells: &[u64]| real(cells.iter().sum::<u64>()).max(1.0);
    let (of_before, of_after) = (all(before), all(after));
    let mut cells: Vec<(usize, f64, f64)> = before
        .iter()
        .zip(after)
        .enumerate()
        .map(|(cell, (&was, &is))| (cell, real(was) / of_before, real(is) / of_after))
        .collect();
    cells.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()).then(a.0.cmp(&b.0)));
    cells.truncate(CELLS);
    cells.sort_by_key(|(cell, ..)| *cell);
    let name = |cell: usize| format!("{} and {}", cell / LEVELS + 1, cell % LEVELS + 1);
    let names: Vec<String> = cells.iter().map(|(cell, ..)| name(*cell)).collect();
    let then: Vec<f64> = cells.iter().map(|(_, was, _)| *was).collect();
    let now: Vec<f64> = cells.iter().map(|(.., is)| *is).collect();
    serde_json::json!({ "kind": "then-now", "names": names, "then": then, "now": now })
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
