//! Why training data cannot be examined.

/// Why training data cannot be examined. Messages name the column and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CurateError {
    /// The table cannot be read.
    #[error(transparent)]
    Dataset(#[from] mantlet_dataset::DatasetError),
    /// A schema that makes no sense.
    #[error(transparent)]
    Schema(#[from] mantlet_datachecks::schema::SchemaError),
    /// A column that was named is not there.
    #[error("{table} has no column `{column}`; it has {has}")]
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The first columns it has.
        has: String,
    },
    /// A copy cannot be written.
    #[error("the copy cannot be written")]
    Write(#[source] std::io::Error),
    /// A column cannot play its part.
    #[error("column `{column}` cannot be the {role}: {why}")]
    Role {
        /// The column.
        column: String,
        /// `label`, `feed`, `labeler`, `time`.
        role: &'static str,
        /// Why, and what would do.
        why: String,
    },
    /// The text rules cannot be compiled.
    #[error("the words that must not be learned cannot be looked for: {0}")]
    Rules(String),
    /// Embeddings of two lengths.
    #[error("embeddings have {before} numbers in the reference and {now} now; make both with one encoder")]
    Lengths {
        /// In the reference.
        before: usize,
        /// Now.
        now: usize,
    },
    /// A reference model cannot be trained.
    #[error("a reference model cannot be trained: {0}")]
    Learn(String),
}
