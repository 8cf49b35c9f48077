//! Failure is configuration: each way to fail, under each choice of what then happens, seen by the caller, in the
//! record and in the metrics.
//!
//! Long because the ways to fail are one table.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use http::StatusCode;
use mantlet_detectors::text::text_abouts;
use mantlet_detectors::{Detector, Observation};
use mantlet_gateway::{Gateway, GatewayConfig, Kind, Ports, Route, Upstream};
use mantlet_guard::shared::{Answer, Ask, Denied, LimitRule, Per, SharedLimits, Standing, What};
use mantlet_guard::{
    Controls, Failure, Guard, GuardConfig, Overloaded, Peers, PeersStatus, RulePolicy, Told, WindowJudge,
};
use mantlet_vocab::{About, Action, Kind as Voice, OnFailure, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::peer::{Peer, REPLY, ok};
use crate::world::{Caller, Memory, guard_config, ports, profile, route};

pub(crate) const CHOICES: [OnFailure; 3] = [OnFailure::Refuse, OnFailure::Divert, OnFailure::PassAndFlag];

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

pub(crate) const fn action(choice: OnFailure) -> Action {
    match choice {
        OnFailure::Refuse => Action::Refuse,
        OnFailure::Divert => Action::Divert,
        OnFailure::PassAndFlag => Action::Flag,
    }
}

/// The record, the review queue and the metrics tell of one failed rule under this choice.
pub(crate) async fn told(gateway: &Gateway, memory: &Memory, choice: OnFailure, what: &str) {
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
async fn keys_that_cannot_be_looked_up_are_nobodys() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let memory = Arc::new(Memory::default());
    let routes = vec![route(peer.address, &guard_of(guard_config()))];
    let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
    memory.keys_down.store(true, Relaxed);
    let got = Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await;
    assert_eq!((got.0, peer.count()), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert!(metrics(&gateway).await.contains("refusals_total{why=\"keys-unavailable\"} 1"));
}

fn guard_of(config: GuardConfig) -> Arc<Guard> {
    Arc::new(Guard::new(config, Some(profile()), vec![], Arc::new(Controls::new())).unwrap())
}

async fn metrics(gateway: &Gateway) -> String {
    let got = Caller::new().send(gateway.address(), "GET", "/metrics", &[], "").await;
    String::from_utf8(got.2.to_vec()).unwrap()
}

/// What is known of an exchange that something was missing for: the alert, the review, the metrics, and the record
/// unless that is what was missing.
pub(crate) async fn told_of_loss(gateway: &Gateway, memory: &Memory, choice: OnFailure, what: &str) {
    let event = memory
        .events
        .lock()
        .unwrap()
        .last()
        .cloned()
        .unwrap_or_else(|| panic!("{what} {choice:?}: an alert"));
    assert_eq!(event.decision.action, action(choice), "{what} {choice:?}");
    let of_it = |signal: &&Signal| signal.name == "dependency-lost";
    let signal = event.signals.iter().find(of_it).unwrap_or_else(|| panic!("{what} {choice:?}: a signal"));
    assert_eq!(signal.facts["what"], what);
    assert_eq!(
        memory.filed.lock().unwrap().len(),
        usize::from(choice == OnFailure::Divert),
        "{what} {choice:?}"
    );
    if what != "record" {
        let exchange = memory.last();
        assert_eq!(exchange.decision.action, action(choice), "{what} {choice:?}");
        assert!(exchange.decision.signals.iter().any(|signal| signal.name == "dependency-lost"));
    }
    let text = metrics(gateway).await;
    let counted = format!("action=\"{}\"", action(choice).word());
    assert!(
        text.contains(&counted) && text.contains("signal=\"dependency-lost\""),
        "{what} {choice:?}: {text}"
    );
}

/// Shared counts that cannot be reached.
pub(crate) struct Unreachable;

impl SharedLimits for Unreachable {
    fn take<'a>(&'a self, asks: &'a [Ask]) -> Answer<'a> {
        let bucket = asks.first().map(|ask| ask.bucket.clone()).unwrap_or_default();
        Box::pin(std::future::ready(Err(Denied { bucket, retry_after_ms: 1_000, standing: Standing::Lost })))
    }
    fn charge(&self, _: &[Ask]) {}
    fn release(&self, _: &[Ask]) {}
    fn standing(&self) -> Standing {
        Standing::Lost
    }
}

#[tokio::test]
async fn a_state_store_that_is_lost() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    for choice in CHOICES {
        let rule = LimitRule { what: What::Requests, per: Per::Key, most: 600.0, burst: None };
        let config = GuardConfig { limits: vec![rule], limits_on_failure: choice, ..guard_config() };
        let memory = Arc::new(Memory::default());
        let ports = Ports { limits: Arc::new(Unreachable), ..ports(&memory) };
        let routes = vec![route(peer.address, &guard_of(config))];
        let gateway = Gateway::start(GatewayConfig::default(), routes, ports).await.unwrap();
        let before = peer.count();
        let got = Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await;
        let (status, asked) = match choice {
            OnFailure::Refuse => (StatusCode::SERVICE_UNAVAILABLE, 0),
            OnFailure::Divert => (StatusCode::ACCEPTED, 0),
            OnFailure::PassAndFlag => (StatusCode::OK, 1),
        };
        assert_eq!((got.0, peer.count() - before), (status, asked), "{choice:?}");
        told_of_loss(&gateway, &memory, choice, "limits").await;
    }
}

/// A line to other replicas that is cut, or not.
pub(crate) struct Cut(pub(crate) AtomicBool);

impl Peers for Cut {
    fn tell(&self, _: Told) -> Result<(), Overloaded> {
        Err(Overloaded)
    }
    fn status(&self) -> PeersStatus {
        PeersStatus { alone: self.0.load(Relaxed), left_out: 7, ..PeersStatus::default() }
    }
}

#[tokio::test]
async fn other_replicas_that_cannot_be_heard() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    for choice in CHOICES {
        let config = GuardConfig { replicas_on_failure: choice, ..guard_config() };
        let line = Arc::new(Cut(AtomicBool::new(true)));
        let guard = Arc::into_inner(guard_of(config)).unwrap().with_peers(line.clone());
        let memory = Arc::new(Memory::default());
        let routes = vec![route(peer.address, &Arc::new(guard))];
        let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
        let before = peer.count();
        let got = Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await;
        let (status, asked) = match choice {
            OnFailure::Refuse => (StatusCode::SERVICE_UNAVAILABLE, 0),
            OnFailure::Divert => (StatusCode::ACCEPTED, 0),
            OnFailure::PassAndFlag => (StatusCode::OK, 1),
        };
        assert_eq!((got.0, peer.count() - before), (status, asked), "{choice:?}");
        told_of_loss(&gateway, &memory, choice, "replicas").await;
        let text = metrics(&gateway).await;
        assert!(text.contains("mantlet_gateway_alone 1"), "{text}");
        assert!(text.contains("mantlet_gateway_sightings{what=\"left-out\"} 7"), "{text}");
        // The line is whole again.
        line.0.store(false, Relaxed);
        assert_eq!(Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await.0, StatusCode::OK);
        assert!(memory.last().decision.signals.is_empty(), "{choice:?}");
        assert!(metrics(&gateway).await.contains("mantlet_gateway_alone 0"));
    }
}

