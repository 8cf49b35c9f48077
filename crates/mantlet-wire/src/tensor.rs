//! Tensors of the protocol: JSON data, flat or nested, and little-endian binary data.

use mantlet_vocab::{Tensor, Value};

use crate::json::Reader;
use crate::number::Decimal;
use crate::{Datatype, Defect};

/// The deepest nesting of `data`; no model has tensors of a higher rank.
const RANK: usize = 16;

/// Reads `data` of a tensor into its element type.
pub(crate) fn read_json(
    reader: &mut Reader<'_>,
    name: &str,
    datatype: Datatype,
    shape: &[usize],
    budget: usize,
) -> Result<Value, Defect> {
    // Numbers go straight from text to the element type, so that nothing is rounded twice.
    macro_rules! numbers {
        ($variant:ident, $convert:expr) => {
            numbers!($variant, $convert, run)
        };
        ($variant:ident, $convert:expr, $run:ident) => {{
            let word = datatype.name();
            let convert = $convert;
            let read = |reader: &mut Reader<'_>| {
                let number = reader.decimal()?;
                let offset = reader.at - number.text.len();
                convert(number).ok_or(Defect::OutOfRange { offset, datatype: word })
            };
            Value::$variant(nested(reader, name, shape, budget, read, |reader, out, most| {
                reader.$run(out, most, &convert)
            })?)
        }};
    }
    macro_rules! whole {
        ($variant:ident, $element:ty, $wide:ty) => {
            numbers!($variant, |number: Decimal<'_>| {
                number.to_i64().and_then(|wide| <$wide>::try_from(wide).ok()).map(<$element>::from)
            })
        };
    }
    Ok(match datatype {
        Datatype::Bool => Value::Bool(nested(reader, name, shape, budget, |r| r.boolean(), no_run)?),
        Datatype::Bytes => {
            Value::Text(nested(reader, name, shape, budget, |r| Ok(r.string()?.into_owned()), no_run)?)
        }
        Datatype::Uint8 => whole!(U8, u8, u8),
        Datatype::Int8 => whole!(I32, i32, i8),
        Datatype::Int16 => whole!(I32, i32, i16),
        Datatype::Uint16 => whole!(I32, i32, u16),
        Datatype::Int32 => whole!(I32, i32, i32),
        Datatype::Uint32 => whole!(I64, i64, u32),
        Datatype::Int64 => whole!(I64, i64, i64),
        Datatype::Uint64 => {
            numbers!(I64, |number: Decimal<'_>| number.to_u64().and_then(|wide| i64::try_from(wide).ok()))
        }
        Datatype::Fp16 => numbers!(F32, |number: Decimal<'_>| {
            Some(number.to_f32()).filter(|value| value.abs() <= 65504.0)
        }),
        Datatype::Fp32 | Datatype::Bf16 => {
            numbers!(F32, finite, run_f32)
        }
        Datatype::Fp64 => {
            numbers!(F64, |number: Decimal<'_>| Some(number.to_f64()).filter(|value| value.is_finite()))
        }
    })
}

/// What reading a possibly nested array has seen.
struct Nest<'a, T> {
    shape: &'a [usize],
    budget: usize,
    out: Vec<T>,
    /// Whether every array so far fits `shape` at its depth.
    fits: bool,
    /// The depth at which scalars stand, once one was seen.
    leaf: Option<usize>,
}

