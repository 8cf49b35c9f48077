//! Pooling.

use mantlet_kernels::{Axis, Pool2d};
use mantlet_vocab::{Tensor, Value};

use super::conv::Window;
use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::run::{Fail, Run};
use crate::side::{Given, Side};
use crate::values::{like, require_float, singles};

/// `MaxPool`, `AveragePool` and their global forms over one or two spatial axes.
pub(super) enum Pool {
    Max(Window),
    Average { window: Window, count_padding: bool },
    GlobalMax,
    GlobalAverage,
}

/// What is pooled: planes of this size, and how.
struct Plan {
    planes: usize,
    y: Axis,
    x: Axis,
    /// Trailing padding.
    ends: (usize, usize),
    out: Vec<usize>,
}

impl Plan {
    /// Whether one line of windows is much work, so that the clock is looked at after each window.
    fn is_heavy(&self) -> bool {
        self.y.kernel.saturating_mul(self.x.kernel).saturating_mul(self.x.output) > 1 << 22
    }

    fn is_halving(&self) -> bool {
        let half = |axis: &Axis| {
            axis.kernel == 2
                && axis.stride == 2
                && axis.dilation == 1
                && axis.pad_begin == 0
                && axis.output * 2 <= axis.input
        };
        half(&self.y) && half(&self.x)
    }
}

impl Pool {
    fn plan(&self, shape: &[usize]) -> Result<Plan, Fail> {
        let &[n, c, ref spatial @ ..] = shape else {
            return Err(format!("images expected, shape {shape:?} found").into());
        };
        let planes = crate::run::count(&[n, c])?;
        match self {
            Self::Max(window) | Self::Average { window, .. } => {
                let [(y, y_end), (x, x_end)] = window.axes(spatial, None)?;
                let out = Window::shape(n, c, &y, &x, spatial.len());
                Ok(Plan { planes, y, x, ends: (y_end, x_end), out })
            }
            Self::GlobalMax | Self::GlobalAverage => {
                let length = spatial.iter().product::<usize>();
                if length == 0 {
                    return Err("an empty image".into());
                }
                let whole =
                    |input| Axis { input, kernel: input, stride: 1, dilation: 1, pad_begin: 0, output: 1 };
                let mut out = vec![n, c];
                out.extend(spatial.iter().map(|_| 1));
                Ok(Plan { planes, y: whole(1), x: whole(length), ends: (0, 0), out })
            }
        }
    }
}

/// Visits the input indices of one window.
pub(super) fn taps(axis: &Axis, at: usize) -> impl Iterator<Item = usize> + Clone + '_ {
    (0..axis.kernel).filter_map(move |tap| axis.input_at(at, tap))
}

/// The window's length that counts for an average: with padding, what lies inside the padded axis.
fn weight(axis: &Axis, end: usize, at: usize, padding: bool) -> usize {
    if !padding {
        return taps(axis, at).count();
    }
    let limit = axis.pad_begin + axis.input + end;
    (0..axis.kernel).filter(|tap| at * axis.stride + tap * axis.dilation < limit).count()
}

/// 2x2 windows that do not overlap, without branches on the values.
fn max_halving(p: &Plan, x: &[f32], out: &mut [f32], memo: &mut [u32]) {
    let (size, width) = (p.y.input * p.x.input, p.x.input);
    let lines = out.chunks_exact_mut(p.x.output).zip(memo.chunks_exact_mut(p.x.output));
    for (line, (out, memo)) in lines.enumerate() {
        let (plane, base) = (line / p.y.output * size, 2 * (line % p.y.output) * width);
        let (top, bottom) = x[plane + base..plane + base + 2 * width].split_at(width);
        let windows = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
        for (at, ((slot, place), (top, bottom))) in (0..).zip(out.iter_mut().zip(memo).zip(windows)) {
            #[expect(clippy::cast_possible_truncation, reason = "planes are checked to fit u32")]
            let (corner, below) = ((base + 2 * at) as u32, width as u32);
            let (mut best, mut index) = (top[0], corner);
            for (value, own) in
                [(top[1], corner + 1), (bottom[0], corner + below), (bottom[1], corner + below + 1)]
            {
                let wins = (value > best) | value.is_nan();
                best = if wins { value } else { best };
                index = if wins { own } else { index };
            }
            (*slot, *place) = (best, index);
        }
    }
}

fn max_general(
    run: &Run,
    p: &Plan,
    x: &[f32],
    out: &mut Vec<f32>,
    mut memo: Option<&mut Vec<u32>>,
) -> Result<(), Fail> {
    let size = p.y.input * p.x.input;
    for plane in 0..p.planes {
        let source = &x[plane * size..(plane + 1) * size];
        run.tick()?;
        for oy in 0..p.y.output {
            for ox in 0..p.x.output {
                let (mut best, mut place) = (f32::NEG_INFINITY, None);
                for iy in taps(&p.y, oy) {
                    for ix in taps(&p.x, ox) {
                        let value = source[iy * p.x.input + ix];
                        if value > best || value.is_nan() || place.is_none() {
                            (best, place) = (value, Some(iy * p.x.input + ix));
                        }
                    }
                }
                out.push(best);
                if let Some(memo) = memo.as_deref_mut() {
                    memo.push(place.and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX));
                }
                if p.is_heavy() {
                    run.tick()?;
                }
            }
        }
    }
    Ok(())
}

