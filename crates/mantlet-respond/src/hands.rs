//! Carries steps out, undoes them, ends them in time, and keeps every change before and after the deed.

use mantlet_vocab::Millis;

use crate::incident::{Incident, SELF};
use crate::ports::{Actuator, ActuatorError, IncidentStore, IncidentStoreError, Order};
use crate::step::{OnExpiry, Step, StepState, Undo, lasting};

/// Why something asked of an incident was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RespondError {
    /// There is no such step.
    #[error("incident {incident} has no step {step}; see `mantlet incident show {incident}`")]
    NoStep {
        /// The incident.
        incident: String,
        /// The step.
        step: String,
    },
    /// The step cannot be undone.
    #[error("step {step} cannot be undone: {why}")]
    NoUndo {
        /// The step.
        step: String,
        /// Why.
        why: String,
    },
    /// The actuator failed; the incident says so too.
    #[error("step {step} was not carried out")]
    Actuator {
        /// The step.
        step: String,
        /// What went wrong.
        source: ActuatorError,
    },
    /// Somebody else changed the incident in between, or the store failed.
    #[error(transparent)]
    Store(#[from] IncidentStoreError),
}

/// What was done to a step, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The step.
    pub step: String,
    /// `apply`, `undo`, `expire`, `remind`.
    pub verb: &'static str,
    /// Who.
    pub actor: String,
    /// What went wrong, if anything.
    pub failed: Option<String>,
}

/// The actuator and the store, together.
#[derive(Debug, Clone)]
pub struct Hands<A, S> {
    /// What acts.
    pub actuator: A,
    /// What remembers.
    pub store: S,
}

impl<A: Actuator, S: IncidentStore> Hands<A, S> {
    /// Both.
    pub const fn new(actuator: A, store: S) -> Self {
        Self { actuator, store }
    }

    /// Keeps the incident, its words up to date with its counts.
    ///
    /// # Errors
    /// As the store.
    pub async fn save(&self, incident: &mut Incident) -> Result<(), IncidentStoreError> {
        incident.refresh();
        incident.revision = incident.revision.saturating_add(1);
        let saved = self.store.save(incident).await;
        if saved.is_err() {
            incident.revision -= 1;
        }
        saved
    }

    /// Puts a step in force. In force already: nothing happens. A store that fails does not keep a step from
    /// being carried out, except when somebody else changed the incident: then it must be read again.
    ///
    /// # Errors
    /// When there is no such step, the actuator fails, or the store does.
    pub async fn apply(
        &self,
        incident: &mut Incident,
        step_id: &str,
        actor: &str,
        now: Millis,
    ) -> Result<Option<Deed>, RespondError> {
        let step = step_mut(incident, step_id)?;
        if step.state == StepState::Applied {
            return Ok(None);
        }
        step.state = StepState::Applying;
        actor.clone_into(&mut step.by);
        step.changed = now;
        step.reminded = false;
        step.expires = Some(now.plus(step.lasts_ms));
        let order = order_of(incident, step_id)?;
        let before = ignore_outage(self.save(incident).await)?;
        let result = self.actuator.apply(&order).await;
        let step = step_mut(incident, step_id)?;
        let what = match &result {
            Ok(()) => {
                step.state = StepState::Applied;
                format!("done: {}, for {} ({step_id})", step.action.plain(), lasting(step.lasts_ms))
            }
            Err(why) => {
                step.state = StepState::Failed { why: why.to_string(), undoing: false };
                step.expires = None;
                format!("could not be done: {} ({step_id}): {why}", step.action.plain())
            }
        };
        incident.note(now, actor, what);
        if result.is_ok() {
            if incident.contained.is_none() {
                incident.contained = Some(now);
                incident.queries_at_containment = Some(incident.queries);
            }
            incident.rung_at = incident.rung_at.max(now);
            incident.since_rung = 0;
            incident.refused_since_rung = 0;
        }
        incident.refresh();
        let after = ignore_outage(self.save(incident).await)?;
        finish(step_id, "apply", actor, result, before.or(after))
    }

    /// Takes a step out of force. Not in force: nothing happens.
    ///
    /// # Errors
    /// When there is no such step, it cannot be undone, the actuator fails, or the store does.
    pub async fn undo(
        &self,
        incident: &mut Incident,
        step_id: &str,
        actor: &str,
        now: Millis,
    ) -> Result<Option<Deed>, RespondError> {
        self.end(incident, step_id, actor, now, StepState::Undone).await
    }

    async fn end(
        &self,
        incident: &mut Incident,
        step_id: &str,
        actor: &str,
        now: Millis,
        target: StepState,
    ) -> Result<Option<Deed>, RespondError> {
        let step = step_mut(incident, step_id)?;
        if !step.state.may_hold() {
            return Ok(None);
        }
        if let Undo::None { why } = &step.undo {
            let refused = RespondError::NoUndo { step: step_id.to_owned(), why: why.clone() };
            if step.state == StepState::Undoing {
                step.state = StepState::Applied;
                incident.note(now, actor, format!("asked to undo {step_id}, which cannot be undone"));
                ignore_outage(self.save(incident).await)?;
            }
            return Err(refused);
        }
        step.state = StepState::Undoing;
        actor.clone_into(&mut step.by);
        step.changed = now;
        let order = order_of(incident, step_id)?;
        let before = ignore_outage(self.save(incident).await)?;
        let result = self.actuator.undo(&order).await;
        let step = step_mut(incident, step_id)?;
        let undone = match &step.undo {
            Undo::By { plain } => plain.clone(),
            Undo::None { why } => why.clone(),
        };
        let what = match &result {
            Ok(()) => {
                step.expires = None;
                let verb = if target == StepState::Expired { "ended by itself" } else { "undone" };
                step.state = target.clone();
                format!("{verb}: {undone} ({step_id})")
            }
            Err(why) => {
                step.state = StepState::Failed { why: why.to_string(), undoing: true };
                format!("could not be undone ({step_id}): {why}")
            }
        };
        incident.note(now, actor, what);
        incident.refresh();
        let after = ignore_outage(self.save(incident).await)?;
        let verb = if target == StepState::Expired { "expire" } else { "undo" };
        finish(step_id, verb, actor, result, before.or(after))
    }

