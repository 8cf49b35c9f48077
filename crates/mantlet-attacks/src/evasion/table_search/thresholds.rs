//! The nearest believable row an ensemble of trees turns, looked for over its thresholds when its file is at hand.
//!
//! Between two thresholds of a column nothing changes, so for each column only the nearest value of each such interval
//! is of interest. A greedy walk takes the value that brings most margin for its distance until the row turns; then
//! values are put back, alone or against a smaller change of another, until nothing brings the row nearer; and that
//! again from rows that were partly put back. The target is asked only about what came of it.
//!
//! Long because a walk, what it puts back and what a row costs look at the same trees.

use mantlet_vocab::{Aggregate, Compare, Node, Tree, TreeEnsemble};

use crate::evasion::ball::size;
use crate::evasion::hunt::Base;
use crate::{Goal, Norm, Random};

/// By how much the margin must be positive, so that another order of summation does not undo it.
const CLEAR: f64 = 1e-5;
/// What is searched, and how far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Trees walked for one row before the search ends with what it has.
    pub(super) work: usize,
    /// Rows at this distance or farther are of no interest.
    pub(super) within: f32,
    /// Whether a positive sum of the one output means that the goal is reached; decided by classes 0 and 1 if absent.
    pub(super) up: Option<bool>,
    /// Added to the sum of the one output.
    pub(super) offset: f32,
    /// The seed of walks with drawn preferences.
    pub(super) seed: u64,
    /// Rows handed on, the nearest first.
    pub(super) kept: usize,
    /// Whether only the ends of walks are handed on, which differ more than the rows on the way there.
    pub(super) ends: bool,
}

/// Trees walked for one row where they are those of the target.
pub(super) const WORK: usize = 6_000_000;
/// Changes taken by one greedy walk.
const STEPS: usize = 64;
/// Greedy walks with drawn preferences, beside the plain one.
const WALKS: usize = 3;
/// Pairs of changes looked at in one turn.
const PAIRS: usize = 3_000;
/// Rows handed on where the trees are those of the target.
pub(super) const KEPT: usize = 3;

/// The rows, nearest first, of which the trees say that they turn this one; empty where they say so of none that was
/// found, or where they cannot be read.
pub(super) fn nearest(base: &Base, trees: &TreeEnsemble, row: usize, effort: Effort) -> Vec<Vec<f32>> {
    let Some(mut search) = Search::new(base, trees, row, effort) else { return Vec::new() };
    search.run();
    search.found.into_iter().map(|(_, values)| values).collect()
}

struct Search<'a> {
    base: &'a Base,
    trees: &'a TreeEnsemble,
    /// For each column the trees that read it.
    readers: Vec<Vec<usize>>,
    row: usize,
    original: &'a [f32],
    effort: Effort,
    /// For each column the values worth trying, the original's own first and then the nearest.
    values: Vec<Vec<f32>>,
    random: Random,
    left: usize,
    found: Vec<(f32, Vec<f32>)>,
}

/// A changed row with its margin and distance.
struct Tried {
    values: Vec<f32>,
    /// The leaf of each tree it ends in.
    leaves: Vec<usize>,
    margin: f64,
    far: f32,
}

/// One value in the place of another.
struct Single {
    at: usize,
    value: f32,
    /// What it adds to the margin by itself.
    gain: f64,
    /// Whether it is nearer to the original than what stands there.
    back: bool,
}

impl<'a> Search<'a> {
    fn new(base: &'a Base, trees: &'a TreeEnsemble, row: usize, effort: Effort) -> Option<Self> {
        let readable = matches!(trees.aggregate, Aggregate::Sum | Aggregate::Average);
        if !readable || trees.features > base.len() || base.goal.column().is_some() || trees.trees.is_empty()
        {
            return None;
        }
        let original = base.original(row);
        let values = values(base, trees, original, effort.within)?;
        let (random, left) = (Random::new(effort.seed), effort.work);
        let mut readers = vec![Vec::new(); base.len()];
        for (at, tree) in trees.trees.iter().enumerate() {
            for node in &tree.nodes {
                if let Node::Split { feature, .. } = node
                    && readers[*feature].last() != Some(&at)
                {
                    readers[*feature].push(at);
                }
            }
        }
        Some(Self { base, trees, readers, row, original, effort, values, random, left, found: Vec::new() })
    }

