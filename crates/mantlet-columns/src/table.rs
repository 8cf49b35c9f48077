//! A user's table, from CSV or Parquet, as named and typed columns with a bound on rows.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// What is read at most.
#[derive(Debug, Clone, Copy)]
pub struct TableLimits {
    /// Rows; further ones are counted where that is cheap, not read.
    pub rows: usize,
    /// Columns; more is an error.
    pub columns: usize,
    /// Bytes of a CSV file that are read; of one cell of either format at most 64 KiB.
    pub bytes: u64,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self { rows: 200_000, columns: 10_000, bytes: 1 << 30 }
    }
}

/// Bytes of one text cell; longer ones are cut and counted as such.
const CELL_MOST: usize = 64 << 10;

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file system refused.
    #[error("cannot read {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not CSV: a row has another number of fields, or the bytes are not UTF-8.
    #[error("{path} line {line} is not CSV like its header: {reason}")]
    Csv {
        /// Where.
        path: PathBuf,
        /// The line.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Not Parquet, or damaged.
    #[error("{path} is not readable as Parquet: {reason}")]
    Parquet {
        /// Where.
        path: PathBuf,
        /// The reader's words.
        reason: String,
    },
    /// A column type that is not a number, a truth value or text.
    #[error("{path}: column `{column}` has the type {kind}, which is not read; leave it out")]
    Kind {
        /// Where.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// No columns, or no rows.
    #[error("{path} holds no {what}")]
    Empty {
        /// Where.
        path: PathBuf,
        /// `columns` or `rows`.
        what: &'static str,
    },
    /// Too many columns.
    #[error("{path} has {found} columns, more than the {most} allowed")]
    Wide {
        /// Where.
        path: PathBuf,
        /// Found.
        found: usize,
        /// Allowed.
        most: usize,
    },
}

/// The values of a column; `None` is a missing one.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Whole numbers (truth values of Parquet as 0 and 1).
    Integers(Vec<Option<i64>>),
    /// Numbers.
    Numbers(Vec<Option<f64>>),
    /// Text, also of mixed columns.
    Texts(Vec<Option<String>>),
}

impl Cells {
    /// Number of values, missing ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Integers(cells) => cells.len(),
            Self::Numbers(cells) => cells.len(),
            Self::Texts(cells) => cells.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at this row as a number; `None` when missing or text.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "models compute in f32")]
    pub fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Integers(cells) => cells.get(row).copied().flatten().map(|value| value as f64),
            Self::Numbers(cells) => cells.get(row).copied().flatten(),
            Self::Texts(_) => None,
        }
    }

    /// The value at this row as text; `None` when missing.
    #[must_use]
    pub fn text(&self, row: usize) -> Option<String> {
        match self {
            Self::Integers(cells) => cells.get(row).copied().flatten().map(|value| value.to_string()),
            Self::Numbers(cells) => cells.get(row).copied().flatten().map(|value| value.to_string()),
            Self::Texts(cells) => cells.get(row).cloned().flatten(),
        }
    }
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// Its values.
    pub cells: Cells,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The columns, in file order.
    pub columns: Vec<Column>,
    /// Rows read.
    pub rows: usize,
    /// Whether the file holds more rows than were read.
    pub cut: bool,
}

