//! Traffic that is not looked at: identity, limits and controls, the upstream, the record. Replies pass as they arrive.

use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use mantlet_guard::Caller;
use mantlet_vocab::Decision;

use super::limits as together;
use super::shape::receive;
use super::{Ending, recordable, unanswered, version};
use crate::answer::Answer;
use crate::exchange::Open;
use crate::headers::onward_of;
use crate::upstream::direct::Arriving;
use crate::upstream::{Call, Fault, Path, begin};

/// One call of a known caller.
pub(crate) async fn answer(
    mut open: Open,
    key: &str,
    named: Option<&str>,
    path: Path,
    request: Request<Incoming>,
) -> Answer {
    match flow(&mut open, key, named, path, request).await {
        Ok(reply) => {
            let decision = Decision::allow(open.route().route.guard.config().mode);
            open.passing(reply, decision)
        }
        Err(ending) => open.end(ending),
    }
}

/// The layers.
async fn flow(
    open: &mut Open,
    key: &str,
    named: Option<&str>,
    path: Path,
    request: Request<Incoming>,
) -> Result<Response<Arriving>, Ending> {
    let (shared, live, route) = (open.shared(), open.live(), open.route());
    let guard = &route.route.guard;
    let caller = Caller { key };
    let target = version(open, &route, key, named)?;
    if let Some(stopped) = guard.admit(caller, open.at()) {
        return Err(Ending::Stopped(stopped.decision, stopped.reason));
    }
    // A decision that a person's switch sends to people is not given out because nobody looks at it.
    if let Some(diverted) = guard.diverts(caller, open.at()) {
        return Err(Ending::Diverted(diverted.decision, diverted.reason));
    }
    recordable(open)?;
    let (parts, body) = request.into_parts();
    open.traced(&parts.headers);
    let body = if parts.method == Method::GET {
        bytes::Bytes::new()
    } else {
        receive(&parts.headers, body, &live).await?
    };
    together::arrived(open, body.len()).await?;
    let call = Call { method: parts.method, path, headers: onward_of(parts.headers, false), body };
    let timeout = Duration::from_millis(live.config.upstream_timeout_ms);
    let reply = tokio::time::timeout(timeout, begin(&shared, &live, &route, target, call)).await;
    let reply = reply.unwrap_or(Err(Fault::Late)).map_err(|fault| {
        shared.metrics.upstream_faults.inc();
        unanswered(open, fault)
    })?;
    open.version(&reply.by.upstream.version);
    let mut answer = Response::new(reply.body);
    (*answer.status_mut(), *answer.headers_mut()) = (reply.status, reply.headers);
    Ok(answer)
}
