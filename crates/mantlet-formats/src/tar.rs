//! Tar archives (ustar, GNU, pax): members, links and where they would land.

use mantlet_vocab::{Source, SourceError, read_window};

use crate::Bounds;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic or hard link to this target.
    Link(String),
    /// A device, pipe or something else.
    Other(u8),
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarEntry {
    /// The name with long-name extensions applied.
    pub name: String,
    /// What it is.
    pub kind: TarKind,
    /// Where its data starts.
    pub data: u64,
    /// How long its data is.
    pub size: u64,
    /// Where its data belongs, when it is a file with holes.
    pub sparse: Option<Holes>,
}

/// A file of which only parts are stored, one after another; the rest is zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holes {
    /// Where the first part is stored.
    pub data: u64,
    /// Where each part belongs, and how long it is.
    pub parts: Vec<(u64, u64)>,
    /// How long the file is.
    pub len: u64,
}

/// A file with holes as its reader sees it.
pub struct Sparse<'a> {
    source: &'a dyn Source,
    /// Where each part belongs, how long it is, and where it is stored.
    parts: Vec<(u64, u64, u64)>,
    len: u64,
}

impl<'a> Sparse<'a> {
    /// The file whose parts are stored in this archive.
    #[must_use]
    pub fn new(source: &'a dyn Source, holes: &Holes) -> Self {
        let mut at = holes.data;
        let mut parts = Vec::new();
        for &(offset, len) in &holes.parts {
            parts.push((offset, len, at));
            at = at.saturating_add(len);
        }
        Self { source, parts, len: holes.len }
    }
}

impl Source for Sparse<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let count = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..count];
        buffer.fill(0);
        let end = offset.saturating_add(count as u64);
        for &(start, len, at) in &self.parts {
            let (from, to) = (start.max(offset), start.saturating_add(len).min(end));
            if from < to {
                let part = &mut buffer[(from - offset) as usize..(to - offset) as usize];
                mantlet_vocab::read_exact_at(self.source, at.saturating_add(from - start), part)?;
            }
        }
        Ok(count)
    }
}

/// Parts of one file with holes.
const MAX_PARTS: usize = 4_096;

/// The parts as GNU tar 1.0 writes them before the data: decimal numbers, one a line, filled up to a block.
fn listed(source: &dyn Source, data: u64, size: u64, len: u64) -> Option<Holes> {
    let head = read_window(source, data, size.min(256 << 10) as usize).ok()?;
    let mut at = 0;
    let mut number = || {
        let end = at + memchr::memchr(b'\n', head.get(at..)?)?;
        let value = std::str::from_utf8(&head[at..end]).ok()?.parse::<u64>().ok();
        at = end + 1;
        value
    };
    let count = number()? as usize;
    let mut parts = Vec::new();
    for _ in 0..count {
        let part = (number()?, number()?);
        if parts.len() >= MAX_PARTS {
            return None;
        }
        parts.push(part);
    }
    Some(Holes { data: data.checked_add((at as u64).checked_next_multiple_of(512)?)?, parts, len })
}

/// The parts as GNU tar wrote them first: in the header, and in blocks after it. Gives how many of those there are.
fn in_header(source: &dyn Source, header: &[u8], data: u64) -> Option<(Holes, u64)> {
    let pair = |bytes: &[u8]| Some((number(bytes.get(..12)?)?, number(bytes.get(12..24)?)?));
    let mut parts: Vec<(u64, u64)> = header[386..482].chunks_exact(24).filter_map(pair).collect();
    let (mut more, mut blocks) = (header[482] == 1, 0);
    while more {
        let block =
            read_window(source, data.checked_add(512 * blocks)?, 512).ok().filter(|b| b.len() == 512)?;
        parts.extend(block[..504].chunks_exact(24).filter_map(pair));
        more = block[504] == 1;
        blocks += 1;
        if parts.len() > MAX_PARTS {
            return None;
        }
    }
    parts.retain(|&(_, len)| len > 0);
    let len = number(&header[483..495])?;
    Some((Holes { data: data.checked_add(512 * blocks)?, parts, len }, blocks))
}

