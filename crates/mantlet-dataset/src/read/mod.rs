//! The formats: each tells its columns from the head of a file, and streams batches of wanted columns.

mod arrow;
mod csv;
mod history;
mod json;

use std::ops::Range;
use std::path::Path;

pub(crate) use arrow::{lane, row_groups};
pub(crate) use history::{Heads, UNFOLD_MOST, Unfold};
use serde::{Deserialize, Serialize};

use crate::{Column, DatasetError, Lane};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    Csv,
    JsonLines,
    Parquet,
    ArrowFile,
}

impl Format {
    /// Whether kinds are told by looking at values.
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::JsonLines)
    }
}

/// The format that the first bytes name.
pub(crate) fn by_content(head: &[u8]) -> Option<Format> {
    if head.starts_with(b"PAR1") {
        Some(Format::Parquet)
    } else if head.starts_with(b"ARROW1") {
        Some(Format::ArrowFile)
    } else if head.starts_with(b"{") {
        Some(Format::JsonLines)
    } else {
        None
    }
}

/// The format that a name promises.
pub(crate) fn by_extension(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "csv" | "tsv" | "txt" => Format::Csv,
        "jsonl" | "ndjson" => Format::JsonLines,
        "parquet" | "pq" => Format::Parquet,
        "arrow" | "feather" | "ipc" => Format::ArrowFile,
        _ => return None,
    })
}

/// A column as one file has it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) column: Column,
    /// Whether the file does not say its kind: it has no type, and no value of it was seen.
    pub(crate) is_empty: bool,
}

/// The columns of a file.
pub(crate) fn columns(path: &Path, format: Format) -> Result<Vec<Found>, DatasetError> {
    match format {
        Format::Csv => csv::columns(path),
        Format::JsonLines => json::columns(path),
        Format::Parquet => arrow::parquet_columns(path),
        Format::ArrowFile => arrow::file_columns(path),
    }
}

/// What the lists of a file hold, when it is a history of the gateway.
pub(crate) fn history(path: &Path, format: Format) -> Result<Option<Heads>, DatasetError> {
    match format {
        Format::Csv | Format::JsonLines => Ok(None),
        Format::Parquet => arrow::parquet_history(path),
        Format::ArrowFile => arrow::file_history(path),
    }
}

/// Takes batches as they come: the lanes of the wanted columns, and how many cells of each could not be read.
pub(crate) type Take<'a> = dyn FnMut(Vec<Lane>, &[u64]) -> Result<(), DatasetError> + 'a;

/// Streams the wanted columns of a file; those of a history under the names its lists are unfolded to.
pub(crate) fn stream(
    path: &Path,
    format: Format,
    wanted: (&[Column], Option<&Unfold>),
    take: &mut Take<'_>,
) -> Result<(), DatasetError> {
    stream_part(path, format, None, wanted, take)
}

/// The same for some row groups of a Parquet file; of other formats, for the whole file.
pub(crate) fn stream_part(
    path: &Path,
    format: Format,
    groups: Option<Range<usize>>,
    wanted: (&[Column], Option<&Unfold>),
    take: &mut Take<'_>,
) -> Result<(), DatasetError> {
    match format {
        Format::Csv => csv::stream(path, wanted.0, take),
        Format::JsonLines => json::stream(path, wanted.0, take),
        Format::Parquet => arrow::stream_parquet(path, groups, wanted, take),
        Format::ArrowFile => arrow::stream_file(path, wanted, take),
    }
}

/// Whether a cell of a text format stands for a missing value.
fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "?" | "NA" | "N/A" | "NaN" | "nan" | "null" | "NULL" | "None")
}

/// A cell as a number; `00123` is an identifier and no number.
fn number(cell: &str) -> Option<f64> {
    let digits = cell.trim_start_matches(['-', '+']);
    let padded = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    match cell {
        "true" | "True" | "TRUE" => Some(1.0),
        "false" | "False" | "FALSE" => Some(0.0),
        _ if padded => None,
        _ => cell.parse().ok().filter(|value: &f64| !value.is_nan()),
    }
}

/// A cell as seconds since 1970 in UTC: an ISO 8601 date, or a date and a time with or without an offset (without one,
/// UTC). Other spellings are no times.
fn time(cell: &str) -> Option<f64> {
    let bytes = cell.as_bytes();
    let dated = bytes.len() >= 10
        && bytes.iter().take(10).enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !dated {
        return None;
    }
    let zoned = bytes.iter().skip(10).any(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'));
    let stamp = if zoned {
        cell.parse::<jiff::Timestamp>().ok()?
    } else {
        cell.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
    };
    Some(stamp.as_duration().as_secs_f64())
}
