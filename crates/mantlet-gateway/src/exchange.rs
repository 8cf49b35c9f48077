//! An exchange while it is open, and its record when it closes, however it closes.
//!
//! Long because every way an exchange ends is told in one place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};
use mantlet_detectors::{dependency_lost, request_malformed, traffic_unseen};
use mantlet_guard::GuardEvent;
use mantlet_vocab::{Action, Decision, Exchange, Millis, OnFailure, Piece, Reply, Request, Signal};
use mantlet_wire::Defect;
use mantlet_wire::text::Usage;
use serde_json::json;

use crate::Reviewed;
use crate::answer::{Answer, from_refusal, json_answer, passed, signed};
use crate::body::{Body, Passing};
use crate::coding::Undecodable;
use crate::dialect::Dialect;
use crate::handle::{LOOK, sane_ticket};
use crate::layers::limits::{Held, Reserved};
use crate::layers::step_up::PATH;
use crate::layers::{Ending, Loss, Replied, ticket_path};
use crate::live::{Live, LiveRoute};
use crate::metrics::{Answered, Cost, Noticed, Port, Tokens};
use crate::otlp::{Done, Parent};
use crate::service::Shared;
use crate::upstream::direct::Arriving;
use crate::who::{Belongs, Proof, Who};

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

/// What the caller sends back once it has authenticated again.
const CHALLENGE: HeaderName = HeaderName::from_static("x-mantlet-challenge");
/// Signals that the gateway raises itself: of what could not be read, and of what was not there.
const OWN: [&str; 3] = ["request-malformed", "dependency-lost", "traffic-unseen"];
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
    dialect: Dialect,
    exchange: Option<Exchange>,
    belongs: Belongs,
    held: Vec<Held>,
    reserved: Option<Reserved>,
    /// Tokens that were used, as the upstream counted them or by estimate.
    used: Option<Usage>,
    /// What is withheld is a request of which the model was not asked, and which can go to it later.
    unasked: bool,
    /// The caller's own trace, and the model it names, where telemetry tells of them.
    parent: Option<Parent>,
    model: Option<String>,
}