#[tokio::test]
async fn a_disk_that_is_full() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    for choice in CHOICES {
        let config = GuardConfig { record_on_failure: choice, ..guard_config() };
        let memory = Arc::new(Memory::default());
        let routes = vec![route(peer.address, &guard_of(config))];
        let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
        memory.unrecorded.store(true, Relaxed);
        let before = peer.count();
        let got = Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await;
        let (status, asked) = match choice {
            OnFailure::Refuse => (StatusCode::SERVICE_UNAVAILABLE, 0),
            OnFailure::Divert => (StatusCode::ACCEPTED, 0),
            OnFailure::PassAndFlag => (StatusCode::OK, 1),
        };
        assert_eq!((got.0, peer.count() - before), (status, asked), "{choice:?}");
        told_of_loss(&gateway, &memory, choice, "record").await;
        assert!(metrics(&gateway).await.contains("overloads_total{port=\"recorder\"} 1"), "{choice:?}");
        // There is room again.
        memory.unrecorded.store(false, Relaxed);
        assert_eq!(Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await.0, StatusCode::OK);
        assert_eq!(memory.last().status, 200);
    }
}

#[tokio::test]
async fn a_profile_whose_file_is_missing() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    for choice in CHOICES {
        let mut config = guard_config();
        for about in mantlet_detectors::configurable() {
            let policy = RulePolicy { on_failure: choice, ..RulePolicy::for_rule(about.name, config.impact) };
            config.rules.insert(about.name.into(), policy);
        }
        let guard = Guard::new(config, None, vec![], Arc::new(Controls::new())).unwrap().lacking_profile();
        assert!(guard.gaps()[0].contains("missing"));
        let memory = Arc::new(Memory::default());
        let routes = vec![route(peer.address, &Arc::new(guard))];
        let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
        let got = Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await;
        let status = match choice {
            OnFailure::Refuse => StatusCode::FORBIDDEN,
            OnFailure::Divert => StatusCode::ACCEPTED,
            OnFailure::PassAndFlag => StatusCode::OK,
        };
        assert_eq!(got.0, status, "{choice:?}");
        told(&gateway, &memory, choice, "missing").await;
        let exchange = memory.last();
        let failed = exchange.decision.signals.iter().filter(|signal| signal.name == "guard-rule-failed");
        assert!(failed.clone().count() == mantlet_detectors::all().len());
        assert!(failed.into_iter().all(|signal| signal.facts["how"] == "missing"));
    }
}

