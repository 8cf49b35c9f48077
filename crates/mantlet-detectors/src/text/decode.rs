//! Encodings that carry text past a reader: base64, base16, percent signs, escapes.

/// Encoded runs that are decoded.
const RUNS: usize = 32;

/// Base64 of either alphabet (RFC 4648, sections 4 and 5), with or without padding.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0);
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    Some(out)
}

/// Base16 (RFC 4648, section 8).
pub(crate) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

/// Percent signs (RFC 3986, section 2.1); `+` is a space.
pub(crate) fn percent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let escaped = (byte == b'%').then(|| text.get(at + 1..at + 3).and_then(hex)).flatten();
        match escaped.as_deref() {
            Some(&[decoded]) => {
                out.push(decoded);
                at += 3;
            }
            _ => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    out
}

/// Bytes that read as words: UTF-8, hardly a control character, letters for the most part.
pub(crate) fn readable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (mut count, mut letters, mut odd) = (0_usize, 0_usize, 0_usize);
    for c in text.chars() {
        count += 1;
        letters += usize::from(c.is_alphabetic() || c == ' ');
        odd += usize::from(c.is_control() && !c.is_whitespace());
    }
    (count >= 6 && odd == 0 && letters * 10 >= count * 7).then_some(text)
}

/// Bytes that stand in base64 of either alphabet, or in base16.
const IN_RUN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] =
            (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'+' | b'/' | b'-' | b'_' | b'=');
        byte += 1;
    }
    table
};

/// What is encoded in a text, decoded, when it reads as words.
pub(crate) fn encoded(text: &str) -> Vec<(String, &'static str)> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let (mut at, mut runs) = (0, 0);
    while at < bytes.len().min(super::reading::LONGEST) && runs < RUNS {
        let in_run = |byte: &u8| IN_RUN[usize::from(*byte)];
        if !in_run(&bytes[at]) {
            at += 1;
            continue;
        }
        let len = bytes[at..].iter().position(|byte| !in_run(byte)).unwrap_or(bytes.len() - at);
        let run = &bytes[at..at + len];
        at += len;
        if len < 16 {
            continue;
        }
        let digits = run.len().is_multiple_of(2) && run.iter().all(u8::is_ascii_hexdigit);
        let (decoded, how) = if digits { (hex(run), "base16") } else { (base64(run), "base64") };
        // A long word is no encoding: it decodes to noise.
        if let Some(text) = decoded.as_deref().and_then(readable) {
            runs += 1;
            out.push((text.to_owned(), how));
        }
    }
    if let Some(text) = spaced_hex(bytes) {
        out.push((text, "base16"));
    }
    if bytes.iter().filter(|&&byte| byte == b'%').count() >= 4 {
        let plain = percent(bytes);
        if plain.len() + 8 <= bytes.len()
            && let Ok(text) = String::from_utf8(plain)
        {
            out.push((text, "percent signs"));
        }
    }
    let escaped = bytes.contains(&b'\\') && (text.contains("\\u00") || text.contains("\\x"));
    if escaped || (bytes.contains(&b'&') && text.contains("&#")) {
        let plain = escapes(text);
        if plain.len() + 8 <= text.len() {
            out.push((plain, "escapes"));
        }
    }
    out
}

/// `69 67 6e`, `\x69\x67\x6e`: two digits a time.
fn spaced_hex(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::new();
    let mut best = Vec::new();
    let pairs = bytes
        .split(|byte| matches!(byte, b' ' | b',' | b'\\' | b':' | b'\n'))
        .filter(|part| !part.is_empty());
    for part in pairs {
        let part = part.strip_prefix(b"0x").or_else(|| part.strip_prefix(b"x")).unwrap_or(part);
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = match part {
            [high, low] => digit(*high).zip(digit(*low)).map(|(high, low)| (high * 16 + low) as u8),
            _ => None,
        };
        match byte {
            Some(byte) => out.push(byte),
            None => {
                if out.len() > best.len() {
                    best = std::mem::take(&mut out);
                }
                out.clear();
            }
        }
    }
    let best = if out.len() > best.len() { out } else { best };
    (best.len() >= 12).then(|| readable(&best).map(str::to_owned)).flatten()
}

/// `\u0069` and `&#105;`.
fn escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let code = |from: usize, len: usize, radix| {
            rest.get(from..from + len)
                .and_then(|d| u32::from_str_radix(d, radix).ok())
                .and_then(char::from_u32)
        };
        let numeric = || {
            let end = rest.get(..10.min(rest.len()))?.find(';')?;
            let c = match rest.get(2..end)?.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok().and_then(char::from_u32),
                None => code(2, end - 2, 10),
            };
            c.map(|c| (c, end + 1))
        };
        let said = if rest.starts_with("\\u") {
            code(2, 4, 16).map(|c| (c, 6))
        } else if rest.starts_with("\\x") {
            code(2, 2, 16).map(|c| (c, 4))
        } else if rest.starts_with("&#") {
            numeric()
        } else {
            None
        };
        let (c, len) = said.unwrap_or_else(|| (rest.chars().next().unwrap_or(' '), 1));
        out.push(c);
        rest = &rest[len..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoders_agree_with_the_examples_of_their_standards() {
        assert_eq!(base64(b"Zm9vYmE="), Some(b"fooba".to_vec()));
        assert_eq!(base64(b"Zm9vYg"), Some(b"foob".to_vec()));
        assert_eq!(base64(b"Zm9v YmFy"), None);
        assert_eq!(hex(b"666F6f"), Some(b"foo".to_vec()));
        assert_eq!(percent(b"a%20b+c%zz%2"), b"a b c%zz%2");
        assert_eq!(readable(b"hello world"), Some("hello world"));
        assert_eq!(readable(&[0, 159, 200, 1, 2, 3, 4]), None);
    }
}
