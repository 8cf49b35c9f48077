//! Zip archives as two readers see them: by the central directory and by the local headers.
//!
//! Long because both readings share their fields and are compared in one place.

use std::collections::{BTreeMap, BTreeSet};

use mantlet_vocab::{Source, read_window};

use crate::Bounds;
use crate::window::Window;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name in the central directory, or in the local header for hidden members.
    pub name: String,
    /// The compression method: 0 stored, 8 deflated.
    pub method: u16,
    /// CRC-32 as declared.
    pub crc: u32,
    /// Bytes in the archive.
    pub packed: u64,
    /// Bytes when unpacked, as declared.
    pub size: u64,
    /// Offset of the local header.
    pub header: u64,
    /// Offset of the data; `None` when there is no local header.
    pub data: Option<u64>,
    /// Whether the central directory lists it.
    pub listed: bool,
    /// A symbolic link by its Unix mode.
    pub symlink: bool,
}

/// Where the two views disagree or the archive is not what writers make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZipFault {
    /// The local header has another name.
    Name {
        /// In the directory.
        listed: String,
        /// In the local header.
        local: String,
    },
    /// The local header has another compression method.
    Method(String),
    /// The local header has another size or CRC.
    Size(String),
    /// The encryption flag is set, in one view or both.
    Encrypted(String),
    /// Two members have one name.
    Duplicate(String),
    /// A member that the central directory does not list.
    Hidden(String),
    /// A listed member has no local header where it should be.
    NoLocalHeader(String),
    /// Members share bytes.
    Overlap(String),
    /// There is no end-of-directory record.
    NoEnd,
    /// The central directory is cut or not where the end record says.
    Directory,
    /// Bytes before the first member that belong to something else.
    Prefix(u64),
}

impl ZipFault {
    /// The fault in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Name { listed, local } => format!("`{listed}` is called `{local}` in its local header"),
            Self::Method(name) => format!("`{name}` has two compression methods"),
            Self::Size(name) => format!("`{name}` has two sizes or checksums"),
            Self::Encrypted(name) => format!("`{name}` has the encryption flag set"),
            Self::Duplicate(name) => format!("`{name}` is there more than once"),
            Self::Hidden(name) => format!("`{name}` is in the file but not in the directory"),
            Self::NoLocalHeader(name) => format!("`{name}` is listed but has no local header"),
            Self::Overlap(name) => format!("`{name}` shares bytes with another member"),
            Self::NoEnd => "there is no end-of-directory record".into(),
            Self::Directory => "the central directory is damaged".into(),
            Self::Prefix(len) => format!("{len} bytes come before the first member"),
        }
    }
}

/// The facts of a zip archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Zip {
    /// Members, listed ones first in directory order, then hidden ones.
    pub entries: Vec<Entry>,
    /// Faults with the offset they were seen at.
    pub faults: Vec<(ZipFault, u64)>,
    /// Symbolic links: name, where each leads, and offset. Whoever unpacks the members fills them in.
    pub links: Vec<(String, String, u64)>,
    /// Stretches between members and before the directory that belong to none of them: start and end.
    pub gaps: Vec<(u64, u64)>,
    /// What was not followed, in words.
    pub limits: Vec<String>,
}

impl Zip {
    /// The folder torch keeps its members in, when this is a file of `torch.save`.
    #[must_use]
    pub fn torch_root(&self) -> Option<&str> {
        self.entries.iter().find_map(|entry| {
            let root = entry.name.strip_suffix("data.pkl")?;
            (root.is_empty() || root.ends_with('/') && root.matches('/').count() == 1).then_some(root)
        })
    }

    fn fault(&mut self, fault: ZipFault, at: u64) {
        if self.faults.len() < 256 {
            self.faults.push((fault, at));
        }
    }
}

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
/// Bytes between members that are searched for hidden headers.
const MAX_GAP: u64 = 32 << 20;
/// Shorter gaps are descriptors and padding; of many the first are told.
const MIN_GAP: u64 = 512;
const MAX_GAPS: usize = 16;
const MAX_NAME: usize = 1_024;
const LONG_NAME: &str = "a member has a name of more than";

struct End {
    entries: u64,
    offset: u64,
    /// What offsets in the directory must be moved by: bytes put before the archive.
    moved: u64,
}

/// Whether the bytes have a zip's end record or begin with a local header.
#[must_use]
pub fn is_zip(source: &dyn Source) -> bool {
    let head = read_window(source, 0, 4).unwrap_or_default();
    head == LOCAL || find_end(source).is_some()
}

