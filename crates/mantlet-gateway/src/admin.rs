//! `/status` and `/metrics`.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;

use crate::answer::{Answer, json_answer, plain};
use crate::service::Shared;

/// Answers `/status` or `/metrics`.
pub(crate) fn answer(shared: &Shared, path: &str) -> Answer {
    let live = shared.live.load();
    if path == "/metrics" {
        let callers: usize = live.routes.values().map(|route| route.route.guard.callers()).sum();
        shared.metrics.callers.set(i64::try_from(callers).unwrap_or(i64::MAX));
        for peers in live.routes.values().filter_map(|route| route.route.guard.peers()) {
            shared.metrics.peers(&peers);
        }
        let tried = live.routes.iter().filter_map(|(name, route)| {
            let split = route.route.guard.controls().split()?;
            Some((name.clone(), split))
        });
        shared.metrics.rollouts(tried);
        let mut answer = plain(StatusCode::OK, Bytes::from(shared.metrics.text()));
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        return answer;
    }
    let mut routes: Vec<_> = live.routes.values().collect();
    routes.sort_by(|a, b| a.route.model.cmp(&b.route.model));
    let routes = routes.iter().map(|route| {
        let guard = &route.route.guard;
        let config = guard.config();
        json!({
            "model": route.route.model,
            "system": config.system,
            "route": config.route,
            "mode": config.mode,
            "impact": config.impact,
            "versions": route.route.upstreams.iter().map(|u| json!({
                "version": u.version, "weight": u.weight,
            })).collect::<Vec<_>>(),
            "chosen_version": guard.controls().version(),
            "rollout": guard.controls().split(),
            "diverted": guard.controls().path().map(|path| path.reason),
            "cut_off": guard.controls().is_cut_off(),
            "controls": guard.controls().snapshot().keys.len(),
            "pinned_rules": guard.pinned().len(),
            "judges": guard.judges().map(|(name, window, lag)| json!({
                "name": name, "window": window, "release_lag": lag,
            })).collect::<Vec<_>>(),
            "callers": guard.callers(),
            "replicas": guard.peers().map(|peers| json!({
                "alone": peers.alone, "told": peers.told, "heard": peers.heard,
                "left_out": peers.left_out, "missed": peers.missed,
            })),
            "not_done": guard.gaps(),
        })
    });
    let body = json!({
        "generation": live.generation,
        "up_ms": shared.ports.clock.now().since(shared.started),
        "routes": routes.collect::<Vec<_>>(),
    });
    json_answer(StatusCode::OK, &body)
}
