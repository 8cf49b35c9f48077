//! What guards of several replicas saw of callers, through a stream in Redis or Valkey.
//!
//! Each replica gathers what its guard tells for a few milliseconds and adds it to the stream as one entry; each reads
//! what the others added. The stream is short ([`ENTRIES`]): it carries news, and lets a replica that was started again
//! take up what the others remember. A Redis that cannot be reached costs requests nothing: what waits is bounded in
//! bytes, what does not fit is counted, and [`PeersStatus::alone`] says that each replica sees its own part only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mantlet_guard::{Note, Overloaded, Peers, PeersStatus, Seen, Told};
use mantlet_vocab::Millis;
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;

use crate::{RedisOptions, ReplicasError};

/// Sightings that wait to be told at most.
const WAITING: usize = 8_192;
/// Bytes of them at most.
const WAITING_BYTES: usize = 8 << 20;
/// How long sightings are gathered before they are told.
const GATHER: Duration = Duration::from_millis(5);
/// Bytes of one entry, about.
const ENTRY_BYTES: usize = 128 << 10;
/// Sightings of one entry at most.
const ENTRY: usize = 512;
/// Entries the stream keeps, about: with [`ENTRY_BYTES`] at most 64 MiB in Redis.
const ENTRIES: usize = 512;
/// Entries read at once.
const READ: usize = 16;
/// Sightings of others that wait to be taken in.
const HEARD: usize = 1_024;
/// Replicas whose numbers are remembered.
const OWNERS: usize = 256;

/// Sightings as they travel.
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    /// Who tells.
    #[prost(string, tag = "1")]
    owner: String,
    /// The entry's number among those of this owner, counted from 1.
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(message, repeated, tag = "3")]
    lines: Vec<Line>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Line {
    #[prost(fixed64, tag = "1")]
    guard: u64,
    #[prost(string, tag = "2")]
    caller: String,
    #[prost(uint64, tag = "3")]
    at: u64,
    #[prost(fixed64, tag = "4")]
    rows: u64,
    /// More than 0 for rows that were asked.
    #[prost(uint32, tag = "5")]
    width: u32,
    #[prost(float, repeated, tag = "6")]
    values: Vec<f32>,
    #[prost(uint64, tag = "7")]
    left_out: u64,
    #[prost(uint32, repeated, tag = "8")]
    labels: Vec<u32>,
    /// A note as JSON, when it is one.
    #[prost(bytes = "vec", tag = "9")]
    note: Vec<u8>,
}

impl Line {
    fn new(told: Told) -> Self {
        let plain = Self { guard: told.guard, caller: told.caller, at: told.at.0, ..Self::default() };
        match told.what {
            Seen::Asked { rows, width, values, left_out } => {
                Self { rows, width: u32::try_from(width).unwrap_or(0), values, left_out, ..plain }
            }
            Seen::Answered { rows, labels } => Self { rows, labels, ..plain },
            Seen::Noted(note) => Self { note: serde_json::to_vec(&note).unwrap_or_default(), ..plain },
        }
    }

    fn told(self) -> Option<Told> {
        let Self { guard, caller, at, rows, width, values, left_out, labels, note } = self;
        let what = if width > 0 {
            let width = usize::try_from(width).ok()?;
            (values.len() % width == 0).then_some(Seen::Asked { rows, width, values, left_out })?
        } else if note.is_empty() {
            Seen::Answered { rows, labels }
        } else {
            Seen::Noted(serde_json::from_slice::<Note>(&note).ok()?)
        };
        Some(Told { guard, caller, at: Millis(at), what })
    }
}

/// About how many bytes a sighting takes.
fn weight(told: &Told) -> usize {
    let what = match &told.what {
        Seen::Asked { values, .. } => 4 * values.len(),
        Seen::Answered { labels, .. } => 4 * labels.len(),
        // Signals are a few lines each.
        Seen::Noted(Note::Withheld { signals, .. }) => 128 + 512 * signals.len(),
        Seen::Noted(Note::Prompt { .. }) => 128,
    };
    64 + told.caller.len() + what
}

