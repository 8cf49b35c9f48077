//! The listening side of the console.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mantlet_access::Attempts;
use mantlet_vocab::Millis;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::{Ports, api, assets, openapi, pages, security, session};

/// Connections served at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 256;
/// Bytes of a form or JSON body.
const MOST_BODY: usize = 64 * 1024;

/// How the console is served.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// Where it listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Further `Host` values it answers to, such as `console.example.org`; the listening address always works,
    /// and so does `localhost` with its port when it listens on loopback.
    pub hosts: Vec<String>,
    /// Whether browsers reach it by HTTPS, through a proxy: cookies are then marked `Secure`.
    pub https: bool,
    /// How long a sign-in lasts, in milliseconds.
    pub session_ms: u64,
    /// Tells the time.
    pub clock: fn() -> Millis,
}

impl ConsoleConfig {
    /// A console on this address, with sessions of twelve hours and the machine's clock.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, hosts: Vec::new(), https: false, session_ms: 12 * 3_600_000, clock: machine_clock }
    }
}

fn machine_clock() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Why the console does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for the console; choose another `listen` under [console]")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) hosts: BTreeSet<String>,
    pub(crate) https: bool,
    pub(crate) session_ms: u64,
    pub(crate) clock: fn() -> Millis,
    pub(crate) attempts: Mutex<Attempts>,
    /// Password checks at once: each takes 19 MiB and a core.
    pub(crate) checks: Semaphore,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Shared {
    pub(crate) fn now(&self) -> Millis {
        (self.clock)()
    }
}

/// A running console. Dropping it stops it.
#[derive(Debug)]
pub struct Console {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Console {
    /// Listens and serves until stopped.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(config: ConsoleConfig, ports: Ports) -> Result<Self, StartError> {
        let fault = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(fault)?;
        let addr = listener.local_addr().map_err(fault)?;
        let mut hosts: BTreeSet<String> = config.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        hosts.insert(addr.to_string());
        if addr.ip().is_loopback() {
            hosts.insert(format!("localhost:{}", addr.port()));
        }
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared {
            ports,
            hosts,
            https: config.https,
            session_ms: config.session_ms,
            clock: config.clock,
            attempts: Mutex::new(Attempts::new(4, 10_000)),
            checks: Semaphore::new(2),
            stopping: stopping.clone(),
        });
        let task = tokio::spawn(accept(listener, router(shared), stopping));
        Ok(Self { addr, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening and lets running requests finish, for at most five seconds.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(Duration::from_secs(5), &mut self.task).await;
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.task.abort();
    }
}

/// The address a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

async fn accept(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let running = Arc::new(tokio::sync::RwLock::new(()));
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, as a rule: waiting lets some connection end.
                tracing::warn!(%error, "the console could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let router = router.clone().layer(axum::Extension(Peer(peer)));
        let mut stopping = stopping.clone();
        let hold = Arc::clone(&running).read_owned().await;
        tokio::spawn(async move {
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .max_buf_size(64 * 1024)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            tokio::pin!(served);
            tokio::select! {
                ended = &mut served => if let Err(error) = ended { tracing::debug!(%error, "a console connection broke") },
                _ = stopping.changed() => {
                    served.as_mut().graceful_shutdown();
                    let _ = served.await;
                }
            }
            drop((seat, hold));
        });
    }
    drop(listener);
    let _ = running.write().await;
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(pages::overview::show))
        .route("/sign-in", get(session::form).post(session::sign_in))
        .route("/sign-out", post(session::sign_out))
        .route("/account", get(pages::account::show).post(pages::account::change))
        .route("/systems/{system}", get(pages::system::show))
        .route("/systems/{system}/roll-back", post(pages::system::roll_back))
        .route("/systems/{system}/rollout", get(pages::rollout::show))
        .route("/systems/{system}/rollout/{what}", post(pages::rollout::act))
        .route("/systems/{system}/versions/{version}", get(pages::version::show))
        .route("/incidents", get(pages::incidents::show))
        .route("/incidents/{id}", get(pages::incident::show))
        .route("/incidents/{id}/close", post(pages::incident::close))
        .route("/incidents/{id}/steps/{step}/apply", post(pages::incident::apply))
        .route("/incidents/{id}/steps/{step}/undo", post(pages::incident::undo))
        .route("/reviews", get(pages::reviews::show))
        .route("/reviews/{id}", get(pages::review::show).post(pages::review::decide))
        .route("/data", get(pages::batches::show))
        .route("/data/{system}/{batch}", get(pages::batch::show))
        .route("/data/{system}/{batch}/rows", post(pages::batch::rule))
        .route("/data/{system}/{batch}/decide", post(pages::batch::decide))
        .route("/reports", get(pages::reports::list))
        .route("/reports/{id}", get(pages::reports::show))
        .route("/live", get(pages::live::show))
        .route("/live/events", get(pages::live::events))
        .route("/audit", get(pages::audit::show))
        .route("/keys", get(pages::keys::show))
        .merge(assets::routes())
        .nest("/api/v1", api::routes())
        .route("/api/openapi.json", get(openapi::show))
        .fallback(pages::lost)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), security::guard))
        .with_state(shared)
}
