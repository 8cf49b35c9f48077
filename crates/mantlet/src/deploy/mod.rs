//! A running installation of one system: model server, guard, gateway, answering loop, console, on one store.
//!
//! Long because what runs is started, changed and stopped in one order.

mod actions;
mod connect;
mod examine;
mod follow;
mod history;
mod identity;
mod notify;
mod parts;
mod pinned;
mod record;
mod redacted;
mod settled;
mod switches;
mod systems;
mod traffic;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwapOption;
use mantlet_console::{Console, ConsoleConfig, Ports as ConsolePorts, Shelf};
use mantlet_detectors::PinnedRule;
use mantlet_gateway::{Gateway, Ports, Route};
use mantlet_guard::shared::{InMemory, SharedLimits};
use mantlet_guard::{Controls, Guard, GuardConfig, Peers};
use mantlet_replicas::{Bus, RedisLimits, RedisPeers};
use mantlet_respond::Switchboard;
use mantlet_serve::Server;
use mantlet_store::{Store, SystemClock};
use mantlet_worker::answer::{self, AnswerHandle, Hook};

use crate::config::{self, Loaded};

pub use examine::examine;
use history::History;
pub use identity::KeyCache;
use parts::{further, guard, servable, upstreams};
pub use record::{announce, pushed_config, put_config, put_path};
use switches::Configured;
pub use switches::{Deck, Lever};
pub use systems::{Decks, Rollouts};
use systems::{System, World, same_systems};

use traffic::Analysis;

/// What is started beside the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// The gateway with its guard and answering loop.
    pub gateway: bool,
    /// The console.
    pub console: bool,
    /// The analysis of what gateways saw: alerts are answered and rollouts judged here.
    pub worker: bool,
}

/// A running installation.
pub struct Running {
    /// The store everything is kept in.
    pub store: Store,
    /// The guard, for tools in the same process.
    pub guard: Arc<Guard>,
    /// The gateway, when it runs.
    pub gateway: Option<Arc<Gateway>>,
    /// The answering loop.
    pub answer: AnswerHandle,
    /// The analyses of rollouts, where they run.
    pub rollouts: Option<Rollouts>,
    /// The console, when it runs.
    pub console: Option<Console>,
    /// Remarks: what is not in force, and how to get there.
    pub gaps: Vec<String>,
    server: Option<Server>,
    refresh: tokio::task::JoinHandle<()>,
    history: History,
    route: Route,
    /// Further routes, with the guards in force.
    beside: Vec<Route>,
    deck: Arc<Deck>,
    /// Systems behind further routes.
    systems: Vec<System>,
    keys: Arc<KeyCache>,
    changes: Option<tokio::sync::watch::Receiver<u64>>,
    settled: Option<tokio::task::JoinHandle<()>>,
    desk: Arc<traffic::Desk>,
    hook: Arc<ArcSwapOption<Hook>>,
}

