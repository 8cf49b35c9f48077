//! A copy of the target from its decisions, as boosted trees (Chen and Guestrin 2016): where a search has labels only, the
//! copy has thresholds, over which the nearest row can be looked for without asking.
//!
//! Small on purpose: it is grown again whenever something was learned, and differs from turn to turn in depth, rate and
//! the rows and columns each tree sees, so that the mistakes of one are not those of the next.

use mantlet_vocab::{Aggregate, Compare, Node, Post, Tree, TreeEnsemble};

use crate::Random;

/// Trees of a copy.
const TREES: usize = 90;
/// Cuts of a column.
const CUTS: usize = 254;
/// Rows on each side without which nothing is grown.
const LEAST: usize = 4;
/// Depth and rate of the turns, one after the other.
const TURNS: [(usize, f32); 3] = [(4, 0.2), (5, 0.15), (3, 0.3)];
/// Penalty on leaves, and the least curvature of a side of a split.
const LAMBDA: f32 = 0.5;
const WEIGHT: f32 = 0.3;
/// Share of the rows and of the columns that a tree sees.
const ROWS: f32 = 0.8;
const COLUMNS: f32 = 0.7;

/// Grows one on rows of `width` values laid end to end and the side each is on; its one output is positive on the side
/// of `true`. `None` where one side is hardly seen.
pub(super) fn grown(
    values: &[f32],
    width: usize,
    sides: &[bool],
    turn: usize,
    random: &mut Random,
) -> Option<TreeEnsemble> {
    let on = sides.iter().filter(|side| **side).count();
    if on < LEAST || sides.len() - on < LEAST || width == 0 || values.len() != width * sides.len() {
        return None;
    }
    let (depth, rate) = TURNS[turn % TURNS.len()];
    let data = Binned::of(values, width);
    let share = count(on) / count(sides.len());
    let base = (share / (1.0 - share)).ln();
    let mut margins = vec![base; sides.len()];
    let mut slopes = vec![[0.0; 2]; sides.len()];
    let mut trees = Vec::with_capacity(TREES);
    for _ in 0..TREES {
        for ((slope, margin), side) in slopes.iter_mut().zip(&margins).zip(sides) {
            let share = 1.0 / (1.0 + (-margin).exp());
            *slope = [share - f32::from(u8::from(*side)), (share * (1.0 - share)).max(1e-6)];
        }
        let columns: Vec<usize> = (0..width).filter(|_| random.unit() < COLUMNS).collect();
        let rows: Vec<usize> = (0..sides.len()).filter(|_| random.unit() < ROWS).collect();
        let mut grower = Grower { data: &data, slopes: &slopes, columns, rate, nodes: Vec::new() };
        grower.grow(rows, depth);
        let tree = grower.nodes;
        for (row, margin) in margins.iter_mut().enumerate() {
            *margin += told(&tree, &values[row * width..(row + 1) * width]);
        }
        trees.push(Tree { nodes: tree });
    }
    let (aggregate, post) = (Aggregate::Sum, Post::None);
    Some(TreeEnsemble { features: width, outputs: 1, trees, base: vec![base], aggregate, post })
}

/// A count as a share's part.
fn count(value: usize) -> f32 {
    crate::evasion::ball::count(value)
}

/// What a tree grown here says of a row.
fn told(nodes: &[Node], row: &[f32]) -> f32 {
    let mut at = 0;
    loop {
        match nodes.get(at) {
            Some(Node::Split { feature, threshold, left, right, .. }) => {
                at = if row[*feature] <= *threshold { *left } else { *right };
            }
            Some(Node::Leaf { votes }) => return votes.first().map_or(0.0, |(_, vote)| *vote),
            None => return 0.0,
        }
    }
}

/// Each value as the number of cuts of its column below it.
struct Binned {
    width: usize,
    bins: Vec<u8>,
    cuts: Vec<Vec<f32>>,
}

impl Binned {
    fn of(values: &[f32], width: usize) -> Self {
        let rows = values.len() / width;
        let mut bins = vec![0; values.len()];
        let cuts: Vec<Vec<f32>> = (0..width)
            .map(|column| {
                let mut sorted: Vec<f32> = (0..rows).map(|row| values[row * width + column]).collect();
                sorted.sort_by(f32::total_cmp);
                let cuts = cuts(&sorted);
                for row in 0..rows {
                    let below = cuts.partition_point(|cut| *cut < values[row * width + column]);
                    bins[row * width + column] = u8::try_from(below).unwrap_or(u8::MAX);
                }
                cuts
            })
            .collect();
        Self { width, bins, cuts }
    }
}

