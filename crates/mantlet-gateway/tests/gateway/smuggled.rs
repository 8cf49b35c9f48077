//! Two requests in one, and two replies in one, beyond HTTP/1.1 requests: frames of HTTP/2 that lie, floods of them, and
//! upstreams whose replies two readers could take for different ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use mantlet_gateway::{Gateway, GatewayConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::peer::{Peer, REPLY, ok};
use crate::world::{Caller, Memory, body, guard, guard_config, ports, route};

const INFER: &str = "/v2/models/sums/infer";
const SERVED: &str = "/v2/models/sums/versions/1/infer";
const SOON: Duration = Duration::from_secs(20);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

async fn start(upstream: SocketAddr, h2: bool) -> (Gateway, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let mut over = route(upstream, &guard(guard_config()));
    over.upstreams.iter_mut().for_each(|upstream| upstream.h2 = h2);
    // A reply whose end cannot be known is waited for no longer than that.
    let config = GatewayConfig { upstream_timeout_ms: 500, ..GatewayConfig::default() };
    (Gateway::start(config, vec![over], ports(&memory)).await.unwrap(), memory)
}

/// A frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A block of headers, each a literal that is not indexed (RFC 7541, section 6.2.2).
fn block(headers: &[(&[u8], &[u8])]) -> Vec<u8> {
    let text = |text: &[u8]| {
        assert!(text.len() < 127, "one byte of length");
        [&[u8::try_from(text.len()).unwrap()], text].concat()
    };
    headers.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

fn head<'a>(path: &'a [u8], more: &[(&'a [u8], &'a [u8])]) -> Vec<(&'a [u8], &'a [u8])> {
    let plain: [(&[u8], &[u8]); 5] = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"x"),
        (b":path", path),
        (b"x-api-key", b"secret-ann"),
    ];
    [&plain, more].concat()
}

/// Sends frames after the preface, and gives what came back until the connection is over or quiet.
async fn frames(to: SocketAddr, sent: &[u8], quiet: Duration) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&hello).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sent = sent.to_vec();
    // Both ways at once: a server that has had enough no longer reads.
    let write = tokio::spawn(async move {
        let _ = writer.write_all(&sent).await;
        writer
    });
    let (mut got, mut bytes) = (Vec::new(), [0; 16 << 10]);
    let over = loop {
        match tokio::time::timeout(quiet, reader.read(&mut bytes)).await {
            Err(_) => break false,
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(count)) => got.extend_from_slice(&bytes[..count]),
        }
    };
    write.abort();
    (got, over)
}

/// The frames that came back: kind, stream, and payload.
fn came(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut found = Vec::new();
    while let [a, b, c, kind, _, s1, s2, s3, s4, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        found.push((*kind, u32::from_be_bytes([*s1, *s2, *s3, *s4]), payload.to_vec()));
        bytes = rest;
    }
    found
}

