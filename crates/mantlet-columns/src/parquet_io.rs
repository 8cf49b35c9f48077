//! Rows of exchanges in Parquet files.

use std::fs::File;
use std::path::Path;

use mantlet_vocab::Millis;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::{ColumnsError, RecordBatch, Row, batch, rows, schema};

/// Rows that are turned into columns at once.
const TOGETHER: usize = 256;

/// Encoded bytes after which a row group is over.
const GROUP: usize = 1 << 20;

/// Writes rows as one Parquet file into an open file; see [`write_batches`].
///
/// # Errors
/// When the disk is full or Arrow refuses.
pub fn write_rows(file: File, path: &Path, rows: &[Row]) -> Result<(), ColumnsError> {
    // A few at a time: a copy of all rows in columns would be as large as the rows.
    write_batches(file, path, rows.chunks(TOGETHER).map(batch))
}

/// Writes batches as one Parquet file (Snappy) into an open file and flushes it to disk. The caller names the
/// file and renames it into place.
///
/// # Errors
/// When the disk is full or Arrow refuses.
pub fn write_batches(
    file: File,
    path: &Path,
    batches: impl IntoIterator<Item = Result<RecordBatch, ColumnsError>>,
) -> Result<(), ColumnsError> {
    let mut writer = ArrowWriter::try_new(&file, schema(), Some(properties())).map_err(unwritten(path))?;
    for some in batches {
        writer.write(&some?).map_err(unwritten(path))?;
        // What is encoded stays in memory until its row group is over.
        if writer.in_progress_size() > GROUP {
            writer.flush().map_err(unwritten(path))?;
        }
    }
    writer.close().map_err(unwritten(path))?;
    file.sync_all().map_err(|source| ColumnsError::Io { verb: "flush", path: path.to_owned(), source })
}

/// How each column is written. What hardly ever repeats gets no dictionary, which would be built, found useless and
/// thrown away; what is random is not compressed, and nobody asks for its smallest and largest value.
fn properties() -> WriterProperties {
    let list = |name: &str| ColumnPath::new([name, "list", "item"].map(str::to_owned).to_vec());
    let mut builder = WriterProperties::builder().set_compression(Compression::SNAPPY);
    for numbers in [list("features"), list("scores"), list("signal_scores")] {
        builder = builder
            .set_column_dictionary_enabled(numbers.clone(), false)
            .set_column_statistics_enabled(numbers, EnabledStatistics::None);
    }
    for random in ["id", "request"].map(ColumnPath::from) {
        builder = builder
            .set_column_dictionary_enabled(random.clone(), false)
            .set_column_statistics_enabled(random.clone(), EnabledStatistics::None)
            .set_column_compression(random, Compression::UNCOMPRESSED);
    }
    for figure in ["at", "took_ms"].map(ColumnPath::from) {
        builder = builder.set_column_dictionary_enabled(figure, false);
    }
    builder.set_column_encoding(ColumnPath::from("at"), Encoding::DELTA_BINARY_PACKED).build()
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
