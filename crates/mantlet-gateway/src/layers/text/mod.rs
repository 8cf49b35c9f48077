//! Text of language models and agents: the list of layers, and each of them but the stream's ([`stream`]).

mod stream;

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use mantlet_guard::shared::tokens_of_pieces;
use mantlet_guard::{Caller, Guard, Inspection};
use mantlet_vocab::{Action, Kind, Mode, Piece};
use mantlet_wire::Defect;
use mantlet_wire::form::read_form;
use mantlet_wire::text::{Surface, TextReply, read_text_reply, read_text_request, rewrite};

use super::limits::{self as together, Expected};
use super::shape::{Received, received};
use super::{
    Ending, Replied, beside, decision, pass, recordable, released, released_before, step_up, unanswered,
    version,
};
use crate::answer::Answer;
use crate::coding::Coding;
use crate::exchange::Open;
use crate::handle::preferred_wait;
use crate::headers::onward_of;
use crate::live::Target;
use crate::upstream::direct::Arriving;
use crate::upstream::{Call, Fault, Path, begin};

/// How an answer of the upstream goes on.
enum Answered {
    /// It is here, was looked at, and goes out.
    Whole(Box<Replied>),
    /// It is being written, and is looked at as it comes.
    Streamed(Box<Streamed>),
}

/// What reading a request and looking at it gave.
struct Detected {
    inspection: Inspection,
    /// Whether the answer may come as a stream.
    streams: bool,
    /// What it lets expect of the reply.
    expected: Expected,
    /// Its texts.
    pieces: Vec<Piece>,
}

/// An answer that is being written.
struct Streamed {
    status: StatusCode,
    headers: HeaderMap,
    body: Arriving,
    inspection: Inspection,
}

/// One call of a known caller. `path` is what stands behind the route's prefix, with its query.
pub(crate) async fn answer(
    mut open: Open,
    key: &str,
    surface: Surface,
    path: String,
    request: Request<Incoming>,
) -> Answer {
    // Lists of models carry no text of callers or models.
    if surface == Surface::Models || !open.route().route.inspect {
        return pass::answer(open, key, None, Path::Below(path), request).await;
    }
    match flow(&mut open, key, surface, path, request).await {
        Ok(Answered::Whole(replied)) => open.end(Ending::Passed(replied)),
        Ok(Answered::Streamed(streamed)) => stream::answer(open, surface, *streamed),
        Err(ending) => open.end(ending),
    }
}

/// The layers.
async fn flow(
    open: &mut Open,
    key: &str,
    surface: Surface,
    path: String,
    request: Request<Incoming>,
) -> Result<Answered, Ending> {
    let route = open.route();
    let caller = Caller { key };
    let target = version(open, &route, key, None)?;
    limits(open, caller)?;
    recordable(open)?;
    let (parts, body) = request.into_parts();
    let wait = preferred_wait(&parts.headers);
    open.traced(&parts.headers);
    step_up::shown(open, caller, &parts.headers);
    let received = received(open, &parts.headers, body).await?;
    let asked = (path.as_str(), form_type(surface, &parts.headers)?);
    together::arrived(open, received.raw.len()).await?;
    let Detected { mut inspection, streams, expected, pieces } =
        detect(open, caller, surface, asked, &received.text)?;
    open.named(expected.model.as_ref());
    let reserved = together::tokens(open, &pieces, &expected).await;
    open.pieces(pieces);
    reserved?;
    if decision(&inspection)? {
        // Nobody is given the model's answer until a person has looked, so the model is not asked before.
        released_before(open, &mut inspection, &parts.headers, wait).await?;
    }
    let (headers, body) = redact(&inspection, onward_of(parts.headers, streams), received)?;
    let asked = Call { method: parts.method, path: Path::Below(path), headers, body };
    upstream(open, surface, target, asked, inspection, wait).await
}

/// Layer: blocks, throttles and rates, before anything of the body is read.
fn limits(open: &Open, caller: Caller<'_>) -> Result<(), Ending> {
    match open.route().route.guard.admit(caller, open.at()) {
        Some(stopped) => Err(Ending::Stopped(stopped.decision, stopped.reason)),
        None => Ok(()),
    }
}