    fn run(&mut self) {
        let plain = vec![1.0; self.values.len()];
        let start = self.original.to_vec();
        for walk in 0..=WALKS {
            let liking = if walk == 0 { plain.clone() } else { self.liking() };
            if let Some(reached) = self.greedy(&start, &liking) {
                self.settle(reached);
            }
        }
        // From the nearest so far with some of its changes put back, and another way taken.
        let mut idle = 0;
        while self.left > self.effort.work / 8 && idle < 12 {
            let Some((far, best)) = self.found.first().cloned() else { break };
            let mut again = best;
            let changed: Vec<usize> = (0..again.len()).filter(|&at| again[at] != self.original[at]).collect();
            if changed.len() < 2 {
                break;
            }
            for _ in 0..2 {
                let at = changed[self.random.below(changed.len())];
                again[at] = self.original[at];
            }
            self.base.constraints.repair(self.original, &mut again);
            let liking = self.liking();
            if let Some(reached) = self.greedy(&again, &liking) {
                self.settle(reached);
            }
            let nearer = self.found.first().is_some_and(|(now, _)| *now < far);
            idle = if nearer { 0 } else { idle + 1 };
        }
    }

    fn liking(&mut self) -> Vec<f32> {
        (0..self.values.len()).map(|_| self.random.between(0.3, 1.0)).collect()
    }

    /// A row by itself, mended; `None` when the work allowed is done.
    fn fresh(&mut self, values: &[f32]) -> Option<Tried> {
        let mut values = values.to_vec();
        self.base.constraints.repair(self.original, &mut values);
        self.left = self.left.checked_sub(self.trees.trees.len())?;
        let leaves: Vec<usize> = self.trees.trees.iter().map(|tree| leaf(tree, &values)).collect();
        let (far, margin) = (self.far(&values), self.margin(&leaves));
        Some(Tried { values, leaves, margin, far })
    }

    /// This row with values in the place of others, mended: only trees that read what changed are walked again.
    fn tried(&mut self, from: &Tried, places: &[(usize, f32)]) -> Option<Tried> {
        let mut values = from.values.clone();
        for &(at, value) in places {
            values[at] = value;
        }
        self.base.constraints.repair(self.original, &mut values);
        let mut leaves = from.leaves.clone();
        let mut walked = 1;
        for (at, readers) in self.readers.iter().enumerate() {
            if values[at].to_bits() == from.values[at].to_bits() {
                continue;
            }
            walked += readers.len();
            for &tree in readers {
                leaves[tree] = leaf(&self.trees.trees[tree], &values);
            }
        }
        self.left = self.left.checked_sub(walked)?;
        let (far, margin) = (self.far(&values), self.margin(&leaves));
        Some(Tried { values, leaves, margin, far })
    }

    fn far(&self, values: &[f32]) -> f32 {
        size(self.base.norm, &self.base.shift_of(self.row, values))
    }

    fn keep(&mut self, tried: &Tried) {
        if self.found.iter().any(|(_, known)| *known == tried.values) {
            return;
        }
        self.found.push((tried.far, tried.values.clone()));
        self.found.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.found.truncate(self.effort.kept);
    }

