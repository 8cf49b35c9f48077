//! Payloads in the low mantissa bits of weights.
//!
//! The lowest bits of ordinary float weights are noise: put together to bytes they use all 256 values alike.
//! Text and programs do not. A payload is told from weights that are coarse as a whole (rounded, converted from
//! fewer bits, repeated) by contrast: most windows of the tensor are noise, some are not. Encrypted or compressed
//! payloads are noise themselves and cannot be told this way; a comparison with the base model can.
//!
//! Long because the packings of bits are met in one pass.

use std::sync::OnceLock;

use crate::metadata::program;
use crate::weights::{Dtype, TensorInfo};

/// Low bits of a tensor that are not noise although most are.
#[derive(Debug, Clone, PartialEq)]
pub struct LowBits {
    /// The tensor.
    pub tensor: String,
    /// How many low bits of each value carry the payload.
    pub bits: u8,
    /// Offset of the first such window.
    pub at: u64,
    /// Windows that are not noise, of all.
    pub windows: (u64, u64),
    /// Bits of entropy of a byte in the most ordered window; noise has 7.95.
    pub entropy: f64,
    /// What the first bytes are, when that is a program or an archive.
    pub hides: Option<&'static str>,
}

impl Eq for LowBits {}

/// Bytes of payload in one window: noise of this length has an entropy of 7.955 bits a byte, with a standard
/// deviation below 0.006, so that noise falls below the threshold practically never.
const WINDOW: usize = 4_096;
/// Below this a window is not noise: 50 standard deviations.
const ORDERED: f64 = 7.6;
/// Above this it is.
const NOISE: f64 = 7.92;

/// First bytes that are looked at for a program or an archive.
const HEAD: usize = 512;
/// Values that are looked at together: one window of the densest packing.
const BLOCK: usize = WINDOW;

/// The float tensors of a file, met in the order of their bytes.
#[derive(Debug)]
pub struct Survey {
    tensors: std::vec::IntoIter<TensorInfo>,
    open: Option<Meter>,
    found: Vec<LowBits>,
}

impl Survey {
    /// Of these tensors. What overlaps a tensor before it has been seen with that one, and is left out: no
    /// number of overlapping tensors costs more than the bytes of the file.
    #[must_use]
    pub fn new(mut tensors: Vec<TensorInfo>) -> Self {
        tensors.sort_by_key(|tensor| tensor.start);
        let mut end = 0;
        tensors.retain(|tensor| {
            let apart = tensor.start >= end;
            if apart {
                end = tensor.start.saturating_add(tensor.len);
            }
            apart
        });
        Self { tensors: tensors.into_iter(), open: None, found: Vec::new() }
    }

    /// Looks at the next bytes of the file, which start at `offset`; what lies before it is never asked for.
    pub fn see(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        loop {
            if self.open.is_none() {
                let Some(next) = self.tensors.as_slice().first() else { return };
                if next.start >= end {
                    return;
                }
                self.open = self.tensors.next().and_then(Meter::new);
            }
            let Some(meter) = &mut self.open else { continue };
            let (start, stop) = (meter.tensor.start, meter.tensor.start.saturating_add(meter.tensor.len));
            let from = start.max(offset).min(end) - offset;
            let to = stop.max(offset).min(end) - offset;
            meter.feed(&bytes[from as usize..to as usize]);
            if stop > end {
                return;
            }
            self.found.extend(meter.verdict());
            self.open = None;
        }
    }

    /// Low bits that are not noise although most are.
    #[must_use]
    pub fn found(mut self) -> Vec<LowBits> {
        self.found.extend(self.open.as_ref().and_then(Meter::verdict));
        self.found
    }
}

/// The low bits of one float tensor. Nothing is said of coarse tensors, or of those that are noise all over.
#[derive(Debug)]
struct Meter {
    tensor: TensorInfo,
    width: usize,
    lanes: Vec<Lane>,
    /// Bytes of a block that is not full yet.
    pending: Vec<u8>,
    blocks: u64,
    last: Option<u64>,
    words: Vec<u64>,
}

