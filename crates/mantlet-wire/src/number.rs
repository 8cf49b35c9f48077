//! Numbers of JSON, read once: grammar, digits and value in one pass, rounded exactly as the standard library does.
//!
//! Most numbers of a tensor are short. Digits that fit 64 bits and a small power of ten are put together in `f64`,
//! whose own rounding is known, and only where that could change the result does the general algorithm run
//! (Clinger, "How to read floating point numbers accurately", 1990, section 5).
//!
//! Long because the ways a number is read stand beside the tests that hold them to the same result.

mod alike;

use crate::Defect;
use crate::json::Reader;
use alike::all_alike;

/// A number as it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal<'a> {
    /// Its text.
    pub(crate) text: &'a str,
    negative: bool,
    /// The digits, without the point.
    digits: u64,
    /// The value is `digits` times ten to this power.
    power: i32,
    /// Whether `digits` holds all of them.
    all: bool,
    /// Neither a point nor an exponent.
    whole: bool,
}

/// Powers of ten that `f64` holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Adding a digit to fewer than this keeps within 64 bits; adding eight to fewer than the other, too.
const ROOM: u64 = 1_000_000_000_000_000_000;
const ROOM_FOR_EIGHT: u64 = 10_000_000_000;

/// Digits put together.
struct Digits {
    value: u64,
    /// How many found no room.
    dropped: usize,
    /// Whether all did.
    all: bool,
}

impl Digits {
    /// Takes the digits that stand at `at`, and gives where they end. Eight at a time, without a step for each: the
    /// ends of numbers are where a processor guesses wrong.
    #[inline]
    fn take(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while self.value < ROOM_FOR_EIGHT
            && let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
        {
            let (value, count) = up_to_eight(u64::from_le_bytes(*eight));
            self.value = self.value * POWERS[count & 15] + value;
            at += count;
            if count < 8 {
                return at;
            }
        }
        while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10)
        {
            if self.value < ROOM {
                self.value = self.value * 10 + u64::from(digit);
            } else {
                self.all = false;
                self.dropped += 1;
            }
            at += 1;
        }
        at
    }
}

/// Powers of ten; those that are asked for are at most the eighth.
const POWERS: [u64; 16] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1, 1, 1, 1, 1, 1, 1];

/// The number that the digits at the start of eight bytes are (the first byte the lowest), and how many there are.
#[inline]
fn up_to_eight(word: u64) -> (u64, usize) {
    let digits = word ^ 0x3030_3030_3030_3030;
    // The highest bit of a byte is set where none of 0 to 9 stands. A carry only runs upwards from such a byte.
    let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    let count = others.trailing_zeros() as usize / 8;
    if count == 0 {
        return (0, 0);
    }
    // Fewer than eight become eight with zeros in front. Then pairs, fours and all eight are put together.
    let pairs = digits << (64 - 8 * count);
    let pairs = pairs.wrapping_mul(10).wrapping_add(pairs >> 8);
    const LOW: u64 = 0x0000_00ff_0000_00ff;
    let value = (pairs & LOW)
        .wrapping_mul(0x000f_4240_0000_0064)
        .wrapping_add((pairs >> 16 & LOW).wrapping_mul(0x0000_2710_0000_0001));
    (value >> 32, count)
}

/// Powers of ten that `f32` holds exactly.
const TENS_F32: [f32; 8] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

/// How many digits stand behind the point of most numbers. A processor that guesses so reads the next number before it
/// knows where this one ends; what is rarer is told apart by a branch.
struct Usual {
    count: usize,
    /// What came instead, last, and where that number ended.
    other: usize,
    end: usize,
}

impl Usual {
    const fn new() -> Self {
        Self { count: 0, other: 0, end: usize::MAX }
    }

    /// Another count came, in a number that stands from `start` to `end`, which is given back. Twice in a row makes it the
    /// usual one.
    #[cold]
    #[inline(never)]
    const fn unusual(&mut self, count: usize, start: usize, end: usize) -> usize {
        if self.other == count && start.wrapping_sub(self.end) <= 1 {
            self.count = count;
        }
        (self.other, self.end) = (count, end);
        end
    }
}

