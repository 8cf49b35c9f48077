//! Systems, model versions, approvals, and the switch between versions: verified before traffic.
//!
//! The engine knows the rules; where records live is the [`RegistryStore`] port, and how a version on disk is
//! checked is the [`Verifier`] port, with [`TrustedKeys`] as the implementation over files and OMS bundles.
//! No version is put before users unless its files were hashed and its signature checked in the same call.

pub mod batch;
pub mod disk;
mod error;
mod flow;
mod port;
mod record;
pub mod rollout;
pub mod rows;

pub use disk::{DiskError, Stamp, TrustedKeys};
pub use error::RegistryError;
pub use flow::{Ahead, Registry, Returned, Switched};
pub use port::{Change, RegistryStore, Update, Verified, Verifier};
pub use record::{Approval, ModelVersion, State, System, Transition, VersionId};
