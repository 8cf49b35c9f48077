//! The table of failures for every kind of traffic: tensors over REST and gRPC, text, and text that is streamed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use mantlet_gateway::{Gateway, GatewayConfig, Kind, Ports, Route, Upstream};
use mantlet_guard::shared::{LimitRule, Per, What};
use mantlet_guard::{Controls, Guard, GuardConfig, RulePolicy};
use mantlet_vocab::OnFailure;
use mantlet_wire::grpc::{grpc_frame, write_grpc_reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::failures::{CHOICES, Cut, Unreachable, action, told, told_of_loss};
use crate::grpc_peer::{Grpc, KEY, NEAR, Server, asks, model, said};
use crate::peer::{Peer, REPLY, ok};
use crate::text::{ask, events, reply};
use crate::world::{Caller, Memory, body, guard_config, ports, profile};

/// A kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Tensors,
    Text,
    Streamed,
    Grpc,
}

const TRAFFIC: [Traffic; 4] = [Traffic::Tensors, Traffic::Text, Traffic::Streamed, Traffic::Grpc];

/// What a caller got: the status, over gRPC the one that its code means; and whether it was the model's whole answer.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    status: u16,
    whole: bool,
}

/// Upstreams that are well, over HTTP/1.1 and gRPC.
struct Well {
    http: Peer,
    grpc: Server,
}

impl Well {
    async fn start() -> Self {
        let http = Peer::start(Box::new(|asked| {
            if String::from_utf8_lossy(&asked.body).contains("\"stream\":true") {
                let mut answer = ok(String::from_utf8(events(&["fine, ", "thanks."])).unwrap());
                answer.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
                return answer;
            }
            if asked.path.starts_with("/v1") { ok(reply("fine, thanks.")) } else { ok(REPLY) }
        }));
        Self { http: http.await, grpc: Server::start(Box::new(model)).await }
    }

    /// Calls that have come.
    fn count(&self) -> usize {
        self.http.count() + self.grpc.messages().len()
    }

    fn address(&self, of: Traffic) -> SocketAddr {
        if of == Traffic::Grpc { self.grpc.address } else { self.http.address }
    }
}

impl Traffic {
    fn route(self, upstream: SocketAddr, guard: Guard) -> Route {
        let url = format!("http://{upstream}");
        let grpc = (self == Self::Grpc).then(|| url.clone());
        let version = Upstream { version: "1".into(), url, grpc, weight: 1, ..Upstream::default() };
        let kind = match self {
            Self::Tensors | Self::Grpc => Kind::Tensors,
            Self::Text | Self::Streamed => Kind::Text { prefix: String::new() },
        };
        Route { kind, ..Route::new("sums".into(), vec![version], Arc::new(guard)) }
    }

    fn guard(self, config: GuardConfig) -> Guard {
        Guard::new(config, Some(profile()), vec![], Arc::new(Controls::new())).unwrap()
    }

    async fn ask(self, to: SocketAddr) -> Got {
        let client = Caller::new();
        let (status, got, expected) = match self {
            Self::Tensors => {
                let got = client.send(to, "POST", "/v2/models/sums/infer", &[KEY], body([0.0; 4])).await;
                (got.0.as_u16(), got.2, Bytes::from(REPLY))
            }
            Self::Text | Self::Streamed => {
                let streams = self == Self::Streamed;
                let asked = ask("good morning to you", streams);
                let got = client.send(to, "POST", "/v1/chat/completions", &[KEY], asked).await;
                let whole =
                    if streams { events(&["fine, ", "thanks."]) } else { reply("fine, thanks.").into() };
                (got.0.as_u16(), got.2, Bytes::from(whole))
            }
            Self::Grpc => {
                let got = Grpc::new().call(to, "ModelInfer", &[KEY], &grpc_frame(&asks(&NEAR))).await;
                let status = match got.code.as_str() {
                    "0" => 200,
                    "4" => 504,
                    "7" => 403,
                    "14" => 503,
                    other => panic!("{other}: {}", got.message),
                };
                let whole = grpc_frame(&write_grpc_reply(&said([0.25, 0.75], None)));
                (status, got.body, Bytes::from(whole))
            }
        };
        Got { status, whole: got == expected }
    }

    /// What a caller gets whose decision waits for a person.
    const fn diverted(self) -> u16 {
        match self {
            Self::Tensors => 202,
            Self::Text | Self::Streamed | Self::Grpc => 403,
        }
    }
}

