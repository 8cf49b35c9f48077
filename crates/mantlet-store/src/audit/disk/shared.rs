//! One log for several replicas: its files stand in the database, and each replica's folder is a copy.
//!
//! An append takes a lock in the database, fetches what other replicas appended, and commits its files and the
//! new signed head in one transaction; only then the entries are acknowledged, and only then they go into the folder.
//! So the folder never runs ahead of what the replicas agree on, and a replica that dies in between fetches the rest
//! at its next start. The key stays in files, one copy in each replica's folder: whoever can write the database
//! cannot sign.

use std::fs;

use mantlet_seal::log::{Checkpoint, TILE_WIDTH, bundle_path, tile_path};
use sqlx::Row as _;

use super::{
    CHECKPOINT, Disk, Edge, KEY, VERIFIER, flush_folders, lock, read_checkpoint, replace, write_flushed,
};
use crate::StoreError;
use crate::database::{Database, Writing};
use crate::error::AuditError;

/// Files fetched at once.
const PAGE: i64 = 256;

/// The log in the database, and the runtime its calls are made on.
#[derive(Clone)]
pub(in crate::audit) struct Shared {
    pub(in crate::audit) database: Database,
    pub(in crate::audit) runtime: tokio::runtime::Handle,
}

impl Disk {
    /// Joins the replicas' log, or makes this folder's the one they share. Called off the runtime.
    pub(in crate::audit) fn join(&mut self, shared: Shared) -> Result<(), StoreError> {
        let _lock = lock(&self.folder, self.patience)?;
        let work = async {
            let mut writing = shared.database.begin_log().await?;
            let verifier = fetch(&shared, &mut writing, VERIFIER).await?;
            match verifier {
                Some(bytes) => {
                    if bytes != self.verifier.to_text().as_bytes() {
                        return Err(AuditError::OtherKey { path: self.folder.clone() }.into());
                    }
                    self.pull(&shared, &mut writing).await?;
                }
                None => self.publish(&shared, &mut writing).await?,
            }
            writing.commit().await.map_err(shared.database.fault("write the audit log"))
        };
        shared.runtime.clone().block_on(work)?;
        self.shared = Some(shared);
        Ok(())
    }

    /// Brings the folder up to what the replicas agree on.
    pub(in crate::audit) fn refresh(&mut self) -> Result<(), StoreError> {
        let Some(shared) = self.shared.clone() else { return Ok(()) };
        let _lock = lock(&self.folder, self.patience)?;
        let work = async {
            let mut writing = shared.database.begin_log().await?;
            self.pull(&shared, &mut writing).await?;
            writing.commit().await.map_err(shared.database.fault("read the audit log"))
        };
        shared.runtime.clone().block_on(work)
    }

    /// Appends to the shared log, then to the folder.
    pub(super) fn append_shared(&mut self, shared: &Shared, entries: &[Vec<u8>]) -> Result<u64, StoreError> {
        let _lock = lock(&self.folder, self.patience)?;
        let work = async {
            let mut writing = shared.database.begin_log().await?;
            self.pull(shared, &mut writing).await?;
            let (checkpoint, _) = read_checkpoint(&self.folder, &self.verifier)?;
            let first = checkpoint.size;
            let mut edge = self.edge.clone();
            let files = edge.push(entries)?;
            let head = Checkpoint {
                origin: checkpoint.origin,
                size: edge.frontier.size(),
                root: edge.frontier.root(),
            };
            let note = head.sign(&self.key);
            for (path, bytes) in &files {
                store(shared, &mut writing, path, head.size, bytes).await?;
            }
            store(shared, &mut writing, CHECKPOINT, head.size, note.as_bytes()).await?;
            for path in superseded(first, head.size) {
                let gone = sqlx::query("DELETE FROM audit_files WHERE path = $1").bind(path);
                gone.execute(&mut *writing).await.map_err(shared.database.fault("write the audit log"))?;
            }
            writing.commit().await.map_err(shared.database.fault("write the audit log"))?;
            Ok::<_, StoreError>((first, edge, files, note, head.size))
        };
        let (first, edge, files, note, size) = shared.runtime.block_on(work)?;
        // Acknowledged by the database. A folder that cannot be written now is mended by the next fetch.
        if let Err(fault) = self.keep(&files, &note, first, size) {
            tracing::warn!(%fault, "the audit log's copy on this machine is behind the replicas' log");
            return Ok(first);
        }
        self.edge = edge;
        self.note = note;
        Ok(first)
    }

