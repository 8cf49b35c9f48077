//! Limits whose counts stand in Redis or Valkey.
//!
//! While Redis answers, every request is one call of one script, so the counts are exact whatever the replicas do at
//! once. The call is given [`RedisOptions::wait`]; when it takes longer, or the connection is known to be gone, the
//! replica answers from its own [`Share`], which Redis keeps reserved meanwhile. A background beat finds out when the
//! connection is back; until then requests do not wait at all.
//!
//! A machine that is busy answers late, not never. So that a replica does not go back and forth between the shared
//! counts and refusing, its [`Patience`] grows with the answers it gets, at once and up to a quarter of
//! [`RedisOptions::quiet`], and shrinks again slowly.

mod patience;
mod places;
mod tasks;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mantlet_guard::shared::{Allowance, Answer, Ask, Denied, Granted, Share, SharedLimits, Standing};
use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, mpsc};

use crate::Tls;
use patience::Patience;
use places::Places;
use tasks::{afterwards_loop, beat};

/// Calls that follow a request (charges, releases) and wait to be sent at most.
const AFTERWARDS: usize = 16_384;
/// Failures in a row after which requests no longer wait for Redis.
const FAILURES: u64 = 3;

/// How replicas share limits.
#[derive(Debug, Clone, PartialEq)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:port][/db]`, `rediss://` with TLS, or `unix:///path`.
    pub url: String,
    /// Whom TLS trusts, and what it shows.
    pub tls: Tls,
    /// Begins the name of every key; installations that share a Redis differ in it.
    pub prefix: String,
    /// Replicas at most: each one's share of a limit is the limit divided by this. More may run, but those beyond have
    /// no share of their own.
    pub replicas: u32,
    /// How long a request waits for Redis while it is quick; while it is slow, up to a quarter of `quiet`.
    pub wait: Duration,
    /// How long after its last answer a replica is believed to be connected, and how long it refuses before it spends
    /// its share.
    pub quiet: Duration,
    /// How long the share of a replica out of reach stays reserved, and how long it may spend it.
    pub lease: Duration,
}

impl RedisOptions {
    /// The usual figures: 5 ms, 500 ms, 60 s.
    #[must_use]
    pub fn new(url: impl Into<String>, prefix: impl Into<String>, replicas: u32) -> Self {
        Self {
            url: url.into(),
            tls: Tls::default(),
            prefix: prefix.into(),
            replicas: replicas.max(1),
            wait: Duration::from_millis(5),
            quiet: Duration::from_millis(500),
            lease: Duration::from_secs(60),
        }
    }
}

/// Why replicas cannot share.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicasError {
    /// The address is none.
    #[error("`redis` or `nats` is no address such as redis://host:6379 or nats://host:4222: {0}")]
    Address(String),
    /// A file for TLS cannot be used.
    #[error("cannot use {} for TLS to shared services: {why}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The times do not fit together.
    #[error(
        "`quiet` has to be at least 50 ms and at least four times `wait`, and `lease` at least ten times `quiet`"
    )]
    Times,
}

/// How sharing is doing, for `/status` and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisStatus {
    /// Where answers come from.
    pub standing: Standing,
    /// This replica's place, when it has one.
    pub place: Option<u32>,
    /// Answers from Redis.
    pub shared: u64,
    /// Answers from this replica's share.
    pub own: u64,
    /// Requests that were refused because neither could be used.
    pub refused: u64,
    /// Charges and releases that were not sent because too many waited.
    pub left_out: u64,
}

/// Limits shared through Redis. Clones share one connection and one place.
#[derive(Clone)]
pub struct RedisLimits {
    inner: Arc<Inner>,
}

