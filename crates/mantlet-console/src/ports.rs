//! What the console needs of the world: things to show, people to know, and hands to act with.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use mantlet_access::{ApiKey, Session, User};
use mantlet_registry::batch::{Batch, Ledger};
use mantlet_registry::rollout::Rollout;
use mantlet_registry::rows::{RowRuled, Sheet};
use mantlet_registry::{ModelVersion, System, Transition};
use mantlet_report::{Input, SystemReport};
use mantlet_respond::{Incident, IncidentFilter};
use mantlet_store::{Ledgers, Report, Seen};
use mantlet_vocab::{Millis, Signal};
use serde::{Deserialize, Serialize};

use crate::Live;

/// An answer that takes a while.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = Result<T, PortError>> + Send + 'a>>;

/// Why a port could not answer or act. The words of `Refused` are shown to the person who asked; those of
/// `Failed` go to the log only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such thing.
    #[error("there is no {0}")]
    Missing(String),
    /// It must not be done, and why, in words for the person who asked.
    #[error("{0}")]
    Refused(String),
    /// Somebody else changed it in between.
    #[error("somebody else changed this in the meantime")]
    Conflict,
    /// It could not be done now.
    #[error("{0}")]
    Failed(String),
}

/// What the console shows.
pub trait Views: Send + Sync {
    /// All systems by name.
    fn systems(&self) -> Soon<'_, Vec<System>>;
    /// The versions of a system, oldest first.
    fn versions<'a>(&'a self, system: &'a str) -> Soon<'a, Vec<ModelVersion>>;
    /// The history of a system, oldest first.
    fn history<'a>(&'a self, system: &'a str) -> Soon<'a, Vec<Transition>>;
    /// The rollout that runs or ran last.
    fn rollout<'a>(&'a self, system: &'a str) -> Soon<'a, Option<Rollout>>;
    /// Why every decision of a system goes to people, when a person switched that on.
    fn diverted<'a>(&'a self, system: &'a str) -> Soon<'a, Option<String>>;
    /// What is known about a version beyond its record.
    fn evidence<'a>(&'a self, system: &'a str, version: &'a str) -> Soon<'a, VersionEvidence>;
    /// Incidents, newest first.
    fn incidents<'a>(&'a self, filter: &'a IncidentFilter) -> Soon<'a, Vec<Incident>>;
    /// One incident.
    fn incident<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Incident>>;
    /// Diverted decisions, oldest first; waiting ones only, or all of the recent past.
    fn reviews(&self, waiting_only: bool) -> Soon<'_, Vec<Review>>;
    /// One diverted decision.
    fn review<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Review>>;
    /// The last `most` lines of the audit log, newest first.
    fn audit(&self, most: usize) -> Soon<'_, AuditTail>;
    /// Reports about data and behaviour, newest first.
    fn reports(&self) -> Soon<'_, Vec<Report>>;
    /// One report.
    fn report<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Report>>;
    /// All API keys.
    fn keys(&self) -> Soon<'_, Vec<ApiKey>>;
}

/// Whom the console knows.
pub trait People: Send + Sync {
    /// The person of this name.
    fn user<'a>(&'a self, name: &'a str) -> Soon<'a, Option<User>>;
    /// Replaces a person's record after a change of password.
    fn save_user<'a>(&'a self, user: &'a User) -> Soon<'a, ()>;
    /// Keeps a new session. A sign-in is a line of the audit log.
    fn open_session<'a>(&'a self, session: &'a Session) -> Soon<'a, ()>;
    /// The session of this hash ([`Session::hash`]), ended ones excluded.
    fn session<'a>(&'a self, hash: &'a mantlet_vocab::Digest) -> Soon<'a, Option<Session>>;
    /// Ends a session.
    fn end_session<'a>(&'a self, hash: &'a mantlet_vocab::Digest) -> Soon<'a, ()>;
    /// Ends all sessions of a person, after a change of password.
    fn end_sessions_of<'a>(&'a self, user: &'a str) -> Soon<'a, ()>;
    /// The id of an API key that is in force and may manage (`Scope::Manage`), for the JSON API.
    fn managing_key<'a>(&'a self, presented: &'a str, now: Millis) -> Soon<'a, Option<String>>;
}

/// What the console does. The console has checked that the actor's role may; an implementation records who
/// did it and may still refuse.
pub trait Actions: Send + Sync {
    /// Puts a containment step in force.
    fn apply_step<'a>(&'a self, actor: &'a str, incident: &'a str, step: &'a str) -> Soon<'a, ()>;
    /// Takes a containment step out of force.
    fn undo_step<'a>(&'a self, actor: &'a str, incident: &'a str, step: &'a str) -> Soon<'a, ()>;
    /// Closes an incident.
    fn close_incident<'a>(&'a self, actor: &'a str, incident: &'a str, why: &'a str) -> Soon<'a, ()>;
    /// Decides a diverted decision and releases the answer to the caller.
    fn decide_review<'a>(
        &'a self,
        actor: &'a str,
        review: &'a str,
        ruling: &'a Ruling,
        note: &'a str,
    ) -> Soon<'a, ()>;
    /// Lets the known-good version of a system answer again.
    fn roll_back<'a>(&'a self, actor: &'a str, system: &'a str, why: &'a str) -> Soon<'a, ()>;
    /// Ends a rollout: everybody gets the version that serves.
    fn abort_rollout<'a>(&'a self, actor: &'a str, system: &'a str, why: &'a str) -> Soon<'a, ()>;
    /// Keeps a rollout at its step, or lets it go on.
    fn pause_rollout<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        paused: bool,
        why: &'a str,
    ) -> Soon<'a, ()>;
    /// Sends every decision of a system to people, or ends that.
    fn divert<'a>(&'a self, actor: &'a str, system: &'a str, on: bool, why: &'a str) -> Soon<'a, ()>;
}

