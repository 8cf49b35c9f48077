//! Constant tensors of a model file.

use mantlet_formats::onnx::schema::{DataLocation, DataType, TensorProto};
use mantlet_vocab::{Tensor, Value, read_window};

use crate::{Dtype, ExternalData, Limits, ModelError};

/// The element type a value of this ONNX type is held in. Half precision is widened to `f32`, small signed
/// and unsigned integers to `i32`, large unsigned ones to `i64`.
pub(crate) fn dtype(data_type: i32) -> Option<Dtype> {
    Some(match DataType::try_from(data_type).ok()? {
        DataType::Float | DataType::Float16 | DataType::Bfloat16 => Dtype::F32,
        DataType::Double => Dtype::F64,
        DataType::Int64 | DataType::Uint32 | DataType::Uint64 => Dtype::I64,
        DataType::Int32 | DataType::Int8 | DataType::Int16 | DataType::Uint16 => Dtype::I32,
        DataType::Uint8 => Dtype::U8,
        DataType::Bool => Dtype::Bool,
        DataType::String => Dtype::Text,
        _ => return None,
    })
}

fn bad(tensor: &TensorProto, reason: impl Into<String>) -> ModelError {
    ModelError::Graph { place: format!("tensor `{}`", tensor.name), reason: reason.into() }
}

/// Decodes a constant, with its bytes from `external` when it is stored elsewhere.
pub(crate) fn constant(
    tensor: &TensorProto,
    external: Option<&dyn ExternalData>,
    limits: &Limits,
) -> Result<Value, ModelError> {
    let shape = tensor
        .dims
        .iter()
        .map(|&axis| usize::try_from(axis).map_err(|_| bad(tensor, format!("axis of length {axis}"))))
        .collect::<Result<Vec<usize>, _>>()?;
    let count = crate::run::count(&shape).map_err(|_| bad(tensor, format!("shape {shape:?} overflows")))?;
    if count > limits.max_bytes {
        return Err(bad(tensor, format!("{count} elements exceed the limit of the file size")));
    }
    let outside;
    let raw: Option<&[u8]> = if tensor.data_location == DataLocation::External as i32 {
        outside = external_bytes(tensor, external, limits)?;
        Some(&outside)
    } else if tensor.raw_data.is_empty() {
        None
    } else {
        Some(&tensor.raw_data)
    };
    let kind = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
    let value = match raw {
        Some(raw) => from_raw(kind, shape, count, raw),
        None => from_fields(kind, shape, count, tensor),
    };
    value.map_err(|reason| bad(tensor, reason))
}

fn external_bytes(
    tensor: &TensorProto,
    external: Option<&dyn ExternalData>,
    limits: &Limits,
) -> Result<Vec<u8>, ModelError> {
    let entry =
        |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let location = entry("location").cloned().unwrap_or_default();
    let missing = || ModelError::ExternalData { tensor: tensor.name.clone(), location: location.clone() };
    let source = external.and_then(|external| external.open(&location)).ok_or_else(missing)?;
    let number = |key| match entry(key) {
        None => Ok(None),
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| bad(tensor, format!("bad external `{key}`"))),
    };
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or_else(|| source.len().saturating_sub(offset));
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > limits.max_bytes {
        return Err(ModelError::TooLarge { len: length as u64, limit: limits.max_bytes });
    }
    let bytes = read_window(&*source, offset, length)?;
    if bytes.len() < length {
        return Err(bad(
            tensor,
            format!("`{location}` ends before byte {}", offset.saturating_add(length as u64)),
        ));
    }
    Ok(bytes)
}

/// Chunks of little-endian bytes as numbers.
fn words<const N: usize, T>(raw: &[u8], count: usize, read: impl Fn([u8; N]) -> T) -> Result<Vec<T>, String> {
    if count.checked_mul(N) != Some(raw.len()) {
        return Err(format!("{} bytes for {count} elements of {N}", raw.len()));
    }
    Ok(raw.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect())
}

