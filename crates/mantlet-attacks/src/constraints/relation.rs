//! How a row that breaks what must hold between its values is mended.

use mantlet_vocab::{Relation, Term};

use super::Constraints;

fn value(row: &[f32], index: usize) -> f32 {
    row.get(index).copied().unwrap_or(0.0)
}

/// What each value may be.
struct Allowed<'a> {
    constraints: &'a Constraints,
    original: &'a [f32],
    reach: f32,
}

impl Allowed<'_> {
    /// The least and the most.
    fn bounds(&self, column: usize) -> (f32, f32) {
        self.constraints.bounds(column, value(self.original, column), self.reach)
    }
}

/// Moves a row towards one for which it holds, as little as possible, without touching fixed values
/// nor farther than `reach` widths from the original.
pub(super) fn mend(
    relation: &Relation,
    constraints: &Constraints,
    original: &[f32],
    row: &mut [f32],
    reach: f32,
) {
    let allowed = Allowed { constraints, original, reach };
    match relation {
        Relation::AtMost { terms, bound } => mend_sum(terms, *bound, &allowed, row),
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
            let wanted = |column: usize| f32::from(u8::from(Some(column) == chosen));
            // Another choice is a step of 1 in two columns; where that is too far the choice stays.
            let near = columns.iter().all(|&column| {
                let (low, high) = allowed.bounds(column);
                (low..=high).contains(&wanted(column))
            });
            for &column in columns {
                if let Some(slot) = row.get_mut(column).filter(|_| !fixed(&column)) {
                    *slot = if near { wanted(column) } else { value(original, column) };
                }
            }
        }
        derived => {
            if let Some((column, wanted, _)) = derived.derived(row)
                && let Some(slot) = row.get_mut(column)
            {
                let (low, high) = allowed.bounds(column);
                *slot = if wanted.is_nan() { *slot } else { wanted.clamp(low, high) };
            }
            // The derived column has come to its bound: what it is made of moves as well.
            if let Relation::Sum { column, terms, offset } = derived
                && !derived.holds(row)
            {
                let side = |sign: f32| -> Vec<Term> {
                    let parts = terms.iter().map(|&(part, factor)| (part, sign * factor));
                    parts.chain([(*column, -sign)]).collect()
                };
                mend_sum(&side(1.0), -offset, &allowed, row);
                mend_sum(&side(-1.0), *offset, &allowed, row);
            }
        }
    }
}

/// The nearest row, in widths, with the sum at its bound; values at their own bounds stay there.
fn mend_sum(terms: &[Term], bound: f32, allowed: &Allowed<'_>, row: &mut [f32]) {
    let Allowed { constraints, original, .. } = *allowed;
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
            let integer = constraints.at(column).integer;
            let (low, high) = allowed.bounds(column);
            let wanted_whole = match (integer, factor > 0.0) {
                (false, _) => wanted,
                // Whole steps from the original, on the side that obeys.
                (true, true) => own + (wanted - own).floor(),
                (true, false) => own + (wanted - own).ceil(),
            };
            *slot = wanted_whole.clamp(low, high);
            if (*slot - wanted).abs() > 1e-9 + 1e-6 * wanted.abs() && !integer {
                stuck.push(column);
            }
        }
        if stuck.is_empty() {
            return;
        }
        free.retain(|(column, _)| !stuck.contains(column));
    }
}