impl Meter {
    fn new(tensor: TensorInfo) -> Option<Self> {
        let widths: &[u8] = match tensor.dtype {
            Dtype::F64 | Dtype::F32 => &[1, 2, 4, 8],
            Dtype::F16 => &[1, 2],
            Dtype::Bf16 => &[1],
            _ => return None,
        };
        let width = tensor.dtype.width()? as usize;
        // Too short for one block: nothing can be said.
        if tensor.len / (width as u64) < BLOCK as u64 {
            return None;
        }
        let lanes = widths.iter().map(|&bits| Lane::new(bits)).collect();
        let (pending, words) = (Vec::new(), vec![0; BLOCK]);
        Some(Self { tensor, width, lanes, pending, blocks: 0, last: None, words })
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        let block = BLOCK * self.width;
        if !self.pending.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(block - self.pending.len()));
            self.pending.extend_from_slice(head);
            bytes = rest;
            if self.pending.len() < block {
                return;
            }
            let full = std::mem::take(&mut self.pending);
            self.block(&full);
            self.pending = full;
            self.pending.clear();
        }
        let blocks = bytes.chunks_exact(block);
        self.pending.extend_from_slice(blocks.remainder());
        for full in blocks {
            self.block(full);
        }
    }

    fn block(&mut self, bytes: &[u8]) {
        fn fill<const N: usize>(words: &mut [u64], bytes: &[u8], word: impl Fn([u8; N]) -> u64) {
            for (word_at, value) in words.iter_mut().zip(bytes.as_chunks::<N>().0) {
                *word_at = word(*value);
            }
        }
        match self.width {
            2 => fill(&mut self.words, bytes, |value| u16::from_le_bytes(value).into()),
            4 => fill(&mut self.words, bytes, |value| u32::from_le_bytes(value).into()),
            _ => fill(&mut self.words, bytes, u64::from_le_bytes),
        }
        // All but the highest byte, which holds sign and exponent.
        let fraction = (1_u64 << (8 * (self.width - 1))) - 1;
        // Zeros and repetitions carry nothing.
        let dull = |word: u64, before: u64| u32::from(word & fraction == 0) | u32::from(word == before);
        let inside: u32 = self.words.windows(2).map(|pair| dull(pair[1], pair[0])).sum();
        let first = self.words[0];
        let dull = (inside + dull(first, self.last.unwrap_or(!first))) as usize;
        self.last = self.words.last().copied();
        let mut lows = [0_u8; BLOCK];
        for (low, word) in lows.iter_mut().zip(&self.words) {
            *low = *word as u8;
        }
        let at = self.blocks * (BLOCK * self.width) as u64;
        self.blocks += 1;
        for lane in &mut self.lanes {
            lane.block(&lows, dull, at);
        }
    }

    fn verdict(&self) -> Option<LowBits> {
        self.lanes.iter().find_map(|lane| lane.verdict(&self.tensor))
    }
}

/// One packing: so many low bits of each value, lowest bit first.
#[derive(Debug)]
struct Lane {
    bits: u8,
    counts: [u16; 256],
    bytes: usize,
    dull: usize,
    /// Values in the window.
    values: usize,
    start: u64,
    noise: u64,
    ordered: u64,
    lowest: f64,
    first: Option<u64>,
    head: Vec<u8>,
}

impl Lane {
    const fn new(bits: u8) -> Self {
        Self {
            bits,
            counts: [0; 256],
            bytes: 0,
            dull: 0,
            values: 0,
            start: 0,
            noise: 0,
            ordered: 0,
            lowest: 8.0,
            first: None,
            head: Vec::new(),
        }
    }

    /// The low bytes of a block of values of which `dull` carry nothing.
    fn block(&mut self, lows: &[u8; BLOCK], dull: usize, at: u64) {
        if self.values == 0 {
            self.start = at;
        }
        self.values += BLOCK;
        self.dull += dull;
        let packed = BLOCK / 8 * usize::from(self.bits);
        self.bytes += packed;
        let packs = lows.as_chunks::<8>().0.iter().map(|eight| pack(u64::from_le_bytes(*eight), self.bits));
        if self.head.len() < HEAD {
            let bytes = packs.clone().flat_map(|word| word.to_le_bytes().into_iter().take(self.bits.into()));
            self.head.extend(bytes.take(HEAD - self.head.len()));
        }
        // A window that is dull already is not counted.
        if self.dull * 100 <= WINDOW * 8 / usize::from(self.bits) {
            for word in packs {
                for &byte in &word.to_le_bytes()[..usize::from(self.bits)] {
                    self.counts[usize::from(byte)] += 1;
                }
            }
        }
        if self.bytes == WINDOW {
            self.close();
        }
    }

    fn close(&mut self) {
        // A window with many zeros or repetitions says nothing.
        if self.dull * 100 <= self.values {
            let entropy = entropy(&self.counts);
            if entropy > NOISE {
                self.noise += 1;
            } else if entropy < ORDERED {
                self.ordered += 1;
                self.lowest = self.lowest.min(entropy);
                self.first.get_or_insert(self.start);
            }
        }
        self.counts = [0; 256];
        (self.bytes, self.dull, self.values) = (0, 0, 0);
    }

    fn verdict(&self, tensor: &TensorInfo) -> Option<LowBits> {
        // Among noise a few bytes say enough; where all is order, only what no weights are by chance.
        let hides = program(&self.head).filter(|_| self.noise > 0).or_else(|| written(&self.head));
        let contrast = self.ordered > 0 && self.noise >= 4 && self.noise >= self.ordered;
        (contrast || hides.is_some()).then(|| LowBits {
            tensor: tensor.name.clone(),
            bits: self.bits,
            at: tensor.start + self.first.unwrap_or(0),
            windows: (self.ordered, self.ordered + self.noise),
            entropy: self.lowest,
            hides,
        })
    }
}

