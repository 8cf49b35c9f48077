//! An even sample of whole rows, and the distance between two of them.

use std::collections::BTreeMap;

use crate::cell::{Cell, ColumnSpec, Kind};
use crate::summary::{ColumnSummary, Limits};

/// A row that was kept whole.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRow {
    /// Its number in the table, counted from 1.
    pub row: u64,
    /// Its class.
    pub class: String,
    /// Its numeric features; missing ones are not a number.
    pub numbers: Vec<f32>,
    /// Digests of its words; missing ones are 0.
    pub words: Vec<u32>,
}

/// The rows with the smallest digests: as even as a random sample, and the same in any order of rows.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    rows: BTreeMap<(u128, u64), KeptRow>,
    numeric: Vec<usize>,
    words: Vec<usize>,
    limit: usize,
}

impl Kept {
    pub(crate) fn new(columns: &[ColumnSpec], limits: &Limits) -> Self {
        let of = |kinds: &[Kind]| -> Vec<usize> {
            let here = |(index, column): (usize, &ColumnSpec)| kinds.contains(&column.kind).then_some(index);
            columns.iter().enumerate().filter_map(here).collect()
        };
        let limit = if columns.len() > limits.kept_columns { 0 } else { limits.kept };
        Self { rows: BTreeMap::new(), numeric: of(&[Kind::Numeric]), words: of(&[Kind::Categorical]), limit }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &KeptRow> {
        self.rows.values()
    }

    pub(crate) fn numeric(&self) -> &[usize] {
        &self.numeric
    }

    pub(crate) fn offer<'a>(
        &mut self,
        digest: u128,
        row: u64,
        class: String,
        cell: impl Fn(usize) -> Cell<'a>,
    ) {
        if self.rows.len() >= self.limit
            && self.rows.last_key_value().is_none_or(|(last, _)| *last <= (digest, row))
        {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a distance needs no more")]
        let number = |&index: &usize| match cell(index) {
            Cell::Number(number) => number as f32,
            _ => f32::NAN,
        };
        let word = |&index: &usize| match cell(index) {
            Cell::Missing => 0,
            Cell::Number(number) => fnv(&number.to_bits().to_le_bytes()),
            Cell::Text(text) => fnv(text.as_bytes()),
        };
        let numbers = self.numeric.iter().map(number).collect();
        let words = self.words.iter().map(word).collect();
        self.rows.insert((digest, row), KeptRow { row, class, numbers, words });
        if self.rows.len() > self.limit {
            self.rows.pop_last();
        }
    }
}

fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)).max(1)
}

/// Numeric columns on one scale: `(mean, 1 / deviation)`; a constant column counts nothing.
#[expect(clippy::cast_possible_truncation, reason = "a distance needs no more")]
pub(crate) fn scales(columns: &[ColumnSummary], numeric: &[usize]) -> Vec<(f32, f32)> {
    let scale = |&index: &usize| {
        let column = columns.get(index)?;
        let deviation = column.deviation();
        let factor = if deviation > 0.0 && deviation.is_finite() { 1.0 / deviation } else { 0.0 };
        Some((column.mean as f32, factor as f32))
    };
    numeric.iter().map(|index| scale(index).unwrap_or((0.0, 0.0))).collect()
}

/// A row's numbers on one scale, missing ones at the mean, none further out than ten deviations.
pub(crate) fn scaled(row: &KeptRow, scales: &[(f32, f32)]) -> Vec<f32> {
    let one = |(&number, &(mean, factor)): (&f32, &(f32, f32))| {
        let value = (number - mean) * factor;
        if value.is_finite() { value.clamp(-10.0, 10.0) } else { 0.0 }
    };
    row.numbers.iter().zip(scales).map(one).collect()
}

/// Squared distance, given up as soon as it passes `enough`; a different word counts as two deviations apart do.
pub(crate) fn distance(a: (&[f32], &[u32]), b: (&[f32], &[u32]), enough: f32) -> f32 {
    let words = a.1.iter().zip(b.1).filter(|(a, b)| a != b).count();
    #[expect(clippy::cast_precision_loss, reason = "a count of columns")]
    let mut sum = 2.0 * words as f32;
    for (a, b) in a.0.chunks(8).zip(b.0.chunks(8)) {
        sum += a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        if sum > enough {
            return sum;
        }
    }
    sum
}
