//! Safetensors: an eight-byte length, a JSON header, and tensors that must tile the rest exactly.

use std::collections::HashSet;
use std::io::BufReader;

use mantlet_vocab::{Source, read_window};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use crate::Bounds;
use crate::inflate::SourceReader;
use crate::metadata::Text;
use crate::weights::{Dtype, Listing, TensorInfo};

/// What is wrong with a safetensors file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SafetensorsFault {
    /// The header's length is longer than the file or the format's limit of 100 MB.
    HeaderLength(u64),
    /// The header is not the JSON object it must be.
    Header(String),
    /// A tensor name is there twice.
    Duplicate(String),
    /// Tensors share bytes.
    Overlap(String),
    /// Bytes between tensors that belong to none.
    Gap {
        /// The tensor after the gap, or the end.
        before: String,
        /// How many bytes.
        len: u64,
    },
    /// Offsets outside the data, or end before start.
    Range(String),
    /// Type and shape do not give the number of bytes.
    Size(String),
    /// Bytes after the last tensor.
    Trailing(u64),
}

impl SafetensorsFault {
    /// The fault in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::HeaderLength(len) => {
                format!("a header of {len} bytes is longer than the file or the format allows")
            }
            Self::Header(why) => format!("the header cannot be read: {why}"),
            Self::Duplicate(name) => format!("`{name}` is in the header twice"),
            Self::Overlap(name) => format!("`{name}` shares bytes with another tensor"),
            Self::Gap { before, len } => format!("{len} bytes before {before} belong to no tensor"),
            Self::Range(name) => format!("`{name}` lies outside the data"),
            Self::Size(name) => format!("`{name}` has a type and shape of another length than its bytes"),
            Self::Trailing(len) => format!("{len} bytes follow the last tensor"),
        }
    }
}

/// The facts of a safetensors file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Safetensors {
    /// Number of tensors.
    pub tensors: u64,
    /// Length of the JSON header.
    pub header: u64,
    /// What the file says about itself.
    pub metadata: Vec<Text>,
    /// What is wrong.
    pub faults: Vec<SafetensorsFault>,
    /// What was not followed.
    pub limits: Vec<String>,
}

/// Whether the bytes begin like a safetensors file of this length.
#[must_use]
pub fn is_safetensors(head: &[u8], len: u64) -> bool {
    let header = head.get(..8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    header.is_some_and(|header| header >= 2 && header <= len.saturating_sub(8))
        && head.get(8).is_some_and(|&byte| byte == b'{')
        && head.get(9).is_some_and(|&byte| matches!(byte, b'"' | b'}' | b' ' | b'\n'))
}

const MAX_HEADER: u64 = 100_000_000;
const MAX_TENSORS: usize = 200_000;
/// Longer headers are within the format but no real file has them; they would have to be held in memory.
const MAX_READ: u64 = 24 << 20;

#[derive(serde::Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

struct Header<'a> {
    facts: &'a mut Safetensors,
    runs: Vec<(u64, u64, String)>,
    infos: Option<Vec<TensorInfo>>,
    max_faults: usize,
}

impl<'de> Visitor<'de> for &mut Header<'_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of tensors")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(hash(&name)) && self.facts.faults.len() < self.max_faults {
                self.facts.faults.push(SafetensorsFault::Duplicate(short(&name)));
            }
            if name == "__metadata__" {
                for (key, value) in map.next_value::<std::collections::BTreeMap<String, String>>()? {
                    self.facts.metadata.push(Text::new(&key, &value));
                }
                continue;
            }
            if self.runs.len() >= MAX_TENSORS {
                map.next_value::<IgnoredAny>()?;
                if self.facts.limits.is_empty() {
                    self.facts.limits.push(format!("only the first {MAX_TENSORS} tensors are checked"));
                }
                continue;
            }
            let info: Info = map.next_value()?;
            self.facts.tensors += 1;
            let (begin, end) = info.data_offsets;
            let bytes = bits(&info.dtype).and_then(|bits| {
                let count = info.shape.iter().try_fold(1_u64, |count, &axis| count.checked_mul(axis))?;
                Some(count.checked_mul(bits)?.div_ceil(8))
            });
            if begin > end {
                self.facts.faults.push(SafetensorsFault::Range(short(&name)));
            } else if bytes != Some(end - begin) && self.facts.faults.len() < self.max_faults {
                self.facts.faults.push(SafetensorsFault::Size(short(&name)));
            }
            self.runs.push((begin, end.max(begin), short(&name)));
            if let Some(infos) = &mut self.infos {
                let (dtype, len) = (dtype(&info.dtype), end.saturating_sub(begin));
                infos.push(TensorInfo { name, dtype, shape: info.shape, start: begin, len });
            }
        }
        Ok(())
    }
}

