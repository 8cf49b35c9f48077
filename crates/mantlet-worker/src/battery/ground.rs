//! The rows a battery works on.

use mantlet_attacks::Constraints;
use mantlet_vocab::Tensor;

/// Rows with their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// One row each.
    pub x: Tensor,
    /// The true class of each row, as an index.
    pub y: Vec<usize>,
}

impl Rows {
    /// The first `count` rows, or all when there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let indices: Vec<usize> = (0..self.y.len().min(count)).collect();
        Self { x: self.x.select(&indices), y: self.y[..indices.len()].to_vec() }
    }
}

/// The true scores of rows, for models that give a score rather than a class.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Truths {
    /// Of the training rows.
    pub train: Vec<f32>,
    /// Of the rows outside the training data.
    pub held_out: Vec<f32>,
}

/// What is known of the model's world: rows it learned from, rows it did not, what a row may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Ground {
    /// Training rows.
    pub train: Rows,
    /// Rows known to be outside the training data.
    pub held_out: Option<Rows>,
    /// Number of classes.
    pub classes: usize,
    /// What an attacker may send.
    pub constraints: Constraints,
    /// The true scores, where the model gives a score and they are known.
    pub truths: Option<Truths>,
}

impl Ground {
    /// Rows to attack: held-out ones when there are any.
    #[must_use]
    pub fn probe_rows(&self, count: usize) -> Rows {
        self.held_out_or_train().first(count)
    }

    /// Held-out rows, or the training rows when nothing else is known.
    #[must_use]
    pub fn held_out_or_train(&self) -> &Rows {
        self.held_out.as_ref().unwrap_or(&self.train)
    }
}
