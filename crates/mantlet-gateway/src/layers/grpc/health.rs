//! Health over gRPC (`grpc.health.v1`), as orchestrators and load balancers ask for it: once, or to be told of every
//! change.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, StatusCode};
use hyper::body::{Frame, Incoming};
use mantlet_wire::grpc::{GrpcHealth, grpc_frame, read_grpc_about, write_grpc_health};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::message::{Unread, one, own};
use super::ready;
use super::stream::End;
use crate::answer::{Answer, passed};
use crate::body::{Body, Broken};
use crate::dialect::Dialect;
use crate::handle::turn_away;
use crate::layers::shape::receive;
use crate::live::Live;
use crate::service::Shared;

/// Whether all of it serves: asked of upstreams once however many watch.
#[derive(Default)]
pub(crate) struct Serving(tokio::sync::Mutex<Option<(Instant, bool)>>);

impl Serving {
    /// Asked anew when the last answer is older than this.
    async fn within(&self, shared: &Shared, patience: Duration) -> bool {
        let mut known = self.0.lock().await;
        if let Some((asked, serving)) = *known
            && asked.elapsed() < patience
        {
            return serving;
        }
        let live = shared.live.load_full();
        let serving = live.grpc_routes().next().is_some() && ready(shared, &live).await;
        *known = Some((Instant::now(), serving));
        serving
    }
}

/// The service that is asked about: whether it is one of ours. Which models there are is not told to strangers.
async fn asked(live: &Live, request: Request<Incoming>) -> Result<bool, (u16, String)> {
    let (parts, body) = request.into_parts();
    let Ok(raw) = receive(&parts.headers, body, live).await else {
        return Err((400, "the body cannot be taken".to_owned()));
    };
    let read = one(&parts.headers, raw, live.config.max_body)
        .and_then(|message| read_grpc_about(&message.text).map_err(Unread::Defect));
    match read {
        Ok((service, None)) => Ok(matches!(service.as_str(), "" | "inference.GRPCInferenceService")),
        Ok(_) => Ok(false),
        Err(unread) => Err((unread.status(), unread.text())),
    }
}

const fn word(serving: bool) -> GrpcHealth {
    if serving { GrpcHealth::Serving } else { GrpcHealth::NotServing }
}

/// Whether the service that is named serves: all of it, or inference as such.
pub(super) async fn check(shared: &Arc<Shared>, live: &Arc<Live>, request: Request<Incoming>) -> Answer {
    let refuse = |status: u16, text: &str, why| turn_away(shared, &Dialect::Grpc, status, text, why);
    match asked(live, request).await {
        Ok(true) => own(&write_grpc_health(word(ready(shared, live).await))),
        Ok(false) => refuse(404, "there is no such service", "no-such-path"),
        Err((status, text)) => refuse(status, &text, "malformed"),
    }
}

/// Says whether the service serves, and again whenever that changes, until the caller goes away or the gateway ends. A
/// service nobody knows is watched too, as the protocol wants it: it may come.
pub(super) async fn watch(shared: &Arc<Shared>, live: &Arc<Live>, request: Request<Incoming>) -> Answer {
    let refuse = |status: u16, text: &str, why| turn_away(shared, &Dialect::Grpc, status, text, why);
    let Ok(room) = Arc::clone(&shared.watches).try_acquire_owned() else {
        return refuse(503, "too many watch already; ask by `Check`", "grpc");
    };
    let ours = match asked(live, request).await {
        Ok(ours) => ours,
        Err((status, text)) => return refuse(status, &text, "malformed"),
    };
    let (sender, receiver) = mpsc::channel(1);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        tell(&shared, ours, &sender).await;
        drop(room);
    });
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    passed(StatusCode::OK, headers, Body::Framed(receiver))
}

async fn tell(shared: &Shared, ours: bool, down: &mpsc::Sender<Result<Frame<Bytes>, Broken>>) {
    let mut stop = shared.stop.clone();
    let message = |health| Ok(Frame::data(Bytes::from(grpc_frame(&write_grpc_health(health)))));
    let mut told = None;
    loop {
        let pause = Duration::from_millis(shared.live.load().config.health_interval_ms.max(10));
        // Half of it: whoever asks first in a pause asks for all.
        let health =
            if ours { word(shared.serving.within(shared, pause / 2).await) } else { GrpcHealth::Unknown };
        if told != Some(health) {
            told = Some(health);
            if down.send(message(health)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = down.closed() => return,
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    if ours {
        let _ = down.send(message(GrpcHealth::NotServing)).await;
    }
    if let End::Told(trailers) = End::refused(503, "the gateway ends") {
        let _ = down.send(Ok(Frame::trailers(trailers))).await;
    }
}
