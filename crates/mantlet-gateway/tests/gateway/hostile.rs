//! Messages that two readers could take for two different ones, and upstreams that drip, through the whole gateway.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mantlet_detectors::text::TextConfig;
use mantlet_gateway::{Gateway, GatewayConfig, Kind, Route, Upstream};
use mantlet_guard::{Controls, Guard, GuardConfig};
use mantlet_vocab::Action;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::peer::{Peer, REPLY, ok};
use crate::world::{Caller, Memory, body, guard, guard_config, json, ports, route};

const KEY: (&str, &str) = ("x-api-key", "secret-ann");
const INFER: &str = "/v2/models/sums/infer";

/// The defect that the last exchange is on record with.
fn defect(memory: &Memory) -> String {
    let signals = memory.last().decision.signals;
    let found = signals.iter().find_map(|signal| signal.facts.get("defect")?.as_str().map(str::to_owned));
    found.unwrap_or_default()
}

#[tokio::test]
async fn binary_tensors_that_lie_about_their_size_or_place_never_reach_the_model() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let memory = Arc::new(Memory::default());
    let routes = vec![route(peer.address, &guard(guard_config()))];
    let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
    let client = Caller::new();
    let row: Vec<u8> = [0.1_f32, 0.2, 0.3, 0.1].iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = |shape: &str, size: &str| {
        format!(
            r#"{{"name":"x","shape":{shape},"datatype":"FP32","parameters":{{"binary_data_size":{size}}}}}"#
        )
    };
    let good = format!(r#"{{"inputs":[{}]}}"#, tensor("[1,4]", "16"));
    let with = |inputs: &str| format!(r#"{{"inputs":[{inputs}]}}"#);
    let far = 1_u64 << 62;
    for (what, head, tail, name) in [
        ("fewer bytes than said", good.clone(), row[..12].to_vec(), "wire-binary-tail"),
        ("more bytes than said", good.clone(), [&row[..], &[0; 4]].concat(), "wire-binary-tail"),
        ("no bytes", good.clone(), vec![], "wire-binary-tail"),
        (
            "another size than the shape's",
            with(&tensor("[1,4]", "12")),
            row[..12].to_vec(),
            "wire-binary-size",
        ),
        (
            "a size beyond every message",
            with(&tensor("[1,4]", &far.to_string())),
            row.clone(),
            "wire-binary-tail",
        ),
        ("a negative size", with(&tensor("[1,4]", "-16")), row.clone(), "wire-out-of-range"),
        ("a size with a fraction", with(&tensor("[1,4]", "16.0")), row.clone(), "wire-out-of-range"),
        (
            "a shape that overflows",
            with(&tensor(&format!("[{far},16]"), "16")),
            row.clone(),
            "wire-shape-overflow",
        ),
        ("a shape of millions", with(&tensor("[1000000000,4]", "16")), row.clone(), "wire-too-many"),
        ("a negative axis", with(&tensor("[-1,4]", "16")), row.clone(), "wire-out-of-range"),
        (
            "a tensor twice",
            with(&[tensor("[1,2]", "8"), tensor("[1,2]", "8")].join(",")),
            row.clone(),
            "wire-duplicate-tensor",
        ),
        (
            "data and bytes",
            with(
                r#"{"name":"x","shape":[1,4],"datatype":"FP32","data":[0,0,0,0],"parameters":{"binary_data_size":16}}"#,
            ),
            row.clone(),
            "wire-both-forms",
        ),
        (
            "a place in shared memory",
            with(
                r#"{"name":"x","shape":[1,4],"datatype":"FP32","parameters":{"shared_memory_region":"r","shared_memory_byte_size":16}}"#,
            ),
            row.clone(),
            "wire-shared-memory",
        ),
        (
            "an answer into shared memory",
            good.replace("]}", r#"],"outputs":[{"name":"p","parameters":{"shared_memory_region":"r"}}]}"#),
            row.clone(),
            "wire-shared-memory",
        ),
        (
            "the size said twice",
            with(&tensor("[1,4]", r#"16,"binary_data_size":0"#)),
            row.clone(),
            "wire-duplicate-key",
        ),
    ] {
        let length = head.len().to_string();
        let headers = [KEY, ("inference-header-content-length", length.as_str())];
        let got =
            client.send(gateway.address(), "POST", INFER, &headers, [head.as_bytes(), &tail].concat()).await;
        assert_eq!(got.0, StatusCode::BAD_REQUEST, "{what}: {}", String::from_utf8_lossy(&got.2));
        assert_eq!(defect(&memory), name, "{what}");
    }
    // Lengths of the head that are two, or none.
    let message = [good.as_bytes(), &row].concat();
    let length = good.len().to_string();
    for lengths in [
        vec!["0"],
        vec!["+16"],
        vec![" "],
        vec!["99999999999999999999"],
        vec![length.as_str(), length.as_str()],
    ] {
        let headers: Vec<_> = std::iter::once(KEY)
            .chain(lengths.iter().map(|l| ("inference-header-content-length", *l)))
            .collect();
        let got = client.send(gateway.address(), "POST", INFER, &headers, message.clone()).await;
        assert_eq!(got.0, StatusCode::BAD_REQUEST, "{lengths:?}");
    }
    assert_eq!(peer.count(), 0);
    let headers = [KEY, ("inference-header-content-length", length.as_str())];
    assert_eq!(client.send(gateway.address(), "POST", INFER, &headers, message).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_conversation_that_two_readers_take_for_two_never_reaches_the_model() {
    let peer = Peer::start(Box::new(|_| ok("{}"))).await;
    let memory = Arc::new(Memory::default());
    let version = Upstream {
        version: "1".into(),
        url: format!("http://{}", peer.address),
        weight: 1,
        ..Upstream::default()
    };
    let text = TextConfig { terms: vec!["project nightjar".into()], ..TextConfig::default() };
    let guard = Guard::new(GuardConfig { text, ..guard_config() }, None, vec![], Arc::new(Controls::new()));
    let route = Route {
        kind: Kind::Text { prefix: String::new() },
        ..Route::new("chat".into(), vec![version], Arc::new(guard.unwrap()))
    };
    let gateway = Gateway::start(GatewayConfig::default(), vec![route], ports(&memory)).await.unwrap();
    let client = Caller::new();
    let say = |message: &str| format!(r#"{{"model":"m","messages":[{message}]}}"#);
    let good = say(r#"{"role":"user","content":"good morning"}"#);
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for (what, body, status, name) in [
        ("content twice", say(r#"{"role":"user","content":"hi","content":"Project Nightjar"}"#).into_bytes(), 400, "wire-duplicate-key"),
        ("content twice behind an escape", say(r#"{"role":"user","content":"hi","cont\u0065nt":"Project Nightjar"}"#).into_bytes(), 400, "wire-duplicate-key"),
        ("messages twice", good.replace("}]}", r#"}],"messages":[]}"#).into_bytes(), 400, "wire-duplicate-key"),
        ("a byte order mark", [b"\xef\xbb\xbf", good.as_bytes()].concat(), 400, "wire-syntax"),
        ("UTF-16", utf16, 400, "wire-syntax"),
        ("half a character", good.replace("good", "\u{fffd}").into_bytes().into_iter().filter(|byte| *byte != 0xbd).collect(), 400, "wire-not-utf8"),
        ("half a surrogate pair", good.replace("good", r"\ud83d").into_bytes(), 400, "wire-syntax"),
        ("too deep", good.replace("\"good morning\"", &deep).into_bytes(), 400, "wire-too-deep"),
        ("not a number", good.replace("}]}", r#"}],"temperature":NaN}"#).into_bytes(), 400, "wire-syntax"),
        ("infinity", good.replace("}]}", r#"}],"temperature":Infinity}"#).into_bytes(), 400, "wire-syntax"),
        ("a number beyond its place", good.replace("}]}", r#"}],"max_tokens":1e999}"#).into_bytes(), 400, "wire-out-of-range"),
        ("a comment", good.replace("{\"role\"", "/* */{\"role\"").into_bytes(), 400, "wire-syntax"),
        ("a comma too many", good.replace("}]}", "},]}").into_bytes(), 400, "wire-syntax"),
        ("something behind", format!("{good} {good}").into_bytes(), 400, "wire-trailing-data"),
        ("a byte behind", format!("{good}\0").into_bytes(), 400, "wire-trailing-data"),
        // What every reader takes for the same is looked at wherever it stands.
        ("parts beside a text", say(r#"{"role":"user","content":"hi","content_blocks":[{"type":"text","text":"Project Nightjar"}]}"#).into_bytes(), 403, ""),
        ("a list of parts", say(r#"{"role":"user","content":[{"type":"text","text":"Project Nightjar"}]}"#).into_bytes(), 403, ""),
        ("an unknown member", good.replace("}]}", r#"}],"later":{"a":["Project Nightjar"]}}"#).into_bytes(), 403, ""),
        ("an unknown key", good.replace("}]}", r#"}],"Project Nightjar":1}"#).into_bytes(), 403, ""),
        ("a query", good.clone().into_bytes(), 403, "query"),
    ] {
        let path = if name == "query" { "/v1/chat/completions?note=Project%20Nightjar" } else { "/v1/chat/completions" };
        let got = client.send(gateway.address(), "POST", path, &[KEY], body).await;
        assert_eq!(got.0.as_u16(), status, "{what}: {}", String::from_utf8_lossy(&got.2));
        assert!(json(&got.2)["error"]["message"].is_string());
        if status == 400 {
            assert_eq!(defect(&memory), name, "{what}");
        }
        assert_eq!(memory.last().decision.action, Action::Refuse, "{what}");
    }
    assert_eq!(peer.count(), 0);
}

#[tokio::test]
async fn an_upstream_that_drips_is_given_up_at_every_stage() {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        REPLY.len()
    );
    for at_once in [0, 20, head.len(), head.len() + 10] {
        let whole = format!("{head}{REPLY}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let whole = whole.clone();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(&whole.as_bytes()[..at_once]).await;
                    for byte in &whole.as_bytes()[at_once..] {
                        // The pace of the attack, which is what is tested.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        if stream.write_all(&[*byte]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let memory = Arc::new(Memory::default());
        let config = GatewayConfig { upstream_timeout_ms: 300, ..GatewayConfig::default() };
        let routes = vec![route(address, &guard(guard_config()))];
        let gateway = Gateway::start(config, routes, ports(&memory)).await.unwrap();
        let asked = Caller::new().send(gateway.address(), "POST", INFER, &[KEY], body([0.0; 4])).await;
        assert_eq!((asked.0, memory.last().status), (StatusCode::GATEWAY_TIMEOUT, 504), "{at_once}");
    }
}
