//! Failure is configuration: each way to fail, under each choice of what then happens, seen by the caller, in the
//! record and in the metrics.

use std::sync::Arc;

use http::StatusCode;
use mantlet_detectors::text::text_abouts;
use mantlet_detectors::{Detector, Observation};
use mantlet_gateway::{Gateway, GatewayConfig, Kind, Route, Upstream};
use mantlet_guard::{Controls, Failure, Guard, RulePolicy, WindowJudge};
use mantlet_vocab::{About, Action, Kind as Voice, OnFailure, Signal};

use crate::peer::{Peer, REPLY, ok};
use crate::world::{Caller, Memory, guard_config, ports, profile, route};

const CHOICES: [OnFailure; 3] = [OnFailure::Refuse, OnFailure::Divert, OnFailure::PassAndFlag];

/// A detector that panics on every request.
struct Panicking(Box<dyn Detector>);

impl Detector for Panicking {
    fn about(&self) -> &'static About {
        self.0.about()
    }
    fn look(&self, _: &Observation<'_>) -> Option<Signal> {
        panic!("a detector that fails")
    }
}

/// A judge that fails in one way.
struct Failing(Failure);

impl WindowJudge for Failing {
    fn about(&self) -> &'static About {
        text_abouts()[0]
    }
    fn window(&self) -> usize {
        256
    }
    fn lag(&self) -> usize {
        0
    }
    fn judge(&self, _: Voice, _: &str) -> Result<Option<Signal>, Failure> {
        assert!(self.0 != Failure::Panic, "a judge that fails");
        Err(self.0)
    }
}

const fn action(choice: OnFailure) -> Action {
    match choice {
        OnFailure::Refuse => Action::Refuse,
        OnFailure::Divert => Action::Divert,
        OnFailure::PassAndFlag => Action::Flag,
    }
}

/// The record, the review queue and the metrics tell of one failed rule under this choice.
async fn told(gateway: &Gateway, memory: &Memory, choice: OnFailure, what: &str) {
    let exchange = memory.last();
    assert_eq!(exchange.decision.action, action(choice), "{what} {choice:?}");
    assert!(
        exchange.decision.signals.iter().any(|signal| signal.name == "guard-rule-failed"),
        "{what} {choice:?}"
    );
    assert_eq!(
        memory.filed.lock().unwrap().len(),
        usize::from(choice == OnFailure::Divert),
        "{what} {choice:?}"
    );
    assert_eq!(memory.events.lock().unwrap().len(), 1, "{what} {choice:?}: an alert");
    let metrics = Caller::new().send(gateway.address(), "GET", "/metrics", &[], "").await;
    let text = String::from_utf8(metrics.2.to_vec()).unwrap();
    let counted = format!("action=\"{}\"", action(choice).word());
    assert!(
        text.contains(&counted) && text.contains("signal=\"guard-rule-failed\""),
        "{what} {choice:?}: {text}"
    );
}

#[tokio::test]
async fn a_detector_of_tensors_that_panics() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    for choice in CHOICES {
        let mut detectors = mantlet_detectors::all();
        let broken = Panicking(detectors.remove(0));
        let mut config = guard_config();
        let policy =
            RulePolicy { on_failure: choice, ..RulePolicy::for_rule(broken.about().name, config.impact) };
        config.rules.insert(broken.about().name.into(), policy);
        detectors.push(Box::new(broken));
        let guard =
            Guard::with_detectors(config, Some(profile()), vec![], Arc::new(Controls::new()), detectors);
        let memory = Arc::new(Memory::default());
        let routes = vec![route(peer.address, &Arc::new(guard.unwrap()))];
        let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
        let before = peer.count();
        let got = Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await;
        let (status, asked) = match choice {
            OnFailure::Refuse => (StatusCode::FORBIDDEN, 0),
            // Who reviews it sees what the model would have said; the caller does not.
            OnFailure::Divert => (StatusCode::ACCEPTED, 1),
            OnFailure::PassAndFlag => (StatusCode::OK, 1),
        };
        assert_eq!((got.0, peer.count() - before), (status, asked), "{choice:?}");
        assert_eq!(got.2 == REPLY, choice == OnFailure::PassAndFlag);
        told(&gateway, &memory, choice, "panic").await;
    }
}

