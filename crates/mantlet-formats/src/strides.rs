//! Programs in some of the bytes of every number: the fractions of weights, one byte to a number, or numbers that are
//! bytes.
//!
//! A program put into weights so that they stay plausible leaves their highest byte, or all but the lowest, as it was.
//! So the bytes of all numbers are read again with every run of bytes of a number left out, in both orders, and what
//! is left is searched for the headers of programs as any other bytes are. The headers are long enough that numbers do
//! not have them by chance (see `programs`).

use mantlet_vocab::{MemorySource, Source, read_window};

use crate::Bounds;
use crate::inflate::{Inflated, Wrapper};
use crate::lowbits::LowBits;
use crate::metadata::{hidden, program};
use crate::sweep::sweep;
use crate::weights::{Dtype, TensorInfo, value};

/// Bytes of one tensor that are read, and of all.
const OF_ONE: u64 = 128 << 10;
const OF_ALL: usize = 1 << 20;

/// Programs among some of the bytes of every number of the tensors, the first of each kind of packing.
#[must_use]
pub fn strided(source: &dyn Source, tensors: &[TensorInfo]) -> Vec<LowBits> {
    let mut found: Vec<LowBits> =
        tensors.iter().filter_map(|tensor| of_bytes(source, tensor)).take(16).collect();
    for width in [2_usize, 4, 8] {
        let (mut bytes, mut whole) = (Vec::new(), Vec::new());
        let mut first: Option<&TensorInfo> = None;
        for tensor in tensors {
            let counts = tensor.dtype.is_float() || matches!(tensor.dtype, Dtype::Int { .. });
            if !counts || tensor.dtype.width() != Some(width as u64) || bytes.len() >= OF_ALL {
                continue;
            }
            let len = tensor.len.min(OF_ONE) as usize / width * width;
            let read = read_window(source, tensor.start, len).unwrap_or_default();
            if tensor.dtype.is_float() {
                whole.extend(read.chunks_exact(width).map(|one| byte(&tensor.dtype, one)));
            }
            bytes.extend_from_slice(&read[..read.len() / width * width]);
            first = first.or(Some(tensor));
        }
        let Some(tensor) = first else { continue };
        let mut tell = |view: Vec<u8>, bits: usize| {
            let swept = sweep(&MemorySource::new(&view), u64::MAX);
            let program = swept.programs.first().map(|_| "a program");
            if let Some(what) = program.or_else(|| swept.scripts.first().map(|_| "a script")) {
                found.push(LowBits {
                    tensor: tensor.name.clone(),
                    bits: bits as u8,
                    at: tensor.start,
                    windows: (0, 0),
                    entropy: 0.0,
                    hides: Some(what),
                });
                return true;
            }
            false
        };
        if whole.iter().filter(|byte| byte.is_some()).count() >= 64 {
            let view = whole.into_iter().map(|byte| byte.unwrap_or(0xff)).collect();
            tell(view, width * 8);
        }
        'views: for keep in (1..width).rev() {
            for from in 0..=width - keep {
                for turned in [false, true] {
                    if keep == 1 && turned {
                        continue;
                    }
                    let runs = bytes.chunks_exact(width).map(|one| &one[from..from + keep]);
                    let view: Vec<u8> = if turned {
                        runs.flat_map(|run| run.iter().rev().copied()).collect()
                    } else {
                        runs.flatten().copied().collect()
                    };
                    if tell(view, keep * 8) {
                        break 'views;
                    }
                }
            }
        }
    }
    found.extend(planes(source, tensors));
    found.extend(crate::woven::woven(source, tensors));
    found
}

/// Programs whose bits are one bit of every number: its sign, the lowest of its exponent, any of its fraction.
fn planes(source: &dyn Source, tensors: &[TensorInfo]) -> Option<LowBits> {
    for tensor in tensors.iter().filter(|tensor| tensor.dtype.is_float()).take(64) {
        let Some(width) = tensor.dtype.width().map(|width| width as usize) else { continue };
        let len = tensor.len.min(OF_ONE) as usize / width * width;
        // Fewer bits than a program's first line.
        if len / width < 512 {
            continue;
        }
        let bytes = read_window(source, tensor.start, len).unwrap_or_default();
        for bit in 0..8 * width {
            let bits: Vec<u8> = bytes.chunks_exact(width).map(|one| one[bit / 8] >> (bit % 8) & 1).collect();
            let high =
                bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
            let low = bits
                .chunks_exact(8)
                .map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit))
                .collect();
            if let Some(what) = strong(high).or_else(|| strong(low)) {
                let (tensor, at) = (tensor.name.clone(), tensor.start);
                return Some(LowBits {
                    tensor,
                    bits: 1,
                    at,
                    windows: (0, 0),
                    entropy: 0.0,
                    hides: Some(what),
                });
            }
        }
    }
    None
}

