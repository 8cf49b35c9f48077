//! What an attack works on: rows, labels, pools, and what inputs may be.

use mantlet_vocab::{Digest, Tensor, TreeEnsemble};
use serde::{Deserialize, Serialize};

use crate::{AttackError, Constraints};

/// What an evasion wants of a row.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "goal", deny_unknown_fields)]
pub enum Goal {
    /// Any class but the row's own.
    #[default]
    Leave,
    /// This class.
    Class {
        /// The class.
        class: usize,
    },
    /// For models that give a score, a price or a rank rather than a class: a score moved by at least this much, up
    /// or (when negative) down, from what the model gives the row.
    Moved {
        /// By how much, in the score's own units.
        by: f32,
        /// Which of the scores.
        #[serde(default)]
        column: usize,
    },
    /// For models whose scores rank: the row moved by at least so many places among the rows of the pool.
    Ranked {
        /// Places to climb, or to fall when negative; the highest score is the first place.
        places: i64,
        /// Which of the scores.
        #[serde(default)]
        column: usize,
    },
}

impl Goal {
    /// The score that is to be moved, where the goal is about scores.
    #[must_use]
    pub const fn column(self) -> Option<usize> {
        match self {
            Self::Moved { column, .. } | Self::Ranked { column, .. } => Some(column),
            Self::Leave | Self::Class { .. } => None,
        }
    }

    /// Whether the score is to fall.
    #[must_use]
    pub fn falls(self) -> bool {
        match self {
            Self::Moved { by, .. } => by < 0.0,
            Self::Ranked { places, .. } => places < 0,
            Self::Leave | Self::Class { .. } => false,
        }
    }
}

/// The rows an attack starts from. What is absent is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Material {
    /// Start rows (evasion), members (membership), clean rows (trigger), seeds (extraction).
    pub rows: Tensor,
    /// True labels of `rows`; empty when unknown.
    #[serde(default)]
    pub labels: Vec<usize>,
    /// Further rows: start images of a decision-based attack, non-members, the pool of an extraction.
    #[serde(default)]
    pub pool: Option<Tensor>,
    /// Labels of `pool`; empty when unknown.
    #[serde(default)]
    pub pool_labels: Vec<usize>,
    /// The true score of each of `rows`, for models that give a score; empty when unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f32>,
    /// True scores of `pool`; empty when unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pool_values: Vec<f32>,
    /// Which of the model's scores those are about.
    #[serde(default, skip_serializing_if = "crate::material::is_first")]
    pub score: usize,
    /// Number of classes.
    pub classes: usize,
    /// What inputs may be; empty means anything.
    #[serde(default)]
    pub constraints: Constraints,
    /// What counts as success of an evasion.
    #[serde(default)]
    pub goal: Goal,
    /// The model's trees, when it is an ensemble of trees and its file is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trees: Option<TreeEnsemble>,
    /// The weights of the model's last layer, one row a class, when its file is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_weights: Option<Tensor>,
}

impl Material {
    /// Rows of a problem with this many classes, values in [0, 1].
    #[must_use]
    pub fn new(rows: Tensor, labels: Vec<usize>, classes: usize) -> Self {
        let constraints = Constraints::uniform(rows.row_len(), 0.0, 1.0);
        Self {
            rows,
            labels,
            pool: None,
            pool_labels: Vec::new(),
            values: Vec::new(),
            pool_values: Vec::new(),
            score: 0,
            classes,
            constraints,
            goal: Goal::Leave,
            trees: None,
            last_weights: None,
        }
    }

    /// With this goal.
    #[must_use]
    pub const fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    /// With the model's trees.
    #[must_use]
    pub fn trees(mut self, trees: Option<TreeEnsemble>) -> Self {
        self.trees = trees;
        self
    }

    /// With the weights of the model's last layer.
    #[must_use]
    pub fn last_weights(mut self, weights: Option<Tensor>) -> Self {
        self.last_weights = weights;
        self
    }

    /// With further rows.
    #[must_use]
    pub fn pool(mut self, pool: Tensor, labels: Vec<usize>) -> Self {
        self.pool = Some(pool);
        self.pool_labels = labels;
        self
    }

    /// With the true scores of the rows and of the pool: of the score of this number.
    #[must_use]
    pub fn values(mut self, rows: Vec<f32>, pool: Vec<f32>, score: usize) -> Self {
        (self.values, self.pool_values, self.score) = (rows, pool, score);
        self
    }

    /// With these constraints.
    #[must_use]
    pub fn constraints(mut self, constraints: Constraints) -> Self {
        self.constraints = constraints;
        self
    }

    /// One digest a row, over the little-endian bytes of its values.
    #[must_use]
    pub fn digests(&self) -> Vec<Digest> {
        (0..self.rows.rows())
            .map(|row| {
                let bytes: Vec<u8> =
                    self.rows.row(row).iter().flat_map(|value| value.to_le_bytes()).collect();
                Digest::of(&bytes)
            })
            .collect()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
const fn is_first(score: &usize) -> bool {
    *score == 0
}

/// Every attack needs rows of at least one value, and labels and constraints that fit them.
pub(crate) fn needs_rows(attack: &'static str, material: &Material) -> Result<(), AttackError> {
    let needs = |needs: &str| Err(AttackError::Material { attack, needs: needs.to_owned() });
    let rows = &material.rows;
    if rows.rows() == 0 || rows.row_len() == 0 || rows.shape().len() < 2 {
        return needs("at least one row with at least one value");
    }
    if rows.data().iter().any(|value| !value.is_finite()) {
        return needs("rows of finite numbers");
    }
    if !material.labels.is_empty() && material.labels.len() != rows.rows() {
        return needs("one label a row, or none");
    }
    if !material.values.is_empty() && material.values.len() != rows.rows() {
        return needs("one true score a row, or none");
    }
    if material.values.iter().chain(&material.pool_values).any(|value| !value.is_finite()) {
        return needs("true scores that are finite numbers");
    }
    if !material.constraints.is_empty() && material.constraints.len() != rows.row_len() {
        return needs("one constraint a value, or none");
    }
    if let Some(pool) = &material.pool {
        if pool.row_len() != rows.row_len() || pool.data().iter().any(|value| !value.is_finite()) {
            return needs("a pool of finite rows as long as the others");
        }
        if !material.pool_labels.is_empty() && material.pool_labels.len() != pool.rows() {
            return needs("one label a row of the pool, or none");
        }
        if !material.pool_values.is_empty() && material.pool_values.len() != pool.rows() {
            return needs("one true score a row of the pool, or none");
        }
    }
    Ok(())
}
