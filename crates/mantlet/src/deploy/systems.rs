//! The systems of an installation: the model's own, and those behind further routes, each with versions, switches, a
//! rollout and a record of its own.

use std::sync::Arc;

use anyhow::Context as _;
use mantlet_columns::Redaction;
use mantlet_gateway::Route;
use mantlet_guard::{Controls, Peers};
use mantlet_registry::Registry;
use mantlet_replicas::Bus;
use mantlet_respond::{ActuatorError, KeyStanding, Switches};
use mantlet_serve::Server;
use mantlet_store::Store;
use mantlet_vocab::{Exchange, Millis};
use mantlet_worker::answer::SystemClock;
use mantlet_worker::rollout::{self, Analyst, RolloutHandle, RolloutSink};

use super::parts::{guard, servable, upstreams};
use super::switches::Configured;
use super::{Deck, Lever, connect, redacted};
use crate::config::Loaded;
use crate::protect::admit;

/// What every system of an installation is started with.
pub(super) struct World<'a> {
    pub(super) store: &'a Store,
    pub(super) bus: Option<&'a Bus>,
    /// Controls on callers: who is blocked is so on every route.
    pub(super) controls: &'a Arc<Controls>,
    /// Guards of other replicas.
    pub(super) peers: Option<&'a Arc<dyn Peers>>,
}

/// A system behind a further route.
pub(super) struct System {
    pub(super) loaded: Loaded,
    pub(super) deck: Arc<Deck>,
    /// As it is in force.
    pub(super) route: Route,
    server: Option<Server>,
}

/// Says which route's a remark is.
fn named(loaded: &Loaded, gaps: &mut Vec<String>, own: Vec<String>) {
    gaps.extend(own.into_iter().map(|gap| format!("route {}: {gap}", loaded.route())));
}

impl System {
    /// Starts the system behind a further route: what is on record of it is verified and in force when this returns.
    pub(super) async fn start(
        loaded: Loaded,
        world: &World<'_>,
        gaps: &mut Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut own = Vec::new();
        let versions = servable(&loaded, world.store, &mut own).await?;
        let (server, upstreams) = upstreams(&loaded, &versions).await?;
        let controls = Arc::new(Controls::of_another_system(world.controls.clone()));
        let guard = guard(&loaded, world.store, &versions, controls, &mut own).await?;
        let guard = Arc::new(match world.peers {
            Some(peers) => guard.with_peers(peers.clone()),
            None => guard,
        });
        own.extend(guard.gaps());
        let profile = guard.profile().map(|own| &**own);
        let redaction = redacted::redaction(&loaded, world.store, profile, &mut own)?;
        if let Some(recorder) = world.store.recorder_of(&loaded.config.system.name) {
            recorder.redact(redaction);
        }
        named(&loaded, gaps, own);
        let deck = Arc::new(Deck::new(&loaded, world.store.clone(), guard.clone(), world.bus.cloned()));
        deck.follow_the_record().await?;
        deck.verify_beside(&Configured::of(&loaded)).await?;
        let route = connect::route(&loaded, upstreams, guard);
        Ok(Self { loaded, deck, route, server })
    }

    /// The route under a changed configuration. Nothing is in force yet.
    pub(super) async fn renewed(
        &self,
        loaded: &Loaded,
        store: &Store,
        gaps: &mut Vec<String>,
    ) -> anyhow::Result<(Route, Redaction)> {
        let mut own = Vec::new();
        let built_in = loaded.config.gateway.upstream == "built-in";
        anyhow::ensure!(
            built_in == self.server.is_some(),
            "the built-in server behind the route {} comes and goes with a restart",
            loaded.route()
        );
        let versions = servable(loaded, store, &mut own).await?;
        let upstreams =
            if built_in { self.route.upstreams.clone() } else { upstreams(loaded, &versions).await?.1 };
        let controls = self.route.guard.controls().clone();
        let guard = guard(loaded, store, &versions, controls, &mut own).await?;
        // What is remembered of callers goes on under the new rules.
        let guard = Arc::new(guard.succeeding(&self.route.guard));
        self.deck.verify_beside(&Configured::of(loaded)).await?;
        let profile = guard.profile().map(|own| &**own);
        let redaction = redacted::redaction(loaded, store, profile, &mut own)?;
        named(loaded, gaps, own);
        Ok((connect::route(loaded, upstreams, guard), redaction))
    }

    /// What [`System::renewed`] made is in force from now on.
    pub(super) async fn takes_over(
        &mut self,
        loaded: Loaded,
        (route, redaction): (Route, Redaction),
        store: &Store,
    ) -> anyhow::Result<()> {
        if let Some(recorder) = store.recorder_of(&loaded.config.system.name) {
            recorder.redact(redaction);
        }
        let beside = Configured::of(&loaded);
        self.deck.guard_is(route.guard.clone());
        (self.loaded, self.route) = (loaded, route);
        self.deck.beside_is(beside).await
    }

    /// Stops what was started for it.
    pub(super) async fn stop(self) {
        if let Some(server) = self.server {
            server.shutdown().await;
        }
    }
}

/// The systems behind further routes under a changed configuration, which must be those of the start.
pub(super) fn same_systems(systems: &[System], fresh: &Loaded) -> anyhow::Result<Vec<Loaded>> {
    let named = |loaded: &Loaded| (loaded.route().to_owned(), loaded.config.system.name.clone());
    let fresh = fresh.systems()?;
    let mut before: Vec<_> = systems.iter().map(|system| named(&system.loaded)).collect();
    let mut after: Vec<_> = fresh.iter().map(named).collect();
    before.sort();
    after.sort();
    anyhow::ensure!(before == after, "a system behind a further route comes and goes with a restart");
    // In the order of those that run.
    let of = |system: &System| fresh.iter().find(|own| own.route() == system.loaded.route()).cloned();
    systems.iter().map(|system| of(system).context("a system went meanwhile")).collect()
}

