//! What one caller has asked lately, as far as it takes to see somebody try until something passes.
//!
//! Two signs. The same words in ever other dress (capitals, digits for letters, invisible characters): nobody's
//! program does that to its own text, brute force does (Hughes and others 2024, Best-of-N jailbreaking). And asking
//! on, near the same words, after having been stopped. Many different questions in one template are neither.

use std::collections::VecDeque;

use mantlet_vocab::{Millis, Signal};
use serde::{Deserialize, Serialize};

use super::rooms::{persistent, varied};

/// Prompts remembered of one caller.
const REMEMBERED: usize = 48;
/// How long, in milliseconds.
const WINDOW: u64 = 30 * 60_000;
/// Bits of a sketch in which nearly the same words differ.
const NEAR: u32 = 6;
/// Words below which a text says too little to be told from another.
const WORDS: usize = 5;

/// A prompt, as far as it is remembered: nothing of its text can be read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Of its bytes.
    raw: u64,
    /// Of its words without disguise.
    words: u64,
    /// Near words, near sketches (Charikar 2002, SimHash of pairs of words).
    sketch: u64,
    count: u32,
    at: Millis,
    stopped: bool,
}

impl Asked {
    /// From a text and its plain reading.
    #[must_use]
    pub(crate) fn new(text: &str, reading: &str) -> Self {
        // For each of 64 bits, how many pairs have it: one plane of bits for each digit of the counts.
        let mut planes = [0_u64; 32];
        let (mut before, mut count) = (0, 0_u32);
        for word in reading.as_bytes().split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
            let hash = fnv(word, 0);
            let pair = mix(hash ^ before);
            before = hash.rotate_left(17);
            count += 1;
            let mut carry = pair;
            for plane in &mut planes {
                if carry == 0 {
                    break;
                }
                (*plane, carry) = (*plane ^ carry, *plane & carry);
            }
        }
        // Bit by bit whether more than half of the pairs have it: all 64 counts are compared at once, digit by digit from
        // the highest on.
        let half = count / 2;
        let (mut sketch, mut same) = (0_u64, u64::MAX);
        for (digit, &plane) in planes.iter().enumerate().rev() {
            if half >> digit & 1 == 0 {
                sketch |= same & plane;
                same &= !plane;
            } else {
                same &= plane;
            }
        }
        let compact = reading.as_bytes().iter().filter(|byte| **byte != b' ');
        let (raw, words) = (fnv(text.as_bytes(), 1), fnv(compact, 2));
        Self { raw, words, sketch, count, at: Millis(0), stopped: false }
    }
}

/// What is remembered of one caller's prompts. Bounded; forgets by time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempts {
    asked: VecDeque<Asked>,
}

impl Attempts {
    /// Remembers a prompt; what it and the ones before give away.
    pub fn advance(&mut self, asked: Asked, now: Millis) -> Vec<Signal> {
        self.asked.retain(|other| now.since(other.at) <= WINDOW);
        let mut signals = Vec::new();
        if usize::try_from(asked.count).unwrap_or(usize::MAX) >= WORDS {
            let dressed =
                || self.asked.iter().filter(|other| other.words == asked.words && other.raw != asked.raw);
            let mut raws: Vec<u64> = dressed().map(|other| other.raw).collect();
            raws.sort_unstable();
            raws.dedup();
            signals.extend(varied(raws.len()));
            let near = |other: &&Asked| {
                other.stopped
                    && (other.words == asked.words || (other.sketch ^ asked.sketch).count_ones() <= NEAR)
            };
            signals.extend(persistent(self.asked.iter().filter(near).count()));
        }
        if self.asked.len() == REMEMBERED {
            // One that was stopped is worth more than one that was not.
            let oldest = self.asked.iter().position(|other| !other.stopped).unwrap_or(0);
            self.asked.remove(oldest);
        }
        self.asked.push_back(Asked { at: now, ..asked });
        signals
    }

    /// The last prompt was stopped.
    pub fn stopped(&mut self) {
        if let Some(last) = self.asked.back_mut() {
            last.stopped = true;
        }
    }

    /// How much would be lost with it; what is worth more is forgotten later.
    #[must_use]
    pub fn suspicion(&self) -> f64 {
        let stopped = self.asked.iter().filter(|asked| asked.stopped).count();
        #[expect(clippy::cast_precision_loss, reason = "at most 48")]
        let suspicion = stopped as f64;
        suspicion
    }

    /// Bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.asked.capacity() * size_of::<Asked>()
    }
}

fn fnv<'a>(bytes: impl IntoIterator<Item = &'a u8>, seed: u64) -> u64 {
    mix(bytes
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325 ^ seed, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3)))
}

/// Spreads a hash over all its bits (the finaliser of MurmurHash3).
const fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sketch_has_the_bits_that_more_than_half_of_the_pairs_have() {
        for words in 1..200 {
            let reading: Vec<String> = (0..words).map(|n| format!("w{}", n * n % 61)).collect();
            let (mut counts, mut before) = ([0_u32; 64], 0);
            for word in &reading {
                let hash = fnv(word.as_bytes(), 0);
                let pair = mix(hash ^ before);
                before = hash.rotate_left(17);
                (0..64).for_each(|bit| counts[bit] += u32::from(pair >> bit & 1 == 1));
            }
            let most = |bit: usize| u64::from(counts[bit] * 2 > words) << bit;
            let expected = (0..64).fold(0, |sketch, bit| sketch | most(bit));
            let text = reading.join(" ");
            assert_eq!(Asked::new(&text, &text).sketch, expected, "{words}");
        }
    }
}
