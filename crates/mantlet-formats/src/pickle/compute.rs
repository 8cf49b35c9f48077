//! Text and bytes that a pickle computes on its way to a name or a decoder, and arrays between opcodes.

use super::effect::Special;
use super::facts::{Fault, Payload};
use super::machine::{Ending, Machine};
use super::text;
use super::value::{Node, Val, View};

/// Computed text or bytes longer than this are not followed.
const MAX_COMPUTED: usize = 1 << 20;

impl Machine<'_> {
    /// Bytes of a literal or computed value, when short enough to follow.
    fn blob(&self, value: Val) -> Option<Vec<u8>> {
        let most = self.heap.most(MAX_COMPUTED);
        match value.view() {
            View::Text(offset) | View::Bytes(offset) => {
                text::read(self.source, offset, most).filter(|literal| !literal.cut).map(|l| l.bytes)
            }
            _ => match self.heap.node(value)? {
                Node::Blob(bytes) => (bytes.len() <= most).then(|| bytes.to_vec()),
                Node::Text(text) => (text.len() <= most).then(|| text.as_bytes().to_vec()),
                _ => None,
            },
        }
    }

    pub(super) fn is_text(&self, value: Val) -> bool {
        matches!(value.view(), View::Text(_)) || matches!(self.heap.node(value), Some(Node::Text(_)))
    }

    fn make(&mut self, bytes: Vec<u8>, as_text: bool) -> Val {
        if bytes.len() > MAX_COMPUTED || !self.heap.spend(bytes.len()) {
            return Val::UNKNOWN;
        }
        let node = if as_text {
            Node::Text(String::from_utf8_lossy(&bytes).into())
        } else {
            Node::Blob(bytes.into())
        };
        self.heap.add(node, Val::UNKNOWN)
    }

    pub(super) fn compute(&mut self, special: Special, items: &[Val], result: &mut Val) {
        let Some(&first) = items.first() else { return };
        let Some(bytes) = self.blob(first) else {
            // Text this long is data, not a name; it stays the literal it was where that is the same bytes.
            return;
        };
        if !self.heap.spend(bytes.len()) {
            return;
        }
        match special {
            Special::Str => *result = self.make(bytes, true),
            Special::Encode => {
                let codec = items.get(1).and_then(|&codec| self.string(codec)).map_or_else(
                    || "utf-8".to_owned(),
                    |(codec, _)| codec.to_ascii_lowercase().replace('_', "-"),
                );
                let from_text = self.is_text(first);
                let computed = match codec.as_str() {
                    "latin1" | "latin-1" | "iso-8859-1" | "iso8859-1" if from_text => {
                        let text = String::from_utf8_lossy(&bytes);
                        let latin: Vec<u8> =
                            text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
                        Some((latin, false))
                    }
                    "latin1" | "latin-1" | "iso-8859-1" => Some((
                        bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into_bytes(),
                        true,
                    )),
                    "rot13" | "rot-13" => Some((bytes.into_iter().map(rot13).collect(), true)),
                    "hex" | "hex-codec" => unhex(&bytes).map(|bytes| (bytes, false)),
                    "base64" | "base64-codec" => unbase64(&bytes).map(|bytes| (bytes, false)),
                    "utf-8" | "utf8" | "ascii" | "us-ascii" | "latin" | "l1" | "cp1252" | "utf-8-sig" => {
                        Some((bytes, !from_text))
                    }
                    "unicode-escape" | "raw-unicode-escape" | "string-escape" if !from_text => {
                        let raw = codec.starts_with('r');
                        text::decode_escapes(&bytes, raw).map(|bytes| (bytes, true))
                    }
                    "utf-16" | "utf16" | "utf-16-le" | "utf-16-be" if !from_text => {
                        Some((utf16(&bytes, codec.ends_with("be")), true))
                    }
                    "zlib" | "zlib-codec" | "zip" if !from_text => {
                        return self.compute(Special::Inflate, items, result);
                    }
                    // What another codec makes of it is not known.
                    _ => None,
                };
                if let Some((bytes, as_text)) = computed {
                    *result = self.make(bytes, as_text);
                }
            }
            Special::Concat => {
                if let Some(second) = items.get(1).and_then(|&second| self.blob(second)) {
                    let as_text = self.is_text(first);
                    *result = self.make([bytes, second].concat(), as_text);
                }
            }
            Special::Join => {
                let parts = items.get(1).map(|&parts| self.heap.items(parts).to_vec()).unwrap_or_default();
                let few = parts.len() <= 4_096;
                let parts: Option<Vec<Vec<u8>>> =
                    parts.into_iter().map(|part| self.blob(part).filter(|_| few)).collect();
                if let Some(parts) =
                    parts.filter(|parts| parts.iter().map(Vec::len).sum::<usize>() < MAX_COMPUTED)
                {
                    let as_text = self.is_text(first);
                    *result = self.make(parts.join(&bytes[..]), as_text);
                }
            }
            Special::Base64 => {
                if let Some(bytes) = unbase64(&bytes) {
                    *result = self.make(bytes, false);
                }
            }
            Special::Inflate => {
                use std::io::Read as _;
                let mut out = Vec::new();
                let limit = MAX_COMPUTED as u64 + 1;
                let read = if bytes.starts_with(&[0x1f, 0x8b]) {
                    flate2::read::GzDecoder::new(&bytes[..]).take(limit).read_to_end(&mut out)
                } else {
                    flate2::read::ZlibDecoder::new(&bytes[..]).take(limit).read_to_end(&mut out)
                };
                if read.is_ok() {
                    *result = self.make(out, false);
                }
            }
            _ => {}
        }
    }

    /// Notes bytes that reach a decoder; false when they are not known.
    pub(super) fn decoded(&mut self, value: Val) -> bool {
        let value = match self.heap.node(value) {
            // What a stream holds was given to it, or is its state.
            Some(&Node::Call { args, state, .. }) => {
                let given = self.heap.items(args).first().or_else(|| self.heap.items(state).first());
                given.copied().unwrap_or(value)
            }
            _ => value,
        };
        let payload = match value.view() {
            View::Bytes(offset) => {
                text::payload(self.source, offset).map(|(offset, len)| Payload::Span { offset, len })
            }
            _ => self.blob(value).map(Payload::Inline),
        };
        let known = payload.is_some();
        if self.facts.payloads.len() < 64 {
            self.facts.payloads.extend(payload);
        } else {
            self.limit("more than 64 pickles inside this pickle");
        }
        known
    }

    /// The raw array that joblib writes after a `NumpyArrayWrapper`.
    pub(super) fn array(&mut self, state: Val, at: u64) -> Result<Val, Option<Fault>> {
        self.facts.joblib_arrays += 1;
        // joblib ends the frame before it writes an array.
        if self.window.offset() == self.frame_end {
            self.frame_end = u64::MAX;
        }
        let dtype = self.entry(state, "dtype").and_then(|dtype| self.item_size(dtype));
        let shape = self.entry(state, "shape").map(|shape| self.heap.items(shape).to_vec());
        let count = shape.and_then(|shape| {
            shape.iter().try_fold(1_u64, |count, axis| match axis.view() {
                View::Int(axis) => count.checked_mul(u64::try_from(axis).ok()?),
                _ => None,
            })
        });
        let (Some(size), Some(count)) = (dtype, count) else {
            self.limit(&format!("the raw array at {at:#x} has a type or shape that is not understood"));
            return Err(None);
        };
        if size == ItemSize::Object {
            return match self.inner_stream() {
                Ending::Stopped => Ok(Val::UNKNOWN),
                Ending::Broken => Err(None),
            };
        }
        let ItemSize::Bytes(size) = size else { return Err(None) };
        let aligned =
            self.entry(state, "numpy_array_alignment_bytes").is_some_and(|value| value != Val::NONE);
        if aligned {
            let padding = self.window.byte().ok_or(Some(Fault::Truncated))?;
            if !self.window.skip(u64::from(padding)) {
                return Err(Some(Fault::Truncated));
            }
        }
        match count.checked_mul(size) {
            Some(len) if self.window.skip(len) => Ok(self.heap.intern_instance("numpy", "ndarray", at)),
            _ => Err(Some(Fault::Truncated)),
        }
    }

    fn item_size(&self, dtype: Val) -> Option<ItemSize> {
        let Some(&Node::Call { args, state, .. }) = self.heap.node(dtype) else { return None };
        if let Some(View::Int(flags)) = self.heap.items(state).get(7).map(|flags| flags.view())
            && flags & 1 != 0
        {
            return Some(ItemSize::Object);
        }
        let (name, _) = self.string(*self.heap.items(args).first()?)?;
        let name = name.trim_start_matches(['<', '>', '=', '|']);
        let (kind, digits) = name.split_at_checked(1)?;
        let number = digits.parse::<u64>().ok();
        match kind {
            "O" => Some(ItemSize::Object),
            "U" => number?.checked_mul(4).map(ItemSize::Bytes),
            "b" | "i" | "u" | "f" | "c" | "S" | "a" | "V" => number.map(ItemSize::Bytes),
            "M" | "m" => Some(ItemSize::Bytes(8)),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ItemSize {
    Bytes(u64),
    Object,
}

fn utf16(bytes: &[u8], big: bool) -> Vec<u8> {
    let (bytes, big) = match bytes {
        [0xff, 0xfe, rest @ ..] => (rest, false),
        [0xfe, 0xff, rest @ ..] => (rest, true),
        other => (other, big),
    };
    let units = bytes.chunks_exact(2).map(|pair| {
        if big { u16::from_be_bytes([pair[0], pair[1]]) } else { u16::from_le_bytes([pair[0], pair[1]]) }
    });
    char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>().into_bytes()
}

fn rot13(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
        other => other,
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Base64 of either alphabet; other characters are skipped, as Python does by default.
pub(crate) fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs() {
        assert_eq!(unbase64(b"b3M=").unwrap(), b"os");
        assert_eq!(unhex(b"6f73").unwrap(), b"os");
        assert_eq!(rot13(b'b'), b'o');
    }
}
