//! Tensors as every weights format lists them: name, type, shape, and where the bytes are.

use mantlet_vocab::Source;

use crate::Bounds;
use crate::graph::weight;

/// The type of a tensor's elements.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 16-bit brain float.
    Bf16,
    /// Integers of this many bytes, signed or not.
    Int {
        /// Bytes of one.
        width: u8,
        /// Whether it has a sign.
        signed: bool,
    },
    /// True or false, one byte each.
    Bool,
    /// Anything else: quantised blocks, small floats, text.
    Other(String),
}

impl Dtype {
    /// Bytes of one element; `None` for blocks and the like.
    #[must_use]
    pub const fn width(&self) -> Option<u64> {
        Some(match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Int { width, .. } => *width as u64,
            Self::Bool => 1,
            Self::Other(_) => return None,
        })
    }

    /// The name used in reports.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::F64 => "F64".into(),
            Self::F32 => "F32".into(),
            Self::F16 => "F16".into(),
            Self::Bf16 => "BF16".into(),
            Self::Int { width, signed } => {
                format!("{}{}", if *signed { "I" } else { "U" }, u32::from(*width) * 8)
            }
            Self::Bool => "BOOL".into(),
            Self::Other(name) => name.clone(),
        }
    }

    /// Whether the elements are floats whose bits can be read one by one.
    #[must_use]
    pub const fn is_float(&self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16)
    }
}

/// A tensor and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Offset of its first byte in the file or member.
    pub start: u64,
    /// Its bytes.
    pub len: u64,
}

/// The tensors of a file, as far as they can be listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The tensors, in the order of the file.
    pub tensors: Vec<TensorInfo>,
    /// What could not be listed.
    pub limits: Vec<String>,
}

/// How a tensor differs from that of the base model, when training does not leave such traces.
#[derive(Debug, Clone, PartialEq)]
pub enum Oddity {
    /// Few rows changed, and nothing else in the tensor.
    Rows {
        /// Rows that changed.
        changed: u64,
        /// All rows.
        of: u64,
    },
    /// Few values changed, to far beyond every value of the base.
    Spikes {
        /// How many.
        count: u64,
        /// The largest.
        largest: f64,
        /// The largest of the base.
        base: f64,
    },
    /// One row of a table of words is this many times as long as the one in the middle; told without a base.
    Loud {
        /// How many times.
        times: u64,
    },
    /// Only the lowest bits changed, and all of them: they were replaced.
    Bits {
        /// How many bits of each value.
        bits: u32,
        /// Values that changed.
        changed: u64,
    },
}

/// A tensor that differs from the base model's in a way that training does not leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Deviation {
    /// Its name.
    pub tensor: String,
    /// How.
    pub oddity: Oddity,
}

impl Eq for Deviation {}

/// Rows of tables of words (`embed` and the like) that outshout all others: one token then speaks for the model.
#[must_use]
pub fn loud_rows(source: &dyn Source, tensors: &[TensorInfo]) -> Vec<Deviation> {
    const TABLES: [&str; 5] = ["embed", "wte", "word_vectors", "tok_emb", "token_embd"];
    let mut budget = weight::BUDGET;
    let tables = tensors.iter().filter(|tensor| {
        let name = tensor.name.to_ascii_lowercase();
        tensor.dtype.is_float() && TABLES.iter().any(|word| name.contains(word)) && !name.contains("norm")
    });
    let loud = tables.filter_map(|tensor| {
        let rows = weight::measure(source, tensor, &mut budget)?.rows?;
        let times = weight::loud_row(rows)?;
        Some(Deviation { tensor: tensor.name.clone(), oddity: Oddity::Loud { times } })
    });
    loud.take(64).collect()
}

/// Tensors listed of one file.
pub const MAX_TENSORS: usize = 100_000;

