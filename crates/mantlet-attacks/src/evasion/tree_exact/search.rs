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

/// Of all boxes a row may cost, the share one distance may: what cannot be settled there may be a little farther.
const SHARE: usize = 8;

/// The smallest change of this row below `limit`, looking at no more than `boxes` boxes.
pub(super) fn smallest(base: &Base, row: usize, forest: &Forest, limit: f32, boxes: usize) -> Found {
    let reaches = reaches(base, row, forest);
    let near = Near { base, row, forest, reaches: &reaches };
    let distances = distances(&near);
    let within = distances.partition_point(|distance| *distance < limit);
    let mut left = boxes;
    let mut decide = |place: usize| {
        let mut own = left.min(boxes.div_ceil(SHARE));
        let before = own;
        let verdict = near.decide(distances[place - 1], &mut own);
        left -= before - own;
        verdict
    };
    let mut found = Found { proved: 0.0, reached: None };
    // As long as the best leaves of all trees together do not turn the row, nothing does.
    let mut low = distances.partition_point(|distance| near.most(*distance) <= CLEAR).min(within);
    // Ever larger steps: the first place in the list that turns the row lies in (low, high], all below `from` is settled
    // or was tried.
    let (mut from, mut high, mut step) = (low, None, 1);
    while from < within {
        let place = (from + step).min(within);
        match decide(place) {
            Verdict::Turned(values) => {
                found.reached = Some((distance(base, row, &values), values));
                high = Some(place);
                break;
            }
            Verdict::Impossible => low = place,
            Verdict::Unknown => {}
        }
        from = place;
        step *= 2;
    }
    let Some(mut high) = high else {
        // All of it impossible: nothing below the limit.
        found.proved = if low >= within { limit } else { distances[low] };
        return found;
    };
    while from + 1 < high {
        let middle = from.midpoint(high);
        match decide(middle) {
            Verdict::Turned(values) => {
                let reached = distance(base, row, &values);
                if found.reached.as_ref().is_none_or(|(best, _)| reached < *best) {
                    found.reached = Some((reached, values));
                }
                high = middle;
            }
            Verdict::Impossible => (low, from) = (middle, middle),
            Verdict::Unknown => from = middle,
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

/// How far a row has to be changed at least for each leaf of each tree to be reached; infinitely far where none can.
fn reaches(base: &Base, row: usize, forest: &Forest) -> Vec<Vec<f32>> {
    let leaf = |leaf: &Leaf| {
        let far = |span: &Span| nearest(base, row, *span).map_or(f32::INFINITY, |(_, distance)| distance);
        leaf.spans.iter().map(far).fold(0.0, f32::max)
    };
    forest.trees.iter().map(|tree| tree.iter().map(leaf).collect()).collect()
}

/// Every distance at which something can change, ascending, without repeats.
fn distances(near: &Near<'_>) -> Vec<f32> {
    let mut all: Vec<f32> =
        near.reaches.iter().flatten().copied().filter(|reach| reach.is_finite()).collect();
    all.push(0.0);
    all.sort_by(f32::total_cmp);
    all.dedup();
    all
}

/// A row beside an ensemble.
struct Near<'a> {
    base: &'a Base,
    row: usize,
    forest: &'a Forest,
    reaches: &'a [Vec<f32>],
}

impl Near<'_> {
    /// Whether some input within the distance turns the row.
    fn decide(&self, reach: f32, left: &mut usize) -> Verdict {
        let mut fixed = self.forest.base;
        let mut groups: Vec<Vec<Leaf>> = Vec::new();
        for (tree, reaches) in self.forest.trees.iter().zip(self.reaches) {
            let mut leaves = tree.iter().zip(reaches).filter(|(_, own)| **own <= reach).map(|(leaf, _)| leaf);
            let Some(first) = leaves.next() else { return Verdict::Impossible };
            let mut group = vec![first.clone()];
            group.extend(leaves.cloned());
            match &group[..] {
                // Every input within the distance reaches it: the other leaves are all farther.
                [only] => fixed += only.value,
                _ => groups.push(group),
            }
        }
        groups = self.merged(reach, groups);
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
        let walk = Walk { near: self, reach, groups: &groups, bounds: &bounds };
        walk.descend(0, &[], fixed, left)
    }

    /// What the best leaves within the distance add up to, whether or not they go together.
    fn most(&self, reach: f32) -> f64 {
        let best = |(tree, reaches): (&Vec<Leaf>, &Vec<f32>)| {
            let within = tree.iter().zip(reaches).filter(|(_, own)| **own <= reach);
            within.map(|(leaf, _)| leaf.value).fold(f64::NEG_INFINITY, f64::max)
        };
        self.forest.base + self.forest.trees.iter().zip(self.reaches).map(best).sum::<f64>()
    }

    fn holds(&self, reach: f32, spans: &[Span]) -> bool {
        spans
            .iter()
            .all(|span| nearest(self.base, self.row, *span).is_some_and(|(_, distance)| distance <= reach))
    }

    /// Merges groups while their tuples stay few, each into the first merged group that stays small enough.
    fn merged(&self, reach: f32, mut groups: Vec<Vec<Leaf>>) -> Vec<Vec<Leaf>> {
        groups.sort_by_key(Vec::len);
        let mut out: Vec<(Vec<Leaf>, Vec<usize>)> = Vec::new();
        for group in groups {
            let own = features(&group);
            let place = out.iter_mut().find_map(|(other, theirs)| {
                let worth = other.len() * group.len() <= 8 * TUPLES
                    && own.iter().any(|feature| theirs.binary_search(feature).is_ok());
                let tuples = if worth { self.tuples(reach, other, &group) } else { None }?;
                Some((other, theirs, tuples))
            });
            match place {
                Some((other, theirs, tuples)) => {
                    *other = tuples;
                    theirs.extend(&own);
                    theirs.sort_unstable();
                    theirs.dedup();
                }
                None => out.push((group, own)),
            }
        }
        out.into_iter().map(|(group, _)| group).collect()
    }

    /// The consistent pairs of two groups within the distance; `None` as soon as they are too many.
    fn tuples(&self, reach: f32, one: &[Leaf], other: &[Leaf]) -> Option<Vec<Leaf>> {
        let mut tuples = Vec::new();
        for a in one {
            for b in other.iter().filter(|b| compatible(&a.spans, &b.spans)) {
                let Some(spans) = meet(&a.spans, &b.spans).filter(|spans| self.holds(reach, spans)) else {
                    continue;
                };
                if tuples.len() == TUPLES {
                    return None;
                }
                tuples.push(Leaf { spans, value: a.value + b.value });
            }
        }
        Some(tuples)
    }
}

/// The features a group looks at, ascending.
fn features(group: &[Leaf]) -> Vec<usize> {
    let mut all: Vec<usize> = group.iter().flat_map(|leaf| &leaf.spans).map(|span| span.feature).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn spread(group: &[Leaf]) -> f64 {
    match (group.first(), group.last()) {
        (Some(first), Some(last)) if group.len() > 1 => first.value - last.value,
        _ => f64::MAX,
    }
}

struct Walk<'a> {
    near: &'a Near<'a>,
    reach: f32,
    groups: &'a [Vec<Leaf>],
    /// The most that all groups from each on can add.
    bounds: &'a [f64],
}

impl Walk<'_> {
    /// Whether the groups from `at` can still lift the sum above nothing inside this box.
    fn hopes(&self, at: usize, spans: &[Span], mut sum: f64) -> bool {
        for (place, group) in self.groups.iter().enumerate().skip(at) {
            let Some(best) = group.iter().find(|leaf| compatible(&leaf.spans, spans)) else { return false };
            sum += best.value;
            if sum + self.bounds[place + 1] <= CLEAR {
                return false;
            }
        }
        sum > CLEAR
    }

    fn descend(&self, at: usize, spans: &[Span], sum: f64, left: &mut usize) -> Verdict {
        let Some(group) = self.groups.get(at) else {
            if sum <= CLEAR {
                return Verdict::Impossible;
            }
            let (base, row) = (self.near.base, self.near.row);
            let mut values = base.original(row).to_vec();
            for span in spans {
                match nearest(base, row, *span) {
                    Some((value, _)) => values[span.feature] = value,
                    None => return Verdict::Impossible,
                }
            }
            return Verdict::Turned(values);
        };
        let mut unknown = false;
        for leaf in group {
            // Leaves are sorted: what is too little with this one is with all that follow.
            if sum + leaf.value + self.bounds[at + 1] <= CLEAR {
                break;
            }
            if *left == 0 {
                return Verdict::Unknown;
            }
            let Some(inside) = meet(spans, &leaf.spans) else { continue };
            *left -= 1;
            // Spans that meet may together leave the distance where values are whole numbers.
            if !self.near.holds(self.reach, &inside) || !self.hopes(at + 1, &inside, sum + leaf.value) {
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
