//! Layer: limits on what a request asks for, kept together with other replicas.

use std::sync::Arc;

use mantlet_guard::shared::{Allowance, Ask, Holder, LimitRule, SharedLimits, Size, Standing, What, asks};
use mantlet_vocab::{Action, Decision, OnFailure, Request};

use super::Ending;
use crate::exchange::Open;
use crate::metrics::Limited;

/// Places of concurrency limits, given back when the exchange is over, however it ends.
#[must_use]
pub(crate) struct Held {
    limits: Arc<dyn SharedLimits>,
    asks: Vec<Ask>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.asks.iter().any(|ask| matches!(ask.allowance, Allowance::Concurrent(_))) {
            self.limits.release(&self.asks);
        }
    }
}

/// Takes what is known of a request before it is read: itself, its bytes, its place.
pub(crate) async fn arrived(open: &Open, key: &str, bytes: usize) -> Result<Option<Held>, Ending> {
    let rules = |rule: &&LimitRule| rule.what != What::Rows;
    take(open, key, rules, Size { requests: 1, bytes: bytes as u64, ..Size::default() }).await
}

/// Takes the rows of a request that was read.
pub(crate) async fn read(open: &Open, key: &str) -> Result<Option<Held>, Ending> {
    let rows = |request: &Request| {
        request.inputs.iter().filter_map(|input| input.value.shape().first()).max().copied().unwrap_or(1)
    };
    let rows = open.so_far().map_or(0, |exchange| rows(&exchange.request));
    take(open, key, |rule| rule.what == What::Rows, Size { rows: rows as u64, ..Size::default() }).await
}

async fn take(
    open: &Open,
    key: &str,
    which: impl Fn(&&LimitRule) -> bool,
    size: Size,
) -> Result<Option<Held>, Ending> {
    let route = open.route();
    let config = route.route.guard.config();
    let rules: Vec<LimitRule> = config.limits.iter().filter(which).copied().collect();
    if rules.is_empty() {
        return Ok(None);
    }
    let shared = open.shared();
    let asks = asks(&rules, Holder { key, user: None, tenant: None, route: &config.route }, size);
    let limits = Arc::clone(&shared.ports.limits);
    let answer = limits.take(&asks).await;
    let (standing, taken) = match &answer {
        Ok(granted) => (granted.standing, true),
        Err(denied) => (denied.standing, false),
    };
    shared.metrics.limits.get_or_create(&Limited { standing: standing.word(), taken }).inc();
    // Only what was taken is given back.
    let denied = match answer {
        Ok(_) => return Ok(Some(Held { limits, asks })),
        Err(denied) => denied,
    };
    let decided = |action: Action| Decision {
        action: action.clone(),
        proposed: action,
        ..Decision::allow(config.mode)
    };
    if matches!(denied.standing, Standing::Waiting | Standing::Lost) {
        let why = "limits cannot be counted now";
        return match config.limits_on_failure {
            OnFailure::PassAndFlag => Ok(None),
            OnFailure::Divert => Err(Ending::Diverted(decided(Action::Divert), why.to_owned())),
            OnFailure::Refuse => Err(Ending::refused(503, why)),
        };
    }
    let what = denied.bucket.split('/').nth(1).unwrap_or("requests");
    let throttle = Action::Throttle { retry_after_ms: denied.retry_after_ms };
    Err(Ending::Stopped(decided(throttle), format!("over the limit of {what}")))
}
