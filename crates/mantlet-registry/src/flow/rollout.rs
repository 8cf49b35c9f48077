//! Rollouts: begun by a person, taken on or back by what was observed, ended by either.

use mantlet_vocab::Millis;

use super::{By, Registry, Result, refused, transition};
use crate::disk::Stamp;
use crate::rollout::{Evidence, Phase, Plan, Rollout, Worse};
use crate::{ModelVersion, RegistryError, RegistryStore, State, Update, Verified, Verifier, VersionId};

/// A version that was verified, and what tells that its files are still the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Ahead {
    /// As it is recorded.
    pub version: ModelVersion,
    /// What was verified.
    pub verified: Verified,
    stamp: Option<Stamp>,
}

/// A candidate that was taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Returned {
    /// The rollout, over.
    pub rollout: Rollout,
    /// The version everybody gets now.
    pub to: ModelVersion,
    /// What was verified of it.
    pub verified: Verified,
    /// Whether it was verified ahead and its files proven unchanged, rather than hashed in this call.
    pub ahead: bool,
}

impl<S: RegistryStore, V: Verifier> Registry<S, V> {
    /// The rollout of a system that runs, if any.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn running(&self, system: &str) -> Result<Option<Rollout>, S> {
        let kept = self.store.rollout(system).await.map_err(RegistryError::Store)?;
        Ok(kept.filter(Rollout::runs))
    }

    /// Begins to roll a version out. The same gates as for [`Registry::promote`] stand before the first step, and
    /// both versions are verified in this call; `id` is any fresh name.
    ///
    /// # Errors
    /// Names what stands in the way; nothing was changed then.
    pub async fn start_rollout(
        &self,
        candidate: &VersionId,
        plan: Plan,
        id: &str,
        actor: &str,
        reason: &str,
        at: Millis,
    ) -> Result<Rollout, S> {
        plan.check()?;
        if let Some(other) = self.running(&candidate.system).await? {
            return Err(RegistryError::Running(VersionId { system: other.system, version: other.candidate }));
        }
        let (system, version) = self.fit_to_serve(candidate, actor).await?;
        if system.known_good.is_none() {
            return Err(RegistryError::NoKnownGood(system.name));
        }
        let Some(stable) = system.serving.filter(|serving| *serving != version.version) else {
            return Err(RegistryError::NothingServes(system.name));
        };
        self.verify(&version)?;
        self.verify(&self.version(&system.name, &stable).await?)?;
        let phase = if plan.shadow.is_some() { Phase::Shadow } else { Phase::Canary(0) };
        let begun = Rollout {
            id: id.to_owned(),
            system: system.name,
            route: self.route.clone(),
            candidate: version.version,
            stable,
            evidence: Evidence::new(&plan, at),
            plan,
            phase,
            paused: false,
            revision: 0,
            started_by: actor.to_owned(),
            started: at,
            since: at,
            lines: Vec::new(),
        };
        let rollout = begun.moved(phase, "started", actor, reason, at);
        self.keep(None, rollout).await
    }

    /// Pauses a rollout or lets it go on. A paused one keeps its share and is still taken back when it does worse.
    ///
    /// # Errors
    /// When none runs, or the store fails.
    pub async fn pause_rollout(
        &self,
        system: &str,
        paused: bool,
        actor: &str,
        reason: &str,
        at: Millis,
    ) -> Result<Rollout, S> {
        let before = self.expect_running(system).await?;
        if before.paused == paused {
            return Ok(before);
        }
        let what = if paused { "paused" } else { "resumed" };
        let after = Rollout { paused, ..before.moved(before.phase, what, actor, reason, at) };
        self.keep(Some(before.revision), after).await
    }

    /// Ends a rollout: everybody gets the version that serves. The candidate may be rolled out again.
    ///
    /// # Errors
    /// When none runs, or the store fails.
    pub async fn abort_rollout(
        &self,
        system: &str,
        actor: &str,
        reason: &str,
        at: Millis,
    ) -> Result<Rollout, S> {
        let before = self.expect_running(system).await?;
        let after = before.moved(Phase::Aborted, "aborted", actor, reason, at);
        self.keep(Some(before.revision), after).await
    }

    /// Takes a rollout one step on; after its last step the candidate is promoted, verified first.
    ///
    /// # Errors
    /// When somebody changed the rollout, or the candidate may no longer serve.
    pub async fn advance_rollout(
        &self,
        before: &Rollout,
        actor: &str,
        reason: &str,
        at: Millis,
    ) -> Result<Rollout, S> {
        match before.next() {
            Phase::Promoted => self.complete_rollout(before, actor, reason, at).await,
            phase => {
                let after = before.moved(phase, "advanced", actor, reason, at);
                self.keep(Some(before.revision), after).await
            }
        }
    }

    /// Promotes the candidate now, whatever step its rollout is at, through the gates of [`Registry::promote`] for
    /// whoever began it.
    ///
    /// # Errors
    /// As [`Registry::promote`]; the rollout then goes on.
    pub async fn complete_rollout(
        &self,
        before: &Rollout,
        actor: &str,
        reason: &str,
        at: Millis,
    ) -> Result<Rollout, S> {
        let id = VersionId { system: before.system.clone(), version: before.candidate.clone() };
        // A process that died between the two records left the candidate serving and the rollout running.
        let serving = self.system(&before.system).await?.serving;
        if serving.as_ref() != Some(&before.candidate) {
            self.promote(&id, &before.started_by, reason, at).await?;
        }
        let after = before.moved(Phase::Promoted, "promoted", actor, reason, at);
        self.keep(Some(before.revision), after).await
    }

    /// Verifies a version now, so that switching to it later need not hash its files again.
    ///
    /// # Errors
    /// Names the difference.
    pub async fn verify_ahead(&self, id: &VersionId) -> Result<Ahead, S> {
        let version = self.version(&id.system, &id.version).await?;
        self.ahead(version)
    }

    /// As [`Registry::verify_ahead`], of a record that was read: file work only.
    ///
    /// # Errors
    /// Names the difference.
    pub fn ahead(&self, version: ModelVersion) -> Result<Ahead, S> {
        // The stamp from before the hashing: a file that changes meanwhile no longer fits it.
        let stamp = self.verifier.stamp(&version).ok().flatten();
        let verified = self.verify(&version)?;
        Ok(Ahead { version, verified, stamp })
    }

    /// Whether what was verified ahead is proven to be unchanged.
    pub fn is_unchanged(&self, ahead: &Ahead) -> bool {
        let now = self.verifier.stamp(&ahead.version).ok().flatten();
        now.is_some() && now == ahead.stamp
    }

    /// Takes a candidate back because it did worse: the version that serves is verified (or proven unchanged since
    /// it was verified `ahead`) before the change is recorded, and the candidate is retired. When that version is not
    /// what was signed, the known-good one is put back instead, verified first.
    ///
    /// # Errors
    /// When neither can be verified, or the store fails. The caller then sends the path's decisions to people.
    pub async fn return_rollout(
        &self,
        before: &Rollout,
        worse: &Worse,
        ahead: Option<&Ahead>,
        actor: &str,
        at: Millis,
    ) -> Result<Returned, S> {
        let reason = worse.to_string();
        let stable = self.version(&before.system, &before.stable).await?;
        let proven = ahead.filter(|ahead| ahead.version.digest == stable.digest && self.is_unchanged(ahead));
        let (to, verified) = match proven {
            Some(ahead) => (stable, ahead.verified.clone()),
            None => match self.verify(&stable) {
                Ok(verified) => (stable, verified),
                Err(fault) => {
                    let good = self.system(&before.system).await?.known_good;
                    if good.as_ref() == Some(&stable.version) || good.is_none() {
                        return Err(fault);
                    }
                    let switched = self.roll_back(&before.system, actor, &reason, at).await?;
                    (switched.to, switched.verified)
                }
            },
        };
        let after = before.moved(Phase::RolledBack, "rolled-back", actor, &reason, at);
        let rollout = self.keep(Some(before.revision), after).await?;
        self.retire(&before.system, &before.candidate, By { actor, at, reason: &reason }).await?;
        Ok(Returned { rollout, to, verified, ahead: proven.is_some() })
    }

    /// A candidate that did worse is not promoted by anybody who has not looked.
    async fn retire(&self, system: &str, candidate: &str, by: By<'_>) -> Result<(), S> {
        let record = self.system(system).await?;
        let version = self.version(system, candidate).await?;
        if record.serving.as_deref() == Some(candidate) || record.known_good.as_deref() == Some(candidate) {
            return Ok(());
        }
        match version.state {
            State::Admitted | State::KnownGood => {}
            State::Retired => return Ok(()),
            _ => return Err(refused(&version, State::Retired)),
        }
        let after = ModelVersion { state: State::Retired, ..version.clone() };
        let line = transition(&after, Some(version.state), by);
        self.write(&record, &record, &[Update { before: Some(version), after }], &[line]).await
    }

    async fn expect_running(&self, system: &str) -> Result<Rollout, S> {
        let running = self.running(system).await?;
        running.ok_or_else(|| RegistryError::NoRollout(system.to_owned()))
    }

    async fn keep(&self, before: Option<u64>, rollout: Rollout) -> Result<Rollout, S> {
        match self.store.save_rollout(before, &rollout).await {
            Ok(true) => Ok(rollout),
            Ok(false) => Err(RegistryError::Changed),
            Err(fault) => Err(RegistryError::Store(fault)),
        }
    }
}
