//! Tree ensembles, evaluated exactly: thresholds are compared in `f32` as the file says, node by node.

use mantlet_vocab::{Aggregate, Compare, Node, Post, Tree, TreeEnsemble, Value};

use super::{Labels, apply, table};
use crate::ops::unary::logistic;
use crate::ops::{Edge, Hint, Inputs, Operator};
use crate::run::{Fail, Run};
use crate::values::singles;

/// What is made of the sums.
pub(crate) enum Finish {
    /// Targets of a regression.
    Targets,
    /// A score for each class, and the best one's label.
    Classes { labels: Labels, positive: bool },
}

/// `TreeEnsembleClassifier`, `TreeEnsembleRegressor` and `TreeEnsemble`.
pub(crate) struct Ensemble {
    pub(super) trees: TreeEnsemble,
    pub(super) finish: Finish,
}

/// The votes a row gets from one tree.
pub(super) fn leaf<'a>(tree: &'a Tree, row: &[f32]) -> &'a [(usize, f32)] {
    let mut at = 0;
    loop {
        match &tree.nodes[at] {
            Node::Leaf { votes } => return votes,
            Node::Split { feature, threshold, compare, left, right, missing_left } => {
                let v = row[*feature];
                let holds = match compare {
                    Compare::LessOrEqual => v <= *threshold,
                    Compare::Less => v < *threshold,
                    Compare::GreaterOrEqual => v >= *threshold,
                    Compare::Greater => v > *threshold,
                    Compare::Equal => v == *threshold,
                    Compare::NotEqual => v != *threshold,
                };
                at = if holds || (*missing_left && v.is_nan()) { *left } else { *right };
            }
        }
    }
}

impl Ensemble {
    /// The aggregated votes of a row, base values added, before the post-transform.
    fn sums(&self, row: &[f32], out: &mut [f32], sums: &mut [f64]) {
        let trees = &self.trees;
        let extreme = matches!(trees.aggregate, Aggregate::Min | Aggregate::Max);
        sums.fill(if extreme { f64::NAN } else { 0.0 });
        for &(output, weight) in trees.trees.iter().flat_map(|tree| leaf(tree, row)) {
            let (slot, weight) = (&mut sums[output], f64::from(weight));
            *slot = match trees.aggregate {
                Aggregate::Sum | Aggregate::Average => *slot + weight,
                Aggregate::Min => slot.min(weight),
                Aggregate::Max => slot.max(weight),
            };
        }
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "scores are f32")]
        for (at, (slot, &sum)) in out.iter_mut().zip(sums.iter()).enumerate() {
            let mut sum = if sum.is_nan() { 0.0 } else { sum };
            if trees.aggregate == Aggregate::Average {
                sum /= trees.trees.len().max(1) as f64;
            }
            *slot = (sum + f64::from(trees.base.get(at).copied().unwrap_or(0.0))) as f32;
        }
    }
}

impl Operator for Ensemble {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (rows, features) = table(value.shape())?;
        if features < self.trees.features {
            return Err(format!("{features} features given, {} expected", self.trees.features).into());
        }
        let x = singles(value)?;
        let outputs = self.trees.outputs;
        let widened =
            matches!(&self.finish, Finish::Classes { labels, .. } if labels.len() == 2 && outputs == 1);
        let columns = if widened { 2 } else { outputs };
        let mut scores = run.zeros(&[rows, columns])?;
        let (mut own, mut sums) = (vec![0.0; outputs], vec![0.0; outputs]);
        let mut best = Vec::with_capacity(rows);
        for row in 0..rows {
            self.sums(&x[row * features..(row + 1) * features], &mut own, &mut sums);
            let out = &mut scores.data_mut()[row * columns..(row + 1) * columns];
            match &self.finish {
                Finish::Classes { positive, .. } if widened => {
                    let score = own[0];
                    best.push(usize::from(score > if *positive { 0.5 } else { 0.0 }));
                    let pair = match (self.trees.post, *positive) {
                        (Post::Probit, _) => {
                            apply(Post::Probit, &mut own);
                            [1.0 - own[0], own[0]]
                        }
                        (_, true) => [1.0 - score, score],
                        (Post::Logistic, false) => [logistic(-score), logistic(score)],
                        (_, false) => [-score, score],
                    };
                    out.copy_from_slice(&pair);
                }
                _ => {
                    let mut top = 0;
                    for (at, &v) in own.iter().enumerate() {
                        if v > own[top] {
                            top = at;
                        }
                    }
                    best.push(top);
                    apply(self.trees.post, &mut own);
                    out.copy_from_slice(&own);
                }
            }
            if row % 64 == 63 {
                run.tick()?;
            }
        }
        Ok(match &self.finish {
            Finish::Targets => vec![Value::F32(scores)],
            Finish::Classes { labels, .. } => vec![labels.pick(&best)?, Value::F32(scores)],
        })
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blocked
    }

    fn hint(&self) -> Hint {
        match &self.finish {
            Finish::Targets => Hint::Regression,
            Finish::Classes { labels, positive } => {
                let sure = *positive
                    || matches!(self.trees.post, Post::Softmax)
                    || (self.trees.outputs == 1 && self.trees.post == Post::Logistic);
                Hint::Classifier(labels.names(), sure.then_some(true))
            }
        }
    }

    fn features(&self) -> Option<usize> {
        Some(self.trees.features)
    }

    fn trees(&self) -> Option<&TreeEnsemble> {
        Some(&self.trees)
    }
}
