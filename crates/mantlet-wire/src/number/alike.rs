//! Numbers that all have as many digits behind their point, as rounded ones do: read without finding out where each ends.

use super::{POWERS, TENS_F32};

/// How eight bytes look that begin with a digit, a point, so many digits, a comma and so many spaces: what each is
/// exclusive-ored with to become its digit or zero, what is added so that the highest bit of a byte says that another
/// stands there, and which of these bits count.
const fn layout(digits: usize, spaces: usize) -> [u64; 3] {
    let (mut shape, mut add, mut marks) = (0, 0, 0);
    let mut at = 0;
    while at < digits + 3 + spaces {
        let (byte, most) = match at {
            1 => (b'.', 0x7f),
            _ if at < digits + 2 => (b'0', 0x76),
            _ if at == digits + 2 => (b',', 0x7f),
            _ => (b' ', 0x7f),
        };
        shape |= (byte as u64) << (8 * at);
        add |= most << (8 * at);
        marks |= 0x80 << (8 * at);
        at += 1;
    }
    [shape, add, marks]
}

/// Reads numbers that all have one digit before the point and `D` behind it, with a comma and `S` spaces behind each, at
/// most so many; gives how many, and where the last one's comma and space end. What each number is made of is tested
/// by a few operations on eight bytes, and where the next one stands does not hang on this one.
fn alike<const D: usize, const S: usize>(
    bytes: &[u8],
    mut at: usize,
    out: &mut Vec<f32>,
    most: usize,
) -> (usize, usize) {
    const { assert!(D >= 1 && D + 3 + S <= 8, "it fits eight bytes") };
    let [shape, add, marks] = const { layout(D, S) };
    let mut count = 0;
    while count < most
        && let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
    {
        let digits = u64::from_le_bytes(*eight) ^ shape;
        if (digits.wrapping_add(add) | digits) & marks != 0 {
            break;
        }
        // Fewer than eight become eight with zeros in front, as in `up_to_eight`.
        let pairs = (digits >> 16) << (64 - 8 * D);
        let pairs = pairs.wrapping_mul(10).wrapping_add(pairs >> 8);
        const LOW: u64 = 0x0000_00ff_0000_00ff;
        let fraction = if D <= 4 {
            (pairs >> 32 & 0xff) * 100 + (pairs >> 48 & 0xff)
        } else {
            let high = (pairs & LOW).wrapping_mul(0x000f_4240_0000_0064);
            high.wrapping_add((pairs >> 16 & LOW).wrapping_mul(0x0000_2710_0000_0001)) >> 32
        };
        #[expect(clippy::cast_precision_loss, reason = "below 2^24")]
        out.push(((digits & 0xff) * POWERS[D] + fraction) as f32 / TENS_F32[D]);
        count += 1;
        at += D + 3 + S;
    }
    (count, at)
}

/// The same for so many digits, where that is one of the ways that are known.
#[inline]
pub(super) fn all_alike(
    bytes: &[u8],
    at: usize,
    out: &mut Vec<f32>,
    most: usize,
    digits: usize,
    spaced: bool,
) -> (usize, usize) {
    match (digits, spaced) {
        (1, false) => alike::<1, 0>(bytes, at, out, most),
        (2, false) => alike::<2, 0>(bytes, at, out, most),
        (3, false) => alike::<3, 0>(bytes, at, out, most),
        (4, false) => alike::<4, 0>(bytes, at, out, most),
        (5, false) => alike::<5, 0>(bytes, at, out, most),
        (1, true) => alike::<1, 1>(bytes, at, out, most),
        (2, true) => alike::<2, 1>(bytes, at, out, most),
        (3, true) => alike::<3, 1>(bytes, at, out, most),
        (4, true) => alike::<4, 1>(bytes, at, out, most),
        _ => (0, at),
    }
}
