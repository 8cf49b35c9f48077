//! TLS to upstreams and a certificate that clients have to show: who trusts whom, by authority and by certificate.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use http_body_util::Full;
use mantlet_gateway::{Gateway, GatewayConfig, Tls, UpstreamTls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::peer::{Asked, Peer, REPLY, ok, serve};
use crate::transport::{Authority, caller};
use crate::world::{Caller, Memory, body, guard, guard_config, ports, route};

const INFER: &str = "/v2/models/sums/infer";
const KEY: (&str, &str) = ("x-api-key", "secret-ann");

/// What an upstream saw of each call: whether it came over HTTP/2, and whether with a certificate.
type Seen = Arc<Mutex<Vec<(bool, bool)>>>;

/// A model behind TLS with a certificate of `own`, that asks for one of `clients` where there is such an authority.
async fn model(own: &Authority, clients: Option<&Authority>, protocols: &[&str]) -> (SocketAddr, Seen) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let (certificate, key) = own.issue("localhost");
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let mut config =
        builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let told = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, told) = (acceptor.clone(), Arc::clone(&told));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let session = stream.get_ref().1;
                let h2 = session.alpn_protocol() == Some(b"h2");
                let shown = session.peer_certificates().is_some_and(|shown| !shown.is_empty());
                let answers = move |_: &Asked| {
                    told.lock().unwrap().push((h2, shown));
                    ok(REPLY)
                };
                serve(stream, h2, Arc::new(answers), Arc::default()).await;
            });
        }
    });
    (address, seen)
}

async fn ask(upstream: SocketAddr, name: &str, tls: UpstreamTls) -> (StatusCode, String) {
    let memory = Arc::new(Memory::default());
    let mut over = route(upstream, &guard(guard_config()));
    over.upstreams.iter_mut().for_each(|own| own.url = format!("https://{name}:{}", upstream.port()));
    let config = GatewayConfig { upstream_tls: tls, ..GatewayConfig::default() };
    let gateway = Gateway::start(config, vec![over], ports(&memory)).await.unwrap();
    let got = Caller::new().send(gateway.address(), "POST", INFER, &[KEY], body([0.0; 4])).await;
    (got.0, String::from_utf8_lossy(&got.2).into_owned())
}

#[tokio::test]
async fn an_upstream_is_asked_over_tls_where_both_trust_each_other_and_not_at_all_where_one_does_not() {
    let (models, gateways, others) = (Authority::new(), Authority::new(), Authority::new());
    let (certificate, key) = gateways.issue("gateway.example.org");
    let (stranger, strange_key) = others.issue("gateway.example.org");
    let own = Some(gateways.write("own.pem", &certificate));
    let own_key = Some(gateways.write("own.key", &key));
    let trusted = Some(models.write("models.pem", &models.issuer.pem()));
    let mutual = UpstreamTls { authorities: trusted.clone(), certificate: own, key: own_key };
    for (protocols, h2) in [(&["h2", "http/1.1"][..], true), (&["http/1.1"], false)] {
        let (address, seen) = model(&models, Some(&gateways), protocols).await;
        let (status, said) = ask(address, "localhost", mutual.clone()).await;
        assert_eq!((status, said.as_str()), (StatusCode::OK, REPLY), "{protocols:?}");
        assert_eq!(*seen.lock().unwrap(), [(h2, true)], "{protocols:?}: the protocol, and the certificate");
        let none = UpstreamTls { authorities: trusted.clone(), ..UpstreamTls::default() };
        let strange = UpstreamTls {
            certificate: Some(others.write("own.pem", &stranger)),
            key: Some(others.write("own.key", &strange_key)),
            ..none.clone()
        };
        let elsewhere = UpstreamTls {
            authorities: Some(others.write("models.pem", &others.issuer.pem())),
            ..mutual.clone()
        };
        let public = UpstreamTls { authorities: None, ..mutual.clone() };
        for (what, name, tls) in [
            ("no certificate of ours", "localhost", none),
            ("one that the model does not trust", "localhost", strange),
            ("a model that we do not trust", "localhost", elsewhere),
            ("a model that nobody public vouches for", "localhost", public),
            ("a model of another name", "127.0.0.1", mutual.clone()),
        ] {
            let (status, said) = ask(address, name, tls).await;
            assert_eq!(status, StatusCode::BAD_GATEWAY, "{what}: {said}");
            assert!(!said.contains("certificate") && !said.contains("127.0.0.1"), "{what}: {said}");
        }
        assert_eq!(seen.lock().unwrap().len(), 1, "the model was asked once");
    }
    // One that asks for no certificate gets along without.
    let (address, seen) = model(&models, None, &["h2"]).await;
    let none = UpstreamTls { authorities: trusted, ..UpstreamTls::default() };
    assert_eq!(ask(address, "localhost", none).await.0, StatusCode::OK);
    assert_eq!(*seen.lock().unwrap(), [(true, false)]);
}

#[tokio::test]
async fn a_gateway_that_requires_a_certificate_speaks_to_nobody_without_one() {
    let peer = Peer::start(Box::new(|_| ok(REPLY))).await;
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost");
    let tls = Tls {
        certificate: authority.write("server.pem", &certificate),
        key: authority.write("server.key", &key),
        client_authorities: Some(authority.write("authority.pem", &authority.issuer.pem())),
        client_required: true,
    };
    let config = GatewayConfig { tls: Some(tls), ..GatewayConfig::default() };
    let memory = Arc::new(Memory::default());
    let routes = vec![route(peer.address, &guard(guard_config()))];
    let gateway = Gateway::start(config, routes, ports(&memory)).await.unwrap();
    let ask = |identity| {
        let request = http::Request::post(format!("https://localhost:{}{INFER}", gateway.address().port()))
            .header(KEY.0, KEY.1)
            .body(Full::new(bytes::Bytes::from(body([0.0; 4]))))
            .unwrap();
        let client = caller(&authority, identity);
        async move { client.request(request).await.map(|reply| reply.status()) }
    };
    // A key alone does not get as far as HTTP; with any certificate of the authority it is a key as ever.
    assert!(ask(None).await.is_err());
    assert!(ask(Some(Authority::new().issue("a.example.org"))).await.is_err());
    assert_eq!(peer.count(), 0);
    assert_eq!(ask(Some(authority.issue("a.example.org"))).await.unwrap(), StatusCode::OK);
}
