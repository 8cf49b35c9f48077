//! A running installation of one system: model server, guard, gateway, answering loop, console, on one store.

mod actions;
mod connect;
mod identity;
mod notify;
mod switches;
mod traffic;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use mantlet_access::KeyRing;
use mantlet_console::{Console, ConsoleConfig, Ports as ConsolePorts, Shelf};
use mantlet_detectors::{PinnedRule, Profile};
use mantlet_gateway::{Gateway, Ports, Route, Upstream};
use mantlet_guard::{Controls, Guard, GuardConfig, RateLimit, RulePolicy};
use mantlet_registry::{ModelVersion, RegistryStore as _, State};
use mantlet_respond::Switchboard;
use mantlet_serve::{ServeConfig, Served, Server};
use mantlet_store::{RecordKind, Store, SystemClock};
use mantlet_vocab::{Impact, OnFailure};
use mantlet_worker::answer::{self, AnswerHandle};

use crate::config::Loaded;
use crate::protect::{admit, subject};

pub use identity::KeyCache;
pub use switches::Deck;

/// How often keys and versions changed by another process are looked for.
const REFRESH: Duration = Duration::from_secs(2);

/// What is started beside the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// The gateway with its guard and answering loop.
    pub gateway: bool,
    /// The console.
    pub console: bool,
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
    /// The console, when it runs.
    pub console: Option<Console>,
    /// Remarks: what is not in force, and how to get there.
    pub gaps: Vec<String>,
    server: Option<Server>,
    refresh: tokio::task::JoinHandle<()>,
    route: Route,
    deck: Arc<Deck>,
    keys: Arc<KeyCache>,
}

/// Starts what the roles ask for.
///
/// # Errors
/// When an address is taken, the store is held by another process, or a version is not what was signed.
pub async fn start(loaded: &Loaded, roles: Roles) -> anyhow::Result<Running> {
    let options = mantlet_store::Options { serve: true, ..mantlet_store::Options::default() };
    let store = Store::open(&loaded.storage(), Arc::new(SystemClock), options).await?;
    let config = &loaded.config;
    let mut gaps = Vec::new();
    let versions = servable(loaded, &store, &mut gaps).await?;
    let (server, upstreams) = upstreams(loaded, &versions).await?;
    let controls = Arc::new(Controls::new());
    let guard = Arc::new(guard(loaded, &store, &versions, controls, &mut gaps).await?);
    gaps.extend(guard.gaps());
    let keys = Arc::new(KeyCache::new(store.key_ring().await?));
    let deck = Arc::new(Deck::new(loaded, store.clone(), guard.clone()));
    deck.serve_what_is_on_record().await?;
    let answer = answer::start(
        notify::answer_config(loaded)?,
        Switchboard::new(deck.clone()),
        store.clone(),
        traffic::AuditJournal(store.clone()),
        answer::SystemClock,
    )
    .await?;
    let ports = Ports {
        keys: keys.clone(),
        reviews: Arc::new(traffic::Desk::new(store.clone(), Duration::from_secs(24 * 3600))),
        recorder: Arc::new(traffic::Tee::new(&store, answer.sink())?),
        events: Arc::new(answer.sink()),
        clock: Arc::new(traffic::Now),
    };
    let route = connect::route(loaded, upstreams, guard.clone());
    let gateway = if roles.gateway {
        Some(Arc::new(Gateway::start(connect::gateway_config(loaded)?, vec![route.clone()], ports).await?))
    } else {
        None
    };
    let console = if roles.console {
        let listen = config.console.listen.parse().context("`console.listen` is no address")?;
        let classes = guard.profile().map(|profile| profile.classes.clone()).unwrap_or_default();
        let shelf = Shelf::new(store.clone()).class_names(config.system.name.clone(), classes);
        let ports = ConsolePorts {
            live: shelf.live(),
            people: Arc::new(shelf.clone()),
            views: Arc::new(shelf.clone()),
            actions: Arc::new(actions::Hands::new(
                loaded,
                store.clone(),
                shelf,
                answer.wishes(),
                deck.clone(),
            )),
        };
        Some(Console::start(ConsoleConfig::new(listen), ports).await?)
    } else {
        None
    };
    let seen = gateway.as_ref().map(Arc::downgrade).unwrap_or_default();
    let refresh = tokio::spawn(refresh(store.clone(), keys.clone(), deck.clone(), seen));
    Ok(Running { store, guard, gateway, answer, console, gaps, server, refresh, route, deck, keys })
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

    /// Reads the keys again at once, instead of within seconds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_keys(&self) -> anyhow::Result<()> {
        take_keys(self.store.key_ring().await?, &self.keys, self.gateway.as_deref());
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
        let answer = notify::answer_config(loaded)?;
        let route =
            Route { inspect: loaded.config.gateway.inspect, guard: guard.clone(), ..self.route.clone() };
        let generation = match &self.gateway {
            Some(gateway) => gateway.reload(connect::gateway_config(loaded)?, vec![route])?,
            None => 0,
        };
        self.answer.reload(answer).await?;
        self.deck.guard_is(guard.clone());
        self.guard = guard;
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
        self.answer.stop().await;
        if let Some(server) = self.server {
            server.shutdown().await;
        }
        self.store.close().await?;
        Ok(())
    }
}

