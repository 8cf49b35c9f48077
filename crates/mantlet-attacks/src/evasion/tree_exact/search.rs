//! The smallest box around a row in which some input turns the ensemble.
//!
//! Whether one exists within a distance is decided exactly: only leaves that can be reached are kept, trees with
//! one such leaf become constants, the others are merged into trees of consistent leaf tuples (Chen and others
//! 2019), and tuples are tried best first with the sum of the best leaves as a bound. The distance is found by
//! doubling and halving over the finitely many distances at which a threshold is crossed.

use super::leaves::{Forest, Leaf, Span, meet};
use crate::evasion::hunt::Base;

/// Tuples a merged tree may have.
const TUPLES: usize = 512;
/// By how much the margin must be positive, so that another order of summation does not undo it.
pub(super) const CLEAR: f64 = 1e-5;

/// What was found.
pub(super) struct Found {
    /// No change smaller than this turns the row.
    pub(super) proved: f32,
    /// The smallest change found, and its distance.
    pub(super) reached: Option<(f32, Vec<f32>)>,
}

enum Verdict {
    /// These values turn the row.
    Turned(Vec<f32>),
    /// Nothing within the distance does.
    Impossible,
    /// The work allowed was not enough.
    Unknown,
}

/// The smallest change of this row below `limit`, looking at no more than `boxes` boxes.
pub(super) fn smallest(base: &Base, row: usize, forest: &Forest, limit: f32, boxes: usize) -> Found {
    let distances = distances(base, row, forest);
    let within = distances.partition_point(|distance| *distance < limit);
    let mut left = boxes;
    let mut found = Found { proved: 0.0, reached: None };
    // Doubling: the first place in the list that turns the row lies in (low, high].
    let (mut low, mut high, mut reach) = (0, None, 1);
    while low < within {
        let place = reach.min(within);
        match decide(base, row, forest, distances[place - 1], &mut left) {
            Verdict::Turned(values) => {
                found.reached = Some((distance(base, row, &values), values));
                high = Some(place);
                break;
            }
            Verdict::Impossible => low = place,
            Verdict::Unknown => break,
        }
        reach *= 2;
    }
    let Some(mut high) = high else {
        // All of it impossible: nothing below the limit.
        found.proved = if low >= within { limit } else { distances[low] };
        return found;
    };
    while low + 1 < high {
        let middle = low.midpoint(high);
        match decide(base, row, forest, distances[middle - 1], &mut left) {
            Verdict::Turned(values) => {
                let reached = distance(base, row, &values);
                if found.reached.as_ref().is_none_or(|(best, _)| reached < *best) {
                    found.reached = Some((reached, values));
                }
                high = middle;
            }
            Verdict::Impossible => low = middle,
            Verdict::Unknown => break,
        }
    }
    found.proved = distances[low];
    found
}

fn distance(base: &Base, row: usize, values: &[f32]) -> f32 {
    base.constraints.distances(base.original(row), values).linf
}

/// The value nearest to the original inside a span that may be sent, and its distance in widths.
fn nearest(base: &Base, row: usize, span: Span) -> Option<(f32, f32)> {
    let (own, rule) = (base.original(row)[span.feature], base.constraints.at(span.feature));
    let mut value = own.clamp(span.low, span.high);
    if value != own {
        if rule.immutable {
            return None;
        }
        if rule.integer {
            value = if value > own { own + (span.low - own).ceil() } else { own - (own - span.high).ceil() };
        }
        let (low, high) = (rule.lower.min(own), rule.upper.max(own));
        if !(low..=high).contains(&value) || !(span.low..=span.high).contains(&value) {
            return None;
        }
    }
    Some((value, (value - own).abs() / base.constraints.width(span.feature)))
}

/// Every distance at which something can change, ascending, without repeats.
fn distances(base: &Base, row: usize, forest: &Forest) -> Vec<f32> {
    let spans = forest.trees.iter().flatten().flat_map(|leaf| leaf.spans.iter());
    let mut all: Vec<f32> =
        spans.filter_map(|span| nearest(base, row, *span)).map(|(_, distance)| distance).collect();
    all.push(0.0);
    all.sort_by(f32::total_cmp);
    all.dedup();
    all
}

/// Leaves that can be reached within the distance.
fn reachable(base: &Base, row: usize, leaf: &Leaf, reach: f32) -> bool {
    leaf.spans.iter().all(|span| nearest(base, row, *span).is_some_and(|(_, distance)| distance <= reach))
}

