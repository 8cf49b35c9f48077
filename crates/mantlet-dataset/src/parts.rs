//! A table in parts that can be read apart from each other, by whoever reaches the files.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::read::{self, Format, Unfold};
use crate::{Column, Dataset, DatasetError, Lane};

/// Parts of one file at most.
const PARTS_MOST: usize = 256;

/// Some row groups of a Parquet file, or a whole file of another format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The place of its file in the table.
    pub file: u32,
    /// The file.
    pub path: PathBuf,
    format: Format,
    groups: Option<Range<usize>>,
    /// How the lists of a history are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unfold: Option<Unfold>,
    /// Its rows, where the file says so ahead of them.
    pub rows: Option<u64>,
}

impl Dataset {
    /// The table in parts, in the order of its rows.
    ///
    /// # Errors
    /// When the footer of a file cannot be read.
    pub fn parts(&self) -> Result<Vec<Part>, DatasetError> {
        let mut parts = Vec::new();
        for (file, (path, format)) in self.files.iter().enumerate() {
            let part = |groups, rows| Part {
                file: u32::try_from(file).unwrap_or(u32::MAX),
                path: path.clone(),
                format: *format,
                groups,
                unfold: self.unfold.clone(),
                rows,
            };
            if *format != Format::Parquet {
                parts.push(part(None, None));
                continue;
            }
            let rows = read::row_groups(path)?;
            let each = rows.len().div_ceil(PARTS_MOST).max(1);
            for (at, group) in rows.chunks(each).enumerate() {
                let groups = at * each..at * each + group.len();
                parts.push(part(Some(groups), Some(group.iter().sum())));
            }
        }
        Ok(parts)
    }

    /// The table in parts that are whole files, in the order of its rows.
    #[must_use]
    pub fn parts_as_files(&self) -> Vec<Part> {
        let part = |(file, (path, format)): (usize, &(PathBuf, Format))| Part {
            file: u32::try_from(file).unwrap_or(u32::MAX),
            path: path.clone(),
            format: *format,
            groups: None,
            unfold: self.unfold.clone(),
            rows: None,
        };
        self.files.iter().enumerate().map(part).collect()
    }
}

impl Part {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Streams these columns; `each` is handed the batch's first row, counted from the part's first, its lanes, and how
    /// many cells of each could not be read.
    ///
    /// # Errors
    /// When the file cannot be read to the part's end, or `each` fails.
    pub fn stream(
        &self,
        wanted: &[Column],
        mut each: impl FnMut(u64, Vec<Lane>, &[u64]) -> Result<(), DatasetError>,
    ) -> Result<(), DatasetError> {
        let mut row = 0;
        let wanted = (wanted, self.unfold.as_ref());
        read::stream_part(&self.path, self.format, self.groups.clone(), wanted, &mut |lanes, unreadable| {
            let rows = lanes.first().map_or(0, Lane::len) as u64;
            each(row, lanes, unreadable)?;
            row += rows;
            Ok(())
        })
    }
}