/// Reads a number of one digit before the point and at most seven behind it, with the comma that follows; gives its
/// value and where the comma ends. Digits below 2^24 and the power of ten are exact in `f32`, so the one rounding of
/// the division is the right one.
#[inline]
fn short(bytes: &[u8], at: usize, usual: &mut Usual) -> Option<(f32, usize)> {
    let start = at;
    let negative = bytes.get(at) == Some(&b'-');
    let at = at + usize::from(negative);
    let window = bytes.get(at..)?.first_chunk::<10>()?;
    let whole = u64::from(window[0].wrapping_sub(b'0'));
    if whole > 9 {
        return None;
    }
    let sign = |value: f32| if negative { -value } else { value };
    #[expect(clippy::cast_precision_loss, reason = "below 2^24")]
    if window[1] == b',' {
        return Some((sign(whole as f32), at + 2));
    }
    if window[1] != b'.' {
        return None;
    }
    let [_, _, tail @ ..] = window;
    let (fraction, count) = up_to_eight(u64::from_le_bytes(*tail));
    if count == 0 || tail.get(count) != Some(&b',') {
        return None;
    }
    let digits = whole * POWERS[count] + fraction;
    if digits >= 1 << 24 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "below 2^24")]
    let value = sign(digits as f32 / TENS_F32[count & 7]);
    let guess = at + 3 + usual.count;
    let end = if count == usual.count { guess } else { usual.unusual(count, start, at + 3 + count) };
    Some((value, end))
}

/// Reads the number at `start`; gives it and where it ends, or what stands there instead.
#[inline]
fn scan(text: &str, start: usize) -> Result<(Decimal<'_>, usize), &'static str> {
    let bytes = text.as_bytes();
    let negative = bytes.get(start) == Some(&b'-');
    let whole_from = start + usize::from(negative);
    let mut sum = Digits { value: 0, dropped: 0, all: true };
    let mut at = sum.take(bytes, whole_from);
    if at == whole_from {
        return Err("a number");
    }
    if bytes[whole_from] == b'0' && at > whole_from + 1 {
        return Err("a number without leading zeros");
    }
    // Digits before the point that found no room still count for the power; those behind it never did.
    let mut power = i32::try_from(sum.dropped).unwrap_or(i32::MAX);
    let mut whole = true;
    if bytes.get(at) == Some(&b'.') {
        whole = false;
        at += 1;
        let (from, dropped) = (at, sum.dropped);
        at = sum.take(bytes, from);
        if at == from {
            return Err("digits after the point");
        }
        let kept = (at - from) - (sum.dropped - dropped);
        power = power.saturating_sub(i32::try_from(kept).unwrap_or(i32::MAX));
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        whole = false;
        let exponent;
        (exponent, at) = scan_exponent(bytes, at + 1).ok_or("an exponent")?;
        power = power.saturating_add(exponent);
    }
    let Digits { value: digits, all, .. } = sum;
    Ok((Decimal { text: text.get(start..at).unwrap_or(""), negative, digits, power, all, whole }, at))
}

/// The exponent at `at`, behind its `e`, and where it ends.
fn scan_exponent(bytes: &[u8], mut at: usize) -> Option<(i32, usize)> {
    let minus = bytes.get(at) == Some(&b'-');
    at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let from = at;
    let mut exponent = 0_i32;
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        exponent = exponent.saturating_mul(10).saturating_add(i32::from(digit));
        at += 1;
    }
    (at > from).then_some((if minus { -exponent } else { exponent }, at))
}

impl<'a> Reader<'a> {
    /// A number, checked against the grammar (which has no NaN, no infinity, no hexadecimal).
    #[inline]
    pub(crate) fn decimal(&mut self) -> Result<Decimal<'a>, Defect> {
        self.peek();
        match scan(self.text(), self.at) {
            Ok((decimal, end)) => {
                self.at = end;
                Ok(decimal)
            }
            Err(expected) => self.syntax(expected),
        }
    }

    /// Numbers that stand one after the other with nothing but a comma, or a comma and a space, behind each, at most
    /// so many; gives how many. Where this stops, an item of the array is still to be read: what is unusual, wrong or
    /// last is left to the caller.
    #[inline]
    pub(crate) fn run<T>(
        &mut self,
        out: &mut Vec<T>,
        most: usize,
        read: impl Fn(Decimal<'_>) -> Option<T>,
    ) -> usize {
        let (text, bytes) = (self.text(), self.bytes());
        let mut count = 0;
        while count < most
            && let Ok((decimal, end)) = scan(text, self.at)
            && bytes.get(end) == Some(&b',')
            && let Some(value) = read(decimal)
        {
            out.push(value);
            count += 1;
            self.at = end + 1 + usize::from(bytes.get(end + 1) == Some(&b' '));
        }
        count
    }

    /// The same for `f32`, where most numbers are short: a digit, a point, and a few digits.
    #[inline]
    pub(crate) fn run_f32(
        &mut self,
        out: &mut Vec<f32>,
        most: usize,
        read: impl Fn(Decimal<'_>) -> Option<f32>,
    ) -> usize {
        let bytes = self.bytes();
        let mut count = 0;
        let mut usual = Usual::new();
        // Where one number in two has a sign, guessing that the next one is like this one does not pay.
        let (mut spaced, mut signs) = (false, false);
        loop {
            let mut at = self.at;
            loop {
                if !signs {
                    let some;
                    (some, at) = all_alike(bytes, at, out, most - count, usual.count, spaced);
                    count += some;
                    // A space where none was expected belongs to the comma before it.
                    at += usize::from(some > 0 && !spaced && bytes.get(at) == Some(&b' '));
                }
                if count >= most {
                    break;
                }
                let Some((value, end)) = short(bytes, at, &mut usual) else { break };
                signs |= value.is_sign_negative();
                out.push(value);
                count += 1;
                spaced = bytes.get(end) == Some(&b' ');
                at = end + usize::from(spaced);
            }
            self.at = at;
            if self.run(out, (most - count).min(1), &read) == 0 {
                return count;
            }
            count += 1;
        }
    }

    /// The text of a number.
    pub(crate) fn number(&mut self) -> Result<&'a str, Defect> {
        self.decimal().map(|decimal| decimal.text)
    }
}