impl Deck {
    /// The route that its versions answer on.
    pub(super) fn route(&self) -> &str {
        &self.model
    }
}

/// The switches of every system of an installation.
pub struct Decks {
    own: Arc<Deck>,
    further: Vec<Arc<Deck>>,
}

impl Decks {
    pub(super) fn new(own: Arc<Deck>, systems: &[System]) -> Self {
        Self { own, further: systems.iter().map(|system| system.deck.clone()).collect() }
    }

    /// All of them, the model's own first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Deck>> {
        std::iter::once(&self.own).chain(&self.further)
    }

    fn of(&self, system: &str) -> Result<&Arc<Deck>, ActuatorError> {
        let deck = self.all().find(|deck| deck.system == system);
        deck.ok_or_else(|| ActuatorError::Unknown(format!("system {system} here")))
    }

    /// Brings every guard to what is on record of its system. One that cannot be brought there keeps no other from it.
    ///
    /// # Errors
    /// The first of those that failed.
    pub async fn follow_the_record(&self) -> anyhow::Result<()> {
        let mut first = Ok(());
        for deck in self.all() {
            let followed = deck.follow_the_record().await;
            let followed =
                followed.with_context(|| format!("what is on record of {} is not in force", deck.system));
            first = first.and(followed);
        }
        first
    }

    /// The installation's own system.
    pub fn system(&self) -> &str {
        &self.own.system
    }

    /// The switches that every route looks up callers with.
    pub fn own_controls(&self) -> Arc<Controls> {
        self.own.guard.load().controls().clone()
    }

    /// Says to other replicas that the record changed.
    pub fn tell(&self) {
        self.own.tell();
    }
}

impl Switches for Decks {
    async fn set_key(&self, key: &str, standing: KeyStanding) -> Result<(), ActuatorError> {
        // Every route looks up callers with the model's own.
        self.own.set_key(key, standing).await
    }

    async fn divert_path(
        &self,
        system: &str,
        route: Option<&str>,
        on: bool,
        until: Option<Millis>,
    ) -> Result<(), ActuatorError> {
        self.of(system)?.divert_path(system, route, on, until).await
    }

    async fn serve_version(&self, system: &str, version: Option<&str>) -> Result<(), ActuatorError> {
        self.of(system)?.serve_version(system, version).await
    }

    async fn hold_candidate(&self, system: &str, subject: &str, on: bool) -> Result<(), ActuatorError> {
        self.of(system)?.hold_candidate(system, subject, on).await
    }

    async fn freeze_retraining(&self, system: &str, on: bool) -> Result<(), ActuatorError> {
        self.of(system)?.freeze_retraining(system, on).await
    }

    async fn pin_rule(
        &self,
        system: &str,
        name: &str,
        rule: &serde_json::Value,
        on: bool,
    ) -> Result<(), ActuatorError> {
        self.of(system)?.pin_rule(system, name, rule, on).await
    }
}

/// The analysis of one system's rollouts, and where it answers.
#[derive(Debug, Clone)]
struct Sink {
    system: String,
    route: String,
    sink: RolloutSink,
}

/// The analyses of the rollouts of every system.
#[derive(Debug, Clone, Default)]
pub struct Sinks(Arc<[Sink]>);

impl Sinks {
    /// Lets the analysis of its route see an exchange. Fewer samples can only hold a rollout.
    pub fn see(&self, exchange: &Exchange) -> Result<(), mantlet_guard::Overloaded> {
        match self.0.iter().find(|own| own.route == exchange.route) {
            Some(own) => own.sink.see(exchange),
            None => Ok(()),
        }
    }

    /// Hands a label to the analysis of its system. Fewer labels can only hold a rollout.
    pub fn label(&self, system: &str, version: &str, at: Millis, wrong: bool) {
        if let Some(own) = self.0.iter().find(|own| own.system == system) {
            let _ = own.sink.label(version, at, wrong);
        }
    }
}

/// The running analyses, one for each system: what one waits for holds no other up.
pub struct Rollouts {
    handles: Vec<RolloutHandle>,
    sinks: Sinks,
}

impl Rollouts {
    /// Starts them.
    ///
    /// # Errors
    /// When the keys that signatures are checked by cannot be read.
    pub(super) fn start(loaded: &Loaded, store: &Store, decks: &Decks) -> anyhow::Result<Self> {
        let (mut handles, mut sinks) = (Vec::new(), Vec::new());
        for deck in decks.all() {
            let keys = admit::trusted_keys(&loaded.storage())?;
            let registry = Registry::new(store.clone(), keys).on_route(deck.route());
            let handle =
                rollout::start(Analyst::new(registry, Lever(deck.clone()), &deck.system), SystemClock);
            sinks.push(Sink {
                system: deck.system.clone(),
                route: deck.route().to_owned(),
                sink: handle.sink(),
            });
            handles.push(handle);
        }
        Ok(Self { handles, sinks: Sinks(sinks.into()) })
    }

    /// Where exchanges and labels go.
    pub fn sinks(&self) -> Sinks {
        self.sinks.clone()
    }

    /// Ends them. A rollout that runs holds until the next start.
    pub async fn stop(self) {
        for handle in self.handles {
            handle.stop().await;
        }
    }
}