impl Open {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        live: &Arc<Live>,
        route: &Arc<LiveRoute>,
        who: &Who,
        dialect: Dialect,
    ) -> Self {
        let config = route.route.guard.config();
        let exchange = Exchange {
            id: shared.ids.next(),
            at: shared.ports.clock.now(),
            system: config.system.clone(),
            route: config.route.clone(),
            caller: who.id.clone(),
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
            dialect,
            exchange: Some(exchange),
            belongs: match &who.proof {
                Proof::Token(belongs, _) => belongs.clone(),
                Proof::Key | Proof::Certificate | Proof::Nothing => Belongs::default(),
            },
            held: Vec::new(),
            reserved: None,
            used: None,
            unasked: false,
            parent: None,
            model: None,
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

    /// It happened elsewhere, at another time.
    pub(crate) fn happened(&mut self, at: Millis) {
        self.edit(|exchange| exchange.at = at);
    }

    /// A copy of a request that could not be looked at: recorded as that.
    pub(crate) fn broken(mut self, what: &str) {
        self.malformed("wire-copy", what.to_owned());
        self.close(StatusCode::NO_CONTENT.as_u16());
    }

    /// The exchange as far as it has come.
    pub(crate) const fn so_far(&self) -> Option<&Exchange> {
        self.exchange.as_ref()
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

    /// What the guard decided; what the gateway noticed itself on the way stays in it.
    pub(crate) fn decision(&mut self, decision: Decision) {
        self.edit(|exchange| {
            let before = std::mem::replace(&mut exchange.decision, decision);
            let own = before.signals.into_iter().filter(|signal| OWN.contains(&signal.name.as_str()));
            own.for_each(|signal| mark(exchange, signal, Action::Flag));
        });
    }

    /// Whether what is done can be written down now.
    pub(crate) fn keeps(&self) -> bool {
        self.shared.ports.recorder.keeps()
    }

    /// Something was not there: it stays on the exchange, with what the route wants then.
    pub(crate) fn lost(&mut self, loss: &Loss) {
        let signal = dependency_lost(loss.what, loss.how, loss.choice);
        let action = match loss.choice {
            OnFailure::Refuse => Action::Refuse,
            OnFailure::Divert => Action::Divert,
            OnFailure::PassAndFlag => Action::Flag,
        };
        self.edit(|exchange| mark(exchange, signal, action));
    }

    /// It passes and nobody can look at it, as the route allows.
    pub(crate) fn unseen(&mut self, what: &str) {
        let signal = traffic_unseen(what);
        self.edit(|exchange| mark(exchange, signal, Action::Flag));
    }

    /// The texts of the request.
    pub(crate) fn pieces(&mut self, pieces: Vec<Piece>) {
        self.edit(|exchange| exchange.request.pieces = pieces);
    }

    /// The texts of the reply.
    pub(crate) fn said(&mut self, pieces: Vec<Piece>) {
        self.edit(|exchange| exchange.reply = Some(Reply { pieces, ..Reply::default() }));
    }

    /// The id of the JSON-RPC call, which its refusal must repeat.
    pub(crate) fn rpc(&mut self, id: Option<String>) {
        if let Dialect::Text { call, .. } = &mut self.dialect {
            *call = id;
        }
    }

    /// Whose limits it counts towards.
    pub(crate) fn holder(&self) -> (String, Belongs) {
        let caller = self.exchange.as_ref().map(|exchange| exchange.caller.clone());
        (caller.unwrap_or_default(), self.belongs.clone())
    }

    /// The trace the caller says this is part of.
    pub(crate) fn traced(&mut self, headers: &HeaderMap) {
        if self.shared.telemetry.is_some() {
            self.parent = Parent::of(headers);
        }
    }

    /// The model the request names.
    pub(crate) fn named(&mut self, model: Option<&String>) {
        if self.shared.telemetry.is_some() {
            self.model = model.cloned();
        }
    }

    /// Places that are given back when the exchange is over.
    pub(crate) fn hold(&mut self, held: Held) {
        self.held.push(held);
    }

    /// Tokens and cost that are put right when the exchange is over.
    pub(crate) fn reserve(&mut self, reserved: Reserved) {
        self.reserved = Some(reserved);
    }

    /// Tokens of a reply that its upstream did not count, by estimate.
    pub(crate) fn estimated(&mut self, output: u64) {
        if self.used.is_none() {
            self.used = self.reserved.as_ref().map(|reserved| reserved.estimated(output));
        }
    }

    /// Whether anybody wants to know how many tokens a reply has.
    pub(crate) const fn counts(&self) -> bool {
        self.reserved.is_some()
    }

    /// The id of the JSON-RPC call.
    pub(crate) fn call(&self) -> Option<&str> {
        match &self.dialect {
            Dialect::Text { call, .. } => call.as_deref(),
            _ => None,
        }
    }

    /// Tokens the upstream counted.
    pub(crate) fn usage(&mut self, usage: Usage) {
        self.used = Some(usage);
        let route = &self.route.route.guard.config().route;
        for (direction, count) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
            let tokens = Tokens { route: route.clone(), direction };
            self.shared.metrics.tokens.get_or_create(&tokens).inc_by(count);
        }
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
        self.edit(|exchange| mark(exchange, signal, Action::Flag));
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
            Ending::Lost(loss) => {
                self.lost(&loss);
                match (loss.choice, &self.exchange) {
                    (OnFailure::Divert, Some(exchange)) => {
                        let decision = exchange.decision.clone();
                        self.divert(decision, loss.how)
                    }
                    _ => self.fault(loss.status, loss.how),
                }
            }
            Ending::Stopped(decision, reason) => self.stopped(decision, &reason),
            Ending::Again(decision, reason, challenge) => self.again(decision, &reason, challenge),
            Ending::Diverted(decision, reason) => self.divert(decision, &reason),
            Ending::Passed(replied) => self.forward(*replied),
        }
    }

    /// Answers in the dialect's error shape and closes.
    fn fault(mut self, status: u16, text: &str) -> Answer {
        let id = self.id();
        let refusal = self.dialect.refuse(status, text, &id);
        // gRPC has one status of HTTP; the record has what it means.
        self.close(if self.dialect == Dialect::Grpc { status } else { refusal.status });
        let answer = from_refusal(refusal);
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

    /// Gives an answer of the gateway's own, and closes.
    pub(crate) fn answered(mut self, answer: mantlet_wire::Refusal) -> Answer {
        let id = self.id();
        self.close(answer.status);
        signed(from_refusal(answer), &id, self.live.generation)
    }

    /// Asks the caller to authenticate again (RFC 9470), with the challenge to be sent back, and closes.
    fn again(mut self, decision: Decision, reason: &str, challenge: Option<String>) -> Answer {
        self.decision(decision);
        let mut answer = self.fault(401, &format!("{reason}; answer the challenge at {PATH}"));
        let words = HeaderValue::from_static("Bearer error=\"insufficient_user_authentication\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, words);
        if let Some(challenge) = challenge.and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
            answer.headers_mut().insert(CHALLENGE, challenge);
        }
        answer
    }

    /// Files the exchange for a person, and waits until one decided or the caller no longer wants to: the ticket and
    /// what was decided. `None` where nobody can be asked.
    pub(crate) async fn asks(&mut self, decision: Decision, wait: Duration) -> Option<(String, Reviewed)> {
        self.edit(|exchange| {
            exchange.decision = Decision { action: Action::Divert, ..decision };
            exchange.status = 202;
        });
        let shared = self.shared();
        let exchange = self.exchange.as_ref()?;
        let ticket = shared.ports.reviews.file(exchange, self.unasked).ok()?;
        let caller = exchange.caller.clone();
        let until = Instant::now() + wait;
        loop {
            let found = shared.ports.reviews.poll(&ticket.0, &caller);
            if found != Reviewed::Pending || Instant::now() >= until || *shared.stop.borrow() {
                return Some((ticket.0, found));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether what is withheld is a request that can go to the model once a person lets it.
    pub(crate) const fn unasked(&mut self, unasked: bool) {
        self.unasked = unasked;
    }

    /// Whether the request goes to the model under this ticket, which it does once.
    pub(crate) async fn goes_on(&mut self, ticket: &str) -> bool {
        let shared = self.shared();
        let Some(exchange) = &self.exchange else { return false };
        sane_ticket(ticket) && shared.ports.reviews.goes_on(ticket, exchange).await
    }

    /// Withholds the decision, files it for a person, and closes.
    fn divert(mut self, decision: Decision, reason: &str) -> Answer {
        self.edit(|exchange| {
            exchange.decision = Decision { action: Action::Divert, ..decision };
            exchange.status = 202;
        });
        let filed =
            self.exchange.as_ref().map(|exchange| self.shared.ports.reviews.file(exchange, self.unasked));
        match filed {
            Some(Ok(ticket)) => {
                let id = self.id();
                let path = ticket_path(&ticket.0);
                if !self.dialect.waits() {
                    let mut answer = self.fault(403, &format!("{reason}; a person decides, see {path}"));
                    if let Ok(at) = HeaderValue::from_str(&path) {
                        answer.headers_mut().insert(LOCATION, at);
                    }
                    return answer;
                }
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
                    answer.headers_mut().insert(LOCATION, at);
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
        let refuses = self.route.route.guard.config().record_on_failure != OnFailure::PassAndFlag;
        if !self.close(status.as_u16()) && refuses {
            let refusal = self.dialect.refuse(503, "the exchange cannot be recorded now", &id);
            return signed(from_refusal(refusal), &id, self.live.generation);
        }
        signed(passed(status, headers, Body::from(body)), &id, self.live.generation)
    }

    /// Passes a reply of gRPC on, whose end stands in trailers, and closes with the status of HTTP that it means.
    pub(crate) fn trailed(mut self, headers: HeaderMap, body: Body, status: u16) -> Answer {
        let id = self.id();
        let refuses = self.route.route.guard.config().record_on_failure != OnFailure::PassAndFlag;
        if !self.close(status) && refuses {
            let refusal = self.dialect.refuse(503, "the exchange cannot be recorded now", &id);
            return signed(from_refusal(refusal), &id, self.live.generation);
        }
        signed(passed(StatusCode::OK, headers, body), &id, self.live.generation)
    }

    /// Passes an upstream's reply on as it arrives, and closes when it has.
    pub(crate) fn passing(mut self, reply: Response<Arriving>, decision: Decision) -> Answer {
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
        signed(passed(parts.status, parts.headers, body), &id, generation)
    }

    /// The head of an answer that is written piece by piece; whoever writes it closes the exchange.
    pub(crate) fn begun(&self, status: StatusCode, headers: HeaderMap, body: Body) -> Answer {
        signed(passed(status, headers, body), &self.id(), self.live.generation)
    }

    pub(crate) fn id(&self) -> String {
        self.exchange.as_ref().map(|exchange| exchange.id.clone()).unwrap_or_default()
    }

    fn overloaded(&self, port: &'static str) {
        self.shared.metrics.overloads.get_or_create(&Port { port }).inc();
        tracing::error!(port, "no room: something was not taken");
    }

    /// Records and counts; says whether the record took it.
    pub(crate) fn close(&mut self, status: u16) -> bool {
        let Some(mut exchange) = self.exchange.take() else { return true };
        let (shared, took) = (&self.shared, self.started.elapsed().as_secs_f64() * 1000.0);
        exchange.status = status;
        exchange.took_ms = took;
        let mut cost = 0;
        if let Some(reserved) = self.reserved.take() {
            let holder = (exchange.caller.clone(), std::mem::take(&mut self.belongs));
            cost = reserved.settle(shared, &self.route, &holder, self.used);
            if cost > 0 {
                let cost_of = Cost { route: exchange.route.clone() };
                shared.metrics.cost.get_or_create(&cost_of).inc_by(cost);
            }
        }
        if let Some(telemetry) = &shared.telemetry {
            let model = self.model.take();
            let done = Done::new(&exchange, &self.dialect, self.parent, model, self.used, cost);
            if !telemetry.take(done) {
                shared.metrics.overloads.get_or_create(&Port { port: "otlp" }).inc();
            }
        }
        let action = exchange.decision.action.word();
        match self.route.of_version(&exchange.version) {
            Some(target) => {
                let (route, version) = (&exchange.route, &exchange.version);
                target.counts.count(&shared.metrics.exchanges, route, version, action, status);
            }
            None => {
                let (route, version) = (exchange.route.clone(), exchange.version.clone());
                let answered = Answered { route, version, action, status };
                shared.metrics.exchanges.get_or_create(&answered).inc();
            }
        }
        shared.metrics.took.observe(took / 1000.0);
        for signal in &exchange.decision.signals {
            let noticed = Noticed { route: exchange.route.clone(), signal: signal.name.clone() };
            shared.metrics.signals.get_or_create(&noticed).inc();
        }
        let noticed = exchange.decision.action != Action::Allow || !exchange.decision.signals.is_empty();
        if noticed || status >= 400 {
            if let Some(left_out) = shared.lines.another(shared.ports.clock.now()) {
                if left_out > 0 {
                    tracing::warn!(
                        left_out,
                        "more exchanges were noticed or failed than are told here one by one"
                    );
                }
                logged!(info, exchange, action, status, took);
            }
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
                decision: Decision {
                    action: exchange.decision.action.clone(),
                    proposed: exchange.decision.proposed.clone(),
                    mode: exchange.decision.mode,
                    signals: Vec::new(),
                },
            };
            if shared.ports.events.emit(event).is_err() {
                self.overloaded("events");
            }
        }
        if !(self.live.config.record_tensors && self.route.route.records) {
            exchange.request.inputs = Vec::new();
            exchange.request.pieces = Vec::new();
            exchange.reply = exchange.reply.map(|_| Reply::default());
        }
        let recorded = shared.ports.recorder.record(exchange).is_ok();
        if !recorded {
            self.overloaded("recorder");
        }
        recorded
    }
}

/// Puts a signal of the gateway's own on an exchange, and the action that follows from it.
fn mark(exchange: &mut Exchange, signal: Signal, action: Action) {
    let decision = &mut exchange.decision;
    decision.action = decision.action.clone().max(action.clone());
    decision.proposed = decision.proposed.clone().max(action);
    if !decision.signals.iter().any(|other| other.name == signal.name && other.facts == signal.facts) {
        decision.signals.push(signal);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close(CLIENT_GONE);
    }
}
