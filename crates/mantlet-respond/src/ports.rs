//! What the engine needs of the world: hands that apply and undo steps, and a place to keep incidents.

use std::future::Future;

use mantlet_vocab::Millis;

use crate::incident::{Incident, IncidentState};
use crate::step::Containment;

/// One step to hold or release, as the [`Actuator`] sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Unique and stable: `<incident>/<step>`.
    pub id: String,
    /// What to do.
    pub action: Containment,
    /// When it ends by itself, should nobody release it before; `None` when it stays.
    pub until: Option<Millis>,
}

/// Why an actuator could not act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActuatorError {
    /// The thing to act on does not exist (any more).
    #[error("there is no {0}")]
    Unknown(String),
    /// It was refused, for instance because a roll-back target failed verification.
    #[error("refused: {0}")]
    Refused(String),
    /// The part that acts could not be reached; trying again may help.
    #[error("not reachable: {0}")]
    Unreachable(String),
}

/// The hands. Laws an implementation keeps, tested beside the standing of orders:
/// - orders are told apart by [`Order::id`]: applying twice is applying once, undoing twice is undoing once;
/// - undoing an order that was never applied changes nothing and is not an error;
/// - undoing one order leaves every other order in force, in whatever order they came.
///
/// [`crate::Switchboard`] keeps these laws over any [`crate::Switches`].
pub trait Actuator: Send + Sync {
    /// Puts an order in force.
    fn apply(&self, order: &Order) -> impl Future<Output = Result<(), ActuatorError>> + Send;

    /// Takes an order out of force.
    fn undo(&self, order: &Order) -> impl Future<Output = Result<(), ActuatorError>> + Send;
}

impl<A: Actuator + ?Sized> Actuator for std::sync::Arc<A> {
    fn apply(&self, order: &Order) -> impl Future<Output = Result<(), ActuatorError>> + Send {
        (**self).apply(order)
    }
    fn undo(&self, order: &Order) -> impl Future<Output = Result<(), ActuatorError>> + Send {
        (**self).undo(order)
    }
}

/// Why incidents could not be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IncidentStoreError {
    /// Somebody else saved the incident in between.
    #[error("incident {id} was changed by somebody else; read it again")]
    Conflict {
        /// The incident.
        id: String,
    },
    /// The store failed.
    #[error("cannot keep incidents: {0}")]
    Failed(String),
}

/// Which incidents to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentFilter {
    /// Only this system's.
    pub system: Option<String>,
    /// Only these states; empty for all.
    pub states: Vec<IncidentState>,
    /// At most this many, newest first; `None` for all.
    pub limit: Option<usize>,
}

impl IncidentFilter {
    /// Incidents that are not closed.
    #[must_use]
    pub fn open() -> Self {
        Self { states: vec![IncidentState::Open, IncidentState::Contained], ..Self::default() }
    }

    /// Whether an incident passes (the limit apart).
    #[must_use]
    pub fn admits(&self, incident: &Incident) -> bool {
        self.system.as_ref().is_none_or(|system| *system == incident.system)
            && (self.states.is_empty() || self.states.contains(&incident.state))
    }
}

/// Where incidents are kept.
pub trait IncidentStore: Send + Sync {
    /// Keeps an incident: inserts it when `revision` is 1, else replaces the stored one, which must stand at
    /// `revision - 1`. Anything else is a [`IncidentStoreError::Conflict`] and changes nothing.
    fn save(&self, incident: &Incident) -> impl Future<Output = Result<(), IncidentStoreError>> + Send;

    /// The incident of this id.
    fn load(&self, id: &str) -> impl Future<Output = Result<Option<Incident>, IncidentStoreError>> + Send;

    /// Incidents, newest first.
    fn list(
        &self,
        filter: &IncidentFilter,
    ) -> impl Future<Output = Result<Vec<Incident>, IncidentStoreError>> + Send;
}

impl<S: IncidentStore + ?Sized> IncidentStore for std::sync::Arc<S> {
    fn save(&self, incident: &Incident) -> impl Future<Output = Result<(), IncidentStoreError>> + Send {
        (**self).save(incident)
    }
    fn load(&self, id: &str) -> impl Future<Output = Result<Option<Incident>, IncidentStoreError>> + Send {
        (**self).load(id)
    }
    fn list(
        &self,
        filter: &IncidentFilter,
    ) -> impl Future<Output = Result<Vec<Incident>, IncidentStoreError>> + Send {
        (**self).list(filter)
    }
}

impl<S: IncidentStore + ?Sized> IncidentStore for &S {
    fn save(&self, incident: &Incident) -> impl Future<Output = Result<(), IncidentStoreError>> + Send {
        (**self).save(incident)
    }
    fn load(&self, id: &str) -> impl Future<Output = Result<Option<Incident>, IncidentStoreError>> + Send {
        (**self).load(id)
    }
    fn list(
        &self,
        filter: &IncidentFilter,
    ) -> impl Future<Output = Result<Vec<Incident>, IncidentStoreError>> + Send {
        (**self).list(filter)
    }
}