    /// Takes the value that brings most margin for its distance, again and again, until the row turns.
    fn greedy(&mut self, from: &[f32], liking: &[f32]) -> Option<Tried> {
        let mut here = self.fresh(from)?;
        for _ in 0..STEPS {
            if here.margin > CLEAR {
                return Some(here);
            }
            let mut best: Option<(f64, Tried)> = None;
            for (at, liked) in liking.iter().enumerate().take(self.values.len()) {
                for place in 0..self.values[at].len() {
                    let value = self.values[at][place];
                    if value == here.values[at] {
                        continue;
                    }
                    let next = self.tried(&here, &[(at, value)])?;
                    let gain = next.margin.min(10.0 * CLEAR) - here.margin;
                    let cost = f64::from((next.far * next.far - here.far * here.far).max(1e-4));
                    let worth = gain / cost * f64::from(*liked);
                    if gain > 0.0 && best.as_ref().is_none_or(|(most, _)| worth > *most) {
                        best = Some((worth, next));
                    }
                }
            }
            here = best?.1;
        }
        None
    }

    /// Puts values back, alone or against a smaller change of another value, while the row stays turned.
    fn settle(&mut self, mut here: Tried) {
        loop {
            if !self.effort.ends {
                self.keep(&here);
            }
            match self.nearer(&here) {
                Some(next) => here = next,
                None => break,
            }
        }
        self.keep(&here);
    }

    /// A turned row nearer than this one; `None` when there is none, or the work allowed is done.
    fn nearer(&mut self, here: &Tried) -> Option<Tried> {
        let singles = self.singles(here)?;
        match self.put_back(here, &singles) {
            Some(next) => Some(next),
            None => self.exchange(here, &singles),
        }
    }

    /// What each single change of this row does; `None` when the work allowed is done.
    fn singles(&mut self, here: &Tried) -> Option<Vec<Single>> {
        let mut singles = Vec::new();
        for at in 0..self.values.len() {
            let own = (here.values[at] - self.original[at]).abs();
            for place in 0..self.values[at].len() {
                let value = self.values[at][place];
                if value == here.values[at] {
                    continue;
                }
                let next = self.tried(here, &[(at, value)])?;
                let back = (value - self.original[at]).abs() < own;
                singles.push(Single { at, value, gain: next.margin - here.margin, back });
            }
        }
        Some(singles)
    }

    /// The nearest row that one value put back leads to and that is still turned.
    fn put_back(&mut self, here: &Tried, singles: &[Single]) -> Option<Tried> {
        let holds = |single: &&Single| single.back && here.margin + single.gain > CLEAR;
        let mut best: Option<Tried> = None;
        for single in singles.iter().filter(holds) {
            let next = self.tried(here, &[(single.at, single.value)])?;
            if next.far < here.far && best.as_ref().is_none_or(|best| next.far < best.far) {
                best = Some(next);
            }
        }
        best
    }

    /// The nearest turned row with one value put back and another moved.
    fn exchange(&mut self, here: &Tried, singles: &[Single]) -> Option<Tried> {
        let shift = self.base.shift_of(self.row, &here.values);
        let width = |at: usize| self.base.constraints.width(at);
        let mut pairs: Vec<(f32, &Single, &Single)> = Vec::new();
        for back in singles.iter().filter(|single| single.back) {
            for other in singles.iter().filter(|single| single.at != back.at) {
                // Trees that read both columns make the sum an estimate; what it promises is tried.
                let slack = 0.25 * (back.gain.abs() + other.gain.abs());
                if here.margin + back.gain + other.gain + slack <= CLEAR {
                    continue;
                }
                let mut next = shift.clone();
                next[back.at] = (back.value - self.original[back.at]) / width(back.at);
                next[other.at] = (other.value - self.original[other.at]) / width(other.at);
                let far = size(self.base.norm, &next);
                if far < here.far * (1.0 - 1e-5) {
                    pairs.push((far, back, other));
                }
            }
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, back, other) in pairs.into_iter().take(PAIRS) {
            let places = [(back.at, back.value), (other.at, other.value)];
            let next = self.tried(here, &places)?;
            if next.margin > CLEAR && next.far < here.far * (1.0 - 1e-5) {
                return Some(next);
            }
        }
        None
    }

