//! Softmax and its logarithm.

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Gradients, Inputs, Operator, Pass, around, axis};
use crate::run::{Fail, Run};
use crate::side::{Given, Side};
use crate::values::{like, require_float, singles};

/// `Softmax` and `LogSoftmax`.
pub(super) struct Softmax {
    pub(super) axis: i64,
    pub(super) log: bool,
    /// Before opset 13: over all axes from `axis` on.
    pub(super) flat: bool,
}

impl Softmax {
    fn around(&self, shape: &[usize]) -> Result<(usize, usize, usize), Fail> {
        if shape.is_empty() {
            return Ok((1, 1, 1));
        }
        let at = axis(self.axis, shape.len())?;
        let (outer, length, inner) = around(shape, at);
        Ok(if self.flat { (outer, length * inner, 1) } else { (outer, length, inner) })
    }
}

/// Softmax of values `stride` apart.
fn softmax(row: &mut [f32], stride: usize, log: bool) {
    let top = row.iter().step_by(stride).copied().fold(f32::NEG_INFINITY, f32::max);
    let top = if top == f32::NEG_INFINITY { 0.0 } else { top };
    let mut sum = 0.0;
    for v in row.iter_mut().step_by(stride) {
        *v -= top;
        if log {
            sum += v.exp();
        } else {
            *v = v.exp();
            sum += *v;
        }
    }
    let shift = sum.ln();
    for v in row.iter_mut().step_by(stride) {
        *v = if log { *v - shift } else { *v / sum };
    }
}

impl Operator for Softmax {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        let (_, length, inner) = self.around(value.shape())?;
        let mut out = run.copy(value.shape(), &singles(value)?)?;
        if length * inner > 0 {
            for block in out.data_mut().chunks_exact_mut(length * inner) {
                (0..inner).for_each(|at| softmax(&mut block[at..], inner, self.log));
            }
        }
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn side(&self, given: &[Given<'_>], _: &[usize]) -> Option<Side> {
        let &[Given::Row(&[_])] = given else { return None };
        let last = self.axis == -1 || self.axis == 1;
        (last && !self.log).then_some(Side::Softmax)
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let y = singles(pass.output(0)?)?;
        let (_, length, inner) = self.around(gradient.shape())?;
        let block = length * inner;
        if block > 0 {
            for (gradient, y) in gradient.data_mut().chunks_exact_mut(block).zip(y.chunks_exact(block)) {
                for at in 0..inner {
                    let pairs = gradient[at..].iter().step_by(inner).zip(y[at..].iter().step_by(inner));
                    let sum: f32 = pairs.map(|(g, y)| if self.log { *g } else { g * y }).sum();
                    let pairs = gradient[at..].iter_mut().step_by(inner).zip(y[at..].iter().step_by(inner));
                    pairs.for_each(|(g, y)| *g = if self.log { *g - y.exp() * sum } else { y * (*g - sum) });
                }
            }
        }
        Ok(vec![Some(gradient)])
    }
}
