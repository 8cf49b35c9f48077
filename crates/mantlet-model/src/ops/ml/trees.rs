//! Tree ensembles, evaluated exactly: thresholds are those of the file, compared exactly, node by node.

use mantlet_vocab::{Aggregate, Compare, Node, Post, TreeEnsemble, Value};

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

/// Rows taken through one tree before the next: the tree stays in the cache.
const BLOCK: usize = 64;

/// A node without its own allocations. A leaf (no comparison) has the range of its votes in `left..right`.
#[derive(Debug, Clone, Copy)]
struct Flat {
    threshold: f32,
    feature: u32,
    left: u32,
    right: u32,
    compare: Option<Compare>,
    missing_left: bool,
}

/// `TreeEnsembleClassifier`, `TreeEnsembleRegressor` and `TreeEnsemble`.
pub(crate) struct Ensemble {
    trees: TreeEnsemble,
    finish: Finish,
    nodes: Vec<Flat>,
    roots: Vec<u32>,
    votes: Vec<(usize, f32)>,
}

impl Ensemble {
    pub(super) fn new(trees: TreeEnsemble, finish: Finish) -> Result<Self, Fail> {
        let (mut nodes, mut roots, mut votes) = (Vec::new(), Vec::new(), Vec::new());
        let narrow = |at: usize| u32::try_from(at).map_err(|_| Fail::from("the ensemble is too large"));
        for tree in &trees.trees {
            let root = nodes.len();
            roots.push(narrow(root)?);
            for node in &tree.nodes {
                nodes.push(match node {
                    Node::Leaf { votes: own } => {
                        let from = narrow(votes.len())?;
                        votes.extend_from_slice(own);
                        let (left, right) = (from, narrow(votes.len())?);
                        Flat { threshold: 0.0, feature: 0, left, right, compare: None, missing_left: false }
                    }
                    &Node::Split { feature, threshold, compare, left, right, missing_left } => Flat {
                        threshold,
                        feature: narrow(feature)?,
                        left: narrow(root + left)?,
                        right: narrow(root + right)?,
                        compare: Some(compare),
                        missing_left,
                    },
                });
            }
        }
        Ok(Self { trees, finish, nodes, roots, votes })
    }

    /// The votes a row gets from the tree at this root. Single and double precision compare alike: every
    /// `f32` is an `f64`.
    fn leaf<T: Copy + Into<f64>>(&self, root: u32, row: &[T]) -> &[(usize, f32)] {
        let mut node = &self.nodes[root as usize];
        while let Some(compare) = node.compare {
            let v: f64 = row[node.feature as usize].into();
            let threshold = f64::from(node.threshold);
            let holds = match compare {
                Compare::LessOrEqual => v <= threshold,
                Compare::Less => v < threshold,
                Compare::GreaterOrEqual => v >= threshold,
                Compare::Greater => v > threshold,
                Compare::Equal => v == threshold,
                Compare::NotEqual => v != threshold,
            };
            let left = holds || (node.missing_left && v.is_nan());
            node = &self.nodes[if left { node.left } else { node.right } as usize];
        }
        &self.votes[node.left as usize..node.right as usize]
    }

    /// The aggregated votes of a few rows, base values added, before the post-transform.
    fn sums<T: Copy + Into<f64>>(&self, rows: &[T], features: usize, sums: &mut [f64], out: &mut [f32]) {
        let (trees, outputs) = (&self.trees, self.trees.outputs);
        let extreme = matches!(trees.aggregate, Aggregate::Min | Aggregate::Max);
        sums.fill(if extreme { f64::NAN } else { 0.0 });
        for &root in &self.roots {
            for (row, sums) in rows.chunks_exact(features).zip(sums.chunks_exact_mut(outputs)) {
                for &(output, weight) in self.leaf(root, row) {
                    let (slot, weight) = (&mut sums[output], f64::from(weight));
                    *slot = match trees.aggregate {
                        Aggregate::Sum | Aggregate::Average => *slot + weight,
                        Aggregate::Min => slot.min(weight),
                        Aggregate::Max => slot.max(weight),
                    };
                }
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "scores are f32")]
        for (at, (slot, &sum)) in out.iter_mut().zip(sums.iter()).enumerate() {
            let mut sum = if sum.is_nan() { 0.0 } else { sum };
            if trees.aggregate == Aggregate::Average {
                sum /= trees.trees.len().max(1) as f64;
            }
            *slot = (sum + f64::from(trees.base.get(at % outputs).copied().unwrap_or(0.0))) as f32;
        }
    }

    /// The sums of all rows.
    fn all<T: Copy + Into<f64>>(
        &self,
        run: &mut Run,
        x: &[T],
        rows: usize,
        features: usize,
    ) -> Result<Vec<f32>, Fail> {
        let outputs = self.trees.outputs;
        let mut out = run.floats(rows.checked_mul(outputs).ok_or(Fail::Memory)?)?;
        run.room(BLOCK.saturating_mul(outputs), 8)?;
        let mut sums = vec![0.0; BLOCK.min(rows) * outputs];
        if features == 0 || outputs == 0 {
            return Ok(out);
        }
        for (x, out) in x.chunks(BLOCK * features).zip(out.chunks_mut(BLOCK * outputs)) {
            self.sums(x, features, &mut sums[..out.len()], out);
            run.tick()?;
        }
        Ok(out)
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
        let outputs = self.trees.outputs;
        let mut sums = match value {
            Value::F64(t) => self.all(run, t.data(), rows, features)?,
            other => self.all(run, &singles(other)?, rows, features)?,
        };
        let widened =
            matches!(&self.finish, Finish::Classes { labels, .. } if labels.len() == 2 && outputs == 1);
        let columns = if widened { 2 } else { outputs };
        let mut scores = run.zeros(&[rows, columns])?;
        let mut best = Vec::with_capacity(rows);
        for (own, out) in
            sums.chunks_exact_mut(outputs.max(1)).zip(scores.data_mut().chunks_exact_mut(columns.max(1)))
        {
            match &self.finish {
                Finish::Classes { positive, .. } if widened => {
                    let score = own[0];
                    best.push(usize::from(score > if *positive { 0.5 } else { 0.0 }));
                    let pair = match (self.trees.post, *positive) {
                        (Post::Probit, _) => {
                            apply(Post::Probit, own);
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
                    apply(self.trees.post, own);
                    out.copy_from_slice(own);
                }
            }
        }
        run.give(sums);
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
