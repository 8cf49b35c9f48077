//! The switches of this deployment, as the playbook sees them: keys, decision paths, versions, guard rules.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mantlet_detectors::PinnedRule;
use mantlet_guard::{Guard, KeyControl};
use mantlet_registry::{Registry, RegistryStore as _, State};
use mantlet_respond::{ActuatorError, KeyStanding, Switches};
use mantlet_store::{Record, RecordKind, Store};
use mantlet_vocab::Millis;

use crate::config::Loaded;
use crate::protect::admit;

/// The controls of one guarded system.
pub struct Deck {
    system: String,
    storage: PathBuf,
    store: Store,
    guard: ArcSwap<Guard>,
    /// The version the playbook chose, while it stands; it wins over the registry's.
    chosen: tokio::sync::Mutex<Option<String>>,
}

const REASON: &str = "held by an incident";

impl Deck {
    /// The deck of a system.
    pub fn new(loaded: &Loaded, store: Store, guard: Arc<Guard>) -> Self {
        Self {
            system: loaded.config.system.name.clone(),
            storage: loaded.storage(),
            store,
            guard: ArcSwap::new(guard),
            chosen: tokio::sync::Mutex::default(),
        }
    }

    /// Switches act on this guard from now on, as after a change of configuration. Controls are shared by both.
    pub fn guard_is(&self, guard: Arc<Guard>) {
        self.guard.store(guard);
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
        if serving == self.guard.load().controls().version() {
            return Ok(());
        }
        if let Some(version) = &serving {
            self.verify(version).await?;
        }
        self.guard.load().controls().set_version(serving);
        Ok(())
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

impl Switches for Deck {
    async fn set_key(&self, key: &str, standing: KeyStanding) -> Result<(), ActuatorError> {
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
        self.guard.load().controls().set_version(Some(target.clone()));
        *chosen = (record.serving.as_ref() != Some(&target)).then_some(target);
        Ok(())
    }

    async fn hold_candidate(&self, system: &str, subject: &str, on: bool) -> Result<(), ActuatorError> {
        self.known(system)?;
        let kept = self.store.hold(system, subject, on, mantlet_respond::SELF).await;
        kept.map_err(|error| ActuatorError::Unreachable(error.to_string()))
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
