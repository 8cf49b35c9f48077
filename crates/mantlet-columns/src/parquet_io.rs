//! Rows of exchanges in Parquet files.

use std::fs::File;
use std::path::Path;

use mantlet_vocab::Millis;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::{ColumnsError, Row, batch, rows, schema};

/// Rows that are turned into columns at once.
const TOGETHER: usize = 256;

/// Writes rows as one Parquet file (Snappy) into an open file and flushes it to disk. The caller names the
/// file and renames it into place.
///
/// # Errors
/// When the disk is full or Arrow refuses.
pub fn write_rows(file: File, path: &Path, rows: &[Row]) -> Result<(), ColumnsError> {
    // Features hardly ever repeat: a dictionary of them is built, found useless and thrown away, at a price.
    let features = ColumnPath::new(["features", "list", "item"].map(str::to_owned).to_vec());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_column_dictionary_enabled(features.clone(), false)
        .set_column_statistics_enabled(features, EnabledStatistics::None)
        .build();
    let mut writer = ArrowWriter::try_new(&file, schema(), Some(properties)).map_err(unwritten(path))?;
    // A few at a time: a copy of all rows in columns would be as large as the rows.
    for some in rows.chunks(TOGETHER) {
        writer.write(&batch(some)?).map_err(unwritten(path))?;
    }
    writer.close().map_err(unwritten(path))?;
    file.sync_all().map_err(|source| ColumnsError::Io { verb: "flush", path: path.to_owned(), source })
}

/// Parquet hides what the file system said in an external error; this takes it out again.
fn unwritten(path: &Path) -> impl FnOnce(ParquetError) -> ColumnsError {
    move |fault| {
        let reason = fault.to_string();
        let inner = match fault {
            ParquetError::External(inner) => inner.downcast::<std::io::Error>().ok(),
            _ => None,
        };
        let source = inner.map_or_else(|| std::io::Error::other(reason), |inner| *inner);
        ColumnsError::Io { verb: "write", path: path.to_owned(), source }
    }
}

/// Reads the rows of a file that `wanted` accepts, at most `most`, in file order; `wanted` is asked only
/// about rows within `since..=until`.
///
/// # Errors
/// When the file cannot be read or is not of our schema.
pub fn read_rows(
    path: &Path,
    since: Millis,
    until: Millis,
    most: usize,
    mut wanted: impl FnMut(&Row) -> bool,
) -> Result<Vec<Row>, ColumnsError> {
    let io = |source| ColumnsError::Io { verb: "read", path: path.to_owned(), source };
    let damaged = |reason: String| ColumnsError::Parquet { path: path.to_owned(), reason };
    let file = File::open(path).map_err(io)?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|fault| damaged(fault.to_string()))?;
    let reader = builder.with_batch_size(1024).build().map_err(|fault| damaged(fault.to_string()))?;
    let mut found = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|fault| damaged(fault.to_string()))?;
        for row in rows(&batch)? {
            if row.at >= since && row.at <= until && wanted(&row) {
                found.push(row);
                if found.len() >= most {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}
