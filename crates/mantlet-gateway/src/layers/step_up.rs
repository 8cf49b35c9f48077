//! Proving again who one is: the answer to a challenge, and the pass that is shown afterwards.
//!
//! `POST /mantlet/v1/step-up` with `{"challenge": ..., "model": ...}` by the same caller. What proves it: a provider's
//! token made after the challenge was, or a second key of the same user in `x-mantlet-second-key`. A challenge is
//! answered once, whichever replica is asked: it is a bucket of one unit, and whoever takes it owes enough that none is
//! there again before the challenge is over.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use mantlet_guard::shared::{Allowance, Ask, Standing};
use mantlet_guard::{Caller, StepUpError};
use serde::Deserialize;
use serde_json::json;

use super::identity::identify;
use crate::answer::{Answer, json_answer};
use crate::dialect::Dialect;
use crate::exchange::Open;
use crate::handle::refuse;
use crate::keys::single;
use crate::listen::Peer;
use crate::live::Live;
use crate::metrics::Stepped;
use crate::service::Shared;
use crate::who::Proof;

/// Where challenges are answered.
pub(crate) const PATH: &str = "/mantlet/v1/step-up";
/// What a caller shows that has stepped up.
pub(crate) const PASS: HeaderName = HeaderName::from_static("x-mantlet-pass");
/// Another key of the same user.
const SECOND: &str = "x-mantlet-second-key";
/// Bytes of an answer to a challenge.
const BODY: usize = 4 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    challenge: String,
    model: String,
}

/// Takes the pass of a request, if it shows one: replicas that did not give it learn of it so.
pub(crate) fn shown(open: &Open, caller: Caller<'_>, headers: &HeaderMap) {
    if let Some(pass) = headers.get(PASS).and_then(|pass| pass.to_str().ok()) {
        // One that does not count changes nothing: the caller is asked again.
        let _ = open.route().route.guard.shown(caller, pass, open.at());
    }
}

/// One answer to a challenge.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    live: &Arc<Live>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Answer {
    if request.method() != Method::POST {
        return refuse(shared, 405, "this path has another method", "method");
    }
    let (parts, body) = request.into_parts();
    let timeout = Duration::from_millis(live.config.body_timeout_ms);
    let body = tokio::time::timeout(timeout, Limited::new(body, BODY).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes(),
        _ => return refuse(shared, 400, "the answer to the challenge did not arrive whole", "step-up"),
    };
    let Ok(Asked { challenge, model }) = serde_json::from_slice(&body) else {
        let text = "answer a challenge with {\"challenge\": \"...\", \"model\": \"...\"}";
        return refuse(shared, 400, text, "step-up");
    };
    let who = match identify(shared, live, peer, &parts.headers, &model, &Dialect::Tensors) {
        Ok(who) => who,
        Err(refusal) => return refusal,
    };
    let Some(route) = live.routes.get(&model) else {
        return refuse(shared, 404, "there is no such model", "no-such-model");
    };
    let now = shared.ports.clock.now();
    let second = single(&parts.headers, SECOND).flatten();
    let authenticated = match (&who.proof, second) {
        (Proof::Key, Some(second)) if shared.ports.keys.seconds(&who, second, now) => Some(now),
        (Proof::Token(_, authenticated), _) => *authenticated,
        _ => None,
    };
    let told = |how: &'static str| shared.metrics.step_ups.get_or_create(&Stepped { how }).inc();
    let guard = &route.route.guard;
    let caller = Caller { key: &who };
    let answered = guard.answered(caller, &challenge, authenticated.unwrap_or_default(), now);
    let answered = match answered {
        Ok(answered) => answered,
        Err(why) => {
            tracing::warn!(caller = %*who, route = %model, %why, "a challenge was not answered");
            told(match why {
                StepUpError::Expired => "expired",
                StepUpError::NotRenewed => "not-renewed",
                StepUpError::Forged | _ => "forged",
            });
            return refuse(shared, 403, &why.to_string(), "step-up");
        }
    };
    // A unit a second, and one at once: whoever takes it owes as many as there are seconds until the challenge is over.
    let allowance = Allowance::Rate { per_minute: 60.0, burst: 1.0 };
    let bucket = format!("{}/challenge/{}", guard.config().route, answered.id);
    let once = [Ask { bucket: bucket.clone(), allowance, amount: 1.0 }];
    if let Err(denied) = shared.ports.limits.take(&once).await {
        if matches!(denied.standing, Standing::Waiting | Standing::Lost) {
            told("uncounted");
            return refuse(
                shared,
                503,
                "whether this challenge was answered before cannot be told now",
                "step-up",
            );
        }
        tracing::warn!(caller = %*who, route = %model, "a challenge was answered a second time");
        told("again");
        return refuse(
            shared,
            403,
            "this challenge was answered before; ask again to get a new one",
            "step-up",
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    let owed = answered.within.since(now) as f64 / 1_000.0 + 2.0;
    shared.ports.limits.charge(&[Ask { bucket, allowance, amount: owed }]);
    guard.stepped_up(caller, answered.until, now);
    told("answered");
    tracing::info!(caller = %*who, route = %model, until = answered.until.0, "the caller has stepped up");
    json_answer(StatusCode::OK, &json!({ "until_ms": answered.until.0, "pass": answered.pass }))
}
