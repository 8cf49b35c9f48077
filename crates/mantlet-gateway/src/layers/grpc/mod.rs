//! The Open Inference Protocol over gRPC: which call it is, and one message each way. The layers are those of tensors;
//! streams are in [`stream`] and [`exchanges`], their copies to a version in the shadow in [`mirror`], frames and
//! trailers in [`message`].

mod exchanges;
pub(crate) mod health;
mod message;
mod mirror;
mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use hyper::body::Incoming;
use mantlet_guard::{Caller, Inspection, coarsened};
use mantlet_vocab::{Action, Mode, Request as Asked};
use mantlet_wire::grpc::{
    GrpcCall, grpc_frame, read_grpc_about, read_grpc_reply, rename_grpc, write_grpc_flag, write_grpc_reply,
    write_grpc_server,
};
use mantlet_wire::{Defect, InferRequest};

use self::message::{Message, Said, Unread, answer, limits_of, meant, one, onward_grpc, own, whole};
use super::identity::identify;
use super::limits as together;
use super::shape::receive;
use super::tensors::limits;
use super::{Ending, beside, decision, recordable, released, step_up, unanswered, version};
use crate::answer::Answer;
use crate::dialect::Dialect;
use crate::exchange::Open;
use crate::handle::{preferred_wait, turn_away};
use crate::listen::Peer;
use crate::live::{Live, LiveRoute, Target};
use crate::service::Shared;
use crate::upstream::Fault;
use crate::upstream::grpc::ask;
use crate::who::Who;

const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
const READY: &str = "/inference.GRPCInferenceService/ServerReady";

/// One call.
pub(crate) async fn handle(
    shared: &Arc<Shared>,
    live: &Arc<Live>,
    peer: &Peer,
    call: GrpcCall,
    request: Request<Incoming>,
) -> Answer {
    let refuse = |status: u16, text: &str, why| turn_away(shared, &Dialect::Grpc, status, text, why);
    if request.version() != Version::HTTP_2 || request.method() != Method::POST || !is_grpc(request.headers())
    {
        return refuse(415, "gRPC is spoken over HTTP/2, with the type application/grpc", "grpc");
    }
    if live.grpc_routes().next().is_none() {
        return refuse(501, "no model answers gRPC here", "grpc");
    }
    match call {
        // As over REST, whether this process lives is no secret and needs no key.
        GrpcCall::Live => return own(&write_grpc_flag(true)),
        GrpcCall::Ready => return own(&write_grpc_flag(ready(shared, live).await)),
        GrpcCall::Health => return health::check(shared, live, request).await,
        GrpcCall::HealthWatch => return health::watch(shared, live, request).await,
        GrpcCall::SharedMemory => {
            let text = "shared memory hides inputs from inspection and is refused";
            return refuse(403, text, "shared-memory");
        }
        GrpcCall::Administration => {
            return refuse(403, "administration is not offered here", "administration");
        }
        GrpcCall::Unknown => return refuse(404, "there is nothing here", "no-such-path"),
        GrpcCall::ServerMetadata | GrpcCall::About | GrpcCall::Infer | GrpcCall::StreamInfer => {}
    }
    // The model stands in the message, and no message is taken from a stranger: the key has to be good for one of the
    // models first, then for the one that is named.
    let who = match known(shared, live, peer, request.headers()) {
        Ok(who) => who,
        Err(refusal) => return refusal,
    };
    match call {
        GrpcCall::ServerMetadata => own(&write_grpc_server("mantlet", env!("CARGO_PKG_VERSION"))),
        GrpcCall::StreamInfer => stream::begin(shared, live, peer, who, request),
        GrpcCall::Infer => infer(shared, live, peer, request).await,
        _ => about(shared, live, peer, request).await,
    }
}

/// Whether the body is messages of Protocol Buffers with their heads.
fn is_grpc(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(http::header::CONTENT_TYPE).iter();
    let one = values.next().and_then(|value| value.to_str().ok());
    let essence = one.and_then(|value| value.split(';').next()).map(str::trim);
    values.next().is_none() && matches!(essence, Some("application/grpc" | "application/grpc+proto"))
}

