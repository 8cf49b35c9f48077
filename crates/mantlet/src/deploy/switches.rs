//! The switches of this deployment, as the playbook sees them: keys, decision paths, versions, guard rules.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use mantlet_detectors::PinnedRule;
use mantlet_gateway::Gateway;
use mantlet_guard::{Beside, Guard, KeyControl, Split};
use mantlet_registry::batch::BatchEvent;
use mantlet_registry::rollout::{Phase, Rollout};
use mantlet_registry::{Registry, RegistryStore as _, State};
use mantlet_replicas::{Bus, Topic};
use mantlet_respond::{ActuatorError, KeyStanding, Switches};
use mantlet_store::{Record, RecordKind, Store};
use mantlet_vocab::Millis;
use mantlet_worker::rollout::Traffic;

use super::record::{KILL, put_path};
use crate::config::Loaded;
use crate::protect::admit;

/// The controls of one guarded system.
pub struct Deck {
    pub(super) system: String,
    storage: PathBuf,
    pub(super) store: Store,
    pub(super) guard: ArcSwap<Guard>,
    /// The version the playbook chose, while it stands; it wins over the registry's.
    pub(super) chosen: tokio::sync::Mutex<Option<String>>,
    /// The gateway whose endpoints are asked whether they are ready.
    gateway: ArcSwap<Weak<Gateway>>,
    /// A rollout that was ended here although its record may not say so yet.
    ended: Mutex<Option<String>>,
    /// The model's name in the request path.
    pub(super) model: String,
    /// Where other replicas hear of changes.
    bus: Option<Bus>,
    /// What the configuration says of versions beside the one that serves.
    beside: Mutex<Configured>,
}

/// What the configuration says of versions beside the one that serves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configured {
    /// Shares of the callers, in hundredths of a percent.
    shares: Vec<(String, u32)>,
    fallback: Option<String>,
}

impl Configured {
    pub(super) fn of(loaded: &Loaded) -> Self {
        let gateway = &loaded.config.gateway;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0.01 and 100, checked"
        )]
        let share = |(version, percent): (&String, &f64)| (version.clone(), (percent * 100.0).round() as u32);
        Self { shares: gateway.weights.iter().map(share).collect(), fallback: gateway.fallback.clone() }
    }
}

pub(super) const REASON: &str = "held by an incident";

impl Deck {
    /// The deck of a system.
    pub fn new(loaded: &Loaded, store: Store, guard: Arc<Guard>, bus: Option<Bus>) -> Self {
        Self {
            system: loaded.config.system.name.clone(),
            storage: loaded.storage(),
            store,
            guard: ArcSwap::new(guard),
            chosen: tokio::sync::Mutex::default(),
            gateway: ArcSwap::from_pointee(Weak::new()),
            ended: Mutex::default(),
            model: loaded.config.model.name.clone(),
            bus,
            beside: Mutex::new(Configured::of(loaded)),
        }
    }

