//! Answers to clients.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use crate::body::Body;
use crate::headers::back;

pub(crate) type Answer = Response<Body>;

/// The header that names the exchange.
const EXCHANGE: HeaderName = HeaderName::from_static("x-mantlet-exchange");
/// The header that names the configuration generation.
const GENERATION: HeaderName = HeaderName::from_static("x-mantlet-generation");
/// A refusal in the dialect's shape.
pub(crate) fn from_refusal(refusal: mantlet_wire::Refusal) -> Answer {
    let mut answer = plain(
        StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        Bytes::from(refusal.body),
    );
    for (name, value) in refusal.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    answer
}

pub(crate) fn plain(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer
}

pub(crate) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut answer = plain(status, Bytes::from(body.to_string()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An upstream's reply as it came, with the headers that belong to it.
pub(crate) fn passed(status: StatusCode, headers: HeaderMap, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = back(headers);
    answer
}

/// Names exchange and generation on an answer.
pub(crate) fn signed(mut answer: Answer, id: &str, generation: u64) -> Answer {
    if let Ok(id) = HeaderValue::from_str(id) {
        answer.headers_mut().insert(EXCHANGE, id);
    }
    answer.headers_mut().insert(GENERATION, HeaderValue::from(generation));
    answer
}
