//! A text as patterns read it: without what nobody sees, and with look-alikes of ASCII as ASCII. Offsets lead back.

use std::collections::VecDeque;

/// What becomes of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folded {
    /// It is not there for the eye.
    Drop,
    /// It reads as this ASCII byte.
    Byte(u8),
    /// It stays.
    Keep,
}

/// How a character outside ASCII is read: Unicode's compatibility forms of ASCII (UAX #15), spaces, hyphens, digits
/// of other scripts, and characters without a shape of their own.
pub(crate) fn fold(c: char) -> Folded {
    let code = c as u32;
    let byte = |offset: u32, from: u8| Folded::Byte(from.wrapping_add((offset & 0xff) as u8));
    match code {
        _ if is_invisible(c) => Folded::Drop,
        0x00a0 | 0x1680 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => Folded::Byte(b' '),
        0x2028 | 0x2029 => Folded::Byte(b'\n'),
        0x2010..=0x2015 | 0x2212 | 0xfe58 | 0xfe63 => Folded::Byte(b'-'),
        0x2018 | 0x2019 | 0x02bc => Folded::Byte(b'\''),
        0x201c | 0x201d => Folded::Byte(b'"'),
        0x2024 | 0x3002 => Folded::Byte(b'.'),
        0xff01..=0xff5e => byte(code - 0xff01, b'!'),
        0x0660..=0x0669 => byte(code - 0x0660, b'0'),
        0x06f0..=0x06f9 => byte(code - 0x06f0, b'0'),
        0x0966..=0x096f => byte(code - 0x0966, b'0'),
        0x1d7ce..=0x1d7ff => byte((code - 0x1d7ce) % 10, b'0'),
        0x1d400..=0x1d6a3 => match (code - 0x1d400) % 52 {
            letter @ 0..=25 => byte(letter, b'A'),
            letter => byte(letter - 26, b'a'),
        },
        0x24b6..=0x24cf => byte(code - 0x24b6, b'A'),
        0x24d0..=0x24e9 => byte(code - 0x24d0, b'a'),
        0x1f130..=0x1f149 => byte(code - 0x1f130, b'A'),
        _ => Folded::Keep,
    }
}

/// Characters that take no room: zero-width, direction marks, soft hyphen, fillers, variation selectors, tags.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c as u32,
        0x00ad | 0x034f | 0x061c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
            | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
            | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
    )
}

/// From here on bytes stand as they came, until the next mark.
#[derive(Debug, Clone, Copy)]
struct Mark {
    view: usize,
    raw: usize,
    /// Bytes of the text that became the one byte at `view`.
    len: usize,
}

/// The part of a text that is still looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) bytes: Vec<u8>,
    /// Bytes of the view before `bytes`.
    pub(crate) base: usize,
    pub(crate) before: Option<u8>,
    /// Bytes of the text so far.
    pub(crate) raw: usize,
    marks: VecDeque<Mark>,
}

impl View {
    /// Bytes of the view so far.
    pub(crate) fn end(&self) -> usize {
        self.base + self.bytes.len()
    }

    /// Adds characters that stand for themselves.
    pub(crate) fn push_str(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if text.is_ascii() {
            self.mark(self.raw, 1);
            self.bytes.extend_from_slice(text.as_bytes());
            self.raw += text.len();
            return;
        }
        for c in text.chars() {
            self.push(c, c.len_utf8());
        }
    }

    /// Adds a character that took `raw` bytes of the text.
    pub(crate) fn push(&mut self, c: char, raw: usize) {
        match if c.is_ascii() { Folded::Keep } else { fold(c) } {
            Folded::Drop => {}
            Folded::Byte(byte) => {
                self.mark(self.raw, raw);
                self.bytes.push(byte);
            }
            Folded::Keep if raw == c.len_utf8() => {
                self.mark(self.raw, 1);
                self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            // Written with an escape: every byte leads back to the whole of it.
            Folded::Keep => {
                for &byte in c.encode_utf8(&mut [0; 4]).as_bytes() {
                    self.marks.push_back(Mark { view: self.end(), raw: self.raw, len: raw });
                    self.bytes.push(byte);
                }
            }
        }
        self.raw += raw;
    }

    fn mark(&mut self, raw: usize, len: usize) {
        let view = self.end();
        let follows =
            self.marks.back().is_some_and(|mark| mark.raw + mark.len + (view - mark.view - 1) == raw);
        let first = self.marks.is_empty() && raw == view;
        if len != 1 || !(follows || first) {
            self.marks.push_back(Mark { view, raw, len });
        }
    }

    fn mark_of(&self, view: usize) -> Option<Mark> {
        let after = self.marks.partition_point(|mark| mark.view <= view);
        after.checked_sub(1).and_then(|index| self.marks.get(index)).copied()
    }

    /// Where the byte at `view` begins in the text.
    pub(crate) fn raw_start(&self, view: usize) -> usize {
        if view >= self.end() {
            return self.raw;
        }
        match self.mark_of(view) {
            None => view,
            Some(mark) if mark.view == view => mark.raw,
            Some(mark) => mark.raw + mark.len + (view - mark.view - 1),
        }
    }

    /// Where the byte before `view` ends in the text.
    pub(crate) fn raw_end(&self, view: usize) -> usize {
        let Some(last) = view.checked_sub(1) else { return 0 };
        match self.mark_of(last) {
            None => view,
            Some(mark) => mark.raw + mark.len + (last - mark.view),
        }
    }

    /// The nearest beginning of a character at or before `view`.
    pub(crate) fn floor(&self, mut view: usize) -> usize {
        while view > self.base
            && view < self.end()
            && self.bytes.get(view - self.base).is_some_and(|byte| byte & 0xc0 == 0x80)
        {
            view -= 1;
        }
        view
    }

    /// Forgets what stands before `view`.
    pub(crate) fn forget(&mut self, view: usize) {
        let gone = view.saturating_sub(self.base).min(self.bytes.len());
        if gone == 0 {
            return;
        }
        self.before = self.bytes.get(gone - 1).copied();
        self.bytes.drain(..gone);
        self.base += gone;
        while self.marks.get(1).is_some_and(|mark| mark.view <= self.base) {
            self.marks.pop_front();
        }
    }
}

/// Reads the escapes of JSON strings (RFC 8259, section 7) in text that arrives in parts: the arguments of a tool
/// call are JSON inside a string, and an escaped letter is the letter to the tool.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unescape {
    /// The beginning of an escape.
    open: String,
}

