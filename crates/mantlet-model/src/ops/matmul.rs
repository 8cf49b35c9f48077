//! Matrix products.

use mantlet_kernels::{Dense, Layout, sgemm};
use mantlet_vocab::{Tensor, Value};

use super::broadcast::{Broadcast, reduce_to};
use super::{Edge, Gradients, Inputs, Operator, Pass, strides};
use crate::run::{Fail, Run, count};
use crate::side::{Given, Side};
use crate::values::{like, require_float, singles};

/// Multiplications after which the clock is looked at.
const STRETCH: usize = 1 << 27;

/// `c = alpha * a * b + beta * c`, in stretches that let the time limit act.
#[expect(clippy::too_many_arguments, reason = "the arguments are those of every gemm")]
pub(super) fn product(
    run: &Run,
    (m, k, n): (usize, usize, usize),
    alpha: f32,
    a: &[f32],
    a_layout: Layout,
    b: &[f32],
    b_layout: Layout,
    beta: f32,
    c: &mut [f32],
) -> Result<(), Fail> {
    if m == 0 || n == 0 || k == 0 {
        return Ok(());
    }
    let work = k.saturating_mul(n);
    let rows = (STRETCH / work.max(1)).clamp(1, m);
    let mut from = 0;
    while from < m {
        let take = rows.min(m - from);
        let (a, c) = (&a[from * a_layout.rows..], &mut c[from * n..]);
        sgemm((take, k, n), alpha, a, a_layout, b, b_layout, beta, c, Layout::row_major(n));
        from += take;
        if work.saturating_mul(take) >= STRETCH / 2 {
            run.tick()?;
        }
    }
    Ok(())
}

/// `Gemm`: `alpha * a' * b' + beta * c`.
pub(super) struct Gemm {
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) transposed: (bool, bool),
}

struct Extent {
    m: usize,
    k: usize,
    n: usize,
    a: Layout,
    b: Layout,
}

impl Gemm {
    fn extent(&self, a: &[usize], b: &[usize]) -> Result<Extent, Fail> {
        let (&[a0, a1], &[b0, b1]) = (a, b) else {
            return Err(format!("matrices expected, shapes {a:?} and {b:?} found").into());
        };
        let (m, k) = if self.transposed.0 { (a1, a0) } else { (a0, a1) };
        let (inner, n) = if self.transposed.1 { (b1, b0) } else { (b0, b1) };
        if k != inner {
            return Err(format!("shapes {a:?} and {b:?} cannot be multiplied").into());
        }
        let layout =
            |flip, columns| if flip { Layout::transposed(columns) } else { Layout::row_major(columns) };
        Ok(Extent { m, k, n, a: layout(self.transposed.0, a1), b: layout(self.transposed.1, b1) })
    }
}

fn flip(layout: Layout) -> Layout {
    Layout { rows: layout.columns, columns: layout.rows }
}

