//! Verification: everything recomputed from the entries, and the first bad place named.

use std::path::Path;

use mantlet_seal::log::{Checkpoint, Frontier, Hash, LogVerifier, TILE_WIDTH, bundle_path, leaf};
use serde::Serialize;

use super::edge::entries_of;
use super::read::{covered, read_checkpoint, read_tile, read_verifier, read_whole};
use crate::StoreError;
use crate::error::AuditError;

/// What a whole log was found to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Entries.
    pub size: u64,
    /// Root over them, in hexadecimal.
    pub root: String,
    /// The signed checkpoint: keep it elsewhere to compare a later log with.
    pub checkpoint: String,
    /// The key it was verified with.
    pub verifier: String,
    /// The earlier size this log was found to continue, if one was given.
    pub continues: Option<u64>,
}

/// Verifies a log folder without changing anything; a running writer is not disturbed. `trusted` is the
/// verifier key kept elsewhere; the folder's own is used when none is given, which finds accidents and
/// tampering by whoever cannot sign. `since` is a head seen earlier.
///
/// # Errors
/// Names the first bad entry, or what else is wrong.
pub fn verify_audit(
    folder: &Path,
    trusted: Option<&LogVerifier>,
    since: Option<&Checkpoint>,
) -> Result<AuditReport, StoreError> {
    let verifier = match trusted {
        Some(verifier) => verifier.clone(),
        None => read_verifier(folder)?,
    };
    let mut tries = 0;
    loop {
        let (head, note) = read_checkpoint(folder, &verifier)?;
        match Walk::run(folder, &head, since) {
            Ok(()) => {
                return Ok(AuditReport {
                    size: head.size,
                    root: head.root.iter().map(|byte| format!("{byte:02x}")).collect(),
                    checkpoint: note,
                    verifier: verifier.to_text(),
                    continues: since.map(|since| since.size),
                });
            }
            // A writer moved the partial files on meanwhile: look again.
            Err(_) if tries < 5 && read_checkpoint(folder, &verifier)?.1 != note => tries += 1,
            Err(fault) => return Err(fault),
        }
    }
}

/// One pass over the log. Faults are collected until the root tells which side of a difference is the bad one.
struct Walk<'a> {
    folder: &'a Path,
    head: &'a Checkpoint,
    frontier: Frontier,
    /// Computed hashes of the tile being filled, for each level.
    computed: Vec<Vec<Hash>>,
    /// First place where entries and kept hashes differ.
    differs: Option<AuditError>,
    /// First kept tile above the leaves that differs from what the entries give.
    tile: Option<AuditError>,
}

