//! Tensors as TensorFlow writes them into graphs.

use mantlet_formats::onnx::schema::DataType;
use prost::bytes::Bytes;

use super::checked;
use crate::foreign::numbers::{Numbers, width};
use crate::foreign::wire::{all, fixed, inner, number, numbers};

/// Elements that one written number may stand for.
const MAX_REPEATED: usize = 1 << 26;

pub(super) fn kind(code: u64) -> Option<DataType> {
    Some(match code {
        1 => DataType::Float,
        2 => DataType::Double,
        3 => DataType::Int32,
        4 => DataType::Uint8,
        5 => DataType::Int16,
        6 => DataType::Int8,
        9 => DataType::Int64,
        10 => DataType::Bool,
        14 => DataType::Bfloat16,
        19 => DataType::Float16,
        _ => return None,
    })
}

/// The axes of a shape, -1 where one is free; `None` when even their number is.
pub(super) fn shape(message: &Bytes) -> Option<Vec<i64>> {
    if number(message, 3) == Some(1) {
        return None;
    }
    let axes: Vec<i64> =
        all(message, 2).take(32).map(|axis| number(&axis, 1).unwrap_or(0).cast_signed()).collect();
    Some(axes)
}

/// The numbers of a tensor message.
pub(super) fn read(message: &Bytes) -> Option<Numbers> {
    let kind = kind(number(message, 1)?)?;
    let dims = shape(&inner(message, 2).unwrap_or_default())?;
    let size = width(kind)?;
    let count =
        dims.iter().try_fold(1_usize, |count, &axis| count.checked_mul(usize::try_from(axis).ok()?))?;
    let content = inner(message, 4).unwrap_or_default();
    if !content.is_empty() || count == 0 {
        return checked(&dims, kind, content);
    }
    let short = |field| -> Option<Vec<u8>> {
        let written = numbers(message, field)?;
        Some(written.iter().flat_map(|value| value.to_le_bytes()[..size].to_vec()).collect())
    };
    let mut raw = match kind {
        DataType::Float => fixed(message, 5, 4),
        DataType::Double => fixed(message, 6, 8),
        DataType::Int32 | DataType::Int16 | DataType::Int8 | DataType::Uint8 => short(7)?,
        DataType::Int64 => short(10)?,
        DataType::Bool => short(11)?,
        _ => short(13)?,
    };
    // The last number that is written stands for all that follow, and none for zeros.
    if raw.len() % size != 0 || raw.len() / size > count || count > MAX_REPEATED {
        return None;
    }
    let last = raw.len().checked_sub(size).map_or_else(|| vec![0; size], |at| raw[at..].to_vec());
    while raw.len() < count * size {
        raw.extend_from_slice(&last);
    }
    checked(&dims, kind, raw.into())
}
