//! An exchange while it is open, and its record when it closes, however it closes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use mantlet_detectors::request_malformed;
use mantlet_guard::GuardEvent;
use mantlet_vocab::{Action, Decision, Exchange, Millis, Reply, Request};
use mantlet_wire::Defect;
use serde_json::json;

use crate::answer::{Answer, from_refusal, json_answer, passed, signed};
use crate::body::{Body, Passing};
use crate::coding::Undecodable;
use crate::layers::{Ending, Replied};
use crate::live::{Live, LiveRoute};
use crate::metrics::{Answered, Noticed, Port};
use crate::service::Shared;

/// One line of the log about an exchange.
macro_rules! logged {
    ($level:ident, $exchange:ident, $action:ident, $status:ident, $took:ident) => {
        tracing::$level!(
            exchange = %$exchange.id,
            route = %$exchange.route,
            caller = %$exchange.caller,
            version = %$exchange.version,
            generation = $exchange.generation,
            action = $action,
            proposed = $exchange.decision.proposed.word(),
            status = $status,
            took_ms = $took,
            "exchange"
        )
    };
}

/// The status in the record when nobody waited for the answer.
const CLIENT_GONE: u16 = 499;

/// An open exchange. Dropped before it was answered (the client went away, or the gateway was told to stop), it is
/// recorded with status 499: going away leaves a trace.
pub(crate) struct Open {
    shared: Arc<Shared>,
    live: Arc<Live>,
    route: Arc<LiveRoute>,
    started: Instant,
    row: u64,
    exchange: Option<Exchange>,
}

