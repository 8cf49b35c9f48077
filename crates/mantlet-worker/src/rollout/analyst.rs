//! The work of a rollout, one input after the other. It knows no timer.

use std::future::Future;
use std::sync::Arc;

use mantlet_registry::rollout::{Arm, Observation, Phase, Rollout, Sampler, Verdict, Worse};
use mantlet_registry::{Ahead, Registry, RegistryStore, Verifier, VersionId};
use mantlet_vocab::{Exchange, Millis};

use super::observation;

/// Who the analysis is in records.
const SELF: &str = "mantlet";

/// Moves traffic between versions. Everything but [`Traffic::is_ready`] is at once.
pub trait Traffic: Send + Sync {
    /// Traffic follows this rollout from the next request on; `None`: there is none.
    fn follow(&self, rollout: Option<&Rollout>);
    /// Everybody gets this version from the next request on; it was verified.
    fn serve_only(&self, version: &str);
    /// The path's decisions go to people, for this reason, until a person releases them.
    fn divert(&self, reason: &str);
    /// Whether the version's endpoint is there and ready.
    fn is_ready(&self, version: &str) -> impl Future<Output = bool> + Send;
}

/// What was done about a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// Nothing.
    Nothing,
    /// It went on.
    Advanced(Phase),
    /// The candidate was taken back.
    Returned {
        /// The version everybody gets.
        to: String,
        /// Whether it was verified ahead and proven unchanged.
        ahead: bool,
        /// Whether its endpoint said it is ready after the switch.
        ready: bool,
        /// From the verdict to the confirmation, in milliseconds.
        took_ms: f64,
    },
    /// The candidate did worse and no version to return to could be verified: people decide.
    Diverted(String),
}

/// The analysis of one system's rollouts.
pub struct Analyst<S, V, T> {
    registry: Arc<Registry<S, V>>,
    traffic: T,
    system: String,
    rollout: Option<Rollout>,
    ahead: Option<Ahead>,
    sampler: Sampler,
    dirty: bool,
    /// Set while a bad candidate could not be taken back: tried again at each tick.
    stuck: Option<Worse>,
}

impl<S: RegistryStore + 'static, V: Verifier + 'static, T: Traffic> Analyst<S, V, T> {
    /// The analysis of a system's rollouts.
    pub fn new(registry: Registry<S, V>, traffic: T, system: &str) -> Self {
        Self {
            registry: Arc::new(registry),
            traffic,
            system: system.to_owned(),
            rollout: None,
            ahead: None,
            sampler: Sampler::default(),
            dirty: false,
            stuck: None,
        }
    }

    /// The rollout that runs.
    pub const fn rollout(&self) -> Option<&Rollout> {
        self.rollout.as_ref()
    }

    /// What moves the traffic.
    pub const fn traffic(&self) -> &T {
        &self.traffic
    }

    /// Takes in an exchange of a caller, or what a version in the shadow answered; takes the candidate back at once
    /// when that is the last straw.
    pub async fn exchange(&mut self, exchange: &Exchange, now: Millis) -> Done {
        let Some(rollout) = &self.rollout else { return Done::Nothing };
        let Some((caller, seen)) = observation(exchange, rollout) else { return Done::Nothing };
        self.observe(caller, &seen, now).await
    }

    /// Takes in an observation of a caller (a hash).
    pub async fn observe(&mut self, caller: u64, seen: &Observation, now: Millis) -> Done {
        let Some(rollout) = &mut self.rollout else { return Done::Nothing };
        if !self.sampler.takes(rollout.revision, caller, seen.arm, rollout.plan.per_caller) {
            return Done::Nothing;
        }
        rollout.evidence.see(&rollout.plan, seen);
        self.dirty = true;
        match rollout.judge(now) {
            Verdict::RollBack(worse) if self.stuck.is_none() => self.take_back(&worse, now).await,
            _ => Done::Nothing,
        }
    }

    /// Takes in a label that came for a decision of a version.
    pub async fn label(&mut self, version: &str, at: Millis, wrong: bool, now: Millis) -> Done {
        let Some(rollout) = &mut self.rollout else { return Done::Nothing };
        let arm = if version == rollout.candidate {
            Arm::Candidate
        } else if version == rollout.stable {
            Arm::Baseline
        } else {
            return Done::Nothing;
        };
        rollout.evidence.label(arm, at, wrong);
        self.dirty = true;
        match rollout.judge(now) {
            Verdict::RollBack(worse) if self.stuck.is_none() => self.take_back(&worse, now).await,
            _ => Done::Nothing,
        }
    }

    /// Looks at what people changed, takes the rollout on when it may go on, and keeps what was observed.
    pub async fn tick(&mut self, now: Millis) -> Done {
        if let Err(fault) = self.take_up().await {
            tracing::error!(fault, "the rollout could not be read; it holds");
            return Done::Nothing;
        }
        if let Some(worse) = self.stuck.clone() {
            return self.take_back(&worse, now).await;
        }
        let Some(rollout) = &self.rollout else { return Done::Nothing };
        match rollout.judge(now) {
            Verdict::RollBack(worse) => return self.take_back(&worse, now).await,
            Verdict::Advance => {
                let before = rollout.clone();
                let reason = format!(
                    "no worse in {} and {} exchanges",
                    before.evidence.tally().candidate,
                    before.evidence.tally().baseline
                );
                match self.registry.advance_rollout(&before, SELF, &reason, now).await {
                    Ok(after) => {
                        let phase = after.phase;
                        self.dirty = false;
                        if phase == Phase::Promoted {
                            self.traffic.serve_only(&after.candidate);
                            self.rollout = None;
                        } else {
                            self.traffic.follow(Some(&after));
                            self.rollout = Some(after);
                        }
                        return Done::Advanced(phase);
                    }
                    Err(fault) => tracing::warn!(%fault, "the rollout did not go on"),
                }
            }
            Verdict::Hold(_) | Verdict::Over => {}
        }
        self.keep().await;
        Done::Nothing
    }

