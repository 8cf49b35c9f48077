//! Source text as Python reads it: line ends, the encoding that a comment names, and letters that stand for others.
//!
//! Three ways to show a reader other code than the one that runs. A lone carriage return ends a line for Python
//! (language reference, 2.1.2), so a comment can go on as code. The comment of PEP 263 names an encoding, and
//! some encodings turn what looks like a comment into code. Identifiers are compared in their NFKC form
//! (PEP 3131), so `ｅｘｅｃ` is `exec`.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{MAX_SOURCE, Script};

/// What Python makes of a text.
pub(super) struct Plain<'t> {
    /// The text to read.
    pub(super) text: Cow<'t, str>,
    /// The text as it seems to a reader, when an encoding makes other code of it.
    pub(super) seems: Option<&'t str>,
    /// Lines, from 1, that a viewer shows as part of a comment.
    pub(super) covered: HashSet<u32>,
    /// Words that are written in other letters, with their line.
    pub(super) spelled: HashSet<(u32, String)>,
}

/// Lines and words that are remembered.
const MAX_NOTED: usize = 10_000;

/// The text as Python reads it; what cannot be read so is said in `script`.
pub(super) fn plain<'t>(text: &'t str, script: &mut Script) -> Plain<'t> {
    let mut plain =
        Plain { text: Cow::Borrowed(text), seems: None, covered: HashSet::new(), spelled: HashSet::new() };
    if let Some(name) = named_encoding(text) {
        match name.as_str() {
            "utf-7" | "utf7" | "u7" | "unicode-1-1-utf-7" => plain.decoded(text, utf7(text)),
            "unicode-escape" | "raw-unicode-escape" | "unicodeescape" | "rawunicodeescape" => {
                plain.decoded(text, unescaped(text));
            }
            name if keeps_letters(name) => {}
            name => {
                script.limits.push(format!("the source says it is encoded as `{name}`, which is not read"))
            }
        }
    }
    plain.lines();
    plain.letters();
    plain
}

impl<'t> Plain<'t> {
    fn decoded(&mut self, seems: &'t str, text: String) {
        if text != seems {
            self.seems = Some(seems);
            self.text = Cow::Owned(text);
        }
    }

    /// Lines that run and that nobody sees as code: behind a return within a comment, or made by an encoding.
    pub(super) fn veiled(&self) -> Vec<(String, u32)> {
        const MOST: usize = 16;
        let calls = |line: &str| {
            let line = line.trim_start();
            !line.starts_with('#') && line.contains('(')
        };
        let shown: HashSet<&str> =
            self.seems.map(|text| text.lines().map(str::trim).collect()).unwrap_or_default();
        // What an encoding writes in another way and still shows as the same code.
        let alike: HashSet<String> = match self.seems {
            Some(text) => text.lines().map(|line| line.trim().replace("+-", "+")).take(MAX_NOTED).collect(),
            None => HashSet::new(),
        };
        let covered = |line: &str, number: u32| {
            let seen = || shown.contains(line.trim()) || alike.contains(line.trim());
            self.covered.contains(&number) || self.seems.is_some() && !seen()
        };
        let lines = self.text.lines().zip(1_u32..);
        let found = lines.filter(|(line, number)| calls(line) && covered(line, *number));
        found.map(|(line, number)| (line.trim().chars().take(120).collect(), number)).take(MOST).collect()
    }

