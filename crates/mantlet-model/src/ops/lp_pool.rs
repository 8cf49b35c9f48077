//! Pooling by a norm: `LpPool` and `GlobalLpPool`.

use mantlet_kernels::Axis;
use mantlet_vocab::{Tensor, Value};

use super::conv::Window;
use super::pool::taps;
use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::attrs::Attrs;
use crate::run::{Fail, Run, count};
use crate::values::{like, require_float, singles};

/// The norm of each window; of the whole image without one.
pub(super) struct LpPool {
    window: Option<Window>,
    p: i32,
}

struct Plan {
    planes: usize,
    y: Axis,
    x: Axis,
    out: Vec<usize>,
}

impl LpPool {
    pub(super) fn new(attrs: Attrs<'_>, window: Option<Window>) -> Result<Self, Fail> {
        let p = i32::try_from(attrs.int("p", 2)).unwrap_or(0);
        if !(1..=64).contains(&p) {
            return Err(format!("a norm of order {} is not supported", attrs.int("p", 2)).into());
        }
        Ok(Self { window, p })
    }

    fn plan(&self, shape: &[usize]) -> Result<Plan, Fail> {
        let &[n, c, ref spatial @ ..] = shape else {
            return Err(format!("images expected, shape {shape:?} found").into());
        };
        let planes = count(&[n, c])?;
        if let Some(window) = &self.window {
            let [(y, _), (x, _)] = window.axes(spatial, None)?;
            let out = Window::shape(n, c, &y, &x, spatial.len());
            return Ok(Plan { planes, y, x, out });
        }
        let whole = |input| Axis { input, kernel: input, stride: 1, dilation: 1, pad_begin: 0, output: 1 };
        let mut out = vec![n, c];
        out.extend(spatial.iter().map(|_| 1));
        Ok(Plan { planes, y: whole(1), x: whole(count(spatial)?), out })
    }

    /// Visits each window: its plane's first value, its own number, and the places of its taps in the plane.
    fn windows(
        run: &Run,
        plan: &Plan,
        mut visit: impl FnMut(usize, usize, &mut dyn Iterator<Item = usize>),
    ) -> Result<(), Fail> {
        let size = plan.y.input * plan.x.input;
        let mut number = 0;
        for plane in 0..plan.planes {
            for oy in 0..plan.y.output {
                run.tick()?;
                for ox in 0..plan.x.output {
                    let line = |iy: usize| taps(&plan.x, ox).map(move |ix| iy * plan.x.input + ix);
                    visit(plane * size, number, &mut taps(&plan.y, oy).flat_map(line));
                    number += 1;
                }
            }
        }
        Ok(())
    }
}

impl Operator for LpPool {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        let plan = self.plan(value.shape())?;
        let x = singles(value)?;
        let mut out = run.zeros(&plan.out)?;
        let to = out.data_mut();
        #[expect(clippy::cast_precision_loss, reason = "the order of a norm is small")]
        let root = 1.0 / self.p as f32;
        Self::windows(run, &plan, |plane, window, taps| {
            let sum: f32 = taps.map(|tap| x[plane + tap].abs().powi(self.p)).sum();
            to[window] = if self.p == 1 { sum } else { sum.powf(root) };
        })?;
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let value = pass.inputs.get(0)?;
        let plan = self.plan(value.shape())?;
        let (x, y) = (singles(value)?, singles(pass.output(0)?)?);
        let mut out = run.zeros(value.shape())?;
        let (to, slopes) = (out.data_mut(), gradient.data());
        Self::windows(run, &plan, |plane, window, taps| {
            let norm = y[window];
            // At 0 the norm has a corner: no direction is better than another.
            if norm > 0.0 {
                for tap in taps {
                    let at = x[plane + tap];
                    let share = (at.abs() / norm).powi(self.p - 1);
                    if at != 0.0 {
                        to[plane + tap] += slopes[window] * share * at.signum();
                    }
                }
            }
        })?;
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }
}
