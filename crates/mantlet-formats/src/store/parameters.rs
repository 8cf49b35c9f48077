//! Lists of parameters beside a model: the index of a checkpoint of TensorFlow, whose numbers lie in shards, and the
//! parameters of TVM.

use mantlet_vocab::{Source, read_window};

use crate::proto::{Fields, Value, varint};
use crate::structure::Structure;
use crate::window::Window;

/// The last bytes of an index, and the first of parameters and of each array.
const INDEX: u64 = 0xdb47_7524_8b80_fb57;
const PARAMETERS: u64 = 0xF7E5_8D4F_0504_9CB7;
const ARRAY: u64 = 0xDD5E_40F0_96B4_A13F;
const FOOTER: u64 = 48;
/// Bytes of a block of an index, its blocks, its entries.
const MAX_BLOCK: u64 = 8 << 20;
const MAX_BLOCKS: usize = 100_000;
const MAX_ENTRIES: usize = 1_000_000;
/// Shards of one checkpoint.
const MAX_SHARDS: u64 = 10_000;
/// Bytes that padding may take.
const SLACK: u64 = 64;
const MAX_ARRAYS: u64 = 1_000_000;
const MAX_RANK: i32 = 32;

/// A list of parameters, and for the shards of a checkpoint how long each has to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Its structure.
    pub facts: Structure,
    /// The ends of the tensors in each shard.
    pub shards: Vec<u64>,
}

/// The parameters in a file; `None` for one of another kind.
#[must_use]
pub fn parameters(source: &dyn Source) -> Option<Parameters> {
    let word = |at: u64| {
        let bytes = read_window(source, at, 8).ok()?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    };
    if word(0) == Some(PARAMETERS) {
        return Some(Parameters { facts: tvm(source), shards: Vec::new() });
    }
    let end = source.len().checked_sub(8)?;
    (source.len() >= FOOTER && word(end) == Some(INDEX)).then(|| index(source))
}

/// The blocks of a sorted table.
struct Table<'a> {
    window: Window<'a>,
    facts: Structure,
    /// Bytes that belong to blocks.
    claimed: u64,
    entries: usize,
}

/// A key and where its value lies.
type Entry = (Vec<u8>, u64, u64);

fn index(source: &dyn Source) -> Parameters {
    let mut table = Table {
        window: Window::new(source, 0),
        facts: Structure::of("TensorFlow index"),
        claimed: FOOTER,
        entries: 0,
    };
    let mut ends = Vec::new();
    let footer = source.len() - FOOTER;
    table.window.seek(footer);
    let mut number = || varint(&mut table.window);
    let handles = (|| Some([(number()?, number()?), (number()?, number()?)]))();
    let Some([meta, list]) = handles else {
        table.facts.defect("its last bytes do not say where its blocks are", footer);
        return Parameters { facts: table.facts, shards: ends };
    };
    let _ = table.block(meta, footer);
    let blocks = table.block(list, footer);
    let mut shards = 1;
    for (place, (_, start, end)) in blocks.into_iter().enumerate() {
        if place >= MAX_BLOCKS {
            table.facts.limit(format!("it has more than {MAX_BLOCKS} blocks"));
            break;
        }
        table.window.seek(start);
        let handle = (varint(&mut table.window), varint(&mut table.window));
        let (Some(at), Some(len)) = handle else {
            table.facts.defect("a block has no place", start);
            continue;
        };
        let _ = end;
        for (key, start, end) in table.block((at, len), footer) {
            if key.is_empty() {
                shards = table.number(start, end, 1).unwrap_or(1).clamp(1, MAX_SHARDS);
                continue;
            }
            table.tensor(start, end, shards, &mut ends);
        }
    }
    let loose = source.len().saturating_sub(table.claimed);
    if loose > SLACK && table.facts.defects.is_empty() && table.facts.limits.is_empty() {
        table.facts.defect(format!("{loose} of its bytes belong to no block"), 0);
    }
    Parameters { facts: table.facts, shards: ends }
}

