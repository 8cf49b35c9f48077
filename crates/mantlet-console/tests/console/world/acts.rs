//! What the console does in the world in memory, by the real engine's hands.

use mantlet_console::{Actions, PortError, ReviewState, Ruling, Soon, Views as _};
use mantlet_registry::rollout::Phase;
use mantlet_respond::{
    Actuator, ActuatorError, Hands, Incident, IncidentFilter, IncidentStore, IncidentStoreError, Order,
    RespondError,
};

use super::{NOW, World, soon};

impl Actions for World {
    fn apply_step<'a>(&'a self, actor: &'a str, incident: &'a str, step: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            let mut found = self.incident(incident).await?.ok_or(PortError::Missing("incident".into()))?;
            Hands::new(self, self).apply(&mut found, step, actor, NOW).await.map(|_| ()).map_err(refused)?;
            self.note(actor, "step.applied", &format!("{incident}/{step}"), serde_json::Value::Null);
            Ok(())
        })
    }
    fn undo_step<'a>(&'a self, actor: &'a str, incident: &'a str, step: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            let mut found = self.incident(incident).await?.ok_or(PortError::Missing("incident".into()))?;
            Hands::new(self, self).undo(&mut found, step, actor, NOW).await.map(|_| ()).map_err(refused)?;
            self.note(actor, "step.undone", &format!("{incident}/{step}"), serde_json::Value::Null);
            Ok(())
        })
    }
    fn close_incident<'a>(&'a self, actor: &'a str, incident: &'a str, why: &'a str) -> Soon<'a, ()> {
        self.incidents.lock().unwrap().get_mut(incident).unwrap().close(NOW, actor, why);
        soon(())
    }
    fn decide_review<'a>(
        &'a self,
        actor: &'a str,
        review: &'a str,
        ruling: &'a Ruling,
        note: &'a str,
    ) -> Soon<'a, ()> {
        let (by, ruling, note) = (actor.to_owned(), ruling.clone(), note.to_owned());
        let state = ReviewState::Decided { by, at: NOW, ruling, note };
        self.reviews.lock().unwrap().get_mut(review).unwrap().state = state;
        soon(())
    }
    fn roll_back<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Soon<'a, ()> {
        Box::pin(std::future::ready(Err(PortError::Refused(
            "v1 was not switched to: its signature does not hold".into(),
        ))))
    }
    fn abort_rollout<'a>(&'a self, actor: &'a str, system: &'a str, why: &'a str) -> Soon<'a, ()> {
        let mut rollout = self.rollout.lock().unwrap();
        let running = rollout.take().unwrap();
        *rollout = Some(running.moved(Phase::Aborted, "aborted", actor, why, NOW));
        self.note(actor, "rollout.aborted", system, serde_json::Value::Null);
        soon(())
    }
    fn pause_rollout<'a>(&'a self, _: &'a str, _: &'a str, paused: bool, _: &'a str) -> Soon<'a, ()> {
        self.rollout.lock().unwrap().as_mut().unwrap().paused = paused;
        soon(())
    }
    fn divert<'a>(&'a self, _: &'a str, _: &'a str, on: bool, why: &'a str) -> Soon<'a, ()> {
        *self.diverted.lock().unwrap() = on.then(|| why.to_owned());
        soon(())
    }
}

fn refused(error: RespondError) -> PortError {
    PortError::Refused(error.to_string())
}

impl Actuator for &World {
    async fn apply(&self, order: &Order) -> Result<(), ActuatorError> {
        self.orders.lock().unwrap().push(format!("apply {}", order.action.word()));
        Ok(())
    }
    async fn undo(&self, order: &Order) -> Result<(), ActuatorError> {
        self.orders.lock().unwrap().push(format!("undo {}", order.action.word()));
        Ok(())
    }
}

impl IncidentStore for &World {
    async fn save(&self, incident: &Incident) -> Result<(), IncidentStoreError> {
        self.incidents.lock().unwrap().insert(incident.id.clone(), incident.clone());
        Ok(())
    }
    async fn load(&self, id: &str) -> Result<Option<Incident>, IncidentStoreError> {
        Ok(self.incidents.lock().unwrap().get(id).cloned())
    }
    async fn list(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, IncidentStoreError> {
        Ok(self.incidents.lock().unwrap().values().filter(|one| filter.admits(one)).cloned().collect())
    }
}