/// Batches of training data: what waits, what a person is shown of it, and what they decide. The console has checked
/// that the actor's role may and that they are a person; an implementation records who did it, refuses what the ledger
/// does not allow, and hashes the files again.
pub trait Batches: Send + Sync {
    /// The batches of all systems.
    fn ledgers(&self) -> Soon<'_, Ledgers>;
    /// The rows of a batch that are most worth a look; nothing where its gate has listed none of exactly these bytes.
    fn sheet<'a>(&'a self, system: &'a str, batch: &'a Batch) -> Soon<'a, Option<Sheet>>;
    /// Decides about rows.
    fn rule<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        batch: &'a str,
        seen: Seen,
        rows: Vec<RowRuled>,
        note: &'a str,
    ) -> Soon<'a, Ledger>;
    /// Lets a batch through, or throws it out.
    fn decide<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        batch: &'a str,
        seen: Seen,
        approve: bool,
        note: &'a str,
    ) -> Soon<'a, Ledger>;
    /// Takes back what passed or was approved.
    fn withdraw<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        batch: &'a str,
        seen: Seen,
        note: &'a str,
    ) -> Soon<'a, Ledger>;
}

/// Everything the console is handed.
#[derive(Clone)]
pub struct Ports {
    /// Things to show.
    pub views: Arc<dyn Views>,
    /// People to know.
    pub people: Arc<dyn People>,
    /// Hands.
    pub actions: Arc<dyn Actions>,
    /// Batches of training data.
    pub batches: Arc<dyn Batches>,
    /// The exchanges of the last minutes.
    pub live: Live,
}

/// What is known about a version beyond its record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VersionEvidence {
    /// The report of the admission; its pictures, probes and findings of this version are shown.
    pub report: Option<SystemReport>,
}

/// A decision withheld from the caller until a person has looked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// The ticket.
    pub id: String,
    /// The exchange.
    pub exchange: String,
    /// When it was diverted.
    pub at: Millis,
    /// The system.
    pub system: String,
    /// The route.
    pub route: String,
    /// The caller's key id.
    pub caller: String,
    /// The model version that answered, or would have.
    pub version: String,
    /// What the caller sent, for a person to look at; one per row.
    pub inputs: Vec<Input>,
    /// What the model said, in plain words; `None` when it was not asked, or wrote a text.
    pub answer: Option<String>,
    /// The texts it wrote.
    pub written: Vec<Input>,
    /// Whether the model was asked.
    pub asked: bool,
    /// Whether the request, of which the model was not asked, goes to it once it is released.
    pub goes_on: bool,
    /// The model's scores: (class, share).
    pub scores: Vec<(String, f64)>,
    /// What a person may answer instead, as a rule the class names.
    pub choices: Vec<String>,
    /// Why it was diverted, strongest first.
    pub signals: Vec<Signal>,
    /// The incident it belongs to.
    pub incident: Option<String>,
    /// Whose it is to decide; empty for nobody's in particular.
    pub owner: String,
    /// When it runs out.
    pub deadline: Millis,
    /// Whether it is then released, as by a person; else the caller gets no answer.
    pub releases: bool,
    /// Where it stands.
    pub state: ReviewState,
}

/// Where a diverted decision stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ReviewState {
    /// Nobody has decided.
    Waiting,
    /// A person has.
    Decided {
        /// Who.
        by: String,
        /// When.
        at: Millis,
        /// What.
        ruling: Ruling,
        /// Why, in the person's words.
        note: String,
    },
}

/// What a person decides about a diverted decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ruling", content = "answer")]
pub enum Ruling {
    /// The caller gets the model's answer, or its request goes to the model.
    Release,
    /// The caller gets this answer, one of [`Review::choices`].
    Answer(String),
    /// The caller is refused.
    Reject,
}

impl Ruling {
    /// What was decided, in plain words; `asked` says whether the model was.
    #[must_use]
    pub fn plain(&self, asked: bool) -> String {
        match self {
            Self::Release if !asked => "the request may go to the model, once".to_owned(),
            Self::Release => "the model's answer was released".to_owned(),
            Self::Answer(answer) => format!("answered {answer} instead of the model"),
            Self::Reject => "refused".to_owned(),
        }
    }
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditLine {
    /// Its place in the log, from 0.
    pub index: u64,
    /// When.
    pub at: Millis,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Details.
    pub detail: serde_json::Value,
}

/// The end of the audit log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AuditTail {
    /// Lines, newest first.
    pub lines: Vec<AuditLine>,
    /// How many lines the log has.
    pub size: u64,
    /// The root hash over all of them, as the signed checkpoint says.
    pub root: String,
    /// Who signed the checkpoint, and when, in plain words.
    pub signed: Option<String>,
}
