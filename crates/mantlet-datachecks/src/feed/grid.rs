//! Counts of one label by feed, labeler, segment and batch, beside what was expected.
//!
//! A cell is one level of an axis or of two crossed axes. Expectations are summed in units of 2^-32, so counts of
//! any division of the rows add up to the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::real;

/// One part of an expectation.
const UNIT: f64 = 4_294_967_296.0;
/// A row whose label is expected at least this often says whether the label is being dropped.
const LIKELY: f64 = 0.25;
/// Counts kept at most: cells times batches.
pub const COUNTS_MOST: usize = 4 << 20;
/// The level of what is missing, rare or beyond the levels kept; no cell of its own.
pub const REST: u16 = 0;

/// What an axis says about where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Who delivered the row.
    Feed,
    /// Who labelled the row.
    Labeler,
    /// What the row is about.
    Segment,
}

/// A column whose words divide the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// The column.
    pub name: String,
    /// What it stands for.
    pub role: Role,
    /// Its words; level `i + 1` is word `i`, level 0 is everything else.
    pub levels: Vec<String>,
}

/// One or two axes, crossed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The axes, by place.
    pub axes: Vec<usize>,
    first: usize,
    cells: usize,
}

/// What was counted in a cell in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "[u64; 7]", from = "[u64; 7]")]
pub struct Tally {
    /// Rows.
    pub rows: u64,
    /// Rows with the label.
    pub ones: u64,
    expected: u64,
    squares: u64,
    /// Rows in which the label was likely, and those of them that have it.
    pub likely: (u64, u64),
    likely_expected: u64,
}

impl From<Tally> for [u64; 7] {
    fn from(of: Tally) -> Self {
        [of.rows, of.ones, of.expected, of.squares, of.likely.0, of.likely.1, of.likely_expected]
    }
}

impl From<[u64; 7]> for Tally {
    fn from([rows, ones, expected, squares, likely, likely_ones, likely_expected]: [u64; 7]) -> Self {
        Self { rows, ones, expected, squares, likely: (likely, likely_ones), likely_expected }
    }
}

/// The counts of a grid without what they are counts of, as another process hands them over. Cells without rows are
/// left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridCounts {
    /// Cells times batches.
    places: usize,
    tallies: BTreeMap<usize, Tally>,
    whole: Vec<Tally>,
}

impl GridCounts {
    /// Adds the counts of other rows; false, and nothing added, when they are of another grid.
    #[must_use]
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.places != other.places || self.whole.len() != other.whole.len() {
            return false;
        }
        for (&place, tally) in &other.tallies {
            self.tallies.entry(place).or_default().merge(tally);
        }
        self.whole.iter_mut().zip(&other.whole).for_each(|(own, theirs)| own.merge(theirs));
        true
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.tallies.len() * 80
    }
}

impl Tally {
    fn add(&mut self, one: bool, chance: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a chance in units of 2^-32"
        )]
        let unit = |value: f64| (value.clamp(0.0, 1.0) * UNIT) as u64;
        self.rows += 1;
        self.ones += u64::from(one);
        self.expected += unit(chance);
        self.squares += unit(chance * chance);
        if chance >= LIKELY {
            self.likely.0 += 1;
            self.likely.1 += u64::from(one);
            self.likely_expected += unit(chance);
        }
    }

    /// Rows that the model expects to have the label.
    #[must_use]
    pub fn expected(&self) -> f64 {
        real(self.expected) / UNIT
    }

    /// Adds the counts of other rows.
    pub fn merge(&mut self, other: &Self) {
        let sum = |own: &mut u64, theirs: u64| *own = own.saturating_add(theirs);
        sum(&mut self.rows, other.rows);
        sum(&mut self.ones, other.ones);
        sum(&mut self.expected, other.expected);
        sum(&mut self.squares, other.squares);
        sum(&mut self.likely.0, other.likely.0);
        sum(&mut self.likely.1, other.likely.1);
        sum(&mut self.likely_expected, other.likely_expected);
    }
}