/// What is lost before the model is asked, under a choice, and the ports that lose it.
pub(crate) fn losing(what: &str, choice: OnFailure) -> (GuardConfig, Arc<Memory>, Ports) {
    let mut config = guard_config();
    match what {
        "record" => config.record_on_failure = choice,
        "replicas" => config.replicas_on_failure = choice,
        _ => {
            config.limits = vec![LimitRule { what: What::Requests, per: Per::Key, most: 600.0, burst: None }];
            config.limits_on_failure = choice;
        }
    }
    let memory = Arc::new(Memory::default());
    memory.unrecorded.store(what == "record", Relaxed);
    let mut ports = ports(&memory);
    if what == "limits" {
        ports = Ports { limits: Arc::new(Unreachable), ..ports };
    }
    (config, memory, ports)
}

#[tokio::test]
async fn a_dependency_that_is_lost_is_answered_as_configured_in_every_kind_of_traffic() {
    let well = Well::start().await;
    for traffic in TRAFFIC {
        for what in ["record", "limits", "replicas"] {
            for choice in CHOICES {
                let (config, memory, ports) = losing(what, choice);
                let mut guard = traffic.guard(config);
                if what == "replicas" {
                    guard = guard.with_peers(Arc::new(Cut(AtomicBool::new(true))));
                }
                let routes = vec![traffic.route(well.address(traffic), guard)];
                let gateway = Gateway::start(GatewayConfig::default(), routes, ports).await.unwrap();
                let before = well.count();
                let got = traffic.ask(gateway.address()).await;
                let passes = choice == OnFailure::PassAndFlag;
                let status = match choice {
                    OnFailure::Refuse => 503,
                    OnFailure::Divert => traffic.diverted(),
                    OnFailure::PassAndFlag => 200,
                };
                let case = format!("{traffic:?} {what} {choice:?}");
                assert_eq!(got, Got { status, whole: passes }, "{case}");
                assert_eq!(well.count() - before, usize::from(passes), "{case}: the model is asked or not");
                settled(&memory, what).await;
                told_of_loss(&gateway, &memory, choice, what).await;
            }
        }
    }
}

/// A stream is on record once its last byte has left.
async fn settled(memory: &Memory, what: &str) {
    let told = || {
        let events = !memory.events.lock().unwrap().is_empty();
        events && (what == "record" || !memory.exchanges.lock().unwrap().is_empty())
    };
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !told() && tokio::time::Instant::now() < until {
        tokio::task::yield_now().await;
    }
}

/// An upstream that takes what comes, writes `first`, and then is silent or hangs up.
pub(crate) async fn failing(first: &'static [u8], silent: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(first).await;
            if silent {
                held.push(stream);
            }
        }
    });
    address
}

#[tokio::test]
async fn an_upstream_that_gives_no_answer_is_answered_for_as_configured_in_every_kind_of_traffic() {
    for traffic in TRAFFIC {
        for silent in [true, false] {
            let upstream = failing(b"", silent).await;
            for choice in CHOICES {
                let guard = traffic.guard(GuardConfig { upstream_on_failure: choice, ..guard_config() });
                let memory = Arc::new(Memory::default());
                let config = GatewayConfig { upstream_timeout_ms: 150, ..GatewayConfig::default() };
                let routes = vec![traffic.route(upstream, guard)];
                let gateway = Gateway::start(config, routes, ports(&memory)).await.unwrap();
                let got = traffic.ask(gateway.address()).await;
                let failed = match (silent, traffic) {
                    (true, _) => 504,
                    // gRPC has one word for both.
                    (false, Traffic::Grpc) => 503,
                    (false, _) => 502,
                };
                let status = if choice == OnFailure::Divert { traffic.diverted() } else { failed };
                let case = format!("{traffic:?} silent {silent} {choice:?}");
                assert_eq!(got, Got { status, whole: false }, "{case}");
                told_of_loss(&gateway, &memory, choice, "upstream").await;
            }
        }
    }
}

const BEGUN: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
4c\r\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"fine, yes. \"}}]}\n\n\r\n";

