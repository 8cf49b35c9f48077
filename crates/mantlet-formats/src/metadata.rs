//! Texts that a file of weights says about itself, and programs hidden in them as base64 or hexadecimal.

use crate::jinja::{self, Template};

/// Longest text that is read as a template.
const MAX_TEMPLATE: usize = 1 << 20;
/// Bytes of a text that are looked at.
const MAX_TEXT: usize = 8 << 10;

/// A text under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The key.
    pub key: String,
    /// The first 160 characters.
    pub shown: String,
    /// How many bytes it has.
    pub len: u64,
    /// What its bytes decode to, when that is a program or an archive.
    pub hides: Option<&'static str>,
    /// In base64 it is a text with a credential.
    pub secret: bool,
    /// The text read as a template, when it holds tags.
    pub template: Option<Box<Template>>,
}

impl Text {
    /// The facts of one text, of which the beginning is enough.
    #[must_use]
    pub fn new(key: &str, value: &str) -> Self {
        Self {
            key: key.chars().take(120).collect(),
            shown: value.chars().take(160).collect(),
            len: value.len() as u64,
            hides: hidden(value.as_bytes()),
            secret: holds_secret(value.as_bytes()),
            template: (value.len() <= MAX_TEMPLATE && jinja::has_tags(value))
                .then(|| Box::new(jinja::analyse(value))),
        }
    }

    /// Whether it is more than words: a template, or something in another form.
    #[must_use]
    pub fn does_something(&self) -> bool {
        self.hides.is_some() || self.template.is_some()
    }
}

/// Whether a text is another one in base64, once or twice, with a credential in it.
fn holds_secret(text: &[u8]) -> bool {
    let mut text = text.trim_ascii().to_vec();
    for _ in 0..2 {
        if !(24..=MAX_TEXT).contains(&text.len()) {
            return false;
        }
        let Some(decoded) = decode_base64(&text) else { return false };
        let printed = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t') || **byte >= 0x80;
        if decoded.iter().filter(printed).count() < decoded.len() {
            return false;
        }
        let swept = crate::sweep::sweep(&mantlet_vocab::MemorySource::new(&decoded), MAX_TEXT as u64);
        let said = String::from_utf8_lossy(&decoded);
        if !swept.secrets.is_empty() || !crate::secrets::named(&said).is_empty() {
            return true;
        }
        text = decoded;
    }
    false
}

/// What bytes are by their first few, when that can do something by itself.
#[must_use]
pub fn program(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 9] = [
        (b"\x7fELF\x02\x01", "a Linux program"),
        (b"\x7fELF\x01\x01", "a Linux program"),
        (b"\xcf\xfa\xed\xfe", "a macOS program"),
        (b"#!/", "a script"),
        (b"PK\x03\x04", "a zip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x80\x04\x95", "a pickle"),
        (b"\x80\x05\x95", "a pickle"),
        (b"\x80\x02c", "a pickle"),
    ];
    if bytes.starts_with(b"MZ")
        && bytes.get(2..).is_some_and(|rest| {
            memchr::memmem::find(&rest[..rest.len().min(512)], b"This program cannot be run").is_some()
                || memchr::memmem::find(&rest[..rest.len().min(512)], b"PE\0\0").is_some()
        })
    {
        return Some("a Windows program");
    }
    MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|&(_, what)| what)
}

/// What a text decodes to from base64 or hexadecimal, when that is a program or an archive.
#[must_use]
pub fn hidden(text: &[u8]) -> Option<&'static str> {
    let text = text.trim_ascii();
    let text = &text[..text.len().min(MAX_TEXT)];
    // Data URLs carry their type before a comma.
    let body = if text.starts_with(b"data:") {
        memchr::memchr(b',', text).map_or(text, |at| &text[at + 1..])
    } else {
        text
    };
    if body.len() < 40 {
        return None;
    }
    let known = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| program(&bytes));
    known(hexadecimal(body))
        .or_else(|| known(decode_base64(body)))
        .or_else(|| known(base32(body)))
        .or_else(|| known(base85(body, RFC1924)))
        .or_else(|| known(base85(body, ASCII85)))
        .or_else(|| known(numbers(body)))
}

