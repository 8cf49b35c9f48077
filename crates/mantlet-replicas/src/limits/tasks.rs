//! What runs beside requests: the beat that keeps the place, and the calls that follow a request.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use mantlet_guard::shared::Ask;
use tokio::sync::mpsc;

use super::{FAILURES, Inner, Verb, held};

/// Keeps the connection and this replica's place; finds out when Redis is back.
pub(super) async fn beat(inner: Arc<Inner>, client: redis::Client) {
    let every = inner.options.quiet / 5;
    let patience = inner.options.quiet / 2;
    let mut silent = 0;
    while !inner.stop.load(Ordering::Relaxed) {
        let missing = held(&inner.connection).is_none();
        if missing {
            match tokio::time::timeout(patience, client.get_multiplexed_async_connection()).await {
                Ok(Ok(connection)) => {
                    *held(&inner.connection) = Some(connection);
                    held(&inner.fault).take();
                    silent = 0;
                }
                Ok(Err(fault)) => {
                    inner.cannot(fault.to_string());
                    tokio::time::sleep(every).await;
                    continue;
                }
                Err(_) => {
                    inner.cannot("it does not answer".to_owned());
                    tokio::time::sleep(every).await;
                    continue;
                }
            }
        }
        let unsaid: Vec<Ask> = {
            let mut unsaid = held(&inner.unsaid);
            let some: Vec<String> = unsaid.keys().take(256).cloned().collect();
            some.iter().filter_map(|bucket| unsaid.remove(bucket)).collect()
        };
        let verb = if unsaid.is_empty() { Verb::Beat } else { Verb::Release };
        let answered = inner.call(verb, &unsaid, patience).await.is_some();
        if !answered {
            held(&inner.unsaid).extend(unsaid.into_iter().map(|ask| (ask.bucket.clone(), ask)));
        }
        if answered {
            if silent > 0 {
                tracing::info!("shared limits: Redis answers again");
            }
            silent = 0;
            inner.wake.notify_waiters();
        } else {
            silent += 1;
            inner.failures.fetch_max(FAILURES, Ordering::Relaxed);
            if silent == 1 {
                tracing::warn!(
                    "shared limits: Redis does not answer; this replica goes over to its own share"
                );
            }
            // What was sent into a connection that is cut may arrive much later: begin with a fresh one.
            if silent >= 2 {
                held(&inner.connection).take();
            }
        }
        tokio::time::sleep(every).await;
    }
}

impl Inner {
    /// Redis cannot be connected to; said once for each reason.
    fn cannot(&self, why: String) {
        let mut known = held(&self.fault);
        if known.as_ref() != Some(&why) {
            tracing::warn!(fault = why, "shared limits: Redis cannot be connected to; trying again");
            *known = Some(why);
        }
    }
}

/// Sends charges and releases, in order.
pub(super) async fn afterwards_loop(
    inner: std::sync::Weak<Inner>,
    mut queue: mpsc::Receiver<(Verb, Vec<Ask>)>,
) {
    while let Some((verb, asks)) = queue.recv().await {
        let Some(inner) = inner.upgrade() else { return };
        if inner.failures.load(Ordering::Relaxed) < FAILURES {
            let patience = inner.options.quiet;
            if inner.call(verb, &asks, patience).await.is_some() {
                continue;
            }
        }
        // What cannot be charged there is charged here; what cannot be given back there is, with a later beat.
        if verb == Verb::Release {
            held(&inner.unsaid).extend(asks.into_iter().map(|ask| (ask.bucket.clone(), ask)));
        } else {
            let mut share = held(&inner.share);
            asks.iter().for_each(|ask| share.charge(ask, Instant::now()));
        }
    }
}
