//! The chance of a positive at each score, learned from a reference with labels.

use crate::statistic::real;

use super::metric::Cells;
use super::tally::Tally;

/// Calibrated chances: rising with the score, in blocks of codes that share one chance.
#[derive(Debug, Clone)]
pub(super) struct Calibration {
    /// The block of each code.
    blocks: Vec<usize>,
    /// For each block its chance and the reference's rows behind it.
    chances: Vec<(f64, f64)>,
}

impl Calibration {
    /// Isotonic regression by pooling adjacent violators (Ayer et al. 1955) over the labelled rows, with half a row of
    /// each kind added to a block so that no chance is exactly none or certain.
    pub(super) fn fit(reference: &Tally) -> Self {
        // Rows, positives, codes of each pool.
        let mut pools: Vec<(f64, f64, usize)> = Vec::new();
        for (negative, positive) in reference.truths() {
            pools.push((real(negative + positive), real(positive), 1));
            while let [.., before, last] = pools.as_slice() {
                // An empty code joins the pool before it; else pools must rise.
                let falls = last.0 == 0.0 || before.0 == 0.0 || before.1 * last.0 >= last.1 * before.0;
                if !falls {
                    break;
                }
                let (rows, positive, codes) = (before.0 + last.0, before.1 + last.1, before.2 + last.2);
                pools.truncate(pools.len() - 2);
                pools.push((rows, positive, codes));
            }
        }
        let blocks =
            pools.iter().enumerate().flat_map(|(at, pool)| std::iter::repeat_n(at, pool.2)).collect();
        let chances = pools.iter().map(|(rows, positive, _)| ((positive + 0.5) / (rows + 1.0), rows + 1.0));
        Self { blocks, chances: chances.collect() }
    }

    /// What is expected of rows, by code and answer.
    pub(super) fn expect(&self, rows: impl Iterator<Item = [u64; 2]>) -> Cells {
        let chances = self.blocks.iter().map(|&block| self.chances[block].0);
        rows.zip(chances).map(|(rows, chance)| rows.map(|rows| (real(rows), real(rows) * chance))).collect()
    }

    /// The variance of a sum that changes by `slopes` for each positive: from the rows' own chance, and from what the
    /// calibration does not know.
    pub(super) fn variance(&self, cells: &Cells, slopes: &[[f64; 2]]) -> f64 {
        let mut own = 0.0;
        let mut shared = vec![0.0; self.chances.len()];
        for ((cell, slopes), &block) in cells.iter().zip(slopes).zip(&self.blocks) {
            let chance = self.chances[block].0;
            for (&(rows, _), slope) in cell.iter().zip(slopes) {
                own += slope * slope * rows * chance * (1.0 - chance);
                shared[block] += slope * rows;
            }
        }
        let unknown: f64 = shared
            .iter()
            .zip(&self.chances)
            .map(|(sum, (chance, behind))| sum * sum * chance * (1.0 - chance) / behind)
            .sum();
        own + unknown
    }
}