struct Inner {
    options: RedisOptions,
    owner: String,
    script: redis::Script,
    connection: Mutex<Option<MultiplexedConnection>>,
    share: Mutex<Share>,
    place: AtomicI64,
    /// The server's instant in the last answer that arrived, in microseconds.
    acked: AtomicU64,
    failures: AtomicU64,
    patience: Patience,
    /// Numbers what this replica says of its places.
    said: AtomicU64,
    /// Places about which Redis may know something old.
    unsaid: Mutex<HashMap<String, Ask>>,
    /// Why Redis cannot be connected to, while it cannot.
    fault: Mutex<Option<String>>,
    stop: AtomicBool,
    wake: Notify,
    afterwards: mpsc::Sender<(Verb, Vec<Ask>)>,
    shared: AtomicU64,
    own: AtomicU64,
    refused: AtomicU64,
    left_out: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Take,
    Charge,
    Release,
    Beat,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RedisLimits {
    /// Begins to connect in the background; until the first answer requests are refused. Must be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// When the address or the times cannot be used. A Redis that is not there is no error: it may come.
    pub fn start(options: RedisOptions) -> Result<Self, ReplicasError> {
        let client = options.tls.client(&options.url)?;
        let fit = options.quiet >= Duration::from_millis(50)
            && options.quiet >= options.wait * 4
            && options.lease >= options.quiet * 10;
        if !fit {
            return Err(ReplicasError::Times);
        }
        let (afterwards, queue) = mpsc::channel(AFTERWARDS);
        let inner = Arc::new(Inner {
            owner: uuid::Uuid::new_v4().simple().to_string(),
            script: redis::Script::new(include_str!("script.lua")),
            connection: Mutex::default(),
            share: Mutex::new(Share::new(options.replicas, options.quiet, options.lease)),
            place: AtomicI64::new(-1),
            acked: AtomicU64::new(0),
            failures: AtomicU64::new(FAILURES),
            patience: Patience::new(options.wait, options.quiet / 4),
            said: AtomicU64::new(0),
            unsaid: Mutex::default(),
            fault: Mutex::default(),
            stop: AtomicBool::new(false),
            wake: Notify::new(),
            afterwards,
            shared: AtomicU64::new(0),
            own: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            options,
        });
        tokio::spawn(beat(Arc::clone(&inner), client));
        tokio::spawn(afterwards_loop(Arc::downgrade(&inner), queue));
        Ok(Self { inner })
    }

    /// Waits until Redis answered and this replica is known to it.
    pub async fn connected(&self) {
        while self.standing() != Standing::Shared {
            let _ = tokio::time::timeout(Duration::from_millis(20), self.inner.wake.notified()).await;
        }
    }

    /// Stops the beat; the place stays reserved until its lease ends.
    pub fn stop(&self) {
        self.inner.stop.store(true, Ordering::Relaxed);
        held(&self.inner.connection).take();
    }

    /// Why Redis cannot be connected to, while it cannot.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        held(&self.inner.fault).clone()
    }

    /// How sharing is doing.
    #[must_use]
    pub fn status(&self) -> RedisStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RedisStatus {
            standing: self.standing(),
            place: u32::try_from(self.inner.place.load(Ordering::Relaxed)).ok(),
            shared: read(&self.inner.shared),
            own: read(&self.inner.own),
            refused: read(&self.inner.refused),
            left_out: read(&self.inner.left_out),
        }
    }
}