/// Programs in the bytes of one tensor of bytes, each changed in the same way: turned round, cut in halves, or joined with
/// one byte by exclusive or or a sum; and what they decompress or decode to.
fn of_bytes(source: &dyn Source, tensor: &TensorInfo) -> Option<LowBits> {
    let small = matches!(tensor.dtype, Dtype::Int { width: 1, .. }) || tensor.dtype == Dtype::Bool;
    if !small || tensor.len < 16 {
        return None;
    }
    let head = read_window(source, tensor.start, tensor.len.min(OF_ONE) as usize).ok()?;
    if head.len() < 16 {
        return None;
    }
    let begins = |view: &[u8]| program(view).or_else(|| hidden(view));
    let turned = || {
        let from = tensor.start + tensor.len - tensor.len.min(4_096);
        let tail = read_window(source, from, tensor.len.min(4_096) as usize).unwrap_or_default();
        program(&tail.into_iter().rev().collect::<Vec<u8>>())
    };
    let short = &head[..head.len().min(4_096)];
    let halves = || {
        let joined = |high: usize| {
            let pair = |pair: &[u8]| pair[high] << 4 | pair[1 - high] & 15;
            program(&short.chunks_exact(2).map(pair).collect::<Vec<u8>>())
        };
        short.iter().all(|byte| *byte < 16).then(|| joined(0).or_else(|| joined(1))).flatten()
    };
    let keyed = || {
        // One key for all: what makes a known beginning of the first byte makes it of the others too.
        [b'\x7f', b'M', b'#', b'P', 0x80].into_iter().find_map(|wanted| {
            let (key, step) = (short[0] ^ wanted, short[0].wrapping_sub(wanted));
            let view =
                |change: &dyn Fn(u8) -> u8| short.iter().map(|&byte| change(byte)).collect::<Vec<u8>>();
            (key != 0)
                .then(|| {
                    strong(view(&|byte| byte ^ key)).or_else(|| strong(view(&|byte| byte.wrapping_sub(step))))
                })
                .flatten()
        })
    };
    let packed = || {
        let wrapper = match head.get(..3)? {
            [0x1f, 0x8b, 8] => Wrapper::Gzip,
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, _] => Wrapper::Zlib,
            _ => return None,
        };
        let bounds = Bounds::default();
        let inner = MemorySource::new(&head);
        let inflated = Inflated::open(&inner, wrapper, &bounds, 1 << 20);
        program(&read_window(&inflated, 0, 4_096).ok()?)
    };
    let what = begins(short).or_else(turned).or_else(halves).or_else(keyed).or_else(packed)?;
    Some(LowBits {
        tensor: tensor.name.clone(),
        bits: 8,
        at: tensor.start,
        windows: (0, 0),
        entropy: 0.0,
        hides: Some(what),
    })
}

/// What bytes begin with, by so much of it that it is nothing else.
fn strong(view: Vec<u8>) -> Option<&'static str> {
    let swept = sweep(&MemorySource::new(&view), u64::MAX);
    let first = |found: &[crate::programs::Program]| found.first().is_some_and(|program| program.offset == 0);
    first(&swept.programs).then_some("a program").or_else(|| first(&swept.scripts).then_some("a script"))
}

/// A float that is the number of a byte.
fn byte(dtype: &Dtype, element: &[u8]) -> Option<u8> {
    let number = value(dtype, element)?;
    (number.fract() == 0.0 && (0.0..256.0).contains(&number)).then_some(number as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(dtype: Dtype, width: usize, put: impl Fn(&mut [u8], u8, usize)) -> usize {
        let mut state = 1_u32;
        let mut bytes: Vec<u8> = (0..512 * width)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let program = [crate::programs::tests::elf_header(), vec![0; 64]].concat();
        for (at, &byte) in program.iter().enumerate() {
            put(&mut bytes, byte, at);
        }
        let len = bytes.len() as u64;
        let tensor = TensorInfo { name: "w".into(), dtype, shape: vec![512], start: 0, len };
        strided(&MemorySource::new(&bytes), &[tensor]).len()
    }

    #[test]
    fn programs_in_parts_of_numbers_are_found() {
        assert_eq!(found(Dtype::F32, 4, |bytes, byte, at| bytes[4 * (9 + at / 3) + at % 3] = byte), 1);
        assert_eq!(found(Dtype::F32, 4, |bytes, byte, at| bytes[4 * (9 + at / 2) + 1 - at % 2] = byte), 1);
        assert_eq!(found(Dtype::F16, 2, |bytes, byte, at| bytes[2 * at] = byte), 1);
        assert_eq!(found(Dtype::F64, 8, |bytes, byte, at| bytes[8 * (1 + at / 6) + at % 6] = byte), 1);
        let number = |bytes: &mut [u8], byte: u8, at: usize| {
            bytes[4 * at..4 * at + 4].copy_from_slice(&f32::from(byte).to_le_bytes());
        };
        assert_eq!(found(Dtype::F32, 4, number), 1);
        assert_eq!(found(Dtype::F32, 4, |_, _, _| {}), 0);
        let bytes = Dtype::Int { width: 1, signed: false };
        assert_eq!(found(bytes.clone(), 1, |bytes, byte, at| bytes[at] = byte ^ 0x5a), 1);
        assert_eq!(found(bytes.clone(), 1, |bytes, byte, at| bytes[511 - at] = byte), 1);
        assert_eq!(found(bytes, 1, |_, _, _| {}), 0);
        let sign = |bytes: &mut [u8], byte: u8, at: usize| {
            for bit in (0..8).filter(|bit| 8 * at + bit < 512) {
                let high = &mut bytes[4 * (8 * at + bit) + 3];
                *high = *high & 0x7f | (byte >> (7 - bit) & 1) << 7;
            }
        };
        assert_eq!(found(Dtype::F32, 4, sign), 1);
    }
}
