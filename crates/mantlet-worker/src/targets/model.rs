//! A model file, run in process: scores, labels and gradients.

use std::sync::Arc;

use mantlet_attacks::{Loss, ScoreKind};
use mantlet_model::{Classifier, ModelError, OutputKind};
use mantlet_redteam::{GradientAnswer, Target, TargetError, TargetFacts};
use mantlet_vocab::{Tensor, TreeEnsemble};

/// A classifier in process.
pub struct ModelTarget {
    name: String,
    classifier: Arc<Classifier>,
    no_gradient: Option<String>,
}

impl ModelTarget {
    /// The most rows run at once, which bounds the memory of a question.
    const ROWS: usize = 1_024;

    /// A target over a loaded classifier; `name` is what reports call it.
    #[must_use]
    pub fn new(name: impl Into<String>, classifier: Arc<Classifier>) -> Self {
        let no_gradient = match classifier.model().differentiable() {
            _ if classifier.kind() == OutputKind::LabelOnly => Some("the model gives labels only".to_owned()),
            Ok(()) => None,
            Err(operators) => Some(format!("no gradient through {}", operators.join(", "))),
        };
        Self { name: name.into(), classifier, no_gradient }
    }
}

fn failed(error: &ModelError) -> TargetError {
    TargetError::Failed { reason: error.to_string() }
}

impl Target for ModelTarget {
    fn trees(&self) -> Option<TreeEnsemble> {
        self.classifier.model().trees().cloned()
    }

    fn describe(&self) -> TargetFacts {
        let score_kind = match self.classifier.kind() {
            OutputKind::Logits => Some(ScoreKind::Logits),
            OutputKind::Probabilities => Some(ScoreKind::Probabilities),
            OutputKind::LabelOnly => None,
        };
        TargetFacts {
            name: self.name.clone(),
            input_shape: self.classifier.input_shape().to_vec(),
            classes: Some(self.classifier.classes()).filter(|classes| *classes > 0),
            score_kind,
            scores: score_kind.is_some(),
            no_gradient: self.no_gradient.clone(),
            max_rows: Self::ROWS,
        }
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        self.classifier.labels(rows).map_err(|error| failed(&error))
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        if self.classifier.kind() == OutputKind::LabelOnly {
            return Err(TargetError::Unsupported { reason: "the model gives labels only".to_owned() });
        }
        self.classifier.scores(rows).map_err(|error| failed(&error))
    }

    fn gradient(&mut self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, TargetError> {
        if let Some(reason) = &self.no_gradient {
            return Err(TargetError::Unsupported { reason: reason.clone() });
        }
        let mut losses = Vec::new();
        let (scores, gradient) = self
            .classifier
            .gradient(rows, &mut |scores| {
                let (values, slopes) = loss.evaluate(scores, ScoreKind::Logits);
                losses = values;
                slopes
            })
            .map_err(|error| failed(&error))?;
        Ok(GradientAnswer { scores, loss: losses, gradient })
    }
}
