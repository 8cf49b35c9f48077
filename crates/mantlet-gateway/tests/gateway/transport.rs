//! Connections as attackers and real clients make them: raw sockets, HTTP/2, TLS, compression.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use mantlet_gateway::{Gateway, GatewayConfig, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peer::{Peer, REPLY, ok};
use crate::world::{Caller, Memory, body, guard, guard_config, ports, route};

pub(crate) const INFER: &str = "/v2/models/sums/infer";
/// The same as the upstream is asked for it.
const SERVED: &str = "/v2/models/sums/versions/1/infer";

pub(crate) async fn gateway(config: GatewayConfig, upstream: &Peer) -> (Gateway, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let routes = vec![route(upstream.address, &guard(guard_config()))];
    (Gateway::start(config, routes, ports(&memory)).await.unwrap(), memory)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What a raw connection gets for these bytes, until it is closed or quiet.
pub(crate) async fn raw(to: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut got = Vec::new();
    let _ = tokio::time::timeout(Duration::from_millis(700), stream.read_to_end(&mut got)).await;
    String::from_utf8_lossy(&got).into_owned()
}

#[tokio::test]
async fn allowed_traffic_is_byte_equal_both_ways_but_for_headers_of_the_connection() {
    let reply = gzip(REPLY.as_bytes());
    let sent = reply.clone();
    let peer = Peer::start(Box::new(move |asked| {
        let mut answer =
            ok(if asked.headers.contains_key("accept-encoding") { sent.clone() } else { REPLY.into() });
        if asked.headers.contains_key("accept-encoding") {
            answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        }
        answer.headers_mut().insert("x-model-host", "a7".parse().unwrap());
        answer.headers_mut().insert("keep-alive", "timeout=5".parse().unwrap());
        answer
    }))
    .await;
    let (gateway, memory) = gateway(GatewayConfig::default(), &peer).await;
    let client = Caller::new();
    // Spaces, order, an unknown field, a number in another spelling: nothing is written anew.
    let odd = br#"{ "inputs" : [ { "datatype":"FP32" , "shape":[1,4],"name":"x","data":[0.10,1e-1,0,0.1] }] ,"id":"a\u0062"}"#;
    let zipped = gzip(odd);
    let headers = [
        ("x-api-key", "secret-ann"),
        ("content-encoding", "gzip"),
        ("accept-encoding", "gzip, compress"),
        ("content-type", "application/json; charset=utf-8"),
        ("x-trace", "1"),
        ("connection", "x-drop"),
        ("x-drop", "1"),
    ];
    let got = client.send(gateway.address(), "POST", INFER, &headers, zipped.clone()).await;
    assert_eq!((got.0, &got.2[..]), (StatusCode::OK, &reply[..]));
    assert_eq!(
        (&got.1["content-encoding"], &got.1["x-model-host"]),
        (&"gzip".parse().unwrap(), &"a7".parse().unwrap())
    );
    assert!(!got.1.contains_key("keep-alive"));
    let asked = peer.last();
    assert_eq!(&asked.body[..], &zipped[..]);
    assert_eq!(
        (&asked.headers["accept-encoding"], &asked.headers["x-trace"]),
        (&"gzip".parse().unwrap(), &"1".parse().unwrap())
    );
    assert_eq!(asked.headers["content-type"], "application/json; charset=utf-8");
    assert!(!asked.headers.contains_key("x-drop") && !asked.headers.contains_key("x-api-key"));
    // Both were looked at, not only passed on.
    let exchange = memory.last();
    assert_eq!(exchange.request.inputs[0].value.to_f32().unwrap().data(), [0.1, 0.1, 0.0, 0.1]);
    assert_eq!(exchange.reply.unwrap().outputs[0].value.to_f32().unwrap().data(), [0.25, 0.75]);

    let got =
        client.send(gateway.address(), "POST", INFER, &[("x-api-key", "secret-ann")], odd.to_vec()).await;
    assert_eq!((got.0, &got.2[..]), (StatusCode::OK, REPLY.as_bytes()));
    assert_eq!(&peer.last().body[..], odd);
}

#[tokio::test]
async fn compressed_bodies_that_hide_something_are_refused_and_never_reach_the_model() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let config = GatewayConfig { max_body: 1 << 20, ..GatewayConfig::default() };
    let (gateway, _) = gateway(config, &peer).await;
    let client = Caller::new();
    let good = gzip(body([0.0; 4]).as_bytes());
    for (coding, body, status) in [
        ("gzip", [good.clone(), good.clone()].concat(), 400),
        ("gzip", [good.clone(), b"{}".to_vec()].concat(), 400),
        ("gzip", good[..good.len() - 4].to_vec(), 400),
        ("deflate", good.clone(), 400),
        ("gzip, gzip", good.clone(), 415),
        ("compress", good.clone(), 415),
        ("gzip", gzip(&vec![b' '; 8 << 20]), 413),
    ] {
        let headers = [("x-api-key", "secret-ann"), ("content-encoding", coding)];
        let got = client.send(gateway.address(), "POST", INFER, &headers, body).await;
        assert_eq!(got.0.as_u16(), status, "{coding}");
    }
    assert_eq!(peer.count(), 0);
}

