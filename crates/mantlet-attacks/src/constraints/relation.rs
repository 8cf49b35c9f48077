//! What must hold between the values of a row, and how a row that breaks it is mended.

use serde::{Deserialize, Serialize};

use super::Constraints;

/// A column and its factor.
pub type Term = (usize, f32);

/// Something that holds between the values of every real row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "relation", deny_unknown_fields)]
pub enum Relation {
    /// The weighted sum of these columns is at most `bound`: `mean <= worst` is
    /// `terms = [(mean, 1), (worst, -1)]`, `bound = 0`.
    AtMost {
        /// Columns and factors.
        terms: Vec<Term>,
        /// The largest sum.
        bound: f32,
    },
    /// Exactly one of these columns is 1, the others are 0.
    OneOf {
        /// The columns.
        columns: Vec<usize>,
    },
    /// A derived column: the weighted sum of others.
    Sum {
        /// The derived column.
        column: usize,
        /// Columns and factors.
        terms: Vec<Term>,
        /// Added to the sum.
        #[serde(default)]
        offset: f32,
    },
    /// A derived column: the quotient of two others.
    Ratio {
        /// The derived column.
        column: usize,
        /// What is divided.
        over: usize,
        /// By what it is divided; 0 gives 0.
        under: usize,
    },
    /// A derived column: the product of two others.
    Product {
        /// The derived column.
        column: usize,
        /// The factors.
        factors: (usize, usize),
    },
}

/// How exactly a sum must hold, relative to the size of its terms.
const SLACK: f32 = 1e-4;

fn value(row: &[f32], index: usize) -> f32 {
    row.get(index).copied().unwrap_or(0.0)
}

fn sum(row: &[f32], terms: &[Term]) -> f32 {
    terms.iter().map(|&(index, factor)| factor * value(row, index)).sum()
}

fn size(row: &[f32], terms: &[Term]) -> f32 {
    terms.iter().map(|&(index, factor)| (factor * value(row, index)).abs()).sum()
}

impl Relation {
    /// Whether it holds for this row.
    #[must_use]
    pub fn holds(&self, row: &[f32]) -> bool {
        match self {
            Self::AtMost { terms, bound } => {
                sum(row, terms) - bound <= SLACK * (size(row, terms) + bound.abs()).max(1e-2)
            }
            Self::OneOf { columns } => {
                let ones = columns.iter().filter(|&&column| value(row, column) == 1.0).count();
                let zeros = columns.iter().filter(|&&column| value(row, column) == 0.0).count();
                ones == 1 && ones + zeros == columns.len()
            }
            derived => derived.derived(row).is_none_or(|(column, wanted, scale)| {
                (value(row, column) - wanted).abs() <= SLACK * scale.max(1e-2)
            }),
        }
    }

    /// The derived column, the value it should have and the size of what it is made of.
    fn derived(&self, row: &[f32]) -> Option<(usize, f32, f32)> {
        match self {
            Self::Sum { column, terms, offset } => {
                Some((*column, sum(row, terms) + offset, size(row, terms) + offset.abs()))
            }
            Self::Ratio { column, over, under } => {
                let (over, under) = (value(row, *over), value(row, *under));
                let wanted = if under == 0.0 { 0.0 } else { over / under };
                Some((*column, wanted, wanted.abs()))
            }
            Self::Product { column, factors } => {
                let wanted = value(row, factors.0) * value(row, factors.1);
                Some((*column, wanted, wanted.abs()))
            }
            Self::AtMost { .. } | Self::OneOf { .. } => None,
        }
    }

    /// Moves a row towards one for which it holds, as little as possible, without touching fixed values.
    pub(super) fn mend(&self, constraints: &Constraints, original: &[f32], row: &mut [f32]) {
        match self {
            Self::AtMost { terms, bound } => mend_sum(terms, *bound, constraints, original, row),
            Self::OneOf { columns } => {
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
}

/// The nearest row, in widths, with the sum at its bound; values at their own bounds stay there.
fn mend_sum(terms: &[Term], bound: f32, constraints: &Constraints, original: &[f32], row: &mut [f32]) {
    let mut free: Vec<Term> =
        terms.iter().copied().filter(|&(column, _)| !constraints.at(column).immutable).collect();
    while !free.is_empty() {
        let excess = sum(row, terms) - bound;
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
