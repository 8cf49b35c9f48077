//! The table of failures for the kinds of traffic beside those of `matrix.rs`: each classic dialect, and WebSockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use mantlet_gateway::{Classic, Classical, Gateway, GatewayConfig, Json, Kind, Route, Upstream};
use mantlet_guard::{Controls, Guard, GuardConfig, RulePolicy};
use mantlet_vocab::OnFailure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::classic::{CALLS, shape};
use crate::failures::{CHOICES, Cut, action, told, told_of_loss};
use crate::matrix::{failing, losing};
use crate::peer::{Peer, ok};
use crate::world::{Caller, Memory, guard_config, ports, profile};

const KEY: (&str, &str) = ("x-api-key", "secret-ann");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A dialect's call: path, request, answer.
type Call = (Classic, &'static str, &'static str, &'static str);

/// The first call of each dialect.
fn dialects() -> Vec<Call> {
    let mut seen = Vec::new();
    CALLS
        .into_iter()
        .filter(|call| {
            let first = !seen.contains(&call.0);
            seen.push(call.0);
            first
        })
        .collect()
}

fn guard(config: GuardConfig) -> Guard {
    Guard::new(config, Some(profile()), vec![], Arc::new(Controls::new())).unwrap()
}

fn route(dialect: Classic, upstream: SocketAddr, guard: Guard) -> Route {
    let url = format!("http://{upstream}");
    let version = Upstream { version: "1".into(), url, weight: 1, ..Upstream::default() };
    let json = if dialect == Classic::Mapped { shape() } else { Json::default() };
    let kind = Kind::Classic(Classical { json, ..Classical::new(dialect) });
    Route { kind, ..Route::new("sums".into(), vec![version], Arc::new(guard)) }
}

#[tokio::test]
async fn a_dependency_that_is_lost_is_answered_as_configured_in_every_classic_dialect() {
    let client = Caller::new();
    for (dialect, path, asks, answers) in dialects() {
        let peer = Peer::start(Box::new(move |_| ok(answers))).await;
        for what in ["record", "limits", "replicas"] {
            for choice in CHOICES {
                let (config, memory, ports) = losing(what, choice);
                let mut guard = guard(config);
                if what == "replicas" {
                    guard = guard.with_peers(Arc::new(Cut(AtomicBool::new(true))));
                }
                let routes = vec![route(dialect, peer.address, guard)];
                let gateway = Gateway::start(GatewayConfig::default(), routes, ports).await.unwrap();
                let before = peer.count();
                let got = client.send(gateway.address(), "POST", path, &[KEY, JSON], asks).await;
                let status = match choice {
                    OnFailure::Refuse => 503,
                    OnFailure::Divert => 202,
                    OnFailure::PassAndFlag => 200,
                };
                let (case, passes) = (format!("{dialect:?} {what} {choice:?}"), status == 200);
                assert_eq!(got.0.as_u16(), status, "{case}: {}", String::from_utf8_lossy(&got.2));
                assert_eq!(got.2 == answers, passes, "{case}");
                assert_eq!(peer.count() - before, usize::from(passes), "{case}: the model is asked or not");
                told_of_loss(&gateway, &memory, choice, what).await;
            }
        }
    }
}

#[tokio::test]
async fn an_upstream_that_gives_no_whole_answer_is_answered_for_as_configured_in_every_classic_dialect() {
    const HALF: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"pre";
    let client = Caller::new();
    for (first, silent, failed) in
        [(&b""[..], true, 504), (b"", false, 502), (HALF, true, 504), (HALF, false, 502)]
    {
        let upstream = failing(first, silent).await;
        for (dialect, path, asks, _) in dialects() {
            for choice in CHOICES {
                let guard = guard(GuardConfig { upstream_on_failure: choice, ..guard_config() });
                let memory = Arc::new(Memory::default());
                let config = GatewayConfig { upstream_timeout_ms: 150, ..GatewayConfig::default() };
                let routes = vec![route(dialect, upstream, guard)];
                let gateway = Gateway::start(config, routes, ports(&memory)).await.unwrap();
                let got = client.send(gateway.address(), "POST", path, &[KEY, JSON], asks).await;
                let status = if choice == OnFailure::Divert { 202 } else { failed };
                let case = format!("{dialect:?} {} bytes, silent {silent} {choice:?}", first.len());
                assert_eq!(got.0.as_u16(), status, "{case}: {}", String::from_utf8_lossy(&got.2));
                told_of_loss(&gateway, &memory, choice, "upstream").await;
            }
        }
    }
}

#[tokio::test]
async fn rules_that_are_out_of_time_or_get_too_much_are_decided_by_their_own_choice_in_every_classic_dialect()
{
    let client = Caller::new();
    for (dialect, path, asks, answers) in dialects() {
        let peer = Peer::start(Box::new(move |_| ok(answers))).await;
        for what in ["timeout", "overload"] {
            for choice in CHOICES {
                let mut config = guard_config();
                for about in mantlet_detectors::configurable() {
                    let policy =
                        RulePolicy { on_failure: choice, ..RulePolicy::for_rule(about.name, config.impact) };
                    config.rules.insert(about.name.into(), policy);
                }
                // Two rows of four are one value too many, or a tick of the clock.
                match what {
                    "overload" => config.tensor_values = 7,
                    _ => config.tensor_micros = 999,
                }
                let ticks = AtomicU64::new(0);
                let guard = guard(config).with_meter(Arc::new(move || ticks.fetch_add(1_000, Relaxed)));
                let memory = Arc::new(Memory::default());
                let routes = vec![route(dialect, peer.address, guard)];
                let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
                let got = client.send(gateway.address(), "POST", path, &[KEY, JSON], asks).await;
                let status = match choice {
                    OnFailure::Refuse => 403,
                    OnFailure::Divert => 202,
                    OnFailure::PassAndFlag => 200,
                };
                let case = format!("{dialect:?} {what} {choice:?}");
                assert_eq!(got.0.as_u16(), status, "{case}: {}", String::from_utf8_lossy(&got.2));
                assert_eq!(got.2 == answers, status == 200, "{case}");
                told(&gateway, &memory, choice, what).await;
                let signals = memory.last().decision.signals;
                let failed: Vec<_> = signals.iter().filter(|s| s.name == "guard-rule-failed").collect();
                assert!(failed.iter().all(|signal| signal.facts["how"] == what), "{case}: {failed:?}");
            }
        }
    }
}

/// What a caller who asks for a WebSocket gets: the status.
async fn asks_for_websocket(to: SocketAddr) -> (u16, TcpStream) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let asked = "GET /llm/v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                 x-api-key: secret-ann\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(Duration::from_secs(20), stream.read_u8()).await.expect("it goes on");
        head.push(byte.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), stream)
}

