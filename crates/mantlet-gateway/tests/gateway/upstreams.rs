//! Upstreams that fail: what is tried again, what is left alone, who stands in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::Full;
use mantlet_gateway::{Gateway, GatewayConfig, GatewayError, Route};
use tokio::net::TcpListener;

use crate::peer::{Peer, REPLY, ok};
use crate::world::{Caller, Memory, body, guard, guard_config, ports, route};

const INFER: &str = "/v2/models/sums/infer";

/// An address where nothing listens.
async fn dead() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn failing(status: u16) -> Response<Full<bytes::Bytes>> {
    let mut answer = ok("{}");
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

async fn start(config: GatewayConfig, routes: Vec<Route>) -> (Gateway, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    (Gateway::start(config, routes, ports(&memory)).await.unwrap(), memory)
}

#[tokio::test]
async fn the_fallback_answers_when_the_chosen_version_cannot_be_reached_and_only_then() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let mut over = route(dead().await, &guard(guard_config()));
    over.upstreams[1].url = format!("http://{}", peer.address);
    over.fallback = Some("2".into());
    let (gateway, memory) = start(GatewayConfig::default(), vec![over.clone()]).await;
    let client = Caller::new();
    assert_eq!(client.infer(gateway.address(), "ann", [0.0; 4]).await.0, StatusCode::OK);
    assert_eq!(memory.last().version, "2", "the record names who answered");
    // An upstream that took the call and failed is not replaced: the call may have had its effect.
    let broken = Peer::start(Box::new(|_| failing(500))).await;
    over.upstreams[0].url = format!("http://{}", broken.address);
    gateway.reload(gateway_config(&gateway), vec![over.clone()]).unwrap();
    assert_eq!(client.infer(gateway.address(), "ann", [0.0; 4]).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!((broken.count(), peer.count()), (1, 1));

    over.fallback = Some("nowhere".into());
    let refused = gateway.reload(gateway_config(&gateway), vec![over]);
    assert!(matches!(refused, Err(GatewayError::Fallback { .. })));
}

fn gateway_config(gateway: &Gateway) -> GatewayConfig {
    let _ = gateway;
    GatewayConfig::default()
}

#[tokio::test]
async fn an_upstream_that_keeps_failing_is_left_alone_and_taken_back_when_it_is_well() {
    let well = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&well);
    let peer =
        Peer::start(Box::new(move |_| if state.load(Ordering::Relaxed) { ok(REPLY) } else { failing(503) }))
            .await;
    let config = GatewayConfig { breaker_failures: 3, breaker_open_ms: 300, ..GatewayConfig::default() };
    let (gateway, _) = start(config, vec![route(peer.address, &guard(guard_config()))]).await;
    let client = Caller::new();
    for _ in 0..3 {
        assert_eq!(client.infer(gateway.address(), "ann", [0.0; 4]).await.0.as_u16(), 503);
    }
    for _ in 0..20 {
        assert_eq!(client.infer(gateway.address(), "ann", [0.0; 4]).await.0.as_u16(), 503);
    }
    assert!(peer.count() <= 4, "{} calls reached an upstream that is left alone", peer.count());
    well.store(true, Ordering::Relaxed);
    let back = async {
        while client.infer(gateway.address(), "ann", [0.0; 4]).await.0 != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
    assert_eq!(client.infer(gateway.address(), "ann", [0.0; 4]).await.0, StatusCode::OK);
    let metrics = client.send(gateway.address(), "GET", "/metrics", &[], "").await;
    let text = String::from_utf8(metrics.2.to_vec()).unwrap();
    assert!(text.contains("mantlet_gateway_upstream_breaks_total 1"), "{text}");
    // What a proxy on this machine hands on is not the machine itself; a key for it may read from anywhere.
    let key = ("authorization", "Bearer secret-prometheus");
    let other = ("authorization", "Bearer secret-ann");
    let through = ("x-forwarded-for", "192.0.2.4");
    for path in ["/metrics", "/status"] {
        for (headers, status) in [
            (vec![], 200),
            (vec![through], 404),
            (vec![("forwarded", "for=192.0.2.4")], 404),
            (vec![("via", "1.1 proxy")], 404),
            (vec![through, other], 404),
            (vec![through, key], 200),
            (vec![("x-forwarded-by", "nobody reads this")], 200),
        ] {
            let got = client.send(gateway.address(), "GET", path, &headers, "").await;
            assert_eq!(got.0.as_u16(), status, "{path} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_failed_health_check_takes_an_upstream_out_before_a_caller_finds_out() {
    let well = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&well);
    let peer = Peer::start(Box::new(move |asked| {
        if asked.path != "/healthz" || state.load(Ordering::Relaxed) { ok(REPLY) } else { failing(500) }
    }))
    .await;
    let stand_in = Peer::start(Box::new(|_| ok(REPLY))).await;
    let config =
        GatewayConfig { health_interval_ms: 20, breaker_open_ms: 60_000, ..GatewayConfig::default() };
    let mut over = route(peer.address, &guard(guard_config()));
    over.upstreams[0].health = Some("/healthz".into());
    over.upstreams[1].url = format!("http://{}", stand_in.address);
    over.fallback = Some("2".into());
    let (gateway, memory) = start(config, vec![over]).await;
    let client = Caller::new();
    assert_eq!(client.infer(gateway.address(), "ann", [0.0; 4]).await.0, StatusCode::OK);
    assert_eq!(memory.last().version, "1");
    for (healthy, version) in [(false, "2"), (true, "1")] {
        well.store(healthy, Ordering::Relaxed);
        let changed = async {
            loop {
                assert_eq!(client.infer(gateway.address(), "ann", [0.0; 4]).await.0, StatusCode::OK);
                if memory.last().version == version {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), changed).await.unwrap();
    }
}

#[tokio::test]
async fn a_route_that_is_not_inspected_streams_and_still_knows_limits_controls_and_the_record() {
    let peer = Peer::start(Box::new(|_| ok("anything at all"))).await;
    let mut over = route(peer.address, &guard(guard_config()));
    over.inspect = false;
    let held = over.guard.clone();
    let (gateway, memory) = start(GatewayConfig::default(), vec![over]).await;
    let client = Caller::new();
    let key = [("x-api-key", "secret-ann")];
    let got = client.send(gateway.address(), "POST", INFER, &key, "not JSON").await;
    assert_eq!((got.0, &got.2[..]), (StatusCode::OK, &b"anything at all"[..]));
    assert_eq!(peer.last().body, "not JSON");
    let exchange = memory.last();
    assert_eq!((exchange.caller.as_str(), exchange.status), ("ann", 200));
    assert_eq!(client.send(gateway.address(), "POST", INFER, &[], "x").await.0, StatusCode::UNAUTHORIZED);
    held.controls().divert_path(mantlet_vocab::Millis(0), None, "a person looks first");
    let got = client.send(gateway.address(), "POST", INFER, &key, body([0.0; 4])).await;
    assert_eq!((got.0, peer.count()), (StatusCode::ACCEPTED, 1), "nothing is given out because nobody looks");
}
