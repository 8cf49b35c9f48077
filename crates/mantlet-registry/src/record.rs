//! What is kept of systems, versions and their way through the states.

use std::path::PathBuf;

use mantlet_vocab::{Digest, Impact, Millis, Mode};
use serde::{Deserialize, Serialize};

/// An AI system: a model before users, and the decision it makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// Its name, unique in this installation.
    pub name: String,
    /// What it decides, in the owner's words.
    pub decides: String,
    /// How much harm its decisions can do.
    pub impact: Impact,
    /// How far automation may go for it.
    pub mode: Mode,
    /// Who is responsible.
    pub owner: String,
    /// When it was added.
    pub created: Millis,
    /// The version before users, if any.
    pub serving: Option<String>,
    /// The version to fall back to, if any.
    pub known_good: Option<String>,
}

/// Where a version is in its life.
///
/// `Candidate -> Admitted -> Serving -> KnownGood | Retired`, and `Candidate -> Refused`. A version that
/// stops serving becomes known-good when it was marked so, else retired; both may serve again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Added, not yet judged.
    Candidate,
    /// Judged fit.
    Admitted,
    /// Before users.
    Serving,
    /// Served well; what a rollback goes to.
    KnownGood,
    /// Judged unfit; never serves.
    Refused,
    /// No longer used.
    Retired,
}

impl State {
    /// The word used in records and on screens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Admitted => "admitted",
            Self::Serving => "serving",
            Self::KnownGood => "known-good",
            Self::Refused => "refused",
            Self::Retired => "retired",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// One person's consent to one exact set of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Millis,
    /// The digest consented to; an approval of other bytes counts for nothing.
    pub digest: Digest,
    /// Why, in the person's words.
    pub note: String,
}

/// Names a version of a system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VersionId {
    /// The system.
    pub system: String,
    /// The version.
    pub version: String,
}

impl std::fmt::Display for VersionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.system, self.version)
    }
}

/// A version of a system's model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelVersion {
    /// The system it belongs to.
    pub system: String,
    /// The version, unique in the system.
    pub version: String,
    /// Root digest of the OMS manifest of `path`.
    pub digest: Digest,
    /// The model file or folder.
    pub path: PathBuf,
    /// The OMS bundle over `path`; without one it can not be promoted.
    pub signature: Option<PathBuf>,
    /// Where it is in its life.
    pub state: State,
    /// Who added it.
    pub added_by: String,
    /// When it was added.
    pub added: Millis,
    /// Consents so far.
    #[serde(default)]
    pub approvals: Vec<Approval>,
    /// The admission's reasons in plain words.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Digest of the evidence attestation beside the signature, if any.
    #[serde(default)]
    pub evidence: Option<Digest>,
}

impl ModelVersion {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> VersionId {
        VersionId { system: self.system.clone(), version: self.version.clone() }
    }
}

/// A change of state, as kept in the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Millis,
    /// Who.
    pub actor: String,
    /// The system.
    pub system: String,
    /// The version.
    pub version: String,
    /// The digest at that time.
    pub digest: Digest,
    /// Before; `None` when it was added.
    pub from: Option<State>,
    /// After.
    pub to: State,
    /// Why.
    pub reason: String,
}