    /// Does what is pending: steps asked for, steps to be undone, steps whose time is over. A failed undo of
    /// an ended step is tried again at the next call.
    ///
    /// # Errors
    /// Only when somebody else changed the incident: read it again and call again.
    pub async fn attend(&self, incident: &mut Incident, now: Millis) -> Result<Vec<Deed>, RespondError> {
        let mut deeds = Vec::new();
        let ids: Vec<String> = incident.steps.iter().map(|step| step.id.clone()).collect();
        for id in ids {
            let Some(step) = incident.step(&id) else { continue };
            let by = step.by.clone();
            let over = step.expires.is_some_and(|expires| now >= expires);
            let result = match (&step.state, step.on_expiry) {
                (StepState::Applying, _) => self.apply(incident, &id, &by, now).await,
                (StepState::Undoing, _) => self.undo(incident, &id, &by, now).await,
                (StepState::Applied | StepState::Failed { undoing: true, .. }, OnExpiry::Undo) if over => {
                    self.end(incident, &id, SELF, now, StepState::Expired).await
                }
                (StepState::Applied, OnExpiry::Remind) if over && !step.reminded => {
                    self.remind(incident, &id, now).await
                }
                _ => continue,
            };
            match result {
                Ok(deed) => deeds.extend(deed),
                Err(RespondError::Actuator { step, source }) => deeds.push(Deed {
                    step,
                    verb: "attend",
                    actor: SELF.to_owned(),
                    failed: Some(source.to_string()),
                }),
                Err(RespondError::NoStep { .. } | RespondError::NoUndo { .. }) => {}
                Err(error @ RespondError::Store(IncidentStoreError::Conflict { .. })) => return Err(error),
                Err(RespondError::Store(IncidentStoreError::Failed(_))) => {}
            }
        }
        Ok(deeds)
    }

    async fn remind(
        &self,
        incident: &mut Incident,
        step_id: &str,
        now: Millis,
    ) -> Result<Option<Deed>, RespondError> {
        let step = step_mut(incident, step_id)?;
        step.reminded = true;
        let what =
            format!("still in force after {}: {} ({step_id})", lasting(step.lasts_ms), step.action.plain());
        incident.note(now, SELF, what);
        let saved = ignore_outage(self.save(incident).await)?;
        finish(step_id, "remind", SELF, Ok(()), saved)
    }

    /// Brings the actuator back to what the incident says is in force, as after a restart: whatever may be in
    /// force is applied (twice is once), then what is pending or over is attended to. Durations are not
    /// lengthened.
    ///
    /// # Errors
    /// As [`Hands::attend`].
    pub async fn resume(&self, incident: &mut Incident, now: Millis) -> Result<Vec<Deed>, RespondError> {
        let mut deeds = Vec::new();
        let holding: Vec<Order> = incident
            .steps
            .iter()
            .filter(|step| step.state.may_hold() && step.state != StepState::Applying)
            .map(|step| order(&incident.id, step))
            .collect();
        for order in holding {
            if let Err(why) = self.actuator.apply(&order).await {
                let step = order.id.rsplit('/').next().unwrap_or_default().to_owned();
                incident.note(
                    now,
                    SELF,
                    format!("could not be put in force again after a restart ({step}): {why}"),
                );
                deeds.push(Deed {
                    step,
                    verb: "resume",
                    actor: SELF.to_owned(),
                    failed: Some(why.to_string()),
                });
            }
        }
        deeds.extend(self.attend(incident, now).await?);
        Ok(deeds)
    }
}

/// The order a step is to the actuator.
fn order(incident: &str, step: &Step) -> Order {
    // A step that stays after its time has no end of its own for the actuator either.
    let until = step.expires.filter(|_| step.on_expiry == OnExpiry::Undo);
    Order { id: format!("{incident}/{}", step.id), action: step.action.clone(), until }
}

fn order_of(incident: &mut Incident, step_id: &str) -> Result<Order, RespondError> {
    let id = incident.id.clone();
    Ok(order(&id, step_mut(incident, step_id)?))
}

fn step_mut<'a>(incident: &'a mut Incident, id: &str) -> Result<&'a mut Step, RespondError> {
    let missing = RespondError::NoStep { incident: incident.id.clone(), step: id.to_owned() };
    incident.steps.iter_mut().find(|step| step.id == id).ok_or(missing)
}

/// A store that is out does not keep people from being protected; a conflict does stop us.
fn ignore_outage(
    saved: Result<(), IncidentStoreError>,
) -> Result<Option<IncidentStoreError>, IncidentStoreError> {
    match saved {
        Ok(()) => Ok(None),
        Err(conflict @ IncidentStoreError::Conflict { .. }) => Err(conflict),
        Err(outage) => Ok(Some(outage)),
    }
}

fn finish(
    step: &str,
    verb: &'static str,
    actor: &str,
    result: Result<(), ActuatorError>,
    outage: Option<IncidentStoreError>,
) -> Result<Option<Deed>, RespondError> {
    if let Err(source) = result {
        return Err(RespondError::Actuator { step: step.to_owned(), source });
    }
    let failed = outage.map(|outage| outage.to_string());
    Ok(Some(Deed { step: step.to_owned(), verb, actor: actor.to_owned(), failed }))
}