    /// The configuration says this of versions beside the one that serves from now on. Verify them before.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn beside_is(&self, beside: Configured) -> anyhow::Result<()> {
        *self.beside.lock().unwrap_or_else(PoisonError::into_inner) = beside;
        let serving = self.store.system(&self.system).await?.and_then(|system| system.serving);
        self.follow_beside(serving).await
    }

    /// Whether the versions that the configuration lets answer are what was signed. Where none is on record, none can
    /// be, and that is said elsewhere.
    ///
    /// # Errors
    /// When one is not.
    pub(super) async fn verify_beside(&self, beside: &Configured) -> anyhow::Result<()> {
        let serving = self.store.system(&self.system).await?.and_then(|system| system.serving);
        let Some(serving) = serving else { return Ok(()) };
        let named = beside.shares.iter().map(|(version, _)| version).chain(&beside.fallback);
        for version in named.filter(|version| **version != serving) {
            self.verify(version).await?;
            anyhow::ensure!(
                self.may_answer(version).await?,
                "version {version} was retired: take it out of `gateway.weights` and `gateway.fallback`, or admit it again"
            );
        }
        Ok(())
    }

    /// Brings the guard to what the configuration says of versions beside the one that serves, those that were retired
    /// meanwhile left out: what a rollout took back does not come back by its share.
    async fn follow_beside(&self, serving: Option<String>) -> anyhow::Result<()> {
        let configured = self.beside.lock().unwrap_or_else(PoisonError::into_inner).shares.clone();
        let mut shares = Vec::new();
        for (version, share) in configured {
            // The version that serves has what others leave.
            if serving.is_none() || (Some(&version) != serving.as_ref() && self.may_answer(&version).await?) {
                shares.push((version, share));
            }
        }
        let beside = Some(Beside { stable: serving, shares });
        let guard = self.guard.load();
        if guard.controls().beside() != beside {
            guard.controls().set_beside(beside);
        }
        Ok(())
    }

    async fn may_answer(&self, version: &str) -> anyhow::Result<bool> {
        let record = self.store.version(&self.system, version).await?;
        Ok(record.is_some_and(|record| {
            !matches!(record.state, State::Candidate | State::Refused | State::Retired)
        }))
    }

    /// Switches act on this guard from now on, as after a change of configuration. Controls are shared by both.
    pub fn guard_is(&self, guard: Arc<Guard>) {
        self.guard.store(guard);
    }

    /// Endpoints are asked through this gateway from now on.
    pub fn gateway_is(&self, gateway: Weak<Gateway>) {
        self.gateway.store(gateway.into());
    }

    /// Brings the guard to what is on record of the system: the version that serves, the rollout that runs, and
    /// whether its decisions go to people.
    ///
    /// # Errors
    /// When the store fails or a version is not what was signed; what was in force before stays.
    pub async fn follow_the_record(&self) -> anyhow::Result<()> {
        self.follow_path().await?;
        self.follow_replicas().await?;
        self.serve_what_is_on_record().await?;
        self.follow_rollout(self.store.rollout(&self.system).await?.as_ref());
        Ok(())
    }

    /// Says to other replicas that the record changed; without NATS they see it at their next look.
    pub fn tell(&self) {
        if let Some(bus) = &self.bus {
            // A lost word costs seconds, and the bus counts it.
            let _ = bus.tell(Topic::Changed, Vec::new());
        }
    }

    fn follow_rollout(&self, rollout: Option<&Rollout>) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let running = rollout.filter(|rollout| rollout.runs() && Some(&rollout.id) != ended.as_ref());
        let split = running.map(|rollout| Split {
            rollout: rollout.id.clone(),
            stable: rollout.stable.clone(),
            candidate: rollout.candidate.clone(),
            share: rollout.share(),
            shadow: rollout.phase == Phase::Shadow,
        });
        let guard = self.guard.load();
        if guard.controls().split() != split {
            guard.controls().set_split(split);
        }
    }

    /// Brings the guard to the version the registry says serves, unless an incident chose another. The version
    /// is verified before it is switched to.
    ///
    /// # Errors
    /// When it is not what was signed; the version before serves on.
    pub async fn serve_what_is_on_record(&self) -> anyhow::Result<()> {
        if self.chosen.lock().await.is_some() {
            return Ok(());
        }
        let serving = self.store.system(&self.system).await?.and_then(|system| system.serving);
        if serving != self.guard.load().controls().version() {
            if let Some(version) = &serving {
                self.verify(version).await?;
            }
            self.guard.load().controls().set_version(serving.clone());
        }
        self.follow_beside(serving).await
    }

    /// Lets a version answer after verifying it.
    ///
    /// # Errors
    /// When it is not on record or not what was signed.
    pub async fn verify(&self, version: &str) -> anyhow::Result<()> {
        let record = self.store.version(&self.system, version).await?;
        let record = record.ok_or_else(|| anyhow::anyhow!("version {version} is not on record"))?;
        anyhow::ensure!(
            !matches!(record.state, State::Candidate | State::Refused),
            "version {version} is {} and may not serve",
            record.state
        );
        let registry = Registry::new(self.store.clone(), admit::trusted_keys(&self.storage)?);
        // Hashing is file work: off the reactor.
        tokio::task::spawn_blocking(move || registry.verify(&record).map(|_| ())).await??;
        Ok(())
    }
}

/// The deck as the analysis of rollouts moves it.
#[derive(Clone)]
pub struct Lever(pub Arc<Deck>);

impl Traffic for Lever {
    fn follow(&self, rollout: Option<&Rollout>) {
        self.0.tell();
        self.0.follow_rollout(rollout);
    }

    fn serve_only(&self, version: &str) {
        self.0.tell();
        let guard = self.0.guard.load();
        let split = guard.controls().split();
        if let Some(split) = split {
            *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(split.rollout);
        }
        // Shares come back at the next look at the record, without what was taken back.
        let stable = guard.controls().beside().and_then(|beside| beside.stable);
        guard.controls().set_beside(Some(Beside { stable, shares: Vec::new() }));
        guard.controls().serve_only(version);
    }

    fn divert(&self, reason: &str) {
        self.0.guard.load().controls().divert_path(self.0.store.now(), None, format!("{KILL}{reason}"));
        // Other gateways of the system follow the record, and so does this one after a restart.
        let (deck, reason) = (self.0.clone(), reason.to_owned());
        tokio::spawn(async move {
            let kept = put_path(&deck.store, &deck.system, true, &reason, mantlet_respond::SELF).await;
            if let Err(error) = kept {
                tracing::error!(error = format!("{error:#}"), "the kill switch is on here and not on record");
            }
            deck.tell();
        });
    }

    async fn is_ready(&self, version: &str) -> bool {
        // A worker without a gateway has nobody to ask; gateways ask for themselves.
        let gateway = self.0.gateway.load().upgrade();
        match gateway {
            Some(gateway) => gateway.is_ready(&self.0.model, version).await,
            None => true,
        }
    }
}