impl Table<'_> {
    /// The entries of a block.
    fn block(&mut self, (at, len): (u64, u64), before: u64) -> Vec<Entry> {
        let mut entries = Vec::new();
        // A byte says how it is packed, four are its checksum.
        let end = at.checked_add(len).filter(|end| end.checked_add(5).is_some_and(|end| end <= before));
        let Some(end) = end.filter(|_| (4..=MAX_BLOCK).contains(&len)) else {
            self.facts.defect("a block lies outside of the file, or is of no size a block has", at);
            return entries;
        };
        self.claimed = self.claimed.saturating_add(len + 5);
        self.window.seek(end);
        if self.window.byte() != Some(0) {
            self.facts.limit("a block of it is packed, and not followed");
            return entries;
        }
        self.window.seek(end - 4);
        let restarts = self.window.array().map_or(0, u32::from_le_bytes);
        let Some(last) = u64::from(restarts).checked_mul(4).and_then(|len| (end - 4).checked_sub(len)) else {
            self.facts.defect("a block says that it has more marks than it has bytes", at);
            return entries;
        };
        let (mut next, mut key) = (at, Vec::new());
        while next < last {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                self.facts.limit(format!("it has more than {MAX_ENTRIES} entries"));
                return entries;
            }
            self.window.seek(next);
            let read = (varint(&mut self.window), varint(&mut self.window), varint(&mut self.window));
            let (Some(shared), Some(more), Some(value)) = read else { break };
            let start = self.window.offset();
            let fits = start.checked_add(more).and_then(|from| Some((from, from.checked_add(value)?)));
            let fits = fits.filter(|&(_, to)| to <= last && shared <= key.len() as u64 && more <= 65_536);
            let Some((from, to)) = fits else {
                self.facts.defect("an entry does not fit into its block", next);
                return entries;
            };
            key.truncate(shared as usize);
            for _ in 0..more {
                key.extend(self.window.byte());
            }
            entries.push((key.clone(), from, to));
            next = to;
        }
        entries
    }

    /// The first number of a field.
    fn number(&mut self, start: u64, end: u64, wanted: u64) -> Option<u64> {
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            if let (true, Value::Number(number)) = (field.number == wanted, field.value) {
                return Some(number);
            }
        }
        None
    }

    /// The entry of one tensor: which shard it is in, and where.
    fn tensor(&mut self, start: u64, end: u64, shards: u64, ends: &mut Vec<u64>) {
        let shard = self.number(start, end, 3).unwrap_or(0);
        let offset = self.number(start, end, 4).unwrap_or(0);
        let size = self.number(start, end, 5).unwrap_or(0);
        let last = offset.checked_add(size).filter(|&last| last < 1 << 62);
        let (Some(last), true) = (last, shard < shards) else {
            self.facts.defect("a tensor lies in no shard, or past what a file can hold", start);
            return;
        };
        if ends.len() <= shard as usize {
            ends.resize(shard as usize + 1, 0);
        }
        ends[shard as usize] = ends[shard as usize].max(last);
    }
}

/// The parameters of TVM: names, then arrays with their shapes and bytes.
fn tvm(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("TVM parameters");
    let mut window = Window::new(source, 16);
    let broken = read_tvm(&mut window, &mut facts);
    if let Some(what) = broken {
        let at = window.offset();
        facts.defect(what, at);
    } else if facts.limits.is_empty() {
        facts.end = window.offset();
    }
    facts
}

