//! A table in bounded memory: what each column holds, how rows repeat, how values and classes go together.

use std::collections::BTreeMap;

use mantlet_vocab::{Gap, Place};
use sha2::{Digest as _, Sha256};

use crate::cell::{Cell, ColumnSpec, Kind, bounded, short, word};
use crate::kept::{Kept, KeptRow};

/// Bounds on the memory a summary takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Columns after this many are ignored.
    pub columns: usize,
    /// Distinct values remembered of one column.
    pub distinct: usize,
    /// Distinct values of one column that are counted against the classes.
    pub joint: usize,
    /// Distinct rows remembered to find repetitions.
    pub rows: usize,
    /// Rows kept whole for comparing neighbours.
    pub kept: usize,
    /// Neighbours are compared only below this many columns.
    pub kept_columns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            columns: 4_096,
            distinct: 10_000,
            joint: 256,
            rows: 1_000_000,
            kept: 4_000,
            kept_columns: 1_024,
        }
    }
}

/// How often each class stands beside one value.
pub type ClassCounts = BTreeMap<String, u64>;

/// What one column holds.
#[derive(Debug, Clone)]
pub struct ColumnSummary {
    /// What was known before.
    pub spec: ColumnSpec,
    /// Missing cells.
    pub missing: u64,
    /// Cells that are finite numbers.
    pub numbers: u64,
    /// Numbers without a fraction.
    pub integers: u64,
    /// Numbers that are infinite or not a number.
    pub not_finite: u64,
    /// Cells that are text.
    pub texts: u64,
    /// The smallest finite number.
    pub min: f64,
    /// The largest finite number.
    pub max: f64,
    /// Mean of the finite numbers.
    pub mean: f64,
    squares: f64,
    /// Values and how often each occurs, up to the limit.
    pub values: BTreeMap<String, u64>,
    /// Filled cells when the limit of `values` was reached; `None` while all are counted.
    pub values_full_at: Option<u64>,
    /// Classes by value; `None` once there are too many values.
    pub by_class: Option<BTreeMap<String, ClassCounts>>,
    /// Cells outside the stated range or words.
    pub outside: u64,
    /// The first rows with such a cell, counted from 1, and what it holds.
    pub outside_examples: Vec<(u64, String)>,
    /// The first rows whose cell is text in a numeric column.
    pub text_examples: Vec<(u64, String)>,
}

impl ColumnSummary {
    fn new(spec: ColumnSpec) -> Self {
        Self {
            spec,
            missing: 0,
            numbers: 0,
            integers: 0,
            not_finite: 0,
            texts: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            squares: 0.0,
            values: BTreeMap::new(),
            values_full_at: None,
            by_class: Some(BTreeMap::new()),
            outside: 0,
            outside_examples: Vec::new(),
            text_examples: Vec::new(),
        }
    }

    /// Cells that hold something.
    #[must_use]
    pub const fn filled(&self) -> u64 {
        self.numbers + self.not_finite + self.texts
    }

    /// Standard deviation of the finite numbers; 0 when there are fewer than two.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    pub fn deviation(&self) -> f64 {
        if self.numbers < 2 { 0.0 } else { (self.squares / (self.numbers - 1) as f64).max(0.0).sqrt() }
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    fn add(&mut self, cell: Cell<'_>, class: Option<&str>, row: u64, limits: &Limits) {
        let text = match cell {
            Cell::Missing => {
                self.missing += 1;
                return;
            }
            Cell::Number(number) if number.is_finite() => {
                self.numbers += 1;
                self.integers += u64::from(number.fract() == 0.0);
                self.min = self.min.min(number);
                self.max = self.max.max(number);
                let delta = number - self.mean;
                self.mean += delta / self.numbers as f64;
                self.squares += delta * (number - self.mean);
                if self.spec.range.is_some_and(|(low, high)| number < low || number > high) {
                    self.mark_outside(row, &number.to_string());
                }
                number.to_string()
            }
            Cell::Number(number) => {
                self.not_finite += 1;
                self.mark_outside(row, &number.to_string());
                number.to_string()
            }
            Cell::Text(text) => {
                self.texts += 1;
                if self.spec.kind == Kind::Numeric && self.text_examples.len() < 5 {
                    self.text_examples.push((row, bounded(text)));
                }
                bounded(text)
            }
        };
        if self.spec.kind != Kind::Numeric
            && self.spec.categories.as_ref().is_some_and(|known| !known.contains(&text))
        {
            self.mark_outside(row, &text);
        }
        self.count(text, class, limits);
    }

    fn count(&mut self, text: String, class: Option<&str>, limits: &Limits) {
        if let (Some(joint), Some(class)) = (&mut self.by_class, class) {
            let counts = joint.entry(text.clone()).or_default();
            if counts.len() < limits.joint || counts.contains_key(class) {
                *counts.entry(class.to_owned()).or_default() += 1;
            }
            if joint.len() > limits.joint {
                self.by_class = None;
            }
        }
        if let Some(count) = self.values.get_mut(&text) {
            *count += 1;
        } else if self.values.len() < limits.distinct {
            self.values.insert(text, 1);
        } else if self.values_full_at.is_none() {
            self.values_full_at = Some(self.filled());
        }
    }

    fn mark_outside(&mut self, row: u64, text: &str) {
        self.outside += 1;
        if self.outside_examples.len() < 5 {
            self.outside_examples.push((row, text.to_owned()));
        }
    }
}