impl Open {
    pub(crate) fn new(shared: &Arc<Shared>, live: &Arc<Live>, route: &Arc<LiveRoute>, key: &str) -> Self {
        let config = route.route.guard.config();
        let exchange = Exchange {
            id: shared.ids.next(),
            at: shared.ports.clock.now(),
            system: config.system.clone(),
            route: config.route.clone(),
            caller: key.to_owned(),
            version: String::new(),
            generation: live.generation,
            request: Request { model: route.route.model.clone(), ..Request::default() },
            reply: None,
            decision: Decision::allow(config.mode),
            status: 0,
            took_ms: 0.0,
        };
        Self {
            shared: Arc::clone(shared),
            live: Arc::clone(live),
            route: Arc::clone(route),
            started: Instant::now(),
            row: 0,
            exchange: Some(exchange),
        }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    pub(crate) fn route(&self) -> Arc<LiveRoute> {
        Arc::clone(&self.route)
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = &mut self.exchange {
            edit(exchange);
        }
    }

    /// When it arrived.
    pub(crate) fn at(&self) -> Millis {
        self.exchange.as_ref().map_or(Millis(0), |exchange| exchange.at)
    }

    pub(crate) fn version(&mut self, version: &str) {
        self.edit(|exchange| version.clone_into(&mut exchange.version));
    }

    pub(crate) fn request(&mut self, request: Request, row: u64) {
        self.row = row;
        self.edit(|exchange| exchange.request = request);
    }

    pub(crate) fn reply(&mut self, reply: Reply) {
        self.edit(|exchange| exchange.reply = Some(reply));
    }

    pub(crate) fn decision(&mut self, decision: Decision) {
        self.edit(|exchange| exchange.decision = decision);
    }

    /// How long reading and detectors took.
    pub(crate) fn looked(&self, took: Duration) {
        self.shared.metrics.guarded.observe(took.as_secs_f64());
    }

    /// Malformed is evidence: the defect goes to the record as a signal.
    pub(crate) fn defect(&mut self, defect: &Defect) {
        self.malformed(defect.name(), defect.to_string());
    }

    /// So is a body that cannot be decoded.
    pub(crate) fn undecodable(&mut self, fault: Undecodable) {
        self.malformed("wire-coding", fault.to_string());
    }

    fn malformed(&mut self, name: &str, what: String) {
        let signal = request_malformed(name, what);
        self.edit(|exchange| {
            exchange.decision.signals.push(signal);
            exchange.decision.action = exchange.decision.action.clone().max(Action::Flag);
            exchange.decision.proposed = exchange.decision.proposed.clone().max(Action::Flag);
        });
    }

    /// Carries out how the exchange ends, records and counts it.
    pub(crate) fn end(mut self, ending: Ending) -> Answer {
        match ending {
            Ending::Refused { status, text } => {
                self.edit(|exchange| {
                    exchange.decision.action = Action::Refuse;
                    exchange.decision.proposed = Action::Refuse;
                });
                self.fault(status, &text)
            }
            Ending::Failed { status, text } => self.fault(status, &text),
            Ending::Stopped(decision, reason) => self.stopped(decision, &reason),
            Ending::Diverted(decision, reason) => self.divert(decision, &reason),
            Ending::Passed(replied) => self.forward(*replied),
        }
    }

    /// Answers in the dialect's error shape and closes.
    fn fault(mut self, status: u16, text: &str) -> Answer {
        let id = self.id();
        let answer = from_refusal(mantlet_wire::refuse(status, text, &id));
        self.close(status);
        signed(answer, &id, self.live.generation)
    }

    /// Throttles or refuses as the guard decided, and closes.
    fn stopped(mut self, decision: Decision, reason: &str) -> Answer {
        let (status, wait) = match decision.action {
            Action::Throttle { retry_after_ms } => (429, Some(retry_after_ms.div_ceil(1000).max(1))),
            _ => (403, None),
        };
        self.decision(decision);
        let mut answer = self.fault(status, reason);
        if let Some(seconds) = wait {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }

    /// Withholds the decision, files it for a person, and closes.
    fn divert(mut self, decision: Decision, reason: &str) -> Answer {
        self.edit(|exchange| {
            exchange.decision = Decision { action: Action::Divert, ..decision };
            exchange.status = 202;
        });
        let filed = self.exchange.as_ref().map(|exchange| self.shared.ports.reviews.file(exchange));
        match filed {
            Some(Ok(ticket)) => {
                let id = self.id();
                let path = format!("/mantlet/v1/reviews/{}", ticket.0);
                let body = json!({
                    "id": id,
                    "status": "pending-review",
                    "ticket": ticket.0,
                    "poll": path,
                    "reason": reason,
                });
                self.close(202);
                let mut answer = signed(json_answer(StatusCode::ACCEPTED, &body), &id, self.live.generation);
                if let Ok(at) = HeaderValue::from_str(&path) {
                    answer.headers_mut().insert(HeaderName::from_static("location"), at);
                }
                answer
            }
            // Nobody can look at it, so nobody gets it.
            _ => {
                self.overloaded("reviews");
                self.fault(503, "the decision needs a person, and the queue is full")
            }
        }
    }

    /// Passes an upstream's reply on, byte for byte, and closes.
    fn forward(mut self, Replied { status, headers, body }: Replied) -> Answer {
        let id = self.id();
        self.close(status.as_u16());
        signed(passed(status, &headers, Body::from(body)), &id, self.live.generation)
    }

    /// Passes an upstream's reply on as it arrives, and closes when it has.
    pub(crate) fn passing(mut self, reply: Response<Incoming>, decision: Decision) -> Answer {
        self.decision(decision);
        let (id, generation) = (self.id(), self.live.generation);
        let (parts, body) = reply.into_parts();
        let status = parts.status.as_u16();
        let done = move |ended: bool| {
            // A reply that broke off, or that nobody took, is recorded as such when this is dropped.
            if ended {
                self.close(status);
            }
        };
        let body = Body::Passed(Passing::new(body, Box::new(done)));
        signed(passed(parts.status, &parts.headers, body), &id, generation)
    }

    fn id(&self) -> String {
        self.exchange.as_ref().map(|exchange| exchange.id.clone()).unwrap_or_default()
    }

    fn overloaded(&self, port: &'static str) {
        self.shared.metrics.overloads.get_or_create(&Port { port }).inc();
        tracing::error!(port, "no room: something was not taken");
    }

    fn close(&mut self, status: u16) {
        let Some(mut exchange) = self.exchange.take() else { return };
        let (shared, took) = (&self.shared, self.started.elapsed().as_secs_f64() * 1000.0);
        exchange.status = status;
        exchange.took_ms = took;
        let action = exchange.decision.action.word();
        let answered =
            Answered { route: exchange.route.clone(), version: exchange.version.clone(), action, status };
        shared.metrics.exchanges.get_or_create(&answered).inc();
        shared.metrics.took.observe(took / 1000.0);
        for signal in &exchange.decision.signals {
            let noticed = Noticed { route: exchange.route.clone(), signal: signal.name.clone() };
            shared.metrics.signals.get_or_create(&noticed).inc();
        }
        let noticed = exchange.decision.action != Action::Allow || !exchange.decision.signals.is_empty();
        // Every exchange is in the record; a line in the log is for those somebody may want to look at.
        if noticed || status >= 400 {
            logged!(info, exchange, action, status, took);
        } else {
            logged!(debug, exchange, action, status, took);
        }
        if noticed {
            let event = GuardEvent {
                at: exchange.at,
                exchange: exchange.id.clone(),
                system: exchange.system.clone(),
                route: exchange.route.clone(),
                caller: exchange.caller.clone(),
                version: exchange.version.clone(),
                generation: exchange.generation,
                row: self.row,
                signals: exchange.decision.signals.clone(),
                decision: exchange.decision.clone(),
            };
            if shared.ports.events.emit(event).is_err() {
                self.overloaded("events");
            }
        }
        if !self.live.config.record_tensors {
            exchange.request.inputs = Vec::new();
            exchange.request.pieces = Vec::new();
            exchange.reply = exchange.reply.map(|_| Reply::default());
        }
        if shared.ports.recorder.record(exchange).is_err() {
            self.overloaded("recorder");
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close(CLIENT_GONE);
    }
}