/// Tells other replicas what a guard sees. Clones share one connection; it ends with the last of them.
#[derive(Clone)]
pub struct RedisPeers {
    inner: Arc<Inner>,
}

struct Inner {
    client: redis::Client,
    stream: String,
    owner: String,
    quiet: Duration,
    begun: Instant,
    sender: mpsc::Sender<Told>,
    /// Bytes of what waits.
    waiting: AtomicUsize,
    /// Milliseconds from the beginning at which the stream was last read.
    read: AtomicU64,
    /// Whether the last entry could be told.
    tells: AtomicBool,
    told: AtomicU64,
    heard: AtomicU64,
    left_out: AtomicU64,
    missed: AtomicU64,
}

impl RedisPeers {
    /// Begins to connect in the background. What others tell comes out of the receiver. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// When the address cannot be used. A Redis that is not there is no error: it may come.
    pub fn start(options: &RedisOptions) -> Result<(Self, mpsc::Receiver<Told>), ReplicasError> {
        let client = options.tls.client(&options.url)?;
        let (sender, queue) = mpsc::channel(WAITING);
        let (hears, heard) = mpsc::channel(HEARD);
        let inner = Arc::new(Inner {
            client,
            stream: format!("{{{}}}:seen", options.prefix),
            owner: uuid::Uuid::new_v4().simple().to_string(),
            quiet: options.quiet,
            begun: Instant::now(),
            sender,
            waiting: AtomicUsize::new(0),
            read: AtomicU64::new(0),
            tells: AtomicBool::new(true),
            told: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        });
        tokio::spawn(tell(Arc::downgrade(&inner), queue));
        tokio::spawn(listen(Arc::downgrade(&inner), hears));
        Ok((Self { inner }, heard))
    }
}

impl Peers for RedisPeers {
    fn tell(&self, told: Told) -> Result<(), Overloaded> {
        let inner = &self.inner;
        let bytes = weight(&told);
        let room = inner.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes <= WAITING_BYTES;
        if room && inner.sender.try_send(told).is_ok() {
            return Ok(());
        }
        inner.waiting.fetch_sub(bytes, Ordering::Relaxed);
        inner.left_out.fetch_add(1, Ordering::Relaxed);
        Err(Overloaded)
    }

    fn status(&self) -> PeersStatus {
        let inner = &self.inner;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let read = count(&inner.read);
        let now = u64::try_from(inner.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let quiet = u64::try_from(inner.quiet.as_millis()).unwrap_or(u64::MAX);
        // A read that waits for news ends after half of `quiet`.
        let silent = now.saturating_sub(read) > quiet.saturating_mul(2);
        PeersStatus {
            alone: silent || !inner.tells.load(Ordering::Relaxed),
            told: count(&inner.told),
            heard: count(&inner.heard),
            left_out: count(&inner.left_out),
            missed: count(&inner.missed),
        }
    }
}

impl Inner {
    async fn connect(&self) -> Option<MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.quiet))
            // Reads wait for news; each has a limit of its own.
            .set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await.ok()
    }

    async fn add(&self, connection: &mut MultiplexedConnection, entry: &[u8]) -> bool {
        let mut command = redis::cmd("XADD");
        command.arg(&self.stream).arg("MAXLEN").arg("~").arg(ENTRIES).arg("*").arg("e").arg(entry);
        let done = tokio::time::timeout(self.quiet, command.query_async::<String>(connection)).await;
        matches!(done, Ok(Ok(_)))
    }
}