fn u16_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 2).map_or(0, |b| u64::from(u16::from_le_bytes([b[0], b[1]])))
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 4).map_or(0, |b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn find_end(source: &dyn Source) -> Option<End> {
    let len = source.len();
    let from = len.saturating_sub(65_557);
    let tail = read_window(source, from, 65_557).ok()?;
    let at = memchr::memmem::rfind_iter(&tail, b"PK\x05\x06").find(|&at| at + 22 <= tail.len())?;
    let end = &tail[at..];
    let position = from + at as u64;
    let (mut entries, mut size, mut offset) = (u16_at(end, 10), u32_at(end, 12), u32_at(end, 16));
    let mut directory_end = position;
    if let Some(locator) = at.checked_sub(20).and_then(|from| tail.get(from..at))
        && locator.starts_with(b"PK\x06\x07")
    {
        let mut record_at = u64_at(locator, 8);
        let mut record = read_window(source, record_at, 56).ok()?;
        if !record.starts_with(b"PK\x06\x06") {
            record_at = position.checked_sub(76)?;
            record = read_window(source, record_at, 56).ok()?;
        }
        if record.starts_with(b"PK\x06\x06") {
            (entries, size, offset) = (u64_at(&record, 32), u64_at(&record, 40), u64_at(&record, 48));
            directory_end = record_at;
        }
    }
    let actual = directory_end.checked_sub(size).unwrap_or(offset);
    let is_directory = |at: u64| read_window(source, at, 4).is_ok_and(|head| head == CENTRAL);
    let (offset, moved) = if entries > 0 && !is_directory(actual) && is_directory(offset) {
        (offset, 0)
    } else {
        (actual, actual.saturating_sub(offset))
    };
    Some(End { entries, offset, moved })
}

/// The facts of a zip archive. Never fails: what is broken is a fault.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Zip {
    let mut zip = Zip::default();
    let mut directory_at = source.len();
    if let Some(end) = find_end(source) {
        directory_at = end.offset;
        directory(source, bounds, &end, &mut zip);
    } else {
        zip.fault(ZipFault::NoEnd, source.len());
    }
    local_headers(source, &mut zip);
    hidden(source, bounds, directory_at, &mut zip);
    let mut seen = BTreeSet::new();
    let mut doubled = Vec::new();
    for entry in &zip.entries {
        if !seen.insert(entry.name.as_str()) {
            doubled.push((ZipFault::Duplicate(entry.name.clone()), entry.header));
        }
    }
    for (fault, at) in doubled {
        zip.fault(fault, at);
    }
    zip
}

fn directory(source: &dyn Source, bounds: &Bounds, end: &End, zip: &mut Zip) {
    let mut window = Window::new(source, end.offset);
    let mut kept = 0;
    for index in 0..end.entries {
        let at = window.offset();
        let Some(fixed) = window.array::<46>().filter(|fixed| fixed.starts_with(&CENTRAL)) else {
            zip.fault(ZipFault::Directory, at);
            return;
        };
        let lens = [u16_at(&fixed, 28), u16_at(&fixed, 30), u16_at(&fixed, 32)];
        let (Some(name), Some(extra)) = (
            window.take(lens[0] as usize).map(<[u8]>::to_vec),
            window.take(lens[1] as usize).map(<[u8]>::to_vec),
        ) else {
            zip.fault(ZipFault::Directory, at);
            return;
        };
        if !window.skip(lens[2]) {
            zip.fault(ZipFault::Directory, at);
        }
        kept += name.len().min(MAX_NAME);
        if name.len() > MAX_NAME && !zip.limits.iter().any(|limit| limit.starts_with(LONG_NAME)) {
            zip.limits.push(format!("{LONG_NAME} {MAX_NAME} bytes: what it ends with is not seen"));
        }
        if index as usize >= bounds.max_members || kept > bounds.max_header {
            zip.limits.push(format!("only the first {index} members are examined"));
            return;
        }
        let mut entry = Entry {
            name: text(&name),
            method: u16_at(&fixed, 10) as u16,
            crc: u32_at(&fixed, 16) as u32,
            packed: u32_at(&fixed, 20),
            size: u32_at(&fixed, 24),
            header: u32_at(&fixed, 42),
            data: None,
            listed: true,
            symlink: fixed[5] == 3 && (u32_at(&fixed, 38) >> 16) & 0o170_000 == 0o120_000,
        };
        zip64(&extra, &mut entry);
        let other = other_name(&extra).filter(|other| *other != entry.name);
        if let Some(other) = other.filter(|other| !spelled_plainly(&entry.name, other)) {
            zip.fault(ZipFault::Name { listed: entry.name.clone(), local: other }, at);
        }
        entry.header = entry.header.saturating_add(end.moved);
        if u16_at(&fixed, 8) & 1 == 1 {
            zip.fault(ZipFault::Encrypted(entry.name.clone()), at);
        }
        zip.entries.push(entry);
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name.get(..MAX_NAME).unwrap_or(name)).into_owned()
}

