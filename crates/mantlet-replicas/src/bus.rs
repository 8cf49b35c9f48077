//! News between replicas through NATS JetStream: what one replica changed, what gateways noticed and observed.
//!
//! ```text
//! <prefix>.changed    to every replica: look at the record now, rather than at the next tick
//! <prefix>.events     to one worker: what guards noticed
//! <prefix>.observed   to one worker: exchanges, while a rollout runs
//! ```
//!
//! The stream keeps messages while a worker is away, bounded in age and size; a message is acknowledged after it was
//! taken. The record itself stands in the database: a replica that misses a change sees it at its next tick, so
//! without NATS everything goes on, only later. What could not be told while NATS was away is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream};
use futures_util::StreamExt as _;
use mantlet_guard::Overloaded;
use tokio::sync::{mpsc, watch};

use crate::{ReplicasError, Tls};

/// Messages that wait to be told at most.
const WAITING: usize = 16_384;
/// How long the stream keeps a message nobody took.
const KEPT: Duration = Duration::from_secs(3_600);
/// Bytes the stream keeps at most.
const KEPT_BYTES: i64 = 256 << 20;
/// How long a message may take to be acknowledged by the server before it is told again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The record changed: every replica looks.
    Changed,
    /// What a guard noticed: one worker takes it.
    Events,
    /// An exchange, while a rollout runs: one worker takes it.
    Observed,
}

impl Topic {
    const fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Events => "events",
            Self::Observed => "observed",
        }
    }
}

/// How the bus is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusStatus {
    /// Whether the server answers.
    pub connected: bool,
    /// Messages told and acknowledged by the server.
    pub told: u64,
    /// Messages given up because too many waited.
    pub lost: u64,
}

/// The bus. Clones share one connection.
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

struct Inner {
    client: async_nats::Client,
    context: jetstream::Context,
    prefix: String,
    sender: mpsc::Sender<(Topic, Vec<u8>)>,
    /// What the connection last complained of, since it last stood.
    said: Arc<Mutex<Option<String>>>,
    changed: watch::Sender<u64>,
    told: AtomicU64,
    lost: AtomicU64,
}

impl Bus {
    /// Begins to connect in the background. `url` is `nats://[token@|user:password@]host:4222`, or `tls://` where nothing
    /// may go over the line in the clear; installations that share a server differ in `prefix`.
    ///
    /// # Errors
    /// When the address is none or a file for TLS cannot be used. A server that is not there is no error: it may come.
    pub async fn start(url: &str, prefix: &str, tls: &Tls) -> Result<Self, ReplicasError> {
        let fault = |fault: &dyn std::fmt::Display| ReplicasError::Address(fault.to_string());
        let address: async_nats::ServerAddr = url.parse().map_err(|wrong: std::io::Error| fault(&wrong))?;
        let options = async_nats::ConnectOptions::new()
            .name("mantlet")
            .retry_on_initial_connect()
            .connection_timeout(PATIENCE)
            .max_reconnects(None)
            .reconnect_delay_callback(|_| PAUSE);
        let said: Arc<Mutex<Option<String>>> = Arc::default();
        let known = Arc::clone(&said);
        let options = tls.nats(options)?.event_callback(move |event| {
            heard_event(&known, &event);
            std::future::ready(())
        });
        let client = options.connect(address).await.map_err(|wrong| fault(&wrong))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(PATIENCE);
        let (sender, queue) = mpsc::channel(WAITING);
        let inner = Arc::new(Inner {
            client,
            context,
            prefix: plain(prefix),
            sender,
            said,
            changed: watch::Sender::new(0),
            told: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        tokio::spawn(tell(Arc::downgrade(&inner), queue));
        tokio::spawn(listen(Arc::downgrade(&inner)));
        Ok(Self { inner })
    }

    /// Tells a message; never waits.
    ///
    /// # Errors
    /// When too many wait already, because the server is away or slow.
    pub fn tell(&self, topic: Topic, message: Vec<u8>) -> Result<(), Overloaded> {
        self.inner.sender.try_send((topic, message)).map_err(|_| {
            self.inner.lost.fetch_add(1, Ordering::Relaxed);
            Overloaded
        })
    }

    /// Changes whenever a replica, this one included, said that the record changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// Takes messages of a topic as the one worker of the installation; a second one takes turns with it. They come
    /// out of the receiver in the order they were kept; a message handed over there is acknowledged.
    #[must_use]
    pub fn work(&self, topic: Topic, room: usize) -> mpsc::Receiver<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(room.max(1));
        tokio::spawn(take(Arc::downgrade(&self.inner), topic, sender));
        receiver
    }

    /// What the connection last complained of, since it last stood.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.inner.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the bus is doing.
    #[must_use]
    pub fn status(&self) -> BusStatus {
        BusStatus {
            connected: self.inner.client.connection_state() == async_nats::connection::State::Connected,
            told: self.inner.told.load(Ordering::Relaxed),
            lost: self.inner.lost.load(Ordering::Relaxed),
        }
    }
}

impl Inner {
    fn subject(&self, topic: Topic) -> String {
        format!("{}.{}", self.prefix, topic.word())
    }