/// Tells what waits, an entry at a time. What cannot be told is counted: news that is old helps nobody.
async fn tell(peers: Weak<Inner>, mut queue: mpsc::Receiver<Told>) {
    let (mut connection, mut number) = (None::<MultiplexedConnection>, 0_u64);
    let mut told = Vec::new();
    while queue.recv_many(&mut told, ENTRY).await > 0 {
        if told.len() < ENTRY {
            tokio::time::sleep(GATHER).await;
            while told.len() < ENTRY
                && let Ok(more) = queue.try_recv()
            {
                told.push(more);
            }
        }
        let Some(peers) = peers.upgrade() else { return };
        peers.waiting.fetch_sub(told.iter().map(weight).sum(), Ordering::Relaxed);
        let mut sightings = told.drain(..).peekable();
        while sightings.peek().is_some() {
            let (mut lines, mut bytes) = (Vec::new(), 0);
            while bytes < ENTRY_BYTES
                && let Some(next) = sightings.next()
            {
                bytes += weight(&next);
                lines.push(Line::new(next));
            }
            let count = lines.len() as u64;
            number += 1;
            let entry = Entry { owner: peers.owner.clone(), number, lines }.encode_to_vec();
            if connection.is_none() {
                connection = peers.connect().await;
            }
            let done = match &mut connection {
                Some(connection) => peers.add(connection, &entry).await,
                None => false,
            };
            if done {
                peers.told.fetch_add(count, Ordering::Relaxed);
            } else {
                connection = None;
                peers.left_out.fetch_add(count, Ordering::Relaxed);
            }
            if peers.tells.swap(done, Ordering::Relaxed) != done {
                if done {
                    tracing::info!("what is seen of callers is told to other replicas again");
                } else {
                    tracing::warn!(
                        "what is seen of callers cannot be told to other replicas: Redis is out of reach"
                    );
                }
            }
        }
    }
}

/// An answer to `XREAD`: for each stream its entries, each with its id and its fields.
type News = Option<Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>>;

/// Reads what others tell, from the oldest entry kept on.
async fn listen(peers: Weak<Inner>, to: mpsc::Sender<Told>) {
    let mut last = "0".to_owned();
    // The number each owner told last.
    let mut numbers: HashMap<String, u64> = HashMap::new();
    let mut connection = None::<MultiplexedConnection>;
    loop {
        let Some(peers) = peers.upgrade() else { return };
        if to.is_closed() {
            return;
        }
        if connection.is_none() {
            connection = peers.connect().await;
            // What could not be told is told again when there is something to tell.
            peers.tells.fetch_or(connection.is_some(), Ordering::Relaxed);
        }
        let Some(open) = &mut connection else {
            tokio::time::sleep(peers.quiet / 5).await;
            continue;
        };
        let wait = (peers.quiet / 2).as_millis().max(1);
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(READ).arg("BLOCK").arg(u64::try_from(wait).unwrap_or(1_000));
        command.arg("STREAMS").arg(&peers.stream).arg(&last);
        let news = match tokio::time::timeout(peers.quiet * 2, command.query_async::<News>(open)).await {
            Ok(Ok(news)) => news,
            Ok(Err(_)) | Err(_) => {
                connection = None;
                tokio::time::sleep(peers.quiet / 5).await;
                continue;
            }
        };
        let now = u64::try_from(peers.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        peers.read.store(now.max(1), Ordering::Relaxed);
        for (id, fields) in news.into_iter().flatten().flat_map(|(_, entries)| entries) {
            last = id;
            let Some(entry) = fields.get(1).and_then(|bytes| Entry::decode(bytes.as_slice()).ok()) else {
                continue;
            };
            if entry.owner == peers.owner {
                continue;
            }
            let before = numbers.get(&entry.owner).copied();
            // Of one that was not heard before nothing can be missed.
            let missed = before.map_or(0, |before| entry.number.saturating_sub(before.saturating_add(1)));
            peers.missed.fetch_add(missed, Ordering::Relaxed);
            if before.is_some() || numbers.len() < OWNERS {
                numbers.insert(entry.owner, entry.number);
            }
            for told in entry.lines.into_iter().filter_map(Line::told) {
                peers.heard.fetch_add(1, Ordering::Relaxed);
                if to.send(told).await.is_err() {
                    return;
                }
            }
        }
    }
}
