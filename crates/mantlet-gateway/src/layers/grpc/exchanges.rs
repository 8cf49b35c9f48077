//! The exchanges of a stream: a message of the caller through the layers to the upstream, an answer back.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Frame;
use mantlet_guard::{Caller, Guard, Inspection, coarsened};
use mantlet_vocab::{Action, Mode};
use mantlet_wire::InferRequest;
use mantlet_wire::grpc::{
    GrpcFrames, GrpcStreamReply, grpc_frame, read_grpc_stream_reply, refuse_grpc_stream,
    write_grpc_stream_reply,
};

use super::message::{Message, Unread, limits_of, message, onward_grpc};
use super::stream::{End, Line, Waiting};
use super::{detect, identify, mirror, route_of};
use crate::coding::Coding;
use crate::dialect::Dialect;
use crate::exchange::Open;
use crate::layers::limits as together;
use crate::layers::tensors::limits;
use crate::layers::{Ending, beside, decision, recordable, step_up, version};
use crate::live::LiveRoute;

impl Line {
    /// Takes what the caller sent: each message it completes is looked at, and goes on or is answered.
    pub(super) async fn take(
        &mut self,
        frame: Frame<Bytes>,
        frames: &mut GrpcFrames,
        coding: Coding,
        up: &mut VecDeque<Bytes>,
    ) -> Result<(), End> {
        let Ok(data) = frame.into_data() else { return Ok(()) };
        let found = frames.feed(&data).map_err(|defect| End::refused(400, &defect.to_string()))?;
        for frame in found {
            let read = message(Bytes::from(frame.raw), coding, self.live.config.max_body)
                .and_then(|message| message.request(&self.live));
            let model = read.as_ref().ok().map(|(_, read)| read.request.model.clone());
            let route = match (&self.route, route_of(&self.live, model.as_deref())) {
                (Some(route), _) if model.as_ref().is_some_and(|model| *model != route.route.model) => {
                    let text = "a stream asks one model";
                    self.outgoing.push_back(Bytes::from(refuse_grpc_stream(text, "")));
                    continue;
                }
                (Some(route), _) => Arc::clone(route),
                (None, Some(route)) => {
                    let model = &route.route.model;
                    let who =
                        identify(&self.shared, &self.live, &self.peer, &self.headers, model, &Dialect::Grpc);
                    let Ok(who) = who else {
                        return Err(End::refused(401, "this API key is not in force for this model"));
                    };
                    self.who = who;
                    self.route = Some(Arc::clone(route));
                    Arc::clone(route)
                }
                (None, None) => {
                    return Err(match read {
                        Ok((_, read)) => {
                            End::refused(404, &format!("there is no model `{}`", read.request.model))
                        }
                        Err(unread) => End::refused(unread.status(), &unread.text()),
                    });
                }
            };
            let open = Open::new(&self.shared, &self.live, &route, &self.who, Dialect::Grpc);
            self.asked(open, &route, read, up).await;
        }
        Ok(())
    }

    /// One request: the layers, up to the upstream.
    async fn asked(
        &mut self,
        mut open: Open,
        route: &Arc<LiveRoute>,
        read: Result<(Message, InferRequest), Unread>,
        up: &mut VecDeque<Bytes>,
    ) {
        let key = self.who.id.clone();
        match self.layers(&mut open, &key, route, read).await {
            Ok((bytes, id, inspection)) => {
                let diverted = inspection.decision.action == Action::Divert;
                up.push_back(bytes);
                self.waiting.push_back(Waiting { id, open, inspection, diverted });
            }
            Err(ending) => self.told(open, ending),
        }
    }

    async fn layers(
        &mut self,
        open: &mut Open,
        key: &str,
        route: &Arc<LiveRoute>,
        read: Result<(Message, InferRequest), Unread>,
    ) -> Result<(Bytes, Option<String>, Inspection), Ending> {
        let caller = Caller { key };
        limits(open, caller)?;
        recordable(open)?;
        step_up::shown(open, caller, &self.headers);
        let (message, read) = read.map_err(|unread| unread.ending(open))?;
        let named = read.request.version.clone();
        let target = match &self.chosen {
            None => version(open, route, key, named.as_deref())?,
            Some((_, other)) if *other != named => {
                return Err(Ending::refused(400, "a stream asks one version"));
            }
            Some((chosen, _)) => route
                .of_version(chosen)
                .ok_or_else(|| Ending::refused(503, "the chosen version has no endpoint"))?,
        };
        open.version(&target.upstream.version);
        together::arrived(open, message.raw.len()).await?;
        let (inspection, _) = detect(open, caller, read.request);
        together::read(open).await?;
        let diverted = decision(&inspection)?;
        if !diverted && route.route.inspect {
            let headers = onward_grpc(&self.headers);
            mirror::copy(&mut self.mirror, open, &headers, &message, named.as_deref(), read.id.as_ref());
        }
        let bytes = message
            .for_target(target, &route.route.model, named.as_deref())
            .ok_or_else(|| Ending::refused(400, "the message cannot be read"))?;
        self.chosen.get_or_insert_with(|| (target.upstream.version.clone(), named));
        Ok((bytes, read.id, inspection))
    }

