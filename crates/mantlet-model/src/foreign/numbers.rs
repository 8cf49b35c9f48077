//! Constants and attributes as ONNX has them.

use mantlet_formats::onnx::schema::{AttributeProto, AttributeType, DataType};
use prost::bytes::Bytes;

/// Axes of a value.
pub(super) const MAX_RANK: usize = 8;

/// Numbers that do not depend on the input.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) dims: Vec<usize>,
    pub(super) kind: DataType,
    pub(super) raw: Bytes,
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind as i32, ..AttributeProto::default() }
}

/// An attribute with one whole number.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

/// An attribute with a list of whole numbers.
pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

/// An attribute with one number.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

/// An attribute with a word.
pub(super) fn word(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}

pub(super) fn sizes(name: &str, values: &[usize]) -> AttributeProto {
    ints(name, &whole(values))
}

pub(super) fn whole(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&value| i64::try_from(value).unwrap_or(i64::MAX)).collect()
}

/// Bytes of one element.
pub(super) fn width(kind: DataType) -> Option<usize> {
    Some(match kind {
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        _ => return None,
    })
}

impl Numbers {
    /// Numbers of this shape; `None` when there are not as many.
    pub(super) fn new(dims: Vec<usize>, kind: DataType, raw: Bytes) -> Option<Self> {
        let count = dims.iter().try_fold(1_usize, |count, &axis| count.checked_mul(axis))?;
        (dims.len() <= MAX_RANK && count.checked_mul(width(kind)?)? == raw.len()).then_some(Self {
            dims,
            kind,
            raw,
        })
    }

    pub(super) fn floats_of(dims: Vec<usize>, values: &[f32]) -> Option<Self> {
        Self::new(dims, DataType::Float, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    pub(super) fn whole_of(dims: Vec<usize>, values: &[i64]) -> Option<Self> {
        Self::new(dims, DataType::Int64, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// The numbers as whole ones, when they are.
    pub(super) fn whole(&self) -> Option<Vec<i64>> {
        let raw = &self.raw;
        Some(match self.kind {
            DataType::Int32 => {
                raw.as_chunks::<4>().0.iter().map(|&chunk| i32::from_le_bytes(chunk).into()).collect()
            }
            DataType::Int64 => {
                raw.as_chunks::<8>().0.iter().map(|&chunk| i64::from_le_bytes(chunk)).collect()
            }
            _ => return None,
        })
    }

    /// The numbers as floats, when they are.
    pub(super) fn floats(&self) -> Option<Vec<f32>> {
        let pairs = || self.raw.as_chunks::<2>().0.iter().map(|&chunk| u16::from_le_bytes(chunk));
        Some(match self.kind {
            DataType::Float => {
                self.raw.as_chunks::<4>().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()
            }
            DataType::Float16 => pairs().map(mantlet_formats::weights::half).collect(),
            DataType::Bfloat16 => pairs().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
            _ => return None,
        })
    }

    /// The same numbers in another order of axes.
    pub(super) fn turned(&self, perm: &[usize]) -> Option<Self> {
        let (rank, size) = (self.dims.len(), width(self.kind)?);
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() {
            return None;
        }
        let mut steps = vec![1_usize; rank];
        for axis in (1..rank).rev() {
            steps[axis - 1] = steps[axis] * self.dims[axis];
        }
        let dims: Vec<usize> = perm.iter().map(|&axis| self.dims[axis]).collect();
        let steps: Vec<usize> = perm.iter().map(|&axis| steps[axis]).collect();
        let mut raw = Vec::with_capacity(self.raw.len());
        let (mut place, mut from) = (vec![0_usize; rank], 0);
        while raw.len() < self.raw.len() {
            raw.extend_from_slice(self.raw.get(from * size..(from + 1) * size)?);
            for axis in (0..rank).rev() {
                place[axis] += 1;
                from += steps[axis];
                if place[axis] < dims[axis] {
                    break;
                }
                from -= steps[axis] * dims[axis];
                place[axis] = 0;
            }
        }
        Some(Self { dims, kind: self.kind, raw: raw.into() })
    }

    /// The same numbers in another shape.
    pub(super) fn shaped(&self, dims: Vec<usize>) -> Option<Self> {
        Self::new(dims, self.kind, self.raw.clone())
    }
}
