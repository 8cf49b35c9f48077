//! What stands around every page: headers, the hosts we answer to, and where changes may come from.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::server::Shared;

/// Nothing but our own files: no inline script or style, no frames, forms only to ourselves.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Checks where a request is for and where it comes from, then adds the headers every answer carries.
pub(crate) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&shared, request.method(), request.headers()) {
        Some((status, reason)) => (status, reason).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: under that browsers send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Why a request is not even looked at.
fn refusal(shared: &Shared, method: &Method, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
    // A name we were not told about may be an attacker's that points at this machine (DNS rebinding).
    let Some(host) = host.filter(|host| hosts.next().is_none() && shared.hosts.contains(host)) else {
        return Some((
            StatusCode::MISDIRECTED_REQUEST,
            "The console does not answer to this host name. Add it to `hosts` under [console].\n",
        ));
    };
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let ours = match text(header::ORIGIN) {
        Some(origin) => ["http://", "https://"]
            .iter()
            .any(|scheme| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(&host))),
        // Programs send no Origin; they show an API key, which no other site can make a browser send.
        None => match text(header::HeaderName::from_static("sec-fetch-site")) {
            Some(site) => site == "same-origin",
            None => headers.contains_key(header::AUTHORIZATION),
        },
    };
    (!ours).then_some((StatusCode::FORBIDDEN, "This change did not come from the console's own pages.\n"))
}
