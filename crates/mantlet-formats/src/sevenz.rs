//! 7z archives: members, how each is packed, and what cannot be opened.
//!
//! Long because the parts of the header can only be read in order.

use std::io::Read as _;

use mantlet_vocab::{Source, SubSource, read_window};

use crate::Bounds;
use crate::inflate::{Inflated, Wrapper};

/// A run of members packed together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Where the packed bytes start.
    pub packed: u64,
    /// How many there are.
    pub packed_len: u64,
    /// Length of the unpacked bytes.
    pub len: u64,
    /// What unpacks them, in order; empty when they are stored as they are.
    pub steps: Vec<Wrapper>,
    /// Why it cannot be unpacked.
    pub closed: Option<String>,
    /// CRC-32 of the unpacked bytes, when the archive says it.
    pub crc: Option<u32>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// The folder that holds its bytes; `None` for empty files and directories.
    pub folder: Option<usize>,
    /// Where its bytes start in the folder.
    pub offset: u64,
    /// How many there are.
    pub len: u64,
    /// It is a symbolic link; its bytes are the target.
    pub link: bool,
    /// CRC-32 of its bytes, when the archive says it.
    pub crc: Option<u32>,
}

/// The facts of a 7z archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SevenZip {
    /// Runs of members.
    pub folders: Vec<Folder>,
    /// Members in order.
    pub members: Vec<Member>,
    /// Bytes from the start that belong to the archive.
    pub end: u64,
    /// What is wrong, in words.
    pub defects: Vec<String>,
    /// What was not followed.
    pub limits: Vec<String>,
}

const START: u64 = 32;
const MAX_FOLDERS: u64 = 10_000;

/// The facts of a 7z archive. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> SevenZip {
    let mut facts = SevenZip::default();
    let head = read_window(source, 0, 32).unwrap_or_default();
    let number =
        |at: usize| head.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
    let (offset, len) = (number(12), number(20));
    let at = START.saturating_add(offset);
    facts.end = at.saturating_add(len);
    if head.len() < 32 || facts.end > source.len() {
        facts.defects.push("the archive is cut off before its list of members".into());
        return facts;
    }
    if len == 0 {
        return facts;
    }
    if len > bounds.max_header as u64 {
        facts.limits.push(format!("its list of members is {len} bytes long"));
        return facts;
    }
    let mut header = read_window(source, at, len as usize).unwrap_or_default();
    let declared = head.get(28..32).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    if declared != Some(crc.sum()) {
        facts.defects.push("the checksum of its list of members is wrong".into());
    }
    for _ in 0..4 {
        let mut cursor = Cursor { bytes: &header, at: 0 };
        match cursor.byte() {
            Some(0x01) => {
                if list(&mut cursor, source, bounds, &mut facts).is_none() {
                    facts.defects.push("its list of members ends early".into());
                }
                return facts;
            }
            Some(0x17) => {
                let folders = streams(&mut cursor, source).map(|(folders, _)| folders);
                let Some(folder) = folders.and_then(|folders| folders.into_iter().next()) else {
                    facts.defects.push("its packed list of members is not described".into());
                    return facts;
                };
                match unpacked(source, &folder, bounds) {
                    Ok(bytes) => header = bytes,
                    Err(why) => {
                        facts.limits.push(format!("its list of members cannot be unpacked: {why}"));
                        return facts;
                    }
                }
            }
            _ => {
                facts.defects.push("its list of members is of no known kind".into());
                return facts;
            }
        }
    }
    facts.limits.push("its list of members is packed too often".into());
    facts
}