impl Table {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Reads a table. Parquet is recognised by its first four bytes; everything else is read as CSV with a
/// header line, the separator being the one of `,` `;` tab `|` that the header holds most often. An empty
/// field, `NA`, `NaN`, `null` and `?` are missing values.
///
/// # Errors
/// Says in which line or column reading ended.
pub fn read_table(path: &Path, limits: &TableLimits) -> Result<Table, TableError> {
    let io = |source| TableError::Io { path: path.to_owned(), source };
    let mut magic = [0; 4];
    let mut file = File::open(path).map_err(io)?;
    let count = file.read(&mut magic).map_err(io)?;
    let table = if count == 4 && &magic == b"PAR1" {
        read_parquet(path, limits)?
    } else {
        let file = File::open(path).map_err(io)?;
        read_csv(path, file, limits)?
    };
    let empty = |what| TableError::Empty { path: path.to_owned(), what };
    if table.columns.is_empty() {
        return Err(empty("columns"));
    }
    if table.rows == 0 {
        return Err(empty("rows"));
    }
    Ok(table)
}

fn read_csv(path: &Path, file: File, limits: &TableLimits) -> Result<Table, TableError> {
    let io = |source| TableError::Io { path: path.to_owned(), source };
    let size = file.metadata().map_err(io)?.len();
    let mut head = vec![0; 64 << 10];
    let mut file = file;
    let count = file.read(&mut head).map_err(io)?;
    head.truncate(count);
    let mut rest = (&head[..]).chain(file).take(limits.bytes);
    // A byte-order mark of UTF-8 is not part of the first name.
    if head.starts_with(b"\xef\xbb\xbf") {
        rest.read_exact(&mut [0; 3]).map_err(io)?;
    }
    let mut reader = csv::ReaderBuilder::new().delimiter(separator(&head)).from_reader(rest);
    let fault = |fault: csv::Error| {
        let line = fault.position().map_or(0, csv::Position::line);
        let reason = match fault.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("{len} fields where the header has {expected_len}")
            }
            csv::ErrorKind::Utf8 { .. } => "bytes that are not UTF-8".to_owned(),
            _ => "it cannot be read".to_owned(),
        };
        TableError::Csv { path: path.to_owned(), line, reason }
    };
    let names: Vec<String> =
        reader.headers().map_err(fault)?.iter().map(|name| name.trim().to_owned()).collect();
    check_width(path, names.len(), limits)?;
    let mut cells: Vec<Vec<Option<String>>> = vec![Vec::new(); names.len()];
    let mut record = csv::StringRecord::new();
    let (mut rows, mut cut) = (0, size > limits.bytes);
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) if rows == limits.rows => {
                cut = true;
                break;
            }
            Ok(true) => {
                for (column, cell) in cells.iter_mut().zip(record.iter()) {
                    column.push(present(cell));
                }
                rows += 1;
            }
            // The byte limit cuts within a line.
            Err(_) if size > limits.bytes => break,
            Err(wrong) => return Err(fault(wrong)),
        }
    }
    let columns = names.into_iter().zip(cells).map(|(name, cells)| Column { name, cells: typed(cells) });
    Ok(Table { columns: columns.collect(), rows, cut })
}

/// The separator the first line holds most often outside quotes.
fn separator(head: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    for &byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            byte if !quoted => counts.iter_mut().filter(|(c, _)| *c == byte).for_each(|(_, n)| *n += 1),
            _ => {}
        }
    }
    // Of equal counts the earlier wins.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(byte, _)| *byte)
}

fn present(cell: &str) -> Option<String> {
    let cell = cell.trim();
    let missing = matches!(cell, "" | "?" | "NA" | "N/A" | "NaN" | "nan" | "null" | "NULL" | "None");
    (!missing).then(|| cut_cell(cell))
}

fn cut_cell(cell: &str) -> String {
    let mut end = cell.len().min(CELL_MOST);
    while !cell.is_char_boundary(end) {
        end -= 1;
    }
    cell[..end].to_owned()
}

