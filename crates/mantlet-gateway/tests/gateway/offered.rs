//! What is not offered says so: calls at no path of a dialect, and bodies in other codings than chunks.

use mantlet_gateway::GatewayConfig;

use crate::peer::{Peer, REPLY, ok};
use crate::text::{config, gateway};
use crate::transport;
use crate::world::{Caller, body, json};

const KEY: (&str, &str) = ("authorization", "Bearer secret-ann");

#[tokio::test]
async fn calls_that_are_not_offered_say_so_in_the_dialect_that_was_meant() {
    let peer = Peer::start(Box::new(|_| ok(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#))).await;
    let (gateway, _) = gateway(peer.address, config()).await;
    let (client, at) = (Caller::new(), gateway.address());
    let version = ("anthropic-version", "2023-06-01");
    for (method, path, headers, anthropic) in [
        ("POST", "/v1/audio/transcriptions", vec![KEY], false),
        ("POST", "/v1/batches", vec![KEY], false),
        ("GET", "/v1/responses/resp_1", vec![KEY], false),
        ("POST", "/v1/chat/completions/", vec![], false),
        ("POST", "/v1/messages/batches", vec![KEY], true),
        ("POST", "/v1/skills", vec![KEY, version], true),
    ] {
        let got = client.send(at, method, path, &headers, "{}").await;
        let said = json(&got.2);
        assert_eq!(got.0.as_u16(), 404, "{path}");
        assert!(said["error"]["message"].as_str().unwrap().contains("not offered here"), "{path}: {said}");
        assert_eq!(said["type"] == "error", anthropic, "{path}: {said}");
    }
    // What is below no dialect's path has none.
    let got = client.send(at, "GET", "/nothing", &[KEY], "").await;
    assert!(got.0.as_u16() == 404 && json(&got.2)["error"].is_string());
    assert_eq!(peer.count(), 0);
    // A mounted server of tools has a slash at its end, and is asked there, looked at like any.
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"NAME","arguments":{}}}"#;
    let got = client.send(at, "POST", "/mcp/", &[KEY], call.replace("NAME", "add")).await;
    assert_eq!((got.0.as_u16(), peer.last().path.as_str()), (200, "/mcp/"));
    client.send(at, "POST", "/mcp/", &[KEY], call.replace("NAME", "shell")).await;
    assert_eq!(peer.count(), 1);
}

#[tokio::test]
async fn a_body_comes_in_no_transfer_coding_but_chunks() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let (gateway, _) = transport::gateway(GatewayConfig::default(), &peer).await;
    let good = body([0.0; 4]);
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\nX-Api-Key: secret-ann\r\n", transport::INFER);
    // Whatever else is said; chunks are taken in any letters.
    for (coding, status) in [
        ("Transfer-Encoding: gzip, chunked", "501"),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "501"),
        ("Transfer-Encoding: identity, chunked", "501"),
        ("Transfer-Encoding: Chunked ", "200"),
    ] {
        let before = peer.count();
        let sent = format!("{head}{coding}\r\n\r\n{:x}\r\n{good}\r\n0\r\n\r\n", good.len());
        let got = transport::raw(gateway.address(), sent.as_bytes()).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status}")), "{coding}: {got}");
        assert_eq!(peer.count() - before, usize::from(status == "200"), "{coding}");
    }
}