/// What bytes are by so many of their first that no coarse weights have them: a script with its interpreter, a program
/// whose header holds together, or text.
fn written(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"#!/bin/") || head.starts_with(b"#!/usr/") {
        return Some("a script");
    }
    if crate::programs::MAGICS
        .iter()
        .enumerate()
        .any(|(index, magic)| head.starts_with(magic) && crate::programs::at(head, 0, index).is_some())
    {
        return Some("a program");
    }
    let printed = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    let text = head.len() >= HEAD && head.iter().filter(printed).count() * 100 >= head.len() * 98;
    let mut kinds = [false; 256];
    head.iter().for_each(|&byte| kinds[usize::from(byte)] = true);
    (text && kinds.iter().filter(|seen| **seen).count() >= 20).then_some("text")
}

/// The lowest `bits` bits of eight bytes, put together, the first byte lowest.
#[inline]
const fn pack(eight: u64, bits: u8) -> u64 {
    match bits {
        1 => (eight & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56,
        2 => {
            let pairs = eight & 0x0303_0303_0303_0303;
            let fours = (pairs | pairs >> 6) & 0x000f_000f_000f_000f;
            let eights = (fours | fours >> 12) & 0x0000_00ff_0000_00ff;
            (eights | eights >> 24) & 0xffff
        }
        4 => {
            let fours = eight & 0x0f0f_0f0f_0f0f_0f0f;
            let eights = (fours | fours >> 4) & 0x00ff_00ff_00ff_00ff;
            let both = (eights | eights >> 8) & 0x0000_ffff_0000_ffff;
            (both | both >> 16) & 0xffff_ffff
        }
        _ => eight,
    }
}

/// Bits of entropy of a byte in a window with these counts.
fn entropy(counts: &[u16; 256]) -> f64 {
    static PLOGP: OnceLock<Vec<f64>> = OnceLock::new();
    let table = PLOGP.get_or_init(|| {
        let share = |count: usize| count as f64 / WINDOW as f64;
        std::iter::once(0.0).chain((1..=WINDOW).map(|count| -share(count) * share(count).log2())).collect()
    });
    counts.iter().filter_map(|&count| table.get(usize::from(count))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Float weights from a small generator, with a text in the low bits of the first values.
    fn weights(count: usize, payload: usize, bits: u8) -> Option<LowBits> {
        let mut state = 1_u64;
        let mut bytes = Vec::new();
        let text = b"the quick brown fox jumps over the lazy dog, again and again and again. ";
        for index in 0..count {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = (state >> 33) as f32 / (1_u64 << 31) as f32 - 0.5;
            let mut raw = (uniform * uniform * uniform).to_bits();
            if index < payload {
                let at = index * usize::from(bits);
                let chunk = text[at / 8 % text.len()] >> (at % 8) & ((1_u16 << bits) - 1) as u8;
                raw = raw & !((1 << bits) - 1) | u32::from(chunk);
            }
            bytes.extend(raw.to_le_bytes());
        }
        let len = bytes.len() as u64;
        let tensor =
            TensorInfo { name: "w".into(), dtype: Dtype::F32, shape: vec![count as u64], start: 0, len };
        let mut survey = Survey::new(vec![tensor]);
        let mut at = 0;
        // Steps that end within values.
        for step in bytes.chunks(10_007) {
            survey.see(at, step);
            at += step.len() as u64;
        }
        survey.found().pop()
    }

    #[test]
    fn low_bits_are_packed_as_they_come() {
        let eight = [0xf1, 0x02, 0x73, 0x84, 0x05, 0xe6, 0x17, 0x98];
        for bits in [1, 2, 4, 8] {
            let (mut expected, mask) = (0_u64, (1_u64 << bits) - 1);
            for (index, byte) in eight.iter().enumerate() {
                expected |= (u64::from(*byte) & mask) << (index * usize::from(bits));
            }
            assert_eq!(pack(u64::from_le_bytes(eight), bits), expected);
        }
    }

    #[test]
    fn overlapping_tensors_cost_the_bytes_of_the_file_once() {
        let tensor = |start| TensorInfo {
            name: "w".into(),
            dtype: Dtype::F32,
            shape: vec![],
            start,
            len: u64::MAX - 9,
        };
        let mut survey = Survey::new((0..100_000).map(tensor).collect());
        assert_eq!(survey.tensors.len(), 1);
        survey.see(0, &[1; 400_000]);
        assert_eq!(survey.found(), vec![]);
    }

    #[test]
    fn text_in_the_low_bits_is_seen_and_plain_weights_are_not() {
        assert_eq!(weights(300_000, 0, 8), None);
        assert_eq!(weights(300_000, 20_000, 8).unwrap().bits, 1);
        assert!(weights(300_000, 40_000, 2).is_some());
        assert!(weights(300_000, 70_000, 1).is_some());
        assert_eq!(weights(1_000, 1_000, 8), None);
        assert_eq!(weights(16_384, 16_384, 8).unwrap().hides, Some("text"));
        assert_eq!(weights(16_384, 0, 8), None);
    }
}