fn hash(name: &str) -> u64 {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(name)
}

fn short(name: &str) -> String {
    name.chars().take(60).collect()
}

fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

fn dtype(name: &str) -> Dtype {
    match name {
        "F64" => Dtype::F64,
        "F32" => Dtype::F32,
        "F16" => Dtype::F16,
        "BF16" => Dtype::Bf16,
        "BOOL" => Dtype::Bool,
        "U8" | "U16" | "U32" | "U64" | "I8" | "I16" | "I32" | "I64" => {
            let width = name[1..].parse::<u8>().unwrap_or(8) / 8;
            Dtype::Int { width, signed: name.starts_with('I') }
        }
        other => Dtype::Other(short(other)),
    }
}

/// The facts of a safetensors file. Never fails: what is broken is a fault.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Safetensors {
    walk(source, bounds, None).0
}

/// The tensors of a safetensors file.
#[must_use]
pub fn tensors(source: &dyn Source) -> Listing {
    let (facts, infos) = walk(source, &Bounds::default(), Some(Vec::new()));
    let mut listing = Listing { tensors: infos.unwrap_or_default(), limits: facts.limits };
    for tensor in &mut listing.tensors {
        tensor.start = tensor.start.saturating_add(8 + facts.header);
    }
    listing.limits.extend(facts.faults.iter().map(SafetensorsFault::describe));
    listing
}

fn walk(
    source: &dyn Source,
    bounds: &Bounds,
    infos: Option<Vec<TensorInfo>>,
) -> (Safetensors, Option<Vec<TensorInfo>>) {
    let mut facts = Safetensors::default();
    let head = read_window(source, 0, 8).unwrap_or_default();
    let header = head.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
    facts.header = header;
    if header > MAX_HEADER || header > source.len().saturating_sub(8) {
        facts.faults.push(SafetensorsFault::HeaderLength(header));
        return (facts, infos);
    }
    if header > MAX_READ {
        facts.limits.push(format!("a header of {header} bytes is not read"));
        return (facts, infos);
    }
    let window = mantlet_vocab::SubSource::new(source, 8, header);
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(
        64 << 10,
        SourceReader::new(&window, 0),
    ));
    let mut visitor = Header { facts: &mut facts, runs: Vec::new(), infos, max_faults: bounds.max_facts };
    let read = json.deserialize_map(&mut visitor);
    let (mut runs, infos) = (visitor.runs, visitor.infos);
    if let Err(error) = read.and_then(|()| json.end()) {
        facts.faults.push(SafetensorsFault::Header(error.to_string()));
        return (facts, infos);
    }
    runs.sort();
    let data = source.len() - 8 - header;
    let mut at = 0;
    for (begin, end, name) in runs {
        if facts.faults.len() >= bounds.max_facts {
            break;
        }
        if end > data {
            facts.faults.push(SafetensorsFault::Range(name.clone()));
        }
        if begin < at && begin < end {
            facts.faults.push(SafetensorsFault::Overlap(name));
        } else if begin > at {
            facts.faults.push(SafetensorsFault::Gap { before: format!("`{name}`"), len: begin - at });
        }
        at = at.max(end);
    }
    if at < data && facts.limits.is_empty() {
        facts.faults.push(SafetensorsFault::Trailing(data - at));
    }
    (facts, infos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn faults(header: &str, data: usize) -> Vec<String> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(vec![0; data]);
        let facts = analyse(&MemorySource::new(&bytes), &Bounds::default());
        facts
            .faults
            .iter()
            .map(|fault| format!("{fault:?}").split(['(', ' ']).next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn layout_is_checked() {
        let tensor = |name: &str, from, to| {
            format!(
                r#""{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[{from},{to}]}}"#,
                (to - from) / 4
            )
        };
        let (a, b) = (tensor("a", 0, 8), tensor("b", 8, 12));
        assert!(faults(&format!("{{{a},{b}}}  "), 12).is_empty());
        assert_eq!(faults(&format!("{{{a},{b}}}"), 20), ["Trailing"]);
        assert_eq!(faults(&format!("{{{a},{b}}}"), 10), ["Range"]);
        assert_eq!(faults(&format!("{{{a},{}}}", tensor("b", 4, 8)), 8), ["Overlap"]);
        assert_eq!(faults(&format!("{{{a},{}}}", tensor("b", 12, 16)), 16), ["Gap"]);
        assert_eq!(faults(&format!("{{{a},{a}}}"), 8), ["Duplicate", "Overlap"]);
        assert_eq!(faults(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8), ["Size"]);
        assert_eq!(faults(r#"{"a":1}"#, 8), ["Header"]);
        assert_eq!(faults(&format!("{{{a}}} x"), 8), ["Header"]);
    }
}
