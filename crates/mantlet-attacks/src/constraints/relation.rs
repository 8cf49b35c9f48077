//! How a row that breaks what must hold between its values is mended.

use mantlet_vocab::{Relation, Term};

use super::Constraints;

fn value(row: &[f32], index: usize) -> f32 {
    row.get(index).copied().unwrap_or(0.0)
}

/// Moves a row towards one for which it holds, as little as possible, without touching fixed values.
pub(super) fn mend(relation: &Relation, constraints: &Constraints, original: &[f32], row: &mut [f32]) {
    match relation {
        Relation::AtMost { terms, bound } => mend_sum(terms, *bound, constraints, original, row),
        Relation::OneOf { columns } => {
            let fixed = |column: &usize| constraints.at(*column).immutable;
            let chosen = columns
                .iter()
                .find(|column| fixed(column) && value(row, **column) == 1.0)
                .or_else(|| {
                    let free = columns.iter().filter(|column| !fixed(column));
                    free.max_by(|a, b| value(row, **a).total_cmp(&value(row, **b)))
                })
                .copied();
            for &column in columns {
                if let Some(slot) = row.get_mut(column).filter(|_| !fixed(&column)) {
                    *slot = f32::from(u8::from(Some(column) == chosen));
                }
            }
        }
        derived => {
            if let Some((column, wanted, _)) = derived.derived(row)
                && let Some(slot) = row.get_mut(column)
                && !constraints.at(column).immutable
            {
                *slot = wanted;
            }
        }
    }
}

/// The nearest row, in widths, with the sum at its bound; values at their own bounds stay there.
fn mend_sum(terms: &[Term], bound: f32, constraints: &Constraints, original: &[f32], row: &mut [f32]) {
    let mut free: Vec<Term> =
        terms.iter().copied().filter(|&(column, _)| !constraints.at(column).immutable).collect();
    while !free.is_empty() {
        let excess = terms.iter().map(|&(column, factor)| factor * value(row, column)).sum::<f32>() - bound;
        if excess <= 0.0 {
            return;
        }
        let pull = |&(column, factor): &Term| {
            (factor * constraints.width(column)) * (factor * constraints.width(column))
        };
        let total: f32 = free.iter().map(pull).sum();
        if total <= 0.0 {
            return;
        }
        let mut stuck = Vec::new();
        for &(column, factor) in &free {
            let (Some(slot), Some(own)) = (row.get_mut(column), original.get(column)) else { continue };
            let width = constraints.width(column);
            let wanted = *slot - excess * factor * width * width / total;
            let allowed = constraints.at(column);
            let (low, high) = (allowed.lower.min(*own), allowed.upper.max(*own));
            let wanted_whole = match (allowed.integer, factor > 0.0) {
                (false, _) => wanted,
                // Whole steps from the original, on the side that obeys.
                (true, true) => own + (wanted - own).floor(),
                (true, false) => own + (wanted - own).ceil(),
            };
            *slot = wanted_whole.clamp(low, high);
            if (*slot - wanted).abs() > 1e-9 + 1e-6 * wanted.abs() && !allowed.integer {
                stuck.push(column);
            }
        }
        if stuck.is_empty() {
            return;
        }
        free.retain(|(column, _)| !stuck.contains(column));
    }
}
