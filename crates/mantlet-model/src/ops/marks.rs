//! Operators that mark places: `OneHot`, `Hardmax`, `EyeLike`, `NonZero`. None has a gradient.

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Inputs, Operator, around, axis, strides};
use crate::Dtype;
use crate::run::{Fail, Run, count};
use crate::values::{self, dtype, integers, like, require_float, singles};

/// Which places are marked.
pub(super) enum Marks {
    /// `OneHot`: those an index names, along a new axis.
    OneHot(i64),
    /// `Hardmax`: the largest along an axis, or of all from it on.
    Largest(i64, bool),
    /// `EyeLike`: a diagonal, in an element type if one is named.
    Diagonal(i64, Option<Dtype>),
    /// `NonZero`: the indices of what is not 0.
    NonZero,
}

/// `OneHot`'s values are two of any element type.
fn chosen(run: &mut Run, shape: &[usize], hot: &[bool], values: &Value) -> Result<Value, Fail> {
    run.room(hot.len(), values::width(dtype(values)))?;
    macro_rules! pick {
        ($t:expr, $v:ident) => {{
            let [off, on] = $t.data() else { return Err("two values are needed, off and on".into()) };
            Value::$v(Tensor::new(
                shape,
                hot.iter().map(|hot| (if *hot { on } else { off }).clone()).collect(),
            )?)
        }};
    }
    Ok(match values {
        Value::F32(t) => pick!(t, F32),
        Value::F64(t) => pick!(t, F64),
        Value::I64(t) => pick!(t, I64),
        Value::I32(t) => pick!(t, I32),
        Value::U8(t) => pick!(t, U8),
        Value::Bool(t) => pick!(t, Bool),
        Value::Text(t) => pick!(t, Text),
    })
}

fn one_hot(run: &mut Run, inputs: Inputs<'_>, along: i64) -> Result<Value, Fail> {
    let (indices, values) = (inputs.get(0)?, inputs.get(2)?);
    let depth = inputs.integers(1)?.and_then(|list| list.first().copied()).unwrap_or(0);
    let depth = usize::try_from(depth).ok().filter(|depth| *depth > 0).ok_or("a depth below 1")?;
    let mut shape = indices.shape().to_vec();
    let at = axis(along, shape.len() + 1)?;
    shape.insert(at, depth);
    let len = run.shape(&shape, 1)?;
    let (_, _, inner) = around(&shape, at);
    let mut hot = vec![false; len];
    for (number, index) in integers(indices)?.into_iter().enumerate() {
        // An index outside marks nothing.
        let index =
            if index < 0 { index.checked_add(i64::try_from(depth).unwrap_or(0)) } else { Some(index) };
        let index = index.and_then(|index| usize::try_from(index).ok()).filter(|index| *index < depth);
        if let Some(index) = index {
            hot[(number / inner * depth + index) * inner + number % inner] = true;
        }
    }
    chosen(run, &shape, &hot, values)
}

fn largest(run: &mut Run, value: &Value, along: i64, flat: bool) -> Result<Value, Fail> {
    require_float(value)?;
    let shape = value.shape();
    let at = if shape.is_empty() {
        return Err("a number alone has no largest".into());
    } else {
        axis(along, shape.len())?
    };
    let (outer, length, inner) = around(shape, at);
    let (length, inner) = if flat { (length * inner, 1) } else { (length, inner) };
    let x = singles(value)?;
    let mut out = run.zeros(shape)?;
    let to = out.data_mut();
    if length > 0 {
        for block in 0..outer {
            run.tick()?;
            for lane in 0..inner {
                let place = |k: usize| (block * length + k) * inner + lane;
                let best = (1..length).fold(0, |best, k| if x[place(k)] > x[place(best)] { k } else { best });
                to[place(best)] = 1.0;
            }
        }
    }
    like(value, out)
}

fn diagonal(run: &mut Run, value: &Value, offset: i64, to: Option<Dtype>) -> Result<Value, Fail> {
    let &[rows, columns] = value.shape() else { return Err("two axes are needed".into()) };
    let len = run.shape(&[rows, columns], 8)?;
    let mut hot = vec![false; len];
    for row in 0..rows {
        let column = i64::try_from(row).unwrap_or(i64::MAX).saturating_add(offset);
        if let Some(column) = usize::try_from(column).ok().filter(|column| *column < columns) {
            hot[row * columns + column] = true;
        }
    }
    let two = |data: Vec<i64>| Tensor::new([2], data);
    let values = match to.unwrap_or_else(|| dtype(value)) {
        Dtype::F32 => Value::F32(Tensor::new([2], vec![0.0, 1.0])?),
        Dtype::F64 => Value::F64(Tensor::new([2], vec![0.0, 1.0])?),
        Dtype::I64 => Value::I64(two(vec![0, 1])?),
        Dtype::I32 => Value::I32(Tensor::new([2], vec![0, 1])?),
        Dtype::U8 => Value::U8(Tensor::new([2], vec![0, 1])?),
        Dtype::Bool => Value::Bool(Tensor::new([2], vec![false, true])?),
        Dtype::Text => return Err("a diagonal of texts".into()),
    };
    chosen(run, &[rows, columns], &hot, &values)
}

fn non_zero(run: &mut Run, value: &Value) -> Result<Value, Fail> {
    let shape = value.shape();
    let at: Vec<usize> = match value {
        Value::Text(_) => return Err("not defined for text".into()),
        Value::I64(t) => t.data().iter().enumerate().filter(|(_, v)| **v != 0).map(|(at, _)| at).collect(),
        Value::Bool(t) => t.data().iter().enumerate().filter(|(_, v)| **v).map(|(at, _)| at).collect(),
        value => singles(value)?.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(at, _)| at).collect(),
    };
    let rank = shape.len();
    run.room(count(&[rank, at.len()])?, 8)?;
    let steps = strides(shape);
    let mut out = Vec::with_capacity(rank * at.len());
    for (axis, step) in steps.iter().enumerate() {
        out.extend(at.iter().map(|at| i64::try_from(at / step % shape[axis]).unwrap_or(i64::MAX)));
    }
    Ok(Value::I64(Tensor::new([rank, at.len()], out)?))
}

impl Operator for Marks {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        Ok(vec![match self {
            Self::OneHot(along) => one_hot(run, inputs, *along)?,
            Self::Largest(along, flat) => largest(run, inputs.get(0)?, *along, *flat)?,
            Self::Diagonal(offset, to) => diagonal(run, inputs.get(0)?, *offset, *to)?,
            Self::NonZero => non_zero(run, inputs.get(0)?)?,
        }])
    }

    fn edge(&self, index: usize) -> Edge {
        match (self, index) {
            // Which of two values stands where: its gradient is not built.
            (Self::OneHot(_), 2) | (Self::Largest(..), _) => Edge::Blocked,
            _ => Edge::Blind,
        }
    }
}
