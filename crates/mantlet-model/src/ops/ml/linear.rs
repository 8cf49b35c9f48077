//! Linear models, taken apart into a matrix product, a post-transform and a choice of label so that
//! gradients can be taken on the scores before the post-transform.

use mantlet_kernels::Layout;
use mantlet_vocab::{Post, Tensor, Value};

use super::{Labels, apply, table};
use crate::attrs::Attrs;
use crate::ops::matmul::product;
use crate::ops::unary::logistic;
use crate::ops::{Edge, Gradients, Hint, Inputs, Operator, Pass};
use crate::run::{Fail, Run};
use crate::values::singles;

/// `x * coefficients' + intercepts`.
pub(crate) struct Linear {
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    targets: usize,
    features: usize,
    regression: bool,
}

impl Linear {
    pub(crate) fn new(attrs: Attrs<'_>, targets: usize, regression: bool) -> Result<Self, Fail> {
        let coefficients = attrs.floats("coefficients").unwrap_or_default().to_vec();
        let intercepts = attrs.floats("intercepts").unwrap_or_default().to_vec();
        let divides = targets > 0 && coefficients.len().is_multiple_of(targets);
        if !divides || !(intercepts.is_empty() || intercepts.len() == targets) {
            return Err(format!("{} coefficients do not make {targets} scores", coefficients.len()).into());
        }
        let features = coefficients.len() / targets;
        Ok(Self { coefficients, intercepts, targets, features, regression })
    }
}

impl Operator for Linear {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (rows, features) = table(value.shape())?;
        if features != self.features {
            return Err(format!("{features} features given, {} expected", self.features).into());
        }
        let mut out = run.zeros(&[rows, self.targets])?;
        if !self.intercepts.is_empty() {
            out.data_mut()
                .chunks_exact_mut(self.targets)
                .for_each(|row| row.copy_from_slice(&self.intercepts));
        }
        let (x, w) = (singles(value)?, &self.coefficients);
        let (lx, lw) = (Layout::row_major(features), Layout::transposed(features));
        product(run, (rows, features, self.targets), 1.0, &x, lx, w, lw, 1.0, out.data_mut())?;
        Ok(vec![Value::F32(out)])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let mut out = run.zeros(pass.inputs.get(0)?.shape())?;
        let (k, w) = (self.targets, &self.coefficients);
        let (lg, lw) = (Layout::row_major(k), Layout::row_major(self.features));
        let dims = (gradient.rows(), k, self.features);
        product(run, dims, 1.0, gradient.data(), lg, w, lw, 0.0, out.data_mut())?;
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }

    fn hint(&self) -> Hint {
        if self.regression { Hint::Regression } else { Hint::None }
    }

    fn features(&self) -> Option<usize> {
        Some(self.features)
    }
}

/// A post-transform over rows of scores; a single score may be widened to two classes first.
pub(crate) struct PostTransform {
    pub(crate) post: Post,
    /// One score for two classes: the second class's.
    pub(crate) widen: bool,
}

impl Operator for PostTransform {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (rows, columns) = table(value.shape())?;
        let x = singles(value)?;
        if !self.widen {
            let mut out = run.copy(&[rows, columns], &x)?;
            if columns > 0 {
                out.data_mut().chunks_exact_mut(columns).for_each(|row| apply(self.post, row));
            }
            return Ok(vec![Value::F32(out)]);
        }
        let mut out = run.zeros(&[rows, 2])?;
        for (row, &score) in out.data_mut().chunks_exact_mut(2).zip(x.iter()) {
            let pair = match self.post {
                Post::Logistic => [logistic(-score), logistic(score)],
                // ONNX Runtime completes a bare score to a sum of one, whatever its range.
                Post::None => [1.0 - score, score],
                post => {
                    let mut pair = [-score, score];
                    apply(post, &mut pair);
                    pair
                }
            };
            row.copy_from_slice(&pair);
        }
        Ok(vec![Value::F32(out)])
    }

    fn edge(&self, _: usize) -> Edge {
        match self.post {
            Post::None | Post::Softmax | Post::Logistic => Edge::Smooth,
            Post::SoftmaxZero | Post::Probit => Edge::Blocked,
        }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let shape = pass.inputs.get(0)?.shape();
        let y = singles(pass.output(0)?)?;
        let columns = gradient.row_len();
        if columns > 0 {
            for (g, y) in gradient.data_mut().chunks_exact_mut(columns).zip(y.chunks_exact(columns)) {
                match self.post {
                    Post::Logistic => g.iter_mut().zip(y).for_each(|(g, y)| *g *= y * (1.0 - y)),
                    Post::Softmax => {
                        let sum: f32 = g.iter().zip(y).map(|(g, y)| g * y).sum();
                        g.iter_mut().zip(y).for_each(|(g, y)| *g = y * (*g - sum));
                    }
                    _ => {}
                }
            }
        }
        if !self.widen {
            return Ok(vec![Some(gradient.reshape(shape)?)]);
        }
        let mut out = run.zeros(shape)?;
        for (slot, g) in out.data_mut().iter_mut().zip(gradient.data().chunks_exact(2)) {
            *slot = g[1] - g[0];
        }
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }

    fn hint(&self) -> Hint {
        match self.post {
            Post::Softmax => Hint::Probabilities,
            Post::Logistic if self.widen => Hint::Probabilities,
            _ => Hint::None,
        }
    }
}

/// The label of the best score, or of a single score's sign.
pub(crate) struct LabelPick(pub(crate) Labels);

impl Operator for LabelPick {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (rows, columns) = table(value.shape())?;
        run.room(rows, 24)?;
        let scores = Tensor::new([rows, columns], singles(value)?.into_owned())?;
        let picks = if columns == 1 {
            scores.data().iter().map(|&score| usize::from(score > 0.0)).collect()
        } else {
            scores.argmax_rows()
        };
        Ok(vec![self.0.pick(&picks)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blocked
    }

    fn hint(&self) -> Hint {
        Hint::Classifier(self.0.names(), None)
    }
}
