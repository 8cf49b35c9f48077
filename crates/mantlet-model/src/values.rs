//! Views of values: element types, sizes and conversions that operators need.

use std::borrow::Cow;

use mantlet_vocab::{Tensor, Value};

use crate::Dtype;
use crate::run::Fail;

/// Applies one expression to the tensor of whatever element type and wraps the result in the same type.
macro_rules! same_type {
    ($value:expr, $tensor:ident => $body:expr) => {
        match $value {
            mantlet_vocab::Value::F32($tensor) => mantlet_vocab::Value::F32($body),
            mantlet_vocab::Value::F64($tensor) => mantlet_vocab::Value::F64($body),
            mantlet_vocab::Value::I64($tensor) => mantlet_vocab::Value::I64($body),
            mantlet_vocab::Value::I32($tensor) => mantlet_vocab::Value::I32($body),
            mantlet_vocab::Value::U8($tensor) => mantlet_vocab::Value::U8($body),
            mantlet_vocab::Value::Bool($tensor) => mantlet_vocab::Value::Bool($body),
            mantlet_vocab::Value::Text($tensor) => mantlet_vocab::Value::Text($body),
        }
    };
}
pub(crate) use same_type;

/// The element type.
pub(crate) fn dtype(value: &Value) -> Dtype {
    match value {
        Value::F32(_) => Dtype::F32,
        Value::F64(_) => Dtype::F64,
        Value::I64(_) => Dtype::I64,
        Value::I32(_) => Dtype::I32,
        Value::U8(_) => Dtype::U8,
        Value::Bool(_) => Dtype::Bool,
        Value::Text(_) => Dtype::Text,
    }
}

/// Bytes of one element; text counts its handle (its characters are bounded by the file or the request).
pub(crate) fn width(dtype: Dtype) -> usize {
    match dtype {
        Dtype::F32 | Dtype::I32 => 4,
        Dtype::F64 | Dtype::I64 => 8,
        Dtype::U8 | Dtype::Bool => 1,
        Dtype::Text => 24,
    }
}

/// Number of elements.
pub(crate) fn len(value: &Value) -> usize {
    match value {
        Value::F32(t) => t.data().len(),
        Value::F64(t) => t.data().len(),
        Value::I64(t) => t.data().len(),
        Value::I32(t) => t.data().len(),
        Value::U8(t) => t.data().len(),
        Value::Bool(t) => t.data().len(),
        Value::Text(t) => t.data().len(),
    }
}

/// Bytes the value holds.
pub(crate) fn bytes(value: &Value) -> usize {
    let text = match value {
        Value::Text(t) => t.data().iter().map(String::len).sum(),
        _ => 0,
    };
    len(value) * width(dtype(value)) + text
}

/// The numbers as `f32`, borrowed when they are.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "gradients are taken in f32"
)]
pub(crate) fn singles(value: &Value) -> Result<Cow<'_, [f32]>, Fail> {
    Ok(match value {
        Value::F32(t) => Cow::Borrowed(t.data()),
        Value::F64(t) => t.data().iter().map(|&v| v as f32).collect(),
        Value::I64(t) => t.data().iter().map(|&v| v as f32).collect(),
        Value::I32(t) => t.data().iter().map(|&v| v as f32).collect(),
        Value::U8(t) => t.data().iter().map(|&v| f32::from(v)).collect(),
        Value::Bool(t) => t.data().iter().map(|&v| f32::from(u8::from(v))).collect(),
        Value::Text(_) => return Err("numbers expected, text found".into()),
    })
}

/// The whole numbers, for shapes, axes and indices.
pub(crate) fn integers(value: &Value) -> Result<Vec<i64>, Fail> {
    Ok(match value {
        Value::I64(t) => t.data().to_vec(),
        Value::I32(t) => t.data().iter().map(|&v| i64::from(v)).collect(),
        Value::U8(t) => t.data().iter().map(|&v| i64::from(v)).collect(),
        Value::Bool(t) => t.data().iter().map(|&v| i64::from(v)).collect(),
        _ => return Err("whole numbers expected".into()),
    })
}

/// A result of single-precision work, in the floating-point type of the operand it came from.
pub(crate) fn like(operand: &Value, result: Tensor) -> Result<Value, Fail> {
    Ok(match operand {
        Value::F64(_) => {
            let shape = result.shape().to_vec();
            let data = result.into_data().into_iter().map(f64::from).collect();
            Value::F64(Tensor::new(shape, data)?)
        }
        _ => Value::F32(result),
    })
}

/// Refuses text and whole numbers where only floating point has a meaning.
pub(crate) fn require_float(value: &Value) -> Result<(), Fail> {
    match value {
        Value::F32(_) | Value::F64(_) => Ok(()),
        other => Err(format!("floating-point values expected, {} found", dtype(other)).into()),
    }
}
