//! Text and bytes literals, read back from the source by the offset of their opcode.

use mantlet_vocab::{Source, read_window};

use super::value::Val;

/// A literal read back: its value up to a bound, and whether it was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) bytes: Vec<u8>,
    pub(crate) cut: bool,
}

/// Where the payload of the literal whose opcode is at `offset` starts, and its length; `None` for the
/// newline-terminated forms.
pub(crate) fn payload(source: &dyn Source, offset: u64) -> Option<(u64, u64)> {
    let head = read_window(source, offset, 9).ok()?;
    let width = match *head.first()? {
        b'U' | b'C' | 0x8c => 1,
        b'X' | b'T' | b'B' => 4,
        0x8d | 0x8e | 0x96 => 8,
        _ => return None,
    };
    let mut len = [0_u8; 8];
    len[..width].copy_from_slice(head.get(1..1 + width)?);
    Some((offset + 1 + width as u64, u64::from_le_bytes(len)))
}

/// The literal at `offset`, at most `max` bytes of it.
pub(crate) fn read(source: &dyn Source, offset: u64, max: usize) -> Option<Literal> {
    if let Some((start, len)) = payload(source, offset) {
        let keep = usize::try_from(len).unwrap_or(usize::MAX).min(max);
        let bytes = read_window(source, start, keep).ok()?;
        return Some(Literal { cut: (bytes.len() as u64) < len, bytes });
    }
    let window = read_window(source, offset, max.saturating_mul(2).max(256)).ok()?;
    let (&opcode, rest) = window.split_first()?;
    let end = memchr::memchr(b'\n', rest);
    let line = &rest[..end.unwrap_or(rest.len())];
    let mut bytes = match opcode {
        b'V' => raw_unicode(line),
        b'S' => unescape(line)?,
        _ => return None,
    };
    let cut = end.is_none() || bytes.len() > max;
    bytes.truncate(max);
    Some(Literal { bytes, cut })
}

/// What the codecs `unicode_escape` and, when `raw`, `raw_unicode_escape` make of bytes.
pub(crate) fn decode_escapes(bytes: &[u8], raw: bool) -> Option<Vec<u8>> {
    if raw {
        return Some(raw_unicode(bytes));
    }
    let quoted = [b"'", bytes, b"'"].concat();
    let plain = unescape(&quoted)?;
    Some(raw_unicode(&plain))
}

/// raw-unicode-escape: only `\uXXXX` and `\UXXXXXXXX` are escapes, other bytes are Latin-1.
fn raw_unicode(line: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(line.len());
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let width = match line.get(at + 1) {
            Some(b'u') if byte == b'\\' => 4,
            Some(b'U') if byte == b'\\' => 8,
            _ => 0,
        };
        let digits = line.get(at + 2..at + 2 + width).filter(|_| width > 0);
        let decoded = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        if let Some(decoded) = decoded {
            text.push(decoded);
            at += 2 + width;
        } else {
            text.push(char::from(byte));
            at += 1;
        }
    }
    text.into_bytes()
}

/// A quoted STRING argument with Python's escapes.
fn unescape(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii();
    let quote = *line.first().filter(|byte| matches!(byte, b'\'' | b'"'))?;
    let inner = line.get(1..)?;
    let inner = inner.strip_suffix(&[quote]).unwrap_or(inner);
    let mut bytes = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        at += 1;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let Some(&escape) = inner.get(at) else { break };
        at += 1;
        let hex = |at: usize| {
            inner
                .get(at..at + 2)
                .and_then(|pair| std::str::from_utf8(pair).ok())
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        };
        match escape {
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'r' => bytes.push(b'\r'),
            b'a' => bytes.push(7),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'v' => bytes.push(11),
            b'x' => {
                if let Some(value) = hex(at) {
                    bytes.push(value);
                    at += 2;
                }
            }
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                for _ in 0..2 {
                    match inner.get(at) {
                        Some(digit @ b'0'..=b'7') => {
                            value = value * 8 + u32::from(digit - b'0');
                            at += 1;
                        }
                        _ => break,
                    }
                }
                bytes.push(value as u8);
            }
            other => bytes.push(other),
        }
    }
    Some(bytes)
}

/// An integer as `int(text, 0)` and C's `strtol` of base 0 read it: decimal, `0x`, `0o`, `0b`, underscores.
pub(crate) fn integer(text: &str) -> Option<Val> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| b.is_ascii_digit()) => {
            (8, lower.as_str())
        }
        _ => (10, lower.as_str()),
    };
    let digits: String = digits.chars().filter(|&c| c != '_').collect();
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix.max(10))) {
        return None;
    }
    let value = i64::from_str_radix(&digits, radix).ok();
    Some(
        value
            .and_then(|value| if negative { value.checked_neg() } else { Some(value) })
            .map_or(Val::NUMBER, Val::int),
    )
}

/// Python source text of some bytes.
pub(crate) fn quote(bytes: &[u8], prefix: &str, max: usize, cut: bool) -> String {
    let mut out = String::from(prefix);
    out.push('"');
    let shown = bytes.get(..max).unwrap_or(bytes);
    let text = String::from_utf8_lossy(shown);
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_bidi(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    if cut || shown.len() < bytes.len() {
        out.push('…');
    }
    out.push('"');
    out
}

/// Characters that reorder what a reader sees.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn every_literal_opcode_reads_back() {
        let cases: [(&[u8], &[u8]); 9] = [
            (b"\x8c\x02os", b"os"),
            (b"X\x02\0\0\0os", b"os"),
            (b"\x8d\x02\0\0\0\0\0\0\0os", b"os"),
            (b"U\x02os", b"os"),
            (b"Vo\\u0073\n", b"os"),
            (b"S'o\\x73'\n", b"os"),
            (b"S'\\157s'\n", b"os"),
            (b"C\x02os", b"os"),
            (b"\x96\x02\0\0\0\0\0\0\0os", b"os"),
        ];
        for (bytes, expect) in cases {
            let literal = read(&MemorySource::new(bytes), 0, 100).unwrap();
            assert_eq!(literal.bytes, expect);
            assert!(!literal.cut);
        }
        assert!(read(&MemorySource::new(b"\x8c\xffos"), 0, 100).unwrap().cut);
        assert!(read(&MemorySource::new(b"N"), 0, 100).is_none());
    }
}