    fn keep(&self, files: &[(String, Vec<u8>)], note: &str, old: u64, new: u64) -> Result<(), StoreError> {
        let mut folders = Vec::new();
        for (path, bytes) in files {
            write_flushed(&self.folder.join(path), bytes, &mut folders)?;
        }
        flush_folders(folders)?;
        replace(&self.folder.join(CHECKPOINT), note.as_bytes())?;
        self.remove_superseded(old, new);
        Ok(())
    }

    /// Fetches what other replicas appended, when their head is another than the folder's.
    async fn pull(&mut self, shared: &Shared, writing: &mut Writing) -> Result<(), StoreError> {
        let note = fetch(shared, writing, CHECKPOINT).await?.ok_or(AuditError::NoCheckpoint)?;
        let (mine, kept) = read_checkpoint(&self.folder, &self.verifier)?;
        if note == kept.as_bytes() {
            if kept != self.note {
                self.edge = Edge::load(&self.folder, &mine)?;
                self.note = kept;
            }
            return Ok(());
        }
        let malformed = mantlet_seal::log::LogError::Note { reason: "it is not UTF-8" };
        let note = String::from_utf8(note).map_err(|_| AuditError::Checkpoint { source: malformed })?;
        let head =
            Checkpoint::verify(&note, &self.verifier).map_err(|source| AuditError::Checkpoint { source })?;
        if head.size <= mine.size {
            // The folder holds only what the database acknowledged: a shorter log was cut there.
            return Err(if head.size < mine.size {
                AuditError::Older { found: head.size, known: mine.size }.into()
            } else {
                AuditError::Forked { known: mine.size }.into()
            });
        }
        let since = i64::try_from(mine.size).unwrap_or(i64::MAX);
        let (mut folders, mut after) = (Vec::new(), String::new());
        loop {
            let rows = sqlx::query(
                "SELECT path, bytes FROM audit_files WHERE written > $1 AND path > $2 ORDER BY path LIMIT $3",
            )
            .bind(since)
            .bind(&after)
            .bind(PAGE)
            .fetch_all(&mut **writing)
            .await
            .map_err(shared.database.fault("read the audit log"))?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let read = shared.database.fault("read the audit log");
                let (path, bytes) = row
                    .try_get::<String, _>(0)
                    .and_then(|path| Ok((path, row.try_get::<Vec<u8>, _>(1)?)))
                    .map_err(read)?;
                if is_log_path(&path) {
                    write_flushed(&self.folder.join(&path), &bytes, &mut folders)?;
                }
                after = path;
            }
        }
        flush_folders(folders)?;
        // What was fetched fits the signed head and what was here before, or is not taken.
        let edge = Edge::load(&self.folder, &head)?;
        if mine.size > 0 {
            let tiles = crate::audit::read::Tiles::new(&self.folder, head.size);
            let before = mantlet_seal::log::root(&tiles, mine.size);
            if before.map_err(|source| AuditError::Checkpoint { source })? != mine.root {
                return Err(AuditError::Forked { known: mine.size }.into());
            }
        }
        replace(&self.folder.join(CHECKPOINT), note.as_bytes())?;
        self.remove_superseded(mine.size, head.size);
        self.edge = edge;
        self.note = note;
        Ok(())
    }

    /// Puts this folder's log into a database that has none yet.
    async fn publish(&self, shared: &Shared, writing: &mut Writing) -> Result<(), StoreError> {
        let (head, note) = read_checkpoint(&self.folder, &self.verifier)?;
        store(shared, writing, VERIFIER, head.size, self.verifier.to_text().as_bytes()).await?;
        for path in files_of(head.size) {
            let bytes = fs::read(self.folder.join(&path))
                .map_err(crate::error::io("read", &self.folder.join(&path)))?;
            store(shared, writing, &path, head.size, &bytes).await?;
        }
        store(shared, writing, CHECKPOINT, head.size, note.as_bytes()).await
    }
}

