//! What is attacked.

use mantlet_attacks::{Answer, Ask, Loss, ScoreKind};
use mantlet_vocab::{Tensor, TreeEnsemble};
use serde::{Deserialize, Serialize};

/// What is known of a target before it is asked anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// What it is called in reports: a path, or an address without credentials.
    pub name: String,
    /// Shape of one input row.
    pub input_shape: Vec<usize>,
    /// Number of classes, when known.
    pub classes: Option<usize>,
    /// What its scores are; `None` when it gives labels only or does not say.
    pub score_kind: Option<ScoreKind>,
    /// Whether it gives scores.
    pub scores: bool,
    /// Why it gives no gradients; `None` when it does.
    pub no_gradient: Option<String>,
    /// The most rows it takes in one question; 0 means any number.
    pub max_rows: usize,
}

/// Scores, losses and the gradient of each row's loss.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientAnswer {
    /// Scores (logits where they can be seen).
    pub scores: Tensor,
    /// One loss a row.
    pub loss: Vec<f32>,
    /// Of the rows' shape.
    pub gradient: Tensor,
}

/// Why a target did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "error")]
#[non_exhaustive]
pub enum TargetError {
    /// It declines: a guard throttles, blocks or diverts. A state of its own, not a failure.
    #[error("the target refused with status {status}: {reason}")]
    Refused {
        /// The HTTP status, or 0.
        status: u16,
        /// Its words, shortened.
        reason: String,
        /// When it may be asked again, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// It cannot be asked this at all.
    #[error("the target cannot answer: {reason}")]
    Unsupported {
        /// Why not.
        reason: String,
    },
    /// It did not answer, or not in time.
    #[error("the target failed: {reason}")]
    Failed {
        /// What happened.
        reason: String,
    },
    /// It answered something that is no answer.
    #[error("the target's answer cannot be used: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

/// A classifier to attack: a model in process, or an endpoint.
pub trait Target {
    /// What is known of it.
    fn describe(&self) -> TargetFacts;

    /// The predicted class of each row.
    ///
    /// # Errors
    /// As [`TargetError`] says.
    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError>;

    /// The scores of each row.
    ///
    /// # Errors
    /// As [`TargetError`] says.
    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError>;

    /// Scores, losses and gradients of each row.
    ///
    /// # Errors
    /// [`TargetError::Unsupported`] when there are no gradients.
    fn gradient(&mut self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, TargetError>;

    /// What the last layer of the model reads of each row: `[n, values]`.
    ///
    /// # Errors
    /// [`TargetError::Unsupported`] when the model cannot be looked into.
    fn activations(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        let _ = rows;
        Err(TargetError::Unsupported { reason: "its inside cannot be looked into".to_owned() })
    }

    /// For each row the least difference between its label's score and any other's that is proved over all inputs from
    /// `low` to `high`.
    ///
    /// # Errors
    /// [`TargetError::Unsupported`] when nothing can be proved of the target.
    fn margins(&mut self, low: &Tensor, high: &Tensor, labels: &[usize]) -> Result<Vec<f32>, TargetError> {
        let _ = (low, high, labels);
        Err(TargetError::Unsupported { reason: "its inside cannot be looked into".to_owned() })
    }

    /// How many rows of this question the target itself has to be asked about: fewer where its answers are remembered.
    fn unanswered(&self, ask: &Ask) -> usize {
        ask.rows().rows()
    }

    /// Is told an answer it gave before the run was interrupted.
    fn remind(&mut self, ask: &Ask, answer: &Answer) {
        let _ = (ask, answer);
    }

    /// The most tokens a question about these rows costs; 0 where nothing is billed by tokens.
    fn tokens_at_most(&self, rows: &Tensor) -> u64 {
        let _ = rows;
        0
    }

    /// Tokens billed so far.
    fn tokens(&self) -> u64 {
        0
    }

    /// The weights of the last layer, one row a class, when the target is a file that has one.
    fn last_weights(&self) -> Option<Tensor> {
        None
    }

    /// The trees, when the target is the file of an ensemble of trees.
    fn trees(&self) -> Option<TreeEnsemble> {
        None
    }
}
