//! Groups: old ones by a B-tree and a local heap, new ones by link messages, few in the header, many in a
//! fractal heap.

use super::{Elsewhere, Walk};

const MAX_NODES: usize = 200_000;

/// Where the blocks of a fractal heap are: addresses and sizes.
struct Heap {
    blocks: Vec<(u64, u64)>,
    /// Bytes before the objects of a block.
    prefix: u64,
    objects: u64,
    whole: bool,
}

impl Walk<'_> {
    /// A group of the old kind.
    pub(super) fn symbol_table(&mut self, path: &str, body: &[u8]) -> Option<()> {
        let mut bytes = self.bytes(body);
        let (tree, heap) = (bytes.address()?, bytes.address()?);
        let head = self.read(heap, 8 + 2 * self.widths.1 as u64 + self.widths.0 as u64)?;
        let mut bytes = self.bytes(head.strip_prefix(b"HEAP")?);
        bytes.take(4)?;
        let size = bytes.length()?;
        bytes.length()?;
        let segment = (bytes.address()?, size);
        let mut waiting = vec![tree];
        let mut seen = std::collections::HashSet::new();
        while let Some(node) = waiting.pop() {
            if seen.len() > MAX_NODES || !seen.insert(node) {
                return None;
            }
            let head = self.read(node, 8)?;
            if head.starts_with(b"SNOD") {
                let count = u64::from(u16::from_le_bytes([head[6], head[7]]));
                self.symbols(path, node, count, segment)?;
                continue;
            }
            if !head.starts_with(b"TREE") || head[4] != 0 {
                return None;
            }
            let used = u64::from(u16::from_le_bytes([head[6], head[7]]));
            let (address, length) = (self.widths.0 as u64, self.widths.1 as u64);
            let entries = self.read(node + 8 + 2 * address, used * (address + length))?;
            let mut bytes = self.bytes(&entries);
            for _ in 0..used {
                bytes.length()?;
                waiting.push(bytes.address()?);
            }
        }
        Some(())
    }

    fn symbols(&mut self, path: &str, node: u64, count: u64, segment: (u64, u64)) -> Option<()> {
        let size = 2 * self.widths.0 as u64 + 24;
        let entries = self.read(node + 8, count * size)?;
        for entry in entries.chunks_exact(size as usize) {
            let mut bytes = self.bytes(entry);
            let name = bytes.number(self.widths.0)?;
            let address = bytes.address();
            let cache = bytes.number(4)?;
            let name = self.name(segment, name)?;
            // A soft link points within the file.
            if cache != 2 {
                self.child(path, &name, address?);
            }
        }
        Some(())
    }

    fn name(&self, (segment, size): (u64, u64), offset: u64) -> Option<String> {
        let len = size.checked_sub(offset)?.min(1_025);
        let bytes = self.read(segment.checked_add(offset)?, len)?;
        self.bytes(&bytes).text()
    }

    /// A text of the local heap at `heap`.
    pub(super) fn heap_text(&self, heap: u64, offset: u64) -> Option<String> {
        let head = self.read(heap, 8 + 2 * self.widths.1 as u64 + self.widths.0 as u64)?;
        let mut bytes = self.bytes(head.strip_prefix(b"HEAP")?);
        bytes.take(4)?;
        let size = bytes.length()?;
        bytes.length()?;
        let segment = bytes.address()?;
        self.name((segment, size), offset)
    }

    /// A link message; gives the bytes it takes.
    pub(super) fn link(&mut self, path: &str, body: &[u8]) -> Option<usize> {
        let mut bytes = self.bytes(body);
        if bytes.byte()? != 1 {
            return None;
        }
        let flags = bytes.byte()?;
        let kind = if flags & 8 != 0 { bytes.byte()? } else { 0 };
        if flags & 4 != 0 {
            bytes.take(8)?;
        }
        if flags & 0x10 != 0 {
            bytes.byte()?;
        }
        let len = bytes.number(1 << (flags & 3))?;
        let name = bytes.take(usize::try_from(len).ok()?)?;
        let name: String = String::from_utf8_lossy(name).chars().take(200).collect();
        match kind {
            0 => {
                let address = bytes.address()?;
                self.child(path, &name, address);
            }
            1 => {
                let len = bytes.number(2)?;
                bytes.take(len as usize)?;
            }
            _ => {
                let len = bytes.number(2)?;
                let value = bytes.take(len as usize)?;
                let mut inner = self.bytes(value.get(1..)?);
                let file = inner.text()?;
                self.escape(Elsewhere::Link, &format!("{path}/{name}"), &file, 0);
            }
        }
        Some(body.len() - bytes.left())
    }

    pub(super) fn link_info(&mut self, path: &str, body: &[u8]) -> Option<()> {
        let mut bytes = self.bytes(body);
        bytes.byte()?;
        if bytes.byte()? & 1 != 0 {
            bytes.take(8)?;
        }
        let Some(heap) = bytes.address() else { return Some(()) };
        self.dense(path, heap, false)
    }

    pub(super) fn attribute_info(&mut self, path: &str, body: &[u8]) -> Option<()> {
        let mut bytes = self.bytes(body);
        bytes.byte()?;
        if bytes.byte()? & 1 != 0 {
            bytes.take(2)?;
        }
        let Some(heap) = bytes.address() else { return Some(()) };
        self.dense(path, heap, true)
    }

    /// Links or attributes of a fractal heap, one after the other.
    fn dense(&mut self, path: &str, address: u64, attributes: bool) -> Option<()> {
        let heap = self.fractal(address)?;
        let mut found = 0;
        for &(at, size) in &heap.blocks {
            let Some(block) = self.read(at, size) else { continue };
            if !block.starts_with(b"FHDB") {
                return None;
            }
            let mut from = heap.prefix as usize;
            while let Some(rest) =
                block.get(from..).filter(|rest| rest.first().is_some_and(|&byte| byte != 0))
            {
                let taken = if attributes {
                    self.attribute(path, rest, at + from as u64)
                } else {
                    self.link(path, rest)
                };
                let Some(taken) = taken.filter(|&taken| taken > 0) else { break };
                from += taken;
                found += 1;
            }
        }
        if !heap.whole || found != heap.objects {
            let kind = if attributes { "attributes" } else { "links" };
            self.limit(format!("of {} {kind} in a fractal heap {found} are read", heap.objects));
        }
        Some(())
    }

    fn fractal(&self, address: u64) -> Option<Heap> {
        let (o, l) = (self.widths.0, self.widths.1);
        let head = self.read(address, (4 + 1 + 2 + 2 + 1 + 4 + 12 * l + 3 * o + 2 + 2 + 2 + 2) as u64)?;
        let mut bytes = self.bytes(head.strip_prefix(b"FRHP")?);
        bytes.take(3)?;
        let filters = bytes.number(2)?;
        let flags = bytes.byte()?;
        bytes.take(4 + l + o + l + o + 3 * l)?;
        let objects = bytes.length()?;
        bytes.take(l)?;
        let huge = bytes.length()?;
        bytes.take(l)?;
        let tiny = bytes.length()?;
        let width = bytes.number(2)?;
        let (start, largest) = (bytes.length()?, bytes.length()?);
        let bits = bytes.number(2)?;
        bytes.number(2)?;
        let root = bytes.address();
        let rows = bytes.number(2)?;
        let offset = bits.div_ceil(8);
        let prefix = 5 + o as u64 + offset + if flags & 2 != 0 { 4 } else { 0 };
        let mut heap =
            Heap { blocks: Vec::new(), prefix, objects, whole: huge == 0 && tiny == 0 && filters == 0 };
        let Some(root) = root else { return Some(heap) };
        if rows == 0 {
            heap.blocks.push((root, start));
            return Some(heap);
        }
        if width > 1_024 || rows > 256 {
            return None;
        }
        let table = self.read(root, 5 + o as u64 + offset + rows * width * o as u64)?;
        let mut bytes = self.bytes(table.strip_prefix(b"FHIB")?);
        bytes.take(1 + o + offset as usize)?;
        for row in 0..rows {
            let size = start.checked_shl(row.saturating_sub(1) as u32)?;
            for _ in 0..width {
                match bytes.address() {
                    Some(block) if size <= largest => heap.blocks.push((block, size)),
                    Some(_) => heap.whole = false,
                    None => {}
                }
            }
        }
        Some(heap)
    }
}
