//! A strict pull reader of JSON (RFC 8259): no duplicate keys, bounded depth, UTF-8 only, and tensors read
//! straight into their element type instead of through a tree.
//!
//! Why not a tree of a general library: the numbers of a tensor are most of a message, a tree costs several
//! times the tensor, and duplicate keys, which two readers resolve differently, vanish in it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::{Defect, Limits};

/// Up to this many keys of an object are compared one by one; more go into a set.
const FEW: usize = 16;

pub(crate) struct Reader<'a> {
    text: &'a str,
    pub(crate) at: usize,
    depth: usize,
    limit: usize,
    most_keys: usize,
    /// The keys of the objects that are open, innermost last, so that small objects need no memory of their own.
    keys: Vec<Cow<'a, str>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, Defect> {
        let text = std::str::from_utf8(bytes).map_err(|e| Defect::NotUtf8 { offset: e.valid_up_to() })?;
        Ok(Self { text, at: 0, depth: 0, limit: limits.depth, most_keys: limits.keys, keys: Vec::new() })
    }

    pub(crate) const fn syntax<T>(&self, expected: &'static str) -> Result<T, Defect> {
        Err(Defect::Syntax { offset: self.at, expected })
    }

    pub(crate) const fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The next byte that is not white space, which stays unread.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn open(&mut self) -> Result<(), Defect> {
        self.depth += 1;
        if self.depth > self.limit {
            return Err(Defect::TooDeep { offset: self.at, limit: self.limit });
        }
        Ok(())
    }

    /// Reads an object; `field` is called with each key and must read its value.
    pub(crate) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), Defect>,
    ) -> Result<(), Defect> {
        if !self.take(b'{') {
            return self.syntax("an object");
        }
        self.open()?;
        let base = self.keys.len();
        let mut many: Option<BTreeSet<Cow<'a, str>>> = None;
        if !self.take(b'}') {
            loop {
                self.peek();
                let offset = self.at;
                let key = self.string()?;
                let (count, twice) = match &many {
                    Some(set) => (set.len(), set.contains(&key)),
                    None => (self.keys.len() - base, self.keys[base..].contains(&key)),
                };
                if twice {
                    return Err(Defect::DuplicateKey { offset, key: key.chars().take(100).collect() });
                }
                if count >= self.most_keys {
                    return Err(Defect::TooMany { what: "keys in an object", limit: self.most_keys });
                }
                if !self.take(b':') {
                    return self.syntax("`:`");
                }
                field(self, &key)?;
                match &mut many {
                    Some(set) => drop(set.insert(key)),
                    None => self.keys.push(key),
                }
                if many.is_none() && self.keys.len() - base > FEW {
                    many = Some(self.keys.drain(base..).collect());
                }
                if self.take(b',') {
                    continue;
                }
                if self.take(b'}') {
                    break;
                }
                return self.syntax("`,` or `}`");
            }
        }
        self.keys.truncate(base);
        self.depth -= 1;
        Ok(())
    }

    /// Reads an array; `item` must read one element.
    #[inline]
    pub(crate) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Defect>,
    ) -> Result<(), Defect> {
        if !self.take(b'[') {
            return self.syntax("an array");
        }
        self.open()?;
        if !self.take(b']') {
            loop {
                item(self)?;
                if self.take(b',') {
                    continue;
                }
                if self.take(b']') {
                    break;
                }
                return self.syntax("`,` or `]`");
            }
        }
        self.depth -= 1;
        Ok(())
    }

    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Defect> {
        if !self.take(b'"') {
            return self.syntax("a string");
        }
        let start = self.at;
        let bytes = self.bytes();
        loop {
            self.at = plain(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.escaped(start).map(Cow::Owned),
                Some(0..0x20) | None => return self.syntax("the rest of a string"),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escaped(&mut self, start: usize) -> Result<String, Defect> {
        let mut out = String::new();
        let bytes = self.bytes();
        let mut run = start;
        loop {
            self.at = plain(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    out.push_str(&self.text[run..self.at]);
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(&self.text[run..self.at]);
                    self.at += 1;
                    let escape = bytes.get(self.at).copied();
                    self.at += 1;
                    out.push(match escape {
                        Some(b'"') => '"',
                        Some(b'\\') => '\\',
                        Some(b'/') => '/',
                        Some(b'b') => '\u{8}',
                        Some(b'f') => '\u{c}',
                        Some(b'n') => '\n',
                        Some(b'r') => '\r',
                        Some(b't') => '\t',
                        Some(b'u') => self.unicode()?,
                        _ => return self.syntax("an escape"),
                    });
                    run = self.at;
                }
                Some(0..0x20) | None => return self.syntax("the rest of a string"),
                Some(_) => self.at += 1,
            }
        }
    }

    fn hex4(&mut self) -> Result<u32, Defect> {
        let digits = self.bytes().get(self.at..self.at + 4);
        let value = digits.and_then(|digits| {
            digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
        });
        match value {
            Some(value) => {
                self.at += 4;
                Ok(value)
            }
            None => self.syntax("four hexadecimal digits"),
        }
    }

    fn unicode(&mut self) -> Result<char, Defect> {
        let high = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&high) {
            if self.bytes().get(self.at..self.at + 2) != Some(b"\\u") {
                return self.syntax("the second half of a surrogate pair");
            }
            self.at += 2;
            let low = self.hex4()?;
            if !(0xdc00..0xe000).contains(&low) {
                return self.syntax("the second half of a surrogate pair");
            }
            0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
        } else {
            high
        };
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.syntax("a character"),
        }
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Defect> {
        self.peek();
        for (word, value) in [("true", true), ("false", false)] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.syntax("true or false")
    }

    /// Reads any value and gives its text.
    pub(crate) fn any(&mut self) -> Result<&'a str, Defect> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'{') => self.object(|reader, _| reader.any().map(drop))?,
            Some(b'[') => self.array(|reader| {
                // Tensors whose numbers stand before what they mean: these are looked at twice, so cheaply here.
                reader.peek();
                reader.run(&mut Vec::new(), usize::MAX, |_| Some(()));
                reader.any().map(drop)
            })?,
            Some(b'"') => drop(self.string()?),
            Some(b't' | b'f') => drop(self.boolean()?),
            Some(b'n') if self.text[self.at..].starts_with("null") => self.at += 4,
            _ => drop(self.number()?),
        }
        Ok(&self.text[start..self.at])
    }

    /// Nothing but white space may follow.
    pub(crate) fn finish(mut self) -> Result<(), Defect> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Defect::TrailingData { offset: self.at }),
        }
    }

    pub(crate) const fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) const fn rewind(&mut self, at: usize, depth: usize) {
        self.at = at;
        self.depth = depth;
    }
}

/// The first place at or after `at` where a byte stands that can end a string or is no part of one. Eight bytes at
/// a time: a byte is marked when it is below 0x20, a quote or a backslash. Marks above the lowest can be false
/// (a borrow runs upwards), so only the lowest counts.
fn plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*eight);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let slash = zero(word ^ (ONES * u64::from(b'\\')));
        let marks = (control | quote | slash) & HIGH;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_is_found_wherever_it_stands() {
        for length in 0..40 {
            for stop in ['"', '\\', '\n', '\u{1f}', '\0'] {
                for filler in ["a", " ", "!", "#", "[", "]", "\u{7f}", "é", "\u{ff}"] {
                    let text = format!("{}{stop}{}", filler.repeat(length), "\"x".repeat(9));
                    assert_eq!(plain(text.as_bytes(), 0), filler.len() * length, "{text:?}");
                }
            }
        }
        assert_eq!(plain(b"no end in sight here", 3), 20);
    }
}
