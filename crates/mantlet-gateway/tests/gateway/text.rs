//! Text of language models through the gateway: allowed bytes as they came, blocked ones never.
//!
//! Long because each dialect is asked the same, plain and in streams.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use mantlet_detectors::text::{TextConfig, ToolPolicy};
use mantlet_gateway::{Gateway, GatewayConfig, Kind, Route, Upstream};
use mantlet_guard::{Controls, Guard, GuardConfig, RulePolicy};
use mantlet_vocab::{Action, Mode, OnFailure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::peer::{Peer, ok};
use crate::world::{Caller, Memory, guard_config, json, ports};

const CHAT: &str = "/v1/chat/completions";
const KEY: (&str, &str) = ("authorization", "Bearer secret-ann");

pub(crate) fn config() -> GuardConfig {
    let tools = ToolPolicy { deny: vec!["shell".into()], ..ToolPolicy::default() };
    let text = TextConfig { terms: vec!["project nightjar".into()], tools, ..TextConfig::default() };
    GuardConfig { text, ..guard_config() }
}

fn route(upstream: SocketAddr, config: GuardConfig) -> Route {
    let version =
        Upstream { version: "1".into(), url: format!("http://{upstream}"), weight: 1, ..Upstream::default() };
    let guard = Guard::new(config, None, vec![], Arc::new(Controls::new())).unwrap();
    Route {
        kind: Kind::Text { prefix: String::new() },
        ..Route::new("chat".into(), vec![version], Arc::new(guard))
    }
}

pub(crate) async fn gateway(upstream: SocketAddr, config: GuardConfig) -> (Gateway, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let gateway = Gateway::start(GatewayConfig::default(), vec![route(upstream, config)], ports(&memory));
    (gateway.await.unwrap(), memory)
}

pub(crate) fn ask(text: &str, stream: bool) -> String {
    serde_json::json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": text }] })
        .to_string()
}

pub(crate) fn reply(text: &str) -> String {
    serde_json::json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 }
    })
    .to_string()
}

fn delta(text: &str) -> String {
    let event = serde_json::json!({
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }]
    });
    format!("data: {event}\n\n")
}

pub(crate) fn events(texts: &[&str]) -> Vec<u8> {
    let mut all: String = texts.iter().map(|text| delta(text)).collect();
    all.push_str("data: [DONE]\n\n");
    all.into_bytes()
}

/// What the client put together from a stream.
fn spoken(stream: &[u8]) -> String {
    let text = std::str::from_utf8(stream).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| {
        let event: serde_json::Value = serde_json::from_str(data).unwrap();
        event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
    })
    .collect()
}

/// An upstream that streams: each request is answered with the parts that are sent to it, until the channel closes.
/// Tells when its caller hangs up.
pub(crate) struct Streaming {
    pub(crate) address: SocketAddr,
    parts: Arc<Mutex<Option<mpsc::Receiver<Vec<u8>>>>>,
    gone: mpsc::Receiver<()>,
}

impl Streaming {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let parts: Arc<Mutex<Option<mpsc::Receiver<Vec<u8>>>>> = Arc::default();
        let (tell, gone) = mpsc::channel(8);
        let waiting = Arc::clone(&parts);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (waiting, tell) = (Arc::clone(&waiting), tell.clone());
                tokio::spawn(async move {
                    let mut got = Vec::new();
                    let mut buffer = [0; 4096];
                    while !String::from_utf8_lossy(&got).contains("\"messages\"") {
                        match stream.read(&mut buffer).await {
                            Ok(read) if read > 0 => got.extend_from_slice(&buffer[..read]),
                            _ => return,
                        }
                    }
                    let mut parts = waiting.lock().unwrap().take().unwrap();
                    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                    stream.write_all(head).await.unwrap();
                    loop {
                        tokio::select! {
                            part = parts.recv() => match part {
                                Some(part) => {
                                    let size = format!("{:x}\r\n", part.len());
                                    let chunk = [size.as_bytes(), &part, b"\r\n"].concat();
                                    if stream.write_all(&chunk).await.is_err() {
                                        break;
                                    }
                                }
                                None => {
                                    let _ = stream.write_all(b"0\r\n\r\n").await;
                                    return;
                                }
                            },
                            read = stream.read(&mut buffer) => if matches!(read, Ok(0) | Err(_)) {
                                break;
                            }
                        }
                    }
                    let _ = tell.send(()).await;
                });
            }
        });
        Self { address, parts, gone }
    }

    /// What the next request is answered with.
    pub(crate) fn answer(&self) -> mpsc::Sender<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(1024);
        *self.parts.lock().unwrap() = Some(receiver);
        sender
    }
}

