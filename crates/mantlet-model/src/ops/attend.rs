//! Scaled products of queries and keys over values: the fused attention of opset 23 and later.
//!
//! The weights are worked out again on the way back: keeping them would cost a matrix a head.

use mantlet_kernels::Layout;
use mantlet_vocab::{Tensor, Value};

use super::matmul::product;
use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::attrs::Attrs;
use crate::run::{Fail, Run, count};
use crate::values::{like, require_float, singles};

/// `Attention` without a cache of earlier keys.
pub(super) struct Attend {
    /// Heads of queries and of keys, when they are packed in the last axis.
    heads: Option<(usize, usize)>,
    causal: bool,
    scale: Option<f32>,
    softcap: f32,
}

/// One of the three operands: rows of `width` values, for each batch and head.
#[derive(Clone, Copy)]
struct Rows {
    heads: usize,
    length: usize,
    width: usize,
    packed: bool,
}

impl Rows {
    /// Where the rows of this batch and head start, and how far they stand apart.
    fn at(self, batch: usize, head: usize) -> (usize, usize) {
        if self.packed {
            let apart = self.heads * self.width;
            (batch * self.length * apart + head * self.width, apart)
        } else {
            ((batch * self.heads + head) * self.length * self.width, self.width)
        }
    }

    /// The rows of this batch and head, one after the other.
    fn take(self, from: &[f32], batch: usize, head: usize, into: &mut Vec<f32>) {
        into.clear();
        let (start, apart) = self.at(batch, head);
        for row in 0..self.length {
            into.extend_from_slice(&from[start + row * apart..][..self.width]);
        }
    }

    /// Adds rows to where they belong.
    fn add(self, to: &mut [f32], batch: usize, head: usize, rows: &[f32]) {
        let (start, apart) = self.at(batch, head);
        for (row, values) in rows.chunks_exact(self.width.max(1)).enumerate() {
            for (slot, value) in to[start + row * apart..].iter_mut().zip(values) {
                *slot += value;
            }
        }
    }

    fn shape(self, batches: usize) -> Vec<usize> {
        if self.packed {
            vec![batches, self.length, self.heads * self.width]
        } else {
            vec![batches, self.heads, self.length, self.width]
        }
    }
}

/// What is multiplied with what.
struct Plan {
    batches: usize,
    q: Rows,
    k: Rows,
    v: Rows,
    scale: f32,
    /// For each axis of batch, head, query and key the step in the mask; 0 where it is widened.
    mask: [usize; 4],
}

