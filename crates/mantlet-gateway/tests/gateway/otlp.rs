//! Traces and metrics as a collector gets them, read by the field numbers of opentelemetry-proto 1.x and nothing of ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use mantlet_gateway::{Gateway, GatewayConfig, Kind, Otlp, Route, Secret, Upstream};
use mantlet_guard::{Controls, Guard};

use crate::peer::{Asked, Peer, ok};
use crate::text::{ask, reply};
use crate::world::{Caller, Memory, guard_config, ports};

/// A field of a protobuf message.
#[derive(Debug, Clone)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// The fields of a message, by number.
fn fields(bytes: &[u8]) -> Vec<(u64, Field)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let key = varint(bytes, &mut at);
        let field = match key & 7 {
            0 => Field::Number(varint(bytes, &mut at)),
            1 => {
                at += 8;
                Field::Number(u64::from_le_bytes(bytes[at - 8..at].try_into().unwrap()))
            }
            2 => {
                let length = usize::try_from(varint(bytes, &mut at)).unwrap();
                at += length;
                Field::Bytes(bytes[at - length..at].to_vec())
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

/// Every message at the end of a path of field numbers.
fn down(bytes: &[u8], path: &[u64]) -> Vec<Vec<u8>> {
    path.iter().fold(vec![bytes.to_vec()], |messages, number| {
        let below = messages.iter().flat_map(|message| fields(message));
        below
            .filter_map(|(found, field)| match field {
                Field::Bytes(bytes) if found == *number => Some(bytes),
                _ => None,
            })
            .collect()
    })
}

fn number(bytes: &[u8], number: u64) -> Option<u64> {
    fields(bytes).into_iter().find_map(|(found, field)| match field {
        Field::Number(value) if found == number => Some(value),
        _ => None,
    })
}

fn text(bytes: &[u8], at: u64) -> String {
    down(bytes, &[at]).first().map(|text| String::from_utf8(text.clone()).unwrap()).unwrap_or_default()
}

/// An attribute's value, whatever its type, as text: KeyValue { key 1, value 2 }, AnyValue { string 1, int 3 }.
fn attribute(message: &[u8], at: u64, key: &str) -> Option<String> {
    let pair = down(message, &[at]).into_iter().find(|pair| text(pair, 1) == key)?;
    let value = down(&pair, &[2]).remove(0);
    number(&value, 3).map(|value| value.to_string()).or_else(|| Some(text(&value, 1)))
}

async fn gateway(model: &Peer, collector: &Peer) -> Gateway {
    let version = Upstream {
        version: "1".into(),
        url: format!("http://{}", model.address),
        weight: 1,
        ..Upstream::default()
    };
    let guard = Guard::new(guard_config(), None, vec![], Arc::new(Controls::new())).unwrap();
    let route = Route {
        kind: Kind::Text { prefix: String::new() },
        ..Route::new("chat".into(), vec![version], Arc::new(guard))
    };
    let otlp = Otlp {
        endpoint: format!("http://{}/", collector.address),
        headers: vec![("x-collector-key".into(), Secret("let me in".into()))],
        service: "scoring".into(),
        interval_ms: 50,
    };
    let config = GatewayConfig { otlp: Some(otlp), ..GatewayConfig::default() };
    Gateway::start(config, vec![route], ports(&Arc::new(Memory::default()))).await.unwrap()
}

/// What the collector was sent to a path, once it was.
async fn sent(collector: &Peer, path: &str, holds: impl Fn(&Asked) -> bool) -> Asked {
    let begun = Instant::now();
    loop {
        let found =
            collector.asked.lock().unwrap().iter().find(|asked| asked.path == path && holds(asked)).cloned();
        if let Some(found) = found {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing was sent to {path}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_collector_gets_spans_and_metrics_with_the_names_of_the_conventions() {
    let model = Peer::start(Box::new(|_| ok(reply("a private answer")))).await;
    let collector = Peer::start(Box::new(|_| ok(""))).await;
    let gateway = gateway(&model, &collector).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("authorization", "Bearer secret-ann"), ("traceparent", trace)];
    let body = ask("a private question", false);
    let got = Caller::new().send(gateway.address(), "POST", "/v1/chat/completions", &headers, body).await;
    assert_eq!(got.0, StatusCode::OK);
    assert_eq!(model.last().headers["traceparent"], trace, "the caller's trace goes on");

    let traces = sent(&collector, "/v1/traces", |_| true).await;
    assert_eq!(traces.headers["content-type"], "application/x-protobuf");
    assert_eq!(traces.headers["x-collector-key"], "let me in");
    // resource_spans 1, resource 1; resource_spans 1, scope_spans 2, spans 2.
    let resource = down(&traces.body, &[1, 1]).remove(0);
    assert_eq!(attribute(&resource, 1, "service.name").as_deref(), Some("scoring"));
    let span = down(&traces.body, &[1, 2, 2]).remove(0);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&down(&span, &[1]).remove(0)), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&down(&span, &[4]).remove(0)), "b7ad6b7169203331");
    assert_eq!(down(&span, &[2]).remove(0).len(), 8);
    assert_eq!((text(&span, 5).as_str(), number(&span, 6)), ("chat m", Some(3)));
    let (start, end) = (number(&span, 7).unwrap(), number(&span, 8).unwrap());
    assert!(
        start > 1_700_000_000_000_000_000 && end > start && end - start < 60_000_000_000,
        "{start} {end}"
    );
    let exchange = got.1["x-mantlet-exchange"].to_str().unwrap();
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "m"),
        ("gen_ai.usage.input_tokens", "3"),
        ("gen_ai.usage.output_tokens", "2"),
        ("mantlet.action", "allow"),
        ("mantlet.exchange", exchange),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(attribute(&span, 9, key).as_deref(), Some(value), "{key}");
    }

    let metrics = sent(&collector, "/v1/metrics", |_| true).await;
    // resource_metrics 1, scope_metrics 2, metrics 2; name 1, unit 3, sum 7, histogram 9.
    let all = down(&metrics.body, &[1, 2, 2]);
    let metric = |name: &str| all.iter().find(|metric| text(metric, 1) == name).unwrap();
    let tokens = metric("gen_ai.client.token.usage");
    assert_eq!(text(tokens, 3), "{token}");
    // histogram 9 { data_points 1 { count 4, attributes 9 } }, aggregation_temporality 2: cumulative.
    let points = down(tokens, &[9, 1]);
    assert_eq!(number(&down(tokens, &[9]).remove(0), 2), Some(2));
    let kinds: Vec<_> =
        points.iter().map(|point| attribute(point, 9, "gen_ai.token.type").unwrap()).collect();
    assert_eq!(kinds, ["input", "output"]);
    assert!(points.iter().all(|point| number(point, 4) == Some(1)));
    assert_eq!(number(&down(metric("gen_ai.client.operation.duration"), &[9, 1]).remove(0), 4), Some(1));
    // sum 7 { data_points 1 { as_int 6 }, is_monotonic 3 }.
    let exchanges = metric("mantlet.exchanges");
    assert_eq!(number(&down(exchanges, &[7, 1]).remove(0), 6), Some(1));
    assert_eq!(number(&down(exchanges, &[7]).remove(0), 3), Some(1));
    for asked in collector.asked.lock().unwrap().iter() {
        let text = String::from_utf8_lossy(&asked.body).into_owned();
        assert!(!text.contains("private") && !text.contains("ann"), "no text and no caller leaves: {text}");
    }
}