fn nested<T>(
    reader: &mut Reader<'_>,
    name: &str,
    shape: &[usize],
    budget: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, Defect>,
    run: impl Fn(&mut Reader<'_>, &mut Vec<T>, usize) -> usize,
) -> Result<Tensor<T>, Defect> {
    let expected = product(name, shape)?;
    let limit = TooMany::values(budget);
    if expected > budget {
        return Err(limit);
    }
    // A shape is only a claim; memory is reserved for what has arrived, which a message's size bounds.
    let out = Vec::with_capacity(expected.min(4096));
    let mut nest = Nest { shape, budget, out, fits: true, leaf: None };
    level(reader, name, 1, &mut nest, &read, &run)?;
    let Nest { out, fits, leaf, .. } = nest;
    if out.len() != expected {
        return Err(Defect::Count { tensor: name.to_owned(), expected, found: out.len() });
    }
    let flat = leaf.is_none_or(|leaf| leaf == 1);
    let shaped = fits && leaf == Some(shape.len());
    if !(flat || shaped) {
        return Err(Defect::Ragged { tensor: name.to_owned() });
    }
    Tensor::new(shape, out).map_err(|_| Defect::ShapeOverflow { tensor: name.to_owned() })
}

fn level<T>(
    reader: &mut Reader<'_>,
    name: &str,
    depth: usize,
    nest: &mut Nest<'_, T>,
    read: &impl Fn(&mut Reader<'_>) -> Result<T, Defect>,
    run: &impl Fn(&mut Reader<'_>, &mut Vec<T>, usize) -> usize,
) -> Result<(), Defect> {
    if depth > RANK {
        return Err(Defect::TooDeep { offset: reader.at, limit: RANK });
    }
    let mut items = 0_usize;
    reader.array(|reader| {
        items += 1;
        let right = |nest: &mut Nest<'_, T>| *nest.leaf.get_or_insert(depth) == depth;
        if reader.peek() != Some(b'[') && right(nest) {
            let left = nest.budget.saturating_sub(nest.out.len());
            items += run(reader, &mut nest.out, left);
        }
        if reader.peek() == Some(b'[') {
            return level(reader, name, depth + 1, nest, read, run);
        }
        if nest.out.len() >= nest.budget {
            return Err(TooMany::values(nest.budget));
        }
        if !right(nest) {
            return Err(Defect::Ragged { tensor: name.to_owned() });
        }
        nest.out.push(read(reader)?);
        Ok(())
    })?;
    nest.fits &= nest.shape.get(depth - 1) == Some(&items);
    Ok(())
}

/// Elements that are read one by one only.
const fn no_run<T>(_: &mut Reader<'_>, _: &mut Vec<T>, _: usize) -> usize {
    0
}

fn finite(number: Decimal<'_>) -> Option<f32> {
    Some(number.to_f32()).filter(|value| value.is_finite())
}

struct TooMany;

impl TooMany {
    const fn values(limit: usize) -> Defect {
        Defect::TooMany { what: "values", limit }
    }
}

/// The number of values of a shape.
pub(crate) fn product(name: &str, shape: &[usize]) -> Result<usize, Defect> {
    shape
        .iter()
        .try_fold(1_usize, |product, &axis| product.checked_mul(axis))
        .ok_or_else(|| Defect::ShapeOverflow { tensor: name.to_owned() })
}

/// Reads the binary form of a tensor.
pub(crate) fn read_binary(
    bytes: &[u8],
    name: &str,
    datatype: Datatype,
    shape: &[usize],
    budget: usize,
) -> Result<Value, Defect> {
    let count = product(name, shape)?;
    if count > budget {
        return Err(TooMany::values(budget));
    }
    if let Some(width) = datatype.width() {
        let expected =
            count.checked_mul(width).ok_or_else(|| Defect::ShapeOverflow { tensor: name.to_owned() })?;
        if bytes.len() != expected {
            return Err(Defect::BinarySize { tensor: name.to_owned(), expected, found: bytes.len() });
        }
    }
    let overflow = |_| Defect::ShapeOverflow { tensor: name.to_owned() };
    macro_rules! elements {
        ($variant:ident, $width:literal, $convert:expr) => {{
            let (chunks, _) = bytes.as_chunks::<$width>();
            Value::$variant(
                Tensor::new(shape, chunks.iter().copied().map($convert).collect()).map_err(overflow)?,
            )
        }};
    }
    let range = || Defect::OutOfRange { offset: 0, datatype: datatype.name() };
    Ok(match datatype {
        Datatype::Bool => {
            if bytes.iter().any(|&byte| byte > 1) {
                return Err(range());
            }
            elements!(Bool, 1, |[byte]: [u8; 1]| byte == 1)
        }
        Datatype::Uint8 => elements!(U8, 1, |[byte]: [u8; 1]| byte),
        Datatype::Int8 => elements!(I32, 1, |b| i32::from(i8::from_le_bytes(b))),
        Datatype::Int16 => elements!(I32, 2, |b| i32::from(i16::from_le_bytes(b))),
        Datatype::Uint16 => elements!(I32, 2, |b| i32::from(u16::from_le_bytes(b))),
        Datatype::Int32 => elements!(I32, 4, i32::from_le_bytes),
        Datatype::Uint32 => elements!(I64, 4, |b| i64::from(u32::from_le_bytes(b))),
        Datatype::Int64 => elements!(I64, 8, i64::from_le_bytes),
        Datatype::Uint64 => {
            let (chunks, _) = bytes.as_chunks::<8>();
            let values = chunks
                .iter()
                .map(|&b| i64::try_from(u64::from_le_bytes(b)).map_err(|_| range()))
                .collect::<Result<Vec<_>, _>>()?;
            Value::I64(Tensor::new(shape, values).map_err(overflow)?)
        }
        Datatype::Fp16 => elements!(F32, 2, |b| half(u16::from_le_bytes(b))),
        Datatype::Bf16 => elements!(F32, 2, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
        Datatype::Fp32 => elements!(F32, 4, f32::from_le_bytes),
        Datatype::Fp64 => elements!(F64, 8, f64::from_le_bytes),
        Datatype::Bytes => Value::Text(Tensor::new(shape, texts(bytes, name, count)?).map_err(overflow)?),
    })
}

/// `BYTES` elements: a 4-byte little-endian length, then that many bytes.
fn texts(bytes: &[u8], name: &str, count: usize) -> Result<Vec<String>, Defect> {
    let fault = || Defect::Text { tensor: name.to_owned() };
    let mut out = Vec::with_capacity(count.min(bytes.len() / 4));
    let mut rest = bytes;
    while out.len() < count {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(fault)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| fault())?;
        let (text, tail) = tail.split_at_checked(length).ok_or_else(fault)?;
        out.push(std::str::from_utf8(text).map_err(|_| fault())?.to_owned());
        rest = tail;
    }
    if rest.is_empty() {
        Ok(out)
    } else {
        Err(Defect::BinarySize {
            tensor: name.to_owned(),
            expected: bytes.len() - rest.len(),
            found: bytes.len(),
        })
    }
}

/// IEEE 754 binary16 to binary32, exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10 & 0x1f);
    let fraction = u32::from(bits & 0x3ff);
    match exponent {
        // Zero and subnormals: fraction x 2^-24.
        0 => {
            #[expect(clippy::cast_precision_loss, reason = "10 bits fit")]
            let magnitude = fraction as f32 / 16_777_216.0;
            f32::from_bits(magnitude.to_bits() | sign)
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