#[expect(clippy::result_large_err, reason = "an answer is built once and moved out at once")]
fn known(shared: &Shared, live: &Live, peer: &Peer, headers: &HeaderMap) -> Result<Who, Answer> {
    let mut last = None;
    for route in live.grpc_routes() {
        match identify(shared, live, peer, headers, &route.route.model, &Dialect::Grpc) {
            Ok(who) => return Ok(who),
            Err(refusal) => last = Some(refusal),
        }
    }
    Err(last.unwrap_or_else(|| turn_away(shared, &Dialect::Grpc, 501, "no model answers gRPC here", "grpc")))
}

/// The route of a model that answers gRPC. What cannot be read names no model; where there is one alone, it is that
/// one's.
fn route_of<'a>(live: &'a Live, model: Option<&str>) -> Option<&'a Arc<LiveRoute>> {
    match model {
        Some(model) => live.grpc_routes().find(|route| route.route.model == model),
        None => {
            let mut routes = live.grpc_routes();
            routes.next().filter(|_| routes.next().is_none())
        }
    }
}

/// Ready when every route's answering version is.
async fn ready(shared: &Shared, live: &Live) -> bool {
    let yes = Bytes::from(grpc_frame(&write_grpc_flag(true)));
    for route in live.grpc_routes() {
        let Ok(target) = route.target("", None) else { return false };
        let empty = |_: &Target| Some(Bytes::from(grpc_frame(&[])));
        let said = call(shared, live, route, target, READY, &onward_grpc(&HeaderMap::new()), empty).await;
        if !said.is_ok_and(|(_, said)| said.code == 0 && said.body == yes) {
            return false;
        }
    }
    true
}

/// Sends a copy to the version that is tried in the shadow, when there is one and it answers gRPC.
fn shadow(open: &Open, headers: &HeaderMap, message: &Message, named: Option<&str>) {
    let route = open.route();
    let Some(target) = route.shadow().filter(|target| target.grpc.is_some()) else { return };
    let Some(bytes) = message.for_target(target, &route.route.model, named) else { return };
    let headers = onward_grpc(headers);
    crate::shadow::watch(open, move |shared, live, route| async move {
        let target = route.shadow()?;
        let message = |asked: &Target| {
            // Nobody answers in its place.
            (asked.upstream.version == target.upstream.version).then(|| bytes.clone())
        };
        let answer = call(&shared, &live, &route, target, INFER, &headers, message).await;
        Some(match answer {
            Ok((_, said)) if said.code == 0 => {
                let most = live.config.max_reply;
                let read = one(&said.headers, said.body, most).ok().and_then(|message| {
                    read_grpc_reply(&message.text, &limits_of(&live, most)).ok().map(|read| read.reply)
                });
                // What the gateway would not have passed on is a failure of the version's.
                (if read.is_some() { 200 } else { 502 }, read)
            }
            Ok((_, said)) => (meant(said.code), None),
            Err(fault) => (fault.status(), None),
        })
    });
}

/// Calls the upstream and takes its whole answer, within time.
async fn call<'a>(
    shared: &Shared,
    live: &Live,
    route: &'a LiveRoute,
    target: &'a Target,
    method: &str,
    headers: &HeaderMap,
    message: impl Fn(&Target) -> Option<Bytes>,
) -> Result<(&'a Target, Said), Fault> {
    let asked = async {
        let (by, reply) = ask(shared, live, route, target, method, headers, message).await?;
        Ok((by, whole(reply, live.config.max_reply).await?))
    };
    let timeout = Duration::from_millis(live.config.upstream_timeout_ms);
    let said = tokio::time::timeout(timeout, asked).await.unwrap_or(Err(Fault::Late));
    if said.is_err() {
        shared.metrics.upstream_faults.inc();
    }
    said
}

