//! Gradient-boosted trees, grown level by level on histograms with second-order gain (Chen and Guestrin, XGBoost,
//! 2016). Made to be trained many times over on a few thousand rows: shadow models and thieves.
//!
//! Long because growing a tree and what it is grown on are one loop.

mod onnx;

use mantlet_vocab::Tensor;

use crate::LearnError;

/// How trees are boosted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boosting {
    /// Rounds; each adds one tree a class, or one in all for two classes.
    pub rounds: usize,
    /// Splits on the longest path, at most 8.
    pub depth: usize,
    /// Shrinkage of each tree.
    pub rate: f32,
    /// Squared penalty on a leaf's value.
    pub lambda: f32,
    /// The least sum of second derivatives on each side of a split.
    pub weight: f32,
    /// Values a feature is cut into, at most 255.
    pub bins: usize,
}

impl Default for Boosting {
    fn default() -> Self {
        Self { rounds: 100, depth: 4, rate: 0.1, lambda: 1.0, weight: 1.0, bins: 64 }
    }
}

/// A complete binary tree: node `i` has children `2i + 1` and `2i + 2`; where nothing is split, all goes left.
#[derive(Debug, Clone, PartialEq)]
struct Tree {
    splits: Vec<(u32, f32)>,
    leaves: Vec<f32>,
}

/// Trained boosted trees.
#[derive(Debug, Clone, PartialEq)]
pub struct Boosted {
    features: usize,
    classes: usize,
    base: Vec<f32>,
    /// Round after round; in a round one tree an output.
    trees: Vec<Tree>,
}

/// Trains on rows `x` (`[n, ...]`) with a probability for each class (`[n, classes]`). No part is random: the same
/// arguments give the same trees.
///
/// # Errors
/// When rows and targets do not fit, a value is not finite, or a setting is out of range.
pub fn boost(x: &Tensor, targets: &Tensor, boosting: &Boosting) -> Result<Boosted, LearnError> {
    if targets.row_len() < 2 {
        return Err(LearnError::Data { reason: "trees for classes need two classes at least".to_owned() });
    }
    grow(x, targets, boosting)
}

/// Trains on rows `x` (`[n, ...]`) with one number each (`[n, 1]`), by their squared error. No part is random.
///
/// # Errors
/// As [`boost`].
pub fn boost_values(x: &Tensor, values: &Tensor, boosting: &Boosting) -> Result<Boosted, LearnError> {
    if values.row_len() != 1 {
        return Err(LearnError::Data { reason: "trees for a score need one number a row".to_owned() });
    }
    grow(x, values, boosting)
}

/// One column of targets is numbers, more are classes.
fn grow(x: &Tensor, targets: &Tensor, boosting: &Boosting) -> Result<Boosted, LearnError> {
    let fault = |reason: String| Err(LearnError::Data { reason });
    let (rows, features, classes) = (x.rows(), x.row_len(), targets.row_len());
    if rows == 0 || rows != targets.rows() || features == 0 || classes == 0 {
        return fault(format!(
            "{rows} rows of {features} values and {} targets of {classes}",
            targets.rows()
        ));
    }
    if x.data().iter().chain(targets.data()).any(|value| !value.is_finite()) {
        return fault("a value is not a finite number; fill or drop it first".to_owned());
    }
    if !(1..=8).contains(&boosting.depth) || !(2..=255).contains(&boosting.bins) || boosting.rate <= 0.0 {
        return fault("depth must be 1 to 8, bins 2 to 255, rate positive".to_owned());
    }
    let outputs = if classes == 2 { 1 } else { classes };
    let binned = Binned::of(x, boosting.bins);
    let base = base(targets, outputs);
    let mut margins: Vec<f32> = (0..rows).flat_map(|_| base.iter().copied()).collect();
    let mut grower = Grower::new(&binned, *boosting);
    let mut trees = Vec::with_capacity(boosting.rounds * outputs);
    let mut slopes = vec![[0.0_f32; 2]; rows * outputs];
    for _ in 0..boosting.rounds {
        derive(&margins, targets, outputs, &mut slopes);
        for output in 0..outputs {
            trees.push(grower.grow(&slopes[output * rows..(output + 1) * rows], |row, value| {
                margins[row * outputs + output] += value;
            }));
        }
    }
    Ok(Boosted { features, classes, base, trees })
}

