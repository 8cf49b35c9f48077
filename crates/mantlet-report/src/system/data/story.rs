//! What happened: an incident from the first hostile query to the rule it left behind.

use mantlet_vocab::{Impact, Millis};
use serde::{Deserialize, Serialize};

use super::Basis;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The attacker did something.
    Attack,
    /// A detector spoke.
    Signal,
    /// An incident was opened or changed.
    Alert,
    /// A containment step was taken.
    Contain,
    /// A containment step was undone or ran out.
    Undo,
    /// Somebody was told.
    Deliver,
    /// A person decided.
    Person,
    /// A case or guard rule was made or replayed.
    Case,
}

/// One moment of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineEvent {
    /// When.
    pub at: Millis,
    /// Who: a detector, a playbook, a person, a key.
    pub actor: String,
    /// What, in plain words.
    pub what: String,
    /// What kind of thing.
    pub kind: EventKind,
}

/// The five answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Answers {
    /// What changed.
    pub changed: String,
    /// What is suspicious.
    pub suspicious: String,
    /// Who and what is affected.
    pub affected: String,
    /// Which decisions may be wrong.
    pub decisions: String,
    /// What to do now.
    pub next: String,
}

/// A containment step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// What it does.
    pub action: String,
    /// Its state: proposed, applied, undone, expired.
    pub state: String,
    /// How it is undone.
    pub undo: String,
    /// When it ends by itself.
    pub expires: Option<Millis>,
    /// Whom it touches.
    pub blast_radius: String,
}

/// A confirmed attack that became a regression case and a guard rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PinnedCase {
    /// The case's name.
    pub case: String,
    /// What the rule pins, in plain words.
    pub pins: String,
    /// What replaying showed: (what, held).
    pub replays: Vec<(String, bool)>,
}

/// An incident from the first hostile query to the rule it left behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentStory {
    /// Its id.
    pub id: String,
    /// One plain line.
    pub title: String,
    /// How much harm it can do.
    pub impact: Impact,
    /// The five answers.
    pub answers: Answers,
    /// What happened, by rising time.
    pub events: Vec<TimelineEvent>,
    /// Containment steps.
    pub steps: Vec<StepRow>,
    /// Cases and rules that came of it.
    pub pinned: Vec<PinnedCase>,
    /// Milliseconds from the first hostile query to the alert.
    pub time_to_detect_ms: Option<u64>,
    /// Milliseconds from the alert to the first containment.
    pub time_to_contain_ms: Option<u64>,
    /// Queries the attacker had spent at the alert.
    pub queries_to_detect: Option<u64>,
    /// What it rests on.
    pub basis: Basis,
}
