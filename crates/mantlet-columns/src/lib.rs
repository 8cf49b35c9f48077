//! The Arrow schema of exchanges, Parquet in and out, and the reading of a user's table.

mod exchange;
mod fields;
mod floats;
mod parquet_io;
mod redact;
mod table;

pub use arrow_array::RecordBatch;
pub use exchange::{FEATURES_MOST, Row, rows, schema};
pub use fields::{Columns, Fields, batch};
pub use parquet_io::{read_rows, write_batches, write_rows};
pub use redact::{Keep, NOT_RECORDED, Places, Redaction, is_left_out};
pub use table::{Cells, Column, Table, TableError, TableLimits, read_table};

/// Why columns could not be made, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnsError {
    /// The file system refused.
    #[error("cannot {verb} {path}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not Parquet, or is damaged.
    #[error("{path} is not readable as Parquet: {reason}")]
    Parquet {
        /// Where.
        path: std::path::PathBuf,
        /// The reader's words.
        reason: String,
    },
    /// The columns are not those of exchanges.
    #[error("column `{column}` is missing or has another type than exchanges have")]
    Schema {
        /// The column.
        column: &'static str,
    },
    /// Arrow refused.
    #[error("the columns do not fit together: {reason}")]
    Arrow {
        /// Its words.
        reason: String,
    },
}