/// Hands the unpacked bytes of a folder to `then`.
pub fn open<T>(
    source: &dyn Source,
    folder: &Folder,
    bounds: &Bounds,
    budget: u64,
    then: impl FnOnce(&dyn Source, &[&Inflated<'_>]) -> T,
) -> T {
    let packed = SubSource::new(source, folder.packed, folder.packed_len);
    match folder.steps.as_slice() {
        [] => then(&packed, &[]),
        [one] => {
            let first = Inflated::open(&packed, *one, bounds, budget);
            then(&first, &[&first])
        }
        [one, two, ..] => {
            let first = Inflated::open(&packed, *one, bounds, budget);
            let second = Inflated::open(&first, *two, bounds, budget);
            then(&second, &[&first, &second])
        }
    }
}

fn unpacked(source: &dyn Source, folder: &Folder, bounds: &Bounds) -> Result<Vec<u8>, String> {
    if let Some(why) = &folder.closed {
        return Err(why.clone());
    }
    if folder.len > bounds.max_header as u64 {
        return Err(format!("it is {} bytes long", folder.len));
    }
    open(source, folder, bounds, folder.len, |bytes, steps| {
        let read = read_window(bytes, 0, folder.len as usize).map_err(|error| error.to_string())?;
        match steps.iter().find_map(|step| step.damage.clone().or(step.refused.clone())) {
            Some(why) if read.is_empty() => Err(why),
            _ => Ok(read),
        }
    })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::try_from(count).ok()?)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    /// The format's own number: leading ones of the first byte count the bytes that follow.
    fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let extra = first.leading_ones().min(8);
        let mut value = 0_u64;
        for index in 0..extra {
            value |= u64::from(self.byte()?) << (8 * index);
        }
        if extra < 7 {
            value |= u64::from(first & (0x7f >> extra)) << (8 * extra);
        }
        Some(value)
    }

    fn bits(&mut self, count: u64) -> Option<Vec<bool>> {
        let bytes = self.take(count.div_ceil(8))?;
        Some((0..count as usize).map(|bit| bytes[bit / 8] & (0x80 >> (bit % 8)) != 0).collect())
    }

    /// Checksums, each of which may be left out.
    fn digests(&mut self, count: u64) -> Option<Vec<Option<u32>>> {
        let defined =
            if self.byte()? == 0 { self.bits(count)? } else { vec![true; usize::try_from(count).ok()?] };
        let read = |there: bool| -> Option<Option<u32>> {
            if there { Some(Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))) } else { Some(None) }
        };
        defined.into_iter().map(read).collect()
    }
}

/// Lengths and checksums of the members in each folder.
type Parts = Vec<Vec<(u64, Option<u32>)>>;

fn streams(cursor: &mut Cursor<'_>, source: &dyn Source) -> Option<(Vec<Folder>, Parts)> {
    let (mut pack_at, mut pack_sizes) = (0_u64, Vec::new());
    let mut folders: Vec<(Folder, u64)> = Vec::new();
    let mut parts: Option<Parts> = None;
    loop {
        match cursor.byte()? {
            0x00 => break,
            0x06 => {
                pack_at = START.checked_add(cursor.number()?)?;
                let count = cursor.number()?;
                if count > MAX_FOLDERS {
                    return None;
                }
                loop {
                    match cursor.byte()? {
                        0x00 => break,
                        0x09 => {
                            pack_sizes = (0..count).map(|_| cursor.number()).collect::<Option<Vec<u64>>>()?;
                        }
                        0x0a => drop(cursor.digests(count)?),
                        _ => return None,
                    }
                }
            }
            0x07 => folders = coders(cursor)?,
            0x08 => parts = Some(substreams(cursor, &folders)?),
            _ => return None,
        }
    }
    let mut at = pack_at;
    let mut next = 0;
    let mut done = Vec::new();
    for (mut folder, inputs) in folders {
        let sizes = pack_sizes.get(next..next + inputs as usize)?;
        let len = sizes.iter().try_fold(0_u64, |sum, size| sum.checked_add(*size))?;
        next += inputs as usize;
        (folder.packed, folder.packed_len) = (at, len);
        at = at.checked_add(len)?;
        if at > source.len() {
            folder.closed.get_or_insert_with(|| "its packed bytes are not all there".into());
        }
        done.push(folder);
    }
    let parts = parts.unwrap_or_else(|| done.iter().map(|folder| vec![(folder.len, folder.crc)]).collect());
    Some((done, parts))
}