/// The facts of a tar archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tar {
    /// Members in order.
    pub entries: Vec<TarEntry>,
    /// Where the archive ends: after its empty blocks, where most tools stop reading.
    pub end: u64,
    /// It is a layer of a container image, where links to absolute places are ordinary.
    pub layer: bool,
    /// What is wrong, in words.
    pub defects: Vec<String>,
    /// What was not followed.
    pub limits: Vec<String>,
}

/// Whether the first header says it is a tar archive.
#[must_use]
pub fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|&first| first & 0x80 != 0) {
        let mut value = u64::from(field[0] & 0x7f);
        for &byte in &field[1..] {
            value = value.checked_mul(256)?.checked_add(u64::from(byte))?;
        }
        return Some(value);
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn text(field: &[u8]) -> String {
    let end = memchr::memchr(0, field).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// The facts of a tar archive. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Tar {
    let mut tar = Tar::default();
    let (mut at, mut long_name, mut long_link, mut long_size) = (0_u64, None::<String>, None, None);
    let mut sparse_name = None::<String>;
    let (mut real_size, mut written) = (None::<u64>, None::<String>);
    let mut kept = 0;
    while at < source.len() {
        let header = read_window(source, at, 512).unwrap_or_default();
        if header.len() < 512 {
            tar.defects.push(format!("the archive ends inside a header at {at:#x}"));
            break;
        }
        if header.iter().all(|&byte| byte == 0) {
            tar.end = at + 512;
            // Tools fill up to blocks of ten kilobytes and more.
            for _ in 0..4_096 {
                let next = read_window(source, tar.end, 512).unwrap_or_default();
                if next.is_empty() || next.iter().any(|&byte| byte != 0) {
                    break;
                }
                tar.end += next.len() as u64;
            }
            break;
        }
        if tar.entries.len() >= bounds.max_members || kept > bounds.max_header {
            tar.limits.push(format!("only the first {} members are examined", tar.entries.len()));
            break;
        }
        let sum: u64 = header
            .iter()
            .enumerate()
            .map(|(index, &byte)| if (148..156).contains(&index) { 32 } else { u64::from(byte) })
            .sum();
        if number(&header[148..156]) != Some(sum) {
            tar.defects.push(format!("the checksum of the header at {at:#x} is wrong"));
            break;
        }
        let declared = long_size.take().or_else(|| number(&header[124..136]));
        let Some(size) = declared else {
            tar.defects.push(format!("the size at {at:#x} is not a number"));
            break;
        };
        let data = at + 512;
        let mut moved = size;
        if size > source.len().saturating_sub(data) {
            tar.defects.push(format!("the member at {at:#x} is longer than the archive"));
        }
        let small = || read_window(source, data, size.min(64 << 10) as usize).unwrap_or_default();
        match header[156] {
            b'L' => long_name = Some(text(&small())),
            b'K' => long_link = Some(text(&small())),
            kind @ (b'x' | b'g') => {
                if size > 64 << 10 {
                    tar.limits.push(format!("the extended header at {at:#x} is {size} bytes long"));
                }
                for (key, value) in pax(&small()) {
                    // A global header names no single member.
                    if kind == b'g' {
                        continue;
                    }
                    match key.as_str() {
                        "path" => long_name = Some(value),
                        "GNU.sparse.name" => sparse_name = Some(value),
                        "GNU.sparse.realsize" | "GNU.sparse.size" => real_size = value.parse().ok(),
                        "GNU.sparse.map" => written = Some(value),
                        "linkpath" => long_link = Some(value),
                        "size" => long_size = value.parse().ok(),
                        _ => {}
                    }
                }
            }
            kind => {
                let prefix =
                    if &header[257..263] == b"ustar\0" { text(&header[345..500]) } else { String::new() };
                let short = text(&header[..100]);
                let short = if prefix.is_empty() { short } else { format!("{prefix}/{short}") };
                let name = long_name.take().unwrap_or(short);
                // Which of the two names counts depends on the reader: the one that leads elsewhere is told.
                let name = match sparse_name.take() {
                    Some(other) if !leads_away(&name) => other,
                    _ => name,
                };
                let link = long_link.take().unwrap_or_else(|| text(&header[157..257]));
                kept += name.len() + link.len();
                let mut stored = size;
                let sparse = match (real_size.take(), written.take(), kind) {
                    (_, _, b'S') => {
                        let found = in_header(source, &header, data);
                        stored = size.saturating_add(512 * found.as_ref().map_or(0, |(_, blocks)| *blocks));
                        found.map(|(holes, _)| holes)
                    }
                    (Some(len), Some(map), _) => {
                        let numbers: Vec<u64> = map.split(',').filter_map(|part| part.parse().ok()).collect();
                        let parts = numbers.as_chunks::<2>().0.iter().map(|&[offset, len]| (offset, len));
                        Some(Holes { data, parts: parts.take(MAX_PARTS).collect(), len })
                    }
                    (Some(len), None, _) => listed(source, data, size, len),
                    (None, ..) => None,
                };
                let kind = if kind == b'S' && sparse.is_some() { b'0' } else { kind };
                let kind = match kind {
                    0 | b'0' | b'7' => TarKind::File,
                    b'5' => TarKind::Folder,
                    b'1' | b'2' => TarKind::Link(link),
                    other => TarKind::Other(other),
                };
                tar.entries.push(TarEntry { name, kind, data, size, sparse });
                moved = stored;
            }
        }
        let Some(next) = moved.checked_next_multiple_of(512).and_then(|size| data.checked_add(size)) else {
            break;
        };
        at = next;
    }
    tar
}

fn leads_away(name: &str) -> bool {
    name.starts_with(['/', '\\']) || name.split(['/', '\\']).any(|part| part == "..")
}

fn pax(bytes: &[u8]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = bytes;
    while let Some(space) = memchr::memchr(b' ', rest) {
        let len = std::str::from_utf8(&rest[..space]).ok().and_then(|len| len.parse::<usize>().ok());
        let Some(record) = len.filter(|&len| len > space).and_then(|len| rest.get(space + 1..len)) else {
            break;
        };
        let record = String::from_utf8_lossy(record);
        if let Some((key, value)) = record.trim_end_matches('\n').split_once('=') {
            pairs.push((key.to_owned(), value.to_owned()));
        }
        rest = &rest[len.unwrap_or(rest.len())..];
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn header(name: &str, kind: u8, size: usize) -> Vec<u8> {
        let mut block = vec![0_u8; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[148..156].copy_from_slice(b"        ");
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    #[test]
    fn files_with_holes_are_read_as_they_are_unpacked() {
        let record = "22 GNU.sparse.major=1\n27 GNU.sparse.realsize=1003\n";
        let mut bytes = header("PaxHeaders/x", b'x', record.len());
        bytes.extend(record.as_bytes());
        bytes.resize(1_024, 0);
        bytes.extend(header("GNUSparseFile.0/w", b'0', 512 + 5));
        bytes.extend(b"2\n0\n2\n1000\n3\n");
        bytes.resize(2_048, 0);
        bytes.extend(b"abcde");
        bytes.resize(4_096, 0);
        let source = MemorySource::new(&bytes);
        let tar = analyse(&source, &Bounds::default());
        let sparse = Sparse::new(&source, tar.entries[0].sparse.as_ref().unwrap());
        let whole = read_window(&sparse, 0, 2_000).unwrap();
        assert_eq!((whole.len(), &whole[..3], &whole[999..]), (1_003, &b"ab\0"[..], &b"\0cde"[..]));
    }

    #[test]
    fn the_name_of_a_sparse_file_is_the_one_that_counts() {
        let named = |record: &str, name: &str| {
            let mut bytes = header("PaxHeaders/x", b'x', record.len());
            bytes.extend(record.as_bytes());
            bytes.resize(1_024, 0);
            bytes.extend(header(name, b'0', 0));
            bytes.extend([0; 1_024]);
            let tar = analyse(&MemorySource::new(&bytes), &Bounds::default());
            assert_eq!(tar.defects, Vec::<String>::new());
            tar.entries[0].name.clone()
        };
        assert_eq!(named("24 GNU.sparse.name=../x\n", "GNUSparseFile.0/w"), "../x");
        assert_eq!(named("24 GNU.sparse.name=a.bi\n", "../w"), "../w");
        assert_eq!(named("24 GNU.sparse.name=a.bi\n", "GNUSparseFile.0/w"), "a.bi");
    }
}