/// A call about a model that is no inference: its answer passes as it came.
async fn about(shared: &Arc<Shared>, live: &Arc<Live>, peer: &Peer, request: Request<Incoming>) -> Answer {
    let refuse = |status: u16, text: &str, why| turn_away(shared, &Dialect::Grpc, status, text, why);
    let method = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let raw = match receive(&parts.headers, body, live).await {
        Ok(raw) => raw,
        Err(Ending::Refused { status, text }) => return refuse(status, &text, "body"),
        Err(_) => return refuse(400, "the body cannot be taken", "body"),
    };
    let read = one(&parts.headers, raw, live.config.max_body)
        .and_then(|message| Ok((read_grpc_about(&message.text).map_err(Unread::Defect)?, message)));
    let ((model, named), message) = match read {
        Ok(read) => read,
        Err(unread) => return refuse(unread.status(), &unread.text(), "malformed"),
    };
    let Some(route) = route_of(live, Some(&model)) else {
        return refuse(404, &format!("there is no model `{model}`"), "no-such-model");
    };
    let key = match identify(shared, live, peer, &parts.headers, &model, &Dialect::Grpc) {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    let Ok(target) = route.target(&key, named.as_deref()) else {
        return refuse(404, "this version does not take traffic", "version");
    };
    let renamed = |target: &Target| message.for_target(target, &model, named.as_deref());
    match call(shared, live, route, target, &method, &onward_grpc(&parts.headers), renamed).await {
        Ok((_, said)) => answer(said),
        Err(fault) => refuse(fault.status(), fault.text(), "upstream"),
    }
}

/// One inference, from its message to its end.
async fn infer(shared: &Arc<Shared>, live: &Arc<Live>, peer: &Peer, request: Request<Incoming>) -> Answer {
    let refuse = |status: u16, text: &str, why| turn_away(shared, &Dialect::Grpc, status, text, why);
    let (parts, body) = request.into_parts();
    let raw = match receive(&parts.headers, body, live).await {
        Ok(raw) => raw,
        Err(Ending::Refused { status, text }) => return refuse(status, &text, "body"),
        Err(_) => return refuse(400, "the body cannot be taken", "body"),
    };
    let read = one(&parts.headers, raw, live.config.max_body).and_then(|message| message.request(live));
    let model = read.as_ref().ok().map(|(_, read)| read.request.model.as_str());
    let Some(route) = route_of(live, model) else {
        return match read {
            Ok((_, read)) => {
                refuse(404, &format!("there is no model `{}`", read.request.model), "no-such-model")
            }
            Err(unread) => refuse(unread.status(), &unread.text(), "malformed"),
        };
    };
    let key = match identify(shared, live, peer, &parts.headers, &route.route.model, &Dialect::Grpc) {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    let mut open = Open::new(shared, live, route, &key, Dialect::Grpc);
    match flow(&mut open, &key, &parts.headers, read).await {
        Ok(said) => {
            let status = meant(said.code);
            let Said { headers, body, trailers, .. } = said;
            let body = (!body.is_empty()).then_some(body);
            open.trailed(headers, crate::body::Body::Trailed(body, trailers), status)
        }
        Err(ending) => open.end(ending),
    }
}

/// The layers.
async fn flow(
    open: &mut Open,
    key: &str,
    headers: &HeaderMap,
    read: Result<(Message, InferRequest), Unread>,
) -> Result<Said, Ending> {
    let (shared, live, route) = (open.shared(), open.live(), open.route());
    let caller = Caller { key };
    limits(open, caller)?;
    recordable(open)?;
    step_up::shown(open, caller, headers);
    let (message, read) = read.map_err(|unread| unread.ending(open))?;
    let named = read.request.version.clone();
    let target = version(open, &route, key, named.as_deref())?;
    together::arrived(open, message.raw.len()).await?;
    let (mut inspection, looked) = detect(open, caller, read.request);
    together::read(open).await?;
    let diverted = decision(&inspection)?;
    if !diverted && route.route.inspect {
        shadow(open, headers, &message, named.as_deref());
    }
    let renamed = |target: &Target| message.for_target(target, &route.route.model, named.as_deref());
    let asked = call(&shared, &live, &route, target, INFER, &onward_grpc(headers), renamed).await;
    let withheld = |inspection: Inspection| Err(Ending::Diverted(inspection.decision, inspection.reason));
    let mut said = match asked {
        Err(_) if diverted => return withheld(inspection),
        Ok((_, said)) if said.code != 0 && diverted => return withheld(inspection),
        Err(fault) => {
            open.decision(inspection.decision);
            return Err(unanswered(open, fault));
        }
        Ok((by, said)) => {
            open.version(&by.upstream.version);
            said
        }
    };
    // An error of the upstream is its own.
    if said.code == 0 && route.route.inspect {
        detect_reply(open, caller, &mut inspection, &mut said, looked)?;
    }
    if inspection.decision.action == Action::Divert {
        released(open, &mut inspection, preferred_wait(headers)).await?;
    }
    open.decision(inspection.decision);
    Ok(said)
}

/// Layer: the request is looked at by every detector.
pub(super) fn detect(open: &mut Open, caller: Caller<'_>, request: Asked) -> (Inspection, Duration) {
    let began = Instant::now();
    let route = open.route();
    let guard = &route.route.guard;
    let mut inspection = if route.route.inspect {
        guard.examine(caller, &request, open.at())
    } else {
        guard.unseen(caller, open.at())
    };
    if route.route.inspect {
        beside::look(guard, &mut inspection, &request.inputs, &request.pieces, false);
        open.request(request, inspection.row);
    }
    let looked = began.elapsed();
    if !inspection.decision.action.passes() && inspection.decision.action != Action::Divert {
        open.looked(looked);
    }
    (inspection, looked)
}

/// Layer: the reply is read strictly and looked at. What cannot be read cannot have been looked at; only a guard that
/// enforces holds it back.
fn detect_reply(
    open: &mut Open,
    caller: Caller<'_>,
    inspection: &mut Inspection,
    said: &mut Said,
    looked: Duration,
) -> Result<(), Ending> {
    let began = Instant::now();
    let (route, live) = (open.route(), open.live());
    let guard = &route.route.guard;
    let limits = limits_of(&live, live.config.max_reply);
    let read = one(&said.headers, said.body.clone(), live.config.max_reply)
        .and_then(|message| read_grpc_reply(&message.text, &limits).map_err(Unread::Defect));
    let mut read = match read {
        Ok(read) => read,
        Err(unread) => {
            open.decision(inspection.decision.clone());
            unread.note(open);
            if inspection.decision.action == Action::Divert {
                return Err(Ending::Diverted(inspection.decision.clone(), inspection.reason.clone()));
            }
            if guard.config().mode == Mode::Enforce {
                return Err(Ending::failed(502, "the model's reply could not be read"));
            }
            inspection.decision = open.so_far().map_or(inspection.decision.clone(), |so| so.decision.clone());
            return Ok(());
        }
    };
    guard.observe_reply(caller, inspection, &read.reply, open.at());
    beside::look(guard, inspection, &read.reply.outputs, &read.reply.pieces, true);
    if let Action::Coarsen { to } = inspection.decision.action {
        read.reply = coarsened(&read.reply, to);
        said.body = Bytes::from(grpc_frame(&write_grpc_reply(&read)));
    }
    open.looked(looked + began.elapsed());
    open.reply(read.reply);
    Ok(())
}

impl Message {
    /// The message as a request for inference.
    fn request(self, live: &Live) -> Result<(Self, InferRequest), Unread> {
        let limits = limits_of(live, live.config.max_body);
        let read = mantlet_wire::grpc::read_grpc_request(&self.text, &limits).map_err(Unread::Defect)?;
        if read.request.model.is_empty() {
            return Err(Unread::Defect(Defect::Missing { field: "model_name" }));
        }
        Ok((self, read))
    }

    /// The bytes for a version: those that came, unless it knows the model by another name.
    fn for_target(&self, target: &Target, model: &str, named: Option<&str>) -> Option<Bytes> {
        match target.renames(model, named) {
            None => Some(self.raw.clone()),
            Some((model, version)) => {
                let renamed = rename_grpc(&self.text, model, version).ok()?;
                Some(Bytes::from(grpc_frame(&renamed)))
            }
        }
    }
}
