//! What the answering loop needs of the world, and what it says when something was not done.

use std::future::Future;

use mantlet_respond::{IncidentStoreError, RespondError};
use mantlet_vocab::Millis;
use serde_json::Value;

/// The time, as a port.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Millis;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Takes entries for the audit log. A failure is logged; it never keeps anybody from being protected.
pub trait Journal: Send + Sync {
    /// Appends an entry.
    fn append(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        detail: Value,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// No journal, where the store keeps one of its own.
impl Journal for () {
    async fn append(&self, _: &str, _: &str, _: &str, _: Value) -> Result<(), String> {
        Ok(())
    }
}

/// Why something asked of the answering loop was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// There is no such incident.
    #[error("there is no incident {0}; `mantlet incident list` names them")]
    NoIncident(String),
    /// The step was not carried out.
    #[error(transparent)]
    Respond(#[from] RespondError),
    /// The loop has ended.
    #[error("the answering loop has ended; start `mantlet up` again")]
    Ended,
}

impl From<IncidentStoreError> for AnswerError {
    fn from(error: IncidentStoreError) -> Self {
        Self::Respond(error.into())
    }
}
