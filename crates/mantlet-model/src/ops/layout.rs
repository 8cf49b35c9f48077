//! Operators that rename or rearrange values: reshapes, transposes, slices, pads, joins.

use mantlet_vocab::{Tensor, Value};

use super::lattice::Lattice;
use super::{Edge, Gradients, Hint, Inputs, Operator, Pass, axis, strides};
use crate::run::{Fail, Run, count};
use crate::values::{self, dtype, same_type, width};

/// Operators that keep the values and change the shape.
pub(super) enum Shape {
    Identity,
    /// Ones for every value.
    Dropout,
    /// With the attribute before opset 5, and whether 0 means 0.
    Reshape(Option<Vec<i64>>, bool),
    Flatten(i64),
    Squeeze(Option<Vec<i64>>),
    Unsqueeze(Option<Vec<i64>>),
}

impl Shape {
    fn target(&self, inputs: Inputs<'_>) -> Result<Vec<usize>, Fail> {
        let shape = inputs.get(0)?.shape();
        let rank = shape.len();
        Ok(match self {
            Self::Identity | Self::Dropout => shape.to_vec(),
            Self::Reshape(attribute, literal) => {
                let wanted = inputs.integers(1)?.or_else(|| attribute.clone());
                reshaped(shape, &wanted.ok_or("the new shape is missing")?, *literal)?
            }
            Self::Flatten(at) => {
                let at = if *at == i64::try_from(rank).unwrap_or(0) { rank } else { axis(*at, rank.max(1))? };
                vec![count(&shape[..at.min(rank)])?, count(&shape[at.min(rank)..])?]
            }
            Self::Squeeze(attribute) => {
                let axes = inputs.integers(1)?.or_else(|| attribute.clone());
                let dropped: Vec<usize> = match axes {
                    Some(axes) => axes.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?,
                    None => (0..rank).filter(|&at| shape[at] == 1).collect(),
                };
                if let Some(&at) = dropped.iter().find(|&&at| shape[at] != 1) {
                    return Err(format!("axis {at} has length {}", shape[at]).into());
                }
                (0..rank).filter(|at| !dropped.contains(at)).map(|at| shape[at]).collect()
            }
            Self::Unsqueeze(attribute) => {
                let axes = inputs.integers(1)?.or_else(|| attribute.clone()).ok_or("the axes are missing")?;
                if axes.len() > 64 {
                    return Err("more than 64 axes".into());
                }
                let full = rank + axes.len();
                let added: Vec<usize> = axes.iter().map(|&at| axis(at, full)).collect::<Result<_, _>>()?;
                let mut old = shape.iter();
                let pick = |at| if added.contains(&at) { Some(1) } else { old.next().copied() };
                (0..full).map(pick).collect::<Option<_>>().ok_or("an axis is named twice")?
            }
        })
    }
}

fn reshaped(shape: &[usize], wanted: &[i64], literal: bool) -> Result<Vec<usize>, Fail> {
    let refuse = || Fail::Bad(format!("shape {shape:?} cannot become {wanted:?}"));
    let mut target = Vec::with_capacity(wanted.len());
    let mut free = None;
    for (index, &length) in wanted.iter().enumerate() {
        target.push(match length {
            -1 if free.is_none() => {
                free = Some(index);
                1
            }
            0 if !literal => *shape.get(index).ok_or_else(refuse)?,
            other => usize::try_from(other).map_err(|_| refuse())?,
        });
    }
    if let Some(index) = free {
        let rest = count(&target)?;
        let total = count(shape)?;
        target[index] = total.checked_div(rest).unwrap_or(0);
    }
    if count(&target)? == count(shape)? { Ok(target) } else { Err(refuse()) }
}

impl Operator for Shape {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let target = self.target(inputs)?;
        let mask = matches!(self, Self::Dropout).then(|| vec![true; values::len(value)]);
        let out = if let Value::F32(t) = value {
            Value::F32(run.copy(&target, t.data())?)
        } else {
            run.room(values::bytes(value), 1)?;
            same_type!(value, t => Tensor::new(target.clone(), t.data().to_vec())?)
        };
        Ok(match mask {
            Some(mask) => vec![out, Value::Bool(Tensor::new(target, mask)?)],
            None => vec![out],
        })
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blind }
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        Ok(vec![Some(gradient.reshape(pass.inputs.get(0)?.shape())?)])
    }

    fn hint(&self) -> Hint {
        Hint::Through
    }
}

/// Starts, ends and axes of a slice.
pub(super) type Bounds = (Vec<i64>, Vec<i64>, Option<Vec<i64>>);

/// Operators whose source is found axis by axis.
pub(super) enum Rearrange {
    Transpose(Option<Vec<i64>>),
    /// Starts, ends, axes (attributes before opset 10).
    Slice(Option<Bounds>),
    Expand,
    Tile,
    Pad {
        mode: String,
        pads: Option<Vec<i64>>,
        value: f32,
    },
}

