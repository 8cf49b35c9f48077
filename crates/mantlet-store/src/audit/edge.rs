//! The right edge of the log: what has to be known to append.

use std::path::Path;

use mantlet_seal::log::{
    Checkpoint, Frontier, Hash, TILE_WIDTH, bundle_path, leaf, pack_entry, tile_path, unpack_entries,
};

use super::disk::ENTRY_BYTES;
use super::read::{Tiles, read_tile, read_whole};
use crate::StoreError;
use crate::error::AuditError;

/// A path in the log's folder and the bytes to write there.
pub(super) type NewFile = (String, Vec<u8>);

#[derive(Clone, Default)]
pub(super) struct Edge {
    pub(super) frontier: Frontier,
    /// The entries of the last, partial bundle.
    bundle: Vec<u8>,
    /// The hashes of the last, partial tile of each level.
    tiles: Vec<Vec<Hash>>,
}

impl Edge {
    /// Reads the right edge and checks it against the signed root.
    pub(super) fn load(folder: &Path, head: &Checkpoint) -> Result<Self, StoreError> {
        let mut tiles = Vec::new();
        let mut level = 0;
        while head.size >> (8 * level) > 0 {
            let count = head.size >> (8 * level);
            tiles.push(match count % TILE_WIDTH {
                0 => Vec::new(),
                width => read_tile(folder, level, count / TILE_WIDTH, width)?,
            });
            level += 1;
        }
        let frontier = Frontier::load(&Tiles::new(folder, head.size), head.size);
        let frontier = frontier.map_err(|_| AuditError::Root)?;
        let (index, width) = (head.size / TILE_WIDTH, head.size % TILE_WIDTH);
        let mut bundle = Vec::new();
        if width > 0 {
            let path = bundle_path(index, width);
            bundle = read_whole(folder, &path)?
                .ok_or(AuditError::Cut { first: index * TILE_WIDTH, size: head.size })?;
            check_bundle(&bundle, index * TILE_WIDTH, tiles.first().map_or(&[], Vec::as_slice))?;
        }
        if frontier.root() != head.root {
            return Err(AuditError::Root.into());
        }
        Ok(Self { frontier, bundle, tiles })
    }

    /// Moves the edge over these entries; gives the files to write, each once.
    pub(super) fn push(&mut self, entries: &[Vec<u8>]) -> Result<Vec<NewFile>, StoreError> {
        let mut files = Vec::new();
        let Self { frontier, bundle, tiles } = self;
        let mut touched = Vec::new();
        for entry in entries {
            let index = frontier.size();
            pack_entry(bundle, entry)
                .map_err(|_| AuditError::TooLong { len: entry.len(), most: ENTRY_BYTES })?;
            frontier.push(leaf(entry), |height, position, hash| {
                if height % 8 != 0 {
                    return;
                }
                let level = usize::from(height / 8);
                if tiles.len() <= level {
                    tiles.resize_with(level + 1, Vec::new);
                }
                tiles[level].push(hash);
                touched.push(level);
                if tiles[level].len() as u64 == TILE_WIDTH {
                    let full = std::mem::take(&mut tiles[level]);
                    files.push((tile_path(height / 8, position / TILE_WIDTH, TILE_WIDTH), full.concat()));
                }
            });
            if (index + 1) % TILE_WIDTH == 0 {
                files.push((bundle_path(index / TILE_WIDTH, TILE_WIDTH), std::mem::take(bundle)));
            }
        }
        let size = frontier.size();
        if !bundle.is_empty() {
            files.push((bundle_path(size / TILE_WIDTH, size % TILE_WIDTH), bundle.clone()));
        }
        touched.sort_unstable();
        touched.dedup();
        for level in touched.into_iter().filter(|level| !tiles[*level].is_empty()) {
            let height = u8::try_from(level).unwrap_or(u8::MAX);
            let index = (size >> (8 * level)) / TILE_WIDTH;
            files.push((tile_path(height, index, tiles[level].len() as u64), tiles[level].concat()));
        }
        Ok(files)
    }
}

/// Compares a bundle's entries with their hashes; `first` is the index of its first entry.
pub(super) fn check_bundle(bundle: &[u8], first: u64, hashes: &[Hash]) -> Result<(), AuditError> {
    let (entries, whole) = entries_of(bundle);
    for (at, hash) in hashes.iter().enumerate() {
        let index = first + at as u64;
        match entries.get(at) {
            Some(entry) if leaf(entry) == *hash => {}
            None if whole => return Err(AuditError::Cut { first: index, size: first + hashes.len() as u64 }),
            _ => return Err(AuditError::Entry { index }),
        }
    }
    if whole && entries.len() == hashes.len() {
        return Ok(());
    }
    Err(AuditError::Entry { index: first + hashes.len() as u64 })
}

/// The entries of a bundle as far as it can be read, and whether that is to its end.
pub(super) fn entries_of(bundle: &[u8]) -> (Vec<&[u8]>, bool) {
    match unpack_entries(bundle) {
        Ok(entries) => (entries, true),
        Err(_) => {
            let mut entries = Vec::new();
            let mut rest = bundle;
            while let Some((&[high, low], after)) = rest.split_first_chunk() {
                let len = usize::from(u16::from_be_bytes([high, low]));
                let Some((entry, after)) = after.split_at_checked(len) else { break };
                entries.push(entry);
                rest = after;
            }
            (entries, false)
        }
    }
}
