//! Pickles kept inside files of another kind, as bytes or in base64: databases, tables, arrays, metadata.
//!
//! Bytes that look like a pickle's beginning are everywhere. One counts only when the machine, started there,
//! comes to a call that is known to run commands or code: random bytes do not spell `subprocess`.

use std::sync::OnceLock;

use mantlet_vocab::MemorySource;
use memchr::memmem::Finder;

use super::{Effect, first};
use crate::Bounds;

/// A pickle inside a file of another kind that does harm when somebody loads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// Where it starts.
    pub offset: u64,
    /// Its first harmful call.
    pub call: String,
    /// It is written in base64.
    pub encoded: bool,
}

/// Bytes of one candidate that are read.
const MAX_CANDIDATE: usize = 8 << 10;

/// Bytes of candidates that are read in one file: a file of nothing but beginnings would take for ever.
pub(crate) const BUDGET: u64 = 64 << 20;

/// Pickles that begin among `bytes[new]`, each with its offset in `bytes`. What follows the new bytes is read, as
/// long as the budget lasts.
pub(crate) fn among(
    bytes: &[u8],
    new: std::ops::Range<usize>,
    max: usize,
    budget: &mut u64,
) -> Vec<(usize, Embedded)> {
    let mut found = Vec::new();
    let region = |extra: usize| new.start..new.end.saturating_add(extra).min(bytes.len());
    for finder in finders() {
        let area = region(finder.needle().len() - 1);
        let start = area.start;
        for at in finder.find_iter(bytes.get(area).unwrap_or(&[])) {
            if found.len() >= max || *budget == 0 {
                return found;
            }
            let at = start + at;
            let rest = &bytes[at..];
            let (call, encoded) = match finder.needle() {
                b"gA" => (in_base64(rest, budget), true),
                [b'8', ..] => (in_digits(rest, budget), true),
                [b'c', ..] => (judged(rest, budget), false),
                _ => (raw(rest, budget), false),
            };
            // An import in text may be part of a pickle that was found by its beginning.
            let known = |one: &Embedded| Some(&one.call) == call.as_ref() && one.encoded == encoded;
            if found.iter().any(|(_, one)| known(one)) {
                continue;
            }
            if let Some(call) = call {
                found.push((at, Embedded { offset: 0, call, encoded }));
            }
        }
    }
    found
}

fn finders() -> &'static [Finder<'static>; 13] {
    static FINDERS: OnceLock<[Finder<'static>; 13]> = OnceLock::new();
    FINDERS.get_or_init(|| {
        [
            Finder::new(b"\x80\x02"),
            Finder::new(b"\x80\x03"),
            Finder::new(b"\x80\x04"),
            Finder::new(b"\x80\x05"),
            // PROTO and any version, in base64.
            Finder::new(b"gA"),
            // The same in hexadecimal digits.
            Finder::new(b"8004"),
            Finder::new(b"8005"),
            Finder::new(b"8002"),
            Finder::new(b"8003"),
            // Protocols 0 and 1 have no beginning of their own: an import in text.
            Finder::new(b"cposix\n"),
            Finder::new(b"cos\n"),
            Finder::new(b"csubprocess\n"),
            Finder::new(b"cbuiltins\n"),
        ]
    })
}

/// The harmful call of a pickle that starts here.
fn raw(bytes: &[u8], budget: &mut u64) -> Option<String> {
    // What picklers write first, and what writers of payloads do.
    let opening = matches!(
        bytes.get(2)?,
        b'c' | b'}'
            | b']'
            | b'('
            | b')'
            | b'X'
            | b'N'
            | b'K'
            | b'J'
            | b'M'
            | b'G'
            | b'U'
            | b'T'
            | b'B'
            | b'C'
            | b'V'
            | b'S'
            | b'I'
            | 0x88..=0x8f | 0x95
    );
    if !opening {
        return None;
    }
    judged(bytes, budget)
}

/// The harmful call that the machine comes to from here.
fn judged(bytes: &[u8], budget: &mut u64) -> Option<String> {
    let bytes = &bytes[..bytes.len().min(MAX_CANDIDATE)];
    let facts = first(&MemorySource::new(bytes), &Bounds::default());
    *budget = budget.saturating_sub(facts.end.max(64));
    facts
        .calls
        .iter()
        .find(|call| {
            matches!(call.effect, Effect::Executes | Effect::Writes | Effect::Network | Effect::Imports)
        })
        .map(|call| call.text.clone())
}

fn in_digits(bytes: &[u8], budget: &mut u64) -> Option<String> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let digits: Vec<u32> = bytes.iter().take(MAX_CANDIDATE).map_while(digit).collect();
    let out: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    if out.len() < 16 { None } else { raw(&out, budget) }
}

fn in_base64(bytes: &[u8], budget: &mut u64) -> Option<String> {
    // The second byte of a pickle is its protocol, 2 to 5.
    if !matches!(bytes.get(2), Some(b'I'..=b'X')) {
        return None;
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let len = bytes.iter().take(MAX_CANDIDATE).take_while(|&&byte| letter(byte)).count();
    if len < 24 {
        return None;
    }
    let (mut out, mut bits, mut held) = (Vec::with_capacity(len * 3 / 4), 0_u32, 0_u32);
    for &byte in &bytes[..len] {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    raw(&out, budget)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &[u8] = b"\x80\x04cos\nsystem\n\x8c\x02id\x85R.";

    #[test]
    fn harmful_pickles_are_found_as_bytes_and_in_base64() {
        let bytes = [&b"SQLite"[..], PAYLOAD, b"\0\0 gARjb3MKc3lzdGVtCowCaWSFUi4=\""].concat();
        let found = among(&bytes, 0..bytes.len(), 16, &mut { BUDGET });
        assert_eq!(
            found.iter().map(|(at, one)| (*at, one.encoded)).collect::<Vec<_>>(),
            [(6, false), (29, true)]
        );
        assert!(found[0].1.call.contains("system"), "{found:?}");
        let text = b"...cposix\nsystem\n(S'id'\ntR.";
        assert_eq!(among(text, 0..text.len(), 16, &mut { BUDGET }).len(), 1);
        let framed = [&b"\x80\x04\x95\x12\0\0\0\0\0\0\0"[..], &PAYLOAD[2..]].concat();
        let digits: String = framed.iter().map(|byte| format!("{byte:02x}")).collect();
        let found = among(digits.as_bytes(), 0..digits.len(), 16, &mut { BUDGET });
        assert_eq!(found.iter().map(|(at, one)| (*at, one.encoded)).collect::<Vec<_>>(), [(0, true)]);
        // The new bytes end inside the beginning of one.
        assert_eq!(among(&bytes, 0..7, 16, &mut { BUDGET }).len(), 1);
        assert_eq!(among(&bytes, 12..20, 16, &mut { BUDGET }).len(), 0);
    }

    #[test]
    fn harmless_pickles_and_noise_are_not() {
        let plain = b"\x80\x04ccollections\nOrderedDict\n)R.\x80\x04cos\nsystem\n.";
        assert_eq!(among(plain, 0..plain.len(), 16, &mut { BUDGET }), []);
        let noise: Vec<u8> =
            (0..1_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert_eq!(among(&noise, 0..noise.len(), 16, &mut { BUDGET }), []);
        let dense = b"\x80\x04}".repeat(50_000);
        let mut budget = 1 << 20;
        assert_eq!(among(&dense, 0..dense.len(), 16, &mut budget), []);
        assert_eq!(budget, 0, "what is not followed is known");
    }
}