impl Operator for Pool {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        memo: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        let p = self.plan(value.shape())?;
        let x = singles(value)?;
        if u32::try_from(p.y.input.saturating_mul(p.x.input)).is_err() {
            return Err("an image is too large".into());
        }
        let len = crate::run::count(&p.out)?;
        let mut out = run.floats(len)?;
        out.clear();
        match self {
            Self::Max(_) | Self::GlobalMax => {
                run.room(len, 4)?;
                if p.is_halving() && len > 0 {
                    out.resize(len, 0.0);
                    let mut unused = Vec::new();
                    let memo = memo.unwrap_or(&mut unused);
                    memo.resize(len, 0);
                    max_halving(&p, &x, &mut out, memo);
                } else {
                    max_general(run, &p, &x, &mut out, memo)?;
                }
            }
            Self::Average { .. } | Self::GlobalAverage => {
                let padding = matches!(self, Self::Average { count_padding: true, .. });
                let size = p.y.input * p.x.input;
                for plane in 0..p.planes {
                    let source = &x[plane * size..(plane + 1) * size];
                    run.tick()?;
                    for oy in 0..p.y.output {
                        let rows = weight(&p.y, p.ends.0, oy, padding);
                        for ox in 0..p.x.output {
                            let columns = weight(&p.x, p.ends.1, ox, padding);
                            let line = |iy: usize| taps(&p.x, ox).map(move |ix| source[iy * p.x.input + ix]);
                            let sum: f32 = taps(&p.y, oy).flat_map(line).sum();
                            #[expect(clippy::cast_precision_loss, reason = "a count of pixels")]
                            out.push(if rows * columns == 0 { 0.0 } else { sum / (rows * columns) as f32 });
                            if p.is_heavy() {
                                run.tick()?;
                            }
                        }
                    }
                }
            }
        }
        Ok(vec![like(value, Tensor::new(p.out, out)?)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn side(&self, given: &[Given<'_>], _: &[usize]) -> Option<Side> {
        let &[Given::Row(row)] = given else { return None };
        let mut shape = vec![1];
        shape.extend_from_slice(row);
        let p = self.plan(&shape).ok().filter(|p| !p.is_heavy())?;
        let pool = Pool2d { channels: p.planes, y: p.y, x: p.x };
        Some(match self {
            Self::Max(_) | Self::GlobalMax => Side::Largest(pool),
            Self::Average { .. } | Self::GlobalAverage => {
                let padding = matches!(self, Self::Average { count_padding: true, .. });
                let places = (0..p.y.output).flat_map(|oy| (0..p.x.output).map(move |ox| (oy, ox)));
                #[expect(clippy::cast_precision_loss, reason = "a count of pixels")]
                let share = |(oy, ox): (usize, usize)| {
                    let size = weight(&p.y, p.ends.0, oy, padding) * weight(&p.x, p.ends.1, ox, padding);
                    if size == 0 { 0.0 } else { 1.0 / size as f32 }
                };
                Side::Shared(pool, places.map(share).collect())
            }
        })
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let shape = pass.inputs.get(0)?.shape();
        let p = self.plan(shape)?;
        let mut out = run.zeros(shape)?;
        let (size, positions) = (p.y.input * p.x.input, p.y.output * p.x.output);
        if size == 0 || positions == 0 {
            return Ok(vec![Some(out)]);
        }
        let planes = out.data_mut().chunks_exact_mut(size).zip(gradient.data().chunks_exact(positions));
        match self {
            Self::Max(_) | Self::GlobalMax => {
                for ((target, gradient), places) in planes.zip(pass.memo.chunks_exact(positions)) {
                    for (value, &place) in gradient.iter().zip(places) {
                        if let Some(slot) = target.get_mut(place as usize) {
                            *slot += value;
                        }
                    }
                }
            }
            Self::Average { .. } | Self::GlobalAverage => {
                let padding = matches!(self, Self::Average { count_padding: true, .. });
                for (target, gradient) in planes {
                    run.tick()?;
                    for oy in 0..p.y.output {
                        let rows = weight(&p.y, p.ends.0, oy, padding);
                        for ox in 0..p.x.output {
                            let columns = weight(&p.x, p.ends.1, ox, padding);
                            #[expect(clippy::cast_precision_loss, reason = "a count of pixels")]
                            let share = gradient[oy * p.x.output + ox] / (rows * columns).max(1) as f32;
                            for iy in taps(&p.y, oy) {
                                for ix in taps(&p.x, ox) {
                                    target[iy * p.x.input + ix] += share;
                                }
                            }
                        }
                    }
                }
            }
        }
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }
}
