//! Convolution in one and two dimensions.

use mantlet_kernels::{Axis, Conv2d, Direct, LANES, Layout, col2im, im2col};
use mantlet_vocab::{Tensor, Value};

use super::matmul::product;
use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::attrs::Attrs;
use crate::run::{Fail, Run, count};
use crate::side::{Given, Side};
use crate::values::{like, require_float, singles};

/// Values of the column matrix worked on at once: it stays in the second-level cache.
const COLUMNS: usize = 48 * 1024;

/// Images from which on they are worked on side by side, without columns.
const SIDE_BY_SIDE: usize = 6;
/// Values of scratch memory above which they are not: one image fills the cache then.
const SCRATCH: usize = 1 << 20;

/// Multiplications of one row above which rows are not put side by side.
const STRETCH: usize = 1 << 26;

/// The window attributes convolution and pooling share.
#[derive(Debug, Clone)]
pub(super) struct Window {
    kernel: Option<Vec<usize>>,
    strides: Option<Vec<usize>>,
    dilations: Option<Vec<usize>>,
    pads: Option<Vec<usize>>,
    auto: String,
    ceil: bool,
}

impl Window {
    pub(super) fn new(attrs: Attrs<'_>) -> Result<Self, Fail> {
        let auto = attrs.text("auto_pad").unwrap_or_else(|| "NOTSET".to_owned());
        if !["", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"].contains(&auto.as_str()) {
            return Err(format!("auto_pad `{auto}` does not exist").into());
        }
        let window = Self {
            kernel: attrs.sizes("kernel_shape")?,
            strides: attrs.sizes("strides")?,
            dilations: attrs.sizes("dilations")?,
            pads: attrs.sizes("pads")?,
            auto,
            ceil: attrs.flag("ceil_mode"),
        };
        let zero = |list: &Option<Vec<usize>>| list.as_ref().is_some_and(|list| list.contains(&0));
        if zero(&window.kernel) || zero(&window.strides) || zero(&window.dilations) {
            return Err("kernel, stride or dilation of 0".into());
        }
        Ok(window)
    }

    /// The vertical and horizontal axis, the trailing padding of each, for an input and kernel of one or two
    /// spatial axes.
    pub(super) fn axes(&self, input: &[usize], kernel: Option<&[usize]>) -> Result<[(Axis, usize); 2], Fail> {
        let rank = input.len();
        let kernel = kernel.or(self.kernel.as_deref()).ok_or("kernel_shape is missing")?;
        if !(1..=2).contains(&rank) || kernel.len() != rank {
            return Err(format!(
                "one or two spatial axes are supported, {rank} found with kernel {kernel:?}"
            )
            .into());
        }
        if self.kernel.as_ref().is_some_and(|own| own != kernel) {
            return Err("kernel_shape contradicts the weights".into());
        }
        let pick = |list: &Option<Vec<usize>>, index: usize, default| match list {
            None => Ok(default),
            Some(list) => list.get(index).copied().ok_or_else(|| Fail::from("an attribute is too short")),
        };
        let mut axes = Vec::with_capacity(2);
        if rank == 1 {
            let one = Axis { input: 1, kernel: 1, stride: 1, dilation: 1, pad_begin: 0, output: 1 };
            axes.push((one, 0));
        }
        for index in 0..rank {
            let (length, taps) = (input[index], kernel[index]);
            let stride = pick(&self.strides, index, 1)?;
            let dilation = pick(&self.dilations, index, 1)?;
            let span =
                (taps - 1).checked_mul(dilation).and_then(|span| span.checked_add(1)).ok_or(Fail::Memory)?;
            let (begin, end, output) = match self.auto.as_str() {
                "SAME_UPPER" | "SAME_LOWER" => {
                    let output = length.div_ceil(stride);
                    let need =
                        (output.saturating_sub(1) * stride).saturating_add(span).saturating_sub(length);
                    let less = need / 2;
                    let begin = if self.auto == "SAME_UPPER" { less } else { need - less };
                    (begin, need - begin, output)
                }
                auto => {
                    let valid = auto == "VALID";
                    let begin = if valid { 0 } else { pick(&self.pads, index, 0)? };
                    let end = if valid { 0 } else { pick(&self.pads, index + rank, 0)? };
                    let room =
                        length.checked_add(begin).and_then(|sum| sum.checked_add(end)).ok_or(Fail::Memory)?;
                    let slack = room
                        .checked_sub(span)
                        .ok_or_else(|| Fail::Bad(format!("a window of {span} exceeds an axis of {room}")))?;
                    let mut output = if self.ceil { slack.div_ceil(stride) } else { slack / stride } + 1;
                    // A window that would start in the trailing padding is left out.
                    if self.ceil && (output - 1) * stride >= length + begin {
                        output -= 1;
                    }
                    (begin, end, output)
                }
            };
            let axis = Axis { input: length, kernel: taps, stride, dilation, pad_begin: begin, output };
            axes.push((axis, end));
        }
        match axes[..] {
            [y, x] => Ok([y, x]),
            _ => Err("two axes expected".into()),
        }
    }

