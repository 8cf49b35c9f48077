//! Relations between the values of a row that every ordinary row keeps.

use serde::{Deserialize, Serialize};

/// A column and its factor.
pub type Term = (usize, f32);

/// What holds between the values of every ordinary row; columns count the values of all inputs side by side. Written as
/// the constraints of an attack are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "relation", deny_unknown_fields)]
pub enum Relation {
    /// The weighted sum of these columns is at most `bound`.
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
    /// A column is the weighted sum of others.
    Sum {
        /// The column.
        column: usize,
        /// Columns and factors.
        terms: Vec<Term>,
        /// Added to the sum.
        #[serde(default)]
        offset: f32,
    },
}

/// How exactly a relation must hold, relative to the size of its terms.
const SLACK: f32 = 1e-4;

impl Relation {
    /// Whether it holds for this row; a column the row does not have counts as 0.
    #[must_use]
    pub fn holds(&self, row: &[f32]) -> bool {
        let value = |column: usize| row.get(column).copied().unwrap_or(0.0);
        let weigh = |terms: &[Term]| {
            terms.iter().fold((0.0_f32, 0.0_f32), |(sum, size), &(column, factor)| {
                let part = factor * value(column);
                (sum + part, size + part.abs())
            })
        };
        match self {
            Self::AtMost { terms, bound } => {
                let (sum, size) = weigh(terms);
                sum - bound <= SLACK * (size + bound.abs()).max(1e-2)
            }
            Self::OneOf { columns } => {
                let ones = columns.iter().filter(|&&column| value(column) == 1.0).count();
                let zeros = columns.iter().filter(|&&column| value(column) == 0.0).count();
                ones == 1 && ones + zeros == columns.len()
            }
            Self::Sum { column, terms, offset } => {
                let (sum, size) = weigh(terms);
                (value(*column) - sum - offset).abs() <= SLACK * (size + offset.abs()).max(1e-2)
            }
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
        // A row that is too short is no reason to panic, and one that is no number breaks what it must keep.
        assert!(!sum.holds(&[]) && !order.holds(&[f32::NAN, 1.0]) && !one.holds(&[f32::NAN]));
    }
}