/// Which places of the mask are open, or what it adds.
enum Mask<'a> {
    Open(&'a [bool]),
    Add(std::borrow::Cow<'a, [f32]>),
}

impl Attend {
    pub(super) fn new(attrs: Attrs<'_>) -> Result<Self, Fail> {
        if (1..4).any(|output| attrs.gives(output)) {
            return Err("attention that gives its keys, values or weights is not supported".into());
        }
        let later = attrs.node.input.iter().skip(4).any(|name| !name.is_empty());
        if later {
            return Err("attention over kept keys or lengths without padding is not supported".into());
        }
        let number = |name: &str| usize::try_from(attrs.int(name, 0)).unwrap_or(0);
        let heads = (number("q_num_heads"), number("kv_num_heads"));
        Ok(Self {
            heads: (heads.0 > 0 && heads.1 > 0).then_some(heads),
            causal: attrs.flag("is_causal"),
            scale: attrs.has("scale").then(|| attrs.float("scale", 1.0)),
            softcap: attrs.float("softcap", 0.0),
        })
    }

    fn rows(&self, shape: &[usize], queries: bool) -> Result<(usize, Rows), Fail> {
        match (shape, self.heads) {
            (&[n, heads, length, width], _) => Ok((n, Rows { heads, length, width, packed: false })),
            (&[n, length, all], Some(heads)) => {
                let heads = if queries { heads.0 } else { heads.1 };
                if all % heads != 0 {
                    return Err(format!("{all} values are no {heads} heads").into());
                }
                Ok((n, Rows { heads, length, width: all / heads, packed: true }))
            }
            _ => Err(format!("heads are not told for shape {shape:?}").into()),
        }
    }

    fn plan(&self, inputs: Inputs<'_>) -> Result<Plan, Fail> {
        let shape = |index| Ok::<_, Fail>(inputs.get(index)?.shape().to_vec());
        let (batches, q) = self.rows(&shape(0)?, true)?;
        let (k_batches, k) = self.rows(&shape(1)?, false)?;
        let (v_batches, v) = self.rows(&shape(2)?, false)?;
        let fits = k_batches == batches
            && v_batches == batches
            && q.width == k.width
            && k.length == v.length
            && k.heads == v.heads
            && k.heads > 0
            && q.heads % k.heads == 0
            && q.packed == k.packed
            && q.packed == v.packed;
        if !fits {
            return Err("queries, keys and values do not fit each other".into());
        }
        let mut mask = [0; 4];
        if let Some(value) = inputs.opt(3) {
            let shape = value.shape();
            let whole = [batches, q.heads, q.length, k.length];
            let mut step = 1;
            for (at, &length) in shape.iter().rev().enumerate() {
                let axis = 3_usize.checked_sub(at).ok_or("a mask of more than four axes")?;
                if length == whole[axis] {
                    mask[axis] = step;
                } else if length != 1 {
                    return Err(format!("a mask of shape {shape:?} does not fit {whole:?}").into());
                }
                step *= length;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "the width of a head")]
        let usual = 1.0 / (q.width.max(1) as f32).sqrt();
        Ok(Plan { batches, q, k, v, scale: self.scale.unwrap_or(usual), mask })
    }

    /// The weights of one head, a row a query; `bent`, when asked for, takes the slope of the cap.
    #[expect(clippy::too_many_arguments, reason = "one head of three operands")]
    fn weights(
        &self,
        run: &Run,
        plan: &Plan,
        (batch, head): (usize, usize),
        q: &[f32],
        k: &[f32],
        mask: Option<&Mask<'_>>,
        out: &mut [f32],
        mut bent: Option<&mut [f32]>,
    ) -> Result<(), Fail> {
        let (rows, keys, width) = (plan.q.length, plan.k.length, plan.q.width);
        let (left, right) = (Layout::row_major(width), Layout::transposed(width));
        out.fill(0.0);
        product(run, (rows, width, keys), plan.scale, q, left, k, right, 0.0, out)?;
        let [by_batch, by_head, by_row, by_key] = plan.mask;
        for (row, line) in out.chunks_exact_mut(keys.max(1)).enumerate() {
            let start = batch * by_batch + head * by_head + row * by_row;
            for (key, score) in line.iter_mut().enumerate() {
                if self.softcap > 0.0 {
                    let flat = (*score / self.softcap).tanh();
                    if let Some(bent) = bent.as_deref_mut() {
                        bent[row * keys + key] = 1.0 - flat * flat;
                    }
                    *score = flat * self.softcap;
                }
                let closed = match mask {
                    Some(Mask::Open(open)) => !open[start + key * by_key],
                    Some(Mask::Add(add)) => {
                        *score += add[start + key * by_key];
                        false
                    }
                    None => false,
                };
                if closed || (self.causal && key > row) {
                    *score = f32::NEG_INFINITY;
                }
            }
            let most = line.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            if most == f32::NEG_INFINITY {
                // A query that may look at nothing gets nothing.
                line.fill(0.0);
                continue;
            }
            let mut sum = 0.0;
            for score in line.iter_mut() {
                *score = (*score - most).exp();
                sum += *score;
            }
            line.iter_mut().for_each(|weight| *weight /= sum);
        }
        Ok(())
    }
}

fn mask_of(value: Option<&Value>) -> Result<Option<Mask<'_>>, Fail> {
    Ok(match value {
        None => None,
        Some(Value::Bool(open)) => Some(Mask::Open(open.data())),
        Some(value) => {
            require_float(value)?;
            Some(Mask::Add(singles(value)?))
        }
    })
}

impl Operator for Attend {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let plan = self.plan(inputs)?;
        let mask = mask_of(inputs.opt(3))?;
        let value = inputs.get(0)?;
        require_float(value)?;
        let (q, k, v) = (singles(value)?, singles(inputs.get(1)?)?, singles(inputs.get(2)?)?);
        let out = Rows { width: plan.v.width, ..plan.q };
        let mut result = run.zeros(&out.shape(plan.batches))?;
        let mut weights = run.floats(count(&[plan.q.length, plan.k.length])?)?;
        let mut part = run.floats(count(&[out.length, out.width])?)?;
        run.room(plan.q.length.saturating_mul(plan.q.width), 4)?;
        run.room(plan.k.length.saturating_mul(plan.k.width + plan.v.width), 4)?;
        let (mut own, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let groups = plan.q.heads / plan.k.heads;
        for batch in 0..plan.batches {
            for head in 0..plan.q.heads {
                run.tick()?;
                plan.q.take(&q, batch, head, &mut own);
                plan.k.take(&k, batch, head / groups, &mut keys);
                plan.v.take(&v, batch, head / groups, &mut values);
                self.weights(run, &plan, (batch, head), &own, &keys, mask.as_ref(), &mut weights, None)?;
                let shape = (plan.q.length, plan.k.length, plan.v.width);
                let (left, right) = (Layout::row_major(plan.k.length), Layout::row_major(plan.v.width));
                product(run, shape, 1.0, &weights, left, &values, right, 0.0, &mut part)?;
                out.add(result.data_mut(), batch, head, &part);
            }
        }
        run.give(weights);
        run.give(part);
        Ok(vec![like(value, result)?])
    }