/// Log-odds (two classes), logarithms of the classes' shares, or the mean of numbers.
fn base(targets: &Tensor, outputs: usize) -> Vec<f32> {
    let classes = targets.row_len();
    if classes == 1 {
        let sum: f64 = targets.data().iter().map(|value| f64::from(*value)).sum();
        #[expect(clippy::cast_possible_truncation, reason = "trees compute in f32")]
        return vec![(sum / targets.rows().max(1) as f64) as f32];
    }
    let mut shares = vec![0.0_f32; classes];
    for row in 0..targets.rows() {
        shares.iter_mut().zip(targets.row(row)).for_each(|(sum, value)| *sum += value);
    }
    let total = shares.iter().sum::<f32>().max(1e-6);
    let log = |share: f32| (share / total).clamp(1e-4, 1.0 - 1e-4).ln();
    if outputs == 1 { vec![log(shares[1]) - log(shares[0])] } else { shares.into_iter().map(log).collect() }
}

/// First and second derivatives of the cross-entropy, or of the squared error of numbers, output after output.
fn derive(margins: &[f32], targets: &Tensor, outputs: usize, slopes: &mut [[f32; 2]]) {
    let rows = targets.rows();
    if targets.row_len() == 1 {
        for row in 0..rows {
            slopes[row] = [margins[row] - targets.data()[row], 1.0];
        }
        return;
    }
    if outputs == 1 {
        for row in 0..rows {
            let share = 1.0 / (1.0 + (-margins[row]).exp());
            slopes[row] = [share - targets.row(row)[1], (share * (1.0 - share)).max(1e-6)];
        }
        return;
    }
    let mut shares = vec![0.0; outputs];
    for row in 0..rows {
        let own = &margins[row * outputs..(row + 1) * outputs];
        let top = own.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (share, margin) in shares.iter_mut().zip(own) {
            *share = (margin - top).exp();
            sum += *share;
        }
        for (output, share) in shares.iter().enumerate() {
            let share = share / sum;
            slopes[output * rows + row] =
                [share - targets.row(row)[output], (2.0 * share * (1.0 - share)).max(1e-6)];
        }
    }
}

/// Each value as the number of cuts of its feature that lie below it.
struct Binned {
    rows: usize,
    features: usize,
    bins: usize,
    /// Row-major.
    values: Vec<u8>,
    /// For each feature, ascending: a value of bin `b` is at most `cuts[b]`.
    cuts: Vec<Vec<f32>>,
}

impl Binned {
    fn of(x: &Tensor, bins: usize) -> Self {
        let (rows, features) = (x.rows(), x.row_len());
        let mut values = vec![0_u8; rows * features];
        let mut cuts = Vec::with_capacity(features);
        let mut sorted = Vec::with_capacity(rows);
        for feature in 0..features {
            sorted.clear();
            sorted.extend((0..rows).map(|row| x.row(row)[feature]));
            sorted.sort_by(f32::total_cmp);
            let own = quantiles(&sorted, bins);
            for row in 0..rows {
                let value = x.row(row)[feature];
                let bin = own.partition_point(|cut| *cut < value);
                #[expect(clippy::cast_possible_truncation, reason = "fewer than 255 cuts")]
                {
                    values[row * features + feature] = bin as u8;
                }
            }
            cuts.push(own);
        }
        Self { rows, features, bins, values, cuts }
    }
}

/// At most `bins - 1` cuts between distinct values, at even ranks.
fn quantiles(sorted: &[f32], bins: usize) -> Vec<f32> {
    let mut distinct: Vec<f32> = sorted.to_vec();
    distinct.dedup();
    let between = |pair: &[f32]| f32::midpoint(pair[0], pair[1]);
    if distinct.len() <= bins {
        return distinct.windows(2).map(between).collect();
    }
    let mut cuts: Vec<f32> = (1..bins)
        .map(|cut| {
            let rank = (cut * sorted.len() / bins).clamp(1, sorted.len() - 1);
            between(&sorted[rank - 1..=rank])
        })
        .collect();
    cuts.dedup();
    cuts
}

type Sums = [f32; 2];