    async fn stream(&self) -> Result<stream::Stream, String> {
        let config = stream::Config {
            name: self.prefix.clone(),
            subjects: vec![format!("{}.>", self.prefix)],
            max_age: KEPT,
            max_bytes: KEPT_BYTES,
            discard: stream::DiscardPolicy::Old,
            storage: stream::StorageType::File,
            ..stream::Config::default()
        };
        self.context.get_or_create_stream(config).await.map_err(|fault| fault.to_string())
    }
}

/// Remembers what the connection complains of, and says it once.
fn heard_event(known: &Mutex<Option<String>>, event: &async_nats::Event) {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        async_nats::Event::Connected => *known = None,
        async_nats::Event::ClientError(_) | async_nats::Event::ServerError(_) => {
            let text = event.to_string();
            if known.as_ref() != Some(&text) {
                tracing::warn!(fault = text, "NATS cannot be spoken to; trying again");
                *known = Some(text);
            }
        }
        _ => {}
    }
}

/// Names of streams and subjects hold no dots or wildcards.
fn plain(prefix: &str) -> String {
    prefix
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' })
        .collect()
}

/// Tells what waits, in order; a message is told again until the server acknowledges it.
async fn tell(bus: std::sync::Weak<Inner>, mut queue: mpsc::Receiver<(Topic, Vec<u8>)>) {
    let mut made = false;
    while let Some((topic, message)) = queue.recv().await {
        loop {
            let Some(bus) = bus.upgrade() else { return };
            if !made {
                match bus.stream().await {
                    Ok(_) => made = true,
                    Err(fault) => {
                        tracing::warn!(fault, "NATS has no stream for this installation yet; trying again");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                }
            }
            let sent = bus.context.publish(bus.subject(topic), message.clone().into()).await;
            let acknowledged = match sent {
                Ok(ack) => ack.await.map(|_| ()).map_err(|fault| fault.to_string()),
                Err(fault) => Err(fault.to_string()),
            };
            match acknowledged {
                Ok(()) => {
                    bus.told.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(fault) => {
                    tracing::warn!(
                        fault,
                        topic = topic.word(),
                        "NATS did not take a message; telling it again"
                    );
                    made = false;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Hears of changes: whatever is told from now on, and once after each interruption.
async fn listen(bus: std::sync::Weak<Inner>) {
    loop {
        {
            let Some(bus) = bus.upgrade() else { return };
            if let Ok(stream) = bus.stream().await {
                let config = consumer::pull::Config {
                    filter_subject: bus.subject(Topic::Changed),
                    deliver_policy: consumer::DeliverPolicy::New,
                    ack_policy: consumer::AckPolicy::None,
                    inactive_threshold: Duration::from_secs(30),
                    ..consumer::pull::Config::default()
                };
                if let Ok(consumer) = stream.create_consumer(config).await
                    && let Ok(mut messages) = consumer.messages().await
                {
                    let changed = bus.changed.clone();
                    drop(bus);
                    // Something may have been missed before.
                    changed.send_modify(|count| *count += 1);
                    while let Some(Ok(_)) = messages.next().await {
                        changed.send_modify(|count| *count += 1);
                    }
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes messages of a topic until the receiver is gone.
async fn take(bus: std::sync::Weak<Inner>, topic: Topic, to: mpsc::Sender<Vec<u8>>) {
    while !to.is_closed() {
        {
            let Some(bus) = bus.upgrade() else { return };
            if let Ok(stream) = bus.stream().await {
                let name = format!("worker-{}", topic.word());
                let config = consumer::pull::Config {
                    durable_name: Some(name.clone()),
                    filter_subject: bus.subject(topic),
                    ack_policy: consumer::AckPolicy::Explicit,
                    ack_wait: Duration::from_secs(30),
                    ..consumer::pull::Config::default()
                };
                if let Ok(consumer) = stream.get_or_create_consumer(&name, config).await
                    && let Ok(mut messages) = consumer.messages().await
                {
                    drop(bus);
                    while let Some(Ok(message)) = messages.next().await {
                        if to.send(message.payload.to_vec()).await.is_err() {
                            return;
                        }
                        if message.ack().await.is_err() {
                            break;
                        }
                    }
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
