//! Rust source as far as the laws need it: without comments, literals and tests.

/// The source with comments and the contents of literals blanked; lines and columns stay.
pub(super) fn code(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => find(bytes, at, b'\n'),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment(bytes, at),
            b'"' => string(bytes, at + 1),
            b'r' | b'b' | b'c' if !after_word(bytes, at) => match raw_string(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            b'\'' => match character(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Blanks every item behind `#[cfg(test)]` in code that [`code`] prepared.
pub(super) fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = code.get(from..).and_then(|rest| rest.find("#[cfg(test)]")) {
        let start = from + found;
        let end = item_end(code.as_bytes(), start + "#[cfg(test)]".len());
        for byte in &mut out[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        from = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Names of the modules in files of their own that exist for tests only: `#[cfg(test)] mod name;`.
pub(super) fn test_modules(code: &str) -> Vec<String> {
    code.split("#[cfg(test)]")
        .skip(1)
        .filter_map(|rest| {
            let name = rest.trim_start().strip_prefix("mod ")?;
            let end = name.find([';', '{', ' '])?;
            name[end..].trim_start().starts_with(';').then(|| name[..end].to_owned())
        })
        .collect()
}

/// Where an item ends: at its semicolon, or at the brace that closes it.
fn item_end(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in bytes[from..].iter().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *byte == b'}' {
                    return from + offset + 1;
                }
            }
            b';' if depth == 0 => return from + offset + 1,
            _ => {}
        }
    }
    bytes.len()
}

fn find(bytes: &[u8], from: usize, wanted: u8) -> usize {
    bytes[from..].iter().position(|byte| *byte == wanted).map_or(bytes.len(), |at| from + at)
}

fn block_comment(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = from;
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (b'/', b'*') => {
                depth += 1;
                at += 2;
            }
            (b'*', b'/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

fn string(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `r"..."`, `br#"..."#`, `b"..."`, `c"..."`: the end, or `None` when this is no literal.
fn raw_string(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while matches!(bytes.get(at), Some(b'r' | b'b' | b'c')) && at - from < 2 {
        at += 1;
    }
    if !bytes[from..at].contains(&b'r') {
        return match bytes.get(at) {
            Some(b'"') => Some(string(bytes, at + 1)),
            Some(b'\'') => character(bytes, at),
            _ => None,
        };
    }
    let hashes = bytes[at..].iter().take_while(|byte| **byte == b'#').count();
    at += hashes;
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    at += 1;
    while at < bytes.len() {
        let closing =
            bytes[at] == b'"' && bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count() >= hashes;
        if closing {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(bytes.len())
}

/// A character literal, told from a lifetime by its closing quote.
fn character(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.get(from + 1) == Some(&b'\\') {
        let close = bytes[from + 3..].iter().position(|byte| *byte == b'\'')?;
        return Some(from + 3 + close + 1);
    }
    // One character of up to four bytes, then the quote.
    (2..=5).find(|len| bytes.get(from + len) == Some(&b'\'')).and_then(|len| {
        let inner = std::str::from_utf8(&bytes[from + 1..from + len]).ok()?;
        (inner.chars().count() == 1).then_some(from + len + 1)
    })
}

fn after_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_lifetimes_stay() {
        let source = "let a = \"std::fs\"; // std::net\nlet b = r#\"x\"std::env\"#; /* a /* b */ c */ fn f<'a>(c: &'a u8) -> char { '\"' }\nlet d = b'\\''; let rb = 1; let k = '\\u{1f}';";
        let code = code(source);
        assert!(
            !code.contains("std::") && code.contains("fn f<'a>(c: &'a u8)") && code.contains("let rb = 1")
        );
        assert_eq!(code.lines().count(), 3);
        assert_eq!(code.len(), source.len());
    }

    #[test]
    fn test_items_are_blank_and_their_files_are_named() {
        let source = code(
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { std::fs::read(\"x\"); } }\nfn c() {}\n#[cfg(test)]\nmod far;\nfn d() {}",
        );
        let kept = without_tests(&source);
        assert!(kept.contains("fn a") && kept.contains("fn c") && kept.contains("fn d"));
        assert!(!kept.contains("std::fs") && !kept.contains("mod far"));
        assert_eq!(test_modules(&source), ["far"]);
    }
}