/// Starts what the roles ask for.
///
/// # Errors
/// When an address is taken, the store is held by another process, or a version is not what was signed.
pub async fn start(loaded: &Loaded, roles: Roles) -> anyhow::Result<Running> {
    let further_systems = loaded.systems()?;
    let mut options = store_options(loaded, true)?;
    options.further = further_systems.iter().map(|system| system.config.system.name.clone()).collect();
    if !roles.console {
        // Nobody looks at the last exchanges here.
        options.history.recent = 0;
    }
    let store = Store::open(&loaded.storage(), Arc::new(SystemClock), options).await?;
    let config = &loaded.config;
    let mut gaps = Vec::new();
    let versions = servable(loaded, &store, &mut gaps).await?;
    let (server, upstreams) = upstreams(loaded, &versions).await?;
    let controls = Arc::new(Controls::new());
    let guard = guard(loaded, &store, &versions, controls, &mut gaps).await?;
    let (peers, heard) = match peers(loaded)? {
        Some((peers, heard)) => (Some(Arc::new(peers) as Arc<dyn Peers>), Some(heard)),
        None => (None, None),
    };
    let guard = Arc::new(match &peers {
        Some(peers) => guard.with_peers(peers.clone()),
        None => guard,
    });
    gaps.extend(guard.gaps());
    let redaction = redacted::redaction(loaded, &store, guard.profile().map(|own| &**own), &mut gaps)?;
    if let Some(recorder) = store.recorder() {
        recorder.redact(redaction);
    }
    let keys = Arc::new(KeyCache::new(store.key_ring().await?));
    let bus = config::bus(&config.shared, &loaded.root).await?;
    let deck = Arc::new(Deck::new(loaded, store.clone(), guard.clone(), bus.clone()));
    deck.follow_the_record().await?;
    deck.verify_beside(&Configured::of(loaded)).await?;
    let world = World { store: &store, bus: bus.as_ref(), controls: guard.controls(), peers: peers.as_ref() };
    let mut systems = Vec::new();
    for system in further_systems {
        systems.push(System::start(system, &world, &mut gaps).await?);
    }
    let decks = Arc::new(Decks::new(deck.clone(), &systems));
    if let Some(heard) = heard {
        traffic::hear(heard, decks.clone());
    }
    let known: Vec<Loaded> = systems.iter().map(|system| system.loaded.clone()).collect();
    let answer = answer::start(
        notify::answer_config(loaded, &known)?,
        Switchboard::new(decks.clone()),
        store.clone(),
        traffic::AuditJournal(store.clone()),
        answer::SystemClock,
    )
    .await?;
    let rollouts = roles.worker.then(|| Rollouts::start(loaded, &store, &decks)).transpose()?;
    let sinks = rollouts.as_ref().map(Rollouts::sinks);
    let analysis = match (&bus, &sinks) {
        (Some(bus), None) => {
            let own = |deck: &Arc<Deck>| (deck.route().to_owned(), deck.guard.load().controls().clone());
            Analysis::There { bus: bus.clone(), controls: decks.all().map(own).collect() }
        }
        _ => Analysis::Here { answer: answer.sink(), rollout: sinks.clone().unwrap_or_default() },
    };
    match (&bus, &sinks) {
        (Some(bus), Some(sinks)) => traffic::take_from(bus, answer.sink(), sinks.clone()),
        (None, None) if roles.gateway => gaps.push(
            "no worker hears of what this gateway sees: alerts are answered here, and rollouts hold; name \
             `shared.nats` and run `mantlet up --role worker`"
                .to_owned(),
        ),
        _ => {}
    }
    let hook = Arc::new(ArcSwapOption::from_pointee(settled::hook(loaded)?));
    let settled = roles.worker.then(|| tokio::spawn(settled::hand_on(store.clone(), hook.clone(), sinks)));
    let desk = Arc::new(traffic::Desk::new(store.clone(), config.reviews.terms()));
    let ports = Ports {
        keys: keys.clone(),
        reviews: desk.clone(),
        recorder: Arc::new(traffic::Tee::new(&store, analysis.clone(), &decks)?),
        events: Arc::new(analysis),
        clock: Arc::new(traffic::Now),
        limits: limits(loaded)?,
    };
    let route = connect::route(loaded, upstreams, guard.clone());
    let beside = further(loaded, &store, guard.controls())?;
    let gateway = if roles.gateway {
        let further = systems.iter().map(|system| system.route.clone()).collect();
        let routes = [vec![route.clone()], beside.clone(), further].concat();
        Some(Arc::new(Gateway::start(connect::gateway_config(loaded)?, routes, ports).await?))
    } else {
        None
    };
    let console = if roles.console {
        let listen = config.console.listen.parse().context("`console.listen` is no address")?;
        let classes = guard.profile().map(|profile| profile.classes.clone()).unwrap_or_default();
        let mut shelf = Shelf::new(store.clone()).class_names(config.system.name.clone(), classes);
        for System { loaded, route, .. } in &systems {
            let classes = route.guard.profile().map(|profile| profile.classes.clone()).unwrap_or_default();
            shelf = shelf.class_names(loaded.config.system.name.clone(), classes);
        }
        let ports = ConsolePorts {
            live: shelf.live(),
            people: Arc::new(shelf.clone()),
            views: Arc::new(shelf.clone()),
            batches: Arc::new(shelf.clone()),
            actions: Arc::new(actions::Hands::new(
                loaded,
                store.clone(),
                shelf,
                answer.wishes(),
                decks.clone(),
            )),
        };
        Some(Console::start(ConsoleConfig::new(listen), ports).await?)
    } else {
        None
    };
    let seen = gateway.as_ref().map(Arc::downgrade).unwrap_or_default();
    decks.all().for_each(|deck| deck.gateway_is(seen.clone()));
    let history = History::start(loaded, &loaded.system_names()?, roles.console || roles.worker)?;
    let changes = bus.as_ref().map(Bus::changes);
    let refresh = tokio::spawn(follow::follow(store.clone(), keys.clone(), decks, seen, bus));
    Ok(Running {
        store,
        guard,
        gateway,
        answer,
        rollouts,
        console,
        gaps,
        server,
        refresh,
        history,
        route,
        beside,
        deck,
        systems,
        keys,
        changes,
        settled,
        desk,
        hook,
    })
}