/// Cuts halfway between distinct values; at even ranks where there are many.
fn cuts(sorted: &[f32]) -> Vec<f32> {
    let mut distinct = sorted.to_vec();
    distinct.dedup();
    let among = if distinct.len() <= CUTS { &distinct } else { sorted };
    let many = (among.len() - 1).min(CUTS);
    let mut cuts: Vec<f32> = (1..=many)
        .map(|cut| {
            let rank = (cut * among.len() / (many + 1)).clamp(1, among.len() - 1);
            f32::midpoint(among[rank - 1], among[rank])
        })
        .collect();
    cuts.dedup();
    cuts
}

struct Grower<'a> {
    data: &'a Binned,
    slopes: &'a [[f32; 2]],
    columns: Vec<usize>,
    rate: f32,
    nodes: Vec<Node>,
}

impl Grower<'_> {
    /// Grows a node on these rows; returns its place.
    fn grow(&mut self, rows: Vec<usize>, depth: usize) -> usize {
        let [g, h] = rows.iter().fold([0.0_f32; 2], |[g, h], row| {
            let [own_g, own_h] = self.slopes[*row];
            [g + own_g, h + own_h]
        });
        let place = self.nodes.len();
        let leaf = Node::Leaf { votes: vec![(0, -self.rate * g / (h + LAMBDA))] };
        self.nodes.push(leaf);
        let Some((feature, bin)) = (depth > 0).then(|| self.best(&rows, g, h)).flatten() else {
            return place;
        };
        let (low, high): (Vec<usize>, Vec<usize>) = rows
            .into_iter()
            .partition(|row| usize::from(self.data.bins[row * self.data.width + feature]) <= bin);
        let left = self.grow(low, depth - 1);
        let right = self.grow(high, depth - 1);
        self.nodes[place] = Node::Split {
            feature,
            threshold: self.data.cuts[feature][bin],
            compare: Compare::LessOrEqual,
            left,
            right,
            missing_left: false,
        };
        place
    }

    /// The column and the last bin to the left of the split that gains most.
    fn best(&self, rows: &[usize], g: f32, h: f32) -> Option<(usize, usize)> {
        let worth = |g: f32, h: f32| g * g / (h + LAMBDA);
        let mut best: Option<(f32, usize, usize)> = None;
        for &column in &self.columns {
            let cuts = self.data.cuts[column].len();
            if cuts == 0 {
                continue;
            }
            let mut sums = [[0.0_f32; 2]; CUTS + 1];
            for &row in rows {
                let sum = &mut sums[usize::from(self.data.bins[row * self.data.width + column]).min(CUTS)];
                let [own_g, own_h] = self.slopes[row];
                sum[0] += own_g;
                sum[1] += own_h;
            }
            let (mut low_g, mut low_h) = (0.0, 0.0);
            for (bin, [own_g, own_h]) in sums.iter().take(cuts).enumerate() {
                low_g += own_g;
                low_h += own_h;
                if low_h < WEIGHT || h - low_h < WEIGHT {
                    continue;
                }
                let gain = worth(low_g, low_h) + worth(g - low_g, h - low_h) - worth(g, h);
                if gain > best.map_or(1e-5, |(most, ..)| most) {
                    best = Some((gain, column, bin));
                }
            }
        }
        best.map(|(_, column, bin)| (column, bin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_agrees_where_it_was_not_taught() {
        let mut random = Random::new(3);
        let side = |row: &[f32]| (row[0] > 0.4) != (row[1] > 0.7) || row[2] > 0.9;
        for turn in 0..3 {
            let values: Vec<f32> = (0..4 * 900).map(|_| random.unit()).collect();
            let sides: Vec<bool> = values.chunks(4).map(side).collect();
            let copy = grown(&values, 4, &sides, turn, &mut random).unwrap();
            let agree = (0..500).filter(|_| {
                let row: Vec<f32> = (0..4).map(|_| random.unit()).collect();
                let sum: f32 = copy.trees.iter().map(|tree| told(&tree.nodes, &row)).sum();
                (copy.base[0] + sum > 0.0) == side(&row)
            });
            let agree = agree.count();
            assert!(agree >= 475, "{turn}: {agree}");
        }
    }

    #[test]
    fn rows_that_teach_nothing_grow_nothing() {
        let mut random = Random::new(3);
        assert!(grown(&[], 2, &[], 0, &mut random).is_none());
        assert!(grown(&[0.0; 20], 2, &[true; 10], 0, &mut random).is_none());
        assert!(grown(&[0.0; 21], 2, &[true, false], 0, &mut random).is_none());
        // All values alike: a copy that only knows the shares.
        let sides: Vec<bool> = (0..20).map(|row| row % 4 == 0).collect();
        let copy = grown(&[1.0; 40], 2, &sides, 0, &mut random).unwrap();
        assert!(copy.trees.iter().all(|tree| tree.nodes.len() == 1));
    }
}
