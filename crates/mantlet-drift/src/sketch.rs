//! What one pass over a reference learns about a column: enough to lay out its buckets.
//!
//! A sketch merges exactly: the sample is the rows whose hashed row numbers are smallest (bottom-k sampling, Cohen
//! and Kaplan 2007), so it is the same however the rows were divided over files, threads or machines.

use std::borrow::Cow;
use std::collections::BTreeMap;

use mantlet_vocab::Digest;

use crate::DriftError;
use crate::bytes::{Left, put, put_block};

/// Values kept of a numeric column.
const SAMPLE: usize = 1 << 15;
/// Distinct words counted of a column; one with more is an identifier, not a category.
pub(crate) const WORDS: usize = 1 << 16;

/// Bytes of a word that is kept as it is.
const WORD_MOST: usize = 256;
/// Bytes that are kept of the beginning of a longer one.
const HEAD_OF_WORD: usize = 96;

/// A word as it is counted: one of more than 256 bytes by its beginning, its length and its SHA-256, so that a cell of any
/// size takes a line.
#[must_use]
pub fn short(word: &str) -> Cow<'_, str> {
    if word.len() <= WORD_MOST {
        return word.into();
    }
    let mut end = HEAD_OF_WORD;
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    let digest = Digest::of(word.as_bytes()).hex();
    format!("{}... ({} bytes, SHA-256 {digest})", word.get(..end).unwrap_or_default(), word.len()).into()
}

/// A mixing of 64 bits (the finaliser of SplitMix64, Steele et al. 2014). The same on every machine.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A bounded, mergeable look at a column of numbers.
#[derive(Debug, Clone, Default)]
pub struct NumberSketch {
    kept: Vec<(u64, f64)>,
    bound: Option<u64>,
}

impl NumberSketch {
    /// Takes the value of a row; `row` is its number in the whole table. What is no number is passed over.
    pub fn take(&mut self, row: u64, value: f64) {
        if value.is_nan() {
            return;
        }
        let hash = mix(row);
        if self.bound.is_some_and(|bound| hash > bound) {
            return;
        }
        self.kept.push((hash, value));
        if self.kept.len() >= 2 * SAMPLE {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.kept.len() > SAMPLE {
            self.kept.select_nth_unstable_by_key(SAMPLE - 1, |&(hash, _)| hash);
            self.kept.truncate(SAMPLE);
            self.bound = self.kept.iter().map(|&(hash, _)| hash).max();
        }
    }

    /// Takes in the sketch of other rows of the same table.
    pub fn merge(&mut self, other: &Self) {
        self.kept.extend_from_slice(&other.kept);
        self.shrink();
    }

    /// As bytes, for another process.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut whole = self.clone();
        whole.shrink();
        let mut bytes = Vec::with_capacity(whole.kept.len() * 16 + 8);
        put(&mut bytes, whole.kept.len() as u64);
        for (hash, value) in whole.kept {
            bytes.extend_from_slice(&hash.to_le_bytes());
            bytes.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        bytes
    }

    /// From bytes of another process.
    ///
    /// # Errors
    /// When the bytes are no sketch.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DriftError> {
        let mut left = Left(bytes);
        let mut read = || -> Option<Self> {
            let many = left.many().filter(|&many| many <= SAMPLE)?;
            let mut sketch = Self::default();
            for _ in 0..many {
                let (hash, value) = (left.eight()?, f64::from_bits(left.eight()?));
                sketch.kept.push((hash, value));
            }
            // A full sample has given up what lies above it.
            sketch.bound =
                if many == SAMPLE { sketch.kept.iter().map(|&(hash, _)| hash).max() } else { None };
            (left.is_empty() && !sketch.kept.iter().any(|(_, value)| value.is_nan())).then_some(sketch)
        };
        read().ok_or(DriftError::Counts)
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.kept.capacity() * 16
    }

    /// The sampled values in order of size.
    #[must_use]
    pub fn sorted(&self) -> Vec<f64> {
        let mut whole = self.clone();
        whole.shrink();
        let mut values: Vec<f64> = whole.kept.into_iter().map(|(_, value)| value).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }
}

/// A bounded, mergeable look at a column of words.
#[derive(Debug, Clone, Default)]
pub struct WordSketch {
    counts: BTreeMap<Box<str>, u64>,
    /// Bytes of its words.
    bytes: usize,
    overflowed: bool,
}

