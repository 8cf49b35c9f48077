//! Joining, splitting and picking by index.

use mantlet_vocab::{Tensor, Value};

use super::lattice::Lattice;
use super::{Edge, Gradients, Inputs, Operator, Pass, around, axis, strides};
use crate::run::{Fail, Run, count};
use crate::values::{self, dtype, integers, same_type, width};

/// `Concat` along an axis.
pub(super) struct Concat(pub(super) i64);

macro_rules! join {
    ($run:expr, $inputs:expr, $at:expr, $shape:expr, $variant:ident) => {{
        let mut parts = Vec::with_capacity($inputs.len());
        for value in &$inputs {
            let Value::$variant(t) = value else { return Err("operands of different types".into()) };
            parts.push((t.data(), around(t.shape(), $at)));
        }
        let outer = parts.first().map_or(0, |(_, (outer, _, _))| *outer);
        let mut data = Vec::with_capacity(count(&$shape)?);
        for row in 0..outer {
            for (source, (_, length, inner)) in &parts {
                let run = length * inner;
                data.extend_from_slice(&source[row * run..(row + 1) * run]);
            }
        }
        Value::$variant(Tensor::new($shape, data)?)
    }};
}

impl Operator for Concat {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let inputs = inputs.all()?;
        let first = *inputs.first().ok_or("nothing to join")?;
        let at = axis(self.0, first.shape().len())?;
        let mut shape = first.shape().to_vec();
        shape[at] = 0;
        for value in &inputs {
            let own = value.shape();
            if own.len() != shape.len() || (0..own.len()).any(|k| k != at && own[k] != shape[k]) {
                return Err(format!(
                    "shapes {:?} and {own:?} cannot be joined along axis {at}",
                    first.shape()
                )
                .into());
            }
            shape[at] = shape[at].checked_add(own[at]).ok_or(Fail::Memory)?;
        }
        run.shape(&shape, width(dtype(first)))?;
        Ok(vec![match first {
            Value::F32(_) => join!(run, inputs, at, shape, F32),
            Value::F64(_) => join!(run, inputs, at, shape, F64),
            Value::I64(_) => join!(run, inputs, at, shape, I64),
            Value::I32(_) => join!(run, inputs, at, shape, I32),
            Value::U8(_) => join!(run, inputs, at, shape, U8),
            Value::Bool(_) => join!(run, inputs, at, shape, Bool),
            Value::Text(_) => join!(run, inputs, at, shape, Text),
        }])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let inputs = pass.inputs.all()?;
        let at = axis(self.0, gradient.shape().len())?;
        let (outer, total, inner) = around(gradient.shape(), at);
        let mut out = Vec::with_capacity(inputs.len());
        let mut skip = 0;
        for (index, value) in inputs.iter().enumerate() {
            let length = value.shape()[at];
            let mut part = None;
            if pass.wants(index) {
                let mut own = run.zeros(value.shape())?;
                let width = length * inner;
                for row in 0..outer {
                    let from = (row * total + skip) * inner;
                    own.data_mut()[row * width..(row + 1) * width]
                        .copy_from_slice(&gradient.data()[from..from + width]);
                }
                part = Some(own);
            }
            out.push(part);
            skip += length;
        }
        run.give(gradient.into_data());
        Ok(out)
    }
}

/// `Split` along an axis, with the sizes as attribute (before opset 13), input, or evenly.
pub(super) struct Split {
    pub(super) axis: i64,
    pub(super) sizes: Option<Vec<i64>>,
    pub(super) outputs: usize,
}

impl Split {
    fn sizes(&self, inputs: Inputs<'_>, length: usize) -> Result<Vec<usize>, Fail> {
        let sizes = match inputs.integers(1)?.or_else(|| self.sizes.clone()) {
            Some(sizes) => sizes
                .iter()
                .map(|&size| usize::try_from(size).map_err(|_| Fail::from("negative size")))
                .collect::<Result<Vec<_>, _>>()?,
            None => {
                let part = length.div_ceil(self.outputs.max(1));
                (0..self.outputs).map(|index| part.min(length.saturating_sub(index * part))).collect()
            }
        };
        let total = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size));
        if total == Some(length) {
            Ok(sizes)
        } else {
            Err(format!("{sizes:?} do not sum to {length}").into())
        }
    }
}