/// Grows one tree after another over the same rows; its buffers are reused.
struct Grower<'a> {
    data: &'a Binned,
    boosting: Boosting,
    /// Rows in order of node.
    order: Vec<u32>,
    spare: Vec<u32>,
    /// One histogram a node of the current level and one of the next.
    level: Vec<Vec<Sums>>,
    next: Vec<Vec<Sums>>,
}

#[derive(Clone, Copy)]
struct Split {
    gain: f32,
    feature: usize,
    bin: usize,
}

impl<'a> Grower<'a> {
    fn new(data: &'a Binned, boosting: Boosting) -> Self {
        let size = data.features * data.bins;
        let widest = 1 << (boosting.depth - 1);
        let buffers = || vec![vec![[0.0; 2]; size]; widest];
        Self {
            data,
            boosting,
            order: Vec::new(),
            spare: vec![0; data.rows],
            level: buffers(),
            next: buffers(),
        }
    }

    fn grow(&mut self, slopes: &[Sums], mut add: impl FnMut(usize, f32)) -> Tree {
        let depth = self.boosting.depth;
        self.order.clear();
        #[expect(clippy::cast_possible_truncation, reason = "rows fit")]
        self.order.extend(0..self.data.rows as u32);
        let mut tree =
            Tree { splits: vec![(0, f32::INFINITY); (1 << depth) - 1], leaves: vec![0.0; 1 << depth] };
        // Where each node's rows begin in `order`; nodes of a level stand in order.
        let mut bounds = vec![0, self.data.rows];
        let sum = |sums: &[Sums]| sums.iter().fold([0.0; 2], |all, one| [all[0] + one[0], all[1] + one[1]]);
        let mut totals = vec![sum(slopes)];
        count(self.data, &self.order, slopes, &mut self.level[0]);
        for height in 0..depth {
            let width = 1 << height;
            let first = width - 1;
            let mut lower = vec![0];
            let mut below = Vec::with_capacity(width * 2);
            for node in 0..width {
                let rows = bounds[node]..bounds[node + 1];
                let split = (rows.len() > 1).then(|| self.best(node, totals[node])).flatten();
                let middle = match split {
                    Some(split) => {
                        tree.splits[first + node] = (
                            u32::try_from(split.feature).unwrap_or(0),
                            self.data.cuts[split.feature][split.bin],
                        );
                        self.part(rows.clone(), split)
                    }
                    None => rows.end,
                };
                lower.push(middle);
                lower.push(rows.end);
                if height + 1 < depth {
                    let (left, right) = self.below(node, rows.start..middle, middle..rows.end, slopes);
                    let left_sum = sum_of(&self.next[left], self.data.bins);
                    let right_sum = [totals[node][0] - left_sum[0], totals[node][1] - left_sum[1]];
                    debug_assert_eq!(right, left + 1);
                    below.extend([left_sum, right_sum]);
                }
            }
            bounds = lower;
            totals = below;
            std::mem::swap(&mut self.level, &mut self.next);
        }
        for leaf in 0..1 << depth {
            let rows = &self.order[bounds[leaf]..bounds[leaf + 1]];
            let [g, h] = rows.iter().fold([0.0; 2], |all: Sums, &row| {
                let one = slopes[row as usize];
                [all[0] + one[0], all[1] + one[1]]
            });
            if rows.is_empty() {
                continue;
            }
            let value = -self.boosting.rate * g / (h + self.boosting.lambda);
            tree.leaves[leaf] = value;
            rows.iter().for_each(|&row| add(row as usize, value));
        }
        tree
    }

    /// Histograms of both children: the smaller is counted, the other is what is left of the parent's.
    fn below(
        &mut self,
        node: usize,
        left: std::ops::Range<usize>,
        right: std::ops::Range<usize>,
        slopes: &[Sums],
    ) -> (usize, usize) {
        let (a, b) = (2 * node, 2 * node + 1);
        let (smaller, larger, rows) = if left.len() <= right.len() { (a, b, left) } else { (b, a, right) };
        let mut counted = std::mem::take(&mut self.next[smaller]);
        count(self.data, &self.order[rows], slopes, &mut counted);
        for ((rest, whole), part) in self.next[larger].iter_mut().zip(&self.level[node]).zip(&counted) {
            *rest = [whole[0] - part[0], whole[1] - part[1]];
        }
        self.next[smaller] = counted;
        (a, b)
    }