/// How rows with equal features repeat.
#[derive(Debug, Clone, Copy)]
pub struct Duplicates {
    /// Rows with these features.
    pub count: u64,
    /// The first of them, counted from 1.
    pub first_row: u64,
    /// The first that disagrees with the first about the class, when one does.
    pub conflict_row: Option<u64>,
    class: u128,
}

/// A table, row by row.
#[derive(Debug, Clone)]
pub struct TableSummary {
    /// The columns, in the table's order.
    pub columns: Vec<ColumnSummary>,
    /// Rows that were read.
    pub rows: u64,
    /// Rows with another number of cells than there are columns, and the first of them.
    pub ragged: (u64, Option<u64>),
    /// The column with the class, when there is one.
    pub label: Option<usize>,
    /// Repetitions by the digest of a row's features.
    pub duplicates: BTreeMap<u128, Duplicates>,
    unremembered: u64,
    ignored_columns: usize,
    pub(crate) kept: Kept,
    limits: Limits,
}

impl TableSummary {
    /// An empty summary with the usual limits.
    #[must_use]
    pub fn new(columns: Vec<ColumnSpec>) -> Self {
        Self::with_limits(columns, Limits::default())
    }

    /// An empty summary.
    #[must_use]
    pub fn with_limits(mut columns: Vec<ColumnSpec>, limits: Limits) -> Self {
        let ignored_columns = columns.len().saturating_sub(limits.columns);
        columns.truncate(limits.columns);
        let label = columns.iter().position(|column| column.kind == Kind::Label);
        for (index, column) in columns.iter_mut().enumerate() {
            if column.kind == Kind::Label && Some(index) != label {
                column.kind = Kind::Categorical;
            }
        }
        let kept = Kept::new(&columns, &limits);
        let columns = columns.into_iter().map(ColumnSummary::new).collect();
        Self {
            columns,
            rows: 0,
            ragged: (0, None),
            label,
            duplicates: BTreeMap::new(),
            unremembered: 0,
            ignored_columns,
            kept,
            limits,
        }
    }

    /// Adds one row. Missing cells at its end count as missing, further ones are ignored; both make it ragged.
    pub fn row(&mut self, cells: &[Cell<'_>]) {
        self.rows += 1;
        let row = self.rows;
        if cells.len() != self.columns.len() + self.ignored_columns {
            self.ragged.0 += 1;
            self.ragged.1.get_or_insert(row);
        }
        let cell = |index: usize| cells.get(index).copied().unwrap_or(Cell::Missing);
        let class = self.label.and_then(|label| word(cell(label)));
        let mut features = Sha256::new();
        for (index, column) in self.columns.iter_mut().enumerate() {
            if Some(index) == self.label {
                column.add(cell(index), None, row, &self.limits);
            } else {
                column.add(cell(index), class.as_deref(), row, &self.limits);
                hash_cell(&mut features, cell(index));
            }
        }
        let features = short(features);
        let class_digest = class.as_deref().map_or(0, |class| short(Sha256::new().chain_update(class)));
        self.remember(features, class_digest, row);
        if let Some(class) = class {
            self.kept.offer(features ^ class_digest, row, class, cell);
        }
    }

    /// How often each class occurs; empty without a label column.
    #[must_use]
    pub fn classes(&self) -> BTreeMap<&str, u64> {
        let label = self.label.and_then(|label| self.columns.get(label));
        label
            .into_iter()
            .flat_map(|column| &column.values)
            .map(|(class, count)| (class.as_str(), *count))
            .collect()
    }

    /// The rows kept whole, an even sample that does not depend on the order of rows.
    pub fn kept(&self) -> impl Iterator<Item = &KeptRow> {
        self.kept.rows()
    }

    /// What of the table was not looked at.
    #[must_use]
    pub fn gaps(&self, place: &Place) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut gap = |what: String, why: &str, remedy: &str| {
            gaps.push(Gap { what: format!("{what} of {place}"), why: why.into(), remedy: remedy.into() });
        };
        if self.rows == 0 {
            gap("the rows".into(), "the table has none", "give a table with rows");
        }
        if self.ignored_columns > 0 {
            gap(format!("{} columns", self.ignored_columns), "beyond the limit", "split the table");
        }
        if self.unremembered > 0 {
            let what = format!("repetition of {} rows", self.unremembered);
            gap(what, "more distinct rows than the limit", "check the table in parts");
        }
        if self.label.is_none() && self.rows > 0 {
            gap("the labels".into(), "no column is known to be the label", "name the label column");
        }
        gaps
    }

    fn remember(&mut self, features: u128, class: u128, row: u64) {
        if let Some(seen) = self.duplicates.get_mut(&features) {
            seen.count += 1;
            if class != 0 && seen.class == 0 {
                seen.class = class;
            } else if class != 0 && seen.class != class {
                seen.conflict_row.get_or_insert(row);
            }
        } else if self.duplicates.len() < self.limits.rows {
            self.duplicates
                .insert(features, Duplicates { count: 1, first_row: row, conflict_row: None, class });
        } else {
            self.unremembered += 1;
        }
    }
}

fn hash_cell(hash: &mut Sha256, cell: Cell<'_>) {
    match cell {
        Cell::Missing => hash.update([0]),
        Cell::Number(number) => {
            hash.update([1]);
            // 0 and -0 are the same value.
            hash.update((number + 0.0).to_bits().to_le_bytes());
        }
        Cell::Text(text) => {
            hash.update([2]);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    }
}
