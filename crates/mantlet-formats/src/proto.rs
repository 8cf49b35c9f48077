//! Protocol buffers without a schema: the fields of one message, in a window, one at a time.

use crate::window::Window;

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// A variable-length number, or the bits of a fixed one.
    Number(u64),
    /// Text, bytes, a message or packed numbers: from `start` to `end`.
    Bytes {
        /// Offset of the first byte.
        start: u64,
        /// Offset after the last byte.
        end: u64,
    },
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) number: u64,
    pub(crate) at: u64,
    pub(crate) value: Value,
}

impl Field {
    /// Start and end, when the field is text, bytes or a message.
    pub(crate) fn bytes(&self) -> Option<(u64, u64)> {
        match self.value {
            Value::Bytes { start, end } => Some((start, end)),
            Value::Number(_) => None,
        }
    }
}

/// The fields of the message between two offsets. The window may be moved between calls.
pub(crate) struct Fields {
    at: u64,
    end: u64,
    /// The bytes do not make sense from here on.
    pub(crate) broken: Option<u64>,
}

impl Fields {
    pub(crate) fn new(start: u64, end: u64) -> Self {
        Self { at: start, end, broken: None }
    }

    /// The next field, or `None` at the end and where the bytes stop making sense (see `broken`).
    pub(crate) fn next(&mut self, window: &mut Window<'_>) -> Option<Field> {
        if self.at >= self.end || self.broken.is_some() {
            return None;
        }
        window.seek(self.at);
        // What has more fields than any model is broken as well.
        window.fields = window.fields.saturating_sub(1);
        let field = if window.fields > 0 { self.read(window) } else { None };
        if field.is_none() {
            self.broken = Some(self.at);
        }
        field
    }

    fn read(&mut self, window: &mut Window<'_>) -> Option<Field> {
        let at = self.at;
        let key = varint(window)?;
        let value = match key & 7 {
            0 => Value::Number(varint(window)?),
            1 => Value::Number(u64::from_le_bytes(window.array()?)),
            5 => Value::Number(u64::from(u32::from_le_bytes(window.array()?))),
            2 => {
                let len = varint(window)?;
                let start = window.offset();
                let end = start.checked_add(len).filter(|&end| end <= self.end)?;
                self.at = end;
                return (key >> 3 > 0).then_some(Field {
                    number: key >> 3,
                    at,
                    value: Value::Bytes { start, end },
                });
            }
            _ => return None,
        };
        self.at = window.offset();
        (self.at <= self.end && key >> 3 > 0).then_some(Field { number: key >> 3, at, value })
    }
}

/// A variable-length number.
pub(crate) fn varint(window: &mut Window<'_>) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = window.byte()?;
        if shift < 64 {
            value |= u64::from(byte & 0x7f) << shift;
        }
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Text between two offsets, cut at 1,024 bytes.
pub(crate) fn text(window: &mut Window<'_>, start: u64, end: u64) -> String {
    window.seek(start);
    let keep = end.saturating_sub(start).min(1_024);
    window.take(keep as usize).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

/// Numbers of a repeated field, packed or one by one, at most `max` in all.
pub(crate) fn numbers(window: &mut Window<'_>, value: Value, out: &mut Vec<u64>, max: usize) {
    match value {
        Value::Number(number) if out.len() < max => out.push(number),
        Value::Number(_) => {}
        Value::Bytes { start, end } => {
            window.seek(start);
            while window.offset() < end && out.len() < max {
                let Some(number) = varint(window) else { break };
                out.push(number);
            }
        }
    }
}