/// Versions that may serve: those on record as serving, known-good or admitted.
async fn servable(
    loaded: &Loaded,
    store: &Store,
    gaps: &mut Vec<String>,
) -> anyhow::Result<Vec<ModelVersion>> {
    let config = &loaded.config;
    let versions = store.versions(&config.system.name).await?;
    let may =
        |version: &ModelVersion| matches!(version.state, State::Serving | State::KnownGood | State::Admitted);
    let versions: Vec<ModelVersion> = versions.into_iter().filter(may).collect();
    let serving = versions.iter().any(|version| version.state == State::Serving);
    let root = loaded.root.display();
    if config.gateway.upstream == "built-in" {
        anyhow::ensure!(
            serving,
            "no version of {} serves: run `mantlet protect {root}`, then `mantlet registry promote {} {root} --user NAME`{}",
            config.system.name,
            config.model.version,
            if config.system.impact >= Impact::High {
                " after another person's `mantlet registry approve`"
            } else {
                ""
            }
        );
    } else if !serving {
        gaps.push(format!(
            "no version of {} was admitted and promoted: what answers at {} was not examined",
            config.system.name, config.gateway.upstream
        ));
    }
    Ok(versions)
}

/// The built-in server over every servable version, or the address of the user's own.
async fn upstreams(
    loaded: &Loaded,
    versions: &[ModelVersion],
) -> anyhow::Result<(Option<Server>, Vec<Upstream>)> {
    let config = &loaded.config;
    if config.gateway.upstream != "built-in" {
        let version = versions.iter().find(|version| version.state == State::Serving);
        let upstream = Upstream {
            version: version.map_or_else(|| config.model.version.clone(), |version| version.version.clone()),
            url: config.gateway.upstream.clone(),
            weight: 1,
            ..connect::upstream(loaded)?
        };
        return Ok((None, vec![upstream]));
    }
    let mut served = Vec::new();
    for version in versions {
        let model = subject::run_as_data(&version.path)
            .with_context(|| format!("version {} cannot be served", version.version))?;
        served.push(Served { version: version.version.clone(), model });
    }
    let serving = versions.iter().find(|version| version.state == State::Serving);
    let settings = ServeConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        name: config.model.name.clone(),
        default_version: serving.map(|version| version.version.clone()),
        max_body: config.gateway.max_body,
    };
    let server = Server::start(settings, served).await?;
    let url = format!("http://{}", server.address());
    let each = versions.iter().map(|version| Upstream {
        version: version.version.clone(),
        url: url.clone(),
        upstream_version: Some(version.version.clone()),
        weight: u32::from(version.state == State::Serving),
        ..Upstream::default()
    });
    let upstreams = each.collect();
    Ok((Some(server), upstreams))
}

async fn guard(
    loaded: &Loaded,
    store: &Store,
    versions: &[ModelVersion],
    controls: Arc<Controls>,
    gaps: &mut Vec<String>,
) -> anyhow::Result<Guard> {
    let config = &loaded.config;
    let serving = versions.iter().find(|version| version.state == State::Serving);
    let name = serving.map_or(config.model.version.as_str(), |version| version.version.as_str());
    let path = admit::version_folder(&loaded.storage(), name).join("profile.json");
    let profile = match std::fs::read(&path) {
        Ok(bytes) => {
            let profile: Profile = serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is no profile: run `mantlet protect` again", path.display()))?;
            Some(Arc::new(profile))
        }
        Err(_) => {
            gaps.push(
                "there is no profile of the training data: only identity, limits and controls are in force; name \
                 `data.train` and run `mantlet protect`"
                    .to_owned(),
            );
            None
        }
    };
    let mut pinned = Vec::new();
    for record in store.records(RecordKind::GuardRule, Some(&config.system.name), 1_000).await? {
        if record.state == "active" {
            pinned.push(serde_json::from_value::<PinnedRule>(record.doc)?);
        }
    }
    let impact = config.system.impact;
    let of_text = mantlet_detectors::text::text_abouts();
    let rules = mantlet_detectors::configurable().into_iter().chain(of_text).filter_map(|about| {
        let mode = config.gateway.rules.get(about.name).copied();
        if mode.is_none() && config.gateway.on_failure.is_none() {
            return None;
        }
        let mut rule = RulePolicy::for_rule(about.name, impact);
        rule.mode = mode;
        rule.on_failure = config.gateway.on_failure.unwrap_or(rule.on_failure);
        Some((about.name.to_owned(), rule))
    });
    let mut rules: BTreeMap<String, RulePolicy> = rules.collect();
    for (name, mode) in &config.gateway.rules {
        // A name no detector has is for the guard to refuse by name.
        rules.entry(name.clone()).or_insert(RulePolicy {
            mode: Some(*mode),
            on_failure: OnFailure::PassAndFlag,
            ..RulePolicy::for_rule(name, impact)
        });
    }
    let guard_config = GuardConfig {
        system: config.system.name.clone(),
        route: config.model.name.clone(),
        impact,
        mode: config.gateway.mode,
        limit: Some(RateLimit {
            per_minute: f64::from(config.gateway.requests_per_minute),
            burst: config.gateway.burst,
        }),
        rules,
        text: config.gateway.text.rules(),
        ..GuardConfig::default()
    };
    Ok(Guard::new(guard_config, profile, pinned, controls)?)
}

/// New keys count at once, and one that was revoked is not believed a moment longer.
fn take_keys(ring: KeyRing, keys: &KeyCache, gateway: Option<&Gateway>) {
    if keys.replace(ring)
        && let Some(gateway) = gateway
    {
        gateway.forget_keys();
    }
}

async fn refresh(store: Store, keys: Arc<KeyCache>, deck: Arc<Deck>, gateway: Weak<Gateway>) {
    let mut tick = tokio::time::interval(REFRESH);
    loop {
        tick.tick().await;
        match store.key_ring().await {
            Ok(ring) => take_keys(ring, &keys, gateway.upgrade().as_deref()),
            Err(error) => tracing::warn!(%error, "keys could not be read again; the old ones count on"),
        }
        if let Err(error) = deck.serve_what_is_on_record().await {
            tracing::error!(error = format!("{error:#}"), "the version on record does not serve");
        }
    }
}