pub(crate) async fn begin(at: SocketAddr, text: &str) -> http::Response<hyper::body::Incoming> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::post(format!("http://{at}{CHAT}"))
        .header(KEY.0, KEY.1)
        .body(Full::new(Bytes::from(ask(text, true))))
        .unwrap();
    client.request(request).await.unwrap()
}

/// The whole answer to a stream that comes in these parts.
async fn streamed(upstream: &Streaming, gateway: &Gateway, parts: &[&[u8]]) -> Vec<u8> {
    let sender = upstream.answer();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        sender.send(part.to_vec()).await.unwrap();
    }
    drop(sender);
    let answer = begin(gateway.address(), "hello").await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    answer.into_body().collect().await.unwrap().to_bytes().to_vec()
}

#[tokio::test]
async fn plain_answers_pass_byte_for_byte_and_what_is_blocked_reaches_nobody() {
    let said = Arc::new(Mutex::new(reply("hello yourself")));
    let answers = Arc::clone(&said);
    let peer = Peer::start(Box::new(move |_| ok(answers.lock().unwrap().clone()))).await;
    let (gateway, memory) = gateway(peer.address, config()).await;
    let client = Caller::new();
    let at = gateway.address();
    let body = ask("hello", false).replace("\"model\"", " \"seed\": 1.0e0, \"model\"");
    let headers = [KEY, ("x-stainless-lang", "python"), ("content-type", "application/json")];
    let got = client.send(at, "POST", &format!("{CHAT}?api-version=1"), &headers, body.clone()).await;
    assert_eq!((got.0, &got.2[..]), (StatusCode::OK, said.lock().unwrap().as_bytes()));
    let asked = peer.last();
    assert_eq!(
        (asked.path.as_str(), &asked.body[..]),
        ("/v1/chat/completions?api-version=1", body.as_bytes())
    );
    assert_eq!(asked.headers["x-stainless-lang"], "python");
    assert!(!asked.headers.contains_key("authorization"), "the gateway's key stays here");

    // The request, wherever in it the word stands.
    let hidden =
        ask("hello", false).replace("\"model\"", " \"x\": {\"y\": [\"project nightjar\"]}, \"model\"");
    for (path, body) in [
        (CHAT.to_owned(), ask("tell me about Project Nightjar", false)),
        (CHAT.to_owned(), hidden),
        (
            format!("{CHAT}?q=project%20x&z=project+nightjar,project nightjar").replace(' ', "%20"),
            ask("hello", false),
        ),
    ] {
        let before = peer.count();
        let got = client.send(at, "POST", &path, &headers, body).await;
        if path.contains('?') {
            // An escaped query is looked at as it stands.
            assert!(got.0 == StatusCode::OK || got.0 == StatusCode::FORBIDDEN);
            continue;
        }
        assert_eq!((got.0, peer.count()), (StatusCode::FORBIDDEN, before), "{path}");
        assert_eq!(json(&got.2)["error"]["code"], "policy_violation");
        assert_eq!(got.1["x-should-retry"], "false");
        assert_eq!(memory.last().decision.action, Action::Refuse);
    }
    // The reply.
    *said.lock().unwrap() = reply("it is about project nightjar");
    let got = client.send(at, "POST", CHAT, &headers, ask("hello", false)).await;
    assert_eq!(got.0, StatusCode::FORBIDDEN);
    assert!(!String::from_utf8_lossy(&got.2).contains("nightjar"));
    // A secret is taken out, and everything else stays as it was.
    *said.lock().unwrap() = reply("use AKIAQ3EGRZX5WT2NJ7PA for it");
    let got = client.send(at, "POST", CHAT, &headers, ask("hello", false)).await;
    let text = String::from_utf8(got.2.to_vec()).unwrap();
    assert!(got.0 == StatusCode::OK && !text.contains("AKIAQ3EGRZX5WT2NJ7PA"), "{text}");
    assert_eq!(json(&got.2)["usage"]["total_tokens"], 5);
    assert_eq!(memory.last().decision.action, Action::Redact);
    // Anthropic's shape, and a key in its header.
    let messages =
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"project nightjar"}]}"#;
    let got = client.send(at, "POST", "/v1/messages", &[("x-api-key", "secret-ann")], messages).await;
    assert_eq!(
        (got.0, json(&got.2)["error"]["type"].as_str()),
        (StatusCode::FORBIDDEN, Some("permission_error"))
    );
    assert_eq!(client.send(at, "POST", "/v1/messages", &[], messages).await.0, StatusCode::UNAUTHORIZED);
    // An agent's call of a tool that is not allowed is answered as a call.
    let call =
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"shell","arguments":{"c":"ls"}}}"#;
    let got = client.send(at, "POST", "/mcp", &[KEY], call).await;
    assert_eq!((got.0, json(&got.2)["id"].as_u64()), (StatusCode::OK, Some(7)));
    assert!(json(&got.2)["error"]["message"].is_string());
    // No server is given words in another charset, or a form, where JSON was looked at.
    for (kind, status) in [
        ("application/json; charset=utf-8", StatusCode::OK),
        ("application/json; charset=utf-7", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json; charset=\"utf-16\"", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/x-www-form-urlencoded", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("multipart/form-data; boundary=b", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let headers = [KEY, ("content-type", kind)];
        let got = client.send(at, "POST", "/v1/chat/completions", &headers, ask("hi", false)).await;
        assert_eq!(got.0, status, "{kind}");
    }
    let metrics = client.send(at, "GET", "/metrics", &[], "").await;
    let metrics = String::from_utf8_lossy(&metrics.2).into_owned();
    assert!(
        metrics.contains("mantlet_gateway_tokens_total{route=\"digits\",direction=\"output\"}"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_benign_stream_is_byte_equal_wherever_it_is_cut_and_comes_event_by_event() {
    let mut upstream = Streaming::start().await;
    let (gateway, memory) = gateway(upstream.address, config()).await;
    let whole = events(&["hé", "llo, AK", "IA is a prefix only", " and so is Project", " Night"]);
    for cut in (0..whole.len()).step_by(7) {
        let got = streamed(&upstream, &gateway, &[&whole[..cut], &whole[cut..]]).await;
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&whole), "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = whole.chunks(3).collect();
    assert_eq!(streamed(&upstream, &gateway, &bytes).await, whole);
    assert_eq!(memory.last().decision.action, Action::Allow);

    // The first event is with the client before the upstream has sent the second.
    let sender = upstream.answer();
    sender.send(delta("good morning. ").into_bytes()).await.unwrap();
    let mut body = begin(gateway.address(), "hello").await.into_body();
    let first = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), delta("good morning. "));
    // A client that goes away takes the upstream's work with it, and leaves a trace.
    drop(body);
    let gone = async {
        while tokio::time::timeout(Duration::from_millis(20), upstream.gone.recv()).await.is_err() {
            let _ = sender.try_send(delta("more").into_bytes());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    let traced = async {
        while memory.last().status != 499 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), traced).await.unwrap();
}

#[tokio::test]
async fn a_stream_in_flight_finishes_on_the_configuration_it_began_under() {
    let upstream = Streaming::start().await;
    let (gateway, memory) = gateway(upstream.address, guard_config()).await;
    let sender = upstream.answer();
    sender.send(delta("good morning. ").into_bytes()).await.unwrap();
    let answer = begin(gateway.address(), "hello").await;
    assert_eq!(answer.headers()["x-mantlet-generation"], "1");
    let mut body = answer.into_body();
    let soon = Duration::from_secs(20);
    let first = tokio::time::timeout(soon, body.frame()).await.unwrap().unwrap().unwrap();
    // From now on a word is blocked: for what begins from now on.
    assert_eq!(gateway.reload(GatewayConfig::default(), vec![route(upstream.address, config())]).unwrap(), 2);
    sender.send(delta("this is project nightjar. ").into_bytes()).await.unwrap();
    sender.send(b"data: [DONE]\n\n".to_vec()).await.unwrap();
    drop(sender);
    let rest = tokio::time::timeout(soon, body.collect()).await.unwrap().unwrap().to_bytes();
    let whole = [first.into_data().unwrap(), rest].concat();
    assert_eq!(spoken(&whole), "good morning. this is project nightjar. ");
    assert_eq!((memory.last().generation, memory.last().decision.action), (1, Action::Allow));
    let whole = events(&["good morning. ", "this is project nightjar. "]);
    let text = String::from_utf8(streamed(&upstream, &gateway, &[&whole]).await).unwrap();
    assert!(!text.contains("nightjar"), "{text}");
    assert_eq!((memory.last().generation, memory.last().decision.action), (2, Action::Refuse));
}

#[tokio::test]
async fn a_secret_or_a_blocked_word_is_never_released_wherever_the_stream_is_cut() {
    let upstream = Streaming::start().await;
    let (gateway, memory) = gateway(upstream.address, config()).await;
    let secret = "AKIAQ3EGRZX5WT2NJ7PA";
    // Every two-way split of the text over events, and events cut in the middle on the way.
    for split in 1..secret.len() {
        let (head, tail) = secret.split_at(split);
        let whole = events(&[&format!("use {head}"), &format!("{tail} now")]);
        let cut = whole.len() / 3 + split;
        let got = streamed(&upstream, &gateway, &[&whole[..cut], &whole[cut..]]).await;
        let text = spoken(&got);
        assert!(
            !text.contains(secret) && text.starts_with("use ") && text.ends_with(" now"),
            "{split}: {text}"
        );
        assert!(got.ends_with(b"data: [DONE]\n\n"));
    }
    assert_eq!(memory.last().decision.action, Action::Redact);

    // What is refused ends the stream before its first letter, in the dialect's own way.
    let term = "project nightjar";
    for split in 1..term.len() {
        let (head, tail) = term.split_at(split);
        let whole = events(&["it is ", head, tail, " and more"]);
        let got = streamed(&upstream, &gateway, &[&whole]).await;
        let text = String::from_utf8(got).unwrap();
        let said: String = text.split("data: {\"error\"").next().unwrap().to_owned();
        assert_eq!(spoken(said.as_bytes()).trim_end(), "it is", "{split}: {text}");
        assert!(text.contains("policy_violation") && text.ends_with("data: [DONE]\n\n"), "{split}: {text}");
    }
    let exchange = memory.last();
    assert_eq!((exchange.decision.action, exchange.status), (Action::Refuse, 200));
}

#[tokio::test]
async fn streams_that_break_off_or_cannot_be_read_are_no_whole_answers() {
    let upstream = Streaming::start().await;
    let (enforcing, memory) = gateway(upstream.address, config()).await;
    // No end: what came goes out, and the record says so.
    let half = delta("half an answer");
    let got = streamed(&upstream, &enforcing, &[half.as_bytes()]).await;
    assert_eq!(got, half.as_bytes());
    assert!(memory.last().decision.signals.iter().any(|signal| signal.name == "request-malformed"));
    // An event that two readers would read differently.
    let odd = b"data: {\"choices\":[],\"choices\":[]}\n\n".to_vec();
    let got = streamed(&upstream, &enforcing, &[&odd]).await;
    let text = String::from_utf8(got).unwrap();
    assert!(!text.contains("choices") && text.contains("policy_violation"), "{text}");
    // A guard that observes passes even that on, and tells.
    let (observing, memory) =
        gateway(upstream.address, GuardConfig { mode: Mode::Observe, ..config() }).await;
    let rest = events(&["after it"]);
    let got = streamed(&upstream, &observing, &[half.as_bytes(), &odd, &rest]).await;
    assert_eq!(got, [half.as_bytes(), &odd, &rest].concat());
    assert_eq!(memory.last().decision.action, Action::Flag);
    let secret = events(&["use AKIAQ3EGRZX5WT2NJ7PA now"]);
    assert_eq!(streamed(&upstream, &observing, &[&secret]).await, secret);
    assert_eq!(memory.last().decision.proposed, Action::Redact);
}

#[tokio::test]
async fn what_happens_when_text_rules_cannot_look_is_what_the_configuration_says() {
    let peer = Peer::start(Box::new(|_| ok(reply("fine")))).await;
    let client = Caller::new();
    for (on_failure, status) in
        [(OnFailure::Refuse, 403), (OnFailure::Divert, 403), (OnFailure::PassAndFlag, 200)]
    {
        let mut config = GuardConfig { text_bytes: 8, ..config() };
        for about in mantlet_detectors::text::text_abouts() {
            let policy = RulePolicy { on_failure, ..RulePolicy::for_rule(about.name, config.impact) };
            config.rules.insert(about.name.into(), policy);
        }
        let (gateway, memory) = gateway(peer.address, config).await;
        let got = client.send(gateway.address(), "POST", CHAT, &[KEY], ask("longer than eight", false)).await;
        assert_eq!(got.0.as_u16(), status, "{on_failure:?}");
        let exchange = memory.last();
        let expected = match on_failure {
            OnFailure::Refuse => Action::Refuse,
            OnFailure::Divert => Action::Divert,
            OnFailure::PassAndFlag => Action::Flag,
        };
        assert_eq!(exchange.decision.action, expected);
        assert!(exchange.decision.signals.iter().any(|signal| signal.name == "guard-rule-failed"));
        assert_eq!(memory.filed.lock().unwrap().len(), usize::from(on_failure == OnFailure::Divert));
    }
}