#[tokio::test]
async fn rules_of_text_that_fail_in_each_way() {
    const SAID: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}]}"#;
    let peer = Peer::start(Box::new(|_| ok(SAID))).await;
    let ask = r#"{"model":"m","messages":[{"role":"user","content":"good morning to you"}]}"#;
    for (what, failure) in [
        ("error", Some(Failure::Error)),
        ("panic", Some(Failure::Panic)),
        ("timeout", Some(Failure::Timeout)),
        ("overload", Some(Failure::Overload)),
        ("too much text", None),
        ("too slow", None),
    ] {
        for choice in CHOICES {
            let mut config = guard_config();
            for about in text_abouts() {
                let policy =
                    RulePolicy { on_failure: choice, ..RulePolicy::for_rule(about.name, config.impact) };
                config.rules.insert(about.name.into(), policy);
            }
            match what {
                "too much text" => config.text_bytes = 4,
                "too slow" => config.text_micros = 0,
                _ => {}
            }
            let guard = Guard::new(config, None, vec![], Arc::new(Controls::new())).unwrap();
            let guard = match failure {
                Some(failure) => guard.with_judges(vec![Arc::new(Failing(failure))]),
                None => {
                    let ticks = Arc::new(std::sync::atomic::AtomicU64::new(0));
                    guard.with_meter(Arc::new(move || {
                        ticks.fetch_add(1_000, std::sync::atomic::Ordering::Relaxed)
                    }))
                }
            };
            let version = Upstream {
                version: "1".into(),
                url: format!("http://{}", peer.address),
                weight: 1,
                ..Upstream::default()
            };
            let route = Route::new("chat".into(), vec![version], Arc::new(guard));
            let route = Route { kind: Kind::Text { prefix: String::new() }, ..route };
            let memory = Arc::new(Memory::default());
            let gateway =
                Gateway::start(GatewayConfig::default(), vec![route], ports(&memory)).await.unwrap();
            let before = peer.count();
            let key = [("authorization", "Bearer secret-ann")];
            let got = Caller::new().send(gateway.address(), "POST", "/v1/chat/completions", &key, ask).await;
            let passes = choice == OnFailure::PassAndFlag;
            let expected = if passes { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!((got.0, peer.count() - before), (expected, usize::from(passes)), "{what} {choice:?}");
            assert_eq!(got.2 == SAID, passes, "{what} {choice:?}");
            told(&gateway, &memory, choice, what).await;
        }
    }
}

#[tokio::test]
async fn a_lost_state_store_a_full_disk_and_a_lost_upstream_let_nothing_through() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let guard =
        |config| Arc::new(Guard::new(config, Some(profile()), vec![], Arc::new(Controls::new())).unwrap());
    let memory = Arc::new(Memory::default());
    let routes = || vec![route(peer.address, &guard(guard_config()))];
    let gateway = Gateway::start(GatewayConfig::default(), routes(), ports(&memory)).await.unwrap();
    let client = Caller::new();
    // Keys that cannot be looked up are refused.
    memory.keys_down.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(client.infer(gateway.address(), "ann", [0.0; 4]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    memory.keys_down.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(peer.count(), 0);
    // A record that cannot be kept: counted, or refused where the configuration says so.
    memory.full.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(client.infer(gateway.address(), "ann", [0.0; 4]).await.0, StatusCode::OK);
    let strict = GatewayConfig { refuse_unrecorded: true, ..GatewayConfig::default() };
    gateway.reload(strict, routes()).unwrap();
    let got = client.infer(gateway.address(), "ann", [0.0; 4]).await;
    assert_eq!(got.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!String::from_utf8_lossy(&got.2).contains("0.75"), "the answer stays here");
    let metrics = client.send(gateway.address(), "GET", "/metrics", &[], "").await;
    let text = String::from_utf8(metrics.2.to_vec()).unwrap();
    assert!(text.contains("mantlet_gateway_overloads_total{port=\"recorder\"} 2"), "{text}");
}
