//! The values of a column are distributed differently than in the reference.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::statistic::real;
use crate::{Buckets, Comparison, MISSING, NEW};

pub(super) const ABOUT: About = About {
    name: "drift-marginal-shift",
    title: "a column has drifted",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(comparison: &Comparison<'_>, place: &Place, found: &mut Vec<Finding>) {
    for change in comparison.columns.iter().filter(|change| change.shape.told) {
        let column = &comparison.profile.columns[change.column];
        let before = &comparison.profile.counts.columns[change.column];
        let after = &comparison.current.columns[change.column];
        let (message, measure) = match &column.buckets {
            Buckets::Numbers { .. } => (numbers(&column.buckets, before, after, change.shape.size), "ks"),
            _ => (words(&column.buckets, before, after, change.shape.size), "total_variation"),
        };
        let mut finding = ABOUT
            .finding(super::column(place, column), message)
            .fact(measure, change.shape.size)
            .fact("psi", change.psi)
            .fact("jensen_shannon", change.jensen_shannon)
            .fact("chance", change.shape.chance)
            .fact("picture", picture(&column.buckets, before, after));
        if let Some(distance) = change.wasserstein {
            finding = finding.fact("rank_wasserstein", distance);
        }
        found.push(finding);
    }
}

/// Bars of a picture at most.
const BARS: usize = 12;

/// The shares before and now: of numbers in groups of neighbouring buckets, of words those of the most frequent ones.
fn picture(buckets: &Buckets, before: &[u64], after: &[u64]) -> serde_json::Value {
    let (mut names, mut then, mut now): (Vec<String>, Vec<f64>, Vec<f64>) = Default::default();
    let is_numbers = matches!(buckets, Buckets::Numbers { .. });
    let first = if is_numbers { 1 } else { usize::from(NEW) + 1 };
    let all = |counts: &[u64]| real(counts.iter().skip(first).sum::<u64>()).max(1.0);
    let (of_before, of_after) = (all(before), all(after));
    let groups: Vec<Vec<usize>> = if is_numbers {
        let codes: Vec<usize> = (first..before.len()).collect();
        codes.chunks(codes.len().div_ceil(BARS).max(1)).map(<[usize]>::to_vec).collect()
    } else {
        let mut codes: Vec<usize> = (first..before.len()).collect();
        codes.sort_by_key(|&code| (std::cmp::Reverse(before[code].max(after[code])), code));
        codes.into_iter().take(BARS).map(|code| vec![code]).collect()
    };
    for group in groups {
        let Some(&last) = group.last() else { continue };
        let name = match buckets {
            Buckets::Numbers { edges, .. } => match edges.get(last - first) {
                Some(&edge) => format!("to {}", short(edge)),
                None => "above".to_owned(),
            },
            _ => super::plain(&buckets.label(u16::try_from(last).unwrap_or(MISSING))),
        };
        names.push(name);
        then.push(group.iter().map(|&code| real(before[code])).sum::<f64>() / of_before);
        now.push(group.iter().map(|&code| real(after[code])).sum::<f64>() / of_after);
    }
    serde_json::json!({ "kind": "then-now", "names": names, "then": then, "now": now })
}

/// Where a column of numbers moved: its median, and the spread between its quarters.
fn numbers(buckets: &Buckets, before: &[u64], after: &[u64], distance: f64) -> String {
    let quartiles = |counts: &[u64]| [1, 2, 3].map(|quarter| quantile(buckets, counts, quarter));
    let [low, middle, high] = quartiles(before);
    let [new_low, new_middle, new_high] = quartiles(after);
    format!(
        "a quarter, half and three quarters of its values were below {low}, {middle}, {high} and are now below \
         {new_low}, {new_middle}, {new_high} (KS distance {distance:.3})"
    )
}

/// The upper edge of the bucket in which this quarter of the values ends.
fn quantile(buckets: &Buckets, counts: &[u64], quarter: u64) -> String {
    let Buckets::Numbers { edges, .. } = buckets else { return String::new() };
    let goal = (counts.iter().skip(1).sum::<u64>() * quarter).div_ceil(4);
    let mut below = 0;
    let bucket = counts.iter().skip(1).position(|count| {
        below += count;
        below >= goal
    });
    let edge = bucket.and_then(|bucket| edges.get(bucket)).or(edges.last());
    edge.map_or_else(|| "?".to_owned(), |&edge| short(edge))
}

/// Four digits of a number.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 || (size > 0.0 && size < 1e-3) {
        return format!("{value:.3e}");
    }
    let digits = if size >= 1000.0 {
        0
    } else if size >= 100.0 {
        1
    } else if size >= 10.0 {
        2
    } else {
        3
    };
    format!("{value:.digits$}")
}

/// Which words gained and lost most.
fn words(buckets: &Buckets, before: &[u64], after: &[u64], moved: f64) -> String {
    let first = usize::from(NEW) + 1;
    let all = |counts: &[u64]| real(counts.iter().skip(first).sum::<u64>()).max(1.0);
    let (of_before, of_after) = (all(before), all(after));
    let mut shares: Vec<(usize, f64, f64)> = (first..before.len())
        .map(|code| (code, real(before[code]) / of_before, real(after[code]) / of_after))
        .collect();
    shares.sort_by(|a, b| (b.2 - b.1).total_cmp(&(a.2 - a.1)).then(a.0.cmp(&b.0)));
    let say = |&(code, was, is): &(usize, f64, f64)| {
        let word = buckets.label(u16::try_from(code).unwrap_or(MISSING));
        format!("`{}` {} to {}", super::plain(&word), super::percent(was), super::percent(is))
    };
    let gained = shares.first().map(say).unwrap_or_default();
    let lost = shares.last().map(say).unwrap_or_default();
    format!("{} of its rows moved between words: {gained}, {lost}", super::percent(moved))
}