    /// Reads the record: a rollout that began, a pause, an end.
    async fn take_up(&mut self) -> Result<(), String> {
        let kept = self.registry.running(&self.system).await.map_err(|fault| fault.to_string())?;
        let Some(mut kept) = kept else {
            if self.rollout.take().is_some() {
                self.traffic.follow(None);
                (self.ahead, self.stuck, self.dirty) = (None, None, false);
            }
            return Ok(());
        };
        let serving = self.registry.store().system(&self.system).await.map_err(|fault| fault.to_string())?;
        let serving = serving.and_then(|system| system.serving);
        if serving.as_ref() != Some(&kept.stable) && serving.as_ref() != Some(&kept.candidate) {
            let why = "another version was put before users meanwhile";
            let at = kept.since;
            let ended = self.registry.abort_rollout(&self.system, SELF, why, at).await;
            ended.map_err(|fault| fault.to_string())?;
            self.rollout = None;
            self.traffic.follow(None);
            return Ok(());
        }
        match &self.rollout {
            // What was observed here is newer than what was kept, as long as the step is the same.
            Some(mine) if mine.id == kept.id && mine.phase == kept.phase => {
                kept.evidence = mine.evidence.clone();
                if mine.revision != kept.revision {
                    self.traffic.follow(Some(&kept));
                }
            }
            _ => {
                self.traffic.follow(Some(&kept));
                self.dirty = false;
            }
        }
        if self.ahead.as_ref().is_none_or(|ahead| ahead.version.version != kept.stable) {
            self.verify_ahead(&kept.stable).await;
        }
        self.rollout = Some(kept);
        Ok(())
    }

    /// Verifies the version to return to while there is time.
    async fn verify_ahead(&mut self, stable: &str) {
        let id = VersionId { system: self.system.clone(), version: stable.to_owned() };
        let version = match self.registry.store().version(&id.system, &id.version).await {
            Ok(Some(version)) => version,
            _ => return,
        };
        let registry = Arc::clone(&self.registry);
        // Hashing is file work: off the reactor.
        match tokio::task::spawn_blocking(move || registry.ahead(version)).await {
            Ok(Ok(ahead)) => self.ahead = Some(ahead),
            Ok(Err(fault)) => {
                tracing::error!(%fault, "the version to return to is not what was signed");
            }
            Err(_) => {}
        }
    }

    async fn take_back(&mut self, worse: &Worse, now: Millis) -> Done {
        let Some(rollout) = self.rollout.clone() else { return Done::Nothing };
        let begun = std::time::Instant::now();
        let returned = self.registry.return_rollout(&rollout, worse, self.ahead.as_ref(), SELF, now).await;
        match returned {
            Ok(returned) => {
                self.traffic.serve_only(&returned.to.version);
                let ready = self.traffic.is_ready(&returned.to.version).await;
                let took_ms = begun.elapsed().as_secs_f64() * 1_000.0;
                tracing::warn!(
                    candidate = rollout.candidate,
                    to = returned.to.version,
                    reason = %worse,
                    ahead = returned.ahead,
                    ready,
                    took_ms,
                    "a version was taken back"
                );
                if !ready {
                    self.traffic.divert("the version that was returned to does not answer");
                }
                (self.rollout, self.ahead, self.stuck, self.dirty) = (None, None, None, false);
                Done::Returned { to: returned.to.version, ahead: returned.ahead, ready, took_ms }
            }
            Err(mantlet_registry::RegistryError::Store(fault)) => {
                // The record cannot be written. What is proven unchanged may serve all the same; the record follows.
                let proven = self.ahead.as_ref().filter(|ahead| self.registry.is_unchanged(ahead));
                tracing::error!(%fault, "a bad version cannot be recorded as taken back");
                if proven.is_some() {
                    self.traffic.serve_only(&rollout.stable);
                } else {
                    self.traffic.divert("a version that does worse could not be taken back");
                }
                self.stuck = Some(worse.clone());
                Done::Diverted(fault.to_string())
            }
            Err(mantlet_registry::RegistryError::Changed) => {
                // A person was quicker; what they changed is read at the next tick.
                self.stuck = Some(worse.clone());
                Done::Nothing
            }
            Err(fault) => {
                tracing::error!(%fault, "a bad version cannot be taken back: decisions go to people");
                self.traffic.divert("a version that does worse could not be taken back");
                self.stuck = Some(worse.clone());
                Done::Diverted(fault.to_string())
            }
        }
    }

    /// Keeps what was observed.
    async fn keep(&mut self) {
        let Some(rollout) = self.rollout.as_ref().filter(|_| self.dirty) else { return };
        match self.registry.store().save_rollout(Some(rollout.revision), rollout).await {
            Ok(_) => self.dirty = false,
            Err(fault) => tracing::warn!(%fault, "what was observed of a rollout could not be kept yet"),
        }
    }
}
