//! HDF5: groups, attributes and data sets, as far as a loader of weights follows them.
//!
//! What matters is what the file says (configurations among the attributes), and whether it makes its reader
//! open other files: external links, external storage and virtual data sets. Object headers of both versions,
//! old groups (B-tree and local heap) and new ones (link messages, fractal heap) are read; every address is
//! checked, every object visited once.

mod bytes;
mod chunks;
mod groups;
mod messages;
mod types;

use std::collections::{BTreeMap, HashSet};

use mantlet_vocab::{Source, read_window};

use crate::Bounds;
use crate::weights::{Listing, MAX_TENSORS, TensorInfo};
use bytes::Bytes;
pub use chunks::chunked;

/// How a part of the file is really in another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// A link to an object of another file.
    Link,
    /// The bytes of a data set are in another file.
    Storage,
    /// A data set is put together from those of other files.
    Virtual,
}

/// A part of the file that is in another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escape {
    /// How.
    pub how: Elsewhere,
    /// The object's path.
    pub object: String,
    /// The other file as written.
    pub file: String,
    /// Offset of the object.
    pub at: u64,
}

/// A text attribute and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The object's path.
    pub object: String,
    /// The attribute's name.
    pub name: String,
    /// Offset of its first byte.
    pub start: u64,
    /// Its bytes.
    pub len: u64,
}

/// The facts of an HDF5 file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hdf5 {
    /// Groups and data sets.
    pub objects: u64,
    /// Data sets.
    pub datasets: u64,
    /// Text attributes.
    pub texts: Vec<Text>,
    /// Parts that are in other files.
    pub escapes: Vec<Escape>,
    /// Filters that are not part of the library, with the first data set that needs each.
    pub filters: BTreeMap<u64, String>,
    /// What is wrong, in words, with offsets.
    pub defects: Vec<(String, u64)>,
    /// What was not followed.
    pub limits: Vec<String>,
}

const MAX_OBJECTS: usize = 200_000;
const MAX_TEXTS: usize = 20_000;
/// Bytes of structure that are read in all.
const MAX_STRUCTURE: u64 = 256 << 20;

struct Walk<'a> {
    source: &'a dyn Source,
    base: u64,
    widths: (usize, usize),
    facts: Hdf5,
    max: usize,
    /// Objects to visit: path and address.
    waiting: Vec<(String, u64)>,
    seen: HashSet<u64>,
    tensors: Option<Vec<TensorInfo>>,
    /// Data sets in chunks, when tensors are asked for.
    chunked: Vec<chunks::Chunked>,
    /// Bytes of structure read so far; a file can name the same block again and again.
    spent: std::cell::Cell<u64>,
}

/// The facts of an HDF5 file. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Hdf5 {
    walk(source, bounds, None).facts
}

/// The data sets of an HDF5 file that are stored in one piece.
#[must_use]
pub fn tensors(source: &dyn Source, bounds: &Bounds) -> Listing {
    let Walk { facts, tensors, .. } = walk(source, bounds, Some(Vec::new()));
    let mut listing = Listing { tensors: tensors.unwrap_or_default(), limits: facts.limits };
    listing.tensors.sort_by(|a, b| a.name.cmp(&b.name));
    if (listing.tensors.len() as u64) < facts.datasets {
        let rest = facts.datasets - listing.tensors.len() as u64;
        listing.limits.push(format!("{rest} data sets are stored in chunks or elsewhere"));
    }
    listing
}

/// Where the file begins: at its start, or behind a block of the user's own of 512, 1,024 or 2,048 bytes.
#[must_use]
pub fn signature(source: &dyn Source) -> Option<u64> {
    let is = |at: &u64| read_window(source, *at, 8).is_ok_and(|mark| mark == *b"\x89HDF\r\n\x1a\n");
    std::iter::once(0).chain((9..12).map(|power| 1 << power)).take_while(|at| *at < source.len()).find(is)
}

