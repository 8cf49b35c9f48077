//! Mergeable counts: all that is ever compared.

use serde::{Deserialize, Serialize};

use crate::DriftError;
use crate::bytes::{Left, put};
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

    /// Takes in the counts of the same rows in further columns, each by itself.
    ///
    /// # Errors
    /// When they are of another number of rows, or of crossings too.
    pub fn beside(&mut self, other: Self) -> Result<(), DriftError> {
        if self.rows != other.rows || !other.pairs.is_empty() {
            return Err(DriftError::Counts);
        }
        self.columns.extend(other.columns);
        Ok(())
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.columns.iter().chain(&self.pairs).map(|counts| counts.len() * 8 + 24).sum()
    }

    /// As bytes, for another process.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.rows);
        for lists in [&self.columns, &self.pairs] {
            put(&mut bytes, lists.len() as u64);
            for counts in lists {
                put(&mut bytes, counts.len() as u64);
                counts.iter().for_each(|&count| put(&mut bytes, count));
            }
        }
        bytes
    }

    /// From bytes of another process. What does not add up to its number of rows is refused.
    ///
    /// # Errors
    /// When the bytes are no counts.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DriftError> {
        let mut left = Left(bytes);
        let mut read = || -> Option<Self> {
            let rows = left.number()?;
            let mut lists = || -> Option<Vec<Vec<u64>>> {
                let many = left.many()?;
                let list = |_| {
                    let many = left.many()?;
                    let counts = (0..many).map(|_| left.number()).collect::<Option<Vec<u64>>>()?;
                    let sum = counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
                    (sum == Some(rows)).then_some(counts)
                };
                (0..many).map(list).collect()
            };
            let (columns, pairs) = (lists()?, lists()?);
            left.is_empty().then_some(Self { rows, columns, pairs })
        };
        read().ok_or(DriftError::Counts)
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

/// How codes of a profile's columns are counted: what of them is crossed, by which levels.
#[derive(Debug, Clone)]
pub struct Cells {
    /// The codes of each column.
    codes: Vec<usize>,
    /// The columns that are crossed in pairs, with the level of each code.
    crossed: Vec<(usize, Vec<u8>)>,
}

impl Cells {
    /// Of these columns, crossed in pairs.
    #[must_use]
    pub fn new(columns: &[ColumnProfile]) -> Self {
        let crossed = crossed(columns).into_iter();
        let levels = |at: usize| columns.get(at).map(|column| (at, column.buckets.levels().to_vec()));
        Self { crossed: crossed.filter_map(levels).collect(), ..Self::plain(columns) }
    }

    /// Of these columns, each by itself.
    #[must_use]
    pub fn plain(columns: &[ColumnProfile]) -> Self {
        Self { codes: columns.iter().map(|column| column.buckets.codes()).collect(), crossed: Vec::new() }
    }

    /// No rows.
    #[must_use]
    pub fn nothing(&self) -> Counts {
        let lanes = self.crossed.len();
        Counts {
            rows: 0,
            columns: self.codes.iter().map(|&codes| vec![0; codes]).collect(),
            pairs: vec![vec![0; LEVELS * LEVELS]; lanes * lanes.saturating_sub(1) / 2],
        }
    }

    /// Counts a batch: one list of codes for each column, all of one length. A code beyond its column's buckets counts as
    /// its last bucket.
    ///
    /// # Errors
    /// When the lists or the counts do not fit the columns.
    pub fn count(&self, counts: &mut Counts, codes: &[Vec<u16>]) -> Result<(), DriftError> {
        let rows = codes.first().map_or(0, Vec::len);
        let (columns, lanes) = (self.codes.len(), self.crossed.len());
        let fits = codes.len() == columns
            && counts.columns.len() == columns
            && counts.pairs.len() == lanes * lanes.saturating_sub(1) / 2;
        if !fits || codes.iter().any(|column| column.len() != rows) {
            return Err(DriftError::Counts);
        }
        counts.rows += rows as u64;
        for (counts, codes) in counts.columns.iter_mut().zip(codes) {
            let last = counts.len().saturating_sub(1);
            for &code in codes {
                if let Some(count) = counts.get_mut(usize::from(code).min(last)) {
                    *count += 1;
                }
            }
        }
        let lane = |(column, levels): &(usize, Vec<u8>)| -> Vec<u8> {
            let last = levels.len().saturating_sub(1);
            codes[*column].iter().map(|&code| levels[usize::from(code).min(last)]).collect()
        };
        let lanes: Vec<Vec<u8>> = self.crossed.iter().map(lane).collect();
        let mut pairs = counts.pairs.iter_mut();
        for (i, first) in lanes.iter().enumerate() {
            for second in lanes.iter().skip(i + 1) {
                let Some(pair) = pairs.next() else { return Err(DriftError::Counts) };
                // Four tables, so that neighbouring rows of one cell do not wait for each other.
                let mut cells = [[0_u32; LEVELS * LEVELS]; 4];
                for (at, (&a, &b)) in first.iter().zip(second).enumerate() {
                    cells[at % 4][(usize::from(a) * LEVELS + usize::from(b)) % (LEVELS * LEVELS)] += 1;
                }
                for (cell, count) in pair.iter_mut().enumerate() {
                    *count += cells.iter().map(|cells| u64::from(cells[cell])).sum::<u64>();
                }
            }
        }
        Ok(())
    }
}

/// Counts batches of rows that were already turned into codes.
#[derive(Debug, Clone)]
pub struct Counter {
    counts: Counts,
    cells: Cells,
}

impl Counter {
    /// Counts nothing yet.
    #[must_use]
    pub fn new(columns: &[ColumnProfile]) -> Self {
        let cells = Cells::new(columns);
        Self { counts: cells.nothing(), cells }
    }

    /// Counts a batch, as [`Cells::count`] does.
    ///
    /// # Errors
    /// When the lists do not fit the profile.
    pub fn add(&mut self, codes: &[Vec<u16>]) -> Result<(), DriftError> {
        self.cells.count(&mut self.counts, codes)
    }

    /// What was counted.
    #[must_use]
    pub fn finish(self) -> Counts {
        self.counts
    }
}