/// What texts are together, from the first that begins like a program in another form.
#[must_use]
pub fn joined<'t>(texts: impl IntoIterator<Item = &'t str>) -> Option<&'static str> {
    let mut whole = String::new();
    for text in texts {
        if (!whole.is_empty() || begins(text)) && whole.len() < MAX_TEXT {
            whole.push_str(text);
        }
    }
    hidden(whole.as_bytes())
}

/// Whether a text begins like a program in base64 or hexadecimal.
#[must_use]
pub fn begins(text: &str) -> bool {
    const BEGINNINGS: [&str; 19] = [
        "f0VMRg",
        "TVqQ",
        "TVpQ",
        "TVpA",
        "TVoA",
        "TVoB",
        "z/rt/g",
        "z_rt_g",
        "IyEv",
        "UEsDB",
        "N3q8r",
        "gASV",
        "gAWV",
        "7f454c46",
        "4d5a90",
        "cffaedfe",
        "23212f",
        "504b0304",
        "0x7f454c46",
    ];
    let lower = text.get(..text.len().min(16)).unwrap_or_default().to_ascii_lowercase();
    BEGINNINGS.iter().any(|known| text.starts_with(known) || known.len() >= 6 && lower.starts_with(known))
}

/// The letters of base 85 as Python's `b85encode` and `a85encode` write them.
const RFC1924: &[u8] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
const ASCII85: &[u8] =
    b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstu";

/// The first bytes of a text of five letters for four bytes.
fn base85(text: &[u8], letters: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_prefix(b"<~").unwrap_or(text);
    let mut out = Vec::new();
    // Enough for the header of any program.
    for group in text.chunks_exact(5).take(256) {
        let number = group.iter().try_fold(0_u64, |sum, letter| {
            letters.iter().position(|known| known == letter).map(|value| sum * 85 + value as u64)
        })?;
        out.extend(u32::try_from(number).ok()?.to_be_bytes());
    }
    Some(out)
}

fn base32(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u64, 0);
    for &byte in text.iter().take(1_024) {
        let value = match byte.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            b'=' => break,
            _ => return None,
        };
        bits = bits << 5 | u64::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

/// Bytes that are written as numbers, one after another.
fn numbers(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text.get(..text.len().min(2_048))?).ok()?;
    let list = text.trim_start_matches(['[', '(', '{']);
    let mut out = Vec::new();
    for part in list.split([',', ' ', ';', '\n']).map(str::trim).filter(|part| !part.is_empty()).take(400) {
        match part.parse::<u8>() {
            Ok(byte) => out.push(byte),
            // The last may be cut, or end the list.
            Err(_) if out.len() >= 16 => break,
            Err(_) => return None,
        }
    }
    (out.len() >= 16).then_some(out)
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let text = text.strip_prefix(b"0x").unwrap_or(text);
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// The bytes of a base64 text, of either alphabet; `None` when it is none.
pub(crate) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            b'\r' | b'\n' => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_seen_through_their_encoding() {
        // "\x7fELF\x02\x01" and zeros.
        assert_eq!(hidden(b"f0VMRgIBAQAAAAAAAAAAAAMAPgABAAAAAAAAAAAAAAAAAA=="), Some("a Linux program"));
        assert_eq!(hidden(b"504b030414000000000000000000000000000000000000000000"), Some("a zip archive"));
        assert_eq!(
            hidden(b"P5CUYRQCAEAQAAAAAAAAAAAAAABQAPQAAAAAAAAAAAAAAAAAAAAA===="),
            Some("a Linux program")
        );
        let list = "[127, 69, 76, 70, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 62, 0]";
        assert_eq!(hidden(list.as_bytes()), Some("a Linux program"));
        assert_eq!(
            joined(["x", "f0VMRgIBAQAAAAAAAAAA", "AAMAPgABAAAAAAAAAAAAAAAAAA=="]),
            Some("a Linux program")
        );
        assert_eq!(joined(["a", "b"]), None);
        assert_eq!(hidden(b"#!/bin/sh"), None);
        assert_eq!(hidden(b"The quick brown fox jumps over the lazy dog, twice."), None);
        assert_eq!(hidden(b"aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29ybGQ="), None);
    }
}
