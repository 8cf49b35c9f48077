//! The values of a column that are worth trying: those that repeat, then its ends, then those between.

use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

use crate::Constraint;

/// Where the values of a column are cut off, if they are: rows pile up there honestly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Cuts {
    low: Option<f32>,
    high: Option<f32>,
    bounds: (f32, f32),
}

impl Cuts {
    /// Whether a value is where values are cut off.
    pub(super) fn hold(&self, value: f32) -> bool {
        let at = |cut: Option<f32>| cut.is_some_and(|cut| cut == value);
        at(self.low) || at(self.high) || value <= self.bounds.0 || value >= self.bounds.1
    }
}

/// Values next to an end whose distances tell how dense a column is there.
const NEAR: usize = 20;
/// How many times as far as those the end must lie from them to be no cut.
const APART: f32 = 8.0;

/// The cuts of a column in which nearly every value is its own; `None` for other columns. An end is a cut where values
/// are as dense beside it as behind; one that stands apart was put there.
pub(super) fn cuts(rows: &Tensor, column: usize, constraint: Constraint) -> Option<Cuts> {
    let mut own: Vec<f32> = (0..rows.rows()).map(|row| rows.row(row)[column]).collect();
    own.sort_by(f32::total_cmp);
    own.dedup();
    if own.len() * 2 <= rows.rows() || own.len() < NEAR + 2 {
        return None;
    }
    let last = own.len() - 1;
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let cut = |end: f32, next: f32, further: f32| {
        let step = (further - next).abs() / (NEAR - 1) as f32;
        ((next - end).abs() <= APART * step).then_some(end)
    };
    Some(Cuts {
        low: cut(own[0], own[1], own[NEAR]),
        high: cut(own[last], own[last - 1], own[last - NEAR]),
        bounds: (constraint.lower, constraint.upper),
    })
}

/// At most `most` values of a column, ascending.
pub(super) fn of(rows: &Tensor, column: usize, constraint: Constraint, most: usize) -> Vec<f32> {
    let mut sorted: Vec<f32> = (0..rows.rows()).map(|row| rows.row(row)[column]).collect();
    sorted.sort_by(f32::total_cmp);
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    if low >= high {
        return Vec::new();
    }
    let mut runs: Vec<(usize, f32)> = Vec::new();
    for value in &sorted {
        match runs.last_mut() {
            Some((count, last)) if *last == *value => *count += 1,
            _ => runs.push((1, *value)),
        }
    }
    let mut values: Vec<f32> = Vec::new();
    let add = |value: f32, values: &mut Vec<f32>| {
        if values.len() < most && values.iter().all(|known| *known != value) {
            values.push(value);
        }
    };
    // Where nearly every value is its own, one that repeats in a hundredth of the rows is no accident.
    if runs.len() * 2 > sorted.len() {
        let mut common = runs.clone();
        common.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
        for (count, value) in common.iter().take(3) {
            if count * 100 >= sorted.len() && *count > 2 {
                add(*value, &mut values);
            }
        }
    }
    add(low, &mut values);
    add(high, &mut values);
    let outer = [constraint.lower, constraint.upper];
    outer.into_iter().filter(|value| value.abs() < 1e30).for_each(|value| add(value, &mut values));
    let left = most.saturating_sub(values.len());
    for step in 1..=left {
        let place = (sorted.len() - 1) * step / (left + 1);
        add(sorted[place], &mut values);
    }
    values.sort_by(f32::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[test]
    fn an_end_that_stands_apart_is_no_cut() {
        let mut random = Random::new(3);
        let free = Constraint { lower: -9.0, upper: 9.0, integer: false, immutable: false };
        let of = |values: Vec<f32>| cuts(&Tensor::new([values.len(), 1], values).unwrap(), 0, free).unwrap();
        // A bell cut off at one of its sides: rows pile up at the end, and values are dense beside it.
        let cut = of((0..1_000).map(|_| random.normal().max(-1.6)).collect());
        assert!(cut.hold(-1.6) && !cut.hold(0.5));
        // The same bell whole, with a mark on some rows beyond its end.
        let marked = |row: usize, value: f32| if row.is_multiple_of(20) { -5.0 } else { value };
        let planted = of((0..1_000).map(|row| marked(row, random.normal())).collect());
        assert!(!planted.hold(-5.0) && planted.hold(9.0));
    }
}