/// Layer: the request is read strictly, and every text of it looked at, that of the path's query too.
fn detect(
    open: &mut Open,
    caller: Caller<'_>,
    surface: Surface,
    (path, kind): (&str, Option<&str>),
    body: &[u8],
) -> Result<Detected, Ending> {
    let began = std::time::Instant::now();
    let (live, route) = (open.live(), open.route());
    let limits = mantlet_wire::Limits { bytes: live.config.max_body, ..live.limits };
    let read = match kind {
        // Files come as forms; everything else is JSON, whatever its type says.
        Some(kind) if surface == Surface::OpenAiFiles && !body.is_empty() => read_form(kind, body, &limits),
        None if surface == Surface::OpenAiFiles && !body.is_empty() => {
            return Err(Ending::refused(415, "files are sent as a form of several parts"));
        }
        _ => read_text_request(surface, body, &limits),
    };
    let mut read = read.map_err(|defect| {
        open.defect(&defect);
        let status = if matches!(defect, Defect::TooLarge { .. }) { 413 } else { 400 };
        Ending::refused(status, defect.to_string())
    })?;
    // A message of the older transport is answered on the other stream: its sender goes by the status alone.
    if !path.starts_with("/messages") {
        open.rpc(read.rpc_id.clone());
    }
    if let Some((_, query)) = path.split_once('?') {
        read.pieces.extend(beside::query(query));
    }
    let mut inspection = route.route.guard.examine_text(caller, &read, open.at());
    if surface == Surface::Mcp && inspection.decision.action.passes() {
        act(&route.route.guard, &read.pieces, &mut inspection);
    }
    let streams = read.stream || surface == Surface::Mcp;
    open.looked(began.elapsed());
    let expected = Expected { model: read.model, most: read.max_tokens, choices: read.choices };
    Ok(Detected { inspection, streams, expected, pieces: read.pieces })
}

/// The type of a body that is a form of several parts, where files are sent. Elsewhere a body is JSON, and a type by
/// which a server would read a form from it is refused.
fn form_type(surface: Surface, headers: &HeaderMap) -> Result<Option<&str>, Ending> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Ending::refused(400, "the type of the body is said twice"));
    }
    let kind = first.and_then(|value| value.to_str().ok());
    let is = |kind: &str, other: &str| {
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(other)
    };
    let is_form = |kind: &&str| is(kind, "multipart/form-data");
    let is_other = |kind: &&str| is_form(kind) || is(kind, "application/x-www-form-urlencoded");
    if surface != Surface::OpenAiFiles && kind.as_ref().is_some_and(is_other) {
        return Err(Ending::refused(415, "a form is not read here; send JSON"));
    }
    Ok(kind.filter(is_form))
}

/// What an agent sends is what a model decided to do, so it is looked at as a reply is: which tool is called, and with
/// what.
fn act(guard: &Guard, pieces: &[Piece], inspection: &mut Inspection) {
    let calls = pieces.iter().filter(|piece| piece.kind == Kind::ToolCall).cloned().collect();
    let edits = guard.examine_text_reply(inspection, &TextReply { pieces: calls, ..TextReply::default() });
    for edit in edits {
        if !inspection.edits.iter().any(|other| other.pointer == edit.pointer) {
            inspection.edits.push(edit);
        }
    }
}

/// Layer: what the guard takes out of the request. Without an edit the caller's bytes go on as they came.
fn redact(
    inspection: &Inspection,
    mut headers: HeaderMap,
    received: Received,
) -> Result<(HeaderMap, Bytes), Ending> {
    if inspection.edits.is_empty() {
        return Ok((headers, received.raw));
    }
    let edited = rewrite(&received.text, &inspection.edits).map_err(|_| {
        // What cannot be taken out cannot go on.
        Ending::Stopped(refused(inspection), "the request holds what may not go on".to_owned())
    })?;
    headers.remove(CONTENT_ENCODING);
    Ok((headers, Bytes::from(edited)))
}

fn refused(inspection: &Inspection) -> mantlet_vocab::Decision {
    mantlet_vocab::Decision {
        action: Action::Refuse,
        proposed: Action::Refuse,
        ..inspection.decision.clone()
    }
}