#[tokio::test]
async fn a_request_over_http2_that_another_reader_would_take_for_two_reaches_no_upstream() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let good = body([0.0; 4]);
    let inner = format!("{good}GET /v2/repository/index HTTP/1.1\r\nhost: x\r\n\r\n");
    let (length, long) = (good.len().to_string(), (good.len() + 40).to_string());
    let split: &[u8] = b"/v2/models/sums/infer HTTP/1.1\r\nhost: x\r\n\r\nGET /v2/repository/index";
    let case = |what: &'static str, headers: Vec<(&[u8], &[u8])>, data: &str| {
        (what, block(&headers), data.to_owned())
    };
    let cases = [
        case(
            "a length that is too short",
            head(INFER.as_bytes(), &[(b"content-length", length.as_bytes())]),
            &inner,
        ),
        case(
            "a length that is too long",
            head(INFER.as_bytes(), &[(b"content-length", long.as_bytes())]),
            &good,
        ),
        case("no length, and more behind", head(INFER.as_bytes(), &[(b"content-length", b"0")]), &inner),
        case(
            "two lengths",
            head(INFER.as_bytes(), &[(b"content-length", length.as_bytes()), (b"content-length", b"0")]),
            &good,
        ),
        case(
            "chunks",
            head(INFER.as_bytes(), &[(b"transfer-encoding", b"chunked")]),
            "0\r\n\r\nGET /v2/repository/index HTTP/1.1\r\n\r\n",
        ),
        case("a connection's header", head(INFER.as_bytes(), &[(b"connection", b"close")]), &good),
        case(
            "a line in a value",
            head(INFER.as_bytes(), &[(b"x-a", b"b\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1")]),
            &good,
        ),
        case(
            "a bare end of line in a value",
            head(INFER.as_bytes(), &[(b"x-a", b"b\ntransfer-encoding: chunked")]),
            &good,
        ),
        case("a line in a name", head(INFER.as_bytes(), &[(b"x-a: b\r\ncontent-length", b"0")]), &good),
        case("capitals in a name", head(INFER.as_bytes(), &[(b"Content-Length", b"0")]), &good),
        case("a line in the path", head(split, &[]), &good),
        case("a blank in the path", head(b"/v2/models/sums/infer HTTP/1.1", &[]), &good),
        case(
            "a line in the method",
            [
                vec![(&b":method"[..], &b"POST / HTTP/1.1\r\nx: y"[..])],
                head(INFER.as_bytes(), &[])[1..].to_vec(),
            ]
            .concat(),
            &good,
        ),
        case(
            "a path twice",
            [vec![(&b":path"[..], &b"/v2/repository/index"[..])], head(INFER.as_bytes(), &[])].concat(),
            &good,
        ),
        case(
            "a path behind the others",
            head(INFER.as_bytes(), &[(b":path", b"/v2/repository/index")]),
            &good,
        ),
        case(
            "no path",
            head(INFER.as_bytes(), &[]).into_iter().filter(|(name, _)| name != b":path").collect(),
            &good,
        ),
    ];
    for h2 in [false, true] {
        let (gateway, _) = start(peer.address, h2).await;
        for (what, block, data) in &cases {
            let before = peer.count();
            let sent =
                [frame(HEADERS, END_HEADERS, 1, block), frame(DATA, END_STREAM, 1, data.as_bytes())].concat();
            let (got, _) = frames(gateway.address(), &sent, Duration::from_millis(250)).await;
            for asked in &peer.asked.lock().unwrap()[before..] {
                // What goes on is the one inference, framed anew; nothing that stood in it is a request.
                assert_eq!((asked.path.as_str(), &asked.body[..]), (SERVED, good.as_bytes()), "{what}");
                assert!(
                    !asked.headers.contains_key("transfer-encoding") && !asked.headers.contains_key("x-a"),
                    "{what}"
                );
            }
            assert!(peer.count() <= before + 1, "{what}");
            let said = came(&got).into_iter().any(|(kind, ..)| [HEADERS, RESET, GOAWAY].contains(&kind));
            assert!(said, "{what}: the caller is told nothing");
        }
        // A plain one over the same frames is answered: the cases above fail for what is in them.
        let plain = head(INFER.as_bytes(), &[(b"content-length", length.as_bytes())]);
        let sent =
            [frame(HEADERS, END_HEADERS, 1, &block(&plain)), frame(DATA, END_STREAM, 1, good.as_bytes())]
                .concat();
        let (got, _) = frames(gateway.address(), &sent, Duration::from_millis(700)).await;
        let data: Vec<u8> =
            came(&got).into_iter().filter(|(kind, ..)| *kind == DATA).flat_map(|(_, _, data)| data).collect();
        assert_eq!(String::from_utf8(data).unwrap(), REPLY);
    }
}

#[tokio::test]
async fn floods_of_frames_end_their_connection_and_nobody_elses() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let (gateway, _) = start(peer.address, false).await;
    let good = body([0.0; 4]);
    let asks = block(&head(INFER.as_bytes(), &[]));
    // Asked for and taken back at once (CVE-2023-44487).
    let resets: Vec<u8> = (0..20_000_u32)
        .flat_map(|number| {
            let stream = number * 2 + 1;
            [frame(HEADERS, END_HEADERS, stream, &asks), frame(RESET, 0, stream, &8_u32.to_be_bytes())]
                .concat()
        })
        .collect();
    // Headers that never end (CVE-2024-27316 and its like).
    let headers: Vec<u8> = [frame(HEADERS, 0, 1, &asks)]
        .into_iter()
        .chain((0..20_000).map(|_| frame(CONTINUATION, 0, 1, &block(&[(b"x-more", &[b'a'; 100])]))))
        .flatten()
        .collect();
    let empty: Vec<u8> = [frame(HEADERS, 0, 1, &asks)]
        .into_iter()
        .chain((0..200_000).map(|_| frame(CONTINUATION, 0, 1, &[])))
        .flatten()
        .collect();
    for (what, flood) in [("resets", resets), ("endless headers", headers), ("empty parts of headers", empty)]
    {
        let before = peer.count();
        let address = gateway.address();
        let flooding = tokio::spawn(async move { frames(address, &flood, SOON).await });
        let began = std::time::Instant::now();
        let got =
            Caller::new().send(address, "POST", INFER, &[("x-api-key", "secret-ann")], good.clone()).await;
        assert_eq!((got.0, got.2.as_ref()), (StatusCode::OK, REPLY.as_bytes()), "{what}: another caller");
        assert!(began.elapsed() < SOON, "{what}: another caller waits");
        let (got, over) = flooding.await.unwrap();
        assert!(over, "{what}: the connection is kept");
        let away = came(&got).iter().any(|(kind, ..)| *kind == GOAWAY || *kind == RESET);
        assert!(away || got.len() < 1 << 20, "{what}");
        // Nothing that was taken back before it was whole was asked of the model.
        assert!(peer.count() <= before + 1, "{what}: {} calls", peer.count() - before);
    }
}

