//! The analysis as a task, and the handle to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mantlet_guard::Overloaded;
use mantlet_registry::{RegistryStore, Verifier};
use mantlet_vocab::{Exchange, Millis};
use tokio::sync::mpsc;

use super::{Analyst, Traffic};
use crate::answer::Clock;

/// Exchanges that may wait.
const WAITING: usize = 8_192;
/// How often the record is looked at and a step may end.
const TICK: Duration = Duration::from_secs(1);

/// What the analysis hears of.
#[derive(Debug)]
enum Heard {
    Exchange(Box<Exchange>),
    Label { version: String, at: Millis, wrong: bool },
}

/// Hands exchanges to the analysis while a rollout runs; never waits.
#[derive(Debug, Clone)]
pub struct RolloutSink {
    sender: mpsc::Sender<Heard>,
    wanted: Arc<AtomicBool>,
    left_out: Arc<AtomicU64>,
}

impl RolloutSink {
    /// Whether a rollout runs, so that exchanges are of use.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Hands over an exchange.
    ///
    /// # Errors
    /// When the analysis is behind; it then sees fewer samples, which can only hold the rollout.
    pub fn see(&self, exchange: &Exchange) -> Result<(), Overloaded> {
        if !self.is_wanted() {
            return Ok(());
        }
        self.sender.try_send(Heard::Exchange(Box::new(exchange.clone()))).map_err(|_| {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            Overloaded
        })
    }

    /// Hands over a label that came for a decision of a version, made at that time.
    ///
    /// # Errors
    /// When the analysis is behind; it then has fewer labels, which can only hold the rollout.
    pub fn label(&self, version: &str, at: Millis, wrong: bool) -> Result<(), Overloaded> {
        if !self.is_wanted() {
            return Ok(());
        }
        let label = Heard::Label { version: version.to_owned(), at, wrong };
        self.sender.try_send(label).map_err(|_| {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            Overloaded
        })
    }

    /// Exchanges the analysis was too busy for.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}

/// The running analysis.
#[derive(Debug)]
pub struct RolloutHandle {
    sink: RolloutSink,
    task: tokio::task::JoinHandle<()>,
}

impl RolloutHandle {
    /// Where exchanges go.
    #[must_use]
    pub fn sink(&self) -> RolloutSink {
        self.sink.clone()
    }

    /// Ends the analysis. A rollout that runs holds until the next start.
    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Starts the analysis of a system's rollouts.
pub fn start<S, V, T, C>(mut analyst: Analyst<S, V, T>, clock: C) -> RolloutHandle
where
    S: RegistryStore + 'static,
    V: Verifier + 'static,
    T: Traffic + 'static,
    C: Clock + 'static,
{
    let (sender, mut seen) = mpsc::channel(WAITING);
    let sink = RolloutSink { sender, wanted: Arc::default(), left_out: Arc::default() };
    let wanted = Arc::clone(&sink.wanted);
    let task = tokio::spawn(async move {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    analyst.tick(clock.now()).await;
                }
                heard = seen.recv() => match heard {
                    Some(Heard::Exchange(exchange)) => {
                        analyst.exchange(&exchange, clock.now()).await;
                    }
                    Some(Heard::Label { version, at, wrong }) => {
                        analyst.label(&version, at, wrong, clock.now()).await;
                    }
                    None => return,
                },
            }
            wanted.store(analyst.rollout().is_some(), Ordering::Relaxed);
        }
    });
    RolloutHandle { sink, task }
}
