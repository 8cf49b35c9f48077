//! A version tried beside the one that serves, and limits kept together with others.

use std::time::{Duration, Instant};

use http::StatusCode;
use mantlet_guard::shared::{LimitRule, Per, What};
use mantlet_guard::{GuardConfig, Split};

use crate::world::{World, guard_config};

const ROW: [f32; 4] = [0.1, 0.2, 0.3, 0.1];

fn split(share: u32, shadow: bool) -> Split {
    Split { rollout: "r1".into(), stable: "1".into(), candidate: "2".into(), share, shadow }
}

#[tokio::test]
async fn each_caller_gets_its_version_and_stays_with_it() {
    let World { server: _server, gateway, memory, client, guard, .. } = World::start(guard_config()).await;
    let at = gateway.address();
    let controls = guard.controls();
    controls.set_version(Some("1".into()));
    controls.set_split(Some(split(3_000, false)));
    for round in 0..2 {
        for n in 0..60 {
            let caller = format!("caller{n}");
            assert_eq!(client.infer(at, &caller, ROW).await.0, StatusCode::OK, "round {round}");
            let expected = if split(3_000, false).takes(&caller) { "2" } else { "1" };
            assert_eq!(memory.last().version, expected, "{caller}");
        }
    }
    let tried = memory.exchanges.lock().unwrap().iter().filter(|exchange| exchange.version == "2").count();
    assert!((20..=52).contains(&tried), "{tried} of 120 at 30 %");
    // A candidate without an endpoint is not tried: its callers get the version that serves.
    let nowhere = Split { candidate: "9".into(), ..split(10_000, false) };
    controls.set_split(Some(nowhere));
    assert_eq!(client.infer(at, "ann", ROW).await.0, StatusCode::OK);
    assert_eq!(memory.last().version, "1");
    // One switch, and the next request is everybody's.
    controls.set_split(Some(split(10_000, false)));
    controls.serve_only("1");
    assert_eq!(client.infer(at, "ann", ROW).await.0, StatusCode::OK);
    assert_eq!(memory.last().version, "1");
    assert!(gateway.is_ready("sums", "1").await && !gateway.is_ready("sums", "9").await);
}

#[tokio::test]
async fn a_shadow_gets_copies_and_answers_nobody() {
    let World { server, gateway, memory, client, guard, .. } = World::start(guard_config()).await;
    let at = gateway.address();
    guard.controls().set_split(Some(split(0, true)));
    let served = client.infer(at, "ann", ROW).await;
    assert_eq!(memory.last().version, "1");
    let begun = Instant::now();
    while memory.shadowed.lock().unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no copy was sent");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let copy = memory.shadowed.lock().unwrap()[0].clone();
    assert_eq!((copy.version.as_str(), copy.status, copy.caller.as_str()), ("2", 200, "ann"));
    assert_ne!(copy.reply, memory.last().reply, "the versions answer differently");
    guard.controls().set_split(None);
    assert_eq!(
        client.infer(at, "ann", ROW).await.2,
        served.2,
        "the caller's answer was the serving version's"
    );
    assert_eq!(memory.shadowed.lock().unwrap().len(), 1);
    assert_eq!(memory.exchanges.lock().unwrap().len(), 2, "a copy is no exchange");
    // A shadow that is down is a failure of the candidate's, and nobody notices.
    guard.controls().set_split(Some(split(0, true)));
    server.shutdown().await;
    assert_eq!(client.infer(at, "ann", ROW).await.0, StatusCode::BAD_GATEWAY);
    while memory.shadowed.lock().unwrap().len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(20), "no copy was sent");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(memory.shadowed.lock().unwrap()[1].status, 502);
}

#[tokio::test]
async fn limits_stop_what_is_over_them_and_nothing_else() {
    let rule = |what, per, most, burst| LimitRule { what, per, most, burst: Some(burst) };
    let limits = vec![rule(What::Requests, Per::Key, 1.0, 3.0), rule(What::Rows, Per::Route, 1.0, 5.0)];
    let config = GuardConfig { limits, ..guard_config() };
    let World { server: _server, gateway, client, .. } = World::start(config).await;
    let at = gateway.address();
    for _ in 0..3 {
        assert_eq!(client.infer(at, "ann", ROW).await.0, StatusCode::OK);
    }
    let over = client.infer(at, "ann", ROW).await;
    assert_eq!(over.0, StatusCode::TOO_MANY_REQUESTS);
    let wait: u32 = over.1["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    for _ in 0..2 {
        assert_eq!(client.infer(at, "bob", ROW).await.0, StatusCode::OK);
    }
    assert_eq!(
        client.infer(at, "bob", ROW).await.0,
        StatusCode::TOO_MANY_REQUESTS,
        "the route's rows are spent"
    );
    let text = client.send(gateway.admin_address(), "GET", "/metrics", &[], "").await.2;
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("mantlet_gateway_limits_total{standing=\"shared\",taken=\"no\"} 2"), "{text}");
}
