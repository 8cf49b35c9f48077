//! OCDBT, the database in which Orbax keeps arrays: manifests and nodes name the files that hold the values.

use mantlet_vocab::{MemorySource, Source, SubSource, read_window};

use crate::Bounds;
use crate::inflate::{Inflated, Wrapper};
use crate::proto::varint;
use crate::structure::Structure;
use crate::window::Window;

const MANIFEST: [u8; 4] = [0x0c, 0xdb, 0x3a, 0x2a];
const NODE: [u8; 4] = [0x0c, 0xdb, 0x20, 0xde];
const VERSIONS: [u8; 4] = [0x0c, 0xdb, 0x12, 0x34];
/// Bytes of one unpacked node.
const MAX_NODE: u64 = 4 << 20;
/// Nodes of one file, and files that one node names.
const MAX_NODES: usize = 64;
const MAX_FILES: u64 = 100_000;
/// Bytes of all names of files together, which share their beginnings.
const MAX_NAMES: usize = 32 << 20;

/// Whether the bytes begin like a manifest or a node.
#[must_use]
pub fn is_ocdbt(head: &[u8]) -> bool {
    head.get(..4).is_some_and(|mark| [MANIFEST, NODE, VERSIONS].iter().any(|known| mark == known))
        && head.get(12) == Some(&0)
        && head.get(8..12) == Some(&[0; 4])
}

/// The facts of a manifest, or of nodes one after the other. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Structure {
    let mut facts = Structure::of("OCDBT");
    let (mut at, mut names) = (0, MAX_NAMES);
    for count in 0.. {
        let head = read_window(source, at, 14).unwrap_or_default();
        if !is_ocdbt(&head) {
            break;
        }
        let len = head.get(4..12).and_then(|len| len.try_into().ok()).map_or(0, u64::from_le_bytes);
        let Some(end) = at.checked_add(len).filter(|&end| end <= source.len() && len > 18) else {
            facts.defect(format!("a node of {len} bytes is not all there"), at);
            break;
        };
        if count >= MAX_NODES {
            facts.limit(format!("only the first {MAX_NODES} nodes of a file are examined"));
            return facts;
        }
        let bytes = SubSource::new(source, at, len);
        match checksum(&bytes) {
            Some(true) => {}
            Some(false) => facts.defect("the checksum of a node is wrong", at),
            None => facts.limit(format!("a node is larger than {MAX_NODE} bytes")),
        }
        let unpacked = unpack(&bytes, at, bounds, &mut facts);
        if let Some(unpacked) = unpacked {
            node(&unpacked, head.get(..4) == Some(&MANIFEST), at, &mut names, &mut facts);
        }
        at = end;
    }
    facts.end = at;
    facts
}

/// CRC-32C of all but the last four bytes, which hold it.
fn checksum(bytes: &dyn Source) -> Option<bool> {
    if bytes.len() > MAX_NODE {
        return None;
    }
    let all = read_window(bytes, 0, MAX_NODE as usize).ok()?;
    let (body, sum) = all.split_last_chunk::<4>()?;
    let crc = body.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    });
    Some(!crc == u32::from_le_bytes(*sum))
}

/// What lies between the head of a node and its checksum.
fn unpack(bytes: &dyn Source, at: u64, bounds: &Bounds, facts: &mut Structure) -> Option<Vec<u8>> {
    let method = read_window(bytes, 13, 1).unwrap_or_default();
    let body = SubSource::new(bytes, 14, bytes.len().saturating_sub(18));
    match method.first() {
        Some(0) => kept(&body, facts),
        Some(1) => {
            let inflated = Inflated::open(&body, Wrapper::Zstd, bounds, MAX_NODE);
            if let Some(damage) = &inflated.damage {
                facts.defect(format!("a node cannot be unpacked: {damage}"), at);
                return None;
            }
            if inflated.cut || inflated.refused.is_some() {
                facts.limit(format!("a node unpacks to more than {MAX_NODE} bytes"));
            }
            kept(&inflated, facts)
        }
        _ => {
            facts.limit("a node is packed by a method that is not known");
            None
        }
    }
}

fn kept(body: &dyn Source, facts: &mut Structure) -> Option<Vec<u8>> {
    read_window(body, 0, MAX_NODE as usize).map_err(|error| facts.limit(error.to_string())).ok()
}