    /// A carriage return without a line feed ends a line.
    fn lines(&mut self) {
        let bytes = self.text.as_bytes();
        let lone = |at: usize| bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) != Some(&b'\n');
        let ends: Vec<usize> = memchr::memchr_iter(b'\r', bytes).filter(|&at| lone(at)).collect();
        if ends.is_empty() {
            return;
        }
        // A text all of whose lines end so is an old one; one that has both shows comments that go on.
        let feeds = memchr::memchr_iter(b'\n', bytes).count();
        let mut text = self.text.clone().into_owned().into_bytes();
        if feeds > ends.len() {
            let mut line = 1_u32;
            let mut from = 0;
            for &end in ends.iter().take(MAX_NOTED) {
                let before = bytes.get(from..end).unwrap_or(&[]);
                line = line.saturating_add(memchr::memchr_iter(b'\n', before).count() as u32 + 1);
                let start = memchr::memrchr2(b'\n', b'\r', &bytes[..end]).map_or(0, |at| at + 1);
                if bytes.get(start..end).is_some_and(|shown| shown.contains(&b'#')) {
                    self.covered.insert(line);
                }
                from = end + 1;
            }
        }
        for end in ends {
            if let Some(byte) = text.get_mut(end) {
                *byte = b'\n';
            }
        }
        if let Ok(text) = String::from_utf8(text) {
            self.text = Cow::Owned(text);
        }
    }

    /// Letters and digits that NFKC turns into others.
    fn letters(&mut self) {
        if self.text.is_ascii() || !self.text.chars().any(|c| compatible(c).is_some()) {
            return;
        }
        let mut out = String::with_capacity(self.text.len());
        let (mut line, mut word, mut other) = (1_u32, String::new(), false);
        for c in self.text.chars().chain(['\n']) {
            let plain = compatible(c).unwrap_or(c);
            if plain.is_alphanumeric() || plain == '_' {
                other |= plain != c;
                word.push(plain);
            } else {
                if other && self.spelled.len() < MAX_NOTED {
                    self.spelled.insert((line, word.clone()));
                }
                other = false;
                word.clear();
            }
            line = line.saturating_add(u32::from(c == '\n'));
            out.push(plain);
        }
        out.pop();
        self.text = Cow::Owned(out);
    }
}

/// The encoding that one of the first two lines names, as Python compares it.
fn named_encoding(text: &str) -> Option<String> {
    text.split(['\n', '\r']).take(2).find_map(|line| {
        let comment = line.trim_start_matches([' ', '\t', '\x0c']).strip_prefix('#')?;
        let (_, rest) = comment.split_once("coding")?;
        let rest = rest.strip_prefix([':', '='])?.trim_start_matches([' ', '\t']);
        let name: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            .take(40)
            .collect();
        (!name.is_empty()).then(|| name.to_ascii_lowercase().replace('_', "-"))
    })
}

/// Whether ASCII means itself in an encoding, so that code in ASCII is what it seems.
fn keeps_letters(name: &str) -> bool {
    const STARTS: [&str; 20] = [
        "utf-8", "utf8", "latin", "l1", "iso", "8859", "ascii", "us-ascii", "windows", "cp125", "cp12",
        "cp9", "cp4", "cp8", "gb", "euc", "koi8", "mac", "big5", "tis",
    ];
    matches!(name, "u8" | "646" | "shift-jis" | "sjis" | "johab" | "mbcs" | "hz")
        || STARTS.iter().any(|start| name.starts_with(start)) && name != "cp875" && name != "cp424"
}

/// UTF-7 (RFC 2152).
fn utf7(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('+') {
        out.push_str(&rest[..at]);
        let body = &rest[at + 1..];
        let len =
            body.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/'))).unwrap_or(body.len());
        let (coded, after) = body.split_at(len);
        if coded.is_empty() {
            out.push('+');
        } else {
            let bytes = unbase64(coded);
            let units: Vec<u16> =
                bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            out.push_str(&String::from_utf16_lossy(&units));
        }
        rest = after.strip_prefix('-').unwrap_or(after);
    }
    out.push_str(rest);
    out.truncate(end_of(&out));
    out
}

