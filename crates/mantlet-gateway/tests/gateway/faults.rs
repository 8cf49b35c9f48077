//! Slow clients, dead upstreams, clients that go away, shutdown.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mantlet_gateway::{Gateway, GatewayConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Caller, Memory, body, guard, guard_config, json, ports, route};

#[test]
fn the_cases_of_a_malformed_request_hold() {
    let about =
        mantlet_detectors::abouts().into_iter().find(|about| about.name == "request-malformed").unwrap();
    for case in about.cases.split("## ").skip(1) {
        let body = case.split("```json").nth(1).unwrap().split("```").next().unwrap().trim();
        let read =
            mantlet_wire::read_request("m", None, None, body.as_bytes(), &mantlet_wire::Limits::default());
        assert_eq!(read.is_err(), case.starts_with("hit"), "{case}");
    }
}

async fn gateway(config: GatewayConfig, upstream: std::net::SocketAddr) -> (Gateway, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let routes = vec![route(upstream, &guard(guard_config()))];
    (Gateway::start(config, routes, ports(&memory)).await.unwrap(), memory)
}

/// An upstream that takes requests and does not answer; tells when its caller hangs up.
async fn silent() -> (std::net::SocketAddr, tokio::sync::mpsc::Receiver<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let mut first = true;
                loop {
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => {
                            let _ = tell.send("gone").await;
                            return;
                        }
                        Ok(_) if first => {
                            first = false;
                            let _ = tell.send("asked").await;
                        }
                        Ok(_) => {}
                    }
                }
            });
        }
    });
    (address, told)
}

#[tokio::test]
async fn upstreams_that_are_dead_slow_or_talk_nonsense() {
    let client = Caller::new();
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let (gateway_dead, memory) = gateway(GatewayConfig::default(), dead).await;
    let got = client.infer(gateway_dead.address(), "ann", [0.0; 4]).await;
    assert_eq!(got.0, StatusCode::BAD_GATEWAY);
    assert!(json(&got.2)["error"].as_str().unwrap().contains("cannot be reached"));
    assert_eq!(memory.last().status, 502);
    let ready = client.send(gateway_dead.address(), "GET", "/v2/health/ready", &[], "").await;
    assert_eq!(ready.0, StatusCode::SERVICE_UNAVAILABLE);

    let (address, _told) = silent().await;
    let config = GatewayConfig { upstream_timeout_ms: 100, ..GatewayConfig::default() };
    let (gateway_slow, _) = gateway(config, address).await;
    assert_eq!(client.infer(gateway_slow.address(), "ann", [0.0; 4]).await.0, StatusCode::GATEWAY_TIMEOUT);

    for (reply, status) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 502),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n{}", 502),
        ("HTTP/1.1 500 X\r\ncontent-length: 13\r\n\r\n{\"error\":\"x\"}", 500),
        ("what?", 502),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let talk = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(reply.as_bytes()).await;
        });
        let config = GatewayConfig { max_reply: 1000, ..GatewayConfig::default() };
        let (odd, _) = gateway(config, address).await;
        assert_eq!(client.infer(odd.address(), "ann", [0.0; 4]).await.0.as_u16(), status, "{reply}");
        talk.await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_upstream_call_along_and_leaves_a_trace() {
    let (address, mut told) = silent().await;
    let (gateway, memory) = gateway(GatewayConfig::default(), address).await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    let body = body([0.0; 4]);
    let request = format!(
        "POST /v2/models/sums/infer HTTP/1.1\r\nhost: x\r\nx-api-key: secret-eve\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(told.recv().await, Some("asked"));
    drop(stream);
    let gone = tokio::time::timeout(Duration::from_secs(5), told.recv()).await;
    assert_eq!(gone, Ok(Some("gone")));
    let exchange = memory.last();
    assert_eq!((exchange.status, exchange.caller.as_str()), (499, "eve"));
    assert_eq!(exchange.request.inputs.len(), 1);
}

#[tokio::test]
async fn slow_and_oversized_clients_are_let_go() {
    let (address, _told) = silent().await;
    let config = GatewayConfig {
        header_timeout_ms: 100,
        body_timeout_ms: 100,
        max_body: 1000,
        ..GatewayConfig::default()
    };
    let (gateway, _) = gateway(config, address).await;
    // A head that never ends.
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(b"POST /v2/models/sums/infer HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    // A body that never ends.
    let head = |length: usize| {
        format!(
            "POST /v2/models/sums/infer HTTP/1.1\r\nhost: x\r\nx-api-key: secret-eve\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    for (length, sent, status) in [(500, "{", "408"), (1001, "{", "413"), (usize::MAX / 2, "{", "413")] {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all((head(length) + sent).as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(std::str::from_utf8(&answer).unwrap(), format!("HTTP/1.1 {status}"));
    }
    // A body longer than it said it would be at first: chunked.
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let head = "POST /v2/models/sums/infer HTTP/1.1\r\nhost: x\r\nx-api-key: secret-eve\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all((head.to_owned() + &chunk).as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn shutdown_lets_open_exchanges_finish_and_frees_the_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (gateway, memory) = gateway(GatewayConfig::default(), address).await;
    let at = gateway.address();
    let asked = tokio::spawn(async move { Caller::new().infer(at, "ann", [0.0; 4]).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let _ = stream.read(&mut [0; 4096]).await.unwrap();
    let stopping = tokio::spawn(gateway.shutdown());
    tokio::task::yield_now().await;
    let body =
        r#"{"model_name":"sums","outputs":[{"name":"p","shape":[1,2],"datatype":"FP32","data":[0,1]}]}"#;
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(reply.as_bytes()).await.unwrap();
    let got = asked.await.unwrap();
    assert_eq!((got.0, got.2.as_ref()), (StatusCode::OK, body.as_bytes()));
    stopping.await.unwrap();
    assert_eq!(memory.last().status, 200);
    assert!(TcpListener::bind(at).await.is_ok());
}
