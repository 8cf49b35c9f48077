//! The way of a version: add, admit or refuse, approve, promote, mark known-good, roll back, retire.

mod rollout;

use mantlet_vocab::{Impact, Millis};

use crate::{
    Approval, Change, ModelVersion, RegistryError, RegistryStore, State, System, Transition, Update,
    Verified, Verifier, VersionId,
};

pub use rollout::{Ahead, Returned};

/// A switch that was recorded: the caller now moves the traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct Switched {
    /// The system after.
    pub system: System,
    /// The version that served before, if any.
    pub from: Option<String>,
    /// The version before users now.
    pub to: ModelVersion,
    /// What was verified in the same call.
    pub verified: Verified,
}

/// The registry over a store and a verifier.
#[derive(Debug, Clone)]
pub struct Registry<S, V> {
    store: S,
    verifier: V,
    route: Option<String>,
}

type Result<T, S> = std::result::Result<T, RegistryError<<S as RegistryStore>::Error>>;

/// Who does something, when and why.
#[derive(Debug, Clone, Copy)]
struct By<'a> {
    actor: &'a str,
    at: Millis,
    reason: &'a str,
}

impl<S: RegistryStore, V: Verifier> Registry<S, V> {
    /// A registry.
    pub const fn new(store: S, verifier: V) -> Self {
        Self { store, verifier, route: None }
    }

    /// Names the route that the system's versions answer on: rollouts begun from here on say so.
    #[must_use]
    pub fn on_route(self, route: impl Into<String>) -> Self {
        Self { route: Some(route.into()), ..self }
    }