impl SharedLimits for RedisLimits {
    fn take<'a>(&'a self, asks: &'a [Ask]) -> Answer<'a> {
        Box::pin(async move {
            let inner = &self.inner;
            if asks.is_empty() {
                return Ok(Granted { standing: self.standing() });
            }
            if inner.failures.load(Ordering::Relaxed) < FAILURES {
                // Places are taken here first, so that what this replica says of itself is never too little.
                let places = Places::enter(inner, asks);
                match inner.call(Verb::Take, asks, inner.patience.now()).await {
                    Some(Ok(())) => {
                        places.keep();
                        return Ok(Granted { standing: Standing::Shared });
                    }
                    Some(Err((index, retry_after_ms))) => {
                        let bucket = asks.get(index).map(|ask| ask.bucket.clone()).unwrap_or_default();
                        return Err(Denied { bucket, retry_after_ms, standing: Standing::Shared });
                    }
                    None => {}
                }
            }
            let taken = held(&inner.share).take(asks, Instant::now());
            match taken {
                Ok(()) => {
                    inner.own.fetch_add(1, Ordering::Relaxed);
                    Ok(Granted { standing: Standing::Share })
                }
                Err(denied) => {
                    if denied.bucket.is_empty() {
                        inner.refused.fetch_add(1, Ordering::Relaxed);
                    } else {
                        inner.own.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(denied)
                }
            }
        })
    }

    fn charge(&self, asks: &[Ask]) {
        if self.inner.failures.load(Ordering::Relaxed) < FAILURES {
            self.inner.later(Verb::Charge, asks);
        } else {
            let mut share = held(&self.inner.share);
            asks.iter().for_each(|ask| share.charge(ask, Instant::now()));
        }
    }

    fn release(&self, asks: &[Ask]) {
        let places: Vec<Ask> =
            asks.iter().filter(|ask| matches!(ask.allowance, Allowance::Concurrent(_))).cloned().collect();
        if places.is_empty() {
            return;
        }
        {
            let mut share = held(&self.inner.share);
            for ask in &places {
                share.leave(&ask.bucket);
            }
        }
        self.inner.later(Verb::Release, &places);
    }

    fn standing(&self) -> Standing {
        if self.inner.failures.load(Ordering::Relaxed) < FAILURES {
            return Standing::Shared;
        }
        held(&self.inner.share).standing(Instant::now())
    }
}

impl Inner {
    /// Calls the script: `None` when there was no answer in time, else whether everything was taken, or which ask was
    /// not and how long to wait.
    async fn call(&self, verb: Verb, asks: &[Ask], wait: Duration) -> Option<Result<(), (usize, u64)>> {
        let mut connection = held(&self.connection).clone()?;
        let tag = format!("{{{}}}", self.options.prefix);
        let mut call = self.script.prepare_invoke();
        call.key(format!("{tag}:slots")).key(format!("{tag}:clock"));
        let acked = self.acked.load(Ordering::Relaxed);
        call.arg(self.options.replicas)
            .arg(self.options.quiet.as_secs_f64() * 1_000.0)
            .arg(self.options.lease.as_secs_f64() * 1_000.0)
            .arg(&self.owner)
            .arg(self.place.load(Ordering::Relaxed))
            .arg(format!("{}.{:03}", acked / 1_000, acked % 1_000))
            .arg(match verb {
                Verb::Take => "take",
                Verb::Charge => "charge",
                Verb::Release => "release",
                Verb::Beat => "beat",
            });
        for ask in asks {
            call.key(format!("{tag}:{}", ask.bucket));
            match ask.allowance {
                Allowance::Rate { per_minute, burst } => {
                    call.arg("rate").arg(per_minute / 60_000.0).arg(burst).arg(ask.amount);
                }
                Allowance::Concurrent(most) => {
                    // Number and count are read under one lock: a later number never stands for an older count.
                    let share = held(&self.share);
                    let places = share.places(&ask.bucket);
                    let number = self.said.fetch_add(1, Ordering::Relaxed) + 1;
                    call.arg("places").arg(most).arg(number).arg(places);
                }
            }
        }
        let sent = Instant::now();
        let answer =
            tokio::time::timeout(wait, call.invoke_async::<(usize, String, String, i64)>(&mut connection));
        match answer.await {
            Ok(Ok((denied, wait_ms, now, place))) => {
                let arrived = Instant::now();
                self.patience.answered(arrived.saturating_duration_since(sent));
                self.place.store(place, Ordering::Relaxed);
                let micros = now.parse::<f64>().unwrap_or(0.0) * 1_000.0;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an instant")]
                self.acked.fetch_max(micros as u64, Ordering::Relaxed);
                if place >= 0 {
                    held(&self.share).heard(sent, arrived);
                } else {
                    held(&self.share).lost();
                }
                self.failures.store(0, Ordering::Relaxed);
                self.shared.fetch_add(u64::from(verb == Verb::Take), Ordering::Relaxed);
                Some(match denied.checked_sub(1) {
                    None => Ok(()),
                    Some(index) => Err((index, wait_ms.parse().unwrap_or(1_000).max(1))),
                })
            }
            Ok(Err(fault)) => {
                let failures = self.failures.fetch_add(1, Ordering::Relaxed);
                if failures < FAILURES {
                    tracing::warn!(%fault, "shared limits: Redis did not do it");
                }
                if fault.is_unrecoverable_error() {
                    held(&self.connection).take();
                    self.failures.fetch_max(FAILURES, Ordering::Relaxed);
                }
                None
            }
            Err(_) => {
                self.patience.late();
                self.failures.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn later(&self, verb: Verb, asks: &[Ask]) {
        if self.afterwards.try_send((verb, asks.to_vec())).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            if verb == Verb::Release {
                held(&self.unsaid).extend(asks.iter().map(|ask| (ask.bucket.clone(), ask.clone())));
            }
        }
    }
}