    /// The result's shape for `[n, channels, ..]`, with one spatial axis dropped again if it was added.
    pub(super) fn shape(n: usize, channels: usize, y: &Axis, x: &Axis, rank: usize) -> Vec<usize> {
        if rank == 1 { vec![n, channels, x.output] } else { vec![n, channels, y.output, x.output] }
    }
}

/// `Conv`.
pub(super) struct Conv {
    window: Window,
    groups: usize,
}

/// One convolution's geometry.
struct Plan {
    n: usize,
    /// Channels of the input and the result.
    c: usize,
    m: usize,
    groups: usize,
    shape: Conv2d,
    out: Vec<usize>,
}

impl Plan {
    fn channels(&self) -> usize {
        self.m / self.groups
    }

    /// Images worked on at once.
    fn chunk(&self) -> usize {
        (COLUMNS / (self.shape.window() * self.shape.positions()).max(1)).clamp(1, self.n.max(1))
    }

    /// The kernel that needs no columns, where it serves: forwards, or backwards for gradients.
    fn side_by_side(&self, weights: &[f32], back: bool) -> Option<Direct> {
        // A window of one value is a matrix product already.
        if self.groups > 1 || self.n < SIDE_BY_SIDE || self.direct() {
            return None;
        }
        let make = if back { Direct::transposed } else { Direct::new };
        make(&self.shape, weights, self.m).filter(|direct| direct.scratch() <= SCRATCH)
    }

    /// Whether the columns are the image itself.
    fn direct(&self) -> bool {
        let plain = |axis: &Axis| axis.kernel == 1 && axis.stride == 1 && axis.output == axis.input;
        plain(&self.shape.y) && plain(&self.shape.x)
    }
}

impl Conv {
    pub(super) fn new(attrs: Attrs<'_>) -> Result<Self, Fail> {
        let groups = usize::try_from(attrs.int("group", 1)).ok().filter(|&groups| groups > 0);
        Ok(Self { window: Window::new(attrs)?, groups: groups.ok_or("a group count below 1")? })
    }

    fn plan(&self, x: &[usize], w: &[usize]) -> Result<Plan, Fail> {
        let refuse =
            || Fail::Bad(format!("input {x:?} does not fit weights {w:?} in {} groups", self.groups));
        let ([n, c, spatial @ ..], [m, depth, kernel @ ..]) = (x, w) else { return Err(refuse()) };
        let fits = depth.checked_mul(self.groups) == Some(*c) && m % self.groups == 0;
        if !fits || spatial.len() != kernel.len() || kernel.contains(&0) || *depth == 0 {
            return Err(refuse());
        }
        let [(y, _), (h, _)] = self.window.axes(spatial, Some(kernel))?;
        let out = Window::shape(*n, *m, &y, &h, spatial.len());
        let shape = Conv2d { channels: *depth, y, x: h };
        count(&[*depth, y.kernel, h.kernel, y.output, h.output])?;
        Ok(Plan { n: *n, c: *c, m: *m, groups: self.groups, shape, out })
    }
}

