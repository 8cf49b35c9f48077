//! Data sets that are stored in chunks: their numbers put together, as far as they are few.
//!
//! Chunks are found through the B-tree of version 1 that the library writes by default, or lie one after another; filters
//! are undone where they are those of the library (deflate, shuffle, Fletcher's checksum).

use mantlet_vocab::{MemorySource, Source, read_window};

use super::{Walk, walk};
use crate::Bounds;
use crate::inflate::{Inflated, Wrapper};
use crate::weights::{Dtype, TensorInfo};

/// Bytes of one data set, and of all, that are put together.
const OF_ONE: u64 = 8 << 20;
const OF_ALL: u64 = 32 << 20;
/// Chunks and nodes of one data set.
const MAX_CHUNKS: usize = 16_384;
/// Levels of a tree.
const MAX_LEVELS: u8 = 8;

/// Where the chunks are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// A B-tree of version 1 at this address.
    Tree(u64),
    /// One chunk at this address, of this many stored bytes when it is filtered.
    Single(u64, Option<u64>),
    /// All of them one after another from this address.
    Implicit(u64),
}

/// A data set in chunks.
#[derive(Debug, Clone)]
pub(super) struct Chunked {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<u64>,
    pub(super) chunk: Vec<u64>,
    pub(super) index: Index,
    pub(super) filters: Vec<u64>,
    pub(super) width: u64,
}

/// The data sets of an HDF5 file that are stored in chunks, each with its bytes; `start` of each is that in its bytes.
/// Those that are too large, or filtered in ways of others, are left out.
#[must_use]
pub fn chunked(source: &dyn Source, bounds: &Bounds) -> Vec<(TensorInfo, Vec<u8>)> {
    let walk = walk(source, bounds, Some(Vec::new()));
    let (mut found, mut budget) = (Vec::new(), OF_ALL);
    for set in &walk.chunked {
        let count = set.shape.iter().try_fold(1_u64, |count, &extent| count.checked_mul(extent));
        let len = count.and_then(|count| count.checked_mul(set.width));
        let Some(len) = len.filter(|&len| len > 0 && len <= OF_ONE && len <= budget) else { continue };
        budget -= len;
        if let Some(bytes) = walk.joined(set, len as usize, bounds) {
            let (name, dtype, shape) = (set.name.clone(), set.dtype.clone(), set.shape.clone());
            found.push((TensorInfo { name, dtype, shape, start: 0, len }, bytes));
        }
    }
    found.sort_by(|one, other| one.0.name.cmp(&other.0.name));
    found
}

impl Walk<'_> {
    /// The bytes of a data set, zeros where no chunk is stored.
    fn joined(&self, set: &Chunked, len: usize, bounds: &Bounds) -> Option<Vec<u8>> {
        let rank = set.shape.len();
        if rank == 0 || rank > 8 || set.chunk.len() != rank || set.chunk.contains(&0) || set.width == 0 {
            return None;
        }
        let size = set.chunk.iter().try_fold(set.width, |size, &extent| size.checked_mul(extent))?;
        if size > OF_ONE {
            return None;
        }
        let mut out = vec![0; len];
        let mut chunks = Vec::new();
        match set.index {
            Index::Tree(root) => self.leaves(root, rank, MAX_LEVELS, &mut chunks)?,
            Index::Single(at, stored) => chunks.push((vec![0; rank], at, stored.unwrap_or(size), 0)),
            Index::Implicit(first) => {
                let mut place = vec![0; rank];
                loop {
                    let at = first.checked_add(size.checked_mul(chunks.len() as u64)?)?;
                    chunks.push((place.clone(), at, size, 0));
                    let next = (0..rank).rev().find(|&axis| {
                        place[axis] += set.chunk[axis];
                        let inside = place[axis] < set.shape[axis];
                        if !inside {
                            place[axis] = 0;
                        }
                        inside
                    });
                    if next.is_none() || chunks.len() >= MAX_CHUNKS {
                        break;
                    }
                }
            }
        }
        let mut budget = 4 * OF_ONE;
        for (place, at, stored, skipped) in chunks {
            budget = budget.checked_sub(stored.max(size))?;
            let at = self.base.checked_add(at)?;
            let raw = read_window(self.source, at, usize::try_from(stored).ok()?).ok()?;
            let bytes = unfiltered(raw, &set.filters, skipped, set.width as usize, size, bounds)?;
            put(&mut out, set, &place, &bytes);
        }
        Some(out)
    }

    /// The chunks below a node: where each begins, its address, its stored bytes, and the filters that were left out.
    fn leaves(
        &self,
        node: u64,
        rank: usize,
        levels: u8,
        out: &mut Vec<(Vec<u64>, u64, u64, u64)>,
    ) -> Option<()> {
        let head = self.read(node, 8 + 2 * self.widths.0 as u64)?;
        let mut bytes = self.bytes(head.strip_prefix(b"TREE")?);
        let (kind, level, used) = (bytes.byte()?, bytes.byte()?, bytes.number(2)?);
        if kind != 1 || levels == 0 {
            return None;
        }
        let entry = 8 + 8 * (rank as u64 + 1) + self.widths.0 as u64;
        let start = node.checked_add(8 + 2 * self.widths.0 as u64)?;
        let body = self.read(start, entry.checked_mul(used)?)?;
        let mut bytes = self.bytes(&body);
        for _ in 0..used {
            let (stored, skipped) = (bytes.number(4)?, bytes.number(4)?);
            let place = (0..rank).map(|_| bytes.number(8)).collect::<Option<Vec<u64>>>()?;
            bytes.number(8)?;
            let child = bytes.address()?;
            if out.len() >= MAX_CHUNKS {
                return None;
            }
            if level == 0 {
                out.push((place, child, stored, skipped));
            } else {
                self.leaves(child, rank, levels - 1, out)?;
            }
        }
        Some(())
    }
}

