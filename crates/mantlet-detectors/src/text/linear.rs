//! A linear model of words and letters, trained apart: how much a text is like known attacks.
//!
//! The weights are made by the example `text_quality` from data sets named in `docs/text-rules.md`, and checked in.

/// Buckets that features are hashed into.
pub const BUCKETS: usize = 1 << 16;
/// Words that are weighed together; a long text is weighed in windows that overlap by half.
const WORDS: usize = 128;
/// Letters of a piece of text that is a feature.
const LETTERS: usize = 4;

/// Threshold, spread, bias and scale as little-endian `f32`, then one signed byte a bucket.
static WEIGHTS: &[u8] = include_bytes!("linear.bin");
const HEADER: usize = 16;

/// Windows of a reading, in words.
pub fn windows(reading: &str) -> Vec<&str> {
    let starts: Vec<usize> = reading
        .bytes()
        .enumerate()
        .filter(|(at, byte)| *byte != b' ' && (*at == 0 || reading.as_bytes()[at - 1] == b' '))
        .map(|(at, _)| at)
        .collect();
    let mut windows = Vec::new();
    let mut from = 0;
    while from < starts.len() {
        let to = starts.get(from + WORDS).copied().unwrap_or(reading.len());
        windows.push(reading.get(starts[from]..to).unwrap_or("").trim_end());
        if from + WORDS >= starts.len() {
            break;
        }
        from += WORDS / 2;
    }
    windows
}

/// Calls `each` with the bucket of every feature of a window: words, pairs of words, and every four letters.
pub fn features(window: &str, each: &mut impl FnMut(usize)) {
    placed(window, &mut |_, bucket| each(bucket));
}

/// The same, with the number of the word in which a feature begins.
fn placed(text: &str, each: &mut impl FnMut(usize, usize)) {
    let bucket = |hash: u64| (mix(hash) % BUCKETS as u64) as usize;
    let mut before = 0;
    for (number, word) in text.split(' ').enumerate() {
        let hash = word
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        each(number, bucket(hash));
        if before != 0 {
            each(number, bucket(hash ^ before));
        }
        before = hash.rotate_left(21) | 1;
    }
    let (mut hash, mut number) = (0_u32, 0);
    for (at, byte) in text.bytes().enumerate() {
        hash = hash << 8 | u32::from(byte);
        if at + 1 >= LETTERS {
            each(number, bucket(u64::from(hash) | 7 << 32));
        }
        number += usize::from(byte == b' ');
    }
}

/// The finaliser of MurmurHash3.
const fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash
}

fn number(at: usize) -> f32 {
    let bytes = WEIGHTS.get(at * 4..at * 4 + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    bytes.map_or(0.0, f32::from_le_bytes)
}

/// 1.0 is the threshold that at most one benign text in a hundred of those it was set on reaches, 2.0 what hardly
/// any does.
pub(crate) fn score(reading: &str) -> f64 {
    let (threshold, spread, bias, scale) = (number(0), number(1), number(2), number(3));
    let weights = WEIGHTS.get(HEADER..).unwrap_or(&[]);
    // Half windows: every window is two neighbours.
    let mut halves: Vec<(i64, u32)> = Vec::new();
    placed(reading, &mut |word, bucket| {
        let half = word / (WORDS / 2);
        if half >= halves.len() {
            halves.resize(half + 1, (0, 0));
        }
        if let (Some(half), Some(weight)) = (halves.get_mut(half), weights.get(bucket)) {
            half.0 += i64::from(weight.cast_signed());
            half.1 += 1;
        }
    });
    let mut most = f32::MIN;
    for at in 0..halves.len().saturating_sub(1).max(1) {
        let window = halves.get(at..halves.len().min(at + 2)).unwrap_or(&[]);
        let (sum, count) = window.iter().fold((0, 0), |all, half| (all.0 + half.0, all.1 + half.1));
        #[expect(clippy::cast_precision_loss, reason = "sums of small numbers")]
        let logit = bias + scale * sum as f32 / (count.max(1) as f32).sqrt();
        most = most.max(logit);
    }
    f64::from(1.0 + (most - threshold) / spread.max(1e-3)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_whole_and_windows_cover_every_word() {
        assert_eq!(WEIGHTS.len(), HEADER + BUCKETS);
        let text = (0..1000).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        let windows = windows(&text);
        assert!(windows.iter().all(|window| window.split(' ').count() <= WORDS));
        for n in 0..1000 {
            assert!(
                windows.iter().any(|window| window.split(' ').any(|word| word == format!("w{n}"))),
                "{n}"
            );
        }
    }
}
