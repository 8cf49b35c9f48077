//! Mergeable counts: all that is ever compared.

use serde::{Deserialize, Serialize};

use crate::DriftError;
use crate::profile::{ColumnProfile, LEVELS, crossed};

/// How many rows fell into each bucket of each column, and into each crossing of two columns' levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Rows counted.
    pub rows: u64,
    /// By column and code.
    pub columns: Vec<Vec<u64>>,
    /// By pair of crossed columns, in the order of [`pairs`], and by `level of the first * 8 + level of the second`.
    pub pairs: Vec<Vec<u64>>,
}

/// The pairs of crossed columns, as places in the profile.
#[must_use]
pub fn pairs(columns: &[ColumnProfile]) -> Vec<(usize, usize)> {
    let crossed = crossed(columns);
    let mut pairs = Vec::with_capacity(crossed.len() * crossed.len().saturating_sub(1) / 2);
    for (i, &a) in crossed.iter().enumerate() {
        pairs.extend(crossed.iter().skip(i + 1).map(|&b| (a, b)));
    }
    pairs
}

impl Counts {
    /// No rows.
    #[must_use]
    pub fn empty(columns: &[ColumnProfile]) -> Self {
        Self {
            rows: 0,
            columns: columns.iter().map(|column| vec![0; column.buckets.codes()]).collect(),
            pairs: vec![vec![0; LEVELS * LEVELS]; pairs(columns).len()],
        }
    }

    /// Adds the counts of other rows over the same profile.
    ///
    /// # Errors
    /// When the other counts are of another profile.
    pub fn merge(&mut self, other: &Self) -> Result<(), DriftError> {
        let same = |a: &[Vec<u64>], b: &[Vec<u64>]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.len() == b.len())
        };
        if !same(&self.columns, &other.columns) || !same(&self.pairs, &other.pairs) {
            return Err(DriftError::Counts);
        }
        self.rows = self.rows.saturating_add(other.rows);
        let mine = self.columns.iter_mut().chain(&mut self.pairs);
        for (mine, theirs) in mine.zip(other.columns.iter().chain(&other.pairs)) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
        }
        Ok(())
    }

    pub(crate) fn fits(&self, columns: &[ColumnProfile]) -> bool {
        let whole = |counts: &[u64]| {
            counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count)) == Some(self.rows)
        };
        self.columns.len() == columns.len()
            && self.columns.iter().zip(columns).all(|(counts, column)| counts.len() == column.buckets.codes())
            && self.columns.iter().all(|counts| whole(counts))
            && self.pairs.len() == pairs(columns).len()
            && self.pairs.iter().all(|counts| counts.len() == LEVELS * LEVELS && whole(counts))
    }
}

/// Counts batches of rows that were already turned into codes.
#[derive(Debug, Clone)]
pub struct Counter {
    counts: Counts,
    levels: Vec<Vec<u8>>,
    crossed: Vec<usize>,
    lanes: Vec<Vec<u8>>,
}

impl Counter {
    /// Counts nothing yet.
    #[must_use]
    pub fn new(columns: &[ColumnProfile]) -> Self {
        let crossed = crossed(columns);
        Self {
            counts: Counts::empty(columns),
            levels: columns.iter().map(|column| column.buckets.levels().to_vec()).collect(),
            lanes: vec![Vec::new(); crossed.len()],
            crossed,
        }
    }

    /// Counts a batch: one list of codes for each column of the profile, all of one length. A code beyond its
    /// column's buckets counts as its last bucket.
    ///
    /// # Errors
    /// When the lists do not fit the profile.
    pub fn add(&mut self, codes: &[Vec<u16>]) -> Result<(), DriftError> {
        let rows = codes.first().map_or(0, Vec::len);
        if codes.len() != self.counts.columns.len() || codes.iter().any(|column| column.len() != rows) {
            return Err(DriftError::Counts);
        }
        self.counts.rows += rows as u64;
        for (counts, codes) in self.counts.columns.iter_mut().zip(codes) {
            let last = counts.len().saturating_sub(1);
            for &code in codes {
                if let Some(count) = counts.get_mut(usize::from(code).min(last)) {
                    *count += 1;
                }
            }
        }
        for (lane, &column) in self.lanes.iter_mut().zip(&self.crossed) {
            let (levels, codes) = (&self.levels[column], &codes[column]);
            let last = levels.len().saturating_sub(1);
            lane.clear();
            lane.extend(codes.iter().map(|&code| levels[usize::from(code).min(last)]));
        }
        let mut pair = 0;
        for (i, first) in self.lanes.iter().enumerate() {
            for second in self.lanes.iter().skip(i + 1) {
                // Four tables, so that neighbouring rows of one cell do not wait for each other.
                let mut cells = [[0_u32; LEVELS * LEVELS]; 4];
                for (at, (&a, &b)) in first.iter().zip(second).enumerate() {
                    cells[at % 4][(usize::from(a) * LEVELS + usize::from(b)) % (LEVELS * LEVELS)] += 1;
                }
                for (cell, count) in self.counts.pairs[pair].iter_mut().enumerate() {
                    *count += cells.iter().map(|cells| u64::from(cells[cell])).sum::<u64>();
                }
                pair += 1;
            }
        }
        Ok(())
    }

    /// What was counted.
    #[must_use]
    pub fn finish(self) -> Counts {
        self.counts
    }
}
