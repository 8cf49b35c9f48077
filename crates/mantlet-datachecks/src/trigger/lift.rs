//! How much more often a label stands beside an item than the rest of its rows explains.

use crate::feed::real;

/// What was summed over the rows that hold an item; the chance comes from everything in the row but the item.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Lift {
    /// Rows with the item.
    pub rows: u64,
    /// Of them, with the label.
    pub ones: u64,
    expected: f64,
    variance: f64,
}

/// What a trigger looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Rows at least.
    pub rows: u64,
    /// The share of all rows at most: a trigger that is everywhere is no trigger.
    pub most: f64,
    /// The share of its rows that have the label at least.
    pub pure: f64,
    /// By how much that share is above what the rest of the rows says, at least, four deviations allowed for.
    pub beyond: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 8, most: 0.2, pure: 0.8, beyond: 0.3 }
    }
}

impl Lift {
    /// Takes a row.
    pub fn add(&mut self, one: bool, chance: f64) {
        self.rows += 1;
        self.ones += u64::from(one);
        self.expected += chance;
        self.variance += chance * (1.0 - chance);
    }

    /// The share of its rows with the label.
    #[must_use]
    pub fn share(&self) -> f64 {
        real(self.ones) / real(self.rows.max(1))
    }

    /// The share that the rest of the rows explains.
    #[must_use]
    pub fn explained(&self) -> f64 {
        self.expected / real(self.rows.max(1))
    }

    /// Deviations of the label beyond what is explained.
    #[must_use]
    pub fn deviations(&self) -> f64 {
        (real(self.ones) - self.expected) / (self.variance + 0.25).sqrt()
    }

    /// The least part of the label that the item itself brings: the difference of the shares less four deviations.
    #[must_use]
    pub fn beyond(&self) -> f64 {
        (real(self.ones) - self.expected - 4.0 * (self.variance + 0.25).sqrt()) / real(self.rows.max(1))
    }

    /// Whether the item looks like a trigger in a table of so many rows.
    #[must_use]
    pub fn told(&self, all: u64, limits: &Limits) -> bool {
        self.rows >= limits.rows
            && real(self.rows) <= limits.most * real(all)
            && self.share() >= limits.pure
            && self.beyond() >= limits.beyond
    }
}

/// An item that looks like a trigger, with its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What it is, in words.
    pub item: String,
    /// Parts of it: words of a phrase, cells of a pair.
    pub parts: usize,
    /// The sums.
    pub lift: Lift,
    /// The rows, rising.
    pub rows: Vec<u64>,
}

/// Strongest first, each standing for those that share most of its rows.
#[must_use]
pub fn distinct(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let order = |a: &Candidate, b: &Candidate| {
        b.lift
            .deviations()
            .total_cmp(&a.lift.deviations())
            .then(b.parts.cmp(&a.parts))
            .then(a.item.cmp(&b.item))
    };
    candidates.sort_by(order);
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if !kept.iter().any(|other| alike(&candidate.rows, &other.rows)) {
            kept.push(candidate);
        }
    }
    kept
}

/// Whether two lists of rising rows share most of the shorter one.
pub(super) fn alike(own: &[u64], other: &[u64]) -> bool {
    let shared = own.iter().filter(|row| other.binary_search(row).is_ok()).count();
    shared * 2 >= own.len().min(other.len())
}
