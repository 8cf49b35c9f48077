//! Operators that fold axes: sums, extremes, positions of extremes.

use mantlet_vocab::{Tensor, Value};

use super::broadcast::Broadcast;
use super::{Edge, Gradients, Inputs, Operator, Pass, around, axis};
use crate::run::{Fail, Run};
use crate::values::{dtype, like, require_float, singles};

/// Which fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    L1,
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

/// `ReduceSum` and its kin; axes as attribute or as input 1.
pub(super) struct Reduce {
    pub(super) fold: Fold,
    pub(super) axes: Option<Vec<i64>>,
    pub(super) keep: bool,
    /// No axes means nothing is folded, not everything.
    pub(super) empty_is_none: bool,
}

impl Reduce {
    /// The axes folded, and the shape with them as 1.
    fn axes(&self, inputs: Inputs<'_>) -> Result<(Vec<bool>, Vec<usize>), Fail> {
        let shape = inputs.get(0)?.shape();
        let named = inputs.integers(1)?.or_else(|| self.axes.clone()).unwrap_or_default();
        let mut folded = vec![named.is_empty() && !self.empty_is_none; shape.len()];
        for at in named {
            folded[axis(at, shape.len())?] = true;
        }
        let kept = shape.iter().zip(&folded).map(|(&length, &fold)| if fold { 1 } else { length }).collect();
        Ok((folded, kept))
    }

    fn result(&self, folded: &[bool], kept: Vec<usize>) -> Vec<usize> {
        if self.keep {
            return kept;
        }
        kept.into_iter().zip(folded).filter(|&(_, &fold)| !fold).map(|(length, _)| length).collect()
    }

