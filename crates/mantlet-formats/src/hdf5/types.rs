//! Data types and shapes.

use super::bytes::Bytes;
use crate::weights::Dtype;

/// A data type, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// A number.
    Number(Dtype),
    /// Text of this many bytes.
    Text(u64),
    /// Text of any length, kept in a global heap.
    LongText,
    /// Anything else, of this many bytes.
    Other(u64),
}

impl Type {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Number(dtype) => dtype.width().unwrap_or(1),
            Self::Text(size) | Self::Other(size) => *size,
            Self::LongText => 16,
        }
    }

    pub(super) fn dtype(&self) -> Dtype {
        match self {
            Self::Number(dtype) => dtype.clone(),
            Self::Text(size) => Dtype::Other(format!("text of {size} bytes")),
            Self::LongText => Dtype::Other("text".into()),
            Self::Other(size) => Dtype::Other(format!("record of {size} bytes")),
        }
    }
}

pub(super) fn data_type(bytes: &mut Bytes<'_>) -> Option<Type> {
    let class = bytes.byte()? & 15;
    let bits = bytes.number(3)?;
    let size = bytes.number(4)?;
    let little = bits & 1 == 0;
    Some(match (class, size) {
        (0, 1 | 2 | 4 | 8) if little => Type::Number(Dtype::Int { width: size as u8, signed: bits & 8 != 0 }),
        (1, 8) if little => Type::Number(Dtype::F64),
        (1, 4) if little => Type::Number(Dtype::F32),
        (1, 2) if little => {
            // Brain floats have eight exponent bits, half floats five.
            bytes.take(5)?;
            Type::Number(if bytes.byte()? == 8 { Dtype::Bf16 } else { Dtype::F16 })
        }
        (3, size) => Type::Text(size),
        (9, 16) if bits & 15 == 1 => Type::LongText,
        (_, size) => Type::Other(size),
    })
}

/// The extents of a data space; an empty list is a single value.
pub(super) fn shape(bytes: &mut Bytes<'_>) -> Option<Vec<u64>> {
    let version = bytes.byte()?;
    let rank = bytes.byte()?;
    bytes.byte()?;
    let kind = bytes.byte()?;
    if version == 1 {
        bytes.take(4)?;
    }
    if version == 2 && kind == 2 {
        return Some(vec![0]);
    }
    (0..rank.min(32)).map(|_| bytes.length()).collect()
}
