//! What the gateway needs of the world beyond HTTP.

use std::pin::Pin;
use std::sync::Arc;

use mantlet_guard::shared::SharedLimits;
use mantlet_guard::{Events, Recorder};
use mantlet_vocab::{Exchange, Millis};

use crate::who::Belongs;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now(&self) -> Millis;
}

/// What looking up an API key gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyLookup {
    /// A key in force, with its id.
    Valid {
        /// The id, which may appear in logs and records.
        id: String,
        /// Until when the answer holds at most; the gateway asks again after a few seconds anyway.
        until: Option<Millis>,
    },
    /// No such key, or expired, or without the right to ask this model.
    Invalid,
    /// The keys cannot be read now. The request is refused.
    Unavailable,
}

/// Knows API keys. Implementations compare hashes in constant time and must not block for long; the gateway
/// remembers answers for a few seconds by the SHA-256 of what was presented, never the key itself.
pub trait Keys: Send + Sync {
    /// Looks up what a client presented for a model.
    fn lookup(&self, presented: &str, model: &str, now: Millis) -> KeyLookup;

    /// To whom the key of this id belongs; to nobody beside itself unless an implementation knows.
    fn belongs(&self, _id: &str) -> Belongs {
        Belongs::default()
    }

    /// Whether what a client presents is a key in force that may read `/status` and `/metrics` from other machines.
    /// Nobody's may unless an implementation knows.
    fn reads_status(&self, _presented: &str, _now: Millis) -> bool {
        false
    }

    /// Whether what a client presents beside the key of this id is a second key of the same user that is for
    /// answering challenges. Nobody's is unless an implementation knows.
    fn seconds(&self, _id: &str, _presented: &str, _now: Millis) -> bool {
        false
    }
}

/// A diverted decision's ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket(pub String);

/// What a person has decided about a diverted decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Reviewed {
    /// Nobody has yet.
    Pending,
    /// Released: this is the model's answer.
    Released(serde_json::Value),
    /// The model was not asked, and may be: the request goes to it once, now or when its caller sends it again with the
    /// ticket. `went` says that it did.
    GoesOn {
        /// Whether it went.
        went: bool,
    },
    /// A person gave another answer.
    Answered(serde_json::Value),
    /// Rejected, with a reason the client may read.
    Rejected(String),
    /// There is no such ticket of this caller.
    Unknown,
}

/// An answer that takes a moment.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes diverted decisions and tells what became of them. Must not block.
pub trait Reviews: Send + Sync {
    /// Files a diverted exchange (with the model's reply, when it was asked) and gives its ticket. `goes_on` says that
    /// its request, of which the model was not asked, can go to it once a person lets it.
    ///
    /// # Errors
    /// When there is no room; the request is then refused.
    fn file(&self, exchange: &Exchange, goes_on: bool) -> Result<Ticket, mantlet_guard::Overloaded>;

    /// What became of a ticket; only its own caller is told.
    fn poll(&self, ticket: &str, caller: &str) -> Reviewed;

    /// Whether the request of this exchange may go to the model under a ticket: true once, for the same request of the
    /// same caller on the same route, after a person released it ([`Reviewed::GoesOn`]). Never when that cannot be
    /// told or written down.
    fn goes_on<'a>(&'a self, ticket: &'a str, exchange: &'a Exchange) -> Soon<'a, bool>;
}

/// Everything the gateway is handed.
#[derive(Clone)]
pub struct Ports {
    /// API keys.
    pub keys: Arc<dyn Keys>,
    /// Diverted decisions.
    pub reviews: Arc<dyn Reviews>,
    /// The record of exchanges.
    pub recorder: Arc<dyn Recorder>,
    /// Alerts.
    pub events: Arc<dyn Events>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The counts of limits, shared with other replicas when there are any.
    pub limits: Arc<dyn SharedLimits>,
}
