//! Protocol buffers in memory without a schema: the fields of one message, one after another.

use prost::bytes::Bytes;

pub(super) use crate::fields::varint;
use crate::fields::{self, Raw};

/// A field's value: a number, or text, bytes, a message or packed numbers.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Number(u64),
    Bytes(Bytes),
}

/// The fields of a message.
pub(super) struct Fields {
    bytes: Bytes,
    at: usize,
    /// The bytes do not make sense from some place on.
    pub(super) broken: bool,
}

impl Fields {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0, broken: false }
    }

    fn read(&mut self) -> Option<(u64, Value)> {
        let (number, value) = fields::field(&self.bytes, &mut self.at)?;
        let value = match value {
            Raw::Number(value) => Value::Number(value),
            Raw::Span(span) => Value::Bytes(self.bytes.slice(span)),
        };
        Some((number, value))
    }
}

impl Iterator for Fields {
    type Item = (u64, Value);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() || self.broken {
            return None;
        }
        let field = self.read();
        self.broken = field.is_none();
        field
    }
}

/// The last field of this number that holds bytes.
pub(super) fn inner(message: &Bytes, number: u64) -> Option<Bytes> {
    let of = |(own, value): (u64, Value)| match value {
        Value::Bytes(bytes) if own == number => Some(bytes),
        _ => None,
    };
    Fields::new(message.clone()).filter_map(of).last()
}

/// Every field of this number that holds bytes.
pub(super) fn all(message: &Bytes, number: u64) -> impl Iterator<Item = Bytes> + use<> {
    Fields::new(message.clone()).filter_map(move |(own, value)| match value {
        Value::Bytes(bytes) if own == number => Some(bytes),
        _ => None,
    })
}

/// The last field of this number that holds a number.
pub(super) fn number(message: &Bytes, wanted: u64) -> Option<u64> {
    let of = |(own, value): (u64, Value)| match value {
        Value::Number(value) if own == wanted => Some(value),
        _ => None,
    };
    Fields::new(message.clone()).filter_map(of).last()
}

/// The numbers of a field, packed or one by one; varints.
pub(super) fn numbers(message: &Bytes, wanted: u64) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    for (own, value) in Fields::new(message.clone()) {
        match value {
            Value::Number(value) if own == wanted => found.push(value),
            Value::Bytes(bytes) if own == wanted => {
                let mut at = 0;
                while at < bytes.len() {
                    found.push(varint(&bytes, &mut at)?);
                }
            }
            _ => {}
        }
    }
    Some(found)
}

/// The raw numbers of a field of fixed width, packed or one by one.
pub(super) fn fixed(message: &Bytes, wanted: u64, width: usize) -> Vec<u8> {
    let mut found = Vec::new();
    for (own, value) in Fields::new(message.clone()) {
        match value {
            Value::Number(value) if own == wanted => {
                found.extend_from_slice(&value.to_le_bytes()[..width.min(8)])
            }
            Value::Bytes(bytes) if own == wanted => found.extend_from_slice(&bytes),
            _ => {}
        }
    }
    found
}

pub(super) fn text(bytes: Option<Bytes>) -> String {
    let bytes = bytes.unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(1_024)]).into_owned()
}