#[tokio::test]
async fn two_readers_of_one_connection_cannot_be_made_to_disagree() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let (gateway, _) = gateway(GatewayConfig::default(), &peer).await;
    let at = gateway.address();
    let good = body([0.0; 4]);
    let inner = "GET /v2/repository/index HTTP/1.1\r\nHost: x\r\nX-Api-Key: secret-ann\r\n\r\n";
    let head = format!("POST {INFER} HTTP/1.1\r\nHost: x\r\nX-Api-Key: secret-ann\r\n");
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
    for (what, bytes) in [
        (
            "CL.TE",
            format!(
                "{head}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n{}{inner}",
                chunk(&good).len() + inner.len(),
                chunk(&good)
            ),
        ),
        (
            "TE.CL",
            format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{}{inner}", chunk(&good)),
        ),
        (
            "two lengths",
            format!("{head}Content-Length: {}\r\nContent-Length: 0\r\n\r\n{good}{inner}", good.len()),
        ),
        ("length list", format!("{head}Content-Length: {}, 0\r\n\r\n{good}{inner}", good.len())),
        ("odd coding", format!("{head}Transfer-Encoding: xchunked\r\n\r\n{}{inner}", chunk(&good))),
        (
            "chunked not last",
            format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n{}{inner}", chunk(&good)),
        ),
        ("space before colon", format!("{head}Transfer-Encoding : chunked\r\n\r\n{}{inner}", chunk(&good))),
        ("bare CR", format!("{head}X: a\rTransfer-Encoding: chunked\r\n\r\n{}{inner}", chunk(&good))),
        ("folded", format!("{head}X: a\r\n Transfer-Encoding: chunked\r\n\r\n{}{inner}", chunk(&good))),
        ("signed length", format!("{head}Content-Length: +{}\r\n\r\n{good}{inner}", good.len())),
        ("huge chunk", format!("{head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{good}")),
        (
            "HTTP/1.0 chunked",
            format!(
                "POST {INFER} HTTP/1.0\r\nX-Api-Key: secret-ann\r\nTransfer-Encoding: chunked\r\n\r\n{}{inner}",
                chunk(&good)
            ),
        ),
    ] {
        let before = peer.count();
        let got = raw(at, bytes.as_bytes()).await;
        // Whatever is answered, the upstream gets at most the one inference, framed anew, and never the inner request.
        for asked in &peer.asked.lock().unwrap()[before..] {
            assert_eq!((asked.path.as_str(), &asked.body[..]), (SERVED, good.as_bytes()), "{what}");
            assert!(
                !(asked.headers.contains_key("content-length")
                    && asked.headers.contains_key("transfer-encoding")),
                "{what}"
            );
        }
        assert!(peer.count() <= before + 1, "{what}");
        // And the inner request, if it was read as a second one, met the same refusal as any.
        assert!(!got.contains("repository") || got.contains("403"), "{what}: {got}");
    }
    // Extensions of chunks are read over and not handed on.
    let got = raw(
        at,
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x};a=\"b\"\r\n{good}\r\n0\r\n\r\n", good.len())
            .as_bytes(),
    )
    .await;
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    assert_eq!(peer.last().body, good.as_bytes());
    let long = format!("{head}Transfer-Encoding: chunked\r\n\r\n1;{}\r\n", "a".repeat(64 << 10));
    let before = peer.count();
    let got = raw(at, long.as_bytes()).await;
    assert!(!got.starts_with("HTTP/1.1 200") && peer.count() == before, "{got}");
}

