//! The ports through which exchanges and alerts leave the guard.

use mantlet_vocab::{Decision, Exchange, Millis, Signal};
use serde::{Deserialize, Serialize};

/// A port had no room. The caller counts it, shows it, and goes on: nothing waits for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiving side is full")]
pub struct Overloaded;

/// Takes finished exchanges for the record. Must not block; a full buffer is [`Overloaded`].
pub trait Recorder: Send + Sync {
    /// Takes one exchange.
    ///
    /// # Errors
    /// When there is no room.
    fn record(&self, exchange: Exchange) -> Result<(), Overloaded>;

    /// Whether what is recorded now will be kept: there is room, and the last that was written could be. Asked before a
    /// model is, so that where the route wants no exchange without a record, none begins.
    fn keeps(&self) -> bool {
        true
    }

    /// Takes what a version that is tried in the shadow answered to a copy of a request; nobody was given it. It is
    /// no exchange of a caller's and belongs in no record of those.
    ///
    /// # Errors
    /// When there is no room.
    fn shadowed(&self, _exchange: Exchange) -> Result<(), Overloaded> {
        Ok(())
    }
}

/// Takes alerts as they happen. Must not block; a full buffer is [`Overloaded`].
pub trait Events: Send + Sync {
    /// Takes one event.
    ///
    /// # Errors
    /// When there is no room.
    fn emit(&self, event: GuardEvent) -> Result<(), Overloaded>;
}

/// Something the guard noticed: one per exchange that has signals or was not simply allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardEvent {
    /// When.
    pub at: Millis,
    /// The exchange's id.
    pub exchange: String,
    /// The system of the configuration.
    pub system: String,
    /// The route of the configuration.
    pub route: String,
    /// The caller's key id.
    pub caller: String,
    /// The model version that answered or would have.
    pub version: String,
    /// The configuration generation that decided.
    pub generation: u64,
    /// The row number in the caller's stream of the last row of this exchange, counted from 1.
    pub row: u64,
    /// What was noticed, strongest first.
    pub signals: Vec<Signal>,
    /// What was decided; its signals stand above.
    pub decision: Decision,
}

/// A recorder and event sink that forgets everything, for tools that only want decisions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Recorder for Nowhere {
    fn record(&self, _: Exchange) -> Result<(), Overloaded> {
        Ok(())
    }
}

impl Events for Nowhere {
    fn emit(&self, _: GuardEvent) -> Result<(), Overloaded> {
        Ok(())
    }
}
