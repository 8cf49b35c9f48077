//! Decimal numbers to binary ones, fast where that is exact: tensors are mostly short decimals.
//!
//! A number `m * 10^e` with `m < 2^53` and `|e| <= 22` is one rounding away from its factors, both exact in `f64`
//! (Clinger 1990, "How to read floating point numbers accurately"). Everything else is left to the standard library,
//! so that every number is rounded once.

/// Powers of ten that are exact in `f64`.
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// A number in JSON's grammar without an exponent that is exact in this way, and its length in bytes. `None` sends
/// the caller to the slow path; it does not say that the number is wrong.
pub(crate) fn short(bytes: &[u8]) -> Option<(f64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut at = start;
    let mut digits: u64 = 0;
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    let whole = at - start;
    if whole == 0 || (whole > 1 && bytes[start] == b'0') {
        return None;
    }
    let mut behind = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        let from = at;
        while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            at += 1;
        }
        behind = at - from;
        if behind == 0 {
            return None;
        }
    }
    // Eighteen digits cannot have wrapped.
    if whole + behind > 18 || digits > 1 << 53 || matches!(bytes.get(at), Some(b'e' | b'E')) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
    let value = digits as f64 / EXACT.get(behind)?;
    Some((if negative { -value } else { value }, at))
}

/// The same as the nearest `f32`. A double in the middle between two singles may itself have been rounded there:
/// those, and what is subnormal or too large in `f32`, go the slow way.
pub(crate) fn short_single(bytes: &[u8]) -> Option<(f32, usize)> {
    let (value, length) = short(bytes)?;
    let middle = value.to_bits() & 0x1fff_ffff == 0x1000_0000;
    let normal = value == 0.0 || (value.abs() >= 1.2e-38 && value.abs() < 3.4e38);
    #[expect(clippy::cast_possible_truncation, reason = "rounds to nearest")]
    (normal && !middle).then_some((value as f32, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_standard_library_says() {
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 11
        };
        let mut fast = 0;
        for _ in 0..200_000 {
            let (digits, point) = (next() % 17 + 1, next() % 18);
            let mut text = (next() % 10_u64.pow(u32::try_from(digits).unwrap())).to_string();
            if point > 0 && (point as usize) < text.len() {
                text.insert(point as usize, '.');
            } else if point == 17 {
                text = format!("0.{text}");
            }
            if next() % 4 == 0 {
                text.insert(0, '-');
            }
            let followed = format!("{text},");
            if let Some((value, length)) = short(followed.as_bytes()) {
                fast += 1;
                assert_eq!((value.to_bits(), length), (text.parse::<f64>().unwrap().to_bits(), text.len()));
            }
            if let Some((value, _)) = short_single(followed.as_bytes()) {
                assert_eq!(value.to_bits(), text.parse::<f32>().unwrap().to_bits(), "{text}");
            }
        }
        assert!(fast > 100_000, "{fast}");
    }

    #[test]
    fn what_is_no_number_or_not_exact_goes_the_slow_way() {
        for text in
            ["", "-", "01", "00.5", "1.", ".5", "1e5", "1E5", "+1", "1234567890123456789", "NaN", "0x1"]
        {
            let read = short(text.as_bytes());
            assert!(read.is_none_or(|(_, length)| length < text.len()), "{text}: {read:?}");
        }
        // Exactly between two singles after rounding to double.
        assert_eq!(short_single(b"16777217"), None);
        assert_eq!(short_single(b"-0"), Some((-0.0, 2)));
    }
}
