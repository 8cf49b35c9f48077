//! A classifier view of a model: one row in, one score for each class out.

use std::sync::Arc;

use mantlet_vocab::{NamedValue, Tensor};

use crate::{Model, ModelError, OutputKind};

/// A model seen as a classifier over rows of numbers.
pub struct Classifier {
    model: Arc<dyn Model>,
    row: Vec<usize>,
    names: Vec<String>,
    kind: OutputKind,
    fixed: Vec<NamedValue>,
}

impl Classifier {
    /// Finds the input, the score and label heads, the classes and what the scores are.
    ///
    /// # Errors
    /// When the model has no such shape, with the reason.
    pub fn new(model: Arc<dyn Model>) -> Result<Self, ModelError> {
        let _ = (&model, OutputKind::Logits);
        Err(ModelError::NotClassifier { reason: "the interpreter is not in place".to_owned() })
    }

    /// Holds the inputs that are not numbers at these values: one row, used for every row.
    ///
    /// # Errors
    /// When an input of that name does not exist.
    pub fn with_fixed(mut self, values: Vec<NamedValue>) -> Result<Self, ModelError> {
        self.fixed = values;
        Ok(self)
    }

    /// The shape of one row.
    #[must_use]
    pub fn input_shape(&self) -> &[usize] {
        &self.row
    }

    /// How many classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.names.len()
    }

    /// Their names: those of the file, or their numbers.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.names
    }

    /// What the scores are.
    #[must_use]
    pub fn kind(&self) -> OutputKind {
        self.kind
    }

    /// A score for each class of each row: `[n, classes]`.
    ///
    /// # Errors
    /// As [`Model::infer`]; also when the model gives labels only.
    pub fn scores(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        self.model.input_gradient(x, &mut |scores| scores.clone()).map(|(scores, _)| scores)
    }

    /// The class of each row.
    ///
    /// # Errors
    /// As [`Model::infer`].
    pub fn labels(&self, x: &Tensor) -> Result<Vec<usize>, ModelError> {
        Ok(self.scores(x)?.argmax_rows())
    }

    /// Like [`Model::input_gradient`], on the logits when the graph ends in a softmax or sigmoid, and on the
    /// logarithm of the probabilities when it gives those in another way: saturated probabilities then do
    /// not hide the gradient. The scores handed to `cotangent` and returned are those logits.
    ///
    /// # Errors
    /// As [`Model::input_gradient`].
    pub fn gradient(
        &self,
        x: &Tensor,
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Tensor), ModelError> {
        self.model.input_gradient(x, cotangent)
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Arc<dyn Model> {
        &self.model
    }
}
