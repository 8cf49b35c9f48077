//! Messages of gRPC: their frames, their compression, and how a call ends.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use mantlet_wire::grpc::{GrpcFrames, grpc_frame};
use mantlet_wire::{Defect, Limits};

use crate::answer::{Answer, passed};
use crate::body::Body;
use crate::coding::{Coding, Undecodable, acceptable};
use crate::exchange::Open;
use crate::headers::onward;
use crate::layers::Ending;
use crate::live::Live;
use crate::upstream::Fault;

pub(super) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// A message with its head as it came, and as it reads.
pub(super) struct Message {
    pub(super) raw: Bytes,
    pub(super) text: Bytes,
}

/// Why a message cannot be read.
pub(super) enum Unread {
    Defect(Defect),
    Coding(Undecodable),
}

impl Unread {
    pub(super) const fn status(&self) -> u16 {
        match self {
            Self::Defect(Defect::TooLarge { .. }) | Self::Coding(Undecodable::Bomb) => 413,
            Self::Coding(Undecodable::Coding) => 415,
            Self::Defect(_) | Self::Coding(_) => 400,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Defect(defect) => defect.to_string(),
            Self::Coding(fault) => fault.to_string(),
        }
    }

    /// Puts it in the record.
    pub(super) fn note(&self, open: &mut Open) {
        match self {
            Self::Defect(defect) => open.defect(defect),
            Self::Coding(fault) => open.undecodable(*fault),
        }
    }

    pub(super) fn ending(&self, open: &mut Open) -> Ending {
        self.note(open);
        Ending::refused(self.status(), self.text())
    }
}

/// What reading a message of at most so many bytes may cost.
pub(super) const fn limits_of(live: &Live, bytes: usize) -> Limits {
    Limits { bytes, ..live.limits }
}

/// How the messages of a call are compressed, when they say they are.
pub(super) fn coding(headers: &HeaderMap) -> Result<Coding, Unread> {
    let mut values = headers.get_all(ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(Coding::Identity),
        (Some(value), None) => Coding::named(value).ok_or(Unread::Coding(Undecodable::Coding)),
        (Some(_), Some(_)) => Err(Unread::Coding(Undecodable::Coding)),
    }
}

/// A frame as a message.
pub(super) fn message(raw: Bytes, coding: Coding, most: usize) -> Result<Message, Unread> {
    let body = raw.slice(raw.len().min(5)..);
    let text = match raw.first() {
        Some(1) if coding == Coding::Identity => return Err(Unread::Coding(Undecodable::Coding)),
        Some(1) => coding.decode(&body, most).map_err(Unread::Coding)?,
        _ => body,
    };
    Ok(Message { raw, text })
}

/// The one message of a whole body.
pub(super) fn one(headers: &HeaderMap, body: Bytes, most: usize) -> Result<Message, Unread> {
    let coding = coding(headers)?;
    let mut frames = GrpcFrames::new(most);
    let found = frames.feed(&body).map_err(Unread::Defect)?;
    frames.finish().map_err(Unread::Defect)?;
    match found.len() {
        1 => message(body, coding, most),
        0 => Err(Unread::Defect(Defect::Missing { field: "a message" })),
        _ => Err(Unread::Defect(Defect::TooMany { what: "messages in a call of one", limit: 1 })),
    }
}

/// The headers of a call that go to the upstream.
pub(super) fn onward_grpc(headers: &HeaderMap) -> HeaderMap {
    let mut onward = onward(headers, true);
    onward.remove(ACCEPT_ENCODING);
    onward.remove(ACCEPT);
    // Only what can be read here may be used for the answer.
    if let Some(value) = headers.get(ACCEPT).and_then(acceptable) {
        onward.insert(ACCEPT, value);
    }
    onward.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/grpc"));
    onward
}

/// What an upstream answered.
pub(super) struct Said {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
    /// The status of the call.
    pub(super) code: u32,
}

/// Takes a whole answer.
pub(super) async fn whole(reply: Response<Incoming>, most: usize) -> Result<Said, Fault> {
    let (parts, body) = reply.into_parts();
    if parts.status != StatusCode::OK {
        return Err(Fault::Broken);
    }
    let collected = Limited::new(body, most).collect().await.map_err(|error| {
        if error.downcast_ref::<LengthLimitError>().is_some() { Fault::TooLarge } else { Fault::Broken }
    })?;
    let trailers = collected.trailers().cloned();
    let code = trailers.as_ref().and_then(code).or_else(|| code(&parts.headers)).ok_or(Fault::Broken)?;
    Ok(Said { headers: parts.headers, body: collected.to_bytes(), trailers, code })
}

/// The status that headers or trailers say.
pub(super) fn code(headers: &HeaderMap) -> Option<u32> {
    headers.get(STATUS)?.to_str().ok()?.parse().ok()
}

/// The status of HTTP that a status of gRPC means.
pub(super) const fn meant(code: u32) -> u16 {
    match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// An upstream's answer as it came.
pub(super) fn answer(said: Said) -> Answer {
    let body = (!said.body.is_empty()).then_some(said.body);
    passed(StatusCode::OK, said.headers, Body::Trailed(body, said.trailers))
}

/// An answer of this gateway's own.
pub(super) fn own(message: &[u8]) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let body = Body::Trailed(Some(Bytes::from(grpc_frame(message))), Some(ended()));
    passed(StatusCode::OK, headers, body)
}

/// The trailers of a call that went well.
pub(super) fn ended() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    trailers
}