fn walk<'a>(source: &'a dyn Source, bounds: &Bounds, tensors: Option<Vec<TensorInfo>>) -> Walk<'a> {
    let mut walk = Walk {
        source,
        base: 0,
        widths: (8, 8),
        facts: Hdf5::default(),
        max: bounds.max_facts,
        waiting: Vec::new(),
        seen: HashSet::new(),
        tensors,
        chunked: Vec::new(),
        spent: std::cell::Cell::new(0),
    };
    if walk.superblock().is_none() {
        walk.defect("the superblock cannot be read", 0);
    }
    while let Some((path, address)) = walk.waiting.pop() {
        if walk.seen.len() >= MAX_OBJECTS {
            walk.limit(format!("only the first {MAX_OBJECTS} objects are read"));
            break;
        }
        if walk.seen.insert(address) {
            walk.facts.objects += 1;
            if walk.object(&path, address).is_none() {
                walk.defect(&format!("the object `{}` cannot be read", shown(&path)), address);
            }
        }
    }
    if walk.spent.get() > MAX_STRUCTURE {
        walk.limit(format!("more than {MAX_STRUCTURE} bytes of structure"));
    }
    walk
}

impl<'a> Walk<'a> {
    fn defect(&mut self, what: &str, at: u64) {
        if self.facts.defects.len() < self.max {
            self.facts.defects.push((what.to_owned(), at));
        }
    }

    fn limit(&mut self, what: String) {
        if self.facts.limits.len() < 64 && !self.facts.limits.contains(&what) {
            self.facts.limits.push(what);
        }
    }

    fn read(&self, address: u64, len: u64) -> Option<Vec<u8>> {
        let at = self.base.checked_add(address)?;
        self.spent.set(self.spent.get().saturating_add(len).saturating_add(32));
        if self.spent.get() > MAX_STRUCTURE {
            return None;
        }
        if at.checked_add(len)? > self.source.len() || len > 8 << 20 {
            return None;
        }
        read_window(self.source, at, len as usize).ok().filter(|bytes| bytes.len() as u64 == len)
    }

    fn bytes<'b>(&self, bytes: &'b [u8]) -> Bytes<'b> {
        Bytes::new(bytes, self.widths)
    }

    fn superblock(&mut self) -> Option<()> {
        let own = signature(self.source)?;
        let head = read_window(self.source, own, 128).ok()?;
        let version = *head.get(8)?;
        let (widths, fields) = match version {
            0 | 1 => ((*head.get(13)?, *head.get(14)?), if version == 0 { 24 } else { 28 }),
            2 | 3 => ((*head.get(9)?, *head.get(10)?), 12),
            _ => {
                self.limit(format!("superblock version {version} is not known"));
                return Some(());
            }
        };
        if ![2, 4, 8].contains(&widths.0) || ![2, 4, 8].contains(&widths.1) {
            return None;
        }
        self.widths = (usize::from(widths.0), usize::from(widths.1));
        let mut bytes = self.bytes(head.get(fields..)?);
        self.base = bytes.address()?;
        // Behind a block of the user's own the library counts from its signature.
        if own > 0 {
            self.base = own;
        } else if self.base != 0 {
            self.limit(format!("the file starts at {:#x} within another", self.base));
        }
        let _extension = bytes.address();
        let end = bytes.address()?;
        let root = if version < 2 {
            let _driver = bytes.address();
            let _name = bytes.number(self.widths.0)?;
            bytes.address()?
        } else {
            bytes.address()?
        };
        let end = if own > 0 && end >= self.source.len() { end } else { self.base.saturating_add(end) };
        if end > self.source.len() {
            let what = format!("the file ends {} bytes before its declared end", end - self.source.len());
            self.defect(&what, self.source.len());
        } else if end < self.source.len() {
            let what = format!("{} bytes follow the end that the file declares", self.source.len() - end);
            self.defect(&what, end);
        }
        self.waiting.push((String::new(), root));
        Some(())
    }

    fn child(&mut self, path: &str, name: &str, address: u64) {
        if self.waiting.len() < MAX_OBJECTS {
            let path: String = format!("{path}/{name}").chars().take(400).collect();
            self.waiting.push((path, address));
        } else {
            self.limit(format!("only the first {MAX_OBJECTS} objects are read"));
        }
    }

    fn escape(&mut self, how: Elsewhere, object: &str, file: &str, at: u64) {
        // A dot stands for the file itself.
        if self.facts.escapes.len() < self.max && file != "." {
            let file = file.chars().take(300).collect();
            self.facts.escapes.push(Escape { how, object: shown(object), file, at });
        }
    }

    fn text(&mut self, object: &str, name: &str, start: u64, len: u64) {
        if self.facts.texts.len() < MAX_TEXTS {
            let text = Text { object: shown(object), name: name.to_owned(), start, len };
            self.facts.texts.push(text);
        } else {
            self.limit(format!("only the first {MAX_TEXTS} text attributes are read"));
        }
    }

    fn tensor(&mut self, path: &str, kind: &types::Type, shape: &[u64], address: u64, len: u64) {
        let Some(tensors) = &mut self.tensors else { return };
        if tensors.len() < MAX_TENSORS {
            tensors.push(TensorInfo {
                name: path.trim_start_matches('/').to_owned(),
                dtype: kind.dtype(),
                shape: shape.to_vec(),
                start: self.base.saturating_add(address),
                len,
            });
        }
    }

    /// The object of a global heap: address of its first byte and length.
    fn global(&self, address: u64, index: u64) -> Option<(u64, u64)> {
        let head = self.read(address, 8 + self.widths.1 as u64)?;
        let mut bytes = self.bytes(head.strip_prefix(b"GCOL")?);
        bytes.take(4)?;
        let size = bytes.length()?;
        let end = address.checked_add(size)?;
        let mut at = address.checked_add(8 + self.widths.1 as u64)?;
        let entry = 8 + self.widths.1 as u64;
        for _ in 0..65_536 {
            if at.checked_add(entry)? > end {
                return None;
            }
            let head = self.read(at, entry)?;
            let mut bytes = self.bytes(&head);
            let found = bytes.number(2)?;
            bytes.take(6)?;
            let len = bytes.length()?;
            at = at.checked_add(entry)?;
            if found == index && found != 0 {
                return (at.checked_add(len)? <= end).then_some((at, len));
            }
            if found == 0 {
                return None;
            }
            at = at.checked_add(len.checked_next_multiple_of(8)?)?;
        }
        None
    }
}