    fn edge(&self, index: usize) -> Edge {
        if index < 3 { Edge::Smooth } else { Edge::Blocked }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let plan = self.plan(pass.inputs)?;
        let mask = mask_of(pass.inputs.opt(3))?;
        let get = |index| singles(pass.inputs.get(index)?);
        let (q, k, v) = (get(0)?, get(1)?, get(2)?);
        let (rows, keys, width, deep) = (plan.q.length, plan.k.length, plan.q.width, plan.v.width);
        let out = Rows { width: deep, ..plan.q };
        let mut to_q = run.zeros(pass.inputs.get(0)?.shape())?;
        let mut to_k = run.zeros(pass.inputs.get(1)?.shape())?;
        let mut to_v = run.zeros(pass.inputs.get(2)?.shape())?;
        let square = count(&[rows, keys])?;
        let (mut weights, mut slopes) = (run.floats(square)?, run.floats(square)?);
        let mut bent = run.floats(if self.softcap > 0.0 { square } else { 0 })?;
        let largest = count(&[rows.max(keys), width.max(deep)])?;
        let mut part = run.floats(largest)?;
        run.room(largest, 16)?;
        let (mut own, mut key_rows, mut value_rows, mut from) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let groups = plan.q.heads / plan.k.heads;
        let (by_keys, by_width, by_deep) =
            (Layout::row_major(keys), Layout::row_major(width), Layout::row_major(deep));
        for batch in 0..plan.batches {
            for head in 0..plan.q.heads {
                run.tick()?;
                plan.q.take(&q, batch, head, &mut own);
                plan.k.take(&k, batch, head / groups, &mut key_rows);
                plan.v.take(&v, batch, head / groups, &mut value_rows);
                out.take(gradient.data(), batch, head, &mut from);
                let cap = (self.softcap > 0.0).then_some(&mut bent[..]);
                self.weights(run, &plan, (batch, head), &own, &key_rows, mask.as_ref(), &mut weights, cap)?;
                let flipped = Layout::transposed(keys);
                product(run, (keys, rows, deep), 1.0, &weights, flipped, &from, by_deep, 0.0, &mut part)?;
                plan.v.add(to_v.data_mut(), batch, head / groups, &part[..keys * deep]);
                let across = Layout::transposed(deep);
                product(run, (rows, deep, keys), 1.0, &from, by_deep, &value_rows, across, 0.0, &mut slopes)?;
                let lines = slopes.chunks_exact_mut(keys.max(1)).zip(weights.chunks_exact(keys.max(1)));
                for (row, (slope, weight)) in lines.enumerate() {
                    let mean: f32 = slope.iter().zip(weight).map(|(s, w)| s * w).sum();
                    for (at, (slope, weight)) in slope.iter_mut().zip(weight).enumerate() {
                        *slope = weight * (*slope - mean);
                        if let Some(cap) = bent.get(row * keys + at) {
                            *slope *= cap;
                        }
                    }
                }
                let scale = plan.scale;
                product(
                    run,
                    (rows, keys, width),
                    scale,
                    &slopes,
                    by_keys,
                    &key_rows,
                    by_width,
                    0.0,
                    &mut part,
                )?;
                plan.q.add(to_q.data_mut(), batch, head, &part[..rows * width]);
                product(run, (keys, rows, width), scale, &slopes, flipped, &own, by_width, 0.0, &mut part)?;
                plan.k.add(to_k.data_mut(), batch, head / groups, &part[..keys * width]);
            }
        }
        for buffer in [weights, slopes, bent, part, gradient.into_data()] {
            run.give(buffer);
        }
        Ok(vec![Some(to_q), Some(to_k), Some(to_v)])
    }
}
