//! Programs woven through several tensors: the first byte in the first, the next in the second, and round again.
//!
//! No tensor alone holds two bytes that belong together, so the bytes are read again as whoever wrote them does: number
//! by number, of every tensor in turn, whole or any run of their bytes. Tensors take part together when their numbers
//! are as wide; those of one length are also read by themselves, as attention layers are alike and others lie between.

use std::collections::BTreeMap;

use mantlet_vocab::{MemorySource, Source, read_window};

use crate::lowbits::LowBits;
use crate::sweep::sweep;
use crate::weights::{Dtype, TensorInfo};

/// Bytes of one tensor that are read, and of all that are woven together.
const OF_ONE: u64 = 16 << 10;
const OF_ALL: usize = 512 << 10;
/// Groups of one file; the first have the most tensors.
const MAX_GROUPS: usize = 12;
/// Fewer tensors than this many weave nothing that one of them would not show.
const FEWEST: usize = 2;

/// The first program woven through tensors of each width.
#[must_use]
pub(crate) fn woven(source: &dyn Source, tensors: &[TensorInfo]) -> Vec<LowBits> {
    let mut found = Vec::new();
    for width in [1_usize, 2, 4, 8] {
        let of_width: Vec<&TensorInfo> = tensors
            .iter()
            .filter(|tensor| {
                let counts =
                    tensor.dtype.is_float() || matches!(tensor.dtype, Dtype::Int { .. } | Dtype::Bool);
                counts && tensor.dtype.width() == Some(width as u64) && tensor.len >= width as u64
            })
            .collect();
        let mut lengths: BTreeMap<u64, Vec<&TensorInfo>> = BTreeMap::new();
        for tensor in &of_width {
            lengths.entry(tensor.len).or_default().push(tensor);
        }
        let mut groups: Vec<Vec<&TensorInfo>> = lengths.into_values().collect();
        if groups.len() != 1 {
            groups.push(of_width);
        }
        groups.retain(|group| group.len() >= FEWEST);
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let hit = groups.iter().take(MAX_GROUPS).find_map(|group| through(source, group, width));
        found.extend(hit);
        if width == 1 {
            found.extend(joined(source, tensors));
        }
    }
    found
}

/// Pairs of tensors of bytes that are a program together, one the key of the other.
fn joined(source: &dyn Source, tensors: &[TensorInfo]) -> Option<LowBits> {
    const MAX_TENSORS: usize = 64;
    let bytes = tensors.iter().filter(|tensor| tensor.dtype.width() == Some(1) && tensor.len >= 64);
    let heads: Vec<(&TensorInfo, Vec<u8>)> = bytes
        .take(MAX_TENSORS)
        .map(|tensor| {
            (tensor, read_window(source, tensor.start, tensor.len.min(1_024) as usize).unwrap_or_default())
        })
        .collect();
    for (index, (first, one)) in heads.iter().enumerate() {
        for (second, other) in heads.iter().skip(index + 1).filter(|(second, _)| second.len == first.len) {
            let both = |change: fn(u8, u8) -> u8| {
                let view: Vec<u8> = one.iter().zip(other).map(|(&one, &other)| change(one, other)).collect();
                let swept = sweep(&MemorySource::new(&view), u64::MAX);
                swept.programs.iter().chain(&swept.scripts).any(|program| program.offset == 0)
            };
            if both(|one, other| one ^ other) || both(u8::wrapping_add) || both(u8::wrapping_sub) {
                return Some(LowBits {
                    tensor: format!("{} and {}", first.name, second.name),
                    bits: 8,
                    at: first.start,
                    windows: (0, 0),
                    entropy: 0.0,
                    hides: Some("a program, one the key of the other"),
                });
            }
        }
    }
    None
}

/// A program in the numbers of these tensors, one of each in turn.
fn through(source: &dyn Source, group: &[&TensorInfo], width: usize) -> Option<LowBits> {
    let share = (OF_ALL / group.len()).max(4 * width) as u64;
    let mut parts = Vec::new();
    let mut read = 0;
    for tensor in group {
        let len = tensor.len.min(OF_ONE).min(share) as usize / width * width;
        let bytes = read_window(source, tensor.start, len).unwrap_or_default();
        read += bytes.len();
        parts.push(bytes);
        if read >= OF_ALL {
            break;
        }
    }
    let longest = parts.iter().map(Vec::len).max()? / width;
    for keep in (1..=width).rev() {
        for from in 0..=width - keep {
            let mut view = Vec::with_capacity(read / width * keep);
            for index in 0..longest {
                let at = index * width + from;
                view.extend(parts.iter().filter_map(|part| part.get(at..at + keep)).flatten());
            }
            let swept = sweep(&MemorySource::new(&view), u64::MAX);
            let what = match (swept.programs.first(), swept.scripts.first()) {
                (Some(_), _) => "a program in turns",
                (None, Some(_)) => "a script in turns",
                (None, None) => continue,
            };
            let first = group.first()?;
            return Some(LowBits {
                tensor: first.name.clone(),
                bits: (keep * 8) as u8,
                at: first.start,
                windows: (0, 0),
                entropy: 0.0,
                hides: Some(what),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tensors of noise with a program put into them byte by byte.
    fn found(
        count: usize,
        numbers: usize,
        dtype: Dtype,
        put: impl Fn(usize) -> Option<(usize, usize)>,
    ) -> usize {
        let width = dtype.width().unwrap() as usize;
        let (mut state, each) = (7_u32, numbers * width);
        let mut bytes: Vec<u8> = (0..count * each)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let program = [crate::programs::tests::elf_header(), vec![0; 64]].concat();
        for (index, &byte) in program.iter().enumerate() {
            if let Some((tensor, at)) = put(index) {
                bytes[tensor * each + at] = byte;
            }
        }
        let tensors: Vec<TensorInfo> = (0..count)
            .map(|index| TensorInfo {
                name: index.to_string(),
                dtype: dtype.clone(),
                shape: vec![numbers as u64],
                start: (index * each) as u64,
                len: each as u64,
            })
            .collect();
        woven(&MemorySource::new(&bytes), &tensors).len()
    }

    #[test]
    fn programs_that_no_tensor_holds_alone_are_found() {
        assert_eq!(found(6, 64, Dtype::F32, |at| Some((at % 6, 4 * (at / 6)))), 1);
        assert_eq!(found(6, 64, Dtype::F32, |at| Some((at % 6, 4 * (at / 6) + 1))), 1);
        assert_eq!(found(300, 2, Dtype::F32, |at| Some((at, 0))), 1);
        assert_eq!(found(5, 64, Dtype::Int { width: 1, signed: false }, |at| Some((at % 5, at / 5))), 1);
        assert_eq!(found(4, 64, Dtype::F16, |at| Some((at / 2 % 4, at / 8 * 2 + at % 2))), 1);
        assert_eq!(found(6, 64, Dtype::F32, |_| None), 0);
    }
}
