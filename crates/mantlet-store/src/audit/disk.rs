//! The log's files: reading them, and appending under the lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mantlet_seal::log::{
    Checkpoint, Frontier, Hash, LogKey, LogVerifier, Nodes, TILE_WIDTH, bundle_path, leaf, node, pack_entry,
    tile_path, unpack_entries,
};

use super::{AuditEntry, Recovery, read_key};
use crate::StoreError;
use crate::error::{AuditError, io};

/// Bytes of an entry at most, below the format's 65,535.
pub(super) const ENTRY_BYTES: usize = 60_000;

const CHECKPOINT: &str = "checkpoint";
const KEY: &str = "log.key";
const VERIFIER: &str = "log.pub";

/// How long a writer waits for another process to finish its group.
const PATIENCE: Duration = Duration::from_secs(5);

/// The right edge of the log as of one checkpoint, and the means to move it.
pub(super) struct Disk {
    folder: PathBuf,
    key: LogKey,
    verifier: LogVerifier,
    /// The checkpoint `edge` belongs to; when the file says otherwise, another process wrote.
    note: String,
    edge: Edge,
}

#[derive(Clone, Default)]
struct Edge {
    frontier: Frontier,
    /// The entries of the last, partial bundle.
    bundle: Vec<u8>,
    /// The hashes of the last, partial tile of each level.
    tiles: Vec<Vec<Hash>>,
}

impl Disk {
    pub(super) fn open(
        folder: &Path,
        origin: &str,
        entropy: &[u8; 32],
    ) -> Result<(Self, Recovery), StoreError> {
        crate::make_folder(folder)?;
        let _lock = lock(folder)?;
        let created = create(folder, origin, entropy)?;
        let key = read_key(&folder.join(KEY))?;
        let verifier = key.verifier();
        let (checkpoint, note) = read_checkpoint(folder, &verifier)?;
        let edge = Edge::load(folder, &checkpoint)?;
        let (unacknowledged, removed_files) = clean(folder, checkpoint.size)?;
        let disk = Self { folder: folder.to_owned(), key, verifier, note, edge };
        Ok((disk, Recovery { created, unacknowledged, removed_files }))
    }

    pub(super) const fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// Appends entries, flushed and signed over when this returns; gives the index of the first. On a fault
    /// nothing was appended, and the next call begins from what is on disk.
    pub(super) fn append(&mut self, entries: &[Vec<u8>]) -> Result<u64, StoreError> {
        let _lock = lock(&self.folder)?;
        let (checkpoint, note) = read_checkpoint(&self.folder, &self.verifier)?;
        if note != self.note {
            self.edge = Edge::load(&self.folder, &checkpoint)?;
            self.note = note;
        }
        let first = checkpoint.size;
        let mut edge = self.edge.clone();
        let files = edge.push(entries)?;
        let mut written = Vec::new();
        let done = files.iter().try_for_each(|(path, bytes)| {
            let path = self.folder.join(path);
            written.push(path.clone());
            write_flushed(&path, bytes)
        });
        let head =
            Checkpoint { origin: checkpoint.origin, size: edge.frontier.size(), root: edge.frontier.root() };
        let note = head.sign(&self.key);
        if let Err(fault) = done.and_then(|()| flush_folders(&written)) {
            written.iter().for_each(|path| drop(fs::remove_file(path)));
            return Err(fault);
        }
        replace(&self.folder.join(CHECKPOINT), note.as_bytes())?;
        self.remove_superseded(first, head.size);
        self.edge = edge;
        self.note = note;
        Ok(first)
    }

    /// The partial files of the old head are of no use once the new head is in place; failing to remove them
    /// harms nothing.
    fn remove_superseded(&self, old: u64, new: u64) {
        let mut level = 0;
        while old >> (8 * level) > 0 {
            let (count, now) = (old >> (8 * level), new >> (8 * level));
            if count != now && count % TILE_WIDTH != 0 {
                let path = self.folder.join(tile_path(level, count / TILE_WIDTH, count % TILE_WIDTH));
                let _ = fs::remove_file(&path);
                if count / TILE_WIDTH != now / TILE_WIDTH {
                    path.parent().map(fs::remove_dir);
                }
            }
            level += 1;
        }
        if old % TILE_WIDTH != 0 && old != new {
            let path = self.folder.join(bundle_path(old / TILE_WIDTH, old % TILE_WIDTH));
            let _ = fs::remove_file(&path);
            if old / TILE_WIDTH != new / TILE_WIDTH {
                path.parent().map(fs::remove_dir);
            }
        }
    }
}