#[tokio::test]
async fn slow_clients_are_cut_off_at_every_stage() {
    let peer = Peer::start(Box::new(|_| ok(vec![b' '; 8 << 20]))).await;
    let config = GatewayConfig {
        header_timeout_ms: 200,
        body_timeout_ms: 200,
        write_timeout_ms: 200,
        ..GatewayConfig::default()
    };
    let memory = Arc::new(Memory::default());
    let mut passed = route(peer.address, &guard(guard_config()));
    passed.inspect = false;
    let gateway = Gateway::start(config, vec![passed], ports(&memory)).await.unwrap();
    for sent in ["", "P", "PRI", "POST /v2", "POST /v2/models/sums/infer HTTP/1.1\r\nHost: x\r\nX-A"] {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut got)).await;
        assert!(closed.is_ok(), "{sent:?} holds the connection");
    }
    // A body that does not arrive.
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    let head = format!("POST {INFER} HTTP/1.1\r\nHost: x\r\nX-Api-Key: secret-ann\r\n");
    stream.write_all(format!("{head}Content-Length: 10\r\n\r\n{{").as_bytes()).await.unwrap();
    let mut got = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut got)).await.unwrap().unwrap();
    assert_eq!(got, b"HTTP/1.1 408");
    // An answer nobody takes: the exchange ends as one whose client went away.
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(format!("{head}Content-Length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
    let gone = async {
        while !memory.exchanges.lock().unwrap().iter().any(|exchange| exchange.status == 499) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    drop(stream);
}

#[tokio::test]
async fn http2_comes_in_and_goes_out_without_tls() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let memory = Arc::new(Memory::default());
    let mut over = route(peer.address, &guard(guard_config()));
    over.upstreams[0].h2 = true;
    let gateway = Gateway::start(GatewayConfig::default(), vec![over], ports(&memory)).await.unwrap();
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let asks = (0..20).map(|_| {
        let request = Request::post(format!("http://{}{INFER}", gateway.address()))
            .header("x-api-key", "secret-ann")
            .body(Full::new(Bytes::from(body([0.0; 4]))))
            .unwrap();
        client.request(request)
    });
    for ask in asks.collect::<Vec<_>>() {
        let reply = ask.await.unwrap();
        assert_eq!((reply.status(), reply.version()), (StatusCode::OK, http::Version::HTTP_2));
        assert_eq!(reply.into_body().collect().await.unwrap().to_bytes(), REPLY);
    }
    assert!(peer.last().h2);
}

#[tokio::test]
async fn websockets_are_refused() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let (gateway, _) = gateway(GatewayConfig::default(), &peer).await;
    let headers = [
        ("x-api-key", "secret-ann"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let got = Caller::new().send(gateway.address(), "GET", INFER, &headers, "").await;
    assert_eq!((got.0, peer.count()), (StatusCode::FORBIDDEN, 0));
}

/// An authority, and files with a certificate of its own for the server.
pub(crate) struct Authority {
    pub(crate) issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder: tempfile::tempdir().unwrap() }
    }

    /// Certificate and key in PEM, for a DNS name or a URI.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.subject_alt_names = vec![if name.contains("://") {
            SanType::URI(name.try_into().unwrap())
        } else {
            SanType::DnsName(name.try_into().unwrap())
        }];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

pub(crate) fn caller(
    authority: &Authority,
    identity: Option<(String, String)>,
) -> Client<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>, Full<Bytes>> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let builder =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_all_versions()
        .build();
    Client::builder(TokioExecutor::new()).build(connector)
}

#[tokio::test]
async fn tls_negotiates_http2_and_a_client_certificate_is_an_identity() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost");
    let tls = Tls {
        certificate: authority.write("server.pem", &certificate),
        key: authority.write("server.key", &key),
        client_authorities: Some(authority.write("authority.pem", &authority.issuer.pem())),
        client_required: false,
    };
    let spiffe = "spiffe://example.org/scoring";
    let certificates = [
        (spiffe.to_owned(), vec!["sums".to_owned()]),
        ("other.example.org".to_owned(), vec!["other".to_owned()]),
    ];
    let config = GatewayConfig {
        tls: Some(tls.clone()),
        certificates: certificates.into(),
        ..GatewayConfig::default()
    };
    let (gateway, memory) = gateway(config.clone(), &peer).await;
    let at = format!("https://localhost:{}{INFER}", gateway.address().port());
    let ask = |identity, header: Option<&'static str>| {
        let client = caller(&authority, identity);
        let mut request = Request::post(&at);
        if let Some(key) = header {
            request = request.header("x-api-key", key);
        }
        let request = request.body(Full::new(Bytes::from(body([0.0; 4])))).unwrap();
        async move { client.request(request).await.map(|reply| (reply.status(), reply.version())) }
    };
    // No certificate and no key; a key; a certificate that may ask; one that may not; one nobody named.
    assert_eq!(ask(None, None).await.unwrap(), (StatusCode::UNAUTHORIZED, http::Version::HTTP_2));
    assert_eq!(ask(None, Some("secret-ann")).await.unwrap().0, StatusCode::OK);
    assert_eq!(ask(Some(authority.issue(spiffe)), None).await.unwrap().0, StatusCode::OK);
    assert_eq!(memory.last().caller, spiffe);
    assert_eq!(
        ask(Some(authority.issue("other.example.org")), None).await.unwrap().0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask(Some(authority.issue("unknown.example.org")), None).await.unwrap().0,
        StatusCode::UNAUTHORIZED
    );
    // A certificate of another authority does not get as far as HTTP.
    assert!(ask(Some(Authority::new().issue(spiffe)), None).await.is_err());
    // A wrong key with a good certificate is a wrong key.
    assert_eq!(ask(Some(authority.issue(spiffe)), Some("wrong")).await.unwrap().0, StatusCode::UNAUTHORIZED);

    // A renewed certificate is taken over while the gateway runs; a broken one is refused and the old one serves.
    let (renewed, key) = authority.issue("localhost");
    authority.write("server.pem", "nonsense");
    let routes = || vec![route(peer.address, &guard(guard_config()))];
    assert!(gateway.reload(config.clone(), routes()).is_err());
    assert_eq!(ask(None, Some("secret-ann")).await.unwrap().0, StatusCode::OK);
    authority.write("server.pem", &renewed);
    authority.write("server.key", &key);
    gateway.reload(config, routes()).unwrap();
    assert_eq!(ask(None, Some("secret-ann")).await.unwrap().0, StatusCode::OK);
}
