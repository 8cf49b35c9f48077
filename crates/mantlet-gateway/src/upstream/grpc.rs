//! Calling an upstream over gRPC.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, TE};
use http::{Method, Request, Response};
use hyper::body::Incoming;

use super::{Fault, cause, failed_at};
use crate::body::Body;
use crate::live::{Live, LiveRoute, Target};
use crate::service::Shared;

/// One call whose message is whole. It is made once more, or to the fallback, only when it cannot have been seen.
pub(crate) async fn ask<'a>(
    shared: &Shared,
    live: &Live,
    route: &'a LiveRoute,
    target: &'a Target,
    method: &str,
    headers: &HeaderMap,
    message: impl Fn(&Target) -> Option<Bytes>,
) -> Result<(&'a Target, Response<Incoming>), Fault> {
    let mut fault = Fault::Unreachable;
    for target in [Some(target), Some(target), route.fallback(target)].into_iter().flatten() {
        let Some(bytes) = message(target) else { return Err(fault) };
        match begin(shared, live, target, method, headers, Body::Trailed(Some(bytes), None)).await {
            Ok(reply) => return Ok((target, reply)),
            Err(found @ (Fault::Unreachable | Fault::Resting)) => fault = found,
            Err(found) => return Err(found),
        }
    }
    Err(fault)
}

/// One call, given its reply as soon as its head is there.
pub(crate) async fn begin(
    shared: &Shared,
    live: &Live,
    target: &Target,
    method: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response<Incoming>, Fault> {
    let Some(grpc) = &target.grpc else { return Err(Fault::Unreachable) };
    let policy = live.config.breaker();
    if !grpc.breaker.allows(|| shared.ports.clock.now(), policy) {
        return Err(Fault::Resting);
    }
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = grpc.uri(method).ok_or(Fault::Unreachable)?;
    *request.headers_mut() = headers.clone();
    // Servers refuse clients that do not say they understand trailers.
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    for (name, value) in &target.credentials {
        request.headers_mut().insert(name.clone(), value.clone());
    }
    match shared.clients.grpc.request(request).await {
        Ok(reply) => {
            // UNAVAILABLE, said without a message.
            if reply.headers().get("grpc-status").is_some_and(|status| status == "14") {
                failed_at(shared, live, target, &grpc.breaker);
            } else {
                grpc.breaker.succeeded();
            }
            Ok(reply)
        }
        Err(error) => {
            tracing::warn!(version = %target.upstream.version, error = %cause(&error), "upstream call failed");
            if error.is_connect() {
                failed_at(shared, live, target, &grpc.breaker);
                return Err(Fault::Unreachable);
            }
            Err(Fault::Broken)
        }
    }
}
