//! Why a table cannot be read.

use std::path::{Path, PathBuf};

/// Why a table cannot be read. Every message names the file and, where there is one, the column or row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The file system refused.
    #[error("cannot read {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder or list without a file that is a table.
    #[error("{path} holds no table; CSV, JSON Lines, Parquet and Arrow files are read")]
    NoTable {
        /// Where.
        path: PathBuf,
    },
    /// A pattern of files' names that is none, or takes too many.
    #[error("`{pattern}` cannot be looked up: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// Whoever took the rows wants no more of them.
    #[error("reading was given up")]
    GivenUp,
    /// Not what its format promises, or damaged.
    #[error("{path}, {place}: {reason}")]
    Damaged {
        /// Where.
        path: PathBuf,
        /// `row 7`, `row group 3`, `the footer`.
        place: String,
        /// The reader's words.
        reason: String,
    },
    /// Two columns have one name.
    #[error("{path} has two columns `{column}`; rename one")]
    Doubled {
        /// Where.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// More columns than are read.
    #[error("{path} has {found} columns, more than the {most} that are read")]
    Wide {
        /// Where.
        path: PathBuf,
        /// Found.
        found: usize,
        /// Allowed.
        most: usize,
    },
    /// A column is missing that an earlier file, or the profile, has.
    #[error("{path} has no column `{column}`, which {other} has")]
    Missing {
        /// Where.
        path: PathBuf,
        /// The column.
        column: String,
        /// What has it.
        other: String,
    },
    /// A column has another kind than in an earlier file, or in the profile.
    #[error("{path}: column `{column}` holds {found}, in {other} it holds {expected}")]
    Kind {
        /// Where.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it holds.
        found: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What says so.
        other: String,
    },
    /// Passes over one table did not find the same rows.
    #[error(
        "{path}, or another file of its table, changed while it was read; leave them alone meanwhile and ask again"
    )]
    Changed {
        /// Where.
        path: PathBuf,
    },
    /// Names for features, and no history.
    #[error("{path} is no history of a gateway, whose features could be named; it names its columns itself")]
    NoHistory {
        /// Where.
        path: PathBuf,
    },
    /// Another number of names than of features.
    #[error(
        "{path} holds {found} features a row, and {named} are named; name each in the order of the model, up to 512"
    )]
    Features {
        /// Where.
        path: PathBuf,
        /// Found.
        found: usize,
        /// Named.
        named: usize,
    },
    /// Nothing to read.
    #[error("{path} holds no rows")]
    Empty {
        /// Where.
        path: PathBuf,
    },
    /// More labels than are held.
    #[error(
        "{path} holds more than the {most} labels that are joined at once; hand in those of the windows in question"
    )]
    ManyLabels {
        /// Where.
        path: PathBuf,
        /// Allowed.
        most: usize,
    },
    /// More windows than are told apart.
    #[error("{path} falls into more than {most} windows; take longer ones")]
    ManyWindows {
        /// Where.
        path: PathBuf,
        /// Allowed.
        most: usize,
    },
    /// Counts and profile do not fit.
    #[error(transparent)]
    Drift(#[from] mantlet_drift::DriftError),
}

impl DatasetError {
    /// The file that cannot be read as part of this table, when it is the file's fault and no other's.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::NoTable { path }
            | Self::Damaged { path, .. }
            | Self::Doubled { path, .. }
            | Self::Wide { path, .. }
            | Self::Missing { path, .. }
            | Self::Kind { path, .. }
            | Self::Empty { path } => Some(path),
            _ => None,
        }
    }
}