impl Edge {
    /// Reads the right edge and checks it against the signed root.
    fn load(folder: &Path, head: &Checkpoint) -> Result<Self, StoreError> {
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
    fn push(&mut self, entries: &[Vec<u8>]) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
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

/// Makes key and empty log where there is neither; says whether it did.
fn create(folder: &Path, origin: &str, entropy: &[u8; 32]) -> Result<bool, StoreError> {
    let checkpoint = folder.join(CHECKPOINT);
    if checkpoint.exists() {
        return Ok(false);
    }
    if folder.join("tile").exists() {
        return Err(AuditError::NoCheckpoint.into());
    }
    let path = folder.join(KEY);
    if !path.exists() {
        let key = LogKey::generate(origin, entropy)
            .map_err(|fault| AuditError::Key { path: path.clone(), reason: fault.to_string() })?;
        replace(&folder.join(VERIFIER), format!("{}\n", key.verifier().to_text()).as_bytes())?;
        replace(&path, key.to_text().as_bytes())?;
    }
    let key = read_key(&path)?;
    let origin = key.verifier().name().to_owned();
    let empty = Checkpoint { origin, size: 0, root: mantlet_seal::log::empty_root() };
    replace(&checkpoint, empty.sign(&key).as_bytes())?;
    Ok(true)
}

/// Removes partial and full files beyond the head at the right edge; counts whole entries among them.
fn clean(folder: &Path, size: u64) -> Result<(u64, u64), StoreError> {
    let (mut entries, mut removed) = (0, 0);
    let mut level = 0;
    while level == 0 || size >> (8 * level) > 0 {
        let count = size >> (8 * level);
        removed += clean_edge(folder, count, |index, width| tile_path(level, index, width), |_| {})?;
        level += 1;
    }
    // A level that the unacknowledged entries began.
    removed += clean_edge(folder, 0, |index, width| tile_path(level, index, width), |_| {})?;
    removed += clean_edge(folder, size, bundle_path, |bundle| {
        entries = entries.max(entries_of(bundle).0.len() as u64);
    })?;
    Ok((entries.saturating_sub(size % TILE_WIDTH), removed))
}

/// Removes, of the tile or bundle at the edge and the four after it (a group is at most four bundles long),
/// every file but the one that `count` names. Partial files of smaller width are leftovers too.
fn clean_edge(
    folder: &Path,
    count: u64,
    path: impl Fn(u64, u64) -> String,
    mut look: impl FnMut(&[u8]),
) -> Result<u64, StoreError> {
    let (edge, width) = (count / TILE_WIDTH, count % TILE_WIDTH);
    let mut removed = 0;
    for index in edge.saturating_sub(1)..=edge + 4 {
        let full = folder.join(path(index, TILE_WIDTH));
        if index >= edge && full.is_file() {
            look(&fs::read(&full).map_err(io("read", &full))?);
            remove(&full)?;
            removed += 1;
        }
        let partial = folder.join(path(index, 1));
        let Some(parent) = partial.parent() else { continue };
        let Ok(list) = fs::read_dir(parent) else { continue };
        for file in list.flatten() {
            let keep = index == edge && file.file_name().to_str() == Some(&width.to_string());
            if !keep {
                if index >= edge {
                    look(&fs::read(file.path()).map_err(io("read", &file.path()))?);
                }
                remove(&file.path())?;
                removed += 1;
            }
        }
        let _ = fs::remove_dir(parent);
    }
    Ok(removed)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    fs::remove_file(path).map_err(io("remove", path))
}

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

/// Waits for the exclusive lock; closing the file frees it, and so does the death of the process.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io("write", &path))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: folder.to_owned() }),
            Err(TryLockError::Error(fault)) => return Err(io("lock", &path)(fault)),
        }
    }
}

/// Writes a file under a name no checkpoint reaches yet.
fn write_flushed(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    if let Some(parent) = path.parent() {
        crate::make_folder(parent)?;
    }
    let mut file = File::create(path).map_err(io("write", path))?;
    file.write_all(bytes).and_then(|()| file.sync_data()).map_err(io("write", path))
}

/// Flushes the folders of new files up to the log's own, so that their names survive a power cut.
fn flush_folders(written: &[PathBuf]) -> Result<(), StoreError> {
    let mut folders: Vec<&Path> = written.iter().filter_map(|path| path.parent()).collect();
    // `.p` folders come and go; their parents hold their names.
    folders.extend(written.iter().filter_map(|path| path.parent().and_then(Path::parent)));
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        File::open(folder).and_then(|open| open.sync_all()).map_err(io("flush", folder))?;
    }
    Ok(())
}

/// Replaces a small file whole or not at all, readable by its owner only.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    mantlet_registry::disk::write_whole(path, bytes, true).map_err(|fault| match fault {
        mantlet_registry::DiskError::Io { source, .. } => io("write", path)(source),
        other => io("write", path)(std::io::Error::other(other.to_string())),
    })
}
