//! Inference on tensors: the list of layers, and each of them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use mantlet_guard::{Caller, Inspection, coarsened};
use mantlet_vocab::{Action, Mode};
use mantlet_wire::{Defect, InferReply};

use super::beside;
use super::limits as together;
use super::shape::{HEAD_LENGTH, head_length, received};
use super::{Ending, Replied, decision, recordable, step_up, unanswered, version};
use crate::answer::Answer;
use crate::coding::{Coding, Undecodable};
use crate::exchange::Open;
use crate::headers::onward_of;
use crate::live::{Live, Target};
use crate::shadow;
use crate::upstream::{Call, Path, Reply, ask};

/// One inference of a known caller, from its request to its end.
pub(crate) async fn answer(
    mut open: Open,
    key: &str,
    named: Option<&str>,
    request: Request<Incoming>,
) -> Answer {
    let ending = match flow(&mut open, key, named, request).await {
        Ok(replied) => Ending::Passed(replied),
        Err(ending) => ending,
    };
    open.end(ending)
}

/// The layers.
async fn flow(
    open: &mut Open,
    key: &str,
    named: Option<&str>,
    request: Request<Incoming>,
) -> Result<Box<Replied>, Ending> {
    let route = open.route();
    let caller = Caller { key };
    let target = version(open, &route, key, named)?;
    limits(open, caller)?;
    recordable(open)?;
    let (parts, body) = request.into_parts();
    open.traced(&parts.headers);
    step_up::shown(open, caller, &parts.headers);
    let head = head_length(&parts.headers)
        .map_err(|()| Ending::refused(400, "Inference-Header-Content-Length is not one number"))?;
    let body = received(open, &parts.headers, body).await?;
    together::arrived(open, body.raw.len()).await?;
    let (mut inspection, looked) = detect(open, caller, named, head, &body.text)?;
    together::read(open).await?;
    let diverted = decision(&inspection)?;
    if !diverted {
        let read = |live: &Live, headers: &HeaderMap, body: &Bytes| {
            let limits = mantlet_wire::Limits { bytes: live.config.max_reply, ..live.limits };
            mantlet_wire::read_reply(head_length(headers).ok()?, body, &limits).ok().map(|read| read.reply)
        };
        shadow::send(open, &parts.headers, &body.raw, |_| Path::Model("/infer"), read);
    }
    let infer = Path::Model("/infer");
    let mut replied = upstream(open, target, infer, parts.headers, body.raw, &inspection, diverted).await?;
    detect_reply(open, caller, &mut inspection, &mut replied, looked)?;
    if inspection.decision.action == Action::Divert {
        return Err(Ending::Diverted(inspection.decision, inspection.reason));
    }
    open.decision(inspection.decision);
    Ok(replied)
}

/// Layer: blocks, throttles and rates, before anything of the body is read.
pub(super) fn limits(open: &Open, caller: Caller<'_>) -> Result<(), Ending> {
    match open.route().route.guard.admit(caller, open.at()) {
        Some(stopped) => Err(Ending::Stopped(stopped.decision, stopped.reason)),
        None => Ok(()),
    }
}

/// Layer: the request is read strictly and looked at by every detector.
fn detect(
    open: &mut Open,
    caller: Caller<'_>,
    named: Option<&str>,
    head: Option<usize>,
    body: &[u8],
) -> Result<(Inspection, Duration), Ending> {
    let began = Instant::now();
    let route = open.route();
    let live = open.live();
    let limits = mantlet_wire::Limits { bytes: live.config.max_body, ..live.limits };
    let read = match mantlet_wire::read_request(&route.route.model, named, head, body, &limits) {
        Ok(read) => read,
        Err(defect) => {
            let status = if matches!(defect, Defect::TooLarge { .. }) { 413 } else { 400 };
            open.defect(&defect);
            return Err(Ending::refused(status, defect.to_string()));
        }
    };
    let mut inspection = route.route.guard.examine(caller, &read.request, open.at());
    beside::look(&route.route.guard, &mut inspection, &read.request.inputs, &read.request.pieces, false);
    open.request(read.request, inspection.row);
    let looked = began.elapsed();
    if !inspection.decision.action.passes() && inspection.decision.action != Action::Divert {
        open.looked(looked);
    }
    Ok((inspection, looked))
}

