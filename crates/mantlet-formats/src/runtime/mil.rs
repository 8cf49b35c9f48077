//! Values that are written out in programs of Core ML (MIL), or that lie in the file of weights beside them: their type,
//! their shape and where their numbers are.

use mantlet_vocab::{Source, read_window};

use crate::proto::{Field, Fields, Value};
use crate::weights::{Dtype, TensorInfo};
use crate::window::Window;

/// Extents of one value.
const MAX_RANK: usize = 16;
/// The mark of a blob in a file of weights.
const BLOB: u32 = 0xdead_beef;

/// The last field of this number within a message.
fn last(window: &mut Window<'_>, (start, end): (u64, u64), number: u64) -> Option<Field> {
    let (mut found, mut fields) = (None, Fields::new(start, end));
    while let Some(field) = fields.next(window) {
        if field.number == number {
            found = Some(field);
        }
    }
    found
}

fn inner(window: &mut Window<'_>, span: (u64, u64), number: u64) -> Option<(u64, u64)> {
    last(window, span, number)?.bytes()
}

fn number(window: &mut Window<'_>, span: (u64, u64), wanted: u64) -> Option<u64> {
    match last(window, span, wanted)?.value {
        Value::Number(number) => Some(number),
        Value::Bytes { .. } => None,
    }
}

/// The numbers of a value; `true` when they lie in the file of weights. Nothing for text, yes and no, and lists.
pub(super) fn numbers(
    window: &mut Window<'_>,
    value: (u64, u64),
    weights: Option<&dyn Source>,
) -> Option<(TensorInfo, bool)> {
    let kind = inner(window, value, 2).and_then(|kind| inner(window, kind, 1))?;
    let dtype = match number(window, kind, 1)? {
        10 => Dtype::F16,
        11 => Dtype::F32,
        12 => Dtype::F64,
        13 => Dtype::Bf16,
        code @ (21..=24 | 31..=34) => Dtype::Int { width: 1 << ((code - 1) % 10), signed: code < 30 },
        _ => return None,
    };
    let (mut shape, mut fields) = (Vec::new(), Fields::new(kind.0, kind.1));
    while let Some(field) = fields.next(window) {
        if let (3, Some(dimension)) = (field.number, field.bytes())
            && shape.len() < MAX_RANK
        {
            let known = inner(window, dimension, 1).and_then(|known| number(window, known, 1));
            shape.push(known.unwrap_or(1));
        }
    }
    let info = |dtype, (start, end): (u64, u64)| TensorInfo {
        name: String::new(),
        dtype,
        shape: shape.clone(),
        start,
        len: end.saturating_sub(start),
    };
    if let Some(written) = inner(window, value, 3).and_then(|written| inner(window, written, 1)) {
        // Floats and doubles packed, and bytes as they are; whole numbers have lengths of their own and are sizes.
        for (list, packed) in [(1, Some(Dtype::F32)), (6, Some(Dtype::F64)), (7, None)] {
            if let Some(values) = inner(window, written, list).and_then(|list| inner(window, list, 1)) {
                return Some((info(packed.unwrap_or(dtype), values), false));
            }
        }
        return None;
    }
    let offset = inner(window, value, 5).and_then(|blob| number(window, blob, 2))?;
    let head = read_window(weights?, offset, 24).ok()?;
    let mark = u32::from_le_bytes(*head.first_chunk()?);
    let word = |at: usize| Some(u64::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let (len, start) = (word(8)?, word(16)?);
    let end = start.checked_add(len)?;
    (mark == BLOB).then(|| (info(dtype, (start, end)), true))
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
    }

    #[test]
    fn values_are_read_where_they_are_written_and_beside_the_program() {
        let kind = |code: u8| {
            let extent = field(3, &field(1, &[8, 2]));
            field(2, &field(1, &[&[8, code, 16, 1], &extent[..]].concat()))
        };
        let floats: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        let written = [kind(11), field(3, &field(1, &field(1, &field(1, &floats))))].concat();
        let read = |bytes: &[u8], weights: Option<&dyn Source>| {
            let source = MemorySource::new(bytes);
            numbers(&mut Window::new(&source, 0), (0, bytes.len() as u64), weights)
        };
        let (tensor, beside) = read(&written, None).unwrap();
        let at = tensor.start as usize;
        assert_eq!((&written[at..at + 8], &tensor.shape[..], beside), (&floats[..], &[2][..], false));

        let mut blobs = vec![0_u8; 64];
        blobs.extend(BLOB.to_le_bytes());
        blobs.extend(1_u32.to_le_bytes());
        blobs.extend(4_u64.to_le_bytes());
        blobs.extend(128_u64.to_le_bytes());
        let named = [kind(10), field(5, &[&field(1, b"w")[..], &[16, 64]].concat())].concat();
        let (tensor, beside) = read(&named, Some(&MemorySource::new(&blobs))).unwrap();
        assert_eq!((tensor.dtype, tensor.start, tensor.len, beside), (Dtype::F16, 128, 4, true));
        assert_eq!(read(&named, None), None);
        blobs[64] = 0;
        assert_eq!(read(&named, Some(&MemorySource::new(&blobs))), None, "no blob there");
        assert_eq!(read(&kind(2), None), None, "text");
    }
}