impl Running {
    /// Where clients come in.
    pub fn gateway_address(&self) -> Option<SocketAddr> {
        self.gateway.as_ref().map(|gateway| gateway.address())
    }

    /// Where people look.
    pub fn console_address(&self) -> Option<SocketAddr> {
        self.console.as_ref().map(Console::addr)
    }

    /// Where the built-in model server answers.
    pub fn server_address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(|server| server.address())
    }

    /// The switches of this installation.
    pub fn deck(&self) -> &Deck {
        &self.deck
    }

    /// Waits until a replica, this one included, says that something on record changed; for ever without NATS.
    pub async fn told(&mut self) {
        if let Some(changes) = &mut self.changes {
            if changes.changed().await.is_ok() {
                return;
            }
            self.changes = None;
        }
        std::future::pending().await
    }

    /// Reads the keys again at once, instead of within seconds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_keys(&self) -> anyhow::Result<()> {
        follow::take_keys(self.store.key_ring().await?, &self.keys, self.gateway.as_deref());
        Ok(())
    }

    /// A guard with the same profile, without detectors, that has this rule alone: what the rule
    /// stops by itself.
    ///
    /// # Errors
    /// When the guard cannot be made.
    pub fn watching(&self, rule: &PinnedRule) -> anyhow::Result<Guard> {
        let config = GuardConfig { limit: None, ..self.guard.config().clone() };
        let profile = self.guard.profile().cloned();
        Ok(Guard::with_detectors(config, profile, vec![rule.clone()], Arc::new(Controls::new()), Vec::new())?)
    }

    /// Takes over a changed configuration; what needs a restart is refused and the old one serves on.
    ///
    /// # Errors
    /// When the new configuration cannot be used.
    pub async fn reload(&mut self, loaded: &Loaded) -> anyhow::Result<u64> {
        let mut gaps = Vec::new();
        let versions = servable(loaded, &self.store, &mut gaps).await?;
        let guard = guard(loaded, &self.store, &versions, self.guard.controls().clone(), &mut gaps).await?;
        // What is remembered of callers goes on under the new rules.
        let guard = Arc::new(guard.succeeding(&self.guard));
        let profile = guard.profile().map(|own| &**own);
        let redaction = redacted::redaction(loaded, &self.store, profile, &mut gaps)?;
        let systems = same_systems(&self.systems, loaded)?;
        let answer = notify::answer_config(loaded, &systems)?;
        let hook = settled::hook(loaded)?;
        let beside = Configured::of(loaded);
        self.deck.verify_beside(&beside).await?;
        let route = Route {
            inspect: loaded.config.gateway.inspect,
            records: loaded.config.gateway.record_features,
            websocket: loaded.config.gateway.websocket,
            fallback: loaded.config.gateway.fallback.clone(),
            names: loaded.config.gateway.version_names.clone(),
            guard: guard.clone(),
            ..self.route.clone()
        };
        let mut others = further(loaded, &self.store, guard.controls())?;
        for other in &mut others {
            // What is remembered of callers goes on there, too.
            if let Some(before) = self.beside.iter().find(|before| before.model == other.model)
                && let Some(made) = Arc::get_mut(&mut other.guard)
            {
                made.succeed(&before.guard);
            }
        }
        let mut further = Vec::new();
        for (system, own) in self.systems.iter().zip(&systems) {
            further.push(system.renewed(own, &self.store, &mut gaps).await?);
        }
        let generation = match &self.gateway {
            Some(gateway) => {
                let of_systems = further.iter().map(|(route, _)| route.clone()).collect();
                let routes = [vec![route], others.clone(), of_systems].concat();
                gateway.reload(connect::gateway_config(loaded)?, routes)?
            }
            None => 0,
        };
        if let Some(recorder) = self.store.recorder() {
            recorder.redact(redaction);
        }
        self.answer.reload(answer).await?;
        self.desk.terms_are(loaded.config.reviews.terms());
        self.hook.store(hook.map(Arc::new));
        self.deck.guard_is(guard.clone());
        self.guard = guard;
        self.beside = others;
        self.deck.beside_is(beside).await?;
        for (system, (own, made)) in self.systems.iter_mut().zip(systems.into_iter().zip(further)) {
            system.takes_over(own, made, &self.store).await?;
        }
        Ok(generation)
    }

    /// Stops in order: no new requests, open ones finish, everything is on disk.
    ///
    /// # Errors
    /// When the store could not write what was buffered.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.refresh.abort();
        let _ = self.refresh.await;
        if let Some(gateway) = self.gateway.and_then(Arc::into_inner) {
            gateway.shutdown().await;
        }
        if let Some(console) = self.console {
            console.shutdown().await;
        }
        if let Some(rollouts) = self.rollouts {
            rollouts.stop().await;
        }
        if let Some(settled) = self.settled {
            settled.abort();
            let _ = settled.await;
        }
        self.answer.stop().await;
        if let Some(server) = self.server {
            server.shutdown().await;
        }
        for system in self.systems {
            system.stop().await;
        }
        let closed = self.store.close().await;
        self.history.stop().await;
        closed?;
        Ok(())
    }
}

