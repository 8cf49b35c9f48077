//! The values of a column that are worth trying: those that repeat, then its ends, then those between.

use mantlet_vocab::Tensor;

use crate::Constraint;

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