fn websocket(upstream: SocketAddr, guard: Guard) -> Route {
    let version =
        Upstream { version: "1".into(), url: format!("http://{upstream}"), weight: 1, ..Upstream::default() };
    let kind = Kind::Text { prefix: "/llm".into() };
    Route { kind, websocket: true, ..Route::new("sums".into(), vec![version], Arc::new(guard)) }
}

const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                          sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What is on record of a connection stands there once it is over.
async fn closed(memory: &Memory, unrecorded: bool) {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    let told = || {
        let events = !memory.events.lock().unwrap().is_empty();
        events && (unrecorded || !memory.exchanges.lock().unwrap().is_empty())
    };
    while !told() && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_websocket_is_opened_or_not_as_configured_when_the_record_or_the_limits_are_lost() {
    let upstream = failing(SWITCHED, true).await;
    for what in ["record", "limits"] {
        for choice in CHOICES {
            let (config, memory, ports) = losing(what, choice);
            let routes = vec![websocket(upstream, guard(config))];
            // The upstream holds on to what it has; silence ends it.
            let idle = GatewayConfig { websocket_idle_ms: 300, ..GatewayConfig::default() };
            let gateway = Gateway::start(idle, routes, ports).await.unwrap();
            let (status, stream) = asks_for_websocket(gateway.address()).await;
            drop(stream);
            let wanted = match choice {
                OnFailure::Refuse => 503,
                OnFailure::Divert => 202,
                OnFailure::PassAndFlag => 101,
            };
            assert_eq!(status, wanted, "{what} {choice:?}");
            closed(&memory, what == "record").await;
            told_of_loss(&gateway, &memory, choice, what).await;
        }
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_a_websocket_is_answered_for_as_configured() {
    for (silent, failed) in [(true, 504), (false, 502)] {
        let upstream = failing(b"", silent).await;
        for choice in CHOICES {
            let guard = guard(GuardConfig { upstream_on_failure: choice, ..guard_config() });
            let memory = Arc::new(Memory::default());
            let config = GatewayConfig { upstream_timeout_ms: 150, ..GatewayConfig::default() };
            let routes = vec![websocket(upstream, guard)];
            let gateway = Gateway::start(config, routes, ports(&memory)).await.unwrap();
            let (status, _stream) = asks_for_websocket(gateway.address()).await;
            let wanted = if choice == OnFailure::Divert { 202 } else { failed };
            assert_eq!(status, wanted, "silent {silent} {choice:?}");
            assert_eq!(memory.last().decision.action, action(choice));
            told_of_loss(&gateway, &memory, choice, "upstream").await;
        }
    }
}
