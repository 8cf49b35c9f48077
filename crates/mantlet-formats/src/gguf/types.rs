//! The types of metadata and of tensors.

use crate::weights::Dtype;

pub(super) const U32: u32 = 4;
pub(super) const STRING: u32 = 8;
pub(super) const ARRAY: u32 = 9;

/// Bytes of a metadata value of this type, unless it is text or an array.
pub(super) fn width(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

/// What a well-known key must be, when it is something else.
pub(super) fn wrong(key: &str, kind: u32) -> Option<&'static str> {
    let (fits, what) = match key {
        "general.architecture" | "general.name" | "tokenizer.ggml.model" | "tokenizer.chat_template" => {
            (kind == STRING, "text")
        }
        "general.alignment" => (kind == U32, "a 32-bit number"),
        "tokenizer.ggml.tokens"
        | "tokenizer.ggml.scores"
        | "tokenizer.ggml.token_type"
        | "tokenizer.ggml.merges" => (kind == ARRAY, "an array"),
        _ => return None,
    };
    (!fits).then_some(what)
}

/// What the items of a well-known list must be, when they are something else.
pub(super) fn wrong_items(key: &str, kind: u32) -> Option<&'static str> {
    let (fits, what) = match key {
        "tokenizer.ggml.tokens" | "tokenizer.ggml.merges" => (kind == STRING, "texts"),
        "tokenizer.ggml.scores" => (kind == 6, "32-bit floats"),
        "tokenizer.ggml.token_type" => (matches!(kind, U32 | 5), "32-bit numbers"),
        _ => return None,
    };
    (!fits).then_some(what)
}

/// Elements and bytes of one block.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        27 | 28 => (1, 8),
        24 => (1, 1),
        2 | 20 | 31..=33 | 36..=38 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        39 => (32, 17),
        _ => return None,
    })
}

/// The bytes of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Bytes(u64),
    /// The number of elements or bytes does not fit 63 bits, in which readers count.
    Overflow,
    /// A row is no whole number of blocks.
    Uneven,
    Unknown,
}

pub(super) fn size(kind: u32, shape: &[u64]) -> Size {
    let Some((elements, bytes)) = block(kind) else { return Size::Unknown };
    let count = shape.iter().try_fold(1_u64, |count, &axis| count.checked_mul(axis));
    let Some(count) = count.filter(|&count| count <= i64::MAX as u64) else { return Size::Overflow };
    if shape.iter().any(|&axis| axis > i64::MAX as u64) {
        return Size::Overflow;
    }
    if shape.first().is_some_and(|row| row % elements != 0) || !count.is_multiple_of(elements) {
        return Size::Uneven;
    }
    match (count / elements).checked_mul(bytes).filter(|&len| len <= i64::MAX as u64) {
        Some(len) => Size::Bytes(len),
        None => Size::Overflow,
    }
}

pub(super) fn dtype(kind: u32) -> Dtype {
    match kind {
        0 => Dtype::F32,
        1 => Dtype::F16,
        30 => Dtype::Bf16,
        28 => Dtype::F64,
        24 => Dtype::Int { width: 1, signed: true },
        25 => Dtype::Int { width: 2, signed: true },
        26 => Dtype::Int { width: 4, signed: true },
        27 => Dtype::Int { width: 8, signed: true },
        other => Dtype::Other(format!("GGML type {other}")),
    }
}

/// As [`size`] for the old formats, whose tensors name their type the same way.
pub(super) fn bytes(kind: u32, shape: &[u64]) -> Option<u64> {
    match size(kind, shape) {
        Size::Bytes(len) => Some(len),
        _ => None,
    }
}
