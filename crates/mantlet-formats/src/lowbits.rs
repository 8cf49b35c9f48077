//! Payloads in the low mantissa bits of weights.
//!
//! The lowest bits of ordinary float weights are noise: put together to bytes they use all 256 values alike.
//! Text and programs do not. A payload is told from weights that are coarse as a whole (rounded, converted from
//! fewer bits, repeated) by contrast: most windows of the tensor are noise, some are not. Encrypted or compressed
//! payloads are noise themselves and cannot be told this way; a comparison with the base model can.

use mantlet_vocab::{Source, SubSource, read_exact_at};

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

/// What the low bits of a float tensor look like; `None` when they are noise, or coarse as a whole.
#[must_use]
pub fn examine(tensor: &TensorInfo, source: &dyn Source) -> Option<LowBits> {
    let widths: &[u8] = match tensor.dtype {
        Dtype::F64 | Dtype::F32 => &[1, 2, 4, 8],
        Dtype::F16 => &[1, 2],
        Dtype::Bf16 => &[1],
        _ => return None,
    };
    let width = tensor.dtype.width()? as usize;
    let elements = tensor.len / width as u64;
    let inner = SubSource::new(source, tensor.start, tensor.len);
    let mut lanes: Vec<Lane> = widths.iter().map(|&bits| Lane::new(bits)).collect();
    // Too short for five windows of the densest packing: nothing can be said.
    if elements < 5 * (WINDOW as u64 * 8 / u64::from(*widths.last()?)) {
        return None;
    }
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0;
    // All but the highest byte, which holds sign and exponent.
    let fraction = (1_u64 << (8 * (width - 1))) - 1;
    let mut before = None;
    while let Ok(count) = read_exact_at(&inner, at, &mut buffer) {
        if count < width {
            break;
        }
        for value in buffer[..count].chunks_exact(width) {
            // Zeros and repetitions carry nothing.
            let word = match *value {
                [a, b] => u64::from(u16::from_le_bytes([a, b])),
                [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
                [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
                _ => continue,
            };
            let dull = word & fraction == 0 || before == Some(word);
            for lane in &mut lanes {
                lane.push(word as u8, dull, at);
            }
            before = Some(word);
        }
        at += count as u64;
    }
    lanes.iter().find_map(|lane| lane.verdict(tensor))
}

/// One packing: so many low bits of each value, lowest bit first.
struct Lane {
    bits: u8,
    byte: u32,
    filled: u8,
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
    fn new(bits: u8) -> Self {
        Self {
            bits,
            byte: 0,
            filled: 0,
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

    fn push(&mut self, low: u8, dull: bool, at: u64) {
        if self.values == 0 {
            self.start = at;
        }
        self.values += 1;
        self.dull += usize::from(dull);
        let mask = ((1_u16 << self.bits) - 1) as u8;
        self.byte |= u32::from(low & mask) << self.filled;
        self.filled += self.bits;
        if self.filled < 8 {
            return;
        }
        let byte = self.byte as u8;
        (self.byte, self.filled) = (0, 0);
        if self.head.len() < 512 {
            self.head.push(byte);
        }
        self.counts[usize::from(byte)] += 1;
        self.bytes += 1;
        if self.bytes == WINDOW {
            self.close();
        }
    }

    fn close(&mut self) {
        let total = self.bytes as f64;
        let entropy: f64 = self
            .counts
            .iter()
            .filter(|&&count| count > 0)
            .map(|&count| {
                let share = f64::from(count) / total;
                -share * share.log2()
            })
            .sum();
        // A window with many zeros or repetitions says nothing.
        if self.dull * 100 <= self.values {
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
        let hides = program(&self.head).filter(|_| self.noise > 0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

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
        examine(&tensor, &MemorySource::new(&bytes))
    }

    #[test]
    fn text_in_the_low_bits_is_seen_and_plain_weights_are_not() {
        assert_eq!(weights(300_000, 0, 8), None);
        assert_eq!(weights(300_000, 20_000, 8).unwrap().bits, 1);
        assert!(weights(300_000, 40_000, 2).is_some());
        assert!(weights(300_000, 70_000, 1).is_some());
        assert_eq!(weights(1_000, 1_000, 8), None);
    }
}
