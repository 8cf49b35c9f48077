//! Normalisation.

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Gradients, Inputs, Operator, Pass, around, axis};
use crate::run::{Fail, Run};
use crate::side::{Given, Side};
use crate::values::{like, require_float, singles};

/// `BatchNormalization` with the statistics of the file.
pub(super) struct BatchNorm(pub(super) f32);

impl BatchNorm {
    /// The factor and shift of each channel.
    fn line(&self, inputs: Inputs<'_>, channels: usize) -> Result<Vec<(f32, f32)>, Fail> {
        let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|index| inputs.get(index).and_then(singles));
        let (scale, bias, mean, variance) = (scale?, bias?, mean?, variance?);
        if [&scale, &bias, &mean, &variance].iter().any(|list| list.len() != channels) {
            return Err(format!("statistics do not fit {channels} channels").into());
        }
        Ok((0..channels)
            .map(|c| {
                let factor = scale[c] / (variance[c] + self.0).sqrt();
                (factor, bias[c] - mean[c] * factor)
            })
            .collect())
    }
}

impl Operator for BatchNorm {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        let shape = value.shape();
        let channels = shape.get(1).copied().unwrap_or(1);
        let line = self.line(inputs, channels)?;
        let mut out = run.copy(shape, &singles(value)?)?;
        let inner = shape.iter().skip(2).product::<usize>();
        if inner > 0 {
            for (index, plane) in out.data_mut().chunks_exact_mut(inner).enumerate() {
                let (factor, shift) = line[index % channels];
                plane.iter_mut().for_each(|v| *v = *v * factor + shift);
            }
        }
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blocked }
    }

    fn side(&self, given: &[Given<'_>], _: &[usize]) -> Option<Side> {
        let row = given.first()?.row()?;
        let constants: Vec<Option<&Value>> = given.iter().map(|given| given.constant()).collect();
        let channels = row.first().copied()?;
        let line = self.line(Inputs(&constants), channels).ok()?;
        let inner = row.iter().skip(1).product::<usize>();
        let lines = line.into_iter().flat_map(|line| std::iter::repeat_n(line, inner));
        Some(Side::Affine(lines.collect()))
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let channels = gradient.shape().get(1).copied().unwrap_or(1);
        let line = self.line(pass.inputs, channels)?;
        let inner = gradient.shape().iter().skip(2).product::<usize>();
        if inner > 0 {
            for (index, plane) in gradient.data_mut().chunks_exact_mut(inner).enumerate() {
                let factor = line[index % channels].0;
                plane.iter_mut().for_each(|v| *v *= factor);
            }
        }
        Ok(vec![Some(gradient)])
    }
}

/// `LayerNormalization` over the axes from `axis` on, and `InstanceNormalization` over the images.
pub(super) struct Standardise {
    pub(super) axis: i64,
    pub(super) epsilon: f32,
    /// One scale and bias a channel (axis 1) rather than one a normalised value.
    pub(super) channels: bool,
}

impl Standardise {
    fn plan(&self, inputs: Inputs<'_>) -> Result<(usize, usize), Fail> {
        let shape = inputs.get(0)?.shape();
        let at = axis(self.axis, shape.len())?;
        let (outer, length, inner) = around(shape, at);
        let inner = length * inner;
        let affine = if self.channels { shape.get(1).copied().unwrap_or(1) } else { inner };
        for index in [1, 2] {
            if inputs.opt(index).is_some_and(|value| crate::values::len(value) != affine) {
                return Err(format!("scale or bias do not fit {affine} values").into());
            }
        }
        Ok((outer, inner))
    }
}

pub(super) fn moments(row: &[f32]) -> (f32, f32) {
    #[expect(clippy::cast_precision_loss, reason = "a count of values")]
    let share = 1.0 / row.len().max(1) as f32;
    let mean = row.iter().sum::<f32>() * share;
    (mean, row.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() * share)
}

