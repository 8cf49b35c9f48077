//! Layer: the whole body, within size and time.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
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

/// Layer: a body is read as UTF-8, so one whose type names another `charset` is refused: a server that goes by it would
/// read other words than were looked at. Every parameter counts, in quotes or not, since servers differ in which they
/// take; so does one within another's quotes.
pub(crate) fn utf8(headers: &HeaderMap) -> Result<(), Ending> {
    for value in headers.get_all(CONTENT_TYPE) {
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        for parameter in value.split([';', ',']).skip(1) {
            let Some((name, charset)) = parameter.split_once('=') else { continue };
            let charset = charset.trim().trim_matches(['"', '\'']);
            // `charset*` is the extended form (RFC 8187), which no such type needs.
            if name.trim().trim_start_matches('"').starts_with("charset")
                && !matches!(charset, "utf-8" | "utf8" | "us-ascii" | "ascii")
            {
                return Err(Ending::refused(415, "bodies are read as UTF-8; send no other charset"));
            }
        }
    }
    Ok(())
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
    utf8(headers)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_by_which_other_words_would_be_read_is_refused() {
        let taken = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(value));
            utf8(&headers).is_ok()
        };
        for value in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;CHARSET=\"UTF-8\"",
            "application/json; charset=utf8; profile=x",
            "text/csv; charset=us-ascii; header=present",
            "multipart/form-data; boundary=charset",
        ] {
            assert!(taken(value), "{value}");
        }
        for value in [
            "application/json; charset=utf-7",
            "application/json; charset=utf-16",
            "application/json;Charset = \"utf-16le\"",
            "application/json; charset=iso-8859-1",
            "application/json; charset='utf-7'",
            "application/json; charset=utf-8; charset=utf-7",
            "application/json; x=\"; charset=utf-8\"; charset=utf-7",
            "application/json; charset*=utf-8''utf-7",
            "application/json; charset=\"utf\\-7\"",
            "application/json; charset=",
        ] {
            assert!(!taken(value), "{value}");
        }
    }
}
