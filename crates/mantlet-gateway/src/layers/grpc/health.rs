//! Health over gRPC (`grpc.health.v1`), as orchestrators and load balancers ask for it.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use mantlet_wire::grpc::{read_grpc_about, write_grpc_health};

use super::message::{Unread, one, own};
use super::ready;
use crate::answer::Answer;
use crate::dialect::Dialect;
use crate::handle::turn_away;
use crate::layers::shape::receive;
use crate::live::Live;
use crate::service::Shared;

/// Whether the service that is named serves: all of it, inference as such, or one model.
pub(super) async fn check(shared: &Arc<Shared>, live: &Arc<Live>, request: Request<Incoming>) -> Answer {
    let refuse = |status: u16, text: &str, why| turn_away(shared, &Dialect::Grpc, status, text, why);
    let (parts, body) = request.into_parts();
    let Ok(raw) = receive(&parts.headers, body, live).await else {
        return refuse(400, "the body cannot be taken", "body");
    };
    let read = one(&parts.headers, raw, live.config.max_body)
        .and_then(|message| read_grpc_about(&message.text).map_err(Unread::Defect));
    match read {
        Ok((service, None)) if matches!(service.as_str(), "" | "inference.GRPCInferenceService") => {
            own(&write_grpc_health(ready(shared, live).await))
        }
        // Which models there are is not told to strangers.
        Ok(_) => refuse(404, "there is no such service", "no-such-path"),
        Err(unread) => refuse(unread.status(), &unread.text(), "malformed"),
    }
}
