//! The exchanges of the last minutes, in memory, for the live view. Inputs never come here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use mantlet_vocab::{Exchange, Millis, Value};
use serde::Serialize;
use tokio::sync::broadcast;

/// Exchanges remembered.
const REMEMBERED: usize = 200;
/// Exchanges a slow reader may lag behind before it misses some.
const LAG: usize = 256;

/// One exchange as the live view shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Its place in the stream, from 1.
    pub number: u64,
    /// The exchange's id.
    pub id: String,
    /// When.
    pub at: Millis,
    /// The system.
    pub system: String,
    /// The caller's key id.
    pub caller: String,
    /// The model version.
    pub version: String,
    /// `allow`, `flag`, `throttle`, `divert` or `refuse`.
    pub action: &'static str,
    /// What an enforcing guard would have done, when that is something else.
    pub proposed: Option<&'static str>,
    /// Rows asked about.
    pub rows: usize,
    /// Names of the signals, strongest first.
    pub signals: Vec<String>,
    /// Milliseconds.
    pub took_ms: f64,
}

#[derive(Debug)]
struct Ring {
    lines: VecDeque<Line>,
    next: u64,
}

/// A bounded memory of exchanges that readers can follow. Cheap to clone; pushing never blocks on a reader.
#[derive(Debug, Clone)]
pub struct Live {
    ring: Arc<Mutex<Ring>>,
    sender: broadcast::Sender<Line>,
}

impl Default for Live {
    fn default() -> Self {
        let ring = Ring { lines: VecDeque::with_capacity(REMEMBERED), next: 1 };
        Self { ring: Arc::new(Mutex::new(ring)), sender: broadcast::channel(LAG).0 }
    }
}

impl Live {
    /// Takes in a finished exchange.
    pub fn push(&self, exchange: &Exchange) {
        let decision = &exchange.decision;
        let mut line = Line {
            number: 0,
            id: exchange.id.clone(),
            at: exchange.at,
            system: exchange.system.clone(),
            caller: exchange.caller.clone(),
            version: exchange.version.clone(),
            action: decision.action.word(),
            proposed: (decision.proposed != decision.action).then(|| decision.proposed.word()),
            rows: exchange.request.inputs.first().map_or(0, |input| rows(&input.value)),
            signals: decision.signals.iter().take(4).map(|signal| signal.name.clone()).collect(),
            took_ms: exchange.took_ms,
        };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        line.number = ring.next;
        ring.next += 1;
        if ring.lines.len() == REMEMBERED {
            ring.lines.pop_front();
        }
        ring.lines.push_back(line.clone());
        // Sent under the lock, so that a follower sees no number twice and none out of order.
        let _ = self.sender.send(line);
    }

    /// The last exchanges, newest first.
    #[must_use]
    pub fn recent(&self, most: usize) -> Vec<Line> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.lines.iter().rev().take(most).cloned().collect()
    }

    /// How many exchanges came by since the start.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).next - 1
    }

    /// What is remembered after `number`, oldest first, and everything from then on.
    pub(crate) fn follow(&self, number: u64) -> (Vec<Line>, broadcast::Receiver<Line>) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        (ring.lines.iter().filter(|line| line.number > number).cloned().collect(), receiver)
    }
}

fn rows(value: &Value) -> usize {
    value.shape().first().copied().unwrap_or(1)
}
