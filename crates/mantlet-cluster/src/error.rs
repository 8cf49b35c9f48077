//! Why a table could not be counted, or a role could not run.

use std::path::PathBuf;

use ballista_core::error::BallistaError;
use datafusion::error::DataFusionError;

/// Why a table could not be counted, or a role could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The table itself.
    #[error(transparent)]
    Dataset(#[from] mantlet_dataset::DatasetError),
    /// Profile and counts do not fit.
    #[error(transparent)]
    Drift(#[from] mantlet_drift::DriftError),
    /// A file or folder cannot be reached.
    #[error("cannot read {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A token that could be guessed.
    #[error("the cluster's token has {found} characters; take at least {least} random ones")]
    ShortToken {
        /// Found.
        found: usize,
        /// Needed.
        least: usize,
    },
    /// Keys and certificates.
    #[error("cannot make the cluster's certificates: {reason}")]
    Certificates {
        /// The library's words.
        reason: String,
    },
    /// An address that is none.
    #[error("`{address}` is no address of a scheduler; write host:port")]
    Address {
        /// What was given.
        address: String,
    },
    /// A port that cannot be had.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Every address of a machine is none that others can be told.
    #[error("{address} says nothing to others; name the host under which they reach this executor")]
    Nameless {
        /// Where it would listen.
        address: std::net::SocketAddr,
    },
    /// The engine gave something else than counts.
    #[error("the engine answered with {found} instead of counts")]
    Answer {
        /// What it gave.
        found: String,
    },
    /// A profile that does not fit into a plan.
    #[error(
        "the plan with its profile takes {found} bytes, more than the {most} that a cluster is handed; count with the \
         engine stream or datafusion, or make the profile without some columns"
    )]
    Wide {
        /// Bytes.
        found: usize,
        /// Allowed.
        most: usize,
    },
    /// The query itself.
    #[error("the query failed")]
    Query(#[source] Box<DataFusionError>),
    /// A role.
    #[error("the cluster failed")]
    Role(#[source] Box<BallistaError>),
    /// A port or a connection.
    #[error("the connection failed")]
    Transport(#[from] tonic::transport::Error),
}

impl From<DataFusionError> for ClusterError {
    fn from(error: DataFusionError) -> Self {
        match error {
            // What a reader says is told as it says it.
            DataFusionError::External(inner) => match inner.downcast::<mantlet_dataset::DatasetError>() {
                Ok(fault) => Self::Dataset(*fault),
                Err(inner) => Self::Query(Box::new(DataFusionError::External(inner))),
            },
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => (*inner).into(),
            DataFusionError::Shared(shared) => match std::sync::Arc::try_unwrap(shared) {
                Ok(inner) => inner.into(),
                Err(shared) => Self::Query(Box::new(DataFusionError::Shared(shared))),
            },
            other => Self::Query(Box::new(other)),
        }
    }
}

impl From<BallistaError> for ClusterError {
    fn from(error: BallistaError) -> Self {
        Self::Role(Box::new(error))
    }
}

impl From<rcgen::Error> for ClusterError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificates { reason: error.to_string() }
    }
}
