//! Health checks: upstreams that name a path are asked now and then, so that one that is down is known before a
//! caller finds out, and one that is back takes traffic again.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use tokio::sync::watch;

use super::{Call, Path, breaker};
use crate::service::Shared;

/// Bytes of a health answer that are read, so that the connection can be used again.
const ANSWER: usize = 64 << 10;

/// Asks until told to stop.
pub(crate) async fn check(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        let live = shared.live.load_full();
        let period = Duration::from_millis(live.config.health_interval_ms.max(10));
        for target in live.routes.values().chain(&live.prefixed).flat_map(|route| &route.targets) {
            target.sweep();
        }
        for target in live.routes.values().chain(&live.prefixed).flat_map(|route| &route.targets) {
            let Some(path) = &target.upstream.health else { continue };
            let mut call = Call { path: Path::Below(path.clone()), ..Call::get("") };
            let asked = async {
                let reply = target.ask(&shared.clients, &mut call).await.ok()?;
                let good = reply.status().is_success();
                Limited::new(reply.into_body(), ANSWER).collect().await.ok()?;
                good.then_some(())
            };
            let healthy = tokio::select! {
                answer = tokio::time::timeout(period, asked) => matches!(answer, Ok(Some(()))),
                _ = stop.changed() => return,
            };
            if healthy {
                target.breaker.succeeded();
            } else {
                // A failed check opens it at once: it was asked for nothing else.
                let policy = breaker::Policy { failures: 1, ..live.config.breaker() };
                if target.breaker.failed(shared.ports.clock.now(), policy) {
                    tracing::error!(
                        version = %target.upstream.version, address = %target.upstream.url,
                        "the upstream fails its health check and takes no traffic"
                    );
                }
            }
        }
        drop(live);
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            _ = stop.changed() => return,
        }
    }
}
