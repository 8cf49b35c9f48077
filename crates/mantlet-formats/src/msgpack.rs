//! MessagePack as Flax writes weights with it: maps of arrays in extensions, nothing that runs. Objects of
//! `msgpack_numpy` are the exception: arrays of kind `O` in it are pickles.

use mantlet_vocab::Source;

use crate::structure::{Power, Structure};
use crate::window::Window;

const MAX_DEPTH: u32 = 128;
const MAX_TEXT: u64 = 4 << 10;
/// Values of one file that are walked.
const MAX_VALUES: u64 = 64 << 20;

/// Whether the bytes begin like a map whose first key is a text, or bytes that are text.
#[must_use]
pub fn is_msgpack(head: &[u8]) -> bool {
    let rest = match head {
        [0x81..=0x8f, rest @ ..] | [0xde, 0, _, rest @ ..] | [0xdf, 0, 0, _, _, rest @ ..] => rest,
        _ => return false,
    };
    let (len, text) = match rest {
        [first @ 0xa1..=0xbf, rest @ ..] => (usize::from(first & 31), rest),
        [0xd9 | 0xc4, len, rest @ ..] => (usize::from(*len), rest),
        [0xda, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return false,
    };
    let Some(key) = text.get(..len) else { return false };
    let word = std::str::from_utf8(key).is_ok_and(|key| !key.chars().any(char::is_control));
    // A value follows that keys of weights have: a map, a list, an extension, a text, a number.
    word && !key.is_empty() && text.get(len).is_some_and(|&next| next != 0xc1)
}

/// The facts of a file. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut walk = Walk {
        window: Window::new(source, 0),
        facts: Structure::of("MessagePack"),
        values: 0,
        limit: source.len(),
        arrays: 0,
    };
    let whole = walk.value(0, "").is_some();
    if whole {
        walk.facts.end = walk.window.offset();
    } else if walk.facts.limits.is_empty() && walk.facts.defects.is_empty() {
        let at = walk.window.offset();
        walk.facts.defect("it ends early or a length in it is wrong", at);
    }
    if let Some(error) = walk.window.failed {
        walk.facts.limit(error.to_string());
    }
    walk.facts
}

/// A value as far as callers look at it.
enum Seen {
    Number(i64),
    /// A text, cut at a bound; where it is and how long.
    Text(String, u64, u64),
    /// Bytes: where and how many.
    Bytes(u64, u64),
    List(Vec<i64>, u64),
    Other,
}

struct Walk<'a> {
    window: Window<'a>,
    facts: Structure,
    values: u64,
    limit: u64,
    arrays: u64,
}

