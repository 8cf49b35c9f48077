//! What leaves the gateway: records, alerts, diverted decisions, audit entries.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mantlet_gateway::{Clock, Reviewed, Reviews, Soon, Ticket};
use mantlet_guard::{Controls, Events, GuardEvent, Overloaded, Recorder};
use mantlet_replicas::{Bus, Topic};
use mantlet_store::{ExchangeRecorder, NewEntry, ReviewDecision, ReviewState, ReviewTerms, Store};
use mantlet_vocab::{Exchange, Millis, Request};
use mantlet_worker::answer::{EventSink, Journal, SystemClock};

use super::systems::{Decks, Sinks};

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

/// Who analyses what gateways see: this process, or a worker beyond NATS.
#[derive(Clone)]
pub enum Analysis {
    /// This process.
    Here {
        /// The answering loop.
        answer: EventSink,
        /// The analyses of rollouts; none where no worker runs.
        rollout: Sinks,
    },
    /// A worker elsewhere.
    There {
        /// Where it hears of it.
        bus: Bus,
        /// The controls that say whether a rollout runs, by the route.
        controls: Arc<[(String, Arc<Controls>)]>,
    },
}

impl Analysis {
    fn quiet(&self, exchange: &Arc<Exchange>) {
        if let Self::Here { answer, .. } = self {
            // A lost count costs exactness of a figure, nothing else.
            let _ = answer.passed(Arc::clone(exchange));
        }
    }

    fn observe(&self, exchange: &Exchange) -> Result<(), Overloaded> {
        match self {
            Self::Here { rollout, .. } => rollout.see(exchange),
            Self::There { bus, controls } => {
                if !controls.iter().any(|(route, own)| *route == exchange.route && own.is_trying()) {
                    return Ok(());
                }
                // What was asked stays here: the worker needs who, when, and what came of it.
                let request = Request { model: exchange.request.model.clone(), ..Request::default() };
                let slim = Exchange { request, ..exchange.clone() };
                bus.tell(Topic::Observed, serde_json::to_vec(&slim).map_err(|_| Overloaded)?)
            }
        }
    }
}

impl Events for Analysis {
    fn emit(&self, event: GuardEvent) -> Result<(), Overloaded> {
        match self {
            Self::Here { answer, .. } => answer.emit(event),
            Self::There { bus, .. } => {
                bus.tell(Topic::Events, serde_json::to_vec(&event).map_err(|_| Overloaded)?)
            }
        }
    }
}

/// Takes what gateways beyond NATS saw, as the installation's worker.
pub fn take_from(bus: &Bus, answer: EventSink, rollout: Sinks) {
    let mut events = bus.work(Topic::Events, 1_024);
    let mut observed = bus.work(Topic::Observed, 1_024);
    tokio::spawn(async move {
        while let Some(bytes) = events.recv().await {
            match serde_json::from_slice::<GuardEvent>(&bytes) {
                Ok(event) => {
                    if answer.emit(event).is_err() {
                        tracing::error!(
                            "an event of another replica was not taken: the answering loop is behind"
                        );
                    }
                }
                Err(error) => tracing::warn!(%error, "an event of another replica cannot be read"),
            }
        }
    });
    tokio::spawn(async move {
        while let Some(bytes) = observed.recv().await {
            if let Ok(exchange) = serde_json::from_slice::<Exchange>(&bytes) {
                let _ = rollout.see(&exchange);
            }
        }
    });
}

/// Takes what guards of other replicas saw into the memory of this one's, whichever is in force.
pub fn hear(mut heard: tokio::sync::mpsc::Receiver<mantlet_guard::Told>, decks: Arc<Decks>) {
    tokio::spawn(async move {
        while let Some(told) = heard.recv().await {
            for deck in decks.all() {
                // Only the guard of the same system and route takes it in.
                deck.guard.load().heard(told.clone(), answer_clock());
            }
        }
    });
}

/// Records exchanges, and lets the analysis see them.
pub struct Tee {
    history: ExchangeRecorder,
    /// The records of systems behind further routes, by their names.
    further: Vec<(String, ExchangeRecorder)>,
    analysis: Analysis,
}

impl Tee {
    /// Over a store that was opened to serve.
    ///
    /// # Errors
    /// When the store was opened as a tool.
    pub fn new(store: &Store, analysis: Analysis, decks: &Decks) -> anyhow::Result<Self> {
        let history = store.recorder().ok_or_else(|| anyhow::anyhow!("the store was not opened to serve"))?;
        let own = |deck: &Arc<super::Deck>| Some((deck.system.clone(), store.recorder_of(&deck.system)?));
        let further = decks.all().filter_map(own).collect();
        Ok(Self { history, further, analysis })
    }
}

impl Recorder for Tee {
    fn record(&self, exchange: Exchange) -> Result<(), Overloaded> {
        let exchange = Arc::new(exchange);
        if exchange.decision.signals.is_empty() && exchange.decision.action.passes() {
            self.analysis.quiet(&exchange);
        }
        // Fewer samples can only hold a rollout; they are counted where they are left out.
        let _ = self.analysis.observe(&exchange);
        let further = self.further.iter().find(|(system, _)| *system == exchange.system);
        further.map_or(&self.history, |(_, own)| own).record_shared(exchange)
    }

    fn keeps(&self) -> bool {
        self.history.keeps() && self.further.iter().all(|(_, own)| own.keeps())
    }

    fn shadowed(&self, exchange: Exchange) -> Result<(), Overloaded> {
        self.analysis.observe(&exchange)
    }
}

/// Files diverted decisions with the store.
pub struct Desk {
    store: Store,
    terms: ArcSwap<ReviewTerms>,
}

impl Desk {
    /// A desk whose tickets wait for a person under these terms.
    pub fn new(store: Store, terms: ReviewTerms) -> Self {
        Self { store, terms: ArcSwap::from_pointee(terms) }
    }

    /// Tickets filed from now on wait under other terms; those that wait keep theirs.
    pub fn terms_are(&self, terms: ReviewTerms) {
        self.terms.store(terms.into());
    }
}

impl Reviews for Desk {
    fn file(&self, exchange: &Exchange, goes_on: bool) -> Result<Ticket, Overloaded> {
        self.store.desk().file_for(exchange, &self.terms.load(), goes_on).map(Ticket)
    }

    fn poll(&self, ticket: &str, caller: &str) -> Reviewed {
        let Some(review) = self.store.desk().poll(ticket, caller) else { return Reviewed::Unknown };
        match (review.state, review.decision) {
            (ReviewState::Pending, _) => Reviewed::Pending,
            (ReviewState::Expired, _) => Reviewed::Rejected("nobody decided in time; ask again".to_owned()),
            (_, Some(ReviewDecision::Release)) if review.reply.is_none() => {
                Reviewed::GoesOn { went: review.went_on.is_some() }
            }
            (_, Some(ReviewDecision::Release)) => {
                Reviewed::Released(review.reply.unwrap_or(serde_json::Value::Null))
            }
            (_, Some(ReviewDecision::Answer(answer))) => Reviewed::Answered(answer),
            (_, Some(ReviewDecision::Reject(why))) => Reviewed::Rejected(why),
            (_, None) => Reviewed::Pending,
        }
    }

    fn goes_on<'a>(&'a self, ticket: &'a str, exchange: &'a Exchange) -> Soon<'a, bool> {
        Box::pin(async move {
            self.store.review_goes_on(ticket, exchange).await.unwrap_or_else(|fault| {
                tracing::error!(%fault, ticket, "a released request cannot be written down, so it does not go on");
                false
            })
        })
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
