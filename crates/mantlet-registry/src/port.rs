//! What the registry needs of the world: records kept together or not at all, and bytes checked.

use std::future::Future;

use mantlet_vocab::Digest;

use crate::disk::Stamp;
use crate::rollout::Rollout;
use crate::{ModelVersion, System, Transition};

/// Keeps the registry's records. Each method is one transaction.
pub trait RegistryStore: Send + Sync {
    /// Why a record could not be kept or found.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The system of this name.
    fn system(&self, name: &str) -> impl Future<Output = Result<Option<System>, Self::Error>> + Send;
    /// All systems by name.
    fn systems(&self) -> impl Future<Output = Result<Vec<System>, Self::Error>> + Send;
    /// Adds or replaces a system's description; `serving` and `known_good` are changed by [`Self::commit`] only.
    fn put_system(&self, system: &System) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// The version of this name.
    fn version(
        &self,
        system: &str,
        version: &str,
    ) -> impl Future<Output = Result<Option<ModelVersion>, Self::Error>> + Send;
    /// All versions of a system, oldest first.
    fn versions(&self, system: &str) -> impl Future<Output = Result<Vec<ModelVersion>, Self::Error>> + Send;
    /// Whether an incident keeps this version from being used until a person has decided.
    fn is_held(&self, system: &str, version: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;
    /// Writes the history lines into the audit log, then versions, pointers and history in one transaction.
    /// Answers `false`, without effect, when what was read is no longer what is kept (two people at once).
    fn commit(&self, change: Change<'_>) -> impl Future<Output = Result<bool, Self::Error>> + Send;
    /// The newest rollout of a system, running or over.
    fn rollout(&self, system: &str) -> impl Future<Output = Result<Option<Rollout>, Self::Error>> + Send;
    /// Keeps a rollout; its lines that are not kept yet go into the audit log first. `before` is the revision that
    /// was read (`None`: no rollout of that id is kept, and none of the system runs). Answers `false`, without
    /// effect, when something else is kept.
    fn save_rollout(
        &self,
        before: Option<u64>,
        rollout: &Rollout,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;
    /// The history of a system, oldest first.
    fn history(&self, system: &str) -> impl Future<Output = Result<Vec<Transition>, Self::Error>> + Send;
}

/// A change of the registry, all or nothing.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The system's record as it was read; the change holds only while `serving` and `known_good` are these.
    pub expected: &'a System,
    /// The system's record after.
    pub system: &'a System,
    /// The versions that change.
    pub updates: &'a [Update],
    /// The lines of the history.
    pub history: &'a [Transition],
}

/// One version's record, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// As it was read; `None` for a new version.
    pub before: Option<ModelVersion>,
    /// As it shall be.
    pub after: ModelVersion,
}

/// What was found when a version was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Root digest of the bytes on disk.
    pub digest: Digest,
    /// Hint of the key that signed: SHA-256 of its PEM text.
    pub key_hint: String,
    /// Files covered.
    pub files: usize,
}

/// Hashes a version's files and checks its signature, now.
pub trait Verifier: Send + Sync {
    /// Checks it.
    ///
    /// # Errors
    /// Says in plain words why it is not what was signed.
    fn verify(&self, version: &ModelVersion) -> Result<Verified, crate::DiskError>;

    /// What tells later, without reading every byte again, that a version's files are still those of now; `None`
    /// where nothing does.
    ///
    /// # Errors
    /// When they cannot be looked at.
    fn stamp(&self, _version: &ModelVersion) -> Result<Option<Stamp>, crate::DiskError> {
        Ok(None)
    }
}