/// The guard of an installation by itself, for looking back; and what is not in force.
///
/// # Errors
/// When the state cannot be read or the configuration does not hold.
pub async fn guard_of(loaded: &Loaded) -> anyhow::Result<(Guard, Vec<String>)> {
    let store = Store::open(&loaded.storage(), Arc::new(SystemClock), store_options(loaded, false)?).await?;
    let versions = mantlet_registry::RegistryStore::versions(&store, &loaded.config.system.name).await?;
    let mut gaps = Vec::new();
    let guard = guard(loaded, &store, &versions, Arc::new(Controls::new()), &mut gaps).await?;
    gaps.extend(guard.gaps());
    store.close().await?;
    Ok((guard, gaps))
}

/// How the store of an installation is opened.
///
/// # Errors
/// When the file with the database's address cannot be read.
pub fn store_options(loaded: &Loaded, serve: bool) -> anyhow::Result<mantlet_store::Options> {
    let database = loaded.config.shared.database_url(&loaded.root)?;
    Ok(mantlet_store::Options { serve, database, ..mantlet_store::Options::default() })
}

/// The counts of limits: in Redis when there is one, else in this process.
fn limits(loaded: &Loaded) -> anyhow::Result<Arc<dyn SharedLimits>> {
    Ok(match loaded.config.shared.redis_options(&loaded.root)? {
        Some(options) => Arc::new(RedisLimits::start(options)?),
        None => Arc::new(InMemory::default()),
    })
}

/// The line to guards of other replicas, where Redis is shared.
fn peers(
    loaded: &Loaded,
) -> anyhow::Result<Option<(RedisPeers, tokio::sync::mpsc::Receiver<mantlet_guard::Told>)>> {
    let shared = &loaded.config.shared;
    Ok(match shared.redis_options(&loaded.root)?.filter(|_| shared.detectors) {
        Some(options) => Some(RedisPeers::start(&options)?),
        None => None,
    })
}
