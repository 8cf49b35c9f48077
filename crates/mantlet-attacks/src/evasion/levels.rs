//! A score that is to move, for attacks that know classes only: each row has class 0 as it stands and class 1 once its
//! score has moved far enough.

use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

use crate::{AttackError, Goal, Loss, Material};

/// What is to move, by how much, and from where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Levels {
    by: f32,
    column: usize,
    /// The score of each row as it stands.
    before: Vec<f32>,
}

impl Levels {
    /// Of a goal about a score; `None` where rows are to leave their class.
    ///
    /// # Errors
    /// When the goal is another, or no score can be moved so.
    pub(crate) fn of(
        attack: &'static str,
        instead: &str,
        material: &Material,
        gradients: bool,
    ) -> Result<Option<Self>, AttackError> {
        let needs = |needs: String| Err(AttackError::Material { attack, needs });
        match material.goal {
            Goal::Leave => Ok(None),
            Goal::Moved { by, .. } if !(by.is_finite() && by != 0.0) => {
                needs("a score moved by something".to_owned())
            }
            Goal::Moved { column, .. } if column >= material.classes.max(1) => {
                needs("a score to move that the model gives".to_owned())
            }
            Goal::Moved { .. } if gradients && material.classes > 1 => {
                // The scores a gradient comes with are those before the last softmax: other units than the goal's.
                needs(
                    "a model that gives one score, not one a class; attacks that see scores take those"
                        .to_owned(),
                )
            }
            Goal::Moved { by, column } => Ok(Some(Self { by, column, before: Vec::new() })),
            Goal::Class { .. } | Goal::Ranked { .. } => needs(format!(
                "rows that are to leave their class, or a score to move; `{instead}` takes other goals"
            )),
        }
    }

    /// Takes the scores of the rows as they stand; whether each is a number. `None` when they do not fit.
    pub(crate) fn begin(&mut self, scores: &Tensor, rows: usize) -> Option<Vec<Option<usize>>> {
        if scores.rows() != rows || scores.row_len() <= self.column {
            return None;
        }
        self.before = (0..rows).map(|row| scores.row(row)[self.column]).collect();
        Some(self.before.iter().map(|score| score.is_finite().then_some(0)).collect())
    }

    /// 1 when these scores of a row reach the goal, 0 when they do not; `None` when they are no numbers.
    pub(crate) fn class(&self, row: usize, scores: &[f32]) -> Option<usize> {
        let (before, now) = (self.before.get(row)?, scores.get(self.column)?);
        now.is_finite().then(|| usize::from((now - before) * self.by.signum() >= self.by.abs()))
    }

    /// What grows as the goal comes nearer.
    pub(crate) fn loss(&self) -> Loss {
        Loss::Column { column: self.column, falls: self.by < 0.0 }
    }
}