fn from_raw(kind: DataType, shape: Vec<usize>, count: usize, raw: &[u8]) -> Result<Value, String> {
    Ok(match kind {
        DataType::Float => Value::F32(pack(shape, words(raw, count, f32::from_le_bytes)?)?),
        DataType::Float16 => Value::F32(pack(shape, words(raw, count, |b| half(u16::from_le_bytes(b)))?)?),
        DataType::Bfloat16 => Value::F32(pack(shape, words(raw, count, |b| brain(u16::from_le_bytes(b)))?)?),
        DataType::Double => Value::F64(pack(shape, words(raw, count, f64::from_le_bytes)?)?),
        DataType::Int64 => Value::I64(pack(shape, words(raw, count, i64::from_le_bytes)?)?),
        DataType::Uint64 => {
            let data = words(raw, count, u64::from_le_bytes)?;
            Value::I64(pack(shape, data.into_iter().map(wide).collect::<Result<_, _>>()?)?)
        }
        DataType::Uint32 => {
            Value::I64(pack(shape, words(raw, count, |b| i64::from(u32::from_le_bytes(b)))?)?)
        }
        DataType::Int32 => Value::I32(pack(shape, words(raw, count, i32::from_le_bytes)?)?),
        DataType::Int16 => Value::I32(pack(shape, words(raw, count, |b| i32::from(i16::from_le_bytes(b)))?)?),
        DataType::Uint16 => {
            Value::I32(pack(shape, words(raw, count, |b| i32::from(u16::from_le_bytes(b)))?)?)
        }
        DataType::Int8 => Value::I32(pack(shape, words(raw, count, |b| i32::from(i8::from_le_bytes(b)))?)?),
        DataType::Uint8 => Value::U8(pack(shape, words(raw, count, u8::from_le_bytes)?)?),
        DataType::Bool => Value::Bool(pack(shape, words(raw, count, |[b]: [u8; 1]| b != 0)?)?),
        other => return Err(format!("element type {other:?} is not supported")),
    })
}

fn from_fields(
    kind: DataType,
    shape: Vec<usize>,
    count: usize,
    tensor: &TensorProto,
) -> Result<Value, String> {
    let narrow = |bits: i32| u16::try_from(bits & 0xffff).unwrap_or(0);
    let value = match kind {
        DataType::Float => Value::F32(pack(shape, tensor.float_data.clone())?),
        DataType::Double => Value::F64(pack(shape, tensor.double_data.clone())?),
        DataType::Int64 => Value::I64(pack(shape, tensor.int64_data.clone())?),
        DataType::Uint32 | DataType::Uint64 => {
            let data = tensor.uint64_data.iter().map(|&v| wide(v)).collect::<Result<_, _>>()?;
            Value::I64(pack(shape, data)?)
        }
        DataType::Int32 | DataType::Int16 | DataType::Int8 | DataType::Uint16 => {
            Value::I32(pack(shape, tensor.int32_data.clone())?)
        }
        DataType::Uint8 => {
            let data =
                tensor.int32_data.iter().map(|&v| u8::try_from(v).map_err(|_| format!("{v} is no byte")));
            Value::U8(pack(shape, data.collect::<Result<_, _>>()?)?)
        }
        DataType::Bool => Value::Bool(pack(shape, tensor.int32_data.iter().map(|&v| v != 0).collect())?),
        DataType::Float16 => {
            Value::F32(pack(shape, tensor.int32_data.iter().map(|&v| half(narrow(v))).collect())?)
        }
        DataType::Bfloat16 => {
            Value::F32(pack(shape, tensor.int32_data.iter().map(|&v| brain(narrow(v))).collect())?)
        }
        DataType::String => {
            let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
            Value::Text(pack(shape, tensor.string_data.iter().map(text).collect())?)
        }
        other => return Err(format!("element type {other:?} is not supported")),
    };
    debug_assert_eq!(crate::values::len(&value), count);
    Ok(value)
}

fn pack<T>(shape: Vec<usize>, data: Vec<T>) -> Result<Tensor<T>, String> {
    Tensor::new(shape, data).map_err(|error| error.to_string())
}

fn wide(value: u64) -> Result<i64, String> {
    i64::try_from(value).map_err(|_| format!("{value} exceeds the largest signed integer"))
}

/// IEEE half precision.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

/// The upper half of an `f32`.
fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_widened_exactly() {
        for (bits, value) in [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0)] {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
        assert_eq!(brain(0x3f80), 1.0);
    }

    #[test]
    fn lying_tensors_are_refused() {
        let limits = Limits::default();
        let float = DataType::Float as i32;
        for (dims, raw) in [
            (vec![-1], vec![0; 4]),
            (vec![2], vec![0; 4]),
            (vec![i64::MAX, i64::MAX], vec![0; 4]),
            (vec![i64::MAX, 0], vec![]),
            (vec![1 << 40], vec![]),
            (vec![3], vec![0; 13]),
        ] {
            let tensor = TensorProto {
                dims: dims.clone(),
                data_type: float,
                raw_data: raw.into(),
                ..Default::default()
            };
            let result = constant(&tensor, None, &limits);
            assert_eq!(result.is_err(), dims != [i64::MAX, 0], "{dims:?}");
        }
    }
}