impl Walk<'_> {
    fn run(folder: &Path, head: &Checkpoint, since: Option<&Checkpoint>) -> Result<(), StoreError> {
        if let Some(since) = since.filter(|since| since.size > head.size) {
            return Err(AuditError::Older { found: head.size, known: since.size }.into());
        }
        let mut walk =
            Walk { folder, head, frontier: Frontier::new(), computed: Vec::new(), differs: None, tile: None };
        let mut seen_root = (since.is_some_and(|since| since.size == 0)).then(mantlet_seal::log::empty_root);
        let mut index = 0;
        while index * TILE_WIDTH < head.size {
            let width = (head.size - index * TILE_WIDTH).min(TILE_WIDTH);
            walk.bundle(index, width, |frontier| {
                if since.is_some_and(|since| since.size == frontier.size()) {
                    seen_root = Some(frontier.root());
                }
            })?;
            index += 1;
        }
        walk.partial_tiles();
        walk.judge()?;
        match since {
            Some(since) if seen_root != Some(since.root) => {
                Err(AuditError::Forked { known: since.size }.into())
            }
            _ => Ok(()),
        }
    }

    /// One bundle of entries and the tile of its leaf hashes.
    fn bundle(&mut self, index: u64, width: u64, mut seen: impl FnMut(&Frontier)) -> Result<(), StoreError> {
        let first = index * TILE_WIDTH;
        let size = self.head.size;
        let bytes = read_whole(self.folder, &bundle_path(index, width))?;
        let bytes = bytes.ok_or(AuditError::Cut { first, size })?;
        let (entries, whole) = entries_of(&bytes);
        let kept = read_tile(self.folder, 0, index, width);
        for at in 0..width {
            let place = usize::try_from(at).unwrap_or(usize::MAX);
            let Some(entry) = entries.get(place) else {
                // Without its bytes nothing after it can be computed.
                let index = first + at;
                let cut =
                    if whole { AuditError::Cut { first: index, size } } else { AuditError::Entry { index } };
                return Err(self.differs.take().unwrap_or(cut).into());
            };
            let hash = leaf(entry);
            if kept.as_ref().is_ok_and(|kept| kept.get(place) != Some(&hash)) && self.differs.is_none() {
                self.differs = Some(AuditError::Entry { index: first + at });
            }
            self.push(hash);
            seen(&self.frontier);
        }
        if !whole || entries.len() as u64 != width {
            return Err(self.differs.take().unwrap_or(AuditError::Entry { index: first + width }).into());
        }
        match kept {
            Err(StoreError::Audit(fault)) => self.tile = self.tile.take().or(Some(fault)),
            Err(fault) => return Err(fault),
            Ok(_) => {}
        }
        Ok(())
    }

    fn push(&mut self, hash: Hash) {
        let Self { folder, frontier, computed, tile, .. } = self;
        frontier.push(hash, |height, position, hash| {
            let level = height / 8;
            if height % 8 != 0 || level == 0 {
                return;
            }
            let at = usize::from(level);
            if computed.len() <= at {
                computed.resize_with(at + 1, Vec::new);
            }
            computed[at].push(hash);
            if computed[at].len() as u64 == TILE_WIDTH {
                let full = std::mem::take(&mut computed[at]);
                compare(folder, level, position / TILE_WIDTH, &full, tile);
            }
        });
    }

    fn partial_tiles(&mut self) {
        for (level, hashes) in self.computed.iter().enumerate().skip(1) {
            if !hashes.is_empty() {
                let height = u8::try_from(level).unwrap_or(u8::MAX);
                let index = (self.head.size >> (8 * level)) / TILE_WIDTH;
                compare(self.folder, height, index, hashes, &mut self.tile);
            }
        }
    }

    /// When the entries give the signed root, they are right and every difference is a tile's fault; when they
    /// do not, the first difference is the first bad entry.
    fn judge(self) -> Result<(), AuditError> {
        if self.frontier.root() == self.head.root {
            let leaf_tile = self.differs.map(|fault| match fault {
                AuditError::Entry { index } => {
                    let tile = index / TILE_WIDTH;
                    let width = (self.head.size - tile * TILE_WIDTH).min(TILE_WIDTH);
                    let path = mantlet_seal::log::tile_path(0, tile, width);
                    AuditError::Tile { path, first: index, last: index }
                }
                other => other,
            });
            return leaf_tile.or(self.tile).map_or(Ok(()), Err);
        }
        Err(match (self.differs, self.tile) {
            (Some(entry), _) => entry,
            (None, Some(AuditError::Tile { first, last, .. })) => AuditError::Range { first, last },
            (None, Some(other)) => other,
            (None, None) => AuditError::Root,
        })
    }
}

/// Compares a computed tile with the kept one; the first differing hash names the entries under it.
fn compare(folder: &Path, level: u8, index: u64, computed: &[Hash], tile: &mut Option<AuditError>) {
    if tile.is_some() {
        return;
    }
    let width = computed.len() as u64;
    match read_tile(folder, level, index, width) {
        Ok(kept) => {
            let at = kept.iter().zip(computed).position(|(kept, computed)| kept != computed);
            if let Some(at) = at {
                let (first, _) = covered(level, index, width);
                let span = 1 << (8 * u64::from(level));
                let first = first + at as u64 * span;
                let path = mantlet_seal::log::tile_path(level, index, width);
                *tile = Some(AuditError::Tile { path, first, last: first + span - 1 });
            }
        }
        Err(StoreError::Audit(fault)) => *tile = Some(fault),
        Err(_) => {
            let (first, last) = covered(level, index, width);
            let path = mantlet_seal::log::tile_path(level, index, width);
            *tile = Some(AuditError::Tile { path, first, last });
        }
    }
}
