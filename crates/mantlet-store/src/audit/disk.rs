//! Appending to the log's files under the lock.

mod shared;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mantlet_seal::log::{Checkpoint, LogKey, LogVerifier, TILE_WIDTH, bundle_path, tile_path};

use super::clean::clean;
use super::edge::Edge;
use super::read::read_checkpoint;
use super::{Recovery, read_key};
use crate::StoreError;
use crate::error::{AuditError, io};
pub(super) use shared::{Shared, lacks_key};

/// Bytes of an entry at most, below the format's 65,535.
pub(super) const ENTRY_BYTES: usize = 60_000;

pub(super) const CHECKPOINT: &str = "checkpoint";
const KEY: &str = "log.key";
pub(super) const VERIFIER: &str = "log.pub";

/// The right edge of the log as of one checkpoint, and the means to move it.
pub(super) struct Disk {
    folder: PathBuf,
    key: LogKey,
    verifier: LogVerifier,
    patience: Duration,
    /// The checkpoint `edge` belongs to; when the file says otherwise, another process wrote.
    note: String,
    edge: Edge,
    /// The log that replicas share, of which this folder is a copy.
    shared: Option<Shared>,
}

impl Disk {
    pub(super) fn open(
        folder: &Path,
        origin: &str,
        entropy: &[u8; 32],
        patience: Duration,
    ) -> Result<(Self, Recovery), StoreError> {
        crate::make_folder(folder)?;
        let _lock = lock(folder, patience)?;
        let created = create(folder, origin, entropy)?;
        let key = read_key(&folder.join(KEY))?;
        let verifier = key.verifier();
        let (checkpoint, note) = read_checkpoint(folder, &verifier)?;
        let edge = Edge::load(folder, &checkpoint)?;
        let (unacknowledged, removed_files) = clean(folder, checkpoint.size)?;
        let disk = Self { folder: folder.to_owned(), key, verifier, patience, note, edge, shared: None };
        Ok((disk, Recovery { created, unacknowledged, removed_files }))
    }

    pub(super) const fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// Appends entries, flushed and signed over when this returns; gives the index of the first. On a fault
    /// nothing was appended, and the next call begins from what is on disk.
    pub(super) fn append(&mut self, entries: &[Vec<u8>]) -> Result<u64, StoreError> {
        if let Some(shared) = self.shared.clone() {
            return self.append_shared(&shared, entries);
        }
        let _lock = lock(&self.folder, self.patience)?;
        let (checkpoint, note) = read_checkpoint(&self.folder, &self.verifier)?;
        if note != self.note {
            self.edge = Edge::load(&self.folder, &checkpoint)?;
            self.note = note;
        }
        let first = checkpoint.size;
        let mut edge = self.edge.clone();
        let files = edge.push(entries)?;
        let (mut written, mut folders) = (Vec::new(), Vec::new());
        let done = files.iter().try_for_each(|(path, bytes)| {
            let path = self.folder.join(path);
            written.push(path.clone());
            write_flushed(&path, bytes, &mut folders)
        });
        let head =
            Checkpoint { origin: checkpoint.origin, size: edge.frontier.size(), root: edge.frontier.root() };
        let note = head.sign(&self.key);
        if let Err(fault) = done.and_then(|()| flush_folders(folders)) {
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
            if count != now && !count.is_multiple_of(TILE_WIDTH) {
                let path = self.folder.join(tile_path(level, count / TILE_WIDTH, count % TILE_WIDTH));
                let _ = fs::remove_file(&path);
                if count / TILE_WIDTH != now / TILE_WIDTH {
                    path.parent().map(fs::remove_dir);
                }
            }
            level += 1;
        }
        if !old.is_multiple_of(TILE_WIDTH) && old != new {
            let path = self.folder.join(bundle_path(old / TILE_WIDTH, old % TILE_WIDTH));
            let _ = fs::remove_file(&path);
            if old / TILE_WIDTH != new / TILE_WIDTH {
                path.parent().map(fs::remove_dir);
            }
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

/// Waits for the exclusive lock; closing the file frees it, and so does the death of the process.
fn lock(folder: &Path, patience: Duration) -> Result<File, StoreError> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io("write", &path))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: folder.to_owned() }),
            Err(TryLockError::Error(fault)) => return Err(io("lock", &path)(fault)),
        }
    }
}

/// Writes a file under a name no checkpoint reaches yet; notes the folders whose lists changed by it.
fn write_flushed(path: &Path, bytes: &[u8], folders: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let mut parent = path.parent();
    folders.extend(parent.map(Path::to_owned));
    // A folder that has to be made changes the list of the one above it.
    while let Some(missing) = parent.filter(|parent| !parent.exists()) {
        parent = missing.parent();
        folders.extend(parent.map(Path::to_owned));
    }
    if let Some(parent) = path.parent() {
        crate::make_folder(parent)?;
    }
    let mut file = File::create(path).map_err(io("write", path))?;
    file.write_all(bytes).and_then(|()| file.sync_data()).map_err(io("write", path))
}

/// Flushes folders, so that the names of new files survive a power cut.
fn flush_folders(mut folders: Vec<PathBuf>) -> Result<(), StoreError> {
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        crate::flush_folder(&folder)?;
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