/// Bytes of a file that are looked through for heaps, and objects in them.
const MAX_HEAPS: u64 = 1 << 30;
const MAX_HEAP_OBJECTS: usize = 20_000;

/// The objects of global heaps that begin like a pickle, each by start and length; false when there are more. Of the
/// columns of PyTables that hold Python objects each cell is one.
#[must_use]
pub fn pickles(source: &dyn Source) -> (Vec<(u64, u64)>, bool) {
    const STEP: u64 = 1 << 20;
    let (mut found, mut whole) = (Vec::new(), source.len() <= MAX_HEAPS);
    let mut at = 0;
    while at < source.len().min(MAX_HEAPS) {
        // A mark may lie across two steps.
        let Ok(bytes) = read_window(source, at, STEP as usize + 4) else { return (found, false) };
        for heap in memchr::memmem::find_iter(&bytes, b"GCOL").filter(|&heap| (heap as u64) < STEP) {
            whole &= heap_objects(source, at + heap as u64, &mut found);
        }
        at += STEP;
    }
    (found, whole)
}

/// The objects of one global heap that begin like a pickle; false when not all were looked at.
fn heap_objects(source: &dyn Source, heap: u64, found: &mut Vec<(u64, u64)>) -> bool {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
    let Ok(head) = read_window(source, heap, 16) else { return false };
    let size = head.get(8..16).map_or(0, number);
    let Some(end) = heap.checked_add(size).filter(|&end| end <= source.len()) else { return true };
    let mut at = heap + 16;
    for _ in 0..65_536 {
        let head = match read_window(source, at, 20) {
            Ok(head) if at + 16 <= end && head.len() >= 16 => head,
            _ => return true,
        };
        let (index, len) = (number(&head[..2]), number(&head[8..16]));
        at += 16;
        if index == 0 || at.checked_add(len).is_none_or(|past| past > end) {
            return true;
        }
        // Protocols that say their version, and what older ones begin with.
        let begins =
            matches!(head.get(16..18), Some([0x80, 2..=5] | [b'(' | b'c' | b'\x8c' | b'}' | b']', _]));
        if len > 1 && begins {
            if found.len() >= MAX_HEAP_OBJECTS {
                return false;
            }
            found.push((at, len));
        }
        at = at.saturating_add(len.next_multiple_of(8));
    }
    false
}

fn shown(path: &str) -> String {
    let path = if path.is_empty() { "/" } else { path };
    path.chars().map(|c| if c.is_control() { '?' } else { c }).take(200).collect()
}