impl Walk<'_> {
    fn uint(&mut self, width: usize) -> Option<u64> {
        let bytes = self.window.take(width)?;
        Some(bytes.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// One value; `None` when the bytes make no sense or a bound is reached.
    fn value(&mut self, depth: u32, key: &str) -> Option<Seen> {
        self.values += 1;
        if self.values > MAX_VALUES {
            self.facts.limit(format!("only the first {MAX_VALUES} values are examined"));
            return None;
        }
        let at = self.window.offset();
        if depth > MAX_DEPTH {
            self.facts.defect(format!("it is nested deeper than {MAX_DEPTH}"), at);
            return None;
        }
        if at >= self.limit {
            return None;
        }
        let first = self.window.byte()?;
        Some(match first {
            0x00..=0x7f => Seen::Number(i64::from(first)),
            0xe0..=0xff => Seen::Number(i64::from(first.cast_signed())),
            0x80..=0x8f => self.map(u64::from(first & 15), depth)?,
            0x90..=0x9f => self.list(u64::from(first & 15), depth, key)?,
            0xa0..=0xbf => self.text(u64::from(first & 31))?,
            0xc0 | 0xc2 | 0xc3 => Seen::Other,
            0xc1 => {
                self.facts.defect("a byte that MessagePack never uses", at);
                return None;
            }
            0xc4..=0xc6 => {
                let len = self.uint(1 << (first - 0xc4))?;
                self.bytes(len)?
            }
            0xc7..=0xc9 => {
                let len = self.uint(1 << (first - 0xc7))?;
                self.extension(len, depth, key)?
            }
            0xca => self.skip(4)?,
            0xcb => self.skip(8)?,
            0xcc..=0xcf => {
                let number = self.uint(1 << (first - 0xcc))?;
                Seen::Number(i64::try_from(number).unwrap_or(i64::MAX))
            }
            0xd0..=0xd3 => {
                let width = 1 << (first - 0xd0);
                let number = self.uint(width)?;
                let shift = 64 - 8 * width as u32;
                Seen::Number((number << shift).cast_signed() >> shift)
            }
            0xd4..=0xd8 => self.extension(1 << (first - 0xd4), depth, key)?,
            0xd9..=0xdb => {
                let len = self.uint(1 << (first - 0xd9))?;
                self.text(len)?
            }
            0xdc | 0xdd => {
                let count = self.uint(2 << (first - 0xdc))?;
                self.list(count, depth, key)?
            }
            0xde | 0xdf => {
                let count = self.uint(2 << (first - 0xde))?;
                self.map(count, depth)?
            }
        })
    }

    fn skip(&mut self, count: u64) -> Option<Seen> {
        self.window.skip(count).then_some(Seen::Other)
    }

    fn inside(&mut self, len: u64) -> Option<u64> {
        let at = self.window.offset();
        let end = at.checked_add(len).filter(|&end| end <= self.limit);
        if end.is_none() {
            self.facts.defect(format!("a length of {len} reaches past the end"), at);
        }
        end
    }

    fn text(&mut self, len: u64) -> Option<Seen> {
        let at = self.window.offset();
        let end = self.inside(len)?;
        let kept = self.window.take(len.min(MAX_TEXT) as usize)?;
        let text = String::from_utf8_lossy(kept).into_owned();
        self.window.seek(end);
        Some(Seen::Text(text, at, len))
    }

    fn bytes(&mut self, len: u64) -> Option<Seen> {
        let at = self.window.offset();
        let end = self.inside(len)?;
        self.window.seek(end);
        Some(Seen::Bytes(at, len))
    }

    fn list(&mut self, count: u64, depth: u32, key: &str) -> Option<Seen> {
        self.inside(count)?;
        let mut numbers = Vec::new();
        for _ in 0..count {
            if let Seen::Number(number) = self.value(depth + 1, key)?
                && numbers.len() < 32
            {
                numbers.push(number);
            }
        }
        Some(Seen::List(numbers, count))
    }

    fn map(&mut self, count: u64, depth: u32) -> Option<Seen> {
        self.inside(count.checked_mul(2)?)?;
        let (mut kind, mut array, mut data) = (None, false, None);
        for _ in 0..count {
            let at = self.window.offset();
            let name = match self.value(depth + 1, "")? {
                Seen::Text(text, ..) => text,
                Seen::Bytes(start, len) => {
                    let after = self.window.offset();
                    self.window.seek(start);
                    let kept = self.window.take(len.min(64) as usize)?;
                    let text = String::from_utf8_lossy(kept).into_owned();
                    self.window.seek(after);
                    text
                }
                Seen::Number(number) => number.to_string(),
                _ => {
                    self.facts.defect("a key is neither a text nor a number", at);
                    String::new()
                }
            };
            let value = self.value(depth + 1, &name)?;
            // Before there were bytes, MessagePack wrote them as texts.
            if let ("data", Seen::Bytes(start, len) | Seen::Text(_, start, len)) = (name.as_str(), &value) {
                data = Some((*start, *len));
            }
            match (name.as_str(), &value) {
                ("nd", _) => array = true,
                ("kind", Seen::Bytes(start, 1)) => {
                    let (start, after) = (*start, self.window.offset());
                    self.window.seek(start);
                    kind = self.window.byte();
                    self.window.seek(after);
                }
                ("kind", Seen::Text(text, _, 1)) => kind = text.bytes().next(),
                (_, Seen::Text(text, ..)) if text.starts_with("PLACEHOLDER://") => {
                    // Orbax keeps what stands for it in a folder of that name.
                    self.facts.reads("folder of an array", &text["PLACEHOLDER://".len()..], at);
                }
                (key, Seen::Text(text, ..)) => {
                    let key = key.to_owned();
                    self.facts.says(&key, text);
                }
                _ => {}
            }
        }
        if let (true, Some(b'O'), Some((start, len))) = (array, kind, data) {
            self.facts.names(Power::Pickle, "array of objects", "msgpack_numpy", start);
            if self.facts.parts.len() < 64 {
                self.facts.parts.push(("objects.pkl".into(), start, len));
            } else {
                self.facts.limit("only the first 64 arrays of objects are examined");
            }
        }
        Some(Seen::Other)
    }

    /// Flax keeps arrays in extension 1, complex numbers in 2 and scalars in 3, each MessagePack again.
    fn extension(&mut self, len: u64, depth: u32, key: &str) -> Option<Seen> {
        let code = self.window.byte()?.cast_signed();
        let start = self.window.offset();
        let end = self.inside(len)?;
        match code {
            1 | 3 => {
                let outer = std::mem::replace(&mut self.limit, end);
                let array = self.array(depth);
                self.limit = outer;
                if array.is_none() && self.facts.limits.is_empty() {
                    self.facts.defect(format!("the array `{}` makes no sense", short(key)), start);
                } else if array.is_some() && self.window.offset() != end {
                    self.facts
                        .defect(format!("bytes follow the array `{}` in its extension", short(key)), start);
                }
            }
            2 | -1 => {}
            other => self.facts.limit(format!("an extension of type {other} is not one of Flax")),
        }
        self.window.seek(end);
        Some(Seen::Other)
    }

    /// Shape, type and bytes of an array, which must agree.
    fn array(&mut self, depth: u32) -> Option<()> {
        self.arrays += 1;
        let at = self.window.offset();
        let fields = match self.window.byte()? {
            first @ 0x90..=0x9f => u64::from(first & 15),
            0xdc => self.uint(2)?,
            _ => return None,
        };
        if fields != 3 {
            return None;
        }
        let Seen::List(shape, rank) = self.value(depth + 1, "")? else { return None };
        let Seen::Text(kind, ..) = self.value(depth + 1, "")? else { return None };
        let Seen::Bytes(_, len) = self.value(depth + 1, "")? else { return None };
        let Some(width) = width(&kind) else {
            if matches!(kind.trim_start_matches(['|', '<', '>']), "O" | "object" | "object_") {
                self.facts.defect("an array of Python objects, which Flax never writes", at);
            } else {
                self.facts.limit(format!("the type `{}` of an array is not known", short(&kind)));
            }
            return Some(());
        };
        if rank as usize != shape.len() {
            return None;
        }
        let items = shape.iter().try_fold(1_u64, |all, &axis| all.checked_mul(u64::try_from(axis).ok()?));
        // Types below a byte are kept one value a byte.
        if items.and_then(|items| items.checked_mul(width)) != Some(len) {
            self.facts.defect(format!("an array of shape {shape:?} and type `{kind}` has {len} bytes"), at);
        }
        Some(())
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Bytes of one value of a type that NumPy or `ml_dtypes` name.
fn width(kind: &str) -> Option<u64> {
    let kind = kind.trim_start_matches(['<', '>', '=', '|']);
    Some(match kind {
        "bool" | "int8" | "uint8" | "int4" | "uint4" | "int2" | "uint2" | "V1" => 1,
        "float16" | "bfloat16" | "int16" | "uint16" | "V2" => 2,
        "float32" | "int32" | "uint32" => 4,
        "float64" | "int64" | "uint64" | "complex64" => 8,
        "complex128" => 16,
        _ if kind.starts_with("float8_") || kind.starts_with("float4_") || kind.starts_with("float6_") => 1,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn pickles_are_found_in_texts_as_in_bytes() {
        let head = b"\x83\xa2nd\xc3\xa4kind\xa1O\xa4data";
        for pickle in [&b"\xa3\x80\x02."[..], b"\xd9\x03\x80\x02.", b"\xc4\x03\x80\x02."] {
            let bytes = [head, pickle].concat();
            let facts = analyse(&MemorySource::new(&bytes));
            let at = bytes.len() as u64 - 3;
            assert_eq!(facts.parts, [("objects.pkl".to_owned(), at, 3)]);
            assert_eq!(facts.code[0].0, Power::Pickle);
        }
        let other = b"\x83\xa2nd\xc3\xa4kind\xa5Other\xa4data\xa1x";
        assert!(analyse(&MemorySource::new(other)).code.is_empty());
    }
}
