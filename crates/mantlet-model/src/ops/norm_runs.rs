//! Normalisation by groups, by mean square and across channels.

use mantlet_vocab::{Tensor, Value};

use super::norm::moments;
use super::{Edge, Gradients, Inputs, Operator, Pass, around, axis};
use crate::run::{Fail, Run};
use crate::values::{like, require_float, singles};

/// Normalisation of runs of values that belong together: `GroupNormalization`, `RMSNormalization` and
/// `MeanVarianceNormalization` (with its usual axes).
pub(super) struct Runs {
    pub(super) kind: RunKind,
    pub(super) epsilon: f32,
}

/// What runs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunKind {
    /// So many groups of channels; whether scales are one a channel (from opset 21) or one a group.
    Groups(usize, bool),
    /// The axes from this one on, by their mean square, scaled by one value each.
    Square(i64),
    /// A channel over the whole batch.
    Channel,
}

impl Runs {
    /// Lists the runs, each as its first value, how many stretches it has, their length and their distance.
    fn runs(&self, shape: &[usize]) -> Result<Vec<(usize, usize, usize, usize)>, Fail> {
        Ok(match self.kind {
            RunKind::Groups(groups, _) => {
                let &[n, c, ref rest @ ..] = shape else { return Err("two axes are needed".into()) };
                if groups == 0 || c % groups != 0 {
                    return Err(format!("{c} channels cannot be put in {groups} groups").into());
                }
                let length = c / groups * rest.iter().product::<usize>();
                (0..n * groups).map(|run| (run * length, 1, length, 0)).collect()
            }
            RunKind::Square(along) => {
                let (outer, length, inner) = around(shape, axis(along, shape.len())?);
                (0..outer).map(|run| (run * length * inner, 1, length * inner, 0)).collect()
            }
            RunKind::Channel => {
                let &[n, c, ref rest @ ..] = shape else { return Err("two axes are needed".into()) };
                let inner = rest.iter().product::<usize>();
                (0..c).map(|run| (run * inner, n, inner, c * inner)).collect()
            }
        })
    }

    /// The place of scale and bias of a value.
    fn affine(&self, shape: &[usize], at: usize) -> usize {
        match self.kind {
            RunKind::Groups(groups, each) => {
                let (c, inner) = (shape[1], shape.iter().skip(2).product::<usize>());
                let channel = at / inner.max(1) % c;
                if each { channel } else { channel / (c / groups).max(1) }
            }
            RunKind::Square(along) => {
                let from = axis(along, shape.len()).unwrap_or(0);
                at % shape[from..].iter().product::<usize>().max(1)
            }
            RunKind::Channel => 0,
        }
    }

    fn factors(&self, inputs: Inputs<'_>, shape: &[usize]) -> Result<(Vec<f32>, Vec<f32>), Fail> {
        let list = |index: usize, default: f32| -> Result<Vec<f32>, Fail> {
            Ok(inputs
                .opt(index)
                .map(singles)
                .transpose()?
                .map_or_else(|| vec![default], |list| list.to_vec()))
        };
        let (scale, bias) = (list(1, 1.0)?, list(2, 0.0)?);
        let most = match self.kind {
            RunKind::Groups(groups, each) => {
                if each {
                    shape.get(1).copied().unwrap_or(1)
                } else {
                    groups
                }
            }
            RunKind::Square(along) => shape[axis(along, shape.len())?..].iter().product(),
            RunKind::Channel => 1,
        };
        if [&scale, &bias].iter().any(|list| list.len() != 1 && list.len() != most) {
            return Err(format!("scale or bias do not fit {most} values").into());
        }
        Ok((scale, bias))
    }

    fn centred(&self) -> bool {
        !matches!(self.kind, RunKind::Square(_))
    }
}

fn places(
    (start, stretches, length, apart): (usize, usize, usize, usize),
) -> impl Iterator<Item = usize> + Clone {
    (0..stretches).flat_map(move |stretch| (0..length).map(move |at| start + stretch * apart + at))
}