/// Whether the database has a log whose key is not in this folder yet.
pub(in crate::audit) async fn lacks_key(
    folder: &std::path::Path,
    database: &Database,
) -> Result<bool, StoreError> {
    let known = sqlx::query("SELECT path FROM audit_files WHERE path = $1").bind(VERIFIER);
    let known = known.fetch_optional(database.pool()).await.map_err(database.fault("read the audit log"))?;
    Ok(known.is_some() && !folder.join(KEY).exists())
}

async fn fetch(shared: &Shared, writing: &mut Writing, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let row = sqlx::query("SELECT bytes FROM audit_files WHERE path = $1").bind(path.to_owned());
    let row =
        row.fetch_optional(&mut **writing).await.map_err(shared.database.fault("read the audit log"))?;
    row.map(|row| row.try_get(0).map_err(shared.database.fault("read the audit log"))).transpose()
}

async fn store(
    shared: &Shared,
    writing: &mut Writing,
    path: &str,
    written: u64,
    bytes: &[u8],
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit_files (path, written, bytes) VALUES ($1, $2, $3) \
         ON CONFLICT (path) DO UPDATE SET written = excluded.written, bytes = excluded.bytes",
    )
    .bind(path.to_owned())
    .bind(i64::try_from(written).unwrap_or(i64::MAX))
    .bind(bytes.to_vec())
    .execute(&mut **writing)
    .await
    .map_err(shared.database.fault("write the audit log"))?;
    Ok(())
}

/// Only tiles and bundles are fetched into the folder, wherever the database says they belong.
fn is_log_path(path: &str) -> bool {
    path.starts_with("tile/")
        && path.split('/').all(|part| {
            !part.is_empty() && part != ".." && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
        })
}

/// Every file of a log of this size.
fn files_of(size: u64) -> Vec<String> {
    let mut files = Vec::new();
    let mut level = 0;
    while size >> (8 * u64::from(level)) > 0 {
        let count = size >> (8 * u64::from(level));
        files.extend((0..count / TILE_WIDTH).map(|index| tile_path(level, index, TILE_WIDTH)));
        if !count.is_multiple_of(TILE_WIDTH) {
            files.push(tile_path(level, count / TILE_WIDTH, count % TILE_WIDTH));
        }
        level += 1;
    }
    files.extend((0..size / TILE_WIDTH).map(|index| bundle_path(index, TILE_WIDTH)));
    if !size.is_multiple_of(TILE_WIDTH) {
        files.push(bundle_path(size / TILE_WIDTH, size % TILE_WIDTH));
    }
    files
}

/// Partial files of the old head that the new head does not have.
fn superseded(old: u64, new: u64) -> Vec<String> {
    let kept = files_of_edge(new);
    files_of_edge(old).into_iter().filter(|path| !kept.contains(path)).collect()
}

/// The partial files at the right edge of a log of this size.
fn files_of_edge(size: u64) -> Vec<String> {
    let mut files = Vec::new();
    let mut level = 0;
    while size >> (8 * u64::from(level)) > 0 {
        let count = size >> (8 * u64::from(level));
        if !count.is_multiple_of(TILE_WIDTH) {
            files.push(tile_path(level, count / TILE_WIDTH, count % TILE_WIDTH));
        }
        level += 1;
    }
    if !size.is_multiple_of(TILE_WIDTH) {
        files.push(bundle_path(size / TILE_WIDTH, size % TILE_WIDTH));
    }
    files
}
