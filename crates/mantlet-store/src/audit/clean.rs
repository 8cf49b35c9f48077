//! Removing what lies beyond the signed head: it was written and never acknowledged.

use std::fs;
use std::path::Path;

use mantlet_seal::log::{TILE_WIDTH, bundle_path, tile_path};

use super::edge::entries_of;
use crate::StoreError;
use crate::error::io;

/// Removes partial and full files beyond the head at the right edge; counts whole entries among them.
pub(super) fn clean(folder: &Path, size: u64) -> Result<(u64, u64), StoreError> {
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
