//! Hands, clock and journal that remember, and what outlives a crash.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mantlet_guard::GuardEvent;
use mantlet_respond::{
    Actuator, ActuatorError, Incident, IncidentFilter, IncidentStore, MemoryIncidents, Order,
};
use mantlet_vocab::{Action, Confidence, Decision, Impact, Millis, Mode, Signal};
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::*;

/// Hands that remember which orders are in force.
#[derive(Debug, Default)]
pub(super) struct Board(pub(super) Mutex<BTreeMap<String, Order>>);

impl Board {
    pub(super) fn words(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().values().map(|order| order.action.word()).collect()
    }
}

impl Actuator for Board {
    async fn apply(&self, order: &Order) -> Result<(), ActuatorError> {
        self.0.lock().unwrap().insert(order.id.clone(), order.clone());
        Ok(())
    }
    async fn undo(&self, order: &Order) -> Result<(), ActuatorError> {
        self.0.lock().unwrap().remove(&order.id);
        Ok(())
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct FakeClock(Arc<AtomicU64>);

impl FakeClock {
    pub(super) fn set(&self, at: u64) {
        self.0.store(at, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Book(pub(super) Arc<Mutex<Vec<(String, String, String)>>>);

impl Journal for Book {
    async fn append(&self, actor: &str, action: &str, subject: &str, _: Value) -> Result<(), String> {
        self.0.lock().unwrap().push((actor.to_owned(), action.to_owned(), subject.to_owned()));
        Ok(())
    }
}

pub(super) type TestAnswer = Answer<Arc<Board>, Arc<MemoryIncidents>, Book, FakeClock>;

/// What outlives a crash, and the clock.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) store: Arc<MemoryIncidents>,
    pub(super) board: Arc<Board>,
    pub(super) book: Book,
    pub(super) clock: FakeClock,
}

impl World {
    pub(super) async fn answer(
        &self,
        mode: Mode,
        notify: NotifyConfig,
    ) -> (TestAnswer, mpsc::UnboundedReceiver<Outcome>) {
        let (outcomes, told) = mpsc::unbounded_channel();
        let outbox = Outbox::start(&notify, &self.clock, &outcomes).unwrap();
        let config = config(mode, notify);
        let parts = (self.board.clone(), self.store.clone(), self.book.clone(), self.clock.clone());
        (Answer::open(config, parts.0, parts.1, parts.2, parts.3, outbox).await.unwrap(), told)
    }

    /// A crash loses the hands' memory, as the guard's is lost.
    pub(super) fn crash(&mut self) {
        self.board = Arc::default();
    }

    pub(super) async fn only(&self) -> Incident {
        let mut incidents = self.store.list(&IncidentFilter::default()).await.unwrap();
        assert_eq!(incidents.len(), 1);
        incidents.remove(0)
    }

    /// Events of one caller at a fixed pace, time moving along.
    pub(super) async fn play(
        &self,
        answer: &mut TestAnswer,
        caller: &str,
        from: u64,
        rows: std::ops::RangeInclusive<u64>,
    ) {
        for row in rows {
            let at = from + row * 100;
            self.clock.set(at);
            answer.event(event(caller, at, row, "query-boundary-walk")).await;
        }
    }
}

pub(super) fn config(mode: Mode, notify: NotifyConfig) -> AnswerConfig {
    let rule = SystemRule { impact: Impact::High, mode };
    AnswerConfig { systems: [("cheques".to_owned(), rule)].into(), notify, ..AnswerConfig::default() }
}

pub(super) fn event(caller: &str, at: u64, row: u64, signal: &str) -> GuardEvent {
    let signal = Signal {
        name: signal.to_owned(),
        impact: Impact::High,
        confidence: Confidence::High,
        score: 1.5,
        message: "24 of 24 rows lie on one line".to_owned(),
        facts: BTreeMap::new(),
    };
    let decision = Decision { action: Action::Flag, ..Decision::allow(Mode::Enforce) };
    GuardEvent {
        at: Millis(at),
        exchange: format!("{caller}-{row}"),
        system: "cheques".to_owned(),
        route: "read".to_owned(),
        caller: caller.to_owned(),
        version: "v1".to_owned(),
        generation: 1,
        row,
        signals: vec![signal.clone()],
        decision: Decision { signals: vec![signal], ..decision },
    }
}