/// Whether some input within the distance turns the row.
fn decide(base: &Base, row: usize, forest: &Forest, reach: f32, left: &mut usize) -> Verdict {
    let mut fixed = forest.base;
    let mut groups: Vec<Vec<Leaf>> = Vec::new();
    for tree in &forest.trees {
        let leaves: Vec<Leaf> =
            tree.iter().filter(|leaf| reachable(base, row, leaf, reach)).cloned().collect();
        match &leaves[..] {
            [] => return Verdict::Impossible,
            // Every input within the distance reaches it: the other leaves are all farther.
            [only] => fixed += only.value,
            _ => groups.push(leaves),
        }
    }
    groups = merged(base, row, reach, groups);
    groups.iter_mut().for_each(|group| group.sort_by(|a, b| b.value.total_cmp(&a.value)));
    // The most decisive group first; boxes of single leaves are narrowed at once.
    groups.sort_by(|a, b| spread(b).total_cmp(&spread(a)));
    let mut bounds: Vec<f64> = vec![0.0; groups.len() + 1];
    for index in (0..groups.len()).rev() {
        bounds[index] = bounds[index + 1] + groups[index].first().map_or(f64::MIN, |leaf| leaf.value);
    }
    if fixed + bounds[0] <= CLEAR {
        return Verdict::Impossible;
    }
    let walk = Walk { base, row, reach, groups: &groups };
    walk.descend(0, &[], fixed, left)
}

fn spread(group: &[Leaf]) -> f64 {
    match (group.first(), group.last()) {
        (Some(first), Some(last)) if group.len() > 1 => first.value - last.value,
        _ => f64::MAX,
    }
}

struct Walk<'a> {
    base: &'a Base,
    row: usize,
    reach: f32,
    groups: &'a [Vec<Leaf>],
}

impl Walk<'_> {
    fn holds(&self, spans: &[Span]) -> bool {
        spans.iter().all(|span| {
            nearest(self.base, self.row, *span).is_some_and(|(_, distance)| distance <= self.reach)
        })
    }

    /// The best sum the groups from `at` can still add inside this box.
    fn bound(&self, at: usize, spans: &[Span]) -> f64 {
        let mut sum = 0.0;
        for group in &self.groups[at..] {
            let best = group.iter().find(|leaf| compatible(&leaf.spans, spans));
            match best {
                Some(leaf) => sum += leaf.value,
                None => return f64::NEG_INFINITY,
            }
        }
        sum
    }

    fn descend(&self, at: usize, spans: &[Span], sum: f64, left: &mut usize) -> Verdict {
        let Some(group) = self.groups.get(at) else {
            if sum <= CLEAR {
                return Verdict::Impossible;
            }
            let mut values = self.base.original(self.row).to_vec();
            for span in spans {
                match nearest(self.base, self.row, *span) {
                    Some((value, _)) => values[span.feature] = value,
                    None => return Verdict::Impossible,
                }
            }
            return Verdict::Turned(values);
        };
        let mut unknown = false;
        for leaf in group {
            if *left == 0 {
                return Verdict::Unknown;
            }
            let Some(inside) = meet(spans, &leaf.spans) else { continue };
            *left -= 1;
            // Spans that meet may together leave the distance where values are whole numbers.
            if !self.holds(&inside) || sum + leaf.value + self.bound(at + 1, &inside) <= CLEAR {
                continue;
            }
            match self.descend(at + 1, &inside, sum + leaf.value, left) {
                Verdict::Impossible => {}
                Verdict::Unknown => {
                    unknown = true;
                    break;
                }
                turned => return turned,
            }
        }
        if unknown { Verdict::Unknown } else { Verdict::Impossible }
    }
}

fn compatible(a: &[Span], b: &[Span]) -> bool {
    let (mut left, mut right) = (0, 0);
    while left < a.len() && right < b.len() {
        let (one, other) = (&a[left], &b[right]);
        match one.feature.cmp(&other.feature) {
            std::cmp::Ordering::Less => left += 1,
            std::cmp::Ordering::Greater => right += 1,
            std::cmp::Ordering::Equal => {
                if one.low > other.high || other.low > one.high {
                    return false;
                }
                left += 1;
                right += 1;
            }
        }
    }
    true
}

/// Merges groups while their tuples stay few: those first whose merger leaves the smallest share of tuples.
fn merged(base: &Base, row: usize, reach: f32, mut groups: Vec<Vec<Leaf>>) -> Vec<Vec<Leaf>> {
    let holds = |spans: &[Span]| {
        spans.iter().all(|span| nearest(base, row, *span).is_some_and(|(_, distance)| distance <= reach))
    };
    groups.sort_by_key(Vec::len);
    let mut out: Vec<Vec<Leaf>> = Vec::new();
    for group in groups {
        // Into the fullest merged group that stays small enough.
        let mut done = false;
        for other in &mut out {
            if other.len() * group.len() > 8 * TUPLES || !touches(other, &group) {
                continue;
            }
            let mut tuples = Vec::new();
            for a in other.iter() {
                for b in &group {
                    if let Some(spans) = meet(&a.spans, &b.spans).filter(|spans| holds(spans)) {
                        tuples.push(Leaf { spans, value: a.value + b.value });
                    }
                }
            }
            if tuples.len() <= TUPLES {
                *other = tuples;
                done = true;
                break;
            }
        }
        if !done {
            out.push(group);
        }
    }
    out
}

/// Whether two groups have a feature in common.
fn touches(a: &[Leaf], b: &[Leaf]) -> bool {
    let has = |group: &[Leaf], feature: usize| {
        group.iter().any(|leaf| leaf.spans.iter().any(|span| span.feature == feature))
    };
    a.iter().flat_map(|leaf| &leaf.spans).any(|span| has(b, span.feature))
}