fn coders(cursor: &mut Cursor<'_>) -> Option<Vec<(Folder, u64)>> {
    if cursor.byte()? != 0x0b {
        return None;
    }
    let count = cursor.number()?;
    if count > MAX_FOLDERS || cursor.byte()? != 0 {
        return None;
    }
    let mut folders = Vec::new();
    let mut shapes = Vec::new();
    for _ in 0..count {
        let mut folder = Folder::default();
        let (mut inputs, mut outputs) = (0_u64, 0_u64);
        let mut list = Vec::new();
        let coder_count = cursor.number()?;
        if coder_count == 0 || coder_count > 32 {
            return None;
        }
        for _ in 0..coder_count {
            let flags = cursor.byte()?;
            let id = cursor.take(u64::from(flags & 15))?;
            let (ins, outs) = if flags & 0x10 != 0 { (cursor.number()?, cursor.number()?) } else { (1, 1) };
            let props = if flags & 0x20 != 0 {
                let len = cursor.number()?;
                cursor.take(len)?
            } else {
                &[]
            };
            if ins > 32 || outs > 32 {
                return None;
            }
            inputs += ins;
            outputs += outs;
            list.push((id, props, ins == 1 && outs == 1));
        }
        let bonds = outputs.checked_sub(1)?;
        // A coder reads what another gives.
        let (mut reads, mut bound) = (Vec::new(), Vec::new());
        for _ in 0..bonds {
            reads.push(cursor.number()?);
            bound.push(cursor.number()?);
        }
        let packed = inputs.checked_sub(bonds)?;
        if packed > 1 {
            for _ in 0..packed {
                cursor.number()?;
            }
        }
        if packed != 1 || list.iter().any(|(.., simple)| !simple) || list.len() > 2 {
            let branches = list.iter().any(|(id, ..)| *id == [3, 3, 1, 0x1b]);
            let what = if branches { "BCJ2, the filter for programs" } else { "a combination of methods" };
            folder.closed = Some(format!("it is packed by {what}, which is not unpacked here"));
        }
        // The output that nothing takes is the folder's; the coder that reads no other unpacks first.
        let main = (0..outputs).find(|output| !bound.contains(output)).unwrap_or(0);
        let first = (0..outputs).find(|coder| !reads.contains(coder)).unwrap_or(0);
        let order = [first].into_iter().chain((0..outputs).filter(|coder| *coder != first));
        for (id, props, _) in order.filter_map(|coder| list.get(coder as usize)) {
            match step(id, props) {
                Ok(Some(step)) => folder.steps.push(step),
                Ok(None) => {}
                Err(why) => {
                    folder.closed.get_or_insert(why);
                }
            }
        }
        shapes.push((outputs, main, first));
        folders.push((folder, packed));
    }
    if cursor.byte()? != 0x0c {
        return None;
    }
    for ((outputs, main, first), (folder, _)) in shapes.iter().zip(&mut folders) {
        for output in 0..*outputs {
            let size = cursor.number()?;
            if output == *main {
                folder.len = size;
            }
            // What the first coder gives tells LZMA where to stop.
            if output == *first
                && let Some(Wrapper::RawLzma(_, len)) = folder.steps.first_mut()
            {
                *len = size;
            }
        }
    }
    loop {
        match cursor.byte()? {
            0x00 => return Some(folders),
            0x0a => {
                let crcs = cursor.digests(folders.len() as u64)?;
                for ((folder, _), crc) in folders.iter_mut().zip(crcs) {
                    folder.crc = crc;
                }
            }
            _ => return None,
        }
    }
}

fn step(id: &[u8], props: &[u8]) -> Result<Option<Wrapper>, String> {
    Ok(Some(match id {
        [0] => return Ok(None),
        [3, 1, 1] => {
            let props = props.try_into().map_err(|_| "the LZMA properties are broken".to_owned())?;
            Wrapper::RawLzma(props, u64::MAX)
        }
        [0x21] => {
            let bits = props.first().copied().unwrap_or(40);
            let size = match bits {
                40 => u32::MAX,
                0..40 => (2 | u32::from(bits & 1)) << (u32::from(bits) / 2 + 11).min(30),
                _ => return Err("the LZMA2 properties are broken".into()),
            };
            Wrapper::RawLzma2(size)
        }
        [4, 1, 8] => Wrapper::Raw,
        [4, 2, 2] => Wrapper::Bzip2,
        [4, 0xf7, 0x11, 1] => Wrapper::Zstd,
        [4, 0xf7, 0x11, 4] => Wrapper::Lz4,
        [3, 3, 1, 3] | [4] => Wrapper::BcjX86,
        [3] => Wrapper::Delta(props.first().copied().unwrap_or(0)),
        [6, 0xf1, 7, 1] => return Err("it is encrypted with AES-256".into()),
        [3, 4, 1] => return Err("it is packed by PPMd, which is not unpacked here".into()),
        [3, 3, 5, 1] | [3, 3, 7, 1] | [3, 3, 2, 5] | [3, 3, 8, 5] | [3, 3, 4, 1] | [0x0a] => {
            return Err("it is filtered as a program for another processor, which is not undone here".into());
        }
        other => {
            let id: String = other.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(format!("its method {id} is not supported"));
        }
    }))
}

