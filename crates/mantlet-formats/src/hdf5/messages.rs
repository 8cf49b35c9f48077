//! Object headers, version 1 and 2, and the messages in them.

use super::bytes::Bytes;
use super::chunks::{Chunked, Index};
use super::types::{Type, data_type, shape};
use super::{Elsewhere, Walk};
use crate::weights::MAX_TENSORS;

/// Messages of one object.
const MAX_MESSAGES: usize = 70_000;
/// Bytes that a data set may claim without storing them.
const MAX_CLAIMED: u64 = 64 << 30;

/// Where a data set's bytes are.
enum Layout {
    Contiguous(Option<u64>, u64),
    Compact,
    Chunked(Option<(Index, Vec<u64>)>),
    Virtual(u64, u64),
}

#[derive(Default)]
struct Object {
    shape: Option<Vec<u64>>,
    kind: Option<Type>,
    layout: Option<Layout>,
    external: Vec<String>,
    /// What its chunks are packed by, in order.
    filters: Vec<u64>,
}

impl Walk<'_> {
    /// Reads an object's header; `None` when it makes no sense.
    pub(super) fn object(&mut self, path: &str, address: u64) -> Option<()> {
        let head = self.read(address, 16).or_else(|| self.read(address, 12))?;
        let mut object = Object::default();
        if head.starts_with(b"OHDR") {
            self.second(path, address, &head, &mut object)?;
        } else {
            self.first(path, address, &head, &mut object)?;
        }
        self.finish(path, address, object);
        Some(())
    }

    fn first(&mut self, path: &str, address: u64, head: &[u8], object: &mut Object) -> Option<()> {
        let mut bytes = self.bytes(head);
        if bytes.byte()? != 1 {
            return None;
        }
        bytes.byte()?;
        let _count = bytes.number(2)?;
        bytes.number(4)?;
        let size = bytes.number(4)?;
        let mut blocks = vec![(address.checked_add(16)?, size)];
        let mut done = 0;
        while let Some((start, len)) = blocks.pop() {
            let block = self.read(start, len)?;
            let mut bytes = self.bytes(&block);
            while bytes.left() >= 8 {
                let at = start + (block.len() - bytes.left()) as u64 + 8;
                let (kind, size, flags) = (bytes.number(2)?, bytes.number(2)?, bytes.byte()?);
                bytes.take(3)?;
                let body = bytes.take(size as usize)?;
                done += 1;
                if done > MAX_MESSAGES || blocks.len() > 4_096 {
                    return None;
                }
                if kind == 0x10 {
                    let mut inner = self.bytes(body);
                    blocks.push((inner.address()?, inner.length()?));
                } else {
                    self.message(path, kind, flags, body, at, object);
                }
            }
        }
        Some(())
    }

    fn second(&mut self, path: &str, address: u64, head: &[u8], object: &mut Object) -> Option<()> {
        let flags = *head.get(5)?;
        let mut at = address.checked_add(6)?;
        at += if flags & 0x20 != 0 { 16 } else { 0 };
        at += if flags & 0x10 != 0 { 4 } else { 0 };
        let width = 1_u64 << (flags & 3);
        let size = self.read(at, width)?;
        let size = self.bytes(&size).number(width as usize)?;
        let mut blocks = vec![(at + width, size)];
        let mut done = 0;
        while let Some((start, len)) = blocks.pop() {
            let block = self.read(start, len)?;
            let mut bytes = self.bytes(&block);
            let head = if flags & 4 != 0 { 6 } else { 4 };
            while bytes.left() >= head {
                let (kind, size, marks) = (u64::from(bytes.byte()?), bytes.number(2)?, bytes.byte()?);
                if flags & 4 != 0 {
                    bytes.number(2)?;
                }
                let at = start + (block.len() - bytes.left()) as u64;
                let body = bytes.take(size as usize)?;
                done += 1;
                if done > MAX_MESSAGES || blocks.len() > 4_096 {
                    return None;
                }
                if kind == 0x10 {
                    let mut inner = self.bytes(body);
                    let (start, len) = (inner.address()?, inner.length()?);
                    if self.read(start, 4)? != b"OCHK" {
                        return None;
                    }
                    // Between the signature and the checksum.
                    blocks.push((start + 4, len.checked_sub(8)?));
                } else {
                    self.message(path, kind, marks, body, at, object);
                }
            }
        }
        Some(())
    }

    fn message(&mut self, path: &str, kind: u64, flags: u8, body: &[u8], at: u64, object: &mut Object) {
        if flags & 2 != 0 && matches!(kind, 1 | 3 | 8 | 0x0b | 0x0c) {
            self.limit("some types or attributes are shared between objects and not followed".into());
            return;
        }
        let read = match kind {
            1 => shape(&mut self.bytes(body)).map(|shape| object.shape = Some(shape)),
            2 => self.link_info(path, body),
            3 => data_type(&mut self.bytes(body)).map(|kind| object.kind = Some(kind)),
            6 => self.link(path, body).map(|_| ()),
            7 => self.external(body, object),
            8 => self.layout(body).map(|layout| object.layout = Some(layout)),
            0x0b => self.filters(path, body, object),
            0x0c => self.attribute(path, body, at).map(|_| ()),
            0x11 => self.symbol_table(path, body),
            0x15 => self.attribute_info(path, body),
            _ => Some(()),
        };
        if read.is_none() {
            self.defect(&format!("a message of type {kind} makes no sense"), at);
        }
    }

    fn finish(&mut self, path: &str, address: u64, object: Object) {
        let Some(layout) = object.layout else { return };
        self.facts.datasets += 1;
        for file in &object.external {
            self.escape(Elsewhere::Storage, path, file, address);
        }
        match layout {
            Layout::Contiguous(Some(start), len) if object.external.is_empty() => {
                let inside = self.base.checked_add(start).and_then(|at| at.checked_add(len));
                if inside.is_none_or(|end| end > self.source.len()) {
                    self.defect("the bytes of a data set reach past the end of the file", address);
                } else if let (Some(kind), Some(shape)) = (&object.kind, &object.shape) {
                    self.tensor(path, kind, shape, start, len);
                }
            }
            Layout::Virtual(heap, index) => match self.sources(heap, index) {
                Some(files) => {
                    for file in files {
                        self.escape(Elsewhere::Virtual, path, &file, address);
                    }
                }
                None => self.limit("the sources of a virtual data set cannot be read".into()),
            },
            Layout::Chunked(_) | Layout::Contiguous(None, _) => {
                let (Some(kind), Some(shape)) = (&object.kind, &object.shape) else { return };
                if let (Layout::Chunked(Some((index, chunk))), true) =
                    (&layout, self.tensors.is_some() && self.chunked.len() < MAX_TENSORS)
                {
                    self.chunked.push(Chunked {
                        name: path.trim_start_matches('/').to_owned(),
                        dtype: kind.dtype(),
                        shape: shape.clone(),
                        chunk: chunk.clone(),
                        index: *index,
                        filters: object.filters.clone(),
                        width: kind.size(),
                    });
                }
                let count = shape.iter().try_fold(1_u64, |count, &axis| count.checked_mul(axis));
                let claimed = count.and_then(|count| count.checked_mul(kind.size())).unwrap_or(u64::MAX);
                // Deflate makes a thousandth of what is all alike, at best.
                if claimed > MAX_CLAIMED && claimed / 2_048 > self.source.len() {
                    let what = format!("a data set claims {claimed} bytes, of which next to none are stored");
                    self.defect(&what, address);
                }
            }
            Layout::Contiguous(..) | Layout::Compact => {}
        }
    }

    fn layout(&mut self, body: &[u8]) -> Option<Layout> {
        let mut bytes = self.bytes(body);
        let version = bytes.byte()?;
        if version < 3 {
            let rank = bytes.byte()?;
            let class = bytes.byte()?;
            bytes.take(5)?;
            return Some(match class {
                0 => Layout::Compact,
                1 => {
                    let address = bytes.address();
                    let mut len = 1_u64;
                    for _ in 0..rank {
                        len = len.checked_mul(bytes.number(4)?)?;
                    }
                    Layout::Contiguous(address, len)
                }
                _ => {
                    let index = bytes.address();
                    let dims = Self::extents(&mut bytes, rank.into(), 4);
                    Layout::Chunked(index.map(Index::Tree).zip(dims))
                }
            });
        }
        Some(match bytes.byte()? {
            0 => Layout::Compact,
            1 => {
                let address = bytes.address();
                Layout::Contiguous(address, bytes.length()?)
            }
            3 => match bytes.address() {
                Some(heap) => Layout::Virtual(heap, bytes.number(4)?),
                None => Layout::Compact,
            },
            2 if version == 3 => {
                let rank = bytes.byte()?;
                let index = bytes.address();
                let dims = Self::extents(&mut bytes, rank.into(), 4);
                Layout::Chunked(index.map(Index::Tree).zip(dims))
            }
            2 => {
                let (flags, rank, width) = (bytes.byte()?, bytes.byte()?, bytes.byte()?);
                let dims = Self::extents(&mut bytes, rank.into(), usize::from(width));
                let index = match bytes.byte()? {
                    1 if flags & 2 != 0 => {
                        let stored = bytes.length()?;
                        bytes.number(4)?;
                        bytes.address().map(|at| Index::Single(at, Some(stored)))
                    }
                    1 => bytes.address().map(|at| Index::Single(at, None)),
                    2 => bytes.address().map(Index::Implicit),
                    _ => None,
                };
                Layout::Chunked(index.zip(dims))
            }
            _ => Layout::Chunked(None),
        })
    }

    /// The extents of a chunk, without the last, which is the size of an element.
    fn extents(bytes: &mut Bytes<'_>, rank: usize, width: usize) -> Option<Vec<u64>> {
        let mut dims = (0..rank.min(33)).map(|_| bytes.number(width)).collect::<Option<Vec<u64>>>()?;
        dims.pop()?;
        Some(dims)
    }

    fn external(&mut self, body: &[u8], object: &mut Object) -> Option<()> {
        let mut bytes = self.bytes(body);
        bytes.take(4)?;
        let (_, used) = (bytes.number(2)?, bytes.number(2)?);
        let heap = bytes.address()?;
        for _ in 0..used.min(256) {
            let name = bytes.length()?;
            bytes.length()?;
            bytes.length()?;
            object.external.push(self.heap_text(heap, name)?);
        }
        Some(())
    }

    /// The files a virtual data set is put together from.
    fn sources(&self, heap: u64, index: u64) -> Option<Vec<String>> {
        let (start, len) = self.global(heap, index)?;
        let block = self.read(start, len)?;
        let mut bytes = self.bytes(&block);
        bytes.byte()?;
        let count = bytes.length()?;
        // The selections between the names have many forms; the first name is enough, and the number.
        let first = bytes.text()?;
        let mut files = vec![first];
        if count > 1 {
            files.push(format!("and {} more", count - 1));
        }
        Some(files)
    }

    fn filters(&mut self, path: &str, body: &[u8], object: &mut Object) -> Option<()> {
        let mut bytes = self.bytes(body);
        let version = bytes.byte()?;
        let count = bytes.byte()?;
        if version == 1 {
            bytes.take(6)?;
        }
        for _ in 0..count {
            let id = bytes.number(2)?;
            object.filters.push(id);
            let name = if version == 1 || id >= 256 { bytes.number(2)? } else { 0 };
            bytes.number(2)?;
            let values = bytes.number(2)?;
            bytes.take(if version == 1 { name.next_multiple_of(8) } else { name } as usize)?;
            bytes.take(values as usize * 4 + if version == 1 && values % 2 == 1 { 4 } else { 0 })?;
            if id > 6 && self.facts.filters.len() < 256 {
                self.facts.filters.entry(id).or_insert_with(|| super::shown(path));
            } else if id > 6 && !self.facts.filters.contains_key(&id) {
                self.limit("more than 256 kinds of filter".into());
            }
        }
        Some(())
    }

    /// Reads an attribute; gives the bytes it takes.
    pub(super) fn attribute(&mut self, path: &str, body: &[u8], at: u64) -> Option<usize> {
        let mut bytes = self.bytes(body);
        let version = bytes.byte()?;
        let flags = bytes.byte()?;
        let (name_len, type_len, space_len) = (bytes.number(2)?, bytes.number(2)?, bytes.number(2)?);
        if version == 3 {
            bytes.byte()?;
        }
        let padded = |len: u64| if version == 1 { len.next_multiple_of(8) } else { len } as usize;
        let name = bytes.take(padded(name_len))?;
        let name = String::from_utf8_lossy(name.split(|&byte| byte == 0).next()?).into_owned();
        let kind = bytes.take(padded(type_len))?;
        let space = bytes.take(padded(space_len))?;
        if version > 1 && flags & 3 != 0 {
            self.limit("some types or attributes are shared between objects and not followed".into());
            return Some(body.len());
        }
        let kind = data_type(&mut self.bytes(kind))?;
        let shape = shape(&mut self.bytes(space))?;
        let count = shape.iter().try_fold(1_u64, |count, &axis| count.checked_mul(axis))?;
        let len = count.checked_mul(kind.size())?;
        let start = at + (body.len() - bytes.left()) as u64;
        if len > bytes.left() as u64 {
            return None;
        }
        match kind {
            Type::Text(_) if len > 0 => self.text(path, &name, self.base + start, len),
            Type::LongText => {
                for _ in 0..count.min(10_000) {
                    let len = bytes.number(4)?;
                    let (heap, index) = (bytes.address(), bytes.number(4)?);
                    let Some(heap) = heap.filter(|_| len > 0 && index > 0) else { continue };
                    let Some((start, whole)) = self.global(heap, index).filter(|&(_, whole)| len <= whole)
                    else {
                        self.defect(&format!("the text of attribute `{name}` is not where it should be"), at);
                        break;
                    };
                    let _ = whole;
                    self.text(path, &name, self.base + start, len);
                }
                return Some((start - at) as usize + len as usize);
            }
            _ => {}
        }
        Some((start - at) as usize + len as usize)
    }
}
