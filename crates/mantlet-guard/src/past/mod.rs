//! Exchanges that already happened, or copies of what happens elsewhere, through the same limits and detectors.
//!
//! Nothing can be stopped any more, so whatever the guard's mode, the decision marks at most; what an enforcing guard
//! would have done stands in [`mantlet_vocab::Decision::proposed`].

mod line;
mod when;

use mantlet_detectors::request_malformed;
use mantlet_vocab::{Action, Decision, Kind, Mode, Piece, Reply, Request};
use mantlet_wire::text::{
    StreamReader, Surface, TextRequest, Usage, read_text_reply, read_text_request, surface,
};
use mantlet_wire::{Call, Defect, Limits, Verb, call};

use crate::{Caller, Guard, Inspection};

pub use line::{LineError, access_line, json_line};
pub use when::instant;

/// Where the query of a path stands among the texts of a request.
const QUERY: &str = "~query";

/// One exchange that already happened. What is not known is empty or `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Past {
    /// When the request arrived.
    pub at: mantlet_vocab::Millis,
    /// Who asked: whatever tells callers apart.
    pub caller: String,
    /// The method; `POST` when a body is known and nothing else is said.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The request's body.
    pub request: Option<Vec<u8>>,
    /// The length of the JSON head of a request in the binary form of the Open Inference Protocol.
    pub head: Option<usize>,
    /// The HTTP status.
    pub status: u16,
    /// The reply's body, a stream as it was.
    pub reply: Option<Vec<u8>>,
}

/// What looking at a past exchange gave.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What was asked, as far as it was read.
    pub request: Request,
    /// What was answered, as far as it was read.
    pub reply: Option<Reply>,
    /// The decision: it marks at most.
    pub decision: Decision,
    /// The number of the request's last row in the caller's stream; 0 when there are none.
    pub row: u64,
    /// Tokens the upstream counted.
    pub usage: Option<Usage>,
    /// What was not looked at, and why.
    pub gaps: Vec<&'static str>,
}

impl Guard {
    /// Looks at an exchange that already happened, as its caller's next one. `prefix` stands before the paths of text.
    pub fn look_back(&self, past: &Past, prefix: &str, limits: &Limits) -> Seen {
        let caller = Caller { key: &past.caller };
        let stopped = self.admit(caller, past.at);
        let mut seen = self.read_back(caller, past, prefix, limits);
        if let Some(stopped) = stopped {
            let proposed = stopped.decision.proposed;
            seen.decision.action = seen.decision.action.clone().max(Action::Flag);
            seen.decision.proposed = seen.decision.proposed.clone().max(proposed);
        }
        // Nothing was stopped, changed or withheld.
        seen.decision.action = seen.decision.action.clone().min(Action::Flag);
        seen.decision.mode = Mode::Observe;
        seen
    }

    /// The same of a request and a reply that were read before, as kept in a history.
    pub fn look_back_at(
        &self,
        caller: &str,
        at: mantlet_vocab::Millis,
        request: Request,
        reply: Option<Reply>,
    ) -> Seen {
        let caller = Caller { key: caller };
        let mut inspection = self.inspect(caller, &request, at);
        if let Some(reply) = &reply {
            self.observe_reply(caller, &mut inspection, reply, at);
        }
        let mut seen = Seen::of(inspection, request);
        seen.reply = reply;
        seen.decision.action = seen.decision.action.clone().min(Action::Flag);
        seen.decision.mode = Mode::Observe;
        seen
    }

    fn read_back(&self, caller: Caller<'_>, past: &Past, prefix: &str, limits: &Limits) -> Seen {
        let (path, query) = past.path.split_once('?').unwrap_or((&past.path, ""));
        let method = match (&*past.method, &past.request) {
            ("", Some(_)) => "POST",
            ("", None) => "GET",
            (method, _) => method,
        };
        let below = path.strip_prefix(prefix.trim_end_matches('/')).filter(|rest| rest.starts_with('/'));
        if let Some(surface) = below.and_then(|rest| surface(method, rest)) {
            return self.text_back(caller, past, surface, query, limits);
        }
        if let Call::Model { model, version, verb: Verb::Infer } = call(method, path)
            && let Some(body) = &past.request
        {
            return match mantlet_wire::read_request(&model, version.as_deref(), past.head, body, limits) {
                Ok(read) => self.tensors_back(caller, past, read.request, limits),
                Err(defect) => self.unread(caller, past, query, &defect),
            };
        }
        // A call of no dialect: what its path and query say is all that is known.
        let mut seen = self.query_back(caller, past, query);
        if past.request.as_ref().is_some_and(|body| !body.is_empty()) {
            seen.gaps.push("the body of a call of no known dialect");
        } else if past.request.is_none() && !matches!(method, "GET" | "HEAD" | "OPTIONS") {
            seen.gaps.push("the body of a request, which is not kept");
        }
        seen
    }