    fn fold(
        &self,
        run: &mut Run,
        x: &[f32],
        plan: &Broadcast,
        out: &mut [f32],
        count: f32,
    ) -> Result<(), Fail> {
        let start = match self.fold {
            Fold::Max | Fold::LogSumExp => f32::NEG_INFINITY,
            Fold::Min => f32::INFINITY,
            Fold::Prod => 1.0,
            _ => 0.0,
        };
        out.fill(start);
        let step: fn(f32, f32) -> f32 = match self.fold {
            Fold::Sum | Fold::Mean | Fold::LogSum => |sum, v| sum + v,
            Fold::Max | Fold::LogSumExp => |best, v| if v > best || v.is_nan() { v } else { best },
            Fold::Min => |best, v| if v < best || v.is_nan() { v } else { best },
            Fold::Prod => |product, v| product * v,
            Fold::L1 => |sum, v| sum + v.abs(),
            Fold::L2 | Fold::SumSquare => |sum, v| sum + v * v,
        };
        plan.each(|start, io, _, length, so, _| {
            for (i, &v) in x[start..start + length].iter().enumerate() {
                let slot = &mut out[io + i * so];
                *slot = step(*slot, v);
            }
        });
        match self.fold {
            Fold::Mean => out.iter_mut().for_each(|v| *v /= count),
            Fold::L2 => out.iter_mut().for_each(|v| *v = v.sqrt()),
            Fold::LogSum => out.iter_mut().for_each(|v| *v = v.ln()),
            Fold::LogSumExp => {
                let mut sums = run.floats(out.len())?;
                plan.each(|start, io, _, length, so, _| {
                    for (i, &v) in x[start..start + length].iter().enumerate() {
                        let top = out[io + i * so];
                        sums[io + i * so] += if top.is_infinite() { 0.0 } else { (v - top).exp() };
                    }
                });
                for (v, sum) in out.iter_mut().zip(&sums) {
                    if !v.is_infinite() {
                        *v += sum.ln();
                    }
                }
                run.give(sums);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Operator for Reduce {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (folded, kept) = self.axes(inputs)?;
        let plan = Broadcast::new(&kept, value.shape())?;
        #[expect(clippy::cast_precision_loss, reason = "a count of values")]
        let count =
            value.shape().iter().zip(&folded).filter(|&(_, &fold)| fold).map(|(&n, _)| n as f32).product();
        // Shapes are computed with whole numbers: those folds stay exact.
        if let Value::I64(t) = value {
            let mut out = vec![0_i64; run.shape(&kept, 8)?];
            let step: fn(i64, i64) -> i64 = match self.fold {
                Fold::Sum => |sum, v| sum.wrapping_add(v),
                Fold::Prod => |product, v| product.wrapping_mul(v),
                Fold::Max => |best, v| best.max(v),
                Fold::Min => |best, v| best.min(v),
                _ => return Err("not defined for INT64".into()),
            };
            out.fill(match self.fold {
                Fold::Prod => 1,
                Fold::Max => i64::MIN,
                Fold::Min => i64::MAX,
                _ => 0,
            });
            plan.each(|start, io, _, length, so, _| {
                for (i, &v) in t.data()[start..start + length].iter().enumerate() {
                    out[io + i * so] = step(out[io + i * so], v);
                }
            });
            return Ok(vec![Value::I64(Tensor::new(self.result(&folded, kept), out)?)]);
        }
        require_float(value)?;
        let mut out = run.zeros(&kept)?;
        self.fold(run, &singles(value)?, &plan, out.data_mut(), count)?;
        Ok(vec![like(value, out.reshape(self.result(&folded, kept))?)?])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blind }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let value = pass.inputs.get(0)?;
        let (folded, kept) = self.axes(pass.inputs)?;
        let plan = Broadcast::new(&kept, value.shape())?;
        let (x, y, g) = (singles(value)?, singles(pass.output(0)?)?, gradient.data());
        #[expect(clippy::cast_precision_loss, reason = "a count of values")]
        let count: f32 =
            value.shape().iter().zip(&folded).filter(|&(_, &fold)| fold).map(|(&n, _)| n as f32).product();
        let mut out = run.zeros(value.shape())?;
        let target = out.data_mut();
        let mut taken = vec![false; if matches!(self.fold, Fold::Max | Fold::Min) { y.len() } else { 0 }];
        plan.each(|start, io, _, length, so, _| {
            for i in 0..length {
                let (at, o) = (start + i, io + i * so);
                target[at] = g[o]
                    * match self.fold {
                        Fold::Sum => 1.0,
                        Fold::Mean => 1.0 / count,
                        // The first extreme takes the gradient, as in pooling.
                        Fold::Max | Fold::Min => {
                            let first = x[at] == y[o] && !taken[o];
                            taken[o] |= first;
                            f32::from(u8::from(first))
                        }
                        Fold::Prod if x[at] != 0.0 => y[o] / x[at],
                        Fold::Prod => 0.0,
                        Fold::L1 => x[at].signum() * f32::from(u8::from(x[at] != 0.0)),
                        Fold::L2 if y[o] == 0.0 => 0.0,
                        Fold::L2 => x[at] / y[o],
                        Fold::SumSquare => 2.0 * x[at],
                        Fold::LogSum => (-y[o]).exp(),
                        Fold::LogSumExp => (x[at] - y[o]).exp(),
                    };
            }
        });
        if self.fold == Fold::Prod {
            zero_factors(&plan, &x, g, target);
        }
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }
}

/// The gradient of a product with exactly one factor zero goes to that factor alone.
fn zero_factors(plan: &Broadcast, x: &[f32], g: &[f32], target: &mut [f32]) {
    let mut zeros = vec![(0_u32, 1.0_f32); g.len()];
    plan.each(|start, io, _, length, so, _| {
        for i in 0..length {
            let slot = &mut zeros[io + i * so];
            if x[start + i] == 0.0 { slot.0 += 1 } else { slot.1 *= x[start + i] }
        }
    });
    plan.each(|start, io, _, length, so, _| {
        for i in 0..length {
            let (count, rest) = zeros[io + i * so];
            if x[start + i] == 0.0 && count == 1 {
                target[start + i] = g[io + i * so] * rest;
            }
        }
    });
}

/// `ArgMax` and `ArgMin`.
pub(super) struct ArgExtreme {
    pub(super) axis: i64,
    pub(super) keep: bool,
    pub(super) last: bool,
    pub(super) least: bool,
}

impl Operator for ArgExtreme {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let at = axis(self.axis, value.shape().len())?;
        let (outer, length, inner) = around(value.shape(), at);
        if length == 0 {
            return Err("an extreme of nothing".into());
        }
        let x = singles(value)?;
        run.room(outer * inner, 8)?;
        let mut out = Vec::with_capacity(outer * inner);
        for row in 0..outer {
            for column in 0..inner {
                let pick = |index: usize| x[(row * length + index) * inner + column];
                let mut best = 0;
                for index in 1..length {
                    let (new, old) =
                        if self.least { (-pick(index), -pick(best)) } else { (pick(index), pick(best)) };
                    if new > old || (self.last && new == old) {
                        best = index;
                    }
                }
                out.push(i64::try_from(best).unwrap_or(i64::MAX));
            }
        }
        let mut shape = value.shape().to_vec();
        if self.keep {
            shape[at] = 1;
        } else {
            shape.remove(at);
        }
        Ok(vec![Value::I64(Tensor::new(shape, out)?)])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blocked
    }
}

/// `TopK`: the values pass gradients, the indices do not.
pub(super) struct TopK {
    pub(super) axis: i64,
    pub(super) largest: bool,
}

impl Operator for TopK {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        memo: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        if !matches!(value, Value::F32(_) | Value::F64(_)) {
            return Err(format!("not defined for {}", dtype(value)).into());
        }
        let at = axis(self.axis, value.shape().len())?;
        let (outer, length, inner) = around(value.shape(), at);
        let k = inputs.integers(1)?.and_then(|k| k.first().copied()).ok_or("k is missing")?;
        let k = usize::try_from(k).ok().filter(|&k| k <= length);
        let k = k.ok_or_else(|| Fail::Bad(format!("k is outside 0..{length}")))?;
        let x = singles(value)?;
        let mut shape = value.shape().to_vec();
        shape[at] = k;
        let len = run.shape(&shape, 16)?;
        let (mut best, mut places) = (vec![0.0; len], vec![0_i64; len]);
        for row in 0..outer {
            for column in 0..inner {
                let pick = |index: usize| x[(row * length + index) * inner + column];
                let mut order: Vec<usize> = (0..length).collect();
                order.sort_by(|&a, &b| {
                    let by =
                        if self.largest { pick(b).total_cmp(&pick(a)) } else { pick(a).total_cmp(&pick(b)) };
                    by.then(a.cmp(&b))
                });
                for (rank, &index) in order.iter().take(k).enumerate() {
                    let slot = (row * k + rank) * inner + column;
                    best[slot] = pick(index);
                    places[slot] = i64::try_from(index).unwrap_or(i64::MAX);
                }
            }
        }
        if let Some(memo) = memo {
            memo.extend(places.iter().map(|&place| u32::try_from(place).unwrap_or(u32::MAX)));
        }
        Ok(vec![like(value, Tensor::new(shape.clone(), best)?)?, Value::I64(Tensor::new(shape, places)?)])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blind }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let shape = pass.inputs.get(0)?.shape();
        let at = axis(self.axis, shape.len())?;
        let (_, length, inner) = around(shape, at);
        let k = gradient.shape()[at];
        let mut out = run.zeros(shape)?;
        for (slot, (value, &place)) in gradient.data().iter().zip(pass.memo).enumerate() {
            let (row, column) = (slot / (k * inner), slot % inner);
            let index = (row * length + place as usize) * inner + column;
            if let Some(target) = out.data_mut().get_mut(index) {
                *target += value;
            }
        }
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }
}
