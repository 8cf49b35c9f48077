//! Configurations taken over under load: no request fails, and what is under way finishes on what it began with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use mantlet_gateway::{Gateway, GatewayConfig, GatewayError, Upstream};

use crate::peer::{Peer, REPLY, ok};
use crate::world::{Caller, Memory, guard, guard_config, ports, route};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_reloads_under_load_fail_no_request() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let memory = Arc::new(Memory::default());
    let first = guard(guard_config());
    let routes = |guard: &Arc<_>| vec![route(peer.address, guard)];
    let gateway = Gateway::start(GatewayConfig::default(), routes(&first), ports(&memory)).await.unwrap();
    let gateway = Arc::new(gateway);
    let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (over, sent, at) = (Arc::clone(&over), Arc::clone(&sent), gateway.address());
        callers.spawn(async move {
            let client = Caller::new();
            let key = format!("caller-{number}");
            let mut newest = 0;
            while !over.load(Ordering::Relaxed) {
                let got = client.infer(at, &key, [0.1; 4]).await;
                assert_eq!((got.0, &got.2[..]), (StatusCode::OK, REPLY.as_bytes()));
                let generation: u64 = got.1["x-mantlet-generation"].to_str().unwrap().parse().unwrap();
                assert!(generation >= newest, "a caller never goes back to an older configuration");
                newest = generation;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            newest
        });
    }
    let mut current = Arc::clone(&first);
    for reload in 0..50_u64 {
        let next = guard(guard_config());
        let next = Arc::new(Arc::into_inner(next).unwrap().succeeding(&current));
        let config = GatewayConfig { upstream_timeout_ms: 30_000 + reload, ..GatewayConfig::default() };
        assert_eq!(gateway.reload(config, routes(&next)).unwrap(), reload + 2);
        current = next;
        if reload % 10 == 0 {
            // One that cannot be used is refused, and the old one serves on.
            let mut wrong = route(peer.address, &current);
            wrong.upstreams =
                vec![Upstream { url: "ftp://nowhere".into(), weight: 1, ..Upstream::default() }];
            let refused = gateway.reload(GatewayConfig::default(), vec![wrong]);
            assert!(matches!(refused, Err(GatewayError::Url { .. })));
        }
        // Four may have been under way; of eight more, some began after the reload.
        let before = sent.load(Ordering::Relaxed);
        let more = async {
            while sent.load(Ordering::Relaxed) < before + 8 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), more).await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let mut newest = 0;
    while let Some(seen) = callers.join_next().await {
        newest = newest.max(seen.unwrap());
    }
    assert_eq!((gateway.generation(), newest), (51, 51));
    let exchanges = memory.exchanges.lock().unwrap();
    assert_eq!(exchanges.len() as u64, sent.load(Ordering::Relaxed), "every request is in the record");
    assert!(exchanges.iter().all(|exchange| exchange.status == 200 && exchange.generation >= 1));
    // Every row a caller ever asked is still known to the last guard.
    let rows: u64 = current.states().iter().map(|(_, state)| state.rows).sum();
    assert_eq!(rows, sent.load(Ordering::Relaxed));
}
