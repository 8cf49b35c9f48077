//! Second looks at what has the shape of a secret: checksums where there are any, else whether it looks drawn.

/// Bits of Shannon entropy a byte.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    text.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    #[expect(clippy::cast_precision_loss, reason = "a match is short")]
    let total = text.len().max(1) as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / total)
        .map(|p| -p * p.log2())
        .sum()
}

/// A published shape, unless it is plainly a filler (`xxxx`, `1234…`, `your-key-here`).
pub(super) fn real(text: &[u8]) -> Option<f64> {
    let tail = &text[text.len().saturating_sub(20)..];
    let filler = ["your", "here", "xxxx", "....", "****", "redacted", "placeholder"];
    let lower = text.to_ascii_lowercase();
    let has = |word: &str| lower.windows(word.len()).any(|part| part == word.as_bytes());
    (entropy(tail) >= 2.3 && !filler.iter().any(|word| has(word))).then_some(2.0)
}

pub(super) fn varied(text: &[u8]) -> Option<(f64, usize)> {
    (entropy(&text[2..]) >= 2.5).then_some((2.0, 0))
}

/// Upper, lower and digits, as if drawn.
pub(super) fn mixed(text: &[u8]) -> Option<(f64, usize)> {
    let has = |class: fn(&u8) -> bool| text[3..].iter().any(class);
    let all = has(u8::is_ascii_digit)
        && has(u8::is_ascii_lowercase)
        && (has(u8::is_ascii_uppercase) || text.len() < 40);
    (all && entropy(&text[3..]) >= 3.3).then_some((2.0, 0))
}

/// GitHub's and npm's tokens end in the CRC-32 of what stands before it, in base 62 (github.blog, "Behind GitHub's
/// new authentication token formats"). Right or not, the shape counts; a right one is certain.
pub(super) fn crc_token(text: &[u8]) -> Option<(f64, usize)> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let drawn = &text[4..];
    if entropy(drawn) < 3.0 {
        return None;
    }
    let (body, sum) = drawn.split_at(drawn.len() - 6);
    let mut rest = crc32(body);
    let mut right = true;
    for &digit in sum.iter().rev() {
        right &= DIGITS[(rest % 62) as usize] == digit;
        rest /= 62;
    }
    Some((if right { 4.0 } else { 2.0 }, 0))
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// `name = value`: the value must look drawn; the name stays readable.
pub(super) fn assigned(text: &[u8]) -> Option<(f64, usize)> {
    let from = text.iter().rposition(|byte| matches!(byte, b'=' | b':' | b'>' | b'"' | b'\'' | b' '))? + 1;
    let value = text.get(from..)?;
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = value.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let dotted = value.contains(&b'.') || value.contains(&b'(');
    let drawn = value.len() >= 12
        && digits >= 2
        && letters >= 4
        && entropy(value) >= 3.2
        && !(dotted && digits < 4)
        && real(value).is_some();
    drawn.then_some((1.0, from))
}

/// `scheme://user:password@host`.
pub(super) fn address(text: &[u8]) -> Option<(f64, usize)> {
    let at = text.iter().rposition(|&byte| byte == b'@')?;
    let colon = text[..at].iter().rposition(|&byte| byte == b':')?;
    let password = text[colon + 1..at].to_ascii_lowercase();
    let filler: [&[u8]; 9] = [
        b"password",
        b"pass",
        b"pwd",
        b"secret",
        b"xxx",
        b"changeme",
        b"{password}",
        b"$password",
        b"your_password",
    ];
    (!filler.contains(&password.as_slice())
        && !password.iter().all(|byte| matches!(byte, b'*' | b'.' | b'x')))
    .then_some((1.0, 0))
}

/// The first part must be JSON that names an algorithm (RFC 7515, section 4.1.1).
pub(super) fn json_web_token(text: &[u8]) -> Option<(f64, usize)> {
    let head = text.split(|&byte| byte == b'.').next()?;
    let decoded = crate::text::decode::base64(head)?;
    let names = decoded.windows(5).any(|part| part == b"\"alg\"" || part == b"\"typ\"" || part == b"\"enc\"");
    names.then_some((2.0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert!(entropy(b"aaaa") < 0.1 && entropy(b"abcdefgh") > 2.9);
    }
}