/// Sums over batches after each batch's level was set: what was seen, expected and its variance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sums {
    pub(super) rows: f64,
    pub(super) seen: f64,
    pub(super) expected: f64,
    pub(super) variance: f64,
    pub(super) likely_rows: f64,
    pub(super) likely_seen: f64,
    pub(super) likely_expected: f64,
}

impl Sums {
    /// Takes in a batch whose rows as a whole have the label `level` times as often as the model says.
    pub(super) fn take(&mut self, tally: &Tally, level: f64) {
        let expected = real(tally.expected) / UNIT * level;
        self.rows += real(tally.rows);
        self.seen += real(tally.ones);
        self.expected += expected;
        self.variance += (expected - real(tally.squares) / UNIT * level * level).max(expected * 0.01);
        self.likely_rows += real(tally.likely.0);
        self.likely_seen += real(tally.likely.1);
        self.likely_expected += real(tally.likely_expected) / UNIT * level;
    }
}

/// The counts of a table for one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The axes.
    pub axes: Vec<Axis>,
    /// The batches, in order of time.
    pub batches: Vec<String>,
    crossings: Vec<Crossing>,
    tallies: Vec<Tally>,
    whole: Vec<Tally>,
    left_out: Vec<(usize, usize)>,
}

impl Grid {
    /// A grid that counted nothing. Pairs of axes whose cells would take too much memory are left out, the largest
    /// first; [`Self::left_out`] names them.
    #[must_use]
    pub fn new(axes: Vec<Axis>, batches: Vec<String>) -> Self {
        let mut wanted: Vec<Vec<usize>> = (0..axes.len()).map(|axis| vec![axis]).collect();
        for one in 0..axes.len() {
            for other in one + 1..axes.len() {
                wanted.push(vec![one, other]);
            }
        }
        let size = |of: &[usize]| of.iter().map(|&axis| axes[axis].levels.len() + 1).product::<usize>();
        let mut left_out = Vec::new();
        let total = |wanted: &[Vec<usize>]| wanted.iter().map(|of| size(of)).sum::<usize>();
        while total(&wanted) * batches.len().max(1) > COUNTS_MOST {
            let largest =
                (0..wanted.len()).filter(|&at| wanted[at].len() > 1).max_by_key(|&at| size(&wanted[at]));
            let Some(largest) = largest else { break };
            let pair = wanted.remove(largest);
            left_out.push((pair[0], pair[1]));
        }
        let mut first = 0;
        let mut crossings = Vec::with_capacity(wanted.len());
        for of in wanted {
            let cells = size(&of);
            crossings.push(Crossing { axes: of, first, cells });
            first += cells;
        }
        let tallies = vec![Tally::default(); first * batches.len()];
        let whole = vec![Tally::default(); batches.len()];
        Self { axes, batches, crossings, tallies, whole, left_out }
    }

    /// Counts a row: its level on each axis, its batch, whether it has the label, and the chance that it has.
    pub fn add(&mut self, levels: &[u16], batch: usize, one: bool, chance: f64) {
        let Some(whole) = self.whole.get_mut(batch) else { return };
        whole.add(one, chance);
        let batches = self.batches.len();
        for crossing in &self.crossings {
            let cell = crossing.axes.iter().fold(0, |cell, &axis| {
                let level = usize::from(levels.get(axis).copied().unwrap_or(REST));
                cell * (self.axes[axis].levels.len() + 1) + level.min(self.axes[axis].levels.len())
            });
            if let Some(tally) = self.tallies.get_mut((crossing.first + cell) * batches + batch) {
                tally.add(one, chance);
            }
        }
    }