/// An upstream that answers each request by the bytes of a function of its number, and keeps the connection.
async fn upstream(
    answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked, answer) =
        (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)), Arc::new(answer));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
            tokio::spawn(async move {
                let mut seen = Vec::new();
                let mut bytes = [0; 4096];
                while let Ok(taken) = stream.read(&mut bytes).await {
                    if taken == 0 {
                        return;
                    }
                    seen.extend_from_slice(&bytes[..taken]);
                    // A request of these tests ends with its JSON.
                    if seen.ends_with(b"}]}") || seen.ends_with(b"\"7\"}") {
                        seen.clear();
                        let number = count.fetch_add(1, Ordering::SeqCst);
                        if stream.write_all(&answer(number)).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_reply_that_two_readers_take_for_two_is_framed_anew_or_none() {
    let length = REPLY.len();
    let chunked = format!("{length:x}\r\n{REPLY}\r\n0\r\n\r\n");
    let answer = |head: &str, body: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\n{body}").into_bytes()
    };
    let evil = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil".to_vec();
    for (what, bytes) in [
        ("two lengths", answer(&format!("content-length: {length}\r\ncontent-length: 4\r\n"), REPLY)),
        ("a list of lengths", answer(&format!("content-length: {length}, 4\r\n"), REPLY)),
        ("a signed length", answer(&format!("content-length: +{length}\r\n"), REPLY)),
        ("a length and chunks", answer("content-length: 4\r\ntransfer-encoding: chunked\r\n", &chunked)),
        ("chunks and a length", answer("transfer-encoding: chunked\r\ncontent-length: 4\r\n", &chunked)),
        ("chunks that are not last", answer("transfer-encoding: chunked, identity\r\n", &chunked)),
        ("a blank before the colon", answer(&format!("content-length : {length}\r\n"), REPLY)),
        (
            "a header that is folded",
            answer(&format!("content-length: {length}\r\nx-a: b\r\n c: d\r\n"), REPLY),
        ),
        (
            "a chunk that overflows",
            answer("transfer-encoding: chunked\r\n", &format!("fffffffffffffffff\r\n{REPLY}")),
        ),
        (
            "a reply behind it",
            [answer(&format!("content-length: {length}\r\n"), REPLY), evil.clone()].concat(),
        ),
        ("a reply behind chunks", [answer("transfer-encoding: chunked\r\n", &chunked), evil].concat()),
    ] {
        let sent = bytes.clone();
        let (address, asked) = upstream(move |_| sent.clone()).await;
        let (gateway, _) = start(address, false).await;
        let client = Caller::new();
        for _ in 0..3 {
            let got = client
                .send(gateway.address(), "POST", INFER, &[("x-api-key", "secret-ann")], body([0.0; 4]))
                .await;
            // The whole reply or none, with one length; and what stood behind it answers nobody.
            let whole = got.0 == StatusCode::OK;
            assert_eq!(got.2 == REPLY, whole, "{what}: {} {}", got.0, String::from_utf8_lossy(&got.2));
            assert!(whole || got.0.is_server_error(), "{what}: {}", got.0);
            let lengths: Vec<_> = got.1.get_all("content-length").iter().collect();
            assert!(lengths.len() <= 1 && !got.1.contains_key("transfer-encoding"), "{what}: {:?}", got.1);
            assert!(lengths.iter().all(|said| **said == got.2.len().to_string().as_str()), "{what}");
        }
        assert!(asked.load(Ordering::SeqCst) >= 1, "{what}: the upstream was asked");
    }
    // A plain one is passed on, over one connection: the cases above fail for what is in them.
    let plain = answer(&format!("content-length: {length}\r\n"), REPLY);
    let (address, asked) = upstream(move |_| plain.clone()).await;
    let (gateway, _) = start(address, false).await;
    let client = Caller::new();
    for number in 1..=3 {
        let got = client
            .send(gateway.address(), "POST", INFER, &[("x-api-key", "secret-ann")], body([0.0; 4]))
            .await;
        assert_eq!(
            (got.0, got.2.as_ref(), asked.load(Ordering::SeqCst)),
            (StatusCode::OK, REPLY.as_bytes(), number)
        );
    }
}

#[tokio::test]
async fn a_reply_that_comes_before_it_was_asked_for_answers_nobody() {
    // Half a second after the first answer the upstream says another one, unasked.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let answer = |body: &str| {
                    format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    )
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer(REPLY).as_bytes()).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                let _ = stream.write_all(answer("{\"evil\":1}").as_bytes()).await;
                let _ = stream.read(&mut [0; 4096]).await;
            });
        }
    });
    let (gateway, _) = start(address, false).await;
    let client = Caller::new();
    for number in 0..4 {
        let got = client
            .send(gateway.address(), "POST", INFER, &[("x-api-key", "secret-ann")], body([0.0; 4]))
            .await;
        assert_eq!((got.0, got.2.as_ref()), (StatusCode::OK, REPLY.as_bytes()), "call {number}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}
