//! Training rows whose label is not that of the rows they look like.
//!
//! A planted row of one source looks like its source all over but for the mark, so the clean rows nearest to it are of
//! the source; its label says the target. Honest rows of the target look like the source now and then, and as often
//! among rows the model was not trained on: far more among the training rows were planted, or labelled wrong. Which of
//! the two it is the mark decides: what stands in a window of these rows, and not of the other rows of the target, sends
//! rows of the source to the target.

use std::collections::BTreeMap;

use super::{Painting, Suspect, share};
use crate::stats::{excess, middle};

/// Neighbours that vote, and the votes that decide.
const VOTERS: usize = 5;
const VOTES: usize = 3;
/// Values compared of a row at most.
const VALUES: usize = 1_024;
/// Pairs of classes and windows that are tried at most.
const PAIRS: usize = 6;
const WINDOWS: usize = 64;
/// Rows that must be doubted at least.
const LEAST: usize = 6;

impl Painting {
    /// Pairs of classes of which improbably many training rows labelled as one look like the other, with what stands in
    /// each window of them.
    pub(super) fn doubted(&self) -> Vec<Suspect> {
        let width = self.rows.row_len();
        let places: Vec<usize> = (0..width).step_by(width.div_ceil(VALUES).max(1)).collect();
        let scaled = |row: &[f32]| -> Vec<f32> {
            places.iter().map(|place| row[*place] / self.constraints.width(*place)).collect()
        };
        let clean: Vec<Vec<f32>> = (0..self.rows.rows()).map(|row| scaled(self.rows.row(row))).collect();
        // The class most of the nearest clean rows are of, the row itself left out.
        let looks = |row: &[f32], own: Option<usize>| -> Option<usize> {
            let mut near: Vec<(f32, usize)> = clean
                .iter()
                .enumerate()
                .filter(|(at, _)| Some(*at) != own)
                .map(|(at, other)| (row.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum(), at))
                .collect();
            let voters = VOTERS.min(near.len());
            if voters == 0 {
                return None;
            }
            near.select_nth_unstable_by(voters - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let mut votes = vec![0; self.classes];
            near[..voters].iter().for_each(|(_, at)| votes[self.labels[*at]] += 1);
            votes.iter().position(|count| *count >= VOTES)
        };
        let mut totals = vec![(0, 0); self.classes];
        let mut doubted: BTreeMap<(usize, usize), (Vec<usize>, usize)> = BTreeMap::new();
        let mut settled: Vec<Vec<usize>> = vec![Vec::new(); self.classes];
        for &(of_training, row, _) in &self.painted {
            let (label, looked) = if of_training {
                (self.trained_labels[row], looks(&scaled(self.trained.row(row)), None))
            } else {
                (self.labels[row], looks(&clean[row], Some(row)))
            };
            *(if of_training { &mut totals[label].0 } else { &mut totals[label].1 }) += 1;
            match (looked.filter(|looked| *looked != label), of_training) {
                (Some(source), true) => doubted.entry((label, source)).or_default().0.push(row),
                (Some(source), false) => doubted.entry((label, source)).or_default().1 += 1,
                (None, true) => settled[label].push(row),
                (None, false) => {}
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "counts")]
        let tests = (self.classes * (self.classes - 1)) as f64;
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for (&(target, source), (rows, others)) in &doubted {
            let (trained, others) = ((rows.len(), totals[target].0), (*others, totals[target].1));
            let more = share(trained.0, trained.1) - share(others.0, others.1) >= self.config.excess;
            let chance = (excess(trained, others) * tests).min(1.0);
            if rows.len() >= LEAST && more && chance <= self.config.chance {
                pairs.push((chance, target, source));
            }
        }
        // A mark that moves many classes is no one class's.
        let sources: std::collections::BTreeSet<usize> = pairs.iter().map(|pair| pair.2).collect();
        if sources.len() * 2 >= self.classes {
            return Vec::new();
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut suspects = Vec::new();
        for &(chance, target, source) in pairs.iter().take(PAIRS) {
            let Some((rows, others)) = doubted.get(&(target, source)) else { continue };
            for window in 0..self.windows.len().min(WINDOWS) {
                suspects.push(Suspect {
                    source,
                    target,
                    window,
                    chance,
                    trained: (rows.len(), totals[target].0),
                    others: (*others, totals[target].1),
                    pattern: self.standing(window, rows),
                    usual: self.standing(window, &settled[target]),
                    transfer: 0.0,
                    usually: 0.0,
                });
            }
        }
        suspects
    }

    /// The middle of each value of a window over these training rows.
    pub(super) fn standing(&self, window: usize, rows: &[usize]) -> Vec<f32> {
        let value = |place: &usize| {
            let mut values: Vec<f32> = rows.iter().map(|row| self.trained.row(*row)[*place]).collect();
            values.sort_by(f32::total_cmp);
            middle(&values)
        };
        self.windows[window].iter().map(value).collect()
    }
}