    /// How far past the border the trees put a row that ends in these leaves; positive when the goal is reached.
    fn margin(&self, leaves: &[usize]) -> f64 {
        let outputs = self.trees.outputs.max(1);
        let mut sums: Vec<f64> =
            (0..outputs).map(|at| f64::from(self.trees.base.get(at).copied().unwrap_or(0.0))).collect();
        let scale = match self.trees.aggregate {
            Aggregate::Average => 1.0 / self.trees.trees.len().max(1) as f64,
            _ => 1.0,
        };
        for (tree, leaf) in self.trees.trees.iter().zip(leaves) {
            let Some(Node::Leaf { votes }) = tree.nodes.get(*leaf) else { continue };
            for (output, vote) in votes {
                if let Some(sum) = sums.get_mut(*output) {
                    *sum += f64::from(*vote) * scale;
                }
            }
        }
        let label = self.base.rows[self.row].label;
        if let [sum] = sums[..] {
            let toward_one = sum + f64::from(self.effort.offset);
            let up = self.effort.up.unwrap_or(match self.base.goal {
                Goal::Class { class } => class == 1,
                _ => label == 0,
            });
            return if up { toward_one } else { -toward_one };
        }
        let best_but = |class: usize| {
            let others = sums.iter().enumerate().filter(|(other, _)| *other != class);
            others.fold(f64::MIN, |best, (_, sum)| best.max(*sum))
        };
        let at = |class: usize| sums.get(class).copied().unwrap_or(f64::MIN);
        match self.base.goal {
            Goal::Class { class } => at(class) - best_but(class),
            _ => best_but(label) - at(label),
        }
    }
}

/// The node of a tree that these values end in; beyond the last where the tree is not sound.
fn leaf(tree: &Tree, values: &[f32]) -> usize {
    let mut at = 0;
    loop {
        match tree.nodes.get(at) {
            Some(Node::Split { feature, threshold, compare, left, right, .. }) => {
                let value = values.get(*feature).copied().unwrap_or(0.0);
                let holds = match compare {
                    Compare::LessOrEqual => value <= *threshold,
                    Compare::Less => value < *threshold,
                    Compare::GreaterOrEqual => value >= *threshold,
                    Compare::Greater => value > *threshold,
                    Compare::Equal => value == *threshold,
                    Compare::NotEqual => value != *threshold,
                };
                let next = if holds { *left } else { *right };
                // Children come after their parents; a tree that says otherwise would never end.
                if next <= at {
                    return usize::MAX;
                }
                at = next;
            }
            Some(Node::Leaf { .. }) => return at,
            None => return usize::MAX,
        }
    }
}

/// For each column the nearest value of each interval between thresholds, the original's own first; `None` where a split
/// asks for equality. Values so far away that no row with them is near enough are left out.
fn values(base: &Base, trees: &TreeEnsemble, original: &[f32], within: f32) -> Option<Vec<Vec<f32>>> {
    let mut all: Vec<Vec<f32>> = original.iter().map(|value| vec![*value]).collect();
    for node in trees.trees.iter().flat_map(|tree| &tree.nodes) {
        let Node::Split { feature, threshold, compare, .. } = node else { continue };
        let (below, above) = match compare {
            Compare::LessOrEqual | Compare::Greater => (*threshold, threshold.next_up()),
            Compare::Less | Compare::GreaterOrEqual => (threshold.next_down(), *threshold),
            Compare::Equal | Compare::NotEqual => return None,
        };
        let Some(own) = original.get(*feature).copied() else { continue };
        let rule = base.constraints.at(*feature);
        if rule.immutable {
            continue;
        }
        let mut value = if own <= below { above } else { below };
        if rule.integer {
            value = if value > own { own + (value - own).ceil() } else { own - (own - value).ceil() };
        }
        let inside = (rule.lower.min(own)..=rule.upper.max(own)).contains(&value);
        let near = base.norm == Norm::L0 || (value - own).abs() / base.constraints.width(*feature) < within;
        if inside && near && value.is_finite() {
            all[*feature].push(value);
        }
    }
    for (column, own) in all.iter_mut().zip(original) {
        column.sort_by(|a, b| (a - own).abs().total_cmp(&(b - own).abs()));
        column.dedup();
    }
    Some(all)
}
