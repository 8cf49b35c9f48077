//! Reading the log's files; nothing here writes or locks.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mantlet_seal::log::{Checkpoint, Hash, LogVerifier, Nodes, TILE_WIDTH, bundle_path, node, tile_path};

use super::AuditEntry;
use super::disk::{CHECKPOINT, VERIFIER};
use super::edge::entries_of;
use crate::StoreError;
use crate::error::{AuditError, io};

/// Complete nodes of the log, from its tiles.
pub(super) struct Tiles {
    folder: PathBuf,
    size: u64,
}

impl Tiles {
    pub(super) fn new(folder: &Path, size: u64) -> Self {
        Self { folder: folder.to_owned(), size }
    }
}

impl Nodes for Tiles {
    fn find(&self, height: u8, index: u64) -> Option<Hash> {
        let (level, rest) = (height / 8, height % 8);
        let first = index.checked_shl(u32::from(rest))?;
        let count = self.size.checked_shr(8 * u32::from(level))?;
        let tile = first / TILE_WIDTH;
        let width = count.checked_sub(tile * TILE_WIDTH)?.min(TILE_WIDTH);
        let hashes = read_tile(&self.folder, level, tile, width).ok()?;
        let start = usize::try_from(first % TILE_WIDTH).ok()?;
        let mut nodes = hashes.get(start..start + (1 << rest))?.to_vec();
        while nodes.len() > 1 {
            nodes = nodes.chunks_exact(2).map(|pair| node(&pair[0], &pair[1])).collect();
        }
        nodes.first().copied()
    }
}

/// The hashes of a tile; another length than its width is tampering.
pub(super) fn read_tile(folder: &Path, level: u8, index: u64, width: u64) -> Result<Vec<Hash>, StoreError> {
    let path = tile_path(level, index, width);
    let (first, last) = covered(level, index, width);
    let wrong = || AuditError::Tile { path: path.clone(), first, last };
    let bytes = read_whole(folder, &path)?.ok_or_else(wrong)?;
    if bytes.len() as u64 != width * 32 {
        return Err(wrong().into());
    }
    Ok(bytes.chunks_exact(32).map(|chunk| chunk.try_into().unwrap_or_default()).collect())
}

/// First and last entry under a tile.
pub(super) const fn covered(level: u8, index: u64, width: u64) -> (u64, u64) {
    let span = 1 << (8 * level as u64);
    (index * TILE_WIDTH * span, (index * TILE_WIDTH + width) * span - 1)
}

/// A file's bytes; `None` when it is not there.
pub(super) fn read_whole(folder: &Path, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let path = folder.join(path);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(io("read", &path)(fault)),
    }
}

/// The signed head as it is on disk.
pub(super) fn read_checkpoint(
    folder: &Path,
    verifier: &LogVerifier,
) -> Result<(Checkpoint, String), StoreError> {
    let note = read_whole(folder, CHECKPOINT)?.ok_or(AuditError::NoCheckpoint)?;
    let malformed = mantlet_seal::log::LogError::Note { reason: "it is not UTF-8" };
    let note = String::from_utf8(note).map_err(|_| AuditError::Checkpoint { source: malformed })?;
    let checkpoint =
        Checkpoint::verify(&note, verifier).map_err(|source| AuditError::Checkpoint { source })?;
    Ok((checkpoint, note))
}

/// The verifier key as the folder holds it.
pub(super) fn read_verifier(folder: &Path) -> Result<LogVerifier, StoreError> {
    let path = folder.join(VERIFIER);
    let text = fs::read_to_string(&path).map_err(io("read", &path))?;
    LogVerifier::from_text(&text).map_err(|fault| AuditError::Key { path, reason: fault.to_string() }.into())
}

/// Entries from `first` on, at most `most`.
pub(super) fn read_entries(
    folder: &Path,
    verifier: &LogVerifier,
    first: u64,
    most: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    // The partial bundle's name changes with each append; a reader that comes too late looks again.
    let mut tries = 0;
    loop {
        let (head, _) = read_checkpoint(folder, verifier)?;
        match read_range(folder, head.size, first, most) {
            Err(StoreError::Audit(AuditError::Cut { .. })) if tries < 20 => tries += 1,
            other => return other,
        }
    }
}

fn read_range(folder: &Path, size: u64, first: u64, most: usize) -> Result<Vec<AuditEntry>, StoreError> {
    let end = size.min(first.saturating_add(most as u64));
    let mut found = Vec::new();
    let mut index = first;
    while index < end {
        let bundle = index / TILE_WIDTH;
        let width = (size - bundle * TILE_WIDTH).min(TILE_WIDTH);
        let bytes = read_whole(folder, &bundle_path(bundle, width))?;
        let bytes = bytes.ok_or(AuditError::Cut { first: index, size })?;
        let (entries, _) = entries_of(&bytes);
        while index < end && index / TILE_WIDTH == bundle {
            let at = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
            let entry = entries.get(at).and_then(|bytes| serde_json::from_slice::<AuditEntry>(bytes).ok());
            let entry = entry.ok_or(AuditError::Entry { index })?;
            found.push(AuditEntry { index, ..entry });
            index += 1;
        }
    }
    Ok(found)
}