    /// Ends an exchange, and tells its caller by a message.
    fn told(&mut self, open: Open, ending: Ending) {
        let answer = open.end(ending);
        let text = answer.headers().get("grpc-message").and_then(|text| text.to_str().ok());
        let text = text.map(plain).unwrap_or_default();
        self.outgoing.push_back(Bytes::from(refuse_grpc_stream(&text, "")));
    }

    /// One answer: read, looked at, and handed on.
    pub(super) fn answered(&mut self, raw: Bytes, coding: Coding) {
        let most = self.live.config.max_reply;
        let read = message(raw.clone(), coding, most).and_then(|message| {
            read_grpc_stream_reply(&message.text, &limits_of(&self.live, most)).map_err(Unread::Defect)
        });
        let id = match &read {
            Ok(GrpcStreamReply { reply: Some(reply), .. }) => reply.id.clone(),
            _ => None,
        };
        let place = id
            .as_ref()
            .and_then(|id| self.waiting.iter().position(|waiting| waiting.id.as_ref() == Some(id)));
        // An answer without a name belongs to the oldest request; one to a request that has its answer already, as
        // models that answer many times give, is looked at by itself.
        let place = place.or_else(|| (id.is_none() && !self.waiting.is_empty()).then_some(0));
        match place.and_then(|place| self.waiting.remove(place)) {
            Some(waiting) => self.first(waiting, raw, read),
            None => self.further(raw, read),
        }
    }

    fn first(&mut self, waiting: Waiting, raw: Bytes, read: Result<GrpcStreamReply, Unread>) {
        let Waiting { mut open, mut inspection, diverted, .. } = waiting;
        let route = open.route();
        let guard = &route.route.guard;
        let mut read = match read {
            Ok(read) => read,
            Err(unread) if route.route.inspect => {
                open.decision(inspection.decision.clone());
                unread.note(&mut open);
                if diverted {
                    return self.told(open, Ending::Diverted(inspection.decision, inspection.reason));
                }
                if guard.config().mode == Mode::Enforce {
                    let text = "the model's reply could not be read";
                    return self.told(open, Ending::failed(502, text));
                }
                open.close(200);
                return self.outgoing.push_back(raw);
            }
            Err(_) => GrpcStreamReply { error: None, reply: None },
        };
        let mut bytes = raw;
        let mut status = 200;
        if read.error.is_some() {
            status = 500;
        }
        if let (Some(reply), true) = (&mut read.reply, route.route.inspect) {
            let caller = Caller { key: &self.who };
            guard.observe_reply(caller, &mut inspection, &reply.reply, open.at());
            beside::look(guard, &mut inspection, &reply.reply.outputs, &reply.reply.pieces, true);
            if let Action::Coarsen { to } = inspection.decision.action {
                reply.reply = coarsened(&reply.reply, to);
                bytes = Bytes::from(grpc_frame(&write_grpc_stream_reply(reply)));
            }
            open.reply(reply.reply.clone());
        }
        if inspection.decision.action == Action::Divert {
            return self.told(open, Ending::Diverted(inspection.decision, inspection.reason));
        }
        open.decision(inspection.decision);
        open.close(status);
        self.outgoing.push_back(bytes);
    }

    /// A further answer to a request that has one.
    fn further(&mut self, raw: Bytes, read: Result<GrpcStreamReply, Unread>) {
        let Some(route) = self.route.clone() else { return };
        let guard: &Guard = &route.route.guard;
        let mut open = Open::new(&self.shared, &self.live, &route, &self.who, Dialect::Grpc);
        let inspection = guard.unseen(Caller { key: &self.who }, open.at());
        if let Some((chosen, _)) = &self.chosen {
            open.version(chosen);
        }
        let diverted = inspection.decision.action == Action::Divert;
        self.first(Waiting { id: None, open, inspection, diverted }, raw, read);
    }
}

/// A `grpc-message` as it reads.
fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or(&[]);
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use mantlet_wire::grpc::{GrpcRefusal, refuse_grpc};

    use super::*;

    #[test]
    fn what_a_refusal_says_is_read_back() {
        for text in ["plain", "100 % sure", "ünïcode\nand a line", "%zz"] {
            let GrpcRefusal { message, .. } = refuse_grpc(403, text, "");
            assert_eq!(plain(&message), text);
        }
        assert_eq!(plain("%2"), "%2");
    }
}
