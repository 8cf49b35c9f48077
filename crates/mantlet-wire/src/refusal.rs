//! A refusal that a client of the dialect can read.

use serde_json::json;

/// A well-formed error answer of the Open Inference Protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Headers beside `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// The error shape of the protocol, `{"error": "<reason>"}`; `id` names the exchange in text and header.
#[must_use]
pub fn refuse(status: u16, reason: &str, id: &str) -> Refusal {
    let text = if id.is_empty() { reason.to_owned() } else { format!("{reason} (exchange {id})") };
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if !id.is_empty() {
        headers.push(("x-mantlet-exchange", id.to_owned()));
    }
    Refusal { status, headers, body: json!({ "error": text }).to_string() }
}
