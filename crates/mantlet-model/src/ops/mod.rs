//! The operators: what each computes and how gradients pass through it.

mod attend;
mod binary;
mod broadcast;
mod conv;
mod deconv;
mod einsum;
mod index;
mod lattice;
mod layout;
mod logic;
mod lp_pool;
mod marks;
mod matmul;
pub(crate) mod ml;
mod norm;
mod norm_runs;
mod pool;
mod quantise;
mod recurrent;
mod reduce;
mod registry;
mod rotary;
mod scatter;
mod shapes;
mod softmax;
mod unary;
mod weave;

use mantlet_vocab::{Tensor, TreeEnsemble, Value};

pub(crate) use registry::{Part, lower};

use crate::run::{Fail, Run};
use crate::side::{Given, Side};
use crate::values;

/// How a gradient passes from an output to one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// It passes.
    Smooth,
    /// The input decides shapes, indices or branches: its gradient is zero by nature.
    Blind,
    /// The operator quantises or has no derivative here: a gradient would mislead or is not built.
    Blocked,
}

/// What an operator tells about itself to those who look for the heads of a classifier.
#[derive(Debug, Clone, Default)]
pub(crate) enum Hint {
    /// Nothing.
    #[default]
    None,
    /// The values pass unchanged: reshapes, casts, identity.
    Through,
    /// A map from these classes to scores; the scores pass.
    Classes(Vec<String>),
    /// Output 0 is the label among these classes, output 1 a score for each; whether those are
    /// probabilities, when the attributes tell.
    Classifier(Vec<String>, Option<bool>),
    /// Scores made probabilities: rows sum to one. Input 0 has their logits.
    Probabilities,
    /// A number for each row that is no class score.
    Regression,
}

/// The inputs that reached a node; absent optional ones are `None`.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a>(pub(crate) &'a [Option<&'a Value>]);

impl<'a> Inputs<'a> {
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    pub(crate) fn opt(self, index: usize) -> Option<&'a Value> {
        self.0.get(index).copied().flatten()
    }

    pub(crate) fn get(self, index: usize) -> Result<&'a Value, Fail> {
        self.opt(index).ok_or_else(|| Fail::Bad(format!("input {index} is missing")))
    }

    /// All inputs, none of them absent.
    pub(crate) fn all(self) -> Result<Vec<&'a Value>, Fail> {
        (0..self.len()).map(|index| self.get(index)).collect()
    }

    /// Whole numbers of an optional input.
    pub(crate) fn integers(self, index: usize) -> Result<Option<Vec<i64>>, Fail> {
        self.opt(index).map(values::integers).transpose()
    }
}

/// A node's forward pass, looked back upon.
pub(crate) struct Pass<'a> {
    pub(crate) inputs: Inputs<'a>,
    pub(crate) outputs: &'a [Option<&'a Value>],
    pub(crate) memo: &'a [u32],
    /// Which inputs a gradient is asked for.
    pub(crate) wants: &'a [bool],
}

impl<'a> Pass<'a> {
    pub(crate) fn output(&self, index: usize) -> Result<&'a Value, Fail> {
        self.outputs
            .get(index)
            .copied()
            .flatten()
            .ok_or_else(|| Fail::Bad(format!("output {index} is missing")))
    }

    pub(crate) fn wants(&self, index: usize) -> bool {
        self.wants.get(index).copied().unwrap_or(false)
    }
}

/// The gradients of the inputs, in order; shorter is padded with `None`.
pub(crate) type Gradients = Vec<Option<Tensor>>;

/// One operator with its attributes.
pub(crate) trait Operator: Send + Sync {
    /// Computes the outputs. `memo`, when given, takes what the backward pass wants to remember.
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        memo: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail>;

    /// How gradients pass to input `index`.
    fn edge(&self, index: usize) -> Edge;

    /// Whether gradients come back from output `index`; true beyond the first only for operators that implement
    /// [`Operator::backward_all`].
    fn returns(&self, index: usize) -> bool {
        index == 0
    }

    /// The gradient of each wanted input, given the gradient of output 0. Called only when an edge is
    /// [`Edge::Smooth`]; operators with several smooth outputs implement [`Operator::backward_all`].
    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let _ = (run, pass, gradient);
        Err("no gradient is defined here".into())
    }

    /// As [`Operator::backward`], given the gradients of all outputs.
    fn backward_all(&self, run: &mut Run, pass: &Pass<'_>, gradients: Gradients) -> Result<Gradients, Fail> {
        match gradients.into_iter().next().flatten() {
            Some(gradient) => self.backward(run, pass, gradient),
            None => Ok(Vec::new()),
        }
    }

    /// The same work on rows side by side, given what reaches it and the shape of one row of the result; where there is
    /// no such form, or no need of one, `None`.
    fn side(&self, given: &[Given<'_>], out: &[usize]) -> Option<Side> {
        let _ = (given, out);
        None
    }

    /// A function of each value, for operators whose form is [`Side::Each`].
    fn each(&self, x: &[f32], to: &mut [f32]) {
        let _ = (x, to);
    }

    /// Its gradient: the slope at argument and result times the gradient of the result.
    fn each_back(&self, at: (&[f32], &[f32]), gradient: &[f32], to: &mut [f32]) {
        let _ = (at, gradient, to);
    }

    /// What it tells about classifier heads.
    fn hint(&self) -> Hint {
        Hint::None
    }

    /// Values in one row of input 0, when the operator's constants decide it.
    fn features(&self) -> Option<usize> {
        None
    }

    /// Whether its weights are multiplied as their transpose.
    fn flips_weights(&self) -> bool {
        false
    }

    /// The tree ensemble, when it is one.
    fn trees(&self) -> Option<&TreeEnsemble> {
        None
    }
}

/// The index of an axis that may count from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, Fail> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let index = if axis < 0 { axis.checked_add(signed) } else { Some(axis) };
    index
        .filter(|&index| (0..signed).contains(&index))
        .and_then(|index| usize::try_from(index).ok())
        .ok_or_else(|| Fail::Bad(format!("axis {axis} does not exist in {rank} axes")))
}

/// `(outer, length, inner)` of a shape around an axis.
pub(crate) fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

/// Distances between neighbours along each axis of a row-major tensor.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; shape.len()];
    for index in (1..shape.len()).rev() {
        strides[index - 1] = strides[index].saturating_mul(shape[index]);
    }
    strides
}