/// The value of an element.
#[must_use]
pub fn value(dtype: &Dtype, bytes: &[u8]) -> Option<f64> {
    Some(match (dtype, bytes) {
        (Dtype::F64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        (Dtype::F32, &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
        (Dtype::Bf16, &[a, b]) => f64::from(f32::from_le_bytes([0, 0, a, b])),
        (Dtype::F16, &[a, b]) => f64::from(half(u16::from_le_bytes([a, b]))),
        (Dtype::Bool, &[byte]) => f64::from(byte),
        (Dtype::Int { signed, .. }, bytes) if bytes.len() <= 8 && !bytes.is_empty() => {
            let fill = if *signed && bytes[bytes.len() - 1] & 0x80 != 0 { 0xff } else { 0 };
            let mut wide = [fill; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            if *signed { i64::from_le_bytes(wide) as f64 } else { u64::from_le_bytes(wide) as f64 }
        }
        _ => return None,
    })
}

/// A 16-bit float.
#[must_use]
pub fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10 & 31);
    let fraction = u32::from(bits & 1023);
    match exponent {
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// The tensors of a safetensors, GGUF, NumPy, HDF5, torch, ONNX or Caffe file; `None` when it is none of these. All of them lie
/// inside the file; others are a limit.
#[must_use]
pub fn list(source: &dyn Source, bounds: &Bounds) -> Option<Listing> {
    let mut listing = claimed(source, bounds)?;
    let before = listing.tensors.len();
    listing
        .tensors
        .retain(|tensor| tensor.start.checked_add(tensor.len).is_some_and(|end| end <= source.len()));
    let outside = before - listing.tensors.len();
    if outside > 0 {
        listing.limits.push(format!("{outside} of its tensors lie outside the file"));
    }
    Some(listing)
}

fn claimed(source: &dyn Source, bounds: &Bounds) -> Option<Listing> {
    let head = mantlet_vocab::read_window(source, 0, 16).unwrap_or_default();
    if crate::safetensors::is_safetensors(&head, source.len()) {
        Some(crate::safetensors::tensors(source))
    } else if head.starts_with(b"GGUF") {
        Some(crate::gguf::tensors(source, bounds))
    } else if crate::npy::is_npy(&head) {
        Some(crate::npy::tensor(source, bounds))
    } else if head.starts_with(b"\x89HDF\r\n\x1a\n") {
        Some(crate::hdf5::tensors(source, bounds))
    } else if head.starts_with(b"PK") {
        crate::torch::tensors(source, bounds)
    } else if crate::onnx::is_onnx(source) {
        Some(crate::onnx::tensors(source))
    } else if matches!(head.first(), Some(10 | 18 | 26 | 32 | 40 | 50 | 56 | 66 | 0xa2))
        && crate::runtime::caffe::is_model(source)
    {
        Some(crate::runtime::caffe::tensors(source))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_outside_the_file_are_not_listed() {
        // One tensor of four floats, at an offset whose end no number holds; found by fuzzing.
        let gguf = |offset: u64| {
            let head = [&b"GGUF\x03\0\0\0"[..], &1_u64.to_le_bytes(), &[0; 8], &1_u64.to_le_bytes(), b"w"];
            let tensor = [&1_u32.to_le_bytes()[..], &4_u64.to_le_bytes(), &[0; 4], &offset.to_le_bytes()];
            let mut bytes = [head.concat(), tensor.concat()].concat();
            bytes.resize(80, 0);
            list(&mantlet_vocab::MemorySource::new(&bytes), &Bounds::default()).unwrap()
        };
        assert_eq!((gguf(0).tensors.len(), gguf(0).limits), (1, vec![]));
        for offset in [u64::MAX - 79, 1 << 40, 64] {
            let listing = gguf(offset);
            assert_eq!(listing.tensors, []);
            let outside = "1 of its tensors lie outside the file";
            assert!(listing.limits.iter().any(|limit| limit == outside), "{:?}", listing.limits);
        }
    }

    #[test]
    fn values_of_every_type() {
        assert_eq!(half(0x3c00), 1.0);
        assert_eq!(half(0xc000), -2.0);
        assert_eq!(half(0x0001), 2.0_f32.powi(-24));
        assert!(half(0x7e00).is_nan() && half(0x7c00).is_infinite());
        assert_eq!(value(&Dtype::Bf16, &[0x80, 0x3f]), Some(1.0));
        assert_eq!(value(&Dtype::F32, &1.5_f32.to_le_bytes()), Some(1.5));
        assert_eq!(value(&Dtype::Int { width: 2, signed: true }, &[0xff, 0xff]), Some(-1.0));
        assert_eq!(value(&Dtype::Int { width: 1, signed: false }, &[0xff]), Some(255.0));
        assert_eq!(value(&Dtype::F32, &[1, 2]), None);
    }
}