    /// The store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Adds or updates a system's description.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_system(&self, system: &System) -> Result<(), S> {
        self.store.put_system(system).await.map_err(RegistryError::Store)
    }

    /// Adds a candidate version.
    ///
    /// # Errors
    /// When the system is unknown, the version exists, or the store fails.
    pub async fn add(&self, version: ModelVersion) -> Result<ModelVersion, S> {
        let system = self.system(&version.system).await?;
        let known = self.store.version(&version.system, &version.version).await;
        if known.map_err(RegistryError::Store)?.is_some() {
            return Err(RegistryError::Exists(version.id()));
        }
        let version = ModelVersion { state: State::Candidate, approvals: Vec::new(), ..version };
        let (actor, at) = (version.added_by.clone(), version.added);
        let by = By { actor: &actor, at, reason: "added" };
        let line = transition(&version, None, by);
        self.write(&system, &system, &[Update { before: None, after: version.clone() }], &[line]).await?;
        Ok(version)
    }

    /// Records that a candidate was judged fit, with the signature and evidence made for it; the files are
    /// verified first.
    ///
    /// # Errors
    /// When it is no candidate, cannot be verified, or the store fails.
    pub async fn admit(
        &self,
        version: &ModelVersion,
        reasons: Vec<String>,
        actor: &str,
        at: Millis,
    ) -> Result<ModelVersion, S> {
        let system = self.system(&version.system).await?;
        let before = self.version(&version.system, &version.version).await?;
        if before.state != State::Candidate {
            return Err(refused(&before, State::Admitted));
        }
        let after = ModelVersion {
            state: State::Admitted,
            signature: version.signature.clone(),
            evidence: version.evidence,
            reasons,
            ..before.clone()
        };
        self.verify(&after)?;
        let by = By { actor, at, reason: "admitted" };
        self.one(&system, before, after, by).await
    }

    /// Records that a candidate was judged unfit. It never serves.
    ///
    /// # Errors
    /// When it is no candidate, or the store fails.
    pub async fn refuse(
        &self,
        id: &VersionId,
        reasons: Vec<String>,
        actor: &str,
        at: Millis,
    ) -> Result<ModelVersion, S> {
        let system = self.system(&id.system).await?;
        let before = self.version(&id.system, &id.version).await?;
        if before.state != State::Candidate {
            return Err(refused(&before, State::Refused));
        }
        let reason = reasons.join("; ");
        let after = ModelVersion { state: State::Refused, reasons, ..before.clone() };
        self.one(&system, before, after, By { actor, at, reason: &reason }).await
    }

    /// Records a person's consent to the recorded bytes.
    ///
    /// # Errors
    /// When the version was refused or retired, or the store fails.
    pub async fn approve(
        &self,
        id: &VersionId,
        actor: &str,
        note: &str,
        at: Millis,
    ) -> Result<ModelVersion, S> {
        let system = self.system(&id.system).await?;
        let before = self.version(&id.system, &id.version).await?;
        if matches!(before.state, State::Refused | State::Retired) {
            return Err(refused(&before, before.state));
        }
        let mut after = before.clone();
        after.approvals.retain(|approval| approval.by != actor);
        after.approvals.push(Approval {
            by: actor.to_owned(),
            at,
            digest: before.digest,
            note: note.to_owned(),
        });
        let reason = format!("approved: {note}");
        self.one(&system, before, after, By { actor, at, reason: &reason }).await
    }

    /// Puts an admitted version before users. Its files and signature are verified in this call; a system of
    /// high or critical impact needs the consent of a person who neither added it nor asks now.
    ///
    /// # Errors
    /// Names what stands in the way; nothing was changed then.
    pub async fn promote(
        &self,
        id: &VersionId,
        actor: &str,
        reason: &str,
        at: Millis,
    ) -> Result<Switched, S> {
        let (system, target) = self.fit_to_serve(id, actor).await?;
        self.switch(system, target, State::Retired, By { actor, at, reason }).await
    }

    /// A version that may be put before users by this person, and its system.
    async fn fit_to_serve(&self, id: &VersionId, actor: &str) -> Result<(System, ModelVersion), S> {
        let system = self.system(&id.system).await?;
        let target = self.version(&id.system, &id.version).await?;
        if !matches!(target.state, State::Admitted | State::KnownGood) {
            return Err(refused(&target, State::Serving));
        }
        if self.store.is_held(&id.system, &id.version).await.map_err(RegistryError::Store)? {
            return Err(RegistryError::Held(target.id()));
        }
        if system.impact >= Impact::High && !has_second_pair(&target, actor) {
            return Err(RegistryError::FourEyes {
                version: target.id(),
                impact: system.impact,
                adder: target.added_by,
                actor: actor.to_owned(),
            });
        }
        Ok((system, target))
    }

    /// Marks a version that serves, or is admitted, as the one to fall back to.
    ///
    /// # Errors
    /// When it is neither, or the store fails.
    pub async fn mark_known_good(&self, id: &VersionId, actor: &str, at: Millis) -> Result<System, S> {
        let before = self.system(&id.system).await?;
        let version = self.version(&id.system, &id.version).await?;
        if !matches!(version.state, State::Serving | State::Admitted | State::KnownGood) {
            return Err(refused(&version, State::KnownGood));
        }
        let state = if version.state == State::Serving { State::Serving } else { State::KnownGood };
        let system = System { known_good: Some(id.version.clone()), ..before.clone() };
        let by = By { actor, at, reason: "marked as the known-good version" };
        let line = Transition { to: State::KnownGood, ..transition(&version, Some(version.state), by) };
        let after = ModelVersion { state, ..version.clone() };
        self.write(&before, &system, &[Update { before: Some(version), after }], &[line]).await?;
        Ok(system)
    }

    /// Puts the known-good version back before users, verified first. Needs no second person: containment
    /// must not wait, and the target went through promotion or admission before.
    ///
    /// # Errors
    /// Names what stands in the way; nothing was changed then.
    pub async fn roll_back(
        &self,
        system: &str,
        actor: &str,
        reason: &str,
        at: Millis,
    ) -> Result<Switched, S> {
        let record = self.system(system).await?;
        let Some(name) = record.known_good.clone() else {
            return Err(RegistryError::NoKnownGood(system.to_owned()));
        };
        let target = self.version(system, &name).await?;
        if matches!(target.state, State::Candidate | State::Refused) {
            return Err(refused(&target, State::Serving));
        }
        self.switch(record, target, State::Retired, By { actor, at, reason }).await
    }

    /// Hashes a version's files and checks its signature against what is recorded.
    ///
    /// # Errors
    /// Names the difference.
    pub fn verify(&self, version: &ModelVersion) -> Result<Verified, S> {
        let verified = self
            .verifier
            .verify(version)
            .map_err(|source| RegistryError::NotVerified { version: version.id(), source: source.into() })?;
        if verified.digest != version.digest {
            return Err(RegistryError::OtherBytes {
                version: version.id(),
                recorded: version.digest,
                found: verified.digest,
            });
        }
        Ok(verified)
    }

    async fn switch(
        &self,
        before: System,
        target: ModelVersion,
        left: State,
        by: By<'_>,
    ) -> Result<Switched, S> {
        let verified = self.verify(&target)?;
        let mut updates = Vec::new();
        let mut history = Vec::new();
        let from = before.serving.clone();
        if let Some(current) = from.as_ref().filter(|current| **current != target.version) {
            let current = self.version(&before.name, current).await?;
            let good = before.known_good.as_ref() == Some(&current.version);
            let state = if good { State::KnownGood } else { left };
            let after = ModelVersion { state, ..current.clone() };
            history.push(transition(&after, Some(current.state), by));
            updates.push(Update { before: Some(current), after });
        }
        let after = ModelVersion { state: State::Serving, ..target.clone() };
        history.push(transition(&after, Some(target.state), by));
        updates.push(Update { before: Some(target), after: after.clone() });
        let system = System { serving: Some(after.version.clone()), ..before.clone() };
        self.write(&before, &system, &updates, &history).await?;
        Ok(Switched { system, from, to: after, verified })
    }

    async fn one(
        &self,
        system: &System,
        before: ModelVersion,
        after: ModelVersion,
        by: By<'_>,
    ) -> Result<ModelVersion, S> {
        let line = transition(&after, Some(before.state), by);
        let update = Update { before: Some(before), after: after.clone() };
        self.write(system, system, &[update], &[line]).await?;
        Ok(after)
    }

    async fn write(
        &self,
        expected: &System,
        system: &System,
        updates: &[Update],
        history: &[Transition],
    ) -> Result<(), S> {
        let change = Change { expected, system, updates, history };
        match self.store.commit(change).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(RegistryError::Changed),
            Err(fault) => Err(RegistryError::Store(fault)),
        }
    }

    async fn system(&self, name: &str) -> Result<System, S> {
        let found = self.store.system(name).await.map_err(RegistryError::Store)?;
        found.ok_or_else(|| RegistryError::NoSystem(name.to_owned()))
    }

    async fn version(&self, system: &str, version: &str) -> Result<ModelVersion, S> {
        let found = self.store.version(system, version).await.map_err(RegistryError::Store)?;
        let id = || VersionId { system: system.to_owned(), version: version.to_owned() };
        found.ok_or_else(|| RegistryError::NoVersion(id()))
    }
}

/// Whether someone who neither added the version nor asks now consented to exactly these bytes.
fn has_second_pair(version: &ModelVersion, actor: &str) -> bool {
    version.approvals.iter().any(|approval| {
        approval.digest == version.digest && approval.by != actor && approval.by != version.added_by
    })
}

fn refused<E: std::error::Error>(version: &ModelVersion, wanted: State) -> RegistryError<E> {
    RegistryError::State { version: version.id(), state: version.state, wanted }
}

fn transition(version: &ModelVersion, from: Option<State>, by: By<'_>) -> Transition {
    Transition {
        at: by.at,
        actor: by.actor.to_owned(),
        system: version.system.clone(),
        version: version.version.clone(),
        digest: version.digest,
        from,
        to: version.state,
        reason: by.reason.to_owned(),
    }
}
