//! What must hold between the values of a row: kept by changed rows of an attack, watched by a guard's rule.

use serde::{Deserialize, Serialize};

/// A column and its factor.
pub type Term = (usize, f32);

/// Something that holds between the values of every real row; columns count the values of all inputs side by side.
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
    /// Whether it holds for this row; a column the row does not have counts as 0.
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

    /// The derived column, the value it should have and the size of what it is made of; `None` where none is derived.
    #[must_use]
    pub fn derived(&self, row: &[f32]) -> Option<(usize, f32, f32)> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_hold_or_do_not() {
        let order = Relation::AtMost { terms: vec![(0, 1.0), (1, -1.0)], bound: 0.0 };
        assert!(order.holds(&[1.0, 2.0]) && !order.holds(&[2.0, 1.0]) && order.holds(&[1.0, 1.0]));
        let one = Relation::OneOf { columns: vec![0, 1, 2] };
        assert!(one.holds(&[0.0, 1.0, 0.0]) && !one.holds(&[0.5, 0.5, 0.0]) && !one.holds(&[1.0, 1.0, 0.0]));
        let sum = Relation::Sum { column: 2, terms: vec![(0, 1.0), (1, 2.0)], offset: 0.5 };
        assert!(sum.holds(&[1.0, 2.0, 5.5]) && !sum.holds(&[1.0, 2.0, 5.6]));
        let ratio = Relation::Ratio { column: 2, over: 0, under: 1 };
        assert!(
            ratio.holds(&[1.0, 2.0, 0.5]) && ratio.holds(&[1.0, 0.0, 0.0]) && !ratio.holds(&[1.0, 2.0, 0.6])
        );
        let product = Relation::Product { column: 2, factors: (0, 1) };
        assert!(product.holds(&[3.0, 2.0, 6.0]) && !product.holds(&[3.0, 2.0, 5.0]));
        // A row that is too short is no reason to panic, and one that is no number breaks what it must keep.
        assert!(!sum.holds(&[]) && !order.holds(&[f32::NAN, 1.0]) && !one.holds(&[f32::NAN]));
    }
}
