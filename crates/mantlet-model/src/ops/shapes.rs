//! Operators that make values: constants, shapes, ranges, casts.

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Gradients, Hint, Inputs, Operator, Pass};
use crate::Dtype;
use crate::run::{Fail, Run};
use crate::values::{self, dtype, singles};

/// `Constant`.
pub(super) struct Constant(pub(super) Value);

impl Operator for Constant {
    fn forward(&self, run: &mut Run, _: Inputs<'_>, _: Option<&mut Vec<u32>>) -> Result<Vec<Value>, Fail> {
        run.room(values::bytes(&self.0), 1)?;
        Ok(vec![self.0.clone()])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blind
    }
}

/// `Shape` (a part of it) and `Size`.
pub(super) enum Measure {
    Shape { start: i64, end: i64 },
    Size,
}

impl Operator for Measure {
    fn forward(&self, _: &mut Run, inputs: Inputs<'_>, _: Option<&mut Vec<u32>>) -> Result<Vec<Value>, Fail> {
        let shape = inputs.get(0)?.shape();
        let signed = |&axis: &usize| i64::try_from(axis).unwrap_or(i64::MAX);
        Ok(vec![Value::I64(match self {
            Self::Size => Tensor::new([], vec![signed(&shape.iter().product())])?,
            Self::Shape { start, end } => {
                let rank = signed(&shape.len());
                let place = |at: i64| {
                    let at = if at < 0 { at.saturating_add(rank) } else { at };
                    usize::try_from(at.clamp(0, rank)).unwrap_or(0)
                };
                let part: Vec<i64> =
                    shape.get(place(*start)..place(*end)).unwrap_or_default().iter().map(signed).collect();
                Tensor::new([part.len()], part)?
            }
        })])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blind
    }
}

/// `ConstantOfShape`.
pub(super) struct Fill(pub(super) Value);

impl Operator for Fill {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let shape = inputs.integers(0)?.unwrap_or_default();
        let shape = shape.iter().map(|&axis| usize::try_from(axis)).collect::<Result<Vec<_>, _>>();
        let shape = shape.map_err(|_| Fail::from("negative length"))?;
        run.shape(&shape, values::width(dtype(&self.0)))?;
        macro_rules! full {
            ($t:expr, $v:ident) => {
                Value::$v(Tensor::full(shape, $t.data().first().cloned().unwrap_or_default()))
            };
        }
        Ok(vec![match &self.0 {
            Value::F32(t) => full!(t, F32),
            Value::F64(t) => full!(t, F64),
            Value::I64(t) => full!(t, I64),
            Value::I32(t) => full!(t, I32),
            Value::U8(t) => full!(t, U8),
            Value::Bool(t) => full!(t, Bool),
            Value::Text(t) => full!(t, Text),
        }])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blind
    }
}

/// `Range` of whole or floating-point numbers.
pub(super) struct Range;

impl Operator for Range {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let (start, limit, delta) = (inputs.get(0)?, inputs.get(1)?, inputs.get(2)?);
        let first = |value| singles(value).map(|v| f64::from(v.first().copied().unwrap_or(0.0)));
        let (from, to, by) = (first(start)?, first(limit)?, first(delta)?);
        let steps = ((to - from) / by).ceil();
        if by == 0.0 || !steps.is_finite() || steps > 1e9 {
            return Err("the range does not end".into());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
        let len = steps.max(0.0) as usize;
        run.room(len, 8)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "steps of a range")]
        Ok(vec![match start {
            Value::F32(_) => {
                Value::F32(Tensor::new([len], (0..len).map(|i| (from + by * i as f64) as f32).collect())?)
            }
            Value::I64(_) => {
                Value::I64(Tensor::new([len], (0..len).map(|i| (from + by * i as f64) as i64).collect())?)
            }
            Value::I32(_) => {
                Value::I32(Tensor::new([len], (0..len).map(|i| (from + by * i as f64) as i32).collect())?)
            }
            other => return Err(format!("not defined for {}", dtype(other)).into()),
        }])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blind
    }
}

/// `Cast` and `CastLike`.
pub(super) struct Cast(pub(super) Option<Dtype>);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "that is what casting is; Rust saturates and maps NaN to 0"
)]
fn cast(value: &Value, to: Dtype) -> Result<Value, Fail> {
    macro_rules! from_number {
        ($t:expr) => {{
            let (shape, data) = ($t.shape(), $t.data().iter());
            match to {
                Dtype::F32 => Value::F32(Tensor::new(shape, data.map(|&v| v as f32).collect())?),
                Dtype::F64 => Value::F64(Tensor::new(shape, data.map(|&v| v as f64).collect())?),
                Dtype::I64 => Value::I64(Tensor::new(shape, data.map(|&v| v as i64).collect())?),
                Dtype::I32 => Value::I32(Tensor::new(shape, data.map(|&v| v as i32).collect())?),
                Dtype::U8 => Value::U8(Tensor::new(shape, data.map(|&v| v as u8).collect())?),
                Dtype::Bool => Value::Bool(Tensor::new(shape, data.map(|&v| v as f64 != 0.0).collect())?),
                Dtype::Text => Value::Text(Tensor::new(shape, data.map(|&v| text(v as f64)).collect())?),
            }
        }};
    }
    Ok(match value {
        Value::F32(t) if to == Dtype::Text => {
            Value::Text(Tensor::new(t.shape(), t.data().iter().map(|v| v.to_string()).collect())?)
        }
        Value::I64(t) if to == Dtype::Text => {
            Value::Text(Tensor::new(t.shape(), t.data().iter().map(i64::to_string).collect())?)
        }
        Value::F32(t) => from_number!(t),
        Value::F64(t) => from_number!(t),
        Value::I64(t) => from_number!(t),
        Value::I32(t) => from_number!(t),
        Value::U8(t) => from_number!(t),
        Value::Bool(t) => {
            let bytes = Tensor::new(t.shape(), t.data().iter().map(|&v| u8::from(v)).collect())?;
            return cast(&Value::U8(bytes), to);
        }
        Value::Text(t) if to == Dtype::Text => Value::Text(t.clone()),
        Value::Text(t) => {
            let parse =
                |text: &String| text.trim().parse::<f64>().map_err(|_| Fail::from("text is no number"));
            let numbers = t.data().iter().map(parse).collect::<Result<Vec<f64>, Fail>>()?;
            return cast(&Value::F64(Tensor::new(t.shape(), numbers)?), to);
        }
    })
}

/// A number as text, whole ones without a fraction.
fn text(number: f64) -> String {
    number.to_string()
}

impl Operator for Cast {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let to = match self.0 {
            Some(to) => to,
            None => dtype(inputs.get(1)?),
        };
        run.room(values::len(value), values::width(to))?;
        if let (Value::F32(t), Dtype::F32) = (value, to) {
            return Ok(vec![Value::F32(run.copy(t.shape(), t.data())?)]);
        }
        Ok(vec![cast(value, to)?])
    }

    fn edge(&self, index: usize) -> Edge {
        match (index, self.0) {
            (0, Some(to)) if to.is_float() => Edge::Smooth,
            (0, _) => Edge::Blocked,
            _ => Edge::Blind,
        }
    }

    fn backward(&self, _: &mut Run, _: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        Ok(vec![Some(gradient)])
    }

    fn hint(&self) -> Hint {
        Hint::Through
    }
}
