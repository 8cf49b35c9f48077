//! Tree ensembles as exact structures (gradient boosting, random forests).

use serde::{Deserialize, Serialize};

/// How a split compares a feature with its threshold; the left branch is taken when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the comparisons")]
pub enum Compare {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
}

/// A node of a tree; children are indices into [`Tree::nodes`] and always larger than their parent's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Node {
    /// An inner node.
    Split {
        /// Feature index.
        feature: usize,
        /// Threshold, compared in `f32`.
        threshold: f32,
        /// The comparison.
        compare: Compare,
        /// Child when it holds.
        left: usize,
        /// Child when it does not.
        right: usize,
        /// Whether a NaN takes the left branch.
        missing_left: bool,
    },
    /// A leaf: what it adds to which output.
    Leaf {
        /// (output index, weight).
        votes: Vec<(usize, f32)>,
    },
}

/// One tree; node 0 is the root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// How trees are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the operations")]
pub enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// What is applied to the sums (ONNX `post_transform`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the transforms")]
pub enum Post {
    None,
    Softmax,
    SoftmaxZero,
    Logistic,
    Probit,
}

/// An ensemble of trees over numeric features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeEnsemble {
    /// Number of features.
    pub features: usize,
    /// Number of outputs before any binary expansion.
    pub outputs: usize,
    /// The trees.
    pub trees: Vec<Tree>,
    /// Added to each output before `post`; empty means zeros.
    pub base: Vec<f32>,
    /// How trees are combined.
    pub aggregate: Aggregate,
    /// What is applied at the end.
    pub post: Post,
}