    /// Adds the counts of other rows; false, and nothing added, when the grids are not alike.
    #[must_use]
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.axes != other.axes || self.batches != other.batches || self.crossings != other.crossings {
            return false;
        }
        self.tallies.iter_mut().zip(&other.tallies).for_each(|(own, theirs)| own.merge(theirs));
        self.whole.iter_mut().zip(&other.whole).for_each(|(own, theirs)| own.merge(theirs));
        true
    }

    /// The counts, for another process.
    #[must_use]
    pub fn counts(&self) -> GridCounts {
        let full = self.tallies.iter().enumerate().filter(|(_, tally)| tally.rows > 0);
        GridCounts {
            places: self.tallies.len(),
            tallies: full.map(|(place, tally)| (place, *tally)).collect(),
            whole: self.whole.clone(),
        }
    }

    /// Adds counts of another process; false, and nothing added, when they are of another grid.
    #[must_use]
    pub fn take(&mut self, counts: &GridCounts) -> bool {
        let is_beyond = |(&place, _): (&usize, &Tally)| place >= self.tallies.len();
        let alike = counts.places == self.tallies.len() && counts.whole.len() == self.whole.len();
        if !alike || counts.tallies.last_key_value().is_some_and(is_beyond) {
            return false;
        }
        for (&place, tally) in &counts.tallies {
            self.tallies[place].merge(tally);
        }
        self.whole.iter_mut().zip(&counts.whole).for_each(|(own, theirs)| own.merge(theirs));
        true
    }

    /// The crossings that are counted.
    #[must_use]
    pub fn crossings(&self) -> &[Crossing] {
        &self.crossings
    }

    /// Pairs of axes that are not counted, as they have too many cells.
    #[must_use]
    pub fn left_out(&self) -> &[(usize, usize)] {
        &self.left_out
    }

    /// Cells of all crossings.
    #[must_use]
    pub fn size(&self) -> usize {
        self.crossings.iter().map(|crossing| crossing.cells).sum()
    }

    /// All rows by batch.
    #[must_use]
    pub fn whole(&self) -> &[Tally] {
        &self.whole
    }

    /// How much more often than the model says the label is in each batch as a whole.
    pub(super) fn level(&self) -> Vec<f64> {
        let level = |tally: &Tally| {
            let expected = real(tally.expected) / UNIT;
            if expected > 0.0 { real(tally.ones) / expected } else { 1.0 }
        };
        self.whole.iter().map(level).collect()
    }

    /// The cells of a crossing, without the rest: the levels, and a tally for each batch.
    pub(super) fn cells(&self, crossing: usize) -> impl Iterator<Item = (Vec<u16>, &[Tally])> {
        let crossing = &self.crossings[crossing];
        (0..crossing.cells).filter_map(move |cell| {
            let levels = self.levels(crossing, cell);
            let from = (crossing.first + cell) * self.batches.len();
            (!levels.contains(&REST)).then(|| (levels, &self.tallies[from..from + self.batches.len()]))
        })
    }

    fn levels(&self, crossing: &Crossing, mut cell: usize) -> Vec<u16> {
        let mut levels: Vec<u16> = crossing
            .axes
            .iter()
            .rev()
            .map(|&axis| {
                let size = self.axes[axis].levels.len() + 1;
                let level = cell % size;
                cell /= size;
                u16::try_from(level).unwrap_or(REST)
            })
            .collect();
        levels.reverse();
        levels
    }

    /// A cell by batch: the rows with the label that are expected, and those seen; nothing of a crossing that is not
    /// counted.
    #[must_use]
    pub fn course(&self, axes: &[usize], levels: &[u16]) -> Option<Vec<(f64, u64)>> {
        let crossing = self.crossings.iter().find(|crossing| crossing.axes == axes)?;
        let cell = axes.iter().zip(levels).try_fold(0, |cell, (&axis, &level)| {
            let size = self.axes.get(axis)?.levels.len() + 1;
            Some(cell * size + usize::from(level).min(size - 1))
        })?;
        let from = (crossing.first + cell) * self.batches.len();
        let tallies = self.tallies.get(from..from + self.batches.len())?;
        Some(tallies.iter().map(|tally| (tally.expected(), tally.ones)).collect())
    }

    /// A cell in words: `feed=F4, mcc=digital`.
    #[must_use]
    pub fn words(&self, axes: &[usize], levels: &[u16]) -> String {
        let word = |(&axis, &level): (&usize, &u16)| {
            let axis = self.axes.get(axis)?;
            let level = axis.levels.get(usize::from(level).checked_sub(1)?)?;
            Some(format!("{}={}", crate::datacheck::plain(&axis.name), crate::datacheck::plain(level)))
        };
        axes.iter().zip(levels).filter_map(word).collect::<Vec<_>>().join(", ")
    }
}
