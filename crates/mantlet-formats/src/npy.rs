//! NumPy `.npy` arrays: the header, and whether the data is a pickle.

use mantlet_vocab::{Source, read_window};

use crate::Bounds;
use crate::weights::{Dtype, Listing, TensorInfo};

/// The facts of an `.npy` file or member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Npy {
    /// The element type as written.
    pub dtype: String,
    /// The shape, when it is plain numbers.
    pub shape: Option<Vec<u64>>,
    /// Whether elements are Python objects, that is, the data is a pickle.
    pub objects: bool,
    /// Where the data starts.
    pub data: u64,
    /// What is wrong, in words.
    pub defects: Vec<String>,
}

/// Whether the bytes begin like an `.npy` file.
#[must_use]
pub fn is_npy(head: &[u8]) -> bool {
    head.starts_with(b"\x93NUMPY")
}

/// The facts of an `.npy` file. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Npy {
    let mut npy = Npy::default();
    let head = read_window(source, 0, 12).unwrap_or_default();
    let (start, len) = match head.get(6) {
        Some(1) if head.len() >= 10 => (10, u64::from(u16::from_le_bytes([head[8], head[9]]))),
        Some(2 | 3) if head.len() >= 12 => {
            (12, u64::from(u32::from_le_bytes([head[8], head[9], head[10], head[11]])))
        }
        _ => {
            npy.defects.push("the version is unknown or the header is cut".into());
            return npy;
        }
    };
    npy.data = start + len;
    if npy.data > source.len() || len > bounds.max_header as u64 {
        npy.defects.push(format!("a header of {len} bytes is longer than the file or any real header"));
        return npy;
    }
    let header = read_window(source, start, len as usize).unwrap_or_default();
    let header = String::from_utf8_lossy(&header);
    let Some(descr) = value_of(&header, "descr") else {
        npy.defects.push("the header has no `descr`".into());
        return npy;
    };
    npy.dtype = descr.chars().take(200).collect();
    let mut item_size = Some(0_u64);
    let mut types = 0;
    for text in quoted(descr) {
        let kind = text.trim_start_matches(['<', '>', '=', '|']);
        let is_type = kind.len() < text.len() || !descr.starts_with('[');
        if !is_type {
            continue;
        }
        types += 1;
        npy.objects |= kind.starts_with('O');
        let size = kind.get(1..).and_then(|digits| digits.split('[').next()?.parse::<u64>().ok());
        let size = if kind.starts_with('U') { size.and_then(|size| size.checked_mul(4)) } else { size };
        let size = if kind.starts_with(['M', 'm']) { Some(8) } else { size };
        item_size = item_size.zip(size).and_then(|(a, b)| a.checked_add(b));
    }
    npy.objects |= types == 0 && descr.contains('O');
    npy.shape = value_of(&header, "shape").and_then(|shape| {
        let inner = shape.trim().strip_prefix('(')?.split(')').next()?;
        inner
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok())
            .collect()
    });
    if !npy.objects && !descr.starts_with('[') {
        let count = npy.shape.as_ref().and_then(|s| s.iter().try_fold(1_u64, |c, &axis| c.checked_mul(axis)));
        let expect = count.zip(item_size).and_then(|(count, size)| count.checked_mul(size));
        let rest = source.len() - npy.data;
        match expect {
            Some(expect) if expect == rest => {}
            Some(expect) if expect > rest => {
                npy.defects.push(format!("{expect} bytes of data are declared, {rest} are there"));
            }
            Some(expect) => npy.defects.push(format!("{} bytes follow the data", rest - expect)),
            None => npy.defects.push("the shape or type cannot be read".into()),
        }
    }
    npy
}

/// The array as a tensor without a name; nothing when it holds objects.
#[must_use]
pub fn tensor(source: &dyn Source, bounds: &Bounds) -> Listing {
    let facts = analyse(source, bounds);
    let mut listing = Listing { limits: facts.defects, ..Listing::default() };
    if facts.objects {
        listing.limits.push("the array holds Python objects".into());
        return listing;
    }
    let name = facts.dtype.trim_matches(['\'', '"']);
    let little = !name.starts_with('>');
    let dtype = match name.trim_start_matches(['<', '=', '|']) {
        "f8" => Dtype::F64,
        "f4" => Dtype::F32,
        "f2" => Dtype::F16,
        "b1" => Dtype::Bool,
        text if text.len() == 2 && little && text.starts_with(['i', 'u']) => {
            let width = text[1..].parse().unwrap_or(8);
            Dtype::Int { width, signed: text.starts_with('i') }
        }
        _ => Dtype::Other(name.to_owned()),
    };
    let shape = facts.shape.unwrap_or_default();
    let len = source.len().saturating_sub(facts.data);
    listing.tensors.push(TensorInfo { name: String::new(), dtype, shape, start: facts.data, len });
    listing
}

/// The text after `'key':` up to the next top-level comma or brace.
fn value_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let at = [format!("'{key}'"), format!("\"{key}\"")]
        .iter()
        .find_map(|key| Some(header.find(key)? + key.len()))?;
    let rest = header.get(at..)?.trim_start().strip_prefix(':')?.trim_start();
    let mut depth = 0_u32;
    for (index, c) in rest.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            ',' | '}' if depth == 0 => return rest.get(..index),
            _ => {}
        }
    }
    Some(rest)
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\'', '"']).skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn npy(header: &str, data: &[u8]) -> Npy {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        analyse(&MemorySource::new(&bytes), &Bounds::default())
    }

    #[test]
    fn object_arrays_are_told_from_plain_ones() {
        let plain = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", &[0; 8]);
        assert_eq!((plain.objects, plain.defects.len()), (false, 0));
        assert!(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"N.").objects);
        assert!(npy("{'descr': [('O', '<f4'), ('b', '|O')], 'shape': (1,), }", b"N.").objects);
        assert!(!npy("{'descr': [('O', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]).objects);
        assert_eq!(npy("{'descr': '<f4', 'shape': (2,), }", &[0; 9]).defects.len(), 1);
        assert_eq!(npy("{'descr': '<f4', 'shape': (9,), }", &[0; 8]).defects.len(), 1);
        assert_eq!(npy("{}", b"").defects.len(), 1);
    }
}
