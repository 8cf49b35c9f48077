//! Why a version did not go its way.

use mantlet_vocab::{Digest, Impact};

use crate::rollout::PlanError;
use crate::{DiskError, State, VersionId};

/// Why the registry did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError<E: std::error::Error + 'static> {
    /// No such system.
    #[error("there is no system `{0}`; `mantlet registry list` shows them")]
    NoSystem(String),
    /// No such version.
    #[error("there is no version {0}; `mantlet registry list` shows them")]
    NoVersion(VersionId),
    /// The version is there already.
    #[error("version {0} exists; a version is never overwritten, add another")]
    Exists(VersionId),
    /// Nothing to roll back to.
    #[error("system `{0}` has no known-good version to roll back to; mark one first")]
    NoKnownGood(String),
    /// The state does not allow it.
    #[error("version {version} is {state}, so it cannot become {wanted}")]
    State {
        /// The version.
        version: VersionId,
        /// What it is.
        state: State,
        /// What was wanted.
        wanted: State,
    },
    /// The bytes or the signature are not what was recorded.
    #[error("version {version} was not switched to, because it could not be verified")]
    NotVerified {
        /// The version.
        version: VersionId,
        /// What is wrong.
        #[source]
        source: Box<DiskError>,
    },
    /// The signed bytes are whole but are not the recorded ones.
    #[error("version {version} is recorded as {recorded}, its files are {found}")]
    OtherBytes {
        /// The version.
        version: VersionId,
        /// In the registry.
        recorded: Digest,
        /// On disk.
        found: Digest,
    },
    /// High impact needs a second person.
    #[error(
        "system impact is {impact}: version {version} needs the approval of someone other than `{adder}` \
         who added it and `{actor}` who asks; run `mantlet registry approve` as another person"
    )]
    FourEyes {
        /// The version.
        version: VersionId,
        /// The impact.
        impact: Impact,
        /// Who added it.
        adder: String,
        /// Who asks.
        actor: String,
    },
    /// An incident holds it.
    #[error(
        "version {0} is held by an incident; decide there first: `mantlet incident list`, then undo the hold"
    )]
    Held(VersionId),
    /// A rollout needs a version that serves and is not the candidate itself.
    #[error(
        "system `{0}` needs another version that serves before one can be rolled out step by step; promote one first"
    )]
    NothingServes(String),
    /// There is a rollout already.
    #[error("version {0} is being rolled out; end that first: `mantlet registry rollout abort`")]
    Running(VersionId),
    /// There is none.
    #[error("no rollout of `{0}` runs; `mantlet registry rollout start` begins one")]
    NoRollout(String),
    /// The plan cannot be followed.
    #[error("the plan of the rollout cannot be followed")]
    Plan(#[from] PlanError),
    /// Someone else changed it in between.
    #[error("the registry changed meanwhile; look again and repeat")]
    Changed,
    /// The store failed.
    #[error("the registry could not be read or written")]
    Store(#[source] E),
}
