//! Sets of tokens as short sketches: MinHash (Broder 1997) in bands (Indyk and Motwani 1998).

/// Bands of a sketch. With three values a band, a copy that shares three quarters of its tokens with another has a
/// band in common with a chance of 99.8 %.
pub const BANDS: usize = 12;
/// Values of a band.
const VALUES: usize = 3;
/// Tokens of a text or row that are looked at.
pub(super) const TOKENS: usize = 96;

const LANES: usize = BANDS * VALUES;

/// Multipliers of the hash functions: odd numbers from the fractional part of the golden ratio, mixed.
const MULTIPLIERS: [u32; LANES] = multipliers();

const fn multipliers() -> [u32; LANES] {
    let mut out = [0; LANES];
    let mut at = 0;
    let mut state = 0x9e37_79b9_u32;
    while at < LANES {
        state = state.wrapping_mul(0x85eb_ca6b) ^ (state >> 13);
        state = state.wrapping_add(0x9e37_79b9);
        out[at] = state | 1;
        at += 1;
    }
    out
}

/// The tokens of one text or row, hashed, each once and rising; made anew for each and reused.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    hashes: Vec<u32>,
    words: Vec<u32>,
}

const fn mixed(mut value: u32) -> u32 {
    value ^= value >> 16;
    value = value.wrapping_mul(0x7feb_352d);
    value ^= value >> 15;
    value = value.wrapping_mul(0x846c_a68b);
    value ^ (value >> 16)
}

impl Tokens {
    /// Takes a text: pairs of neighbouring words, without case and punctuation; pieces of five characters where
    /// there are fewer than four words.
    pub fn text(&mut self, text: &str) {
        self.words.clear();
        self.hashes.clear();
        let mut word = 0x811c_9dc5_u32;
        let mut letters = 0;
        let take = |c: char, word: &mut u32, letters: &mut usize, words: &mut Vec<u32>| {
            if c.is_alphanumeric() {
                if c.is_ascii() {
                    *word = (*word ^ u32::from(c.to_ascii_lowercase() as u8)).wrapping_mul(0x0100_0193);
                } else {
                    c.to_lowercase().for_each(|c| *word = (*word ^ c as u32).wrapping_mul(0x0100_0193));
                }
                *letters += 1;
            } else if *letters > 0 {
                words.push(mixed(*word));
                *word = 0x811c_9dc5;
                *letters = 0;
            }
        };
        for c in text.chars() {
            take(c, &mut word, &mut letters, &mut self.words);
            if self.words.len() >= TOKENS {
                break;
            }
        }
        take(' ', &mut word, &mut letters, &mut self.words);
        if self.words.len() >= 4 {
            let pairs = self.words.windows(2).map(|pair| mixed(pair[0].rotate_left(7).wrapping_add(pair[1])));
            self.hashes.extend(pairs.take(TOKENS));
        } else {
            let letters: Vec<u32> = text
                .chars()
                .filter(|c| c.is_alphanumeric())
                .flat_map(char::to_lowercase)
                .map(|c| c as u32)
                .take(TOKENS + 4)
                .collect();
            let piece = |piece: &[u32]| {
                mixed(piece.iter().fold(0x811c_9dc5, |hash, &c| (hash ^ c).wrapping_mul(0x0100_0193)))
            };
            self.hashes.extend(letters.windows(5.min(letters.len().max(1))).map(piece));
        }
        self.settle();
    }

    /// Takes a row as the codes of its cells, column after column.
    pub fn row(&mut self, cells: impl Iterator<Item = u32>) {
        self.hashes.clear();
        let cell = |(at, cell): (usize, u32)| mixed(mixed(cell).wrapping_add(u32::try_from(at).unwrap_or(0)));
        self.hashes.extend(cells.enumerate().map(cell).take(TOKENS));
        self.settle();
    }

    fn settle(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
    }

    /// The hashes, rising.
    #[must_use]
    pub fn hashes(&self) -> &[u32] {
        &self.hashes
    }

    /// A key for each band; sets that share most of their tokens share a key. Nothing without tokens.
    #[must_use]
    pub fn keys(&self) -> Option<[u64; BANDS]> {
        if self.hashes.is_empty() {
            return None;
        }
        let mut least = [u32::MAX; LANES];
        for &hash in &self.hashes {
            for (least, multiplier) in least.iter_mut().zip(MULTIPLIERS) {
                // The high half of the product holds the mixing; the low bits of a product by an odd number do not.
                let value = hash.wrapping_mul(multiplier);
                *least = (*least).min(value ^ (value >> 15));
            }
        }
        let mut keys = [0; BANDS];
        for (band, (key, values)) in keys.iter_mut().zip(least.chunks_exact(VALUES)).enumerate() {
            let mut state = band as u64 + 1;
            for &value in values {
                state = (state ^ u64::from(value)).wrapping_mul(0x9fb2_1c65_1e98_df25);
                state ^= state >> 29;
            }
            *key = state;
        }
        Some(keys)
    }
}

/// The share of tokens two rising lists have in common (Jaccard).
#[must_use]
pub fn alike(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0_u32);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                both += 1;
                i += 1;
                j += 1;
            }
        }
    }
    let all = a.len() + b.len() - both as usize;
    if all == 0 { 0.0 } else { f64::from(both) / crate::feed::real(all as u64) }
}