fn substreams(cursor: &mut Cursor<'_>, folders: &[(Folder, u64)]) -> Option<Parts> {
    let mut counts = vec![1_u64; folders.len()];
    let mut byte = cursor.byte()?;
    if byte == 0x0d {
        for count in &mut counts {
            *count = cursor.number()?;
            if *count > 1 << 20 {
                return None;
            }
        }
        byte = cursor.byte()?;
    }
    if counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count))? > 1 << 22 {
        return None;
    }
    let mut parts = Vec::new();
    for (&count, (folder, _)) in counts.iter().zip(folders) {
        let mut sizes = Vec::new();
        let mut left = folder.len;
        for _ in 1..count {
            let size = if byte == 0x09 { cursor.number()? } else { 0 };
            left = left.checked_sub(size)?;
            sizes.push((size, None));
        }
        if count > 0 {
            sizes.push((left, None));
        }
        parts.push(sizes);
    }
    if byte == 0x09 {
        byte = cursor.byte()?;
    }
    for (sizes, (folder, _)) in parts.iter_mut().zip(folders) {
        if let [(_, crc)] = sizes.as_mut_slice() {
            *crc = folder.crc;
        }
    }
    // Members whose folder has said their checksum already have none here; older writers repeat all.
    while byte != 0 {
        let missing = |crc: &Option<u32>| crc.is_none();
        let open: u64 = parts.iter().flatten().filter(|(_, crc)| missing(crc)).count() as u64;
        let all: u64 = counts.iter().sum();
        let back = cursor.at;
        let mut found = cursor.digests(open);
        let mut repeated = false;
        if found.is_none() || !matches!(cursor.bytes.get(cursor.at), Some(0)) {
            cursor.at = back;
            found = cursor.digests(all);
            repeated = true;
        }
        let mut crcs = found?.into_iter();
        for (_, crc) in parts.iter_mut().flatten().filter(|(_, crc)| repeated || crc.is_none()) {
            *crc = crcs.next().flatten();
        }
        byte = cursor.byte()?;
    }
    Some(parts)
}

fn list(cursor: &mut Cursor<'_>, source: &dyn Source, bounds: &Bounds, facts: &mut SevenZip) -> Option<()> {
    let mut parts = Vec::new();
    loop {
        match cursor.byte()? {
            0x00 => return Some(()),
            0x02 => loop {
                if cursor.byte()? == 0 {
                    break;
                }
                let len = cursor.number()?;
                cursor.take(len)?;
            },
            0x03 => {
                streams(cursor, source)?;
            }
            0x04 => (facts.folders, parts) = streams(cursor, source)?,
            0x05 => files(cursor, bounds, &parts, facts)?,
            _ => return None,
        }
    }
}

fn files(cursor: &mut Cursor<'_>, bounds: &Bounds, parts: &Parts, facts: &mut SevenZip) -> Option<()> {
    let count = cursor.number()?;
    if count > bounds.max_members as u64 {
        facts.limits.push(format!("it has {count} members"));
        return Some(());
    }
    let mut names: Vec<String> = Vec::new();
    let mut empty = vec![false; count as usize];
    let mut modes = vec![0_u32; count as usize];
    loop {
        let kind = cursor.byte()?;
        if kind == 0 {
            break;
        }
        let len = cursor.number()?;
        let mut inner = Cursor { bytes: cursor.take(len)?, at: 0 };
        match kind {
            0x0e => empty = inner.bits(count)?,
            0x11 => {
                if inner.byte()? != 0 {
                    facts.limits.push("names of members are kept elsewhere".into());
                    continue;
                }
                let units: Vec<u16> = inner.bytes[inner.at..]
                    .chunks_exact(2)
                    .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                    .collect();
                names = units.split(|&unit| unit == 0).map(String::from_utf16_lossy).collect();
            }
            0x15 => {
                let defined =
                    if inner.byte()? == 0 { inner.bits(count)? } else { vec![true; count as usize] };
                inner.byte()?;
                for (mode, _) in modes.iter_mut().zip(&defined).filter(|(_, defined)| **defined) {
                    let value = inner.take(4)?.try_into().map(u32::from_le_bytes).ok()?;
                    *mode = if value & 0x8000 != 0 { value >> 16 } else { 0 };
                }
            }
            _ => {}
        }
    }
    let mut next = parts.iter().enumerate().flat_map(|(folder, sizes)| {
        let mut offset = 0_u64;
        sizes.iter().map(move |&(size, crc)| {
            let at = offset;
            offset = offset.saturating_add(size);
            (folder, at, size, crc)
        })
    });
    for index in 0..count as usize {
        let name = names.get(index).cloned().unwrap_or_default();
        let link = modes.get(index).is_some_and(|mode| mode & 0o170_000 == 0o120_000);
        let stream = if empty.get(index) == Some(&true) { None } else { next.next() };
        let (folder, offset, len, crc) = match stream {
            Some((folder, offset, len, crc)) => (Some(folder), offset, len, crc),
            None => (None, 0, 0, None),
        };
        facts.members.push(Member { name, folder, offset, len, link, crc });
    }
    Some(())
}

/// The target of a link, from its bytes.
#[must_use]
pub fn target(bytes: &dyn Source) -> String {
    let mut text = Vec::new();
    let reader = crate::inflate::SourceReader::new(bytes, 0);
    let _ = reader.take(4_096).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
