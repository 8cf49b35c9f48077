//! Names of segments and write-aheads, writing a segment whole, and recovery.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use mantlet_columns::{ColumnsError, RecordBatch, write_batches};
use mantlet_vocab::Millis;

use super::frames::read_wal;
use super::pending::Filled;

use crate::error::io;
use crate::{StoreError, flush_folder};

/// A segment's name: first and last instant, and the id it shares with its write-ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) first: Millis,
    pub(super) last: Millis,
    pub(super) id: String,
}

/// What recovery did.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) rows: usize,
    pub(super) torn: usize,
}

pub(super) fn wal_path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("wal-{id}.log"))
}

/// All segments, in no order. Segments lie in folders by day (UTC) of their first exchange.
pub(super) fn segments(folder: &Path) -> Result<Vec<Segment>, StoreError> {
    let mut found = Vec::new();
    for day in list(folder)? {
        if day.is_dir() {
            found.extend(list(&day)?.into_iter().filter_map(parse));
        }
    }
    Ok(found)
}

/// All write-aheads with their ids.
pub(super) fn wals(folder: &Path) -> Result<Vec<(PathBuf, String)>, StoreError> {
    let id = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        Some(name.strip_prefix("wal-")?.strip_suffix(".log")?.to_owned())
    };
    Ok(list(folder)?.into_iter().filter_map(|path| id(&path).map(|id| (path, id))).collect())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(fault) => Err(io("read", folder)(fault)),
    }
}

fn parse(path: PathBuf) -> Option<Segment> {
    let name = path.file_name()?.to_str()?.strip_suffix(".parquet")?;
    let (first, rest) = name.split_once('-')?;
    let (last, id) = rest.split_once('-')?;
    let (first, last, id) = (first.parse().ok()?, last.parse().ok()?, id.to_owned());
    Some(Segment { first: Millis(first), last: Millis(last), id, path })
}

/// Writes a segment: a temporary name, flushed, renamed, its folder flushed.
pub(super) fn write_segment(folder: &Path, id: &str, filled: &Filled) -> Result<(), StoreError> {
    let (first, last) = (filled.first, filled.last);
    let day = folder.join(&first.rfc3339()[..10]);
    crate::make_folder(&day)?;
    let path = day.join(format!("{:013}-{:013}-{id}.parquet", first.0, last.0));
    let temporary = path.with_extension("tmp");
    let written = File::create(&temporary)
        .map_err(io("write", &temporary))
        .and_then(|file| {
            let batches = filled.batches.iter().map(|batch: &RecordBatch| Ok(batch.clone()));
            write_batches(file, &temporary, batches).map_err(plain)
        })
        .and_then(|()| fs::rename(&temporary, &path).map_err(io("write", &path)))
        .and_then(|()| flush_folder(&day))
        .and_then(|()| flush_folder(folder));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A full disk is a full disk, whoever noticed.
fn plain(fault: ColumnsError) -> StoreError {
    match fault {
        ColumnsError::Io { verb, path, source } => io(verb, &path)(source),
        other => other.into(),
    }
}

/// Removes temporaries and turns write-aheads of a killed process into segments. Call with the folder held.
pub(super) fn recover(folder: &Path) -> Result<Recovered, StoreError> {
    let mut done = Recovered::default();
    for day in list(folder)?.into_iter().filter(|path| path.is_dir()) {
        for path in list(&day)? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(&path).map_err(io("remove", &path))?;
            }
        }
    }
    let known = segments(folder)?;
    for (path, id) in wals(folder)? {
        if !known.iter().any(|segment| segment.id == id) {
            let (rows, torn) = read_wal(&path)?;
            if !rows.is_empty() {
                write_segment(folder, &id, &Filled::of(&rows)?)?;
            }
            done.rows += rows.len();
            done.torn += torn;
        }
        fs::remove_file(&path).map_err(io("remove", &path))?;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use mantlet_columns::Row;

    use super::super::frames::put_frame;
    use super::*;

    #[test]
    fn a_write_ahead_torn_at_any_byte_gives_its_whole_rows() {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for n in 0..3 {
            let features = vec![0.5, f32::NAN, -0.0, f32::MIN_POSITIVE];
            let row = Row { id: format!("e{n}"), at: Millis(n), features, ..Row::default() };
            put_frame(&mut bytes, &(&row).into());
            ends.push(bytes.len());
        }
        let folder = tempfile::tempdir().unwrap();
        for cut in 0..=bytes.len() {
            let folder = folder.path().join(cut.to_string());
            fs::create_dir(&folder).unwrap();
            let path = wal_path(&folder, "x");
            fs::write(&path, &bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|end| **end > 0 && **end <= cut).count();
            let torn = usize::from(!ends.contains(&cut));
            let (rows, found) = read_wal(&path).unwrap();
            assert_eq!((rows.len(), found), (whole, torn), "cut {cut}");
            for row in rows {
                assert!(row.features[1].is_nan() && row.features[2].is_sign_negative());
                assert_eq!(row.features[3].to_bits(), f32::MIN_POSITIVE.to_bits());
            }
            if cut % 200 > 0 {
                continue;
            }
            let done = recover(&folder).unwrap();
            assert_eq!((done.rows, done.torn), (whole, torn), "cut {cut}");
            assert_eq!(segments(&folder).unwrap().len(), usize::from(whole > 0));
            assert!(wals(&folder).unwrap().is_empty());
        }
    }

    #[test]
    fn a_damaged_row_is_counted_and_the_others_are_read() {
        let mut bytes = Vec::new();
        for n in 0..3 {
            let row = Row { id: format!("e{n}"), features: vec![1.0; 9], ..Row::default() };
            put_frame(&mut bytes, &(&row).into());
        }
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        let folder = tempfile::tempdir().unwrap();
        let path = wal_path(folder.path(), "x");
        fs::write(&path, &bytes).unwrap();
        let (rows, torn) = read_wal(&path).unwrap();
        assert_eq!((rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), torn), (vec!["e0", "e2"], 1));
    }
}