/// Layer: the model is asked. A diverted decision is made all the same: the person who reviews it sees what the model
/// would have said.
pub(super) async fn upstream(
    open: &mut Open,
    target: &Target,
    path: Path,
    headers: HeaderMap,
    body: Bytes,
    inspection: &Inspection,
    diverted: bool,
) -> Result<Box<Replied>, Ending> {
    let (shared, live, route) = (open.shared(), open.live(), open.route());
    let headers = onward_of(headers, false);
    let call = Call { method: Method::POST, path, headers, body };
    let reply = ask(&shared, &live, &route, target, call).await;
    let withheld = || Ending::Diverted(inspection.decision.clone(), inspection.reason.clone());
    match reply {
        Err(_) if diverted => Err(withheld()),
        Err(fault) => {
            open.decision(inspection.decision.clone());
            Err(unanswered(open, fault))
        }
        Ok(reply) if reply.status != StatusCode::OK && diverted => Err(withheld()),
        Ok(Reply { by, status, headers, body }) if status != StatusCode::OK => {
            open.version(&by.upstream.version);
            open.decision(inspection.decision.clone());
            Err(Ending::Passed(Box::new(Replied { status, headers, body })))
        }
        Ok(Reply { by, status, headers, body }) => {
            open.version(&by.upstream.version);
            Ok(Box::new(Replied { status, headers, body }))
        }
    }
}

/// Why a reply was not read.
enum Unread {
    Coding(Undecodable),
    Defect(Defect),
}

/// Layer: the reply is read strictly and looked at. What cannot be read cannot have been looked at; only a guard that
/// enforces holds it back.
fn detect_reply(
    open: &mut Open,
    caller: Caller<'_>,
    inspection: &mut Inspection,
    replied: &mut Replied,
    looked: Duration,
) -> Result<(), Ending> {
    let began = Instant::now();
    let route = open.route();
    let guard = &route.route.guard;
    let live = open.live();
    let limits = mantlet_wire::Limits { bytes: live.config.max_reply, ..live.limits };
    let text = Coding::of(&replied.headers)
        .and_then(|coding| coding.decode(&replied.body, live.config.max_reply))
        .map_err(Unread::Coding);
    let read: Result<InferReply, Unread> = text.and_then(|text| {
        head_length(&replied.headers)
            .map_err(|()| Defect::HeadLength { head: 0, body: text.len() })
            .and_then(|head| mantlet_wire::read_reply(head, &text, &limits))
            .map_err(Unread::Defect)
    });
    let mut read = match read {
        Ok(read) => read,
        Err(unread) => {
            open.decision(inspection.decision.clone());
            match unread {
                Unread::Defect(defect) => open.defect(&defect),
                Unread::Coding(fault) => open.undecodable(fault),
            }
            if inspection.decision.action == Action::Divert {
                return Err(Ending::Diverted(inspection.decision.clone(), inspection.reason.clone()));
            }
            if guard.config().mode == Mode::Enforce {
                return Err(Ending::failed(502, "the model's reply could not be read"));
            }
            let Replied { status, headers, body } = replied;
            let passed = Replied { status: *status, headers: headers.clone(), body: body.clone() };
            return Err(Ending::Passed(Box::new(passed)));
        }
    };
    guard.observe_reply(caller, inspection, &read.reply, open.at());
    beside::look(guard, inspection, &read.reply.outputs, &read.reply.pieces, true);
    if let Action::Coarsen { to } = inspection.decision.action {
        read.reply = coarsened(&read.reply, to);
        replied.write(&read);
    }
    open.looked(looked + began.elapsed());
    open.reply(read.reply);
    Ok(())
}

impl Replied {
    /// Puts another reply in the place of the one that came, in the form it came in.
    fn write(&mut self, reply: &InferReply) {
        let written = mantlet_wire::write_reply(reply);
        let headers = &mut self.headers;
        headers.remove(CONTENT_ENCODING);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(written.content_type()));
        match written.head {
            Some(length) => drop(headers.insert(HEAD_LENGTH, HeaderValue::from(length))),
            None => drop(headers.remove(HEAD_LENGTH)),
        }
        self.body = Bytes::from(written.body);
    }
}