impl Operator for Runs {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        let shape = value.shape();
        let (scale, bias) = self.factors(inputs, shape)?;
        let mut out = run.copy(shape, &singles(value)?)?;
        for one in self.runs(shape)? {
            let picked: Vec<f32> = places(one).map(|at| out.data()[at]).collect();
            let (mean, factor) = self.standard(&picked);
            for at in places(one) {
                let slot = self.affine(shape, at);
                out.data_mut()[at] =
                    (out.data()[at] - mean) * factor * scale[slot % scale.len()] + bias[slot % bias.len()];
            }
        }
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blocked }
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let value = pass.inputs.get(0)?;
        let (shape, x) = (value.shape(), singles(value)?);
        let (scale, _) = self.factors(pass.inputs, shape)?;
        for one in self.runs(shape)? {
            let picked: Vec<f32> = places(one).map(|at| x[at]).collect();
            let (mean, factor) = self.standard(&picked);
            let slopes: Vec<f32> = places(one)
                .map(|at| gradient.data()[at] * scale[self.affine(shape, at) % scale.len()])
                .collect();
            #[expect(clippy::cast_precision_loss, reason = "a count of values")]
            let share = 1.0 / picked.len().max(1) as f32;
            let normal: Vec<f32> = picked.iter().map(|v| (v - mean) * factor).collect();
            let sum = if self.centred() { slopes.iter().sum::<f32>() * share } else { 0.0 };
            let along = slopes.iter().zip(&normal).map(|(s, v)| s * v).sum::<f32>() * share;
            for ((at, slope), v) in places(one).zip(&slopes).zip(&normal) {
                gradient.data_mut()[at] = factor * (slope - sum - v * along);
            }
        }
        Ok(vec![Some(gradient)])
    }
}

impl Runs {
    /// What is taken off and by what is multiplied.
    fn standard(&self, values: &[f32]) -> (f32, f32) {
        if self.centred() {
            let (mean, variance) = moments(values);
            (mean, 1.0 / (variance + self.epsilon).sqrt())
        } else {
            #[expect(clippy::cast_precision_loss, reason = "a count of values")]
            let square = values.iter().map(|v| v * v).sum::<f32>() / values.len().max(1) as f32;
            (0.0, 1.0 / (square + self.epsilon).sqrt())
        }
    }
}

/// `LRN`: each value over a power of the squares of its neighbours across channels.
pub(super) struct Neighbours {
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) bias: f32,
    pub(super) size: usize,
}

impl Neighbours {
    /// The channels around one, as ONNX counts them.
    fn around(&self, channel: usize, channels: usize) -> std::ops::Range<usize> {
        let before = (self.size - 1) / 2;
        let after = self.size - 1 - before;
        channel.saturating_sub(before)..(channel + after + 1).min(channels)
    }

    /// `bias + alpha / size * squares` of every value.
    fn levels(&self, shape: &[usize], x: &[f32]) -> Result<(Vec<f32>, usize, usize), Fail> {
        let &[_, channels, ref rest @ ..] = shape else { return Err("two axes are needed".into()) };
        let inner = rest.iter().product::<usize>();
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let share = self.alpha / self.size as f32;
        let level = |at: usize| {
            let (plane, place) = (at / inner, at % inner);
            let (image, channel) = (plane / channels, plane % channels);
            let square = |c: usize| x[(image * channels + c) * inner + place].powi(2);
            self.bias + share * self.around(channel, channels).map(square).sum::<f32>()
        };
        Ok(((0..x.len()).map(level).collect(), channels, inner))
    }
}

impl Operator for Neighbours {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        let x = singles(value)?;
        run.room(x.len(), 4)?;
        let (levels, ..) = self.levels(value.shape(), &x)?;
        let mut out = run.copy(value.shape(), &x)?;
        out.data_mut().iter_mut().zip(&levels).for_each(|(value, level)| *value *= level.powf(-self.beta));
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let value = pass.inputs.get(0)?;
        let x = singles(value)?;
        let (levels, channels, inner) = self.levels(value.shape(), &x)?;
        let mut out = run.zeros(value.shape())?;
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let share = 2.0 * self.alpha * self.beta / self.size as f32;
        for (at, slope) in gradient.data().iter().enumerate() {
            let (plane, place) = (at / inner, at % inner);
            let (image, channel) = (plane / channels, plane % channels);
            out.data_mut()[at] += slope * levels[at].powf(-self.beta);
            let pull = slope * x[at] * levels[at].powf(-self.beta - 1.0) * share;
            for c in self.around(channel, channels) {
                let other = (image * channels + c) * inner + place;
                out.data_mut()[other] -= pull * x[other];
            }
        }
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }
}