impl Rearrange {
    /// For each output axis, the offsets in the source.
    fn tables(&self, run: &mut Run, inputs: Inputs<'_>) -> Result<Vec<Vec<Option<usize>>>, Fail> {
        let shape = inputs.get(0)?.shape();
        let rank = shape.len();
        let step = strides(shape);
        let straight = |at: usize| (0..shape[at]).map(|index| Some(index * step[at])).collect::<Vec<_>>();
        let mut table =
            |len: usize, source: &dyn Fn(usize) -> Option<usize>| -> Result<Vec<Option<usize>>, Fail> {
                run.room(len, 16)?;
                Ok((0..len).map(source).collect())
            };
        match self {
            Self::Transpose(order) => {
                let order: Vec<usize> = match order {
                    Some(order) => order.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?,
                    None => (0..rank).rev().collect(),
                };
                if order.len() != rank || (0..rank).any(|at| !order.contains(&at)) {
                    return Err(format!("{order:?} does not order {rank} axes").into());
                }
                Ok(order.into_iter().map(straight).collect())
            }
            Self::Slice(attributes) => {
                let mut tables: Vec<_> = (0..rank).map(straight).collect();
                let missing = || Fail::Bad("starts or ends are missing".to_owned());
                let (starts, ends, axes, steps) = match attributes {
                    Some((starts, ends, axes)) => (starts.clone(), ends.clone(), axes.clone(), None),
                    None => (
                        inputs.integers(1)?.ok_or_else(missing)?,
                        inputs.integers(2)?.ok_or_else(missing)?,
                        inputs.integers(3)?,
                        inputs.integers(4)?,
                    ),
                };
                for (index, (&start, &end)) in starts.iter().zip(&ends).enumerate() {
                    let default = i64::try_from(index).unwrap_or(i64::MAX);
                    let named = axes.as_ref().map_or(Some(default), |axes| axes.get(index).copied());
                    let at = axis(named.ok_or_else(missing)?, rank)?;
                    let stride = steps.as_ref().and_then(|steps| steps.get(index).copied()).unwrap_or(1);
                    tables[at] = slice(shape[at], start, end, stride)?
                        .into_iter()
                        .map(|index| Some(index * step[at]))
                        .collect();
                }
                Ok(tables)
            }
            Self::Expand => {
                let wanted = inputs.integers(1)?.ok_or("the shape is missing")?;
                let wanted = wanted.iter().map(|&v| usize::try_from(v)).collect::<Result<Vec<_>, _>>();
                let wanted = wanted.map_err(|_| Fail::from("negative length"))?;
                let plan = super::broadcast::Broadcast::new(shape, &wanted)?;
                let skip = plan.shape.len() - rank;
                let mut tables = Vec::with_capacity(plan.shape.len());
                for (at, &len) in plan.shape.iter().enumerate() {
                    let own = at.checked_sub(skip).filter(|&own| shape[own] != 1);
                    tables.push(table(len, &|index| Some(own.map_or(0, |own| index * step[own])))?);
                }
                Ok(tables)
            }
            Self::Tile => {
                let repeats = inputs.integers(1)?.ok_or("the repeats are missing")?;
                if repeats.len() != rank {
                    return Err("one repeat is needed for each axis".into());
                }
                let mut tables = Vec::with_capacity(rank);
                for (at, &times) in repeats.iter().enumerate() {
                    let times = usize::try_from(times).map_err(|_| Fail::from("negative repeat"))?;
                    let len = shape[at].checked_mul(times).ok_or(Fail::Memory)?;
                    tables.push(table(len, &|index| Some(index % shape[at] * step[at]))?);
                }
                Ok(tables)
            }
            Self::Pad { mode, pads, .. } => {
                let pads = inputs.integers(1)?.or_else(|| pads.clone()).ok_or("the pads are missing")?;
                let axes = match inputs.integers(3)? {
                    Some(axes) => axes.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?,
                    None => (0..rank).collect::<Vec<_>>(),
                };
                if pads.len() != axes.len() * 2 {
                    return Err("two pads are needed for each axis".into());
                }
                let mut tables: Vec<_> = (0..rank).map(straight).collect();
                for (index, &at) in axes.iter().enumerate() {
                    let length = i64::try_from(shape[at]).map_err(|_| Fail::Memory)?;
                    let (begin, end) = (pads[index], pads[index + axes.len()]);
                    let total = begin.checked_add(end).and_then(|both| both.checked_add(length));
                    let total = usize::try_from(total.unwrap_or(-1))
                        .map_err(|_| Fail::from("pads exceed the axis"))?;
                    let place = |index: usize| {
                        let at = i64::try_from(index).ok()?.checked_sub(begin)?;
                        padded(mode, at, length)
                    };
                    tables[at] = table(total, &|index| place(index).map(|index| index * step[at]))?;
                }
                Ok(tables)
            }
        }
    }
}

