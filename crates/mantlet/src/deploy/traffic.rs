//! What leaves the gateway: records, alerts, diverted decisions, audit entries.

use std::time::Duration;

use mantlet_gateway::{Clock, Reviewed, Reviews, Ticket};
use mantlet_guard::{Overloaded, Recorder};
use mantlet_respond::Seen;
use mantlet_store::{ExchangeRecorder, NewEntry, ReviewDecision, ReviewState, Store};
use mantlet_vocab::{Exchange, Millis};
use mantlet_worker::answer::{EventSink, Journal, SystemClock};

/// The machine's clock.
pub struct Now;

impl Clock for Now {
    fn now(&self) -> Millis {
        answer_clock()
    }
}

fn answer_clock() -> Millis {
    mantlet_worker::answer::Clock::now(&SystemClock)
}

/// Records exchanges, and lets the answering loop count the quiet ones.
pub struct Tee {
    history: ExchangeRecorder,
    answer: EventSink,
}

impl Tee {
    /// Over a store that was opened to serve.
    ///
    /// # Errors
    /// When the store was opened as a tool.
    pub fn new(store: &Store, answer: EventSink) -> anyhow::Result<Self> {
        let history = store.recorder().ok_or_else(|| anyhow::anyhow!("the store was not opened to serve"))?;
        Ok(Self { history, answer })
    }
}

impl Recorder for Tee {
    fn record(&self, exchange: Exchange) -> Result<(), Overloaded> {
        if exchange.decision.signals.is_empty() && exchange.decision.action.passes() {
            // A lost count costs exactness of a figure, nothing else.
            let _ = self.answer.seen(Seen::of(&exchange));
        }
        self.history.record(exchange)
    }
}

/// Files diverted decisions with the store.
pub struct Desk {
    store: Store,
    lasts_ms: u64,
}

impl Desk {
    /// A desk whose tickets wait this long for a person.
    pub fn new(store: Store, lasts: Duration) -> Self {
        Self { store, lasts_ms: u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX) }
    }
}

impl Reviews for Desk {
    fn file(&self, exchange: &Exchange) -> Result<Ticket, Overloaded> {
        self.store.desk().file(exchange, self.lasts_ms).map(Ticket)
    }

    fn poll(&self, ticket: &str, caller: &str) -> Reviewed {
        let Some(review) = self.store.desk().poll(ticket, caller) else { return Reviewed::Unknown };
        match (review.state, review.decision) {
            (ReviewState::Pending, _) => Reviewed::Pending,
            (ReviewState::Expired, _) => Reviewed::Rejected("nobody decided in time; ask again".to_owned()),
            (_, Some(ReviewDecision::Release)) => {
                Reviewed::Released(review.reply.unwrap_or(serde_json::Value::Null))
            }
            (_, Some(ReviewDecision::Answer(answer))) => Reviewed::Released(answer),
            (_, Some(ReviewDecision::Reject(why))) => Reviewed::Rejected(why),
            (_, None) => Reviewed::Pending,
        }
    }
}

/// Appends what the answering loop does to the audit log.
pub struct AuditJournal(pub Store);

impl Journal for AuditJournal {
    async fn append(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        detail: serde_json::Value,
    ) -> Result<(), String> {
        let entry = NewEntry::new(actor, action, subject, detail);
        self.0.audit().append(entry).await.map(|_| ()).map_err(|error| error.to_string())
    }
}
