//! Calling an upstream.

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};

use crate::live::{Live, Target};
use crate::service::Shared;

/// What is forwarded of a request's headers. Everything else stays here: keys above all, and whatever an upstream
/// could read differently than this gateway did.
const FORWARDED: [&str; 5] =
    ["content-type", "inference-header-content-length", "traceparent", "tracestate", "x-request-id"];
/// Why an upstream gave no reply.
pub(crate) enum Fault {
    Unreachable,
    Late,
    TooLarge,
}

impl Fault {
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::Late => 504,
            Self::Unreachable | Self::TooLarge => 502,
        }
    }

    pub(crate) const fn text(&self) -> &'static str {
        match self {
            Self::Unreachable => "the model's endpoint cannot be reached",
            Self::Late => "the model's endpoint did not answer in time",
            Self::TooLarge => "the model's reply is larger than allowed",
        }
    }
}

/// Calls an upstream and takes its whole reply. Dropping the future (the client went away) drops the call.
pub(crate) async fn ask(
    shared: &Shared,
    live: &Live,
    target: &Target,
    verb: &str,
    method: Method,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, HeaderMap, Bytes), Fault> {
    let call = async {
        let uri = target.uri(verb).ok_or(Fault::Unreachable)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        for name in FORWARDED {
            if let Some(value) = headers.get(name) {
                request.headers_mut().insert(HeaderName::from_static(name), value.clone());
            }
        }
        let reply = shared.client.request(request).await.map_err(|error| {
            tracing::warn!(version = %target.upstream.version, error = %cause(&error), "upstream call failed");
            Fault::Unreachable
        })?;
        let (parts, body) = reply.into_parts();
        let body = Limited::new(body, live.config.max_reply).collect().await.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                Fault::TooLarge
            } else {
                Fault::Unreachable
            }
        })?;
        Ok((parts.status, parts.headers, body.to_bytes()))
    };
    let timeout = Duration::from_millis(live.config.upstream_timeout_ms);
    let reply = tokio::time::timeout(timeout, call).await.unwrap_or(Err(Fault::Late));
    if reply.is_err() {
        shared.metrics.upstream_faults.inc();
    }
    reply
}

/// An error with what caused it.
fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
