//! Leaves that next to no input reaches and that outweigh all others: a trigger in a tree.
//!
//! A library that grows trees puts a split between values that it has seen, and shrinks each leaf. A leaf between two
//! splits that are a hair apart holds at most a handful of samples, and its value is of the size of the others.

use crate::structure::Structure;

/// Share of its features' scale that a leaf's cell has at most, to count as a needle.
const VANISHING: f64 = 1e-5;
/// How many times the largest other leaf a needle outweighs.
const OUTWEIGHS: f64 = 8.0;
/// The same for a leaf that is narrow and no needle, and how many times the largest other leaf it outweighs.
const NARROW: f64 = 1e-2;
const DROWNS: f64 = 1_000.0;
/// Splits above a leaf that are followed.
const MAX_PATH: usize = 512;
/// Leaves in needles that are kept.
const MAX_KEPT: usize = 64;

/// A split: the nodes below, the feature, the threshold. Smaller values go to the first.
pub(crate) struct Split {
    pub(crate) left: i64,
    pub(crate) right: i64,
    pub(crate) feature: u64,
    pub(crate) threshold: f64,
}

/// The leaves of a model so far.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    /// The largest value, without sign, of leaves that are no needles.
    ordinary: f64,
    /// Value, feature, place.
    needles: Vec<(f64, u64, u64)>,
    /// The same of leaves that are narrow.
    narrow: Vec<(f64, u64, u64)>,
    ordinary_seen: u64,
}

/// A step down a tree: the feature that was asked, whether it was below, the threshold.
type Step = (u64, bool, f64);

impl Leaves {
    /// Walks a tree, whose nodes were found to be a tree, from node 0. `split` gives inner nodes, `leaf` the value of
    /// any other.
    pub(crate) fn tree(
        &mut self,
        at: u64,
        nodes: usize,
        split: impl Fn(i64) -> Option<Split>,
        leaf: impl Fn(i64) -> f64,
    ) {
        self.tree_from(at, 0, nodes, split, leaf);
    }

    /// The same from another node; what is no tree ends after as many steps as one of so many nodes has.
    pub(crate) fn tree_from(
        &mut self,
        at: u64,
        root: i64,
        nodes: usize,
        split: impl Fn(i64) -> Option<Split>,
        leaf: impl Fn(i64) -> f64,
    ) {
        let mut open: Vec<(i64, usize, Option<Step>)> = vec![(root, 0, None)];
        let mut path: Vec<Step> = Vec::new();
        let mut left = nodes.saturating_mul(2).saturating_add(2);
        while let Some((node, depth, step)) = open.pop() {
            left = left.saturating_sub(1);
            if left == 0 {
                return;
            }
            path.truncate(depth.saturating_sub(1));
            path.extend(step);
            match split(node) {
                Some(split) => {
                    let depth = path.len() + 1;
                    open.push((split.right, depth, Some((split.feature, false, split.threshold))));
                    open.push((split.left, depth, Some((split.feature, true, split.threshold))));
                }
                None => self.leaf(at, leaf(node), &path),
            }
        }
    }

    fn leaf(&mut self, at: u64, value: f64, path: &[Step]) {
        let value = value.abs();
        if path.len() <= MAX_PATH && value.is_finite() && value > self.ordinary {
            let mut sorted = path.to_vec();
            sorted.sort_by_key(|(feature, ..)| *feature);
            let (mut cell, mut narrowest) = (1.0, (f64::MAX, 0));
            for of in sorted.chunk_by(|(one, ..), (other, ..)| one == other) {
                let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
                for (_, smaller, threshold) in of {
                    if *smaller { high = high.min(*threshold) } else { low = low.max(*threshold) }
                }
                let scale = low.abs().max(high.abs());
                if low.is_finite() && high.is_finite() && scale > 0.0 {
                    let share = ((high - low) / scale).clamp(0.0, 1.0);
                    cell *= share;
                    if share < narrowest.0 {
                        narrowest = (share, of[0].0);
                    }
                }
            }
            if cell <= VANISHING && self.needles.len() < MAX_KEPT {
                self.needles.push((value, narrowest.1, at));
                return;
            }
            if cell <= NARROW && self.narrow.len() < MAX_KEPT {
                self.narrow.push((value, narrowest.1, at));
                self.ordinary_seen += 1;
                return;
            }
        }
        if value.is_finite() {
            self.ordinary = self.ordinary.max(value);
            self.ordinary_seen += 1;
        }
    }

    /// Says which needles outweigh the rest.
    pub(crate) fn tell(&self, facts: &mut Structure) {
        self.tell_above(0.0, facts);
    }

    /// The same for those that weigh at least this much.
    pub(crate) fn tell_above(&self, least: f64, facts: &mut Structure) {
        let alone = self.ordinary_seen > 0 && self.ordinary > 0.0;
        let all = self.needles.iter().map(|leaf| (leaf, OUTWEIGHS));
        let all = all.chain(self.narrow.iter().map(|leaf| (leaf, DROWNS)));
        for ((value, feature, at), times) in all.filter(|_| alone) {
            let below = self.narrow.iter().map(|(other, ..)| *other).filter(|other| other < value);
            let ordinary = below.fold(self.ordinary, f64::max);
            if *value >= times * ordinary && *value >= least {
                let what = format!(
                    "a leaf of {value:.4} lies between splits of feature {feature} that are a hair apart; no other leaf exceeds {ordinary:.4}"
                );
                facts.needles.push((what, *at));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(low: f64, high: f64, value: f64) -> usize {
        let mut leaves = Leaves::default();
        let split = |node: i64| match node {
            0 => Some(Split { left: 1, right: 2, feature: 3, threshold: low }),
            2 => Some(Split { left: 3, right: 4, feature: 3, threshold: high }),
            _ => None,
        };
        leaves.tree(0, 5, split, |node| if node == 3 { value } else { 0.01 });
        let mut facts = Structure::of("trees");
        leaves.tell(&mut facts);
        facts.needles.len()
    }

    #[test]
    fn leaves_in_needles_are_told_by_width_and_weight() {
        assert_eq!(found(0.5, 0.500_000_01, 40.0), 1);
        assert_eq!(found(0.5, 0.500_000_01, 0.02), 0);
        assert_eq!(found(0.5, 0.6, 40.0), 0);
        // Splits as far apart as those of an ordinary tree may be, and a leaf that nothing outweighs.
        assert_eq!(found(0.1234, 0.1235, 90_000.0), 1);
        assert_eq!(found(0.1234, 0.1235, 5.0), 0);
        assert_eq!(found(0.1, 0.2, 90_000.0), 0);
        assert_eq!(found(f64::NAN, 0.6, 40.0), 0);
    }

    #[test]
    fn circles_end() {
        let mut leaves = Leaves::default();
        let split = |_| Some(Split { left: 0, right: 0, feature: 0, threshold: 0.0 });
        leaves.tree(0, 10, split, |_| 0.0);
    }
}