impl Operator for Gemm {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        require_float(a)?;
        require_float(b)?;
        let e = self.extent(a.shape(), b.shape())?;
        let mut out = run.zeros(&[e.m, e.n])?;
        if let Some(c) = inputs.opt(2) {
            let bias = singles(c)?;
            let plan = Broadcast::new(c.shape(), &[e.m, e.n])?;
            if plan.shape != [e.m, e.n] {
                return Err(
                    format!("an addend of shape {:?} does not fit [{}, {}]", c.shape(), e.m, e.n).into()
                );
            }
            let (beta, target) = (self.beta, out.data_mut());
            plan.each(|start, ic, _, length, sc, _| {
                for (i, slot) in target[start..start + length].iter_mut().enumerate() {
                    *slot = beta * bias[ic + i * sc];
                }
            });
        }
        product(run, (e.m, e.k, e.n), self.alpha, &singles(a)?, e.a, &singles(b)?, e.b, 1.0, out.data_mut())?;
        Ok(vec![like(a, out)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let (a, b) = (pass.inputs.get(0)?, pass.inputs.get(1)?);
        let e = self.extent(a.shape(), b.shape())?;
        let mut out = vec![None, None, None];
        let g = Layout::row_major(e.n);
        if pass.wants(0) {
            let mut da = run.zeros(a.shape())?;
            let b = singles(b)?;
            if self.transposed.0 {
                let dims = (e.k, e.n, e.m);
                product(run, dims, self.alpha, &b, e.b, gradient.data(), flip(g), 0.0, da.data_mut())?;
            } else {
                let dims = (e.m, e.n, e.k);
                product(run, dims, self.alpha, gradient.data(), g, &b, flip(e.b), 0.0, da.data_mut())?;
            }
            out[0] = Some(da);
        }
        if pass.wants(1) {
            let mut db = run.zeros(b.shape())?;
            let a = singles(a)?;
            if self.transposed.1 {
                let dims = (e.n, e.m, e.k);
                product(run, dims, self.alpha, gradient.data(), flip(g), &a, e.a, 0.0, db.data_mut())?;
            } else {
                let dims = (e.k, e.m, e.n);
                product(run, dims, self.alpha, &a, flip(e.a), gradient.data(), g, 0.0, db.data_mut())?;
            }
            out[1] = Some(db);
        }
        match (pass.wants(2), pass.inputs.opt(2)) {
            (true, Some(c)) => {
                let mut scaled = gradient;
                scaled.data_mut().iter_mut().for_each(|v| *v *= self.beta);
                out[2] = Some(reduce_to(run, scaled, c.shape())?);
            }
            _ => run.give(gradient.into_data()),
        }
        Ok(out)
    }

    fn flips_weights(&self) -> bool {
        self.transposed.1
    }

    fn side(&self, given: &[Given<'_>], out: &[usize]) -> Option<Side> {
        let (Given::Row(&[k]), Given::Constant(Value::F32(b)), &[n]) = (*given.first()?, *given.get(1)?, out)
        else {
            return None;
        };
        let e = self.extent(&[1, k], b.shape()).ok().filter(|e| !self.transposed.0 && e.n == n)?;
        let bias = match given.get(2) {
            None => None,
            Some(Given::Constant(Value::F32(c))) => {
                let plan = Broadcast::new(c.shape(), &[1, n]).ok().filter(|plan| plan.shape == [1, n])?;
                let mut bias = Vec::with_capacity(n);
                plan.map(c.data(), &vec![0.0_f32; n], &mut bias, |c, _| self.beta * c);
                Some(bias)
            }
            Some(_) => return None,
        };
        let scaled: Vec<f32> = b.data().iter().map(|weight| self.alpha * weight).collect();
        full(&scaled, (e.k, e.n), e.b, bias)
    }
}

/// A full layer for rows side by side, by a matrix of `k` rows and `n` columns.
fn full(weights: &[f32], (k, n): (usize, usize), layout: Layout, bias: Option<Vec<f32>>) -> Option<Side> {
    if k.checked_mul(n)? > STRETCH >> 1 {
        return None;
    }
    let (there, back) = (Dense::new(weights, (n, k), flip(layout))?, Dense::new(weights, (k, n), layout)?);
    Some(Side::Dense { there, back, bias })
}

/// `MatMul`: numpy's rules; leading axes are broadcast.
pub(super) struct MatMul;

struct Batches {
    m: usize,
    k: usize,
    n: usize,
    shape: Vec<usize>,
    /// Start of each product in `a` and `b`, in matrices.
    pairs: Vec<(usize, usize)>,
    a: Vec<usize>,
    b: Vec<usize>,
}

impl MatMul {
    fn plan(run: &mut Run, a: &[usize], b: &[usize]) -> Result<Batches, Fail> {
        let refuse = || Fail::Bad(format!("shapes {a:?} and {b:?} cannot be multiplied"));
        let left = if a.len() == 1 { vec![1, a[0]] } else { a.to_vec() };
        let right = if b.len() == 1 { vec![b[0], 1] } else { b.to_vec() };
        let ([lead_a @ .., m, k], [lead_b @ .., inner, n]) = (&left[..], &right[..]) else {
            return Err(refuse());
        };
        if k != inner {
            return Err(refuse());
        }
        let (m, k, n) = (*m, *k, *n);
        let mut shape;
        let pairs;
        let mut rows = m;
        if lead_b.is_empty() {
            // One matrix on the right: all rows of the left are one tall matrix.
            rows = count(lead_a)?.checked_mul(m).ok_or(Fail::Memory)?;
            shape = lead_a.to_vec();
            pairs = vec![(0, 0)];
        } else {
            let plan = Broadcast::new(lead_a, lead_b)?;
            run.room(plan.len, 16)?;
            let mut list = Vec::with_capacity(plan.len);
            plan.each(|_, ia, ib, length, sa, sb| {
                list.extend((0..length).map(|i| (ia + i * sa, ib + i * sb)))
            });
            shape = plan.shape;
            pairs = list;
        }
        if a.len() > 1 {
            shape.push(m);
        }
        if b.len() > 1 {
            shape.push(n);
        }
        Ok(Batches { m: rows, k, n, shape, pairs, a: left, b: right })
    }
}

impl Operator for MatMul {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        require_float(a)?;
        require_float(b)?;
        let p = Self::plan(run, a.shape(), b.shape())?;
        let mut out = run.zeros(&p.shape)?;
        let (left, right) = (singles(a)?, singles(b)?);
        let (la, lb) = (Layout::row_major(p.k), Layout::row_major(p.n));
        for (index, &(ia, ib)) in p.pairs.iter().enumerate() {
            let (a, b) = (&left[ia * p.m * p.k..], &right[ib * p.k * p.n..]);
            let c = &mut out.data_mut()[index * p.m * p.n..];
            product(run, (p.m, p.k, p.n), 1.0, a, la, b, lb, 0.0, c)?;
        }
        Ok(vec![like(a, out)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn side(&self, given: &[Given<'_>], out: &[usize]) -> Option<Side> {
        let (&[Given::Row(&[k]), Given::Constant(Value::F32(b))], &[n]) = (given, out) else { return None };
        if b.shape() != [k, n] {
            return None;
        }
        full(b.data(), (k, n), Layout::row_major(n), None)
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let (a, b) = (pass.inputs.get(0)?, pass.inputs.get(1)?);
        let p = Self::plan(run, a.shape(), b.shape())?;
        let (left, right) = (singles(a)?, singles(b)?);
        let (la, lb, lg) = (Layout::row_major(p.k), Layout::row_major(p.n), Layout::row_major(p.n));
        let mut da = pass.wants(0).then(|| run.zeros(&p.a)).transpose()?;
        let mut db = pass.wants(1).then(|| run.zeros(&p.b)).transpose()?;
        for (index, &(ia, ib)) in p.pairs.iter().enumerate() {
            let g = &gradient.data()[index * p.m * p.n..];
            if let Some(da) = &mut da {
                let (b, c) = (&right[ib * p.k * p.n..], &mut da.data_mut()[ia * p.m * p.k..]);
                product(run, (p.m, p.n, p.k), 1.0, g, lg, b, flip(lb), 1.0, c)?;
            }
            if let Some(db) = &mut db {
                let (a, c) = (&left[ia * p.m * p.k..], &mut db.data_mut()[ib * p.k * p.n..]);
                product(run, (p.k, p.m, p.n), 1.0, a, flip(la), g, lg, 1.0, c)?;
            }
        }
        run.give(gradient.into_data());
        let own = |gradient: Option<Tensor>, shape: &[usize]| gradient.map(|t| t.reshape(shape)).transpose();
        debug_assert_eq!(strides(&p.a).len(), p.a.len());
        Ok(vec![own(da, a.shape())?, own(db, b.shape())?])
    }
}
