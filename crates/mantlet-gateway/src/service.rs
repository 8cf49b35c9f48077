//! Listening, reloading, shutting down.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use mantlet_vocab::Millis;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::ids::Ids;
use crate::keys::Remembered;
use crate::layers::grpc::health::Serving;
use crate::layers::upgrade::Upgraded;
use crate::lines::Lines;
use crate::listen::{accept, listen};
use crate::live::Live;
use crate::metrics::Metrics;
use crate::oidc::{self, ProviderKeys};
use crate::otlp::{self, Telemetry};
use crate::upstream::{Call, Clients, Known, ask, health};
use crate::{GatewayConfig, GatewayError, Kind, Ports, Route};

/// Copies under way to a version that is tried in the shadow at most; beyond that requests are not copied.
const SHADOWS: usize = 64;
/// Callers that watch health at most.
const WATCHES: usize = 64;

/// What every connection shares.
pub(crate) struct Shared {
    pub(crate) live: ArcSwap<Live>,
    pub(crate) ports: Ports,
    pub(crate) keys: Remembered,
    pub(crate) metrics: Metrics,
    pub(crate) clients: Clients,
    pub(crate) known: Known,
    pub(crate) provider: ProviderKeys,
    pub(crate) ids: Ids,
    pub(crate) lines: Lines,
    /// Where exchanges that are over are told of, when they are.
    pub(crate) telemetry: Option<Telemetry>,
    pub(crate) started: Millis,
    /// Room for copies under way to a version that is tried in the shadow.
    pub(crate) shadows: Arc<Semaphore>,
    /// Connections that became WebSockets.
    pub(crate) upgraded: Arc<Upgraded>,
    /// Room for those that watch health over gRPC, and what they are told.
    pub(crate) watches: Arc<Semaphore>,
    pub(crate) serving: Serving,
    /// Says when the gateway stops.
    pub(crate) stop: watch::Receiver<bool>,
    generation: AtomicU64,
}

/// A running gateway.
pub struct Gateway {
    shared: Arc<Shared>,
    address: SocketAddr,
    admin: SocketAddr,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
}

/// Which calls a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// Clients; administration too, from this machine only.
    Both,
    /// Clients only.
    Clients,
    /// `/status` and `/metrics` only.
    Admin,
}