#[tokio::test]
async fn an_upstream_that_fails_amid_a_stream_ends_it_as_configured_and_never_as_whole() {
    for silent in [true, false] {
        let upstream = failing(BEGUN, silent).await;
        for choice in CHOICES {
            let traffic = Traffic::Streamed;
            let guard = traffic.guard(GuardConfig { upstream_on_failure: choice, ..guard_config() });
            let memory = Arc::new(Memory::default());
            let config = GatewayConfig { stream_idle_ms: 150, ..GatewayConfig::default() };
            let routes = vec![traffic.route(upstream, guard)];
            let gateway = Gateway::start(config, routes, ports(&memory)).await.unwrap();
            let client = Client::builder(TokioExecutor::new()).build_http::<http_body_util::Full<Bytes>>();
            let request = http::Request::post(format!("http://{}/v1/chat/completions", gateway.address()))
                .header(KEY.0, KEY.1)
                .body(Bytes::from(ask("good morning to you", true)).into());
            let mut answer = client.request(request.unwrap()).await.unwrap().into_body();
            let (mut got, mut cut) = (Vec::new(), false);
            while let Some(frame) = answer.frame().await {
                match frame {
                    Ok(frame) => got.extend_from_slice(&frame.into_data().unwrap()),
                    Err(_) => cut = true,
                }
            }
            let text = String::from_utf8(got).unwrap();
            let case = format!("silent {silent} {choice:?}: {text}");
            // What had come is with the caller; the end is as it was, or the dialect's own error.
            assert!(text.contains("fine, yes. "), "{case}");
            let as_it_was = !silent && choice == OnFailure::PassAndFlag;
            assert_eq!((cut, text.contains("\"error\"")), (as_it_was, !as_it_was), "{case}");
            assert!(!as_it_was || !text.contains("[DONE]"), "{case}");
            settled(&memory, "upstream").await;
            let exchange = memory.last();
            assert_eq!(exchange.decision.action, action(choice), "{case}");
            let signal = exchange.decision.signals.iter().find(|signal| signal.name == "dependency-lost");
            assert_eq!(signal.unwrap().facts["what"], "upstream", "{case}");
            // Half of the answer has left: there is nothing a person could still hold back.
            assert!(memory.filed.lock().unwrap().is_empty(), "{case}");
        }
    }
}

/// The rules over tensors have a budget of time and of size, as those over text have.
#[tokio::test]
async fn rules_over_tensors_that_are_out_of_time_or_get_too_much_are_decided_by_their_own_choice() {
    let well = Well::start().await;
    for traffic in [Traffic::Tensors, Traffic::Grpc] {
        for what in ["timeout", "overload"] {
            for choice in CHOICES {
                let mut config = guard_config();
                for about in mantlet_detectors::configurable() {
                    let policy =
                        RulePolicy { on_failure: choice, ..RulePolicy::for_rule(about.name, config.impact) };
                    config.rules.insert(about.name.into(), policy);
                }
                // A row of four is one too many, or a tick of the clock.
                match what {
                    "overload" => config.tensor_values = 3,
                    _ => config.tensor_micros = 999,
                }
                let ticks = AtomicU64::new(0);
                let guard =
                    traffic.guard(config).with_meter(Arc::new(move || ticks.fetch_add(1_000, Relaxed)));
                let memory = Arc::new(Memory::default());
                let routes = vec![traffic.route(well.address(traffic), guard)];
                let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
                let got = traffic.ask(gateway.address()).await;
                let status = match choice {
                    OnFailure::Refuse => 403,
                    OnFailure::Divert => traffic.diverted(),
                    OnFailure::PassAndFlag => 200,
                };
                let whole = choice == OnFailure::PassAndFlag;
                assert_eq!(got, Got { status, whole }, "{traffic:?} {what} {choice:?}");
                told(&gateway, &memory, choice, what).await;
                let signals = memory.last().decision.signals;
                let failed: Vec<_> = signals.iter().filter(|s| s.name == "guard-rule-failed").collect();
                assert_eq!(failed.len(), mantlet_detectors::all().len());
                assert!(failed.iter().all(|signal| signal.facts["how"] == what), "{failed:?}");
            }
        }
        // Within both nothing has failed: four values, and as many ticks as a request takes.
        let config = GuardConfig { tensor_values: 4, tensor_micros: 10_000, ..guard_config() };
        let ticks = AtomicU64::new(0);
        let guard = traffic.guard(config).with_meter(Arc::new(move || ticks.fetch_add(1_000, Relaxed)));
        let memory = Arc::new(Memory::default());
        let routes = vec![traffic.route(well.address(traffic), guard)];
        let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
        assert_eq!(traffic.ask(gateway.address()).await, Got { status: 200, whole: true });
        assert!(memory.last().decision.signals.is_empty());
    }
}