impl Operator for Conv {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let (x, w) = (inputs.get(0)?, inputs.get(1)?);
        require_float(x)?;
        let p = self.plan(x.shape(), w.shape())?;
        // Every value is written below.
        let mut out = Tensor::new(p.out.clone(), run.scratch(count(&p.out)?)?)?;
        let (image, weights) = (singles(x)?, singles(w)?);
        let bias = inputs.opt(2).map(singles).transpose()?;
        if bias.as_ref().is_some_and(|bias| bias.len() != p.m) {
            return Err(format!("{} biases for {} channels", bias.map_or(0, |b| b.len()), p.m).into());
        }
        let (window, positions, plane) = (p.shape.window(), p.shape.positions(), p.shape.image());
        let (channels, chunk) = (p.channels(), p.chunk());
        if out.data().is_empty() {
            return Ok(vec![like(x, out)?]);
        }
        if let Some(direct) = p.side_by_side(&weights, false) {
            let mut scratch = run.floats(direct.scratch())?;
            let each = p.m * positions;
            for first in (0..p.n).step_by(LANES) {
                let from = (&image[first * plane..], plane);
                let to = (&mut out.data_mut()[first * each..], each);
                direct.run(from, to, LANES.min(p.n - first), bias.as_deref(), &mut scratch);
                run.tick()?;
            }
            run.give(scratch);
            return Ok(vec![like(x, out)?]);
        }
        let (mut columns, mut result) = if p.direct() {
            (Vec::new(), Vec::new())
        } else {
            (run.scratch(window * chunk * positions)?, run.scratch(channels * chunk * positions)?)
        };
        for first in (0..p.n).step_by(chunk) {
            let images = chunk.min(p.n - first);
            let width = images * positions;
            for group in 0..p.groups {
                let kernel = &weights[group * channels * window..];
                let dims = (channels, window, width);
                if p.direct() {
                    for image_index in first..first + images {
                        let source = &image[(image_index * p.groups + group) * plane..];
                        let target =
                            &mut out.data_mut()[(image_index * p.m + group * channels) * positions..];
                        let (lw, lp) = (Layout::row_major(window), Layout::row_major(positions));
                        product(
                            run,
                            (channels, window, positions),
                            1.0,
                            kernel,
                            lw,
                            source,
                            lp,
                            0.0,
                            target,
                        )?;
                    }
                    continue;
                }
                for index in 0..images {
                    let source = &image[((first + index) * p.groups + group) * plane..];
                    im2col(&p.shape, source, &mut columns, width, index * positions);
                }
                let (lw, lp) = (Layout::row_major(window), Layout::row_major(width));
                product(run, dims, 1.0, kernel, lw, &columns, lp, 0.0, &mut result)?;
                for index in 0..images {
                    for channel in 0..channels {
                        let from = channel * width + index * positions;
                        let to = ((first + index) * p.m + group * channels + channel) * positions;
                        out.data_mut()[to..to + positions].copy_from_slice(&result[from..from + positions]);
                    }
                }
            }
            run.tick()?;
        }
        if let Some(bias) = bias {
            for (index, plane) in out.data_mut().chunks_exact_mut(positions).enumerate() {
                let shift = bias[index % p.m];
                plane.iter_mut().for_each(|slot| *slot += shift);
            }
        }
        run.give(columns);
        run.give(result);
        Ok(vec![like(x, out)?])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blocked }
    }

    fn side(&self, given: &[Given<'_>], _: &[usize]) -> Option<Side> {
        let (Given::Row(row), Given::Constant(Value::F32(w))) = (given.first()?, given.get(1)?) else {
            return None;
        };
        let mut shape = vec![1];
        shape.extend_from_slice(row);
        let p = self.plan(&shape, w.shape()).ok().filter(|p| p.groups == 1)?;
        let bias = match given.get(2) {
            None => None,
            Some(Given::Constant(Value::F32(bias))) if bias.data().len() == p.m => Some(bias.data().to_vec()),
            Some(_) => return None,
        };
        // Between two looks at the clock.
        let work = p.shape.window().checked_mul(p.shape.positions())?.checked_mul(p.m)?;
        let there = Direct::new(&p.shape, w.data(), p.m).filter(|_| work < STRETCH)?;
        Some(Side::Conv { there, back: Direct::transposed(&p.shape, w.data(), p.m)?, bias })
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let (x, w) = (pass.inputs.get(0)?, pass.inputs.get(1)?);
        let p = self.plan(x.shape(), w.shape())?;
        let weights = singles(w)?;
        let (window, positions, plane) = (p.shape.window(), p.shape.positions(), p.shape.image());
        if let Some(direct) = p.side_by_side(&weights, true).filter(|_| !gradient.data().is_empty()) {
            let mut out = Tensor::new(x.shape(), run.scratch(count(x.shape())?)?)?;
            let mut scratch = run.floats(direct.scratch())?;
            let each = p.m * positions;
            for first in (0..p.n).step_by(LANES) {
                let from = (&gradient.data()[first * each..], each);
                let to = (&mut out.data_mut()[first * plane..], plane);
                direct.run(from, to, LANES.min(p.n - first), None, &mut scratch);
                run.tick()?;
            }
            run.give(scratch);
            run.give(gradient.into_data());
            return Ok(vec![Some(out)]);
        }
        let mut out = run.zeros(x.shape())?;
        let (channels, chunk) = (p.channels(), p.chunk());
        if gradient.data().is_empty() || out.data().is_empty() {
            return Ok(vec![Some(out)]);
        }
        let mut columns = run.scratch(window * chunk * positions)?;
        let mut packed = run.scratch(channels * chunk * positions)?;
        for first in (0..p.n).step_by(chunk) {
            let images = chunk.min(p.n - first);
            let width = images * positions;
            for group in 0..p.groups {
                let kernel = &weights[group * channels * window..];
                for index in 0..images {
                    for channel in 0..channels {
                        let to = channel * width + index * positions;
                        let from = ((first + index) * p.m + group * channels + channel) * positions;
                        packed[to..to + positions].copy_from_slice(&gradient.data()[from..from + positions]);
                    }
                }
                let (lw, lp) = (Layout::transposed(window), Layout::row_major(width));
                product(run, (window, channels, width), 1.0, kernel, lw, &packed, lp, 0.0, &mut columns)?;
                for index in 0..images {
                    let target = &mut out.data_mut()[((first + index) * p.groups + group) * plane..];
                    col2im(&p.shape, &mut columns, width, index * positions, target);
                }
            }
            run.tick()?;
        }
        run.give(columns);
        run.give(packed);
        run.give(gradient.into_data());
        debug_assert_eq!(p.c, p.groups * p.shape.channels);
        Ok(vec![Some(out)])
    }
}
