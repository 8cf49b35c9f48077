//! The conversation between an attack and whoever answers for the model.

use mantlet_vocab::{About, Digest, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Loss, Outcome, Stop};

/// What an attack wants to know next. Rows are model inputs; the first axis is the batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// The predicted class of each row.
    Labels(Tensor),
    /// The scores of each row, one column a class, logits or probabilities as the model gives them.
    Scores(Tensor),
    /// Scores, loss and the gradient of each row's own loss with respect to that row.
    Gradient {
        /// The rows.
        rows: Tensor,
        /// What is differentiated.
        loss: Loss,
    },
    /// What the model's last layer reads of each row: for looking into a model file. Answered as scores.
    Activations(Tensor),
    /// What is proved of a model file: for each row the least difference between its label's score and any other's over
    /// all inputs from `low` to `high`. Answered as scores of one column.
    Margins {
        /// The lower ends.
        low: Tensor,
        /// The upper ends.
        high: Tensor,
        /// One label a row.
        labels: Vec<usize>,
    },
    /// What a model of the attacker's own, trained on a lesson, makes of each row: its logits, and the gradient
    /// of a loss if one is given. The target is not asked, and no query is spent.
    Learned {
        /// What the model is trained on. Asking again with the same lesson asks the same model.
        lesson: Box<Lesson>,
        /// The rows.
        rows: Tensor,
        /// What is differentiated; scores are answered when there is none.
        loss: Option<Loss>,
    },
}

/// What a model of the attacker's own is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To agree with the target on rows it has not seen.
    Copy,
    /// To agree with the target on rows it has not seen, by a model that has gradients.
    SmoothCopy,
    /// To be trained as the target was, so that it remembers its rows as the target does.
    Shadow,
}

/// What a model of the attacker's own is trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// The rows.
    pub rows: Tensor,
    /// Their classes.
    pub labels: Vec<usize>,
    /// A probability for each class, where known; used in place of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<Tensor>,
    /// The number each row is to get, `[n, 1]`, where the target gives a score rather than a class; labels and
    /// probabilities say nothing then, and there is one class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Tensor>,
    /// Number of classes.
    pub classes: usize,
    /// What it is for.
    pub purpose: Purpose,
    /// The seed of its training.
    pub seed: u64,
}

impl Lesson {
    /// Rows with labels.
    #[must_use]
    pub fn new(rows: Tensor, labels: Vec<usize>, classes: usize, purpose: Purpose, seed: u64) -> Self {
        Self { rows, labels, probabilities: None, values: None, classes, purpose, seed }
    }

    /// Rows with a number each; those without one are left out.
    #[must_use]
    pub fn of_values(rows: &Tensor, values: &[f32], purpose: Purpose, seed: u64) -> Self {
        let count = values.len().min(rows.rows());
        let first: Vec<usize> = (0..count).collect();
        let values = Tensor::new([count, 1], values[..count].to_vec()).ok();
        Self { values, ..Self::new(rows.select(&first), vec![0; count], 1, purpose, seed) }
    }

    /// Tells one lesson from another.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let floats = |tensor: &Tensor| -> Vec<u8> {
            let shape = tensor.shape().iter().flat_map(|axis| (*axis as u64).to_le_bytes());
            shape.chain(tensor.data().iter().flat_map(|value| value.to_le_bytes())).collect()
        };
        let mut bytes = floats(&self.rows);
        bytes.extend(self.labels.iter().flat_map(|label| (*label as u64).to_le_bytes()));
        bytes.extend(self.probabilities.as_ref().map(floats).unwrap_or_default());
        if let Some(values) = &self.values {
            bytes.extend_from_slice(b"values");
            bytes.extend(floats(values));
        }
        bytes.extend((self.classes as u64).to_le_bytes());
        bytes.extend(self.seed.to_le_bytes());
        bytes.push(self.purpose as u8);
        Digest::of(&bytes)
    }
}

impl Ask {
    /// The rows asked about.
    #[must_use]
    pub const fn rows(&self) -> &Tensor {
        match self {
            Self::Labels(rows)
            | Self::Scores(rows)
            | Self::Activations(rows)
            | Self::Margins { low: rows, .. }
            | Self::Gradient { rows, .. }
            | Self::Learned { rows, .. } => rows,
        }
    }

    /// The word used in journals.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Labels(_) => "labels",
            Self::Scores(_) => "scores",
            Self::Activations(_) => "activations",
            Self::Margins { .. } => "margins",
            Self::Gradient { .. } => "gradient",
            Self::Learned { .. } => "learned",
        }
    }
}

/// The answer to an [`Ask`], of the same kind and for the same rows; [`Ask::Learned`] is answered by scores, or by
/// scores with a gradient where a loss was given.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The class of each row.
    Labels(Vec<usize>),
    /// The scores of each row.
    Scores(Tensor),
    /// The answer to [`Ask::Gradient`].
    Gradient {
        /// The scores of each row (logits where the model lets us see them).
        scores: Tensor,
        /// The loss of each row.
        loss: Vec<f32>,
        /// The gradient, of the rows' shape.
        gradient: Tensor,
    },
}

/// What an attack does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It asks.
    Ask(Ask),
    /// It is finished.
    Done(Outcome),
}

/// An attack in progress. Call [`step`](Attack::step) first without an answer, then with the answer to the
/// last question, until it is [`Step::Done`].
///
/// An answer that does not fit the question (wrong kind, wrong number of rows, scores that are not numbers)
/// never panics: the rows concerned end as [`crate::State::Error`].
pub trait Attack: Send {
    /// The room's card.
    fn about(&self) -> &'static About;

    /// Takes the answer to the last question and says what comes next.
    fn step(&mut self, answer: Option<Answer>) -> Step;

    /// Ends early with what was reached so far; rows without a result end as `why` says.
    fn stop(&mut self, why: Stop) -> Outcome;

    /// How many rows are hits at this moment, for a count of queries to the first.
    fn hits(&self) -> usize;

    /// The whole state, for [`crate::restore`].
    fn save(&self) -> serde_json::Value;
}

/// Why an attack cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttackError {
    /// No attack has this name.
    #[error("no attack is called `{0}`; `mantlet attack list` names them")]
    Unknown(String),
    /// The configuration is not this attack's.
    #[error("configuration of attack `{attack}` is wrong: {reason}")]
    Config {
        /// The attack.
        attack: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Rows or other material the attack needs are absent or do not fit.
    #[error("attack `{attack}` needs {needs}")]
    Material {
        /// The attack.
        attack: &'static str,
        /// What it needs.
        needs: String,
    },
    /// A saved state could not be read.
    #[error("saved state of attack `{attack}` cannot be read: {reason}")]
    Saved {
        /// The attack.
        attack: &'static str,
        /// What is wrong.
        reason: String,
    },
}