impl Switches for Deck {
    async fn set_key(&self, key: &str, standing: KeyStanding) -> Result<(), ActuatorError> {
        if self.store.is_shared() {
            // On record first: every replica follows it, this one included.
            let kept = self.record_key(key, &standing).await;
            kept.map_err(|error| ActuatorError::Unreachable(format!("{error:#}")))?;
            self.tell();
        }
        let guard = self.guard.load();
        let controls = guard.controls();
        let now = self.store.now();
        let set = |on: bool, what: KeyControl, until: Option<Millis>| {
            if on {
                controls.apply_key(key, what, now, until, REASON);
            } else {
                controls.lift_key(key, what.word());
            }
        };
        let per_minute = f64::from(standing.per_minute.unwrap_or(0));
        set(standing.per_minute.is_some(), KeyControl::Throttle { per_minute }, standing.slowed_until);
        set(standing.blocked, KeyControl::Block, standing.blocked_until);
        set(standing.diverted, KeyControl::Divert, standing.diverted_until);
        Ok(())
    }

    async fn divert_path(
        &self,
        system: &str,
        _route: Option<&str>,
        on: bool,
        until: Option<Millis>,
    ) -> Result<(), ActuatorError> {
        self.known(system)?;
        if self.store.is_shared() {
            let kept = put_path(&self.store, system, on, REASON, mantlet_respond::SELF).await;
            kept.map_err(|error| ActuatorError::Unreachable(format!("{error:#}")))?;
            self.tell();
        }
        if on {
            self.guard.load().controls().divert_path(self.store.now(), until, REASON);
        } else {
            self.guard.load().controls().release_path();
        }
        Ok(())
    }

    async fn serve_version(&self, system: &str, version: Option<&str>) -> Result<(), ActuatorError> {
        self.known(system)?;
        let unreachable = |error: mantlet_store::StoreError| ActuatorError::Unreachable(error.to_string());
        let record = self.store.system(system).await.map_err(unreachable)?;
        let record = record.ok_or_else(|| ActuatorError::Unknown(format!("system {system}")))?;
        let target = match version {
            Some(version) => version.to_owned(),
            None => record.known_good.clone().ok_or_else(|| {
                ActuatorError::Refused(format!("{system} has no known-good version to go back to"))
            })?,
        };
        let mut chosen = self.chosen.lock().await;
        self.verify(&target).await.map_err(|error| ActuatorError::Refused(format!("{error:#}")))?;
        if self.store.is_shared() {
            let kept =
                self.record_version((record.serving.as_ref() != Some(&target)).then_some(&target)).await;
            kept.map_err(|error| ActuatorError::Unreachable(format!("{error:#}")))?;
            self.tell();
        }
        self.guard.load().controls().set_version(Some(target.clone()));
        *chosen = (record.serving.as_ref() != Some(&target)).then_some(target);
        Ok(())
    }

    async fn hold_candidate(&self, system: &str, subject: &str, on: bool) -> Result<(), ActuatorError> {
        self.known(system)?;
        let kept = self.store.hold(system, subject, on, mantlet_respond::SELF).await;
        kept.map_err(|error| ActuatorError::Unreachable(error.to_string()))
    }

    async fn freeze_retraining(&self, system: &str, on: bool) -> Result<(), ActuatorError> {
        self.known(system)?;
        let unreachable = |error: mantlet_store::StoreError| ActuatorError::Unreachable(error.to_string());
        let (ledger, _) = self.store.ledger(system).await.map_err(unreachable)?;
        let changes = match &ledger.frozen {
            None => on,
            // What a person froze, a person releases.
            Some(why) => !on && why == REASON,
        };
        if changes {
            let event = BatchEvent::Frozen { on, note: REASON.to_owned() };
            self.store.batch_event(system, &event, mantlet_respond::SELF).await.map_err(unreachable)?;
        }
        Ok(())
    }

    async fn pin_rule(
        &self,
        system: &str,
        name: &str,
        rule: &serde_json::Value,
        on: bool,
    ) -> Result<(), ActuatorError> {
        self.known(system)?;
        let pinned: PinnedRule = serde_json::from_value(rule.clone())
            .map_err(|error| ActuatorError::Refused(format!("the rule cannot be read: {error}")))?;
        let record = Record {
            id: name.to_owned(),
            system: system.to_owned(),
            at: self.store.now(),
            state: if on { "active" } else { "lifted" }.to_owned(),
            doc: rule.clone(),
        };
        let kept = self.store.put_record(RecordKind::GuardRule, &record, mantlet_respond::SELF).await;
        kept.map_err(|error| ActuatorError::Unreachable(error.to_string()))?;
        if on {
            self.guard.load().pin(pinned);
        } else {
            self.guard.load().unpin(&pinned.id);
        }
        Ok(())
    }
}

impl Deck {
    fn known(&self, system: &str) -> Result<(), ActuatorError> {
        if system == self.system {
            Ok(())
        } else {
            Err(ActuatorError::Unknown(format!("system {system} here")))
        }
    }
}