/// The name that some readers take instead (APPNOTE 4.6.9), of which the checksum is not looked at.
fn other_name(extra: &[u8]) -> Option<String> {
    let mut at = 0;
    while at + 4 <= extra.len() {
        let (id, len) = (u16_at(extra, at), u16_at(extra, at + 2) as usize);
        if id == 0x7075 {
            return extra.get(at + 9..at + 4 + len).map(text);
        }
        at += 4 + len;
    }
    None
}

/// Whether a name is another one as writers spell it for readers that know no letters beyond ASCII.
fn spelled_plainly(plain: &str, whole: &str) -> bool {
    let mut letters = plain.chars();
    whole.chars().all(|letter| match letters.next() {
        Some('_' | '?' | '#') if !letter.is_ascii() => letter.is_alphanumeric(),
        other => other == Some(letter),
    }) && letters.next().is_none()
        || renamed_in_place(plain, whole)
}

/// Whether only parts that no reader without letters beyond ASCII could show are called otherwise: folder by folder the
/// same place, the same ending, and nothing that a loader looks for, for such names are plain.
fn renamed_in_place(plain: &str, whole: &str) -> bool {
    let ending = |part: &str| part.rsplit_once('.').map(|(_, ending)| ending.to_owned());
    let letters = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '(' | ')');
    let same = |(one, other): (&str, &str)| {
        let foreign = other.chars().any(|c| !c.is_ascii() && c.is_alphanumeric());
        one == other
            || foreign && other.chars().all(letters) && ending(one) == ending(other) && !one.starts_with('.')
    };
    let parts = |name: &str| name.split('/').count();
    let ends = plain.rsplit('/').next().is_some_and(|last| last.contains('.'));
    ends && parts(plain) == parts(whole) && plain.split('/').zip(whole.split('/')).all(same)
}

/// The 64-bit sizes of the extra field, for the sizes that are all ones.
fn zip64(extra: &[u8], entry: &mut Entry) {
    let mut at = 0;
    while at + 4 <= extra.len() {
        let (id, len) = (u16_at(extra, at), u16_at(extra, at + 2) as usize);
        if id == 1 {
            let mut next = at + 4;
            for value in [&mut entry.size, &mut entry.packed, &mut entry.header] {
                if *value == 0xffff_ffff && next + 8 <= extra.len() {
                    *value = u64_at(extra, next);
                    next += 8;
                }
            }
        }
        at += 4 + len;
    }
}

struct Local {
    name: String,
    flags: u64,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    data: u64,
}

fn local(source: &dyn Source, at: u64) -> Option<Local> {
    let fixed =
        read_window(source, at, 30).ok().filter(|fixed| fixed.len() == 30 && fixed.starts_with(&LOCAL))?;
    let (name_len, extra_len) = (u16_at(&fixed, 26), u16_at(&fixed, 28));
    let name = read_window(source, at + 30, name_len as usize).ok()?;
    let mut entry = Entry {
        name: text(&name),
        method: u16_at(&fixed, 8) as u16,
        crc: u32_at(&fixed, 14) as u32,
        packed: u32_at(&fixed, 18),
        size: u32_at(&fixed, 22),
        header: 0,
        data: None,
        listed: false,
        symlink: false,
    };
    if entry.packed == 0xffff_ffff || entry.size == 0xffff_ffff {
        zip64(&read_window(source, at + 30 + name_len, extra_len as usize).ok()?, &mut entry);
    }
    Some(Local {
        name: entry.name,
        flags: u16_at(&fixed, 6),
        method: entry.method,
        crc: entry.crc,
        packed: entry.packed,
        size: entry.size,
        data: at.checked_add(30 + name_len + extra_len)?,
    })
}

/// Reads the local header of each listed member and compares.
fn local_headers(source: &dyn Source, zip: &mut Zip) {
    let mut faults = Vec::new();
    for entry in &mut zip.entries {
        let Some(local) = local(source, entry.header) else {
            faults.push((ZipFault::NoLocalHeader(entry.name.clone()), entry.header));
            continue;
        };
        entry.data = Some(local.data);
        let name = || entry.name.clone();
        if local.name != entry.name {
            faults.push((ZipFault::Name { listed: name(), local: local.name.clone() }, entry.header));
        }
        if local.method != entry.method {
            faults.push((ZipFault::Method(name()), entry.header));
        }
        if local.flags & 1 == 1 {
            faults.push((ZipFault::Encrypted(name()), entry.header));
        }
        // With bit 3 the sizes follow the data and the header may hold zeros.
        let later = local.flags & 8 != 0;
        let differs = |local: u64, listed: u64| local != listed && !(later && local == 0);
        if differs(local.packed, entry.packed)
            || differs(local.size, entry.size)
            || differs(u64::from(local.crc), u64::from(entry.crc))
        {
            faults.push((ZipFault::Size(name()), entry.header));
        }
    }
    for (fault, at) in faults {
        zip.fault(fault, at);
    }
}