#[tokio::test]
async fn a_collector_that_fails_costs_its_telemetry_and_nothing_else() {
    let model = Peer::start(Box::new(|_| ok(reply("well")))).await;
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let collector = Peer::start(Box::new(move |_| {
        let mut answer = ok("");
        if failing.load(Ordering::Relaxed) {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    }))
    .await;
    let gateway = gateway(&model, &collector).await;
    let client = Caller::new();
    let key = [("authorization", "Bearer secret-ann")];
    let say = || client.send(gateway.address(), "POST", "/v1/chat/completions", &key, ask("hello", false));
    assert_eq!(say().await.0, StatusCode::OK);
    sent(&collector, "/v1/traces", |_| true).await;
    let begun = Instant::now();
    loop {
        let text = client.send(gateway.admin_address(), "GET", "/metrics", &[], "").await.2;
        if String::from_utf8(text.to_vec()).unwrap().contains("overloads_total{port=\"otlp\"} 1") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "what was lost is not counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // When it is back it gets what comes, and counts from the start on.
    fails.store(false, Ordering::Relaxed);
    assert_eq!(say().await.0, StatusCode::OK);
    let counts = |asked: &Asked| {
        let all = down(&asked.body, &[1, 2, 2]);
        let exchanges = all.iter().find(|metric| text(metric, 1) == "mantlet.exchanges");
        exchanges.and_then(|metric| number(&down(metric, &[7, 1]).remove(0), 6)) == Some(2)
    };
    sent(&collector, "/v1/metrics", counts).await;
    gateway.shutdown().await;
}