impl Gateway {
    /// Whether routes can be served, without listening or asking anybody.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn check(routes: Vec<Route>) -> Result<(), GatewayError> {
        Live::new(GatewayConfig::default(), routes, 0, &Known::default()).map(drop)
    }

    /// Starts to listen. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or the configuration cannot be used.
    pub async fn start(
        config: GatewayConfig,
        routes: Vec<Route>,
        ports: Ports,
    ) -> Result<Self, GatewayError> {
        let known = Known::default();
        let live = Live::new(config.clone(), routes, 1, &known)?;
        let clients = Clients::new(&config)?;
        let (listener, address) = listen(config.listen).await?;
        let admin_listener = match config.admin {
            Some(admin) => Some(listen(admin).await?),
            None => None,
        };
        let metrics = Metrics::new();
        metrics.generation.set(1);
        let (telemetry, exported) = match &config.otlp {
            Some(otlp) => {
                let headers = otlp::headers(otlp)?;
                let (telemetry, queue) = Telemetry::new();
                (Some(telemetry), Some((otlp.clone(), headers, queue)))
            }
            None => (None, None),
        };
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            live: ArcSwap::from_pointee(live),
            started: ports.clock.now(),
            shadows: Arc::new(Semaphore::new(SHADOWS)),
            ports,
            keys: Remembered::default(),
            ids: Ids::default(),
            lines: Lines::default(),
            telemetry,
            metrics,
            clients,
            known,
            provider: ProviderKeys::default(),
            upgraded: Arc::default(),
            watches: Arc::new(Semaphore::new(WATCHES)),
            serving: Serving::default(),
            stop: stopped,
            generation: AtomicU64::new(1),
        });
        let mut listeners = JoinSet::new();
        let face = if admin_listener.is_some() { Face::Clients } else { Face::Both };
        listeners.spawn(accept(listener, face, Arc::clone(&shared), stop.subscribe()));
        let mut admin = address;
        if let Some((listener, at)) = admin_listener {
            admin = at;
            listeners.spawn(accept(listener, Face::Admin, Arc::clone(&shared), stop.subscribe()));
        }
        listeners.spawn(oidc::refresh(Arc::clone(&shared), stop.subscribe()));
        listeners.spawn(health::check(Arc::clone(&shared), stop.subscribe()));
        if let Some((otlp, headers, queue)) = exported {
            listeners.spawn(otlp::export(Arc::clone(&shared), otlp, headers, queue, stop.subscribe()));
        }
        tracing::info!(%address, %admin, "gateway listens");
        Ok(Self { shared, address, admin, stop, listeners })
    }

    /// Where clients come in.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/status` and `/metrics` are.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The configuration generation in force, from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.live.load().generation
    }

    /// Swaps configuration and routes at once; gives the new generation. Open exchanges finish on theirs.
    ///
    /// # Errors
    /// When the configuration cannot be used; the old one stays.
    pub fn reload(&self, config: GatewayConfig, routes: Vec<Route>) -> Result<u64, GatewayError> {
        let current = self.shared.live.load();
        let old = &current.config;
        for (field, same) in [
            ("listen", old.listen == config.listen),
            ("admin", old.admin == config.admin),
            ("connect_timeout_ms", old.connect_timeout_ms == config.connect_timeout_ms),
            ("max_connections", old.max_connections == config.max_connections),
            ("upstream_tls", old.upstream_tls == config.upstream_tls),
            ("otlp", old.otlp == config.otlp),
        ] {
            if !same {
                return Err(GatewayError::NeedsRestart { field });
            }
        }
        let provider_changes = old.oidc != config.oidc;
        let mut live = Live::new(config, routes, 0, &self.shared.known)?;
        let generation = self.shared.generation.fetch_add(1, Ordering::SeqCst) + 1;
        live.generation = generation;
        let live = Arc::new(live);
        // Two reloads at once: the later generation stays, whichever is stored last.
        self.shared.live.rcu(|current| {
            if current.generation < generation { Arc::clone(&live) } else { Arc::clone(current) }
        });
        self.shared.metrics.generation.set(i64::try_from(self.generation()).unwrap_or(i64::MAX));
        self.shared.metrics.reloads.inc();
        self.shared.keys.forget();
        if provider_changes {
            // Keys of one provider are never believed for another.
            self.shared.provider.forget();
        }
        tracing::info!(generation, "configuration taken");
        Ok(generation)
    }

    /// Whether a version of a model has an endpoint here, and that endpoint says it is ready.
    pub async fn is_ready(&self, model: &str, version: &str) -> bool {
        let live = self.shared.live.load_full();
        let Some(route) = live.routes.get(model) else { return false };
        let Some(target) = route.of_version(version) else { return false };
        if route.route.kind != Kind::Tensors {
            // Servers of text have no common question for it: what is known of them has to do.
            return !target.breaker.is_open();
        }
        let reply = ask(&self.shared, &live, route, target, Call::get("/ready")).await;
        reply.is_ok_and(|reply| reply.by.upstream.version == version && reply.status.is_success())
    }

    /// Asks the key store again for every key from now on, as after one was revoked.
    pub fn forget_keys(&self) {
        self.shared.keys.forget();
    }

    /// Stops listening, lets open exchanges finish within the drain time, then closes what is left.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let drain = Duration::from_millis(self.shared.live.load().config.drain_ms);
        let finished = async { while self.listeners.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, finished).await.is_err() {
            tracing::warn!("exchanges were still open after the drain time and are closed");
        }
        self.listeners.shutdown().await;
    }
}
