//! `ConvTranspose` in one and two dimensions: a convolution read backwards.

use mantlet_kernels::{Axis, Conv2d, Layout, col2im, im2col};
use mantlet_vocab::{Tensor, Value};

use super::matmul::product;
use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::attrs::Attrs;
use crate::run::{Fail, Run, count};
use crate::values::{like, require_float, singles};

/// The operator.
pub(super) struct ConvTranspose {
    strides: Option<Vec<usize>>,
    dilations: Option<Vec<usize>>,
    pads: Option<Vec<usize>>,
    more: Option<Vec<usize>>,
    groups: usize,
}

struct Plan {
    n: usize,
    groups: usize,
    /// Channels of the input and of the result, of one group.
    c: usize,
    m: usize,
    /// The convolution from the result to the input.
    shape: Conv2d,
    out: Vec<usize>,
}

impl ConvTranspose {
    pub(super) fn new(attrs: Attrs<'_>) -> Result<Self, Fail> {
        if attrs.has("output_shape") || !matches!(attrs.text("auto_pad").as_deref(), None | Some("NOTSET")) {
            return Err("output_shape and auto_pad are not supported".into());
        }
        let groups = usize::try_from(attrs.int("group", 1)).ok().filter(|&groups| groups > 0);
        let sizes = |name| attrs.sizes(name);
        let strides = sizes("strides")?;
        let dilations = sizes("dilations")?;
        if [&strides, &dilations].iter().any(|list| list.as_ref().is_some_and(|list| list.contains(&0))) {
            return Err("stride or dilation of 0".into());
        }
        let groups = groups.ok_or("a group count below 1")?;
        Ok(Self { strides, dilations, pads: sizes("pads")?, more: sizes("output_padding")?, groups })
    }

    fn plan(&self, x: &[usize], w: &[usize]) -> Result<Plan, Fail> {
        let refuse =
            || Fail::Bad(format!("input {x:?} does not fit weights {w:?} in {} groups", self.groups));
        let ([n, c, spatial @ ..], [depth, m, kernel @ ..]) = (x, w) else { return Err(refuse()) };
        let rank = spatial.len();
        if c != depth || c % self.groups != 0 || rank != kernel.len() || !(1..=2).contains(&rank) {
            return Err(refuse());
        }
        if kernel.contains(&0) || spatial.contains(&0) {
            return Err(refuse());
        }
        let pick = |list: &Option<Vec<usize>>, index: usize, default: usize| {
            list.as_ref().map_or(Some(default), |list| list.get(index).copied()).ok_or_else(refuse)
        };
        let mut axes = Vec::new();
        if rank == 1 {
            axes.push(Axis { input: 1, kernel: 1, stride: 1, dilation: 1, pad_begin: 0, output: 1 });
        }
        for at in 0..rank {
            let (stride, dilation) = (pick(&self.strides, at, 1)?, pick(&self.dilations, at, 1)?);
            let (begin, end) = (pick(&self.pads, at, 0)?, pick(&self.pads, at + rank, 0)?);
            let more = pick(&self.more, at, 0)?;
            let length = stride
                .checked_mul(spatial[at] - 1)
                .and_then(|sum| sum.checked_add(more))
                .and_then(|sum| dilation.checked_mul(kernel[at] - 1)?.checked_add(sum)?.checked_add(1))
                .and_then(|sum| sum.checked_sub(begin.checked_add(end)?))
                .filter(|length| *length > 0)
                .ok_or_else(refuse)?;
            axes.push(Axis {
                input: length,
                kernel: kernel[at],
                stride,
                dilation,
                pad_begin: begin,
                output: spatial[at],
            });
        }
        let &[y, h] = &axes[..] else { return Err(refuse()) };
        let mut out = vec![*n, m.checked_mul(self.groups).ok_or(Fail::Memory)?];
        out.extend(axes[2 - rank..].iter().map(|axis| axis.input));
        count(&out)?;
        let shape = Conv2d { channels: *m, y, x: h };
        count(&[*m, y.kernel, h.kernel, y.output, h.output])?;
        Ok(Plan { n: *n, groups: self.groups, c: c / self.groups, m: *m, shape, out })
    }
}

impl Operator for ConvTranspose {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let (x, w) = (inputs.get(0)?, inputs.get(1)?);
        require_float(x)?;
        let p = self.plan(x.shape(), w.shape())?;
        let (image, weights) = (singles(x)?, singles(w)?);
        let (window, positions, plane) = (p.shape.window(), p.shape.positions(), p.shape.image());
        let mut out = run.zeros(&p.out)?;
        let mut columns = run.scratch(window * positions)?;
        let bias = inputs.opt(2).map(singles).transpose()?;
        if bias.as_ref().is_some_and(|bias| bias.len() != p.m * p.groups) {
            return Err("biases do not fit the channels".into());
        }
        for index in 0..p.n * p.groups {
            let group = index % p.groups;
            let source = &image[index * p.c * positions..];
            let kernel = &weights[group * p.c * window..];
            let (lw, lp) = (Layout::transposed(window), Layout::row_major(positions));
            product(run, (window, p.c, positions), 1.0, kernel, lw, source, lp, 0.0, &mut columns)?;
            let target = &mut out.data_mut()[index * plane..(index + 1) * plane];
            col2im(&p.shape, &mut columns, positions, 0, target);
            run.tick()?;
        }
        run.give(columns);
        if let Some(bias) = bias {
            let area = p.shape.y.input * p.shape.x.input;
            for (at, plane) in out.data_mut().chunks_exact_mut(area).enumerate() {
                let shift = bias[at % (p.m * p.groups)];
                plane.iter_mut().for_each(|value| *value += shift);
            }
        }
        Ok(vec![like(x, out)?])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blocked }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let (x, w) = (pass.inputs.get(0)?, pass.inputs.get(1)?);
        let p = self.plan(x.shape(), w.shape())?;
        let weights = singles(w)?;
        let (window, positions, plane) = (p.shape.window(), p.shape.positions(), p.shape.image());
        let mut out = run.zeros(x.shape())?;
        let mut columns = run.scratch(window * positions)?;
        for index in 0..p.n * p.groups {
            let group = index % p.groups;
            let source = &gradient.data()[index * plane..(index + 1) * plane];
            im2col(&p.shape, source, &mut columns, positions, 0);
            let kernel = &weights[group * p.c * window..];
            let target = &mut out.data_mut()[index * p.c * positions..(index + 1) * p.c * positions];
            let (lw, lp) = (Layout::row_major(window), Layout::row_major(positions));
            product(run, (p.c, window, positions), 1.0, kernel, lw, &columns, lp, 0.0, target)?;
            run.tick()?;
        }
        run.give(columns);
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }
}
