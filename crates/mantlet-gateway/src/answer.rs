//! Answers to clients.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;

pub(crate) type Answer = Response<Full<Bytes>>;

/// The header that names the exchange.
const EXCHANGE: HeaderName = HeaderName::from_static("x-mantlet-exchange");
/// The header that names the configuration generation.
const GENERATION: HeaderName = HeaderName::from_static("x-mantlet-generation");
/// What is forwarded of a reply's headers.
const RETURNED: [&str; 4] =
    ["content-type", "inference-header-content-length", "retry-after", "x-request-id"];

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
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
}

pub(crate) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut answer = plain(status, Bytes::from(body.to_string()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An upstream's reply as it came, with the headers that belong to it.
pub(crate) fn passed(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Answer {
    let mut answer = plain(status, body);
    for name in RETURNED {
        if let Some(value) = headers.get(name) {
            answer.headers_mut().insert(HeaderName::from_static(name), value.clone());
        }
    }
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
