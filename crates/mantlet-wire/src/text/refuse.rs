//! Refusals that a client of the dialect reads as what they are, in a message and in the middle of a stream.

use serde_json::json;

use super::Surface;
use crate::Refusal;

/// The error answer of the surface's dialect; `id` names the exchange.
///
/// The clients of these dialects send a request again on 408, 409, 429 and 5xx by themselves; for every other 4xx the
/// answer says `x-should-retry: false`, so a decision of policy wants such a status.
#[must_use]
pub fn refuse(surface: Surface, status: u16, reason: &str, id: &str) -> Refusal {
    let text = named(reason, id);
    let body = if surface.anthropic() {
        let mut body =
            json!({ "type": "error", "error": { "type": anthropic_type(status), "message": text } });
        if !id.is_empty() {
            body["request_id"] = json!(id);
        }
        body
    } else if surface == Surface::Mcp {
        rpc_error("null", &text)
    } else {
        json!({ "error": openai_error(status, &text) })
    };
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if (400..500).contains(&status) && !matches!(status, 408 | 409 | 429) {
        headers.push(("x-should-retry", "false".to_owned()));
    }
    if !id.is_empty() {
        headers.push((if surface.anthropic() { "request-id" } else { "x-request-id" }, id.to_owned()));
        headers.push(("x-mantlet-exchange", id.to_owned()));
    }
    Refusal { status, headers, body: body.to_string() }
}

/// The bytes that end a stream already under way so that the dialect's own client raises an error instead of taking
/// what came so far for the whole answer. They follow whole frames only. For [`Surface::Mcp`] use
/// [`refuse_call_stream`], which names the call.
#[must_use]
pub fn refuse_stream(surface: Surface, reason: &str, id: &str) -> Vec<u8> {
    let text = named(reason, id);
    match surface {
        Surface::AnthropicMessages | Surface::AnthropicCountTokens => {
            let error = json!({ "type": "error", "error": { "type": "permission_error", "message": text } });
            format!("event: error\ndata: {error}\n\n")
        }
        Surface::OpenAiResponses => {
            // `error` beside the event's own fields is what makes the client raise instead of handing the event on.
            let error = json!({
                "type": "error",
                "code": "policy_violation",
                "message": text,
                "param": null,
                "sequence_number": 0,
                "error": openai_error(403, &text),
            });
            format!("event: error\ndata: {error}\n\n")
        }
        Surface::Mcp => return refuse_call_stream(None, reason, id),
        _ => format!("data: {}\n\ndata: [DONE]\n\n", json!({ "error": openai_error(403, &text) })),
    }
    .into_bytes()
}

/// The answer of status 200 that tells an agent's client that its JSON-RPC call was refused: with another status the
/// client would take the session for broken. `rpc_id` is the call's id as JSON ([`super::TextRequest::rpc_id`]).
#[must_use]
pub fn refuse_call(rpc_id: Option<&str>, reason: &str, id: &str) -> Refusal {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if !id.is_empty() {
        headers.push(("x-mantlet-exchange", id.to_owned()));
    }
    let body = rpc_error(rpc_id.unwrap_or("null"), &named(reason, id)).to_string();
    Refusal { status: 200, headers, body }
}

/// The event that ends a JSON-RPC call on a stream of events: without the call's id its client would wait on.
#[must_use]
pub fn refuse_call_stream(rpc_id: Option<&str>, reason: &str, id: &str) -> Vec<u8> {
    let error = rpc_error(rpc_id.unwrap_or("null"), &named(reason, id));
    format!("event: message\ndata: {error}\n\n").into_bytes()
}

/// An error of JSON-RPC 2.0; the code is of the range left to servers.
pub(crate) fn rpc_error(rpc_id: &str, text: &str) -> serde_json::Value {
    let rpc_id: serde_json::Value = serde_json::from_str(rpc_id).unwrap_or(serde_json::Value::Null);
    json!({ "jsonrpc": "2.0", "id": rpc_id, "error": { "code": -32_003, "message": text } })
}

pub(crate) fn named(reason: &str, id: &str) -> String {
    if id.is_empty() { reason.to_owned() } else { format!("{reason} (exchange {id})") }
}

fn openai_error(status: u16, text: &str) -> serde_json::Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", "invalid_api_key"),
        403 => ("invalid_request_error", "policy_violation"),
        404 => ("invalid_request_error", "not_found"),
        413 => ("invalid_request_error", "request_too_large"),
        429 => ("rate_limit_error", "rate_limit_exceeded"),
        500.. => ("server_error", "server_error"),
        _ => ("invalid_request_error", "invalid_request"),
    };
    json!({ "message": text, "type": kind, "param": null, "code": code })
}

const fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 | 503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