fn unbase64(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

/// Escapes resolved in all of a text, as a decoder of source does before anything is read.
fn unescaped(text: &str) -> String {
    let mut out = super::lex::unescaped(text);
    out.truncate(end_of(&out));
    out
}

fn end_of(text: &str) -> usize {
    let mut end = text.len().min(MAX_SOURCE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// The letter or digit of ASCII that NFKC makes of a character.
fn compatible(c: char) -> Option<char> {
    let code = u32::from(c);
    let ascii = match code {
        // Full-width forms.
        0xff10..=0xff19 | 0xff21..=0xff3a | 0xff3f | 0xff41..=0xff5a => code - 0xfee0,
        // Mathematical letters: 13 alphabets of 52, some of whose places are filled elsewhere.
        0x1d400..=0x1d6a3 => {
            let place = (code - 0x1d400) % 52;
            if place < 26 { 0x41 + place } else { 0x61 + place - 26 }
        }
        0x1d7ce..=0x1d7ff => 0x30 + (code - 0x1d7ce) % 10,
        0x1fbf0..=0x1fbf9 => 0x30 + (code - 0x1fbf0),
        _ => return letter(c),
    };
    char::from_u32(ascii)
}

/// Letters that stand alone in Unicode: script, black-letter and double-struck ones, super- and subscripts.
fn letter(c: char) -> Option<char> {
    const PAIRS: [(char, char); 62] = [
        ('ℂ', 'C'),
        ('ℊ', 'g'),
        ('ℋ', 'H'),
        ('ℌ', 'H'),
        ('ℍ', 'H'),
        ('ℎ', 'h'),
        ('ℐ', 'I'),
        ('ℑ', 'I'),
        ('ℒ', 'L'),
        ('ℓ', 'l'),
        ('ℕ', 'N'),
        ('ℙ', 'P'),
        ('ℚ', 'Q'),
        ('ℛ', 'R'),
        ('ℜ', 'R'),
        ('ℝ', 'R'),
        ('ℤ', 'Z'),
        ('ℨ', 'Z'),
        ('K', 'K'),
        ('ℬ', 'B'),
        ('ℭ', 'C'),
        ('ℯ', 'e'),
        ('ℰ', 'E'),
        ('ℱ', 'F'),
        ('ℳ', 'M'),
        ('ℴ', 'o'),
        ('ℹ', 'i'),
        ('ⅅ', 'D'),
        ('ⅆ', 'd'),
        ('ⅇ', 'e'),
        ('ⅈ', 'i'),
        ('ⅉ', 'j'),
        ('ſ', 's'),
        ('ª', 'a'),
        ('º', 'o'),
        ('ⁿ', 'n'),
        ('ⁱ', 'i'),
        ('ₐ', 'a'),
        ('ₑ', 'e'),
        ('ₒ', 'o'),
        ('ₓ', 'x'),
        ('ₕ', 'h'),
        ('ₖ', 'k'),
        ('ₗ', 'l'),
        ('ₘ', 'm'),
        ('ₙ', 'n'),
        ('ₚ', 'p'),
        ('ₛ', 's'),
        ('ₜ', 't'),
        ('ⅼ', 'l'),
        ('ⅽ', 'c'),
        ('ⅾ', 'd'),
        ('ⅿ', 'm'),
        ('ⅰ', 'i'),
        ('ⅴ', 'v'),
        ('ⅹ', 'x'),
        ('ᵢ', 'i'),
        ('ᵣ', 'r'),
        ('ᵤ', 'u'),
        ('ᵥ', 'v'),
        ('ʰ', 'h'),
        ('ˢ', 's'),
    ];
    PAIRS.iter().find(|(from, _)| *from == c).map(|(_, to)| *to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        plain(text, &mut Script::default()).text.into_owned()
    }

    #[test]
    fn text_becomes_what_python_reads() {
        assert_eq!(read("# coding: utf-7\n+AGUAeABlAGM(1)\na +- b"), "# coding: utf-7\nexec(1)\na + b");
        assert_eq!(
            read("# coding: unicode_escape\n# \\u000aexec(1)"),
            "# coding: unicode_escape\n# \nexec(1)"
        );
        assert_eq!(read("# a\rexec(1)\r\nb"), "# a\nexec(1)\r\nb");
        assert_eq!(read("ｅｘｅｃ(𝐞𝗑ℯ𝚌, '（全）')"), "exec(exec, '（全）')");
        for same in [
            "# coding: latin-1\nx = '+AGU-'",
            "coding: utf-7\n+AGU-",
            "é = 'Ａ：'".replace('Ａ', "A").as_str(),
        ] {
            assert_eq!(read(same), same);
        }
        let mut script = Script::default();
        plain("# -*- coding: cp037 -*-\n", &mut script);
        assert_eq!(script.limits.len(), 1);
    }

    #[test]
    fn covered_lines_are_those_after_a_comment_in_a_text_with_feeds() {
        let covered =
            |text: &str| plain(text, &mut Script::default()).covered.into_iter().collect::<Vec<_>>();
        assert_eq!(covered("a\n# b\rc()\nd\ne\n"), [3]);
        assert_eq!(covered("# b\rc()\rd\r"), [0; 0]);
        assert_eq!(covered("a\nb\rc()\nd\ne\n"), [0; 0]);
    }
}
