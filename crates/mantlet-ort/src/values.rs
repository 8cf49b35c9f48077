//! Values to the library and back.

use mantlet_model::{Dtype, Port};
use mantlet_vocab::{Tensor, Value};
use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor as Theirs, TensorElementType, ValueType};

/// The element type in our words; `None` for one no value of ours has.
fn dtype(kind: TensorElementType) -> Option<Dtype> {
    Some(match kind {
        TensorElementType::Float32 => Dtype::F32,
        TensorElementType::Float64 => Dtype::F64,
        TensorElementType::Int64 => Dtype::I64,
        TensorElementType::Int32 => Dtype::I32,
        TensorElementType::Uint8 => Dtype::U8,
        TensorElementType::Bool => Dtype::Bool,
        TensorElementType::String => Dtype::Text,
        _ => return None,
    })
}

/// An input or output as a port; the error says what it is instead of a tensor of a type we have.
pub(crate) fn port(name: &str, kind: &ValueType) -> Result<Port, String> {
    let ValueType::Tensor { ty, shape, .. } = kind else { return Err(format!("{kind:?}")) };
    let dtype = dtype(*ty).ok_or_else(|| format!("a tensor of {ty:?}"))?;
    let shape = shape.iter().map(|axis| usize::try_from(*axis).ok().filter(|axis| *axis > 0)).collect();
    Ok(Port { name: name.to_owned(), dtype, shape })
}

/// A value for the library.
pub(crate) fn give(value: &Value) -> ort::Result<SessionInputValue<'static>> {
    fn whole<T: Clone>(tensor: &Tensor<T>) -> (Vec<usize>, Vec<T>) {
        (tensor.shape().to_vec(), tensor.data().to_vec())
    }
    Ok(match value {
        Value::F32(t) => Theirs::from_array(whole(t))?.into(),
        Value::F64(t) => Theirs::from_array(whole(t))?.into(),
        Value::I64(t) => Theirs::from_array(whole(t))?.into(),
        Value::I32(t) => Theirs::from_array(whole(t))?.into(),
        Value::U8(t) => Theirs::from_array(whole(t))?.into(),
        Value::Bool(t) => Theirs::from_array(whole(t))?.into(),
        Value::Text(t) => Theirs::from_string_array((t.shape(), t.data()))?.into(),
    })
}

/// A value of the library's as ours.
pub(crate) fn take(value: &DynValue) -> Result<Value, String> {
    let ValueType::Tensor { ty, .. } = value.dtype() else { return Err(format!("{:?}", value.dtype())) };
    macro_rules! numbers {
        ($kind:ident, $t:ty) => {{
            let (shape, data) = value.try_extract_tensor::<$t>().map_err(|error| error.to_string())?;
            Value::$kind(tensor(shape, data.to_vec())?)
        }};
    }
    Ok(match dtype(*ty).ok_or_else(|| format!("a tensor of {ty:?}"))? {
        Dtype::F32 => numbers!(F32, f32),
        Dtype::F64 => numbers!(F64, f64),
        Dtype::I64 => numbers!(I64, i64),
        Dtype::I32 => numbers!(I32, i32),
        Dtype::U8 => numbers!(U8, u8),
        Dtype::Bool => numbers!(Bool, bool),
        Dtype::Text => {
            let (shape, data) = value.try_extract_strings().map_err(|error| error.to_string())?;
            Value::Text(tensor(shape, data)?)
        }
    })
}

fn tensor<T: Clone>(shape: &[i64], data: Vec<T>) -> Result<Tensor<T>, String> {
    let axis = |axis: &i64| usize::try_from(*axis).map_err(|_| "an axis below 0".to_owned());
    let shape = shape.iter().map(axis).collect::<Result<Vec<_>, _>>()?;
    Tensor::new(shape, data).map_err(|error| error.to_string())
}
