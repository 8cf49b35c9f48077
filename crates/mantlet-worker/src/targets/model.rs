//! A model file, run in process: scores, labels and gradients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mantlet_attacks::{Loss, ScoreKind};
use mantlet_model::{Classifier, ModelError, OutputKind};
use mantlet_redteam::{GradientAnswer, Target, TargetError, TargetFacts, labels_of};
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
        // Another engine than the interpreter is told wherever the target is named.
        let engine = classifier.model().engine().map(|engine| format!(" by {engine}"));
        let name = name.into() + engine.as_deref().unwrap_or_default();
        Self { name, classifier, no_gradient }
    }
}

/// Rows run together: a whole number of the kernels' blocks that stays in the cache, the same on every machine, so
/// that answers do not depend on how many cores there are.
const BLOCK: usize = 32;
/// Work of one block, in microseconds, above which the others are shared out over the cores.
const WORTH: u128 = 300;

/// Runs blocks of rows, over all cores where that is worth it, and gives the results in order.
fn blocks<T: Send>(
    rows: &Tensor,
    run: impl Fn(&Tensor, std::ops::Range<usize>) -> Result<T, ModelError> + Sync,
) -> Result<Vec<T>, ModelError> {
    let count = rows.rows();
    let block = |index: usize| {
        let range = index * BLOCK..((index + 1) * BLOCK).min(count);
        let indices: Vec<usize> = range.clone().collect();
        run(&rows.select(&indices), range)
    };
    let total = count.div_ceil(BLOCK);
    if total <= 1 {
        return Ok(vec![run(rows, 0..count)?]);
    }
    let begin = Instant::now();
    let mut done = vec![block(0)?];
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(total - 1);
    if cores < 2 || begin.elapsed().as_micros() < WORTH {
        for index in 1..total {
            done.push(block(index)?);
        }
        return Ok(done);
    }
    let next = AtomicUsize::new(1);
    let work = || {
        let mut own = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= total {
                return own;
            }
            own.push((index, block(index)));
        }
    };
    let mut rest = std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            match other.join() {
                Ok(own) => all.extend(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    rest.sort_by_key(|(index, _)| *index);
    for (_, result) in rest {
        done.push(result?);
    }
    Ok(done)
}

/// Puts the rows of several tensors under each other.
fn stack(parts: Vec<Tensor>) -> Result<Tensor, ModelError> {
    let mut shape = parts.first().map(|part| part.shape().to_vec()).unwrap_or_default();
    if let Some(rows) = shape.first_mut() {
        *rows = parts.iter().map(Tensor::rows).sum();
    }
    let data = parts.into_iter().flat_map(Tensor::into_data).collect();
    Ok(Tensor::new(shape, data)?)
}

fn failed(error: &ModelError) -> TargetError {
    TargetError::Failed { reason: error.to_string() }
}

impl Target for ModelTarget {
    fn trees(&self) -> Option<TreeEnsemble> {
        self.classifier.model().trees().cloned()
    }

    fn last_weights(&self) -> Option<Tensor> {
        self.classifier.model().last_layer().map(|(_, weights)| weights)
    }

    fn margins(&mut self, low: &Tensor, high: &Tensor, labels: &[usize]) -> Result<Vec<f32>, TargetError> {
        let parts = blocks(low, |part, range| {
            let rows: Vec<usize> = range.clone().collect();
            self.classifier.margins(part, &high.select(&rows), &labels[range])
        });
        parts
            .map(|parts| parts.concat())
            .map_err(|error| TargetError::Unsupported { reason: error.to_string() })
    }

    fn activations(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        if self.classifier.model().last_layer().is_none() {
            let reason = "the model has no last layer of weights".to_owned();
            return Err(TargetError::Unsupported { reason });
        }
        blocks(rows, |part, _| self.classifier.last_activations(part))
            .and_then(stack)
            .map_err(|error| failed(&error))
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
        if self.classifier.kind() == OutputKind::LabelOnly || self.classifier.says_labels() {
            let labels =
                blocks(rows, |part, _| self.classifier.labels(part)).map_err(|error| failed(&error))?;
            return Ok(labels.concat());
        }
        labels_of(&self.scores(rows)?)
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        if self.classifier.kind() == OutputKind::LabelOnly {
            return Err(TargetError::Unsupported { reason: "the model gives labels only".to_owned() });
        }
        blocks(rows, |part, _| self.classifier.scores(part)).and_then(stack).map_err(|error| failed(&error))
    }

    fn gradient(&mut self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, TargetError> {
        if let Some(reason) = &self.no_gradient {
            return Err(TargetError::Unsupported { reason: reason.clone() });
        }
        let parts = blocks(rows, |part, range| {
            let (own, mut losses) = (loss.select(range), Vec::new());
            let (scores, gradient) = self.classifier.gradient(part, &mut |scores| {
                let (values, slopes) = own.evaluate(scores, ScoreKind::Logits);
                losses = values;
                slopes
            })?;
            Ok((scores, gradient, losses))
        })
        .map_err(|error| failed(&error))?;
        let (mut scores, mut gradients, mut losses) = (Vec::new(), Vec::new(), Vec::new());
        for (own_scores, own_gradient, own_losses) in parts {
            scores.push(own_scores);
            gradients.push(own_gradient);
            losses.extend(own_losses);
        }
        let scores = stack(scores).map_err(|error| failed(&error))?;
        let gradient = stack(gradients).map_err(|error| failed(&error))?;
        Ok(GradientAnswer { scores, loss: losses, gradient })
    }
}