fn node(unpacked: &[u8], manifest: bool, at: u64, names: &mut usize, facts: &mut Structure) {
    let memory = MemorySource::new(unpacked);
    let mut window = Window::new(&memory, 0);
    let start = if manifest { config(&mut window) } else { window.skip(1).then_some(()) };
    if start.and_then(|()| files(&mut window, at, names, facts)).is_none() && facts.limits.is_empty() {
        facts.defect("the files that a node names cannot be read", at);
    }
}

/// Over the configuration at the head of a manifest.
fn config(window: &mut Window<'_>) -> Option<()> {
    window.skip(16).then_some(())?;
    let kind = varint(window)?;
    varint(window)?;
    varint(window)?;
    window.byte()?;
    if varint(window)? == 1 {
        window.skip(4).then_some(())?;
    }
    // A numbered manifest keeps its versions elsewhere.
    (kind <= 1).then_some(())
}

/// The table of files: names share prefixes, so each is told as what it adds.
fn files(window: &mut Window<'_>, at: u64, names: &mut usize, facts: &mut Structure) -> Option<()> {
    if window.rest() == 0 {
        return Some(());
    }
    let count = varint(window)?;
    if count > MAX_FILES {
        facts.limit(format!("a node names more than {MAX_FILES} files"));
        return Some(());
    }
    let list = |window: &mut Window<'_>, count: u64| -> Option<Vec<u64>> {
        (0..count).map(|_| varint(window).filter(|&len| len < 1 << 16)).collect()
    };
    let prefixes = list(window, count.saturating_sub(1))?;
    let suffixes = list(window, count)?;
    list(window, count)?;
    let mut path: Vec<u8> = Vec::new();
    for (index, suffix) in suffixes.iter().enumerate() {
        let kept = if index == 0 { 0 } else { *prefixes.get(index - 1)? };
        path.truncate(usize::try_from(kept).ok().filter(|&kept| kept <= path.len())?);
        path.extend_from_slice(window.take(*suffix as usize)?);
        let Some(rest) = names.checked_sub(path.len()) else {
            facts.limit(format!("names of files longer than {MAX_NAMES} bytes together are not examined"));
            return Some(());
        };
        *names = rest;
        let shown = String::from_utf8_lossy(&path);
        if index < 64 || crate::structure::escapes(&shown) {
            facts.reads("file of values", &shown, at);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest that is not packed, with one file of values.
    fn manifest(path: &str) -> Vec<u8> {
        let mut body = vec![7; 16];
        body.extend([0, 0x80, 8, 0x80, 8, 4, 0, 1, path.len() as u8, 0]);
        body.extend(path.as_bytes());
        let mut bytes = MANIFEST.to_vec();
        bytes.extend((body.len() as u64 + 18).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(body);
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn files_of_values_are_named_and_wrong_checksums_are_said() {
        let facts = analyse(&MemorySource::new(&manifest("d/../../../etc/x")), &Bounds::default());
        assert_eq!(facts.paths[0].name, "d/../../../etc/x");
        assert_eq!(facts.defects[0].0, "the checksum of a node is wrong");
        assert_eq!(facts.end, manifest("d/../../../etc/x").len() as u64);
    }

    #[test]
    fn names_that_share_a_long_beginning_are_read_up_to_a_bound() {
        let count = 200_u32;
        let number = |mut value: u32, bytes: &mut Vec<u8>| {
            while value > 127 {
                bytes.push(value as u8 | 128);
                value >>= 7;
            }
            bytes.push(value as u8);
        };
        let mut bytes = Vec::new();
        number(count, &mut bytes);
        (1..count).for_each(|_| number(65_535, &mut bytes));
        number(65_535, &mut bytes);
        bytes.resize(bytes.len() + 2 * count as usize - 1, 0);
        bytes.resize(bytes.len() + 65_535, b'x');
        let (mut facts, mut names) = (Structure::of("OCDBT"), 1 << 20);
        let memory = MemorySource::new(&bytes);
        assert!(files(&mut Window::new(&memory, 0), 0, &mut names, &mut facts).is_some());
        assert!(names < 65_535 && facts.limits.len() == 1, "{names} {:?}", facts.limits);
        let mut names = count as usize * 65_535;
        let mut facts = Structure::of("OCDBT");
        assert!(files(&mut Window::new(&memory, 0), 0, &mut names, &mut facts).is_some());
        assert!(names == 0 && facts.limits.is_empty());
    }
}
