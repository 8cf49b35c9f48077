//! Protocol buffers in memory without a schema: one field after another, as numbers and as places of bytes.

use std::ops::Range;

/// A field's value: a number, or where its text, bytes, message or packed numbers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    Number(u64),
    Span(Range<usize>),
}

/// A base-128 number.
pub(crate) fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The field at a place, which moves behind it; nothing where the bytes make no sense.
pub(crate) fn field(bytes: &[u8], at: &mut usize) -> Option<(u64, Raw)> {
    let key = varint(bytes, at)?;
    let span = |len: usize, at: &mut usize| {
        let end = at.checked_add(len).filter(|&end| end <= bytes.len())?;
        let span = *at..end;
        *at = end;
        Some(span)
    };
    let fixed = |width: usize, at: &mut usize| {
        let bytes = bytes.get(span(width, at)?)?;
        Some(Raw::Number(bytes.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte))))
    };
    let value = match key & 7 {
        0 => Raw::Number(varint(bytes, at)?),
        1 => fixed(8, at)?,
        5 => fixed(4, at)?,
        2 => {
            let len = usize::try_from(varint(bytes, at)?).ok()?;
            Raw::Span(span(len, at)?)
        }
        _ => return None,
    };
    Some((key >> 3, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_are_read_and_broken_ones_are_not() {
        let mut at = 0;
        let bytes = [8, 0x96, 1, 0x15, 1, 0, 0, 0, 0x1a, 2, 7, 8, 0x21, 2, 0, 0, 0, 0, 0, 0, 0];
        let all: Vec<_> = std::iter::from_fn(|| field(&bytes, &mut at)).collect();
        let expected =
            [(1, Raw::Number(150)), (2, Raw::Number(1)), (3, Raw::Span(10..12)), (4, Raw::Number(2))];
        assert_eq!(all, expected);
        for broken in [&[0x1a, 9, 0][..], &[0x0b], &[0x15, 0, 0], &[8, 0x80], &[0x1a, 0xff, 0xff, 0xff]] {
            assert_eq!(field(broken, &mut 0), None, "{broken:?}");
        }
    }
}
