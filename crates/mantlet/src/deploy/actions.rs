//! What a person does on the console, carried out.

use std::path::PathBuf;
use std::sync::Arc;

use mantlet_console::{Actions, PortError, Ruling, Shelf, Soon};
use mantlet_registry::{Registry, TrustedKeys};
use mantlet_respond::RespondError;
use mantlet_store::Store;
use mantlet_worker::answer::{AnswerError, Wishes};

use super::systems::Decks;
use crate::config::Loaded;
use crate::protect::admit;

/// The console's hands.
pub struct Hands {
    storage: PathBuf,
    store: Store,
    shelf: Shelf,
    wishes: Wishes,
    decks: Arc<Decks>,
}

impl Hands {
    /// Hands over a running installation.
    pub fn new(loaded: &Loaded, store: Store, shelf: Shelf, wishes: Wishes, decks: Arc<Decks>) -> Self {
        Self { storage: loaded.storage(), store, shelf, wishes, decks }
    }
}

impl Hands {
    fn registry(&self) -> Result<Registry<Store, TrustedKeys>, PortError> {
        let keys =
            admit::trusted_keys(&self.storage).map_err(|error| PortError::Failed(format!("{error:#}")))?;
        Ok(Registry::new(self.store.clone(), keys))
    }

    /// What was changed is in force here at once, and on other replicas as soon as they hear of it.
    async fn follow(&self) -> Result<(), PortError> {
        self.decks.follow_the_record().await.map_err(|error| PortError::Failed(format!("{error:#}")))?;
        self.decks.tell();
        Ok(())
    }
}

fn answered(error: AnswerError) -> PortError {
    match error {
        AnswerError::NoIncident(id) => PortError::Missing(format!("incident {id}")),
        AnswerError::Respond(RespondError::Store(_)) | AnswerError::Ended => {
            PortError::Failed(error.to_string())
        }
        other => PortError::Refused(other.to_string()),
    }
}

impl Actions for Hands {
    fn apply_step<'a>(&'a self, actor: &'a str, incident: &'a str, step: &'a str) -> Soon<'a, ()> {
        Box::pin(
            async move { self.wishes.contain(incident, step, actor).await.map(|_| ()).map_err(answered) },
        )
    }

    fn undo_step<'a>(&'a self, actor: &'a str, incident: &'a str, step: &'a str) -> Soon<'a, ()> {
        Box::pin(async move { self.wishes.undo(incident, step, actor).await.map(|_| ()).map_err(answered) })
    }

    fn close_incident<'a>(&'a self, actor: &'a str, incident: &'a str, why: &'a str) -> Soon<'a, ()> {
        Box::pin(async move { self.wishes.close(incident, why, actor).await.map(|_| ()).map_err(answered) })
    }

    fn decide_review<'a>(
        &'a self,
        actor: &'a str,
        review: &'a str,
        ruling: &'a Ruling,
        note: &'a str,
    ) -> Soon<'a, ()> {
        Box::pin(self.shelf.decide(actor, review, ruling, note))
    }

    fn roll_back<'a>(&'a self, actor: &'a str, system: &'a str, why: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            let done = self.registry()?.roll_back(system, actor, why, self.store.now()).await;
            done.map_err(|error| PortError::Refused(error.to_string()))?;
            self.follow().await
        })
    }

    fn abort_rollout<'a>(&'a self, actor: &'a str, system: &'a str, why: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            let done = self.registry()?.abort_rollout(system, actor, why, self.store.now()).await;
            done.map_err(|error| PortError::Refused(error.to_string()))?;
            self.follow().await
        })
    }

    fn pause_rollout<'a>(
        &'a self,
        actor: &'a str,
        system: &'a str,
        paused: bool,
        why: &'a str,
    ) -> Soon<'a, ()> {
        Box::pin(async move {
            let done = self.registry()?.pause_rollout(system, paused, actor, why, self.store.now()).await;
            done.map(|_| ()).map_err(|error| PortError::Refused(error.to_string()))
        })
    }

    fn divert<'a>(&'a self, actor: &'a str, system: &'a str, on: bool, why: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            let done = super::put_path(&self.store, system, on, why, actor).await;
            done.map_err(|error| PortError::Failed(format!("{error:#}")))?;
            self.follow().await
        })
    }
}