fn read_tvm(window: &mut Window<'_>, facts: &mut Structure) -> Option<&'static str> {
    const SHORT: &str = "it ends within its parameters";
    let word = |window: &mut Window<'_>| window.array().map(u64::from_le_bytes);
    let Some(names) = word(window) else { return Some(SHORT) };
    if names > MAX_ARRAYS {
        return Some("it has more parameters than any model");
    }
    for _ in 0..names {
        let Some(len) = word(window) else { return Some(SHORT) };
        if len > 65_536 || len > window.rest() {
            return Some("a name is longer than the file, or than any name");
        }
        let name = window.take(len as usize).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        facts.says("name", &name.unwrap_or_default());
    }
    let Some(arrays) = word(window) else { return Some(SHORT) };
    if arrays != names {
        return Some("it has not as many arrays as names");
    }
    for _ in 0..arrays {
        if (word(window), word(window)) != (Some(ARRAY), Some(0)) {
            return Some("an array does not begin like one");
        }
        let small = |window: &mut Window<'_>| window.array().map(i32::from_le_bytes);
        let (Some(_), Some(_), Some(rank)) = (small(window), small(window), small(window)) else {
            return Some(SHORT);
        };
        let Some([_, bits, low, high]) = window.array() else { return Some(SHORT) };
        if !(0..=MAX_RANK).contains(&rank) {
            return Some("an array has more axes than any");
        }
        let mut count = 1_u64;
        for _ in 0..rank {
            let Some(extent) = word(window) else { return Some(SHORT) };
            count = count.saturating_mul(extent);
        }
        let Some(len) = word(window) else { return Some(SHORT) };
        let lanes = u64::from(u16::from_le_bytes([low, high]));
        let needs = count.saturating_mul(lanes).saturating_mul(u64::from(bits).div_ceil(8));
        if len != needs {
            return Some("the bytes of an array are not those of its shape");
        }
        if !window.skip(len) {
            return Some(SHORT);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    fn block(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in entries {
            out.extend([0, key.len() as u8, value.len() as u8]);
            out.extend(key.bytes());
            out.extend(value);
        }
        out.extend([0, 0, 0, 0, 1, 0, 0, 0]);
        out
    }

    /// An index of one tensor of 40 bytes at this offset and in this shard.
    fn checkpoint(shard: u8, offset: u8, hidden: usize) -> Vec<u8> {
        let entry = vec![8, 1, 0x18, shard, 0x20, offset, 0x28, 40];
        let data = block(&[("", vec![8, 2]), ("dense/kernel", entry)]);
        let mut out = data.clone();
        out.extend([0; 5]);
        out.extend(vec![7; hidden]);
        let meta = out.len() as u8;
        out.extend(block(&[]));
        out.extend([0; 5]);
        let list = out.len() as u8;
        let blocks = block(&[("e", vec![0, data.len() as u8])]);
        out.extend(&blocks);
        out.extend([0; 5]);
        let mut footer = vec![meta, 8, list, blocks.len() as u8];
        footer.resize(40, 0);
        out.extend(footer);
        out.extend(INDEX.to_le_bytes());
        out
    }

    fn read(bytes: &[u8]) -> Parameters {
        parameters(&MemorySource::new(bytes)).unwrap()
    }

    #[test]
    fn an_index_says_where_its_tensors_end() {
        let found = read(&checkpoint(1, 60, 0));
        assert_eq!((found.facts.defects.len(), found.shards), (0, vec![0, 100]));
        assert_eq!(read(&checkpoint(2, 60, 0)).facts.defects.len(), 1, "a shard that is not there");
        assert_eq!(read(&checkpoint(1, 60, 70)).facts.defects.len(), 1, "bytes of no block");
        let mut packed = checkpoint(1, 60, 0);
        let at = block(&[("", vec![8, 2]), ("dense/kernel", vec![0; 8])]).len();
        packed[at] = 1;
        assert_eq!(read(&packed).facts.limits.len(), 1);
    }

    fn params(extent: u64, len: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let words =
            |out: &mut Vec<u8>, all: &[u64]| all.iter().for_each(|word| out.extend(word.to_le_bytes()));
        words(&mut out, &[PARAMETERS, 0, 1, 2]);
        out.extend(b"p0");
        words(&mut out, &[1, ARRAY, 0]);
        for small in [1_i32, 0, 1] {
            out.extend(small.to_le_bytes());
        }
        out.extend([2, 32, 1, 0]);
        words(&mut out, &[extent, len]);
        out.extend(vec![0; 12]);
        out
    }

    #[test]
    fn arrays_of_tvm_are_held_against_their_shapes() {
        let good = read(&params(3, 12)).facts;
        assert_eq!((good.defects.len(), good.end), (0, params(3, 12).len() as u64));
        assert_eq!(read(&params(3, 8)).facts.defects.len(), 1);
        assert_eq!(read(&params(u64::MAX, 12)).facts.defects.len(), 1);
    }

    #[test]
    fn whatever_is_cut_or_changed_ends() {
        for whole in [checkpoint(1, 60, 0), params(3, 12)] {
            for end in 0..whole.len() {
                let _ = parameters(&MemorySource::new(&whole[..end]));
                for byte in [0, 0x7f, 0xff] {
                    let mut other = whole.clone();
                    other[end] = byte;
                    let _ = parameters(&MemorySource::new(&other));
                }
            }
        }
        assert_eq!(
            parameters(&MemorySource::new(b"nothing of the kind, but long enough to hold a footer.")),
            None
        );
    }
}