    fn tensors_back(&self, caller: Caller<'_>, past: &Past, request: Request, limits: &Limits) -> Seen {
        let mut inspection = self.examine(caller, &request, past.at);
        let mut gaps = Vec::new();
        let mut reply = None;
        match (&past.reply, past.status) {
            (Some(body), 0 | 200..=299) => match mantlet_wire::read_reply(None, body, limits) {
                Ok(read) => {
                    self.observe_reply(caller, &mut inspection, &read.reply, past.at);
                    reply = Some(read.reply);
                }
                Err(defect) => malformed(&mut inspection.decision, &defect),
            },
            (Some(_), _) => {}
            (None, _) => gaps.push("the reply, which is not kept"),
        }
        Seen { gaps, reply, ..Seen::of(inspection, request) }
    }

    fn text_back(
        &self,
        caller: Caller<'_>,
        past: &Past,
        surface: Surface,
        query: &str,
        limits: &Limits,
    ) -> Seen {
        let mut gaps = Vec::new();
        let body = past.request.as_deref().unwrap_or_default();
        let bodiless = matches!(&*past.method, "GET" | "HEAD" | "DELETE" | "OPTIONS");
        if past.request.is_none() && !bodiless {
            gaps.push("the body of a request, which is not kept");
        }
        let mut asked = match read_text_request(surface, body, limits) {
            Ok(asked) => asked,
            Err(_) if past.request.is_none() => TextRequest::default(),
            Err(defect) => return self.unread(caller, past, query, &defect),
        };
        if !query.is_empty() {
            asked.pieces.push(piece(query));
        }
        let mut inspection = self.examine_text(caller, &asked, past.at);
        let request = Request {
            model: asked.model.clone().unwrap_or_default(),
            pieces: std::mem::take(&mut asked.pieces),
            ..Request::default()
        };
        let (mut usage, mut reply) = (None, None);
        match &past.reply {
            Some(body) if !body.is_empty() => match self.reply_back(surface, body, limits, &mut inspection) {
                Ok((said, pieces)) => {
                    usage = said;
                    reply = Some(Reply { pieces, ..Reply::default() });
                }
                Err(defect) => malformed(&mut inspection.decision, &defect),
            },
            Some(_) => {}
            // Lists of models say nothing of anybody's.
            None if surface == Surface::Models => {}
            None => gaps.push("the reply, which is not kept"),
        }
        Seen { gaps, reply, usage, ..Seen::of(inspection, request) }
    }

    /// A reply, whole or as the stream it was.
    fn reply_back(
        &self,
        surface: Surface,
        body: &[u8],
        limits: &Limits,
        inspection: &mut Inspection,
    ) -> Result<(Option<Usage>, Vec<Piece>), Defect> {
        let begins = body.trim_ascii_start();
        if !begins.starts_with(b"data:") && !begins.starts_with(b"event:") && !begins.starts_with(b":") {
            let reply = read_text_reply(surface, body, limits)?;
            let _ = self.examine_text_reply(inspection, &reply);
            return Ok((reply.usage, reply.pieces));
        }
        let mut reader = StreamReader::new(surface, *limits);
        let mut frames = reader.feed(body)?;
        let ended = reader.finish();
        frames.extend(ended.as_ref().ok().cloned().flatten());
        let mut pieces: Vec<Piece> = Vec::new();
        let mut usage = None;
        let mut watch = self.watch(inspection);
        for frame in frames {
            usage = frame.usage.or(usage);
            for fragment in &frame.fragments {
                let pointer = format!("~stream/{}", fragment.channel);
                match pieces.iter_mut().find(|piece| piece.pointer == pointer) {
                    Some(piece) => piece.text.push_str(&fragment.text),
                    None => pieces.push(Piece { kind: fragment.kind, pointer, text: fragment.text.clone() }),
                }
            }
            let _ = watch.feed(frame);
        }
        let _ = watch.finish();
        watch.conclude(inspection);
        if let Err(defect) = ended {
            malformed(&mut inspection.decision, &defect);
        }
        Ok((usage, pieces))
    }

    fn query_back(&self, caller: Caller<'_>, past: &Past, query: &str) -> Seen {
        let pieces = if query.is_empty() { Vec::new() } else { vec![piece(query)] };
        let asked = TextRequest { pieces: pieces.clone(), choices: 1, ..TextRequest::default() };
        let inspection = self.examine_text(caller, &asked, past.at);
        Seen::of(inspection, Request { pieces, ..Request::default() })
    }

    fn unread(&self, caller: Caller<'_>, past: &Past, query: &str, defect: &Defect) -> Seen {
        let mut seen = self.query_back(caller, past, query);
        malformed(&mut seen.decision, defect);
        seen
    }
}

impl Seen {
    fn of(inspection: Inspection, request: Request) -> Self {
        let Inspection { decision, row, .. } = inspection;
        Self { request, reply: None, decision, row, usage: None, gaps: Vec::new() }
    }
}

fn piece(query: &str) -> Piece {
    Piece { kind: Kind::Unknown, pointer: QUERY.to_owned(), text: query.to_owned() }
}

/// Malformed is evidence.
fn malformed(decision: &mut Decision, defect: &Defect) {
    decision.signals.push(request_malformed(defect.name(), defect.to_string()));
    decision.action = decision.action.clone().max(Action::Flag);
    decision.proposed = decision.proposed.clone().max(Action::Flag);
}
