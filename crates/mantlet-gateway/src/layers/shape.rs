//! Layer: the whole body, within size and time.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderName};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::Ending;
use crate::coding::{Coding, Undecodable};
use crate::exchange::Open;
use crate::live::Live;

/// The header of the binary form.
pub(crate) const HEAD_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// The length of the JSON head, when the message is in the binary form. Two values or anything but digits would be
/// read differently by others.
pub(crate) fn head_length(headers: &HeaderMap) -> Result<Option<usize>, ()> {
    let mut values = headers.get_all(HEAD_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || !value.as_bytes().iter().all(u8::is_ascii_digit) {
        return Err(());
    }
    value.to_str().ok().and_then(|value| value.parse().ok()).map(Some).ok_or(())
}

/// A body as it came, and as it reads.
pub(crate) struct Received {
    pub(crate) raw: Bytes,
    pub(crate) text: Bytes,
}

/// The whole body as it came, within size and time.
pub(crate) async fn receive(headers: &HeaderMap, body: Incoming, live: &Live) -> Result<Bytes, Ending> {
    let limit = live.config.max_body;
    let too_large = || Ending::refused(413, format!("the body is larger than {limit} bytes"));
    let said = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if said.is_some_and(|said| said > limit as u64) {
        return Err(too_large());
    }
    let timeout = Duration::from_millis(live.config.body_timeout_ms);
    match tokio::time::timeout(timeout, Limited::new(body, limit).collect()).await {
        Err(_) => Err(Ending::refused(408, "the body did not arrive in time")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Ok(Err(_)) => Err(Ending::refused(400, "the body broke off")),
    }
}

/// The whole body, and what it is when it was compressed. One that cannot be decoded is on record as that.
pub(crate) async fn received(
    open: &mut Open,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Received, Ending> {
    receive_text(headers, body, &open.live()).await.map_err(|(fault, ending)| {
        if let Some(fault) = fault {
            open.undecodable(fault);
        }
        ending
    })
}

/// The same of what has no exchange yet: why it cannot be decoded, where it cannot, and how it ends.
pub(crate) async fn receive_text(
    headers: &HeaderMap,
    body: Incoming,
    live: &Live,
) -> Result<Received, (Option<Undecodable>, Ending)> {
    let refused =
        |status: u16| move |fault: Undecodable| (Some(fault), Ending::refused(status, fault.to_string()));
    let coding = Coding::of(headers).map_err(refused(415))?;
    let raw = receive(headers, body, live).await.map_err(|ending| (None, ending))?;
    let text = coding.decode(&raw, live.config.max_body).map_err(|fault| {
        let status = if fault == Undecodable::Bomb { 413 } else { 400 };
        refused(status)(fault)
    })?;
    Ok(Received { raw, text })
}