/// Looks for members between, before and after the listed ones.
fn hidden(source: &dyn Source, bounds: &Bounds, directory_at: u64, zip: &mut Zip) {
    let mut claimed: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
    for (index, entry) in zip.entries.iter().enumerate() {
        if let Some(data) = entry.data {
            claimed.entry(entry.header).or_insert((data.saturating_add(entry.packed), index));
        }
    }
    let mut at = 0;
    let mut searched = 0;
    let mut overlaps = Vec::new();
    let regions: Vec<(u64, u64, usize)> =
        claimed.into_iter().map(|(start, (end, index))| (start, end, index)).collect();
    let ends = [(directory_at, directory_at, usize::MAX)];
    for (start, end, index) in regions.iter().chain(&ends).copied() {
        if start > at {
            gap(source, bounds, at, start, &mut searched, zip);
            if at > 0 && start - at >= MIN_GAP && zip.gaps.len() < MAX_GAPS {
                zip.gaps.push((at, start));
            }
        } else if start < at && index != usize::MAX {
            overlaps.push((ZipFault::Overlap(zip.entries[index].name.clone()), start));
        }
        at = at.max(end);
    }
    for (fault, at) in overlaps {
        zip.fault(fault, at);
    }
}

fn gap(source: &dyn Source, bounds: &Bounds, from: u64, to: u64, searched: &mut u64, zip: &mut Zip) {
    // A data descriptor: 12 to 24 bytes with or without its signature.
    if to - from <= 24 && from > 0 {
        return;
    }
    let mut at = from;
    while at < to {
        if *searched >= MAX_GAP {
            zip.limits
                .push(format!("the bytes from {at:#x} to {to:#x} belong to no member and were not searched"));
            return;
        }
        let want = (to - at).min(1 << 20);
        let window = read_window(source, at, want as usize).unwrap_or_default();
        if window.len() < 4 {
            break;
        }
        *searched += window.len() as u64;
        let Some(found) = memchr::memmem::find(&window, &LOCAL) else {
            if (window.len() as u64) < want || at + want >= to {
                break;
            }
            at += want - 3;
            continue;
        };
        let header = at + found as u64;
        at = header + 4;
        let Some(local) = local(source, header).filter(|local| local.data <= to) else { continue };
        if zip.entries.len() >= bounds.max_members {
            zip.limits.push("more members than are examined".into());
            return;
        }
        // Without sizes in the header the data may reach up to the next member.
        let unknown = local.flags & 8 != 0 && local.packed == 0;
        let packed = if unknown { to - local.data } else { local.packed.min(to - local.data) };
        if zip.faults.first().is_none_or(|(fault, _)| *fault != ZipFault::NoEnd) {
            zip.fault(ZipFault::Hidden(local.name.clone()), header);
        }
        at = if unknown { at } else { local.data.saturating_add(packed) };
        zip.entries.push(Entry {
            name: local.name,
            method: local.method,
            crc: local.crc,
            packed,
            size: local.size,
            header,
            data: Some(local.data),
            listed: false,
            symlink: false,
        });
    }
    let first = zip.entries.iter().map(|entry| entry.header).min().unwrap_or(to);
    if from == 0 && first > 0 {
        zip.fault(ZipFault::Prefix(first.min(to)), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::spelled_plainly;

    #[test]
    fn names_for_plain_readers_are_the_same_names() {
        assert!(spelled_plainly("w_rter.txt", "w\u{f6}rter.txt"));
        assert!(!spelled_plainly("vocab.txt", "../../.ssh/authorized_keys"));
        assert!(!spelled_plainly("w_rter.txt", "w/rter.txt") && !spelled_plainly("w_", "w\u{f6}r"));
        assert!(spelled_plainly("weights/readme.txt", "weights/l\u{e9}ame.txt"));
        assert!(spelled_plainly("a1/x.txt", "\u{6a21}\u{578b}/x.txt"));
        // Another name in plain letters, another place and another ending are what another reader acts on.
        for other in ["weights/config.txt", "l\u{e9}ame.txt", "weights/l\u{e9}ame.py", "../l\u{e9}ame.txt"] {
            assert!(!spelled_plainly("weights/readme.txt", other), "{other}");
        }
    }
}
