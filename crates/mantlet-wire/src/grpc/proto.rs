//! Protocol Buffers as they stand on the wire, field by field, without copying.
//!
//! Why not the types of a general library: a tensor of two bytes on the wire is a structure of hundreds in memory, so
//! that a small message would cost a large one; and fields that no type names, which are forwarded, would vanish.
//!
//! Source: the encoding of Protocol Buffers, protobuf.dev/programming-guides/encoding.

use crate::Defect;

/// A field's value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// The fields of a message, in its order.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    const fn syntax<T>(&self, expected: &'static str) -> Result<T, Defect> {
        Err(Defect::Syntax { offset: self.at, expected })
    }

    /// The next field's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, Defect> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let Some(number) = number else { return self.syntax("the number of a field") };
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(self.fixed()?),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let rest = self.bytes.get(self.at..).unwrap_or(&[]);
                let Some((bytes, _)) = rest.split_at_checked(length) else {
                    return self.syntax("the rest of a field");
                };
                self.at += length;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed32(self.fixed()?),
            _ => return self.syntax("a field of a known form"),
        };
        Ok(Some((number, field)))
    }

    /// A number of up to 64 bits, seven to a byte.
    pub(super) fn varint(&mut self) -> Result<u64, Defect> {
        let mut value = 0_u64;
        for place in 0..10 {
            let Some(&byte) = self.bytes.get(self.at) else { return self.syntax("the rest of a number") };
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            if place == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.syntax("a number of 64 bits")
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Defect> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        match found {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => self.syntax("the rest of a number"),
        }
    }

    /// How many bytes were read.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Defect> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Defect::Syntax { offset: 0, expected: "a field of bytes" }),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Defect> {
        std::str::from_utf8(self.bytes()?).map_err(|e| Defect::NotUtf8 { offset: e.valid_up_to() })
    }

    /// A repeated number, packed or alone.
    pub(super) fn varints(self, mut each: impl FnMut(u64) -> Result<(), Defect>) -> Result<(), Defect> {
        match self {
            Self::Varint(value) => each(value),
            Self::Bytes(bytes) => {
                let mut fields = Fields::new(bytes);
                while !fields.is_empty() {
                    each(fields.varint()?)?;
                }
                Ok(())
            }
            _ => Err(Defect::Syntax { offset: 0, expected: "a field of numbers" }),
        }
    }

    /// Repeated numbers of 4 bytes, packed or alone.
    pub(super) fn fixed32s(self, mut each: impl FnMut([u8; 4]) -> Result<(), Defect>) -> Result<(), Defect> {
        match self {
            Self::Fixed32(value) => each(value),
            Self::Bytes(bytes) => chunks(bytes, &mut each),
            _ => Err(Defect::Syntax { offset: 0, expected: "a field of numbers of 4 bytes" }),
        }
    }

    /// Repeated numbers of 8 bytes, packed or alone.
    pub(super) fn fixed64s(self, mut each: impl FnMut([u8; 8]) -> Result<(), Defect>) -> Result<(), Defect> {
        match self {
            Self::Fixed64(value) => each(value),
            Self::Bytes(bytes) => chunks(bytes, &mut each),
            _ => Err(Defect::Syntax { offset: 0, expected: "a field of numbers of 8 bytes" }),
        }
    }
}

fn chunks<const N: usize>(
    bytes: &[u8],
    each: &mut impl FnMut([u8; N]) -> Result<(), Defect>,
) -> Result<(), Defect> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(Defect::Syntax { offset: bytes.len(), expected: "the rest of a number" });
    }
    chunks.iter().try_for_each(|chunk| each(*chunk))
}

/// Adds a field of bytes to a message.
pub(super) fn push_bytes(message: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    push_varint(message, u64::from(number) << 3 | 2);
    push_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

/// Adds a field that is a number to a message.
pub(super) fn push_number(message: &mut Vec<u8>, number: u32, value: u64) {
    push_varint(message, u64::from(number) << 3);
    push_varint(message, value);
}

fn push_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
