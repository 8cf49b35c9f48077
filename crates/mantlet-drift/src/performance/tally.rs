//! Scored rows as mergeable counts: by bucket of the score, by what the model said, and by what turned out true.

use serde::{Deserialize, Serialize};

use crate::{Buckets, DriftError, NumberSketch};

/// How scores are divided: the buckets of a reference's scores, and the range they lie in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Scale {
    buckets: Buckets,
    low: f64,
    high: f64,
}

/// A scale as it is written: an empty reference has infinite bounds, which JSON has no number for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    buckets: Buckets,
    low: u64,
    high: u64,
}

impl From<Scale> for Written {
    fn from(scale: Scale) -> Self {
        Self { buckets: scale.buckets, low: scale.low.to_bits(), high: scale.high.to_bits() }
    }
}

impl TryFrom<Written> for Scale {
    type Error = DriftError;

    fn try_from(written: Written) -> Result<Self, DriftError> {
        written.buckets.check("the score")?;
        let (low, high) = (f64::from_bits(written.low), f64::from_bits(written.high));
        Ok(Self { buckets: written.buckets, low, high })
    }
}

impl Scale {
    /// The scale of a reference's scores.
    #[must_use]
    pub fn of(scores: &NumberSketch) -> Self {
        let sorted = scores.sorted();
        let (low, high) = (sorted.first().copied(), sorted.last().copied());
        Self {
            buckets: Buckets::of_numbers(scores),
            low: low.unwrap_or(f64::INFINITY),
            high: high.unwrap_or(f64::NEG_INFINITY),
        }
    }
}

/// Rows of one window, or one part of a reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// For each code of the score: rows said negative that are unlabelled, negative, positive, then the same of rows
    /// said positive.
    cells: Vec<[u64; 6]>,
    /// Rows whose score lies outside the reference's range.
    outside: u64,
    /// Rows without a score or without a prediction.
    pub unscored: u64,
}

impl Tally {
    /// No rows yet.
    #[must_use]
    pub fn empty(scale: &Scale) -> Self {
        Self { cells: vec![[0; 6]; scale.buckets.codes()], outside: 0, unscored: 0 }
    }

    /// Takes a row: its score (NaN where it is missing), whether the model said positive, and whether it was.
    pub fn take(&mut self, scale: &Scale, score: f64, said: Option<bool>, label: Option<bool>) {
        let Some(said) = said.filter(|_| !score.is_nan()) else {
            self.unscored += 1;
            return;
        };
        let code = scale.buckets.number(Some(score));
        let Some(cell) = self.cells.get_mut(usize::from(code)) else { return };
        cell[3 * usize::from(said) + label.map_or(0, |label| 1 + usize::from(label))] += 1;
        self.outside += u64::from(score < scale.low || score > scale.high);
    }

    /// Takes in the rows of another tally.
    ///
    /// # Errors
    /// When the other is not over the same buckets.
    pub fn merge(&mut self, other: &Self) -> Result<(), DriftError> {
        if self.cells.len() != other.cells.len() {
            return Err(DriftError::Counts);
        }
        for (cell, other) in self.cells.iter_mut().zip(&other.cells) {
            cell.iter_mut().zip(other).for_each(|(count, other)| *count += other);
        }
        self.outside += other.outside;
        self.unscored += other.unscored;
        Ok(())
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.cells.len() * 48
    }

    /// Rows with a score and a prediction.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.cells.iter().flatten().sum()
    }

    /// Those of them whose label is known.
    #[must_use]
    pub fn labelled(&self) -> u64 {
        self.cells.iter().map(|cell| cell[1] + cell[2] + cell[4] + cell[5]).sum()
    }

    /// The share of rows whose score lies outside the reference's range.
    pub(super) fn beyond(&self) -> f64 {
        crate::statistic::real(self.outside) / crate::statistic::real(self.rows().max(1))
    }

    /// For each code: rows known to be negative and positive.
    pub(super) fn truths(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.cells.iter().map(|cell| (cell[1] + cell[4], cell[2] + cell[5]))
    }

    /// For each code: all rows said negative and positive.
    pub(super) fn said(&self) -> impl Iterator<Item = [u64; 2]> + '_ {
        self.cells.iter().map(|cell| [cell[0] + cell[1] + cell[2], cell[3] + cell[4] + cell[5]])
    }

    /// For each code: labelled rows said negative and positive, and of each those that are positive.
    pub(super) fn judged(&self) -> impl Iterator<Item = [(u64, u64); 2]> + '_ {
        self.cells.iter().map(|cell| [(cell[1] + cell[2], cell[2]), (cell[4] + cell[5], cell[5])])
    }
}