impl WordSketch {
    /// Takes so many occurrences of a word.
    pub fn take(&mut self, word: &str, times: u64) {
        if self.overflowed || times == 0 {
            return;
        }
        let word = short(word);
        if let Some(count) = self.counts.get_mut(word.as_ref()) {
            *count = count.saturating_add(times);
        } else if self.counts.len() < WORDS {
            self.bytes += word.len();
            self.counts.insert(word.into(), times);
        } else {
            self.overflow();
        }
    }

    fn overflow(&mut self) {
        self.overflowed = true;
        self.bytes = 0;
        self.counts = BTreeMap::new();
    }

    /// Takes in the sketch of other rows of the same table.
    pub fn merge(&mut self, other: &Self) {
        if other.overflowed {
            self.overflow();
        }
        for (word, &count) in &other.counts {
            self.take(word, count);
        }
    }

    /// As bytes, for another process.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.overflowed)];
        put(&mut bytes, self.counts.len() as u64);
        for (word, &count) in &self.counts {
            put_block(&mut bytes, word.as_bytes());
            put(&mut bytes, count);
        }
        bytes
    }

    /// From bytes of another process.
    ///
    /// # Errors
    /// When the bytes are no sketch.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DriftError> {
        let mut left = Left(bytes);
        let mut read = || -> Option<Self> {
            let overflowed = match left.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            let many = left.many().filter(|&many| many <= if overflowed { 0 } else { WORDS })?;
            let (mut counts, mut bytes) = (BTreeMap::new(), 0);
            for _ in 0..many {
                let word = left.text().filter(|word| word.len() <= WORD_MOST)?;
                bytes += word.len();
                counts.insert(word.into(), left.number().filter(|&count| count > 0)?);
            }
            (left.is_empty() && counts.len() == many).then_some(Self { counts, bytes, overflowed })
        };
        read().ok_or(DriftError::Counts)
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.counts.len() * 64 + self.bytes
    }

    /// The words with their counts, most frequent first; `None` when there were more than are counted.
    #[must_use]
    pub fn ranked(&self) -> Option<Vec<(&str, u64)>> {
        if self.overflowed {
            return None;
        }
        let mut ranked: Vec<(&str, u64)> =
            self.counts.iter().map(|(word, &count)| (&**word, count)).collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        Some(ranked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_does_not_depend_on_how_rows_were_divided() {
        let value = |row: u64| (mix(row ^ 77) % 1000) as f64;
        let rows = 3 * SAMPLE as u64;
        let mut whole = NumberSketch::default();
        (0..rows).for_each(|row| whole.take(row, value(row)));
        let mut parts: Vec<NumberSketch> = vec![NumberSketch::default(); 3];
        (0..rows).for_each(|row| parts[(row % 3) as usize].take(row, value(row)));
        let mut merged = NumberSketch::default();
        parts.iter().rev().for_each(|part| {
            merged.merge(&NumberSketch::from_bytes(&part.to_bytes()).unwrap());
        });
        assert_eq!(whole.sorted(), merged.sorted());
        assert_eq!(whole.sorted().len(), SAMPLE);
    }

    #[test]
    fn a_word_of_any_size_takes_a_line_and_is_told_from_others() {
        assert_eq!(short("word"), "word");
        let [one, other] = ["ü".repeat(1 << 20), "ü".repeat((1 << 20) - 1) + "u"];
        let (kept, others) = (short(&one), short(&other));
        assert!(
            kept.len() <= WORD_MOST && kept.starts_with("üüü") && kept.contains("2097152 bytes"),
            "{kept}"
        );
        assert!(kept != others && short(&kept) == kept);
        let mut sketch = WordSketch::default();
        [&one, &one, &other].into_iter().for_each(|word| sketch.take(word, 1));
        assert_eq!(sketch.ranked().unwrap(), [(kept.as_ref(), 2), (others.as_ref(), 1)]);
        assert!(sketch.size() < 1024);
    }

    #[test]
    fn too_many_words_are_an_identifier_in_any_order() {
        let mut a = WordSketch::default();
        (0..WORDS).for_each(|i| a.take(&i.to_string(), 1));
        assert_eq!(a.ranked().unwrap().len(), WORDS);
        let mut b = WordSketch::default();
        b.take("another", 1);
        let mut ab = a.clone();
        ab.merge(&b);
        b.merge(&a);
        assert!(ab.ranked().is_none() && b.ranked().is_none());
        let again = |sketch: &WordSketch| WordSketch::from_bytes(&sketch.to_bytes()).unwrap();
        assert!(again(&ab).ranked().is_none());
        assert_eq!(again(&a).ranked(), a.ranked());
        let bytes = a.to_bytes();
        assert!(WordSketch::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(NumberSketch::from_bytes(&[200, 1, 2]).is_err());
    }
}
