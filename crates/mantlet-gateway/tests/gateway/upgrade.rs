//! WebSockets: refused, and on routes that allow them passed unseen, under the same identity, limits and controls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use mantlet_gateway::{Gateway, GatewayConfig, Kind, Route, Secret, Upstream};
use mantlet_guard::{Controls, Guard, GuardConfig, KeyControl, RateLimit};
use mantlet_vocab::{Action, Millis};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::world::{Memory, guard_config, ports, profile};

const SOON: Duration = Duration::from_secs(20);
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An endpoint that answers each head with this and then says back what it hears; heads come out of the receiver.
async fn endpoint(answer: &'static str) -> (SocketAddr, mpsc::Receiver<String>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, (sender, heads)) = (listener.local_addr().unwrap(), mpsc::channel(16));
    let open = Arc::new(AtomicUsize::new(0));
    let counted = open.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (sender, open) = (sender.clone(), counted.clone());
            tokio::spawn(async move {
                open.fetch_add(1, Ordering::SeqCst);
                let head = head(&mut stream).await;
                sender.send(head).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                let mut bytes = [0; 4096];
                while let Ok(count) = stream.read(&mut bytes).await {
                    if count == 0 || stream.write_all(&bytes[..count]).await.is_err() {
                        break;
                    }
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, heads, open)
}

/// Bytes up to the end of a head, and none beyond.
async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match timeout(SOON, stream.read_u8()).await.expect("it goes on") {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(bytes).unwrap()
}

struct Setting {
    gateway: Gateway,
    memory: Arc<Memory>,
    guard: Arc<Guard>,
}

async fn before(upstream: SocketAddr, websocket: bool, config: GuardConfig) -> Setting {
    configured(upstream, websocket, config, GatewayConfig::default()).await
}

async fn configured(
    upstream: SocketAddr,
    websocket: bool,
    config: GuardConfig,
    gateway: GatewayConfig,
) -> Setting {
    let guard = Arc::new(Guard::new(config, Some(profile()), vec![], Arc::new(Controls::new())).unwrap());
    let version = Upstream {
        version: "1".into(),
        url: format!("http://{upstream}/base"),
        weight: 1,
        credentials: vec![("x-model-key".into(), Secret("its own".into()))],
        ..Upstream::default()
    };
    let kind = Kind::Text { prefix: "/llm".into() };
    let route = Route { kind, websocket, ..Route::new("sums".into(), vec![version], guard.clone()) };
    let memory = Arc::new(Memory::default());
    let gateway = Gateway::start(gateway, vec![route], ports(&memory)).await.unwrap();
    Setting { gateway, memory, guard }
}

/// A client that asks for a WebSocket: the answer's head, and the connection.
async fn ask(to: SocketAddr, path: &str, key: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let asked = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n{key}\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(asked.as_bytes()).await.unwrap();
    (head(&mut stream).await, stream)
}

const KEY: &str = "authorization: Bearer secret-ann\r\n";

async fn echoes(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    timeout(SOON, stream.read_exact(&mut back)).await.expect("it comes back").unwrap();
    assert_eq!(back, bytes);
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_route_that_allows_it_passes_bytes_both_ways_and_the_record_says_that_nobody_looked() {
    let (address, mut heads, open) = endpoint(SWITCHED).await;
    let Setting { gateway, memory, .. } = before(address, true, guard_config()).await;
    let (head, mut stream) = ask(gateway.address(), "/llm/v1/realtime?model=a", KEY).await;
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    for line in ["upgrade: websocket", "sec-websocket-accept: s3pp", "x-mantlet-exchange: "] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let asked = heads.recv().await.unwrap().to_lowercase();
    assert!(asked.starts_with("get /base/v1/realtime?model=a http/1.1"), "{asked}");
    for line in ["upgrade: websocket", "sec-websocket-key: dghl", "x-model-key: its own"] {
        assert!(asked.contains(line), "{line} in {asked}");
    }
    assert!(!asked.contains("secret-ann"), "{asked}");
    echoes(&mut stream, b"\x81\x05hello").await;
    echoes(&mut stream, &vec![7; 100_000]).await;
    drop(stream);
    until("the exchange closes", || !memory.exchanges.lock().unwrap().is_empty()).await;
    until("the upstream's connection closes", || open.load(Ordering::SeqCst) == 0).await;
    let exchange = memory.last();
    assert_eq!((exchange.status, exchange.caller.as_str()), (101, "ann"));
    assert_eq!(exchange.decision.action, Action::Flag);
    assert_eq!(exchange.decision.signals[0].name, "traffic-unseen");
    assert!(exchange.decision.signals[0].score < 1.0, "what was allowed is no alarm");
}

#[tokio::test]
async fn identity_limits_and_controls_hold_before_and_a_blocked_caller_is_cut_off() {
    let (address, _heads, open) = endpoint(SWITCHED).await;
    let config = GuardConfig { limit: Some(RateLimit { per_minute: 1.0, burst: 2 }), ..guard_config() };
    let Setting { gateway, guard, memory } = before(address, true, config).await;
    let at = gateway.address();
    for (key, status) in [("", "401"), ("authorization: Bearer wrong\r\n", "401")] {
        let (head, _) = ask(at, "/llm/v1/realtime", key).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    }
    let (head, _) = ask(at, "/other", KEY).await;
    assert!(head.starts_with("HTTP/1.1 403"), "a path of no route that allows it: {head}");
    let (head, mut stream) = ask(at, "/llm/v1/realtime", KEY).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    echoes(&mut stream, b"one").await;
    guard.controls().apply_key("ann", KeyControl::Block, Millis(0), None, "an incident");
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.expect("a blocked caller is cut off").unwrap();
    let (head, _) = ask(at, "/llm/v1/realtime", KEY).await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    assert!(guard.controls().lift_key("ann", "block"));
    let (head, _second) = ask(at, "/llm/v1/realtime", KEY).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let (head, _) = ask(at, "/llm/v1/realtime", KEY).await;
    assert!(head.starts_with("HTTP/1.1 429"), "the rate: {head}");
    // The gateway ends, and with it what it carries.
    timeout(SOON, gateway.shutdown()).await.expect("it ends");
    until("connections end with the gateway", || open.load(Ordering::SeqCst) == 0).await;
    assert!(memory.exchanges.lock().unwrap().iter().any(|exchange| exchange.status == 429));
}

#[tokio::test]
async fn a_caller_has_so_many_and_others_theirs_and_a_place_is_free_again() {
    let (address, _heads, open) = endpoint(SWITCHED).await;
    let few = GatewayConfig { websockets_per_caller: 2, ..GatewayConfig::default() };
    let Setting { gateway, memory, .. } = configured(address, true, guard_config(), few).await;
    let (at, path) = (gateway.address(), "/llm/v1/realtime");
    let (first, held) = ask(at, path, KEY).await;
    let (second, other) = ask(at, path, KEY).await;
    assert!(first.starts_with("HTTP/1.1 101") && second.starts_with("HTTP/1.1 101"), "{first} {second}");
    let (third, _) = ask(at, path, KEY).await;
    assert!(third.starts_with("HTTP/1.1 429"), "{third}");
    let (bob, _bobs) = ask(at, path, "authorization: Bearer secret-bob\r\n").await;
    assert!(bob.starts_with("HTTP/1.1 101"), "{bob}");
    drop((held, other));
    until("places are free again", || open.load(Ordering::SeqCst) == 1).await;
    until("both are recorded", || memory.exchanges.lock().unwrap().len() == 2).await;
    // The place is given back just after the record.
    let begun = Instant::now();
    let mut held = Vec::new();
    while held.len() < 2 {
        assert!(begun.elapsed() < SOON, "a place is free again");
        let (head, stream) = ask(at, path, KEY).await;
        if head.starts_with("HTTP/1.1 101") {
            held.push(stream);
        }
    }
    // One that the upstream did not want takes no place.
    let no = "HTTP/1.1 426 Upgrade Required\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
    let (address, _heads, _) = endpoint(no).await;
    let one = GatewayConfig { websockets_per_caller: 1, ..GatewayConfig::default() };
    let setting = configured(address, true, guard_config(), one).await;
    for _ in 0..3 {
        let (head, _) = ask(setting.gateway.address(), path, KEY).await;
        assert!(head.starts_with("HTTP/1.1 426"), "{head}");
    }
}

#[tokio::test]
async fn one_that_is_silent_both_ways_is_closed_and_one_that_speaks_is_not() {
    let (address, _heads, open) = endpoint(SWITCHED).await;
    let idle = GatewayConfig { websocket_idle_ms: 400, ..GatewayConfig::default() };
    let Setting { gateway, memory, .. } = configured(address, true, guard_config(), idle).await;
    let (_, mut silent) = ask(gateway.address(), "/llm/v1/realtime", KEY).await;
    let (_, mut speaking) = ask(gateway.address(), "/llm/v1/realtime", KEY).await;
    let speaks = async {
        loop {
            echoes(&mut speaking, b"still here").await;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    let begun = Instant::now();
    let mut rest = Vec::new();
    tokio::select! {
        () = speaks => unreachable!("it speaks for ever"),
        ended = timeout(SOON, silent.read_to_end(&mut rest)) => drop(ended.expect("silence ends it")),
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "it was given its time: {:?}", begun.elapsed());
    echoes(&mut speaking, b"and after").await;
    until("the upstream's side ends too", || open.load(Ordering::SeqCst) == 1).await;
    until("it is recorded", || !memory.exchanges.lock().unwrap().is_empty()).await;
    assert_eq!(memory.last().status, 101);
}

#[tokio::test]
async fn an_upstream_that_does_not_want_to_is_heard_and_one_that_is_not_there_is_said() {
    let no = "HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno";
    let (address, _heads, _) = endpoint(no).await;
    let setting = before(address, true, guard_config()).await;
    let (head, mut stream) = ask(setting.gateway.address(), "/llm/v1/realtime", KEY).await;
    assert!(head.starts_with("HTTP/1.1 426"), "{head}");
    let mut body = [0; 2];
    timeout(SOON, stream.read_exact(&mut body)).await.unwrap().unwrap();
    assert_eq!((&body, setting.memory.last().status), (b"no", 426));
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let setting = before(gone, true, guard_config()).await;
    let (head, _) = ask(setting.gateway.address(), "/llm/v1/realtime", KEY).await;
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
}

#[tokio::test]
async fn the_cases_of_unseen_traffic_hold() {
    let about = mantlet_detectors::abouts().into_iter().find(|about| about.name == "traffic-unseen").unwrap();
    for case in about.cases.split("## ").skip(1) {
        let given = case.split("```json").nth(1).unwrap().split("```").next().unwrap();
        let given: serde_json::Value = serde_json::from_str(given).unwrap();
        let (address, _heads, _) = endpoint(SWITCHED).await;
        let setting = before(address, given["allowed"] == true, guard_config()).await;
        let at = setting.gateway.address();
        if given["upgrade"] == true {
            let (head, stream) = ask(at, "/llm/v1/realtime", KEY).await;
            let switched = head.starts_with("HTTP/1.1 101");
            assert_eq!(switched, given["allowed"] == true, "{head}");
            drop(stream);
            if switched {
                until("it is recorded", || !setting.memory.exchanges.lock().unwrap().is_empty()).await;
            }
        } else {
            let got = crate::world::Caller::new()
                .send(at, "GET", "/llm/v1/models", &[("x-api-key", "secret-ann")], "")
                .await;
            // What nobody asked to change is not changed.
            assert_eq!(got.0, StatusCode::BAD_GATEWAY);
        }
        let seen =
            setting.memory.exchanges.lock().unwrap().iter().any(|exchange| {
                exchange.decision.signals.iter().any(|signal| signal.name == "traffic-unseen")
            });
        assert_eq!(seen, case.starts_with("hit"), "{case}");
    }
}