impl Operator for Standardise {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        let (outer, inner) = self.plan(inputs)?;
        let scale = inputs.opt(1).map(singles).transpose()?;
        let bias = inputs.opt(2).map(singles).transpose()?;
        let mut out = run.copy(value.shape(), &singles(value)?)?;
        if outer > 0 && inner > 0 {
            for (row, values) in out.data_mut().chunks_exact_mut(inner).enumerate() {
                let (mean, variance) = moments(values);
                let factor = 1.0 / (variance + self.epsilon).sqrt();
                for (column, v) in values.iter_mut().enumerate() {
                    let pick = |list: &[f32]| list[if self.channels { row % list.len() } else { column }];
                    *v = (*v - mean) * factor * scale.as_deref().map_or(1.0, pick)
                        + bias.as_deref().map_or(0.0, pick);
                }
            }
        }
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blocked }
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let (outer, inner) = self.plan(pass.inputs)?;
        let x = singles(pass.inputs.get(0)?)?;
        let scale = pass.inputs.opt(1).map(singles).transpose()?;
        if outer == 0 || inner == 0 {
            return Ok(vec![Some(gradient)]);
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of values")]
        let share = 1.0 / inner as f32;
        let rows = gradient.data_mut().chunks_exact_mut(inner).zip(x.chunks_exact(inner));
        for (row, (gradient, x)) in rows.enumerate() {
            let (mean, variance) = moments(x);
            let factor = 1.0 / (variance + self.epsilon).sqrt();
            if let Some(scale) = scale.as_deref() {
                for (column, g) in gradient.iter_mut().enumerate() {
                    *g *= scale[if self.channels { row % scale.len() } else { column }];
                }
            }
            let sum = gradient.iter().sum::<f32>() * share;
            let along = gradient.iter().zip(x).map(|(g, x)| g * (x - mean) * factor).sum::<f32>() * share;
            for (g, x) in gradient.iter_mut().zip(x) {
                *g = factor * (*g - sum - (x - mean) * factor * along);
            }
        }
        Ok(vec![Some(gradient)])
    }
}

/// `LpNormalization` along an axis.
pub(super) struct LpNorm {
    pub(super) axis: i64,
    pub(super) squared: bool,
}

impl LpNorm {
    fn norm(&self, values: impl Iterator<Item = f32>) -> f32 {
        if self.squared { values.map(|v| v * v).sum::<f32>().sqrt() } else { values.map(f32::abs).sum() }
    }
}

impl Operator for LpNorm {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        let (_, length, inner) = around(value.shape(), axis(self.axis, value.shape().len())?);
        let mut out = run.copy(value.shape(), &singles(value)?)?;
        if length * inner > 0 {
            for block in out.data_mut().chunks_exact_mut(length * inner) {
                for at in 0..inner {
                    let norm = self.norm(block[at..].iter().step_by(inner).copied());
                    if norm != 0.0 {
                        block[at..].iter_mut().step_by(inner).for_each(|v| *v /= norm);
                    }
                }
            }
        }
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let x = singles(pass.inputs.get(0)?)?;
        let (_, length, inner) = around(gradient.shape(), axis(self.axis, gradient.shape().len())?);
        let block = length * inner;
        if block > 0 {
            for (g, x) in gradient.data_mut().chunks_exact_mut(block).zip(x.chunks_exact(block)) {
                for at in 0..inner {
                    let norm = self.norm(x[at..].iter().step_by(inner).copied());
                    if norm == 0.0 {
                        continue;
                    }
                    let pairs = g[at..].iter().step_by(inner).zip(x[at..].iter().step_by(inner));
                    let along = pairs.map(|(g, x)| g * x).sum::<f32>() / (norm * norm);
                    let pairs = g[at..].iter_mut().step_by(inner).zip(x[at..].iter().step_by(inner));
                    for (g, x) in pairs {
                        let slope = if self.squared { x / norm } else { x.signum() };
                        *g = *g / norm - along * slope;
                    }
                }
            }
        }
        Ok(vec![Some(gradient)])
    }
}