fn piece<T: Clone>(source: &Tensor<T>, at: usize, skip: usize, size: usize) -> Result<Tensor<T>, Fail> {
    let (outer, length, inner) = around(source.shape(), at);
    let mut shape = source.shape().to_vec();
    shape[at] = size;
    let mut data = Vec::with_capacity(outer * size * inner);
    for row in 0..outer {
        let from = (row * length + skip) * inner;
        data.extend_from_slice(&source.data()[from..from + size * inner]);
    }
    Ok(Tensor::new(shape, data)?)
}

impl Operator for Split {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let at = axis(self.axis, value.shape().len())?;
        run.room(values::bytes(value), 1)?;
        let mut skip = 0;
        let mut out = Vec::new();
        for size in self.sizes(inputs, value.shape()[at])? {
            out.push(same_type!(value, t => piece(t, at, skip, size)?));
            skip += size;
        }
        Ok(out)
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blind }
    }

    fn returns(&self, _: usize) -> bool {
        true
    }

    fn backward_all(&self, run: &mut Run, pass: &Pass<'_>, gradients: Gradients) -> Result<Gradients, Fail> {
        let shape = pass.inputs.get(0)?.shape();
        let at = axis(self.axis, shape.len())?;
        let (outer, length, inner) = around(shape, at);
        let mut sum = run.zeros(shape)?;
        let mut skip = 0;
        for (gradient, size) in gradients.into_iter().zip(self.sizes(pass.inputs, length)?) {
            if let Some(gradient) = gradient {
                for row in 0..outer {
                    let to = (row * length + skip) * inner;
                    sum.data_mut()[to..to + size * inner]
                        .copy_from_slice(&gradient.data()[row * size * inner..(row + 1) * size * inner]);
                }
                run.give(gradient.into_data());
            }
            skip += size;
        }
        Ok(vec![Some(sum)])
    }
}

/// `Gather` along an axis; `ArrayFeatureExtractor` gathers along the last one.
pub(super) struct Gather {
    pub(super) axis: i64,
    /// `ArrayFeatureExtractor`: the indices are flat and the result keeps at least two axes.
    pub(super) extract: bool,
}

impl Gather {
    /// The lattice and the shape of the result.
    fn plan(&self, run: &mut Run, inputs: Inputs<'_>, width: usize) -> Result<(Lattice, Vec<usize>), Fail> {
        let shape = inputs.get(0)?.shape();
        let indices = inputs.get(1)?;
        let at = axis(self.axis, shape.len())?;
        let step = strides(shape);
        let picks = integers(indices)?
            .into_iter()
            .map(|index| axis(index, shape[at]).map(|index| Some(index * step[at])))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Fail::Bad(format!("an index is outside 0..{}", shape[at])))?;
        let mut result = shape[..at].to_vec();
        if self.extract {
            if result.is_empty() {
                result.push(1);
            }
            result.push(picks.len());
        } else {
            result.extend_from_slice(indices.shape());
            result.extend_from_slice(&shape[at + 1..]);
        }
        let table = |k: usize| (0..shape[k]).map(|index| Some(index * step[k])).collect::<Vec<_>>();
        let mut tables: Vec<_> = (0..at).map(table).collect();
        tables.push(picks);
        tables.extend((at + 1..shape.len()).map(table));
        Ok((Lattice::new(run, tables, width)?, result))
    }
}

impl Operator for Gather {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (lattice, shape) = self.plan(run, inputs, width(dtype(value)))?;
        Ok(vec![match value {
            Value::F32(t) => Value::F32(Tensor::new(shape, lattice.gather(t.data(), &0.0))?),
            Value::F64(t) => Value::F64(Tensor::new(shape, lattice.gather(t.data(), &0.0))?),
            Value::I64(t) => Value::I64(Tensor::new(shape, lattice.gather(t.data(), &0))?),
            Value::I32(t) => Value::I32(Tensor::new(shape, lattice.gather(t.data(), &0))?),
            Value::U8(t) => Value::U8(Tensor::new(shape, lattice.gather(t.data(), &0))?),
            Value::Bool(t) => Value::Bool(Tensor::new(shape, lattice.gather(t.data(), &false))?),
            Value::Text(t) => Value::Text(Tensor::new(shape, lattice.gather(t.data(), &String::new()))?),
        }])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blind }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let (lattice, _) = self.plan(run, pass.inputs, 0)?;
        let out = lattice.backward(run, &gradient, pass.inputs.get(0)?.shape())?;
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }
}