/// The bytes of a chunk as they were before the filters.
fn unfiltered(
    mut bytes: Vec<u8>,
    filters: &[u64],
    skipped: u64,
    width: usize,
    size: u64,
    bounds: &Bounds,
) -> Option<Vec<u8>> {
    for (index, filter) in filters.iter().enumerate().rev() {
        if skipped >> index.min(63) & 1 == 1 {
            continue;
        }
        bytes = match filter {
            1 => {
                let inner = MemorySource::new(&bytes);
                let inflated = Inflated::open(&inner, Wrapper::Zlib, bounds, size.saturating_add(64));
                read_window(&inflated, 0, size as usize + 64).ok()?
            }
            2 => {
                let count = bytes.len() / width;
                let mut turned = bytes.clone();
                for at in 0..count * width {
                    turned[at % count * width + at / count] = bytes[at];
                }
                turned
            }
            3 => bytes.get(..bytes.len().checked_sub(4)?)?.to_vec(),
            _ => return None,
        };
    }
    Some(bytes)
}

/// Puts a chunk where it belongs, line by line along the last axis; what lies outside the data set is left out.
fn put(out: &mut [u8], set: &Chunked, place: &[u64], bytes: &[u8]) {
    let (rank, width) = (set.shape.len(), set.width);
    let line = set.chunk[rank - 1].saturating_mul(width);
    for (number, piece) in bytes.chunks_exact(line as usize).enumerate() {
        let (mut rest, mut at, mut stride, mut inside) = (number as u64, 0_u64, 1_u64, true);
        for axis in (0..rank).rev() {
            let within = if axis == rank - 1 {
                0
            } else {
                let within = rest % set.chunk[axis];
                rest /= set.chunk[axis];
                within
            };
            let index = place[axis].saturating_add(within);
            inside &= index < set.shape[axis];
            at = at.saturating_add(index.saturating_mul(stride));
            stride = stride.saturating_mul(set.shape[axis]);
        }
        if !inside || rest > 0 {
            continue;
        }
        let room = set.shape[rank - 1] - place[rank - 1];
        let len = room.saturating_mul(width).min(line) as usize;
        let Ok(start) = usize::try_from(at.saturating_mul(width)) else { continue };
        if let (Some(out), Some(piece)) = (out.get_mut(start..start.saturating_add(len)), piece.get(..len)) {
            out.copy_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_where_they_belong() {
        let set = Chunked {
            name: "w".into(),
            dtype: Dtype::Int { width: 1, signed: false },
            shape: vec![3, 5],
            chunk: vec![2, 3],
            index: Index::Implicit(0),
            filters: vec![],
            width: 1,
        };
        let mut out = vec![0; 15];
        put(&mut out, &set, &[0, 0], &[1, 2, 3, 4, 5, 6]);
        put(&mut out, &set, &[2, 3], &[7, 8, 9, 1, 1, 1]);
        assert_eq!(out, [1, 2, 3, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0, 7, 8]);
    }

    #[test]
    fn filters_are_undone() {
        let bounds = Bounds::default();
        let shuffled = vec![1, 3, 5, 2, 4, 6, 0, 0, 0, 0];
        assert_eq!(unfiltered(shuffled, &[2, 3], 0, 2, 6, &bounds).unwrap(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(unfiltered(vec![9], &[307], 0, 2, 6, &bounds), None);
        assert_eq!(unfiltered(vec![9], &[307], 1, 2, 6, &bounds).unwrap(), [9]);
    }
}
