//! NumPy `.npy` arrays: the header, and whether the data is a pickle.

mod literal;

use mantlet_vocab::{Source, read_window};

use crate::Bounds;
use crate::weights::{Dtype, Listing, TensorInfo};
use literal::Literal;

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
    /// Where another array begins, when several were saved one after another.
    pub next: Option<u64>,
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
    // Versions 1 and 2 are Latin-1, version 3 is UTF-8.
    let header = match std::str::from_utf8(&header) {
        Ok(text) => text.to_owned(),
        Err(_) => header.iter().map(|&byte| char::from(byte)).collect(),
    };
    let Some(Literal::Dict(pairs)) = literal::parse(&header) else {
        npy.defects.push("the header is not a dictionary of literals".into());
        npy.objects = looks_like_pickle(source, npy.data);
        return npy;
    };
    let value = |key: &str| {
        pairs.iter().rev().find(|(known, _)| *known == Literal::Text(key.into())).map(|(_, value)| value)
    };
    let Some(descr) = value("descr") else {
        npy.defects.push("the header has no `descr`".into());
        npy.objects = looks_like_pickle(source, npy.data);
        return npy;
    };
    npy.dtype = shown(descr);
    let item = size_of(descr);
    npy.shape = match value("shape") {
        Some(Literal::List(axes)) => axes.iter().map(axis).collect(),
        Some(Literal::Number(Some(len))) => Some(vec![*len]),
        _ => None,
    };
    let count = npy.shape.as_ref().and_then(|s| s.iter().try_fold(1_u64, |c, &axis| c.checked_mul(axis)));
    match item {
        Item::Objects => npy.objects = true,
        Item::Unknown => {
            npy.defects.push("the element type cannot be read".into());
            npy.objects = looks_like_pickle(source, npy.data);
        }
        Item::Bytes(size) => {
            let rest = source.len() - npy.data;
            match count.and_then(|count| count.checked_mul(size)) {
                Some(expect) if expect == rest => {}
                Some(expect) if expect > rest => {
                    npy.defects.push(format!("{expect} bytes of data are declared, {rest} are there"));
                }
                Some(expect) => {
                    let after = npy.data + expect;
                    if read_window(source, after, 6).is_ok_and(|head| is_npy(&head)) {
                        npy.next = Some(after);
                    } else {
                        npy.defects.push(format!("{} bytes follow the data", rest - expect));
                    }
                }
                None => npy.defects.push("the shape cannot be read".into()),
            }
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

fn looks_like_pickle(source: &dyn Source, at: u64) -> bool {
    matches!(read_window(source, at, 2).as_deref(), Ok([0x80, 0..=5]))
}

fn axis(literal: &Literal) -> Option<u64> {
    match literal {
        Literal::Number(value) => *value,
        _ => None,
    }
}

/// What one element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Bytes(u64),
    /// Python objects somewhere in it: the data is a pickle.
    Objects,
    Unknown,
}

/// The size of an element by numpy's rules for `descr`: a type string, `(type, shape)`, or a list of fields
/// `(name, type)` or `((title, name), type, shape)`.
fn size_of(descr: &Literal) -> Item {
    match descr {
        Literal::Text(text) => size_of_text(text),
        Literal::List(items) => match items.as_slice() {
            // A sub-array outside a list of fields: `descr_to_dtype` reads `(type, shape)`.
            [base @ (Literal::Text(_) | Literal::List(_)), shape]
                if !is_field(base) && matches!(shape, Literal::List(_) | Literal::Number(_)) =>
            {
                repeated(size_of(base), shape)
            }
            fields => fields.iter().fold(Item::Bytes(0), |total, field| plus(total, size_of_field(field))),
        },
        _ => Item::Unknown,
    }
}

fn is_field(literal: &Literal) -> bool {
    matches!(literal, Literal::List(parts) if parts.len() >= 2
        && matches!(parts[0], Literal::Text(_) | Literal::List(_))
        && matches!(parts[1], Literal::Text(_) | Literal::List(_)))
}

fn size_of_field(field: &Literal) -> Item {
    let Literal::List(parts) = field else { return Item::Unknown };
    match parts.as_slice() {
        [_, descr] => size_of(descr),
        [_, descr, shape] => repeated(size_of(descr), shape),
        _ => Item::Unknown,
    }
}

fn repeated(item: Item, shape: &Literal) -> Item {
    let count = match shape {
        Literal::Number(count) => *count,
        Literal::List(axes) => axes.iter().try_fold(1_u64, |count, part| count.checked_mul(axis(part)?)),
        _ => None,
    };
    match (item, count) {
        (Item::Bytes(size), Some(count)) => size.checked_mul(count).map_or(Item::Unknown, Item::Bytes),
        (Item::Objects, _) => Item::Objects,
        _ => Item::Unknown,
    }
}

fn plus(a: Item, b: Item) -> Item {
    match (a, b) {
        (Item::Objects, _) | (_, Item::Objects) => Item::Objects,
        (Item::Bytes(a), Item::Bytes(b)) => a.checked_add(b).map_or(Item::Unknown, Item::Bytes),
        _ => Item::Unknown,
    }
}

/// numpy's type strings: `<f4`, `|S10`, `M8[ns]`, names such as `float32`, and lists such as `f4,O`.
fn size_of_text(text: &str) -> Item {
    let text = text.trim();
    if text.contains(',') {
        return text.split(',').fold(Item::Bytes(0), |total, part| plus(total, size_of_text(part)));
    }
    let named = match text {
        "object" | "object_" | "O" | "O4" | "O8" | "|O4" | "|O8" => return Item::Objects,
        "bool" | "bool_" | "int8" | "uint8" => Some(1),
        "float16" | "half" | "int16" | "uint16" => Some(2),
        "float32" | "single" | "int32" | "uint32" => Some(4),
        "float64" | "double" | "float" | "int64" | "uint64" | "int" | "complex64" => Some(8),
        "complex128" | "complex" => Some(16),
        _ => None,
    };
    if let Some(size) = named {
        return Item::Bytes(size);
    }
    let kind = text.trim_start_matches(['<', '>', '=', '|']);
    let mut chars = kind.chars();
    let (Some(letter), digits) = (chars.next(), chars.as_str()) else { return Item::Unknown };
    let number = digits.split('[').next().and_then(|digits| digits.parse::<u64>().ok());
    let size = match letter {
        'O' => return Item::Objects,
        'U' => number.and_then(|number| number.checked_mul(4)),
        'M' | 'm' => Some(8),
        'b' | 'B' | 'i' | 'u' | 'f' | 'c' | 'S' | 'a' | 'V' if !digits.is_empty() => number,
        '?' | 'b' | 'B' => Some(1),
        'e' | 'h' | 'H' => Some(2),
        'f' | 'i' | 'I' => Some(4),
        'd' | 'l' | 'L' | 'q' | 'Q' | 'F' => Some(8),
        'g' | 'D' => Some(16),
        'G' => Some(32),
        _ => None,
    };
    size.map_or(Item::Unknown, Item::Bytes)
}

fn shown(literal: &Literal) -> String {
    let text = match literal {
        Literal::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    text.chars().filter(|c| !c.is_control()).take(200).collect()
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
        assert!(npy("{'descr': [('a', '<f4'), ('b', 'O')], 'shape': (1,), }", b"N.").objects);
        assert!(npy("{'descr': [('a', [('b', '\\x7c\\117')])], 'shape': (1,), }", b"N.").objects);
        assert!(npy("{'descr': 'f4,O', 'shape': (1,), }", b"N.").objects);
        assert!(npy("{'descr': 'obj' 'ect', 'shape': (1,), }", b"N.").objects);
        let fields = npy("{'descr': [('a', '<f4', (2,)), (('t', 'b'), '<U2')], 'shape': (2,), }", &[0; 32]);
        assert_eq!((fields.objects, fields.defects), (false, vec![]));
    }
}