impl Decimal<'_> {
    /// The nearest `f64`; infinite when it is beyond.
    #[inline]
    pub(crate) fn to_f64(self) -> f64 {
        if self.all
            && self.digits <= 1 << 53
            && let Some(value) = self.near()
        {
            // Both operands are exact, so the one rounding is the right one.
            return value;
        }
        // The grammar of JSON is within that of the standard library.
        self.text.parse().unwrap_or(f64::NAN)
    }

    /// The nearest `f32`; infinite when it is beyond.
    #[inline]
    pub(crate) fn to_f32(self) -> f32 {
        if self.all
            && let Some(value) = self.near()
        {
            // `near` is at most two steps of `f64` off. Rounding it again is right unless the boundary between two
            // `f32` (29 bits further up) lies within those steps, or the result is so small that its steps are wider.
            const BELOW: u64 = (1 << 29) - 1;
            let boundary = (value.to_bits() & BELOW).abs_diff(1 << 28);
            let magnitude = value.abs();
            if (boundary > 8
                && magnitude >= f64::from(f32::MIN_POSITIVE) * 2.0
                && magnitude < f64::from(f32::MAX))
                || self.digits == 0
            {
                #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is asked for")]
                return value as f32;
            }
        }
        self.text.parse().unwrap_or(f32::NAN)
    }

    /// The value with at most two roundings, when the power of ten is small.
    #[inline]
    fn near(self) -> Option<f64> {
        let ten = *TENS.get(usize::try_from(self.power.unsigned_abs()).ok()?)?;
        #[expect(clippy::cast_precision_loss, reason = "this is one of the two roundings")]
        let digits = self.digits as f64;
        let value = if self.power < 0 { digits / ten } else { digits * ten };
        Some(if self.negative { -value } else { value })
    }

    /// The whole number, when it is one without point and exponent and fits.
    pub(crate) fn to_i64(self) -> Option<i64> {
        if self.whole && self.all {
            let value = i128::from(self.digits);
            return i64::try_from(if self.negative { -value } else { value }).ok();
        }
        self.text.parse().ok()
    }

    /// The whole number, when it is one without point, exponent and sign and fits.
    pub(crate) fn to_u64(self) -> Option<u64> {
        if self.negative {
            return None;
        }
        if self.whole && self.all { Some(self.digits) } else { self.text.parse().ok() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Limits;

    fn read(text: &str) -> Option<Decimal<'_>> {
        let mut reader = Reader::new(text.as_bytes(), &Limits::default()).ok()?;
        let decimal = reader.decimal().ok()?;
        reader.finish().ok()?;
        Some(decimal)
    }

    fn check(text: &str) {
        let decimal = read(text).unwrap_or_else(|| panic!("`{text}` is a number"));
        assert_eq!(decimal.to_f32().to_bits(), text.parse::<f32>().unwrap().to_bits(), "{text} as f32");
        assert_eq!(decimal.to_f64().to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text} as f64");
        assert_eq!(decimal.to_i64(), text.parse::<i64>().ok(), "{text} as i64");
        if text != "-0" {
            assert_eq!(decimal.to_u64(), text.parse::<u64>().ok(), "{text} as u64");
        }
    }

    #[test]
    fn values_are_those_of_the_standard_library() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "0e5",
            "1",
            "-1",
            "0.1",
            "16777217",
            "16777219",
            "16777217.0000000001",
            "1e22",
            "1e23",
            "1.17549435e-38",
            "1e-45",
            "7e-46",
            "3.4028235e38",
            "3.4028236e38",
            "1e39",
            "-1e999",
            "1e-999",
            "9007199254740993",
            "18446744073709551615",
            "18446744073709551616",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "0.000000000000000000000001",
            "5e-324",
            "123456789012345678901234567890",
            "0.30000001192092896",
            "0.3000000119209289550781250",
            "1E+2",
            "1e-0",
            "8388609.5",
            "8388608.5",
            "33554433.999999999999",
        ] {
            check(text);
        }
        for text in
            ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "1_0", "--1", "1 2"]
        {
            assert!(read(text).is_none(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn any_float_is_read_exactly(bits in any::<u32>(), wide in any::<u64>(), nudge in -2_i64..=2) {
            let single = f32::from_bits(bits);
            if single.is_finite() {
                check(&format!("{single}"));
                check(&format!("{single:e}"));
                check(&format!("{}", f64::from(single)));
                // Around the boundary to the next one.
                let next = f32::from_bits((bits & 0x7fff_ffff).saturating_add(1));
                if next.is_finite() {
                    let middle = (f64::from(single.abs()) + f64::from(next)) / 2.0;
                    let near = f64::from_bits(middle.to_bits().saturating_add_signed(nudge));
                    if near.is_finite() {
                        check(&format!("{near}"));
                        check(&format!("{near:e}"));
                    }
                }
            }
            let double = f64::from_bits(wide);
            if double.is_finite() {
                check(&format!("{double:e}"));
            }
        }

        #[test]
        fn runs_of_numbers_are_read_as_one_by_one(
            texts in proptest::collection::vec("-?(0|[1-9][0-9]{0,3}|[0-9])(\\.[0-9]{1,9})?(e1)?", 1..9),
            gaps in proptest::collection::vec("|| |\t", 9),
            most in 0_usize..10,
        ) {
            let mut joined = String::new();
            for (text, gap) in texts.iter().zip(&gaps) {
                joined += &format!("{text},{gap}");
            }
            let limits = Limits::default();
            let (mut plain, mut fast) = (Vec::new(), Vec::new());
            let mut one = Reader::new(joined.as_bytes(), &limits).unwrap();
            let mut other = Reader::new(joined.as_bytes(), &limits).unwrap();
            let read = |number: Decimal<'_>| Some(number.to_f32());
            let counts = (one.run(&mut plain, most, read), other.run_f32(&mut fast, most, read));
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!((counts.0, one.at, bits(&plain)), (counts.1, other.at, bits(&fast)), "{}", joined);
            for (value, text) in fast.iter().zip(&texts) {
                prop_assert_eq!(value.to_bits(), text.parse::<f32>().unwrap().to_bits());
            }
        }

        #[test]
        fn numbers_that_are_alike_are_read_as_one_by_one(
            digits in 1_usize..8,
            rows in proptest::collection::vec((0_u32..10, any::<u32>(), 0_u8..12), 1..40),
            gap in "| |  ",
            change in proptest::option::of((any::<usize>(), 0x20_u8..0x7f)),
            most in 0_usize..50,
        ) {
            let mut joined = String::new();
            for (whole, fraction, odd) in rows {
                let all = format!("{fraction:010}");
                // One in six is a digit shorter, or has a sign.
                let count = if odd == 0 { digits.max(2) - 1 } else { digits };
                let sign = if odd == 1 { "-" } else { "" };
                joined += &format!("{sign}{whole}.{},{gap}", &all[10 - count..]);
            }
            let mut bytes = joined.into_bytes();
            if let Some((at, byte)) = change {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let limits = Limits::default();
            let (mut plain, mut fast) = (Vec::new(), Vec::new());
            let mut one = Reader::new(&bytes, &limits).unwrap();
            let mut other = Reader::new(&bytes, &limits).unwrap();
            let read = |number: Decimal<'_>| Some(number.to_f32());
            let counts = (one.run(&mut plain, most, read), other.run_f32(&mut fast, most, read));
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!((counts.0, one.at, bits(&plain)), (counts.1, other.at, bits(&fast)));
        }

        #[test]
        fn any_decimal_is_read_exactly(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?") {
            check(&text);
        }
    }
}