/// The narrowest type that holds every present value; a column without any is text.
fn typed(cells: Vec<Option<String>>) -> Cells {
    if cells.iter().all(Option::is_none) {
        return Cells::Texts(cells);
    }
    // `00123` is an identifier, not a number.
    let padded = |text: &str| {
        let digits = text.trim_start_matches(['-', '+']);
        digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let whole = |text: &str| text.parse::<i64>().ok().filter(|_| !padded(text));
    let number = |text: &str| text.parse::<f64>().ok().filter(|v| v.is_finite() && !padded(text));
    if cells.iter().flatten().all(|text| whole(text).is_some()) {
        return Cells::Integers(cells.iter().map(|cell| cell.as_deref().and_then(whole)).collect());
    }
    if cells.iter().flatten().all(|text| number(text).is_some()) {
        return Cells::Numbers(cells.iter().map(|cell| cell.as_deref().and_then(number)).collect());
    }
    Cells::Texts(cells)
}

fn check_width(path: &Path, found: usize, limits: &TableLimits) -> Result<(), TableError> {
    if found > limits.columns {
        return Err(TableError::Wide { path: path.to_owned(), found, most: limits.columns });
    }
    Ok(())
}

fn read_parquet(path: &Path, limits: &TableLimits) -> Result<Table, TableError> {
    let damaged = |reason: String| TableError::Parquet { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|source| TableError::Io { path: path.to_owned(), source })?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|fault| damaged(fault.to_string()))?;
    let total = builder.metadata().file_metadata().num_rows();
    let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    check_width(path, names.len(), limits)?;
    let reader = builder.with_limit(limits.rows).with_batch_size(4096).build();
    let mut cells: Vec<Option<Cells>> = vec![None; names.len()];
    let mut rows = 0;
    for batch in reader.map_err(|fault| damaged(fault.to_string()))? {
        let batch = batch.map_err(|fault| damaged(fault.to_string()))?;
        rows += batch.num_rows();
        for ((column, name), kept) in batch.columns().iter().zip(&names).zip(&mut cells) {
            let more = arrow_cells(column).ok_or_else(|| TableError::Kind {
                path: path.to_owned(),
                column: name.clone(),
                kind: column.data_type().to_string(),
            })?;
            match (kept, more) {
                (Some(Cells::Integers(kept)), Cells::Integers(more)) => kept.extend(more),
                (Some(Cells::Numbers(kept)), Cells::Numbers(more)) => kept.extend(more),
                (Some(Cells::Texts(kept)), Cells::Texts(more)) => kept.extend(more),
                (kept, more) => *kept = Some(more),
            }
        }
    }
    let columns = names
        .into_iter()
        .zip(cells)
        .map(|(name, cells)| Column { name, cells: cells.unwrap_or(Cells::Texts(Vec::new())) });
    Ok(Table { columns: columns.collect(), rows, cut: u64::try_from(total).is_ok_and(|t| t > rows as u64) })
}

fn arrow_cells(column: &ArrayRef) -> Option<Cells> {
    macro_rules! whole {
        ($kind:ty) => {
            Cells::Integers(column.as_primitive::<$kind>().iter().map(|cell| cell.map(i64::from)).collect())
        };
    }
    Some(match column.data_type() {
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        #[expect(clippy::cast_precision_loss, reason = "above 2^53 only; models compute in f32")]
        DataType::UInt64 => Cells::Numbers(
            column.as_primitive::<UInt64Type>().iter().map(|cell| cell.map(|value| value as f64)).collect(),
        ),
        DataType::Float32 => Cells::Numbers(
            column.as_primitive::<Float32Type>().iter().map(|cell| finite(cell.map(f64::from))).collect(),
        ),
        DataType::Float64 => {
            Cells::Numbers(column.as_primitive::<Float64Type>().iter().map(finite).collect())
        }
        DataType::Boolean => {
            Cells::Integers(column.as_boolean().iter().map(|cell| cell.map(i64::from)).collect())
        }
        DataType::Utf8 => texts(column.as_string::<i32>().iter()),
        DataType::LargeUtf8 => texts(column.as_string::<i64>().iter()),
        DataType::Utf8View => texts(column.as_string_view().iter()),
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary_opt()?;
            let values = arrow_cells(dictionary.values())?;
            // A dictionary without a value: every row is missing.
            if values.is_empty() {
                return Some(Cells::Texts(vec![None; column.len()]));
            }
            let keys = dictionary.normalized_keys();
            let present = |row: usize| (!column.is_null(row)).then(|| keys.get(row).copied()).flatten();
            Cells::Texts((0..column.len()).map(|row| present(row).and_then(|key| values.text(key))).collect())
        }
        _ => return None,
    })
}

/// A NaN is a missing value.
fn finite(cell: Option<f64>) -> Option<f64> {
    cell.filter(|value| !value.is_nan())
}

fn texts<'a>(cells: impl Iterator<Item = Option<&'a str>>) -> Cells {
    Cells::Texts(cells.map(|cell| cell.map(cut_cell)).collect())
}