    /// The split with the largest gain, if any gains.
    fn best(&self, node: usize, [g, h]: Sums) -> Option<Split> {
        let (lambda, least) = (self.boosting.lambda, self.boosting.weight);
        let bins = self.data.bins;
        let own = g * g / (h + lambda);
        let mut best: Option<Split> = None;
        for (feature, sums) in self.level[node].chunks_exact(bins).enumerate() {
            let cuts = self.data.cuts[feature].len();
            let (mut left_g, mut left_h) = (0.0_f32, 0.0_f32);
            for (bin, [add_g, add_h]) in sums.iter().take(cuts).enumerate() {
                left_g += add_g;
                left_h += add_h;
                let (right_g, right_h) = (g - left_g, h - left_h);
                if left_h < least || right_h < least {
                    continue;
                }
                let (left, right) = (left_h + lambda, right_h + lambda);
                let gain = (left_g * left_g * right + right_g * right_g * left) / (left * right) - own;
                if gain > best.map_or(1e-6, |best| best.gain) {
                    best = Some(Split { gain, feature, bin });
                }
            }
        }
        best
    }

    /// Puts the rows of a node that go left before those that go right, each in order; returns where right begins.
    fn part(&mut self, rows: std::ops::Range<usize>, split: Split) -> usize {
        let mut right = 0;
        let mut left = rows.start;
        for at in rows.clone() {
            let row = self.order[at];
            let bin = self.data.values[row as usize * self.data.features + split.feature];
            if usize::from(bin) <= split.bin {
                self.order[left] = row;
                left += 1;
            } else {
                self.spare[right] = row;
                right += 1;
            }
        }
        self.order[left..rows.end].copy_from_slice(&self.spare[..right]);
        left
    }
}

fn sum_of(histogram: &[Sums], bins: usize) -> Sums {
    histogram[..bins].iter().fold([0.0; 2], |all, one| [all[0] + one[0], all[1] + one[1]])
}

fn count(data: &Binned, rows: &[u32], slopes: &[Sums], into: &mut [Sums]) {
    into.fill([0.0; 2]);
    let (features, bins) = (data.features, data.bins);
    for &row in rows {
        let [g, h] = slopes[row as usize];
        let values = &data.values[row as usize * features..(row as usize + 1) * features];
        for (own, &bin) in into.chunks_exact_mut(bins).zip(values) {
            if let Some(sums) = own.get_mut(usize::from(bin)) {
                sums[0] += g;
                sums[1] += h;
            }
        }
    }
}

impl Boosted {
    /// Logits of each row, `[n, classes]`; with two classes plus and minus half the margin; the number where numbers
    /// were learned.
    #[must_use]
    pub fn scores(&self, x: &Tensor) -> Tensor {
        let (rows, outputs) = (x.rows(), self.base.len());
        if x.row_len() != self.features {
            return Tensor::full([0, self.classes], 0.0);
        }
        let mut margins: Vec<f32> = (0..rows).flat_map(|_| self.base.iter().copied()).collect();
        for (index, tree) in self.trees.iter().enumerate() {
            let output = index % outputs;
            for (row, values) in x.data().chunks_exact(self.features).enumerate() {
                margins[row * outputs + output] += tree.value(values);
            }
        }
        let data = if self.classes == 2 {
            margins.iter().flat_map(|m| [-0.5 * m, 0.5 * m]).collect()
        } else {
            margins
        };
        Tensor::new([rows, self.classes], data).unwrap_or_else(|_| Tensor::full([0, self.classes], 0.0))
    }

    /// The class of each row.
    #[must_use]
    pub fn labels(&self, x: &Tensor) -> Vec<usize> {
        self.scores(x).argmax_rows()
    }
}

impl Tree {
    fn value(&self, row: &[f32]) -> f32 {
        let mut node = 0;
        while let Some(&(feature, threshold)) = self.splits.get(node) {
            node = 2 * node + 1 + usize::from(row[feature as usize] > threshold);
        }
        self.leaves[node - self.splits.len()]
    }
}

#[cfg(test)]
mod tests;