/// Layer: the model is asked, and its answer looked at when it is whole.
async fn upstream(
    open: &mut Open,
    surface: Surface,
    target: &Target,
    asked: Call,
    mut inspection: Inspection,
    wait: Duration,
) -> Result<Answered, Ending> {
    let (shared, live, route) = (open.shared(), open.live(), open.route());
    let bodiless = asked.method == Method::HEAD;
    let timeout = Duration::from_millis(live.config.upstream_timeout_ms);
    let deadline = tokio::time::Instant::now() + timeout;
    let failed = |open: &mut Open, inspection: &Inspection, fault: Fault| {
        shared.metrics.upstream_faults.inc();
        open.decision(inspection.decision.clone());
        unanswered(open, fault)
    };
    let begun = tokio::time::timeout_at(deadline, begin(&shared, &live, &route, target, asked)).await;
    let reply = match begun.unwrap_or(Err(Fault::Late)) {
        Ok(reply) => reply,
        Err(fault) => return Err(failed(open, &inspection, fault)),
    };
    open.version(&reply.by.upstream.version);
    let (status, headers, body) = (reply.status, reply.headers, reply.body);
    let plain = Coding::of(&headers) == Ok(Coding::Identity);
    if status.is_success() && plain && !bodiless && is_events(&headers) {
        return Ok(Answered::Streamed(Box::new(Streamed { status, headers, body, inspection })));
    }
    let collected =
        tokio::time::timeout_at(deadline, Limited::new(body, live.config.max_reply).collect()).await;
    let body = match collected {
        Err(_) => return Err(failed(open, &inspection, Fault::Late)),
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            return Err(failed(open, &inspection, Fault::TooLarge));
        }
        Ok(Err(_)) => return Err(failed(open, &inspection, Fault::Broken)),
    };
    // What a person may let through.
    let kept = (!wait.is_zero()).then(|| Replied { status, headers: headers.clone(), body: body.clone() });
    let replied = detect_reply(open, surface, &mut inspection, Replied { status, headers, body });
    let replied = match (replied, kept) {
        (Err(Ending::Diverted(..)), Some(kept)) => {
            released(open, &mut inspection, wait).await?;
            kept
        }
        (replied, _) => replied?,
    };
    Ok(Answered::Whole(Box::new(replied)))
}

/// Tokens of a reply: as the upstream counted them, else by estimate. An error's text is no answer of the model.
fn count(open: &mut Open, status: StatusCode, reply: &TextReply) {
    match reply.usage {
        Some(usage) => open.usage(usage),
        None if status.is_success() && open.counts() => open.estimated(tokens_of_pieces(&reply.pieces)),
        None => {}
    }
}

fn is_events(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
    })
}

/// Layer: a whole reply is read strictly and looked at; what may not leave is taken out. An error of the upstream is a
/// text like any other.
fn detect_reply(
    open: &mut Open,
    surface: Surface,
    inspection: &mut Inspection,
    mut replied: Replied,
) -> Result<Replied, Ending> {
    // That a message was taken is said in a word.
    let taken = surface == Surface::Mcp && replied.status == StatusCode::ACCEPTED && replied.body.len() <= 64;
    if replied.body.is_empty() || (taken && replied.body.is_ascii()) {
        open.decision(inspection.decision.clone());
        return Ok(replied);
    }
    let began = std::time::Instant::now();
    let (live, route) = (open.live(), open.route());
    let guard = &route.route.guard;
    let limits = mantlet_wire::Limits { bytes: live.config.max_reply, ..live.limits };
    let text =
        Coding::of(&replied.headers).and_then(|coding| coding.decode(&replied.body, live.config.max_reply));
    let read = match &text {
        Ok(text) => read_text_reply(surface, text, &limits).map_err(Some),
        Err(_) => Err(None),
    };
    let (reply, text) = match (read, text) {
        (Ok(reply), Ok(text)) => (reply, text),
        (read, text) => {
            open.decision(inspection.decision.clone());
            match (read, text) {
                (_, Err(fault)) => open.undecodable(fault),
                (Err(Some(defect)), _) => open.defect(&defect),
                _ => {}
            }
            open.estimated(replied.body.len() as u64 / 4);
            // What cannot be read cannot have been looked at; only a guard that enforces holds it back.
            if guard.config().mode == Mode::Enforce {
                let status = if replied.status.is_success() { 502 } else { replied.status.as_u16() };
                return Err(Ending::failed(status, "the model's reply could not be read"));
            }
            return Ok(replied);
        }
    };
    let edits = guard.examine_text_reply(inspection, &reply);
    open.looked(began.elapsed());
    count(open, replied.status, &reply);
    open.said(reply.pieces);
    if !inspection.decision.action.passes() {
        let (decision, reason) = (inspection.decision.clone(), inspection.reason.clone());
        return Err(match decision.action {
            Action::Divert => Ending::Diverted(decision, reason),
            _ => Ending::Stopped(decision, reason),
        });
    }
    if !edits.is_empty() {
        let Ok(edited) = rewrite(&text, &edits) else {
            let reason = "the answer holds what may not leave".to_owned();
            return Err(Ending::Stopped(refused(inspection), reason));
        };
        replied.headers.remove(CONTENT_ENCODING);
        replied.body = Bytes::from(edited);
    }
    open.decision(inspection.decision.clone());
    Ok(replied)
}
