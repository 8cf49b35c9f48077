//! Finding recorded exchanges: what is pending, then segments from the newest back.

use std::path::Path;

use mantlet_columns::{ColumnsError, Row, read_rows};

use super::files::{segments, wals};
use super::frames::read_wal;
use super::{ExchangeFilter, Shared, held};
use crate::StoreError;

pub(super) fn find(
    folder: &Path,
    shared: Option<&Shared>,
    filter: &ExchangeFilter,
) -> Result<Vec<Row>, StoreError> {
    // Pending rows first: a segment written meanwhile may then be met twice, never missed.
    let mut found: Vec<Row> = match shared {
        Some(shared) => held(&shared.pending).find(|row| filter.admits(row))?,
        None => Vec::new(),
    };
    let mut segments = segments(folder)?;
    if shared.is_none() {
        // A tool beside a serving process reads that one's write-ahead.
        for (path, id) in wals(folder)? {
            if !segments.iter().any(|segment| segment.id == id) {
                let rows = read_wal(&path).map(|(rows, _)| rows).unwrap_or_default();
                found.extend(rows.into_iter().filter(|row| filter.admits(row)));
            }
        }
    }
    segments.retain(|segment| segment.last >= filter.since && segment.first <= filter.until);
    segments.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.id.cmp(&b.id)));
    for segment in segments {
        if found.len() >= filter.most {
            newest(&mut found, filter.most);
            if found.last().is_some_and(|oldest| oldest.at > segment.last) {
                break;
            }
        }
        match read_rows(&segment.path, filter.since, filter.until, usize::MAX, |row| filter.admits(row)) {
            Ok(rows) => found.extend(rows),
            Err(ColumnsError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    newest(&mut found, filter.most);
    Ok(found)
}

pub(super) fn newest(found: &mut Vec<Row>, most: usize) {
    found.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.id.cmp(&b.id)));
    found.dedup_by(|a, b| a.id == b.id);
    found.truncate(most);
}