/// Where position `at` of a padded axis comes from.
fn padded(mode: &str, at: i64, length: i64) -> Option<usize> {
    if (0..length).contains(&at) {
        return usize::try_from(at).ok();
    }
    let source = match mode {
        "edge" if length > 0 => at.clamp(0, length - 1),
        "wrap" if length > 0 => at.rem_euclid(length),
        "reflect" if length > 1 => {
            let period = 2 * (length - 1);
            let place = at.rem_euclid(period);
            if place < length { place } else { period - place }
        }
        "reflect" if length == 1 => 0,
        _ => return None,
    };
    usize::try_from(source).ok()
}

/// The indices a slice picks, bounds clamped as in ONNX.
fn slice(length: usize, start: i64, end: i64, step: i64) -> Result<Vec<usize>, Fail> {
    let len = i64::try_from(length).map_err(|_| Fail::Memory)?;
    let from_end = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (start, end) = (from_end(start), from_end(end));
    let pick = |from: i64, to: i64, step: i64| {
        let mut picked = Vec::new();
        let mut at = from;
        while if step > 0 { at < to } else { at > to } {
            picked.push(usize::try_from(at).unwrap_or(0));
            at = at.saturating_add(step);
        }
        picked
    };
    match step {
        0 => Err("a slice with step 0".into()),
        1.. => Ok(pick(start.clamp(0, len), end.clamp(0, len), step)),
        _ if len == 0 => Ok(Vec::new()),
        _ => Ok(pick(start.clamp(0, len - 1), end.clamp(-1, len - 1), step)),
    }
}

impl Operator for Rearrange {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let tables = self.tables(run, inputs)?;
        let shape: Vec<usize> = tables.iter().map(Vec::len).collect();
        let lattice = Lattice::new(run, tables, width(dtype(value)))?;
        let fill = match (self, inputs.opt(2)) {
            (Self::Pad { .. }, Some(fill)) => values::singles(fill)?.first().copied().unwrap_or(0.0),
            (Self::Pad { value, .. }, None) => *value,
            _ => 0.0,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fill of that type")]
        let out = match value {
            Value::F32(t) => Value::F32(Tensor::new(shape, lattice.gather(t.data(), &fill))?),
            Value::F64(t) => Value::F64(Tensor::new(shape, lattice.gather(t.data(), &f64::from(fill)))?),
            Value::I64(t) => Value::I64(Tensor::new(shape, lattice.gather(t.data(), &(fill as i64)))?),
            Value::I32(t) => Value::I32(Tensor::new(shape, lattice.gather(t.data(), &(fill as i32)))?),
            Value::U8(t) => Value::U8(Tensor::new(shape, lattice.gather(t.data(), &(fill as u8)))?),
            Value::Bool(t) => Value::Bool(Tensor::new(shape, lattice.gather(t.data(), &(fill != 0.0)))?),
            Value::Text(t) => Value::Text(Tensor::new(shape, lattice.gather(t.data(), &String::new()))?),
        };
        Ok(vec![out])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blind }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let tables = self.tables(run, pass.inputs)?;
        let lattice = Lattice::new(run, tables, 0)?;
        let out = lattice.backward(run, &gradient, pass.inputs.get(0)?.shape())?;
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_clamp_like_onnx() {
        for (start, end, step, picked) in [
            (0, i64::MAX, 1, vec![0, 1, 2, 3, 4]),
            (-2, 5, 1, vec![3, 4]),
            (4, i64::MIN, -2, vec![4, 2, 0]),
            (i64::MAX, i64::MIN, -1, vec![4, 3, 2, 1, 0]),
            (3, 1, 1, vec![]),
            (1, 100, i64::MAX, vec![1]),
        ] {
            assert_eq!(slice(5, start, end, step).unwrap(), picked, "{start}:{end}:{step}");
        }
        assert!(slice(5, 0, 1, 0).is_err());
        assert!(slice(0, 0, 1, -1).unwrap().is_empty());
    }

    #[test]
    fn pads_come_from_where_the_mode_says() {
        let place = |mode, at| padded(mode, at, 3);
        assert_eq!(
            [place("reflect", -2), place("reflect", 3), place("reflect", 7)],
            [Some(2), Some(1), Some(1)]
        );
        assert_eq!([place("edge", -9), place("edge", 9)], [Some(0), Some(2)]);
        assert_eq!([place("wrap", -1), place("wrap", 4)], [Some(2), Some(1)]);
        assert_eq!(place("constant", -1), None);
    }
}