impl Unescape {
    /// Bytes of an escape that is not complete.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn feed(&mut self, text: &str, view: &mut View) {
        if self.open.is_empty() && !text.contains('\\') {
            view.push_str(text);
            return;
        }
        for c in text.chars() {
            if self.open.is_empty() && c != '\\' {
                view.push(c, c.len_utf8());
                continue;
            }
            self.open.push(c);
            match escape(&self.open) {
                Escape::Open => {}
                Escape::Is(c) => {
                    view.push(c, self.open.len());
                    self.open.clear();
                }
                Escape::No => self.finish(view),
            }
        }
    }

    /// What was open stands for itself.
    pub(crate) fn finish(&mut self, view: &mut View) {
        view.push_str(&std::mem::take(&mut self.open));
    }
}

enum Escape {
    Open,
    Is(char),
    No,
}

fn escape(text: &str) -> Escape {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        None => Escape::Open,
        Some('n' | 'r' | 't' | 'b' | 'f') if text.len() == 2 => {
            Escape::Is(if text.ends_with('t') { '\t' } else { '\n' })
        }
        Some('u') => {
            let unit = |at: usize| text.get(at..at + 4).map(|hex| u32::from_str_radix(hex, 16));
            match (text.len(), unit(2)) {
                (..6, _) if text.chars().skip(2).all(|c| c.is_ascii_hexdigit()) => Escape::Open,
                (6, Some(Ok(high @ 0xd800..0xdc00))) => {
                    let _ = high;
                    Escape::Open
                }
                (6, Some(Ok(code))) => char::from_u32(code).map_or(Escape::No, Escape::Is),
                (7..12, _) if "\\u".starts_with(text.get(6..text.len().min(8)).unwrap_or("-")) => {
                    if text.chars().skip(8).all(|c| c.is_ascii_hexdigit()) {
                        Escape::Open
                    } else {
                        Escape::No
                    }
                }
                (12, Some(Ok(high))) => match unit(8) {
                    Some(Ok(low @ 0xdc00..0xe000)) => {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        char::from_u32(code).map_or(Escape::No, Escape::Is)
                    }
                    _ => Escape::No,
                },
                _ => Escape::No,
            }
        }
        Some(c @ ('"' | '\\' | '/')) => Escape::Is(c),
        Some(_) => Escape::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, cut: usize) -> View {
        let (mut view, mut unescape) = (View::default(), Unescape::default());
        unescape.feed(&text[..cut], &mut view);
        unescape.feed(&text[cut..], &mut view);
        unescape.finish(&mut view);
        view
    }

    #[test]
    fn escapes_are_read_wherever_they_are_cut_and_lead_back() {
        for (text, read_as) in [
            (r"a\u0041b", "aAb"),
            (r"\\u0041", r"\u0041"),
            (r"x\ud83d\ude00y", "x😀y"),
            (r"x\ud83dy", r"x\ud83dy"),
            (r"x\ud83d\u0041", r"x\ud83d\u0041"),
            (r"\q\n", "\\q\n"),
            (r"end\u00", r"end\u00"),
        ] {
            for cut in 0..=text.len() {
                let view = read(text, cut);
                assert_eq!(String::from_utf8_lossy(&view.bytes), read_as, "{text} at {cut}");
                assert_eq!(view.raw, text.len());
                assert_eq!((view.raw_start(0), view.raw_end(view.end())), (0, text.len()));
            }
        }
    }

    #[test]
    fn what_nobody_sees_is_gone_and_offsets_lead_back() {
        let text = "a\u{200b}Ｂ\u{e0041}ç1";
        let mut view = View::default();
        for c in text.chars() {
            view.push_str(c.encode_utf8(&mut [0; 4]));
        }
        assert_eq!(view.bytes, "aBç1".as_bytes());
        assert_eq!(&text[view.raw_start(1)..view.raw_end(2)], "Ｂ");
        assert_eq!(&text[view.raw_start(2)..view.raw_end(4)], "ç");
        view.forget(2);
        assert_eq!(&text[view.raw_start(4)..view.raw_end(5)], "1");
        assert_eq!(view.floor(3), 2);
    }
}