#[tokio::test]
async fn an_upstream_that_is_slow_or_hangs_up() {
    // One takes requests and is silent, the other hangs up once it has one, the third half way through its answer.
    for (what, answer) in [
        ("slow", None),
        ("reset", Some("")),
        ("cut", Some("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Relaxed);
                let _ = stream.read(&mut [0; 4096]).await;
                match answer {
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => held.push(stream),
                }
            }
        });
        for choice in CHOICES {
            let config = GuardConfig { upstream_on_failure: choice, ..guard_config() };
            let memory = Arc::new(Memory::default());
            let routes = vec![route(address, &guard_of(config))];
            let config = GatewayConfig { upstream_timeout_ms: 150, ..GatewayConfig::default() };
            let gateway = Gateway::start(config, routes, ports(&memory)).await.unwrap();
            let before = asked.load(Relaxed);
            let got = Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await;
            let failed = if what == "slow" { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
            let expected = if choice == OnFailure::Divert { StatusCode::ACCEPTED } else { failed };
            assert_eq!(got.0, expected, "{what} {choice:?}");
            assert_eq!(
                asked.load(Relaxed) - before,
                1,
                "{what} {choice:?}: what may have been seen is not sent twice"
            );
            told_of_loss(&gateway, &memory, choice, "upstream").await;
            assert!(metrics(&gateway).await.contains("upstream_faults_total 1"), "{what} {choice:?}");
        }
    }
}

#[tokio::test]
async fn the_cases_of_a_lost_dependency_hold() {
    let about =
        mantlet_detectors::abouts().into_iter().find(|about| about.name == "dependency-lost").unwrap();
    for case in about.cases.split("## ").skip(1) {
        let given = case.split("```json").nth(1).unwrap().split("```").next().unwrap();
        let given: serde_json::Value = serde_json::from_str(given).unwrap();
        let reply = given["status"]
            .as_u64()
            .map(|status| format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{REPLY}", REPLY.len()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let talk = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(reply.unwrap_or_default().as_bytes()).await;
        });
        let memory = Arc::new(Memory::default());
        let routes = vec![route(address, &guard_of(guard_config()))];
        let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
        Caller::new().infer(gateway.address(), "ann", [0.0; 4]).await;
        talk.await.unwrap();
        let seen = memory.last().decision.signals.iter().any(|signal| signal.name == "dependency-lost");
        assert_eq!(seen, case.starts_with("hit"), "{case}");
    }
}
