//! An authority of the user's own and a proxy, against a server that speaks TLS and a proxy that tunnels, both real.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use mantlet_remote::{Limits, Outward, Remote, RemoteError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{self, ServerConfig, ServerConnection, StreamOwned};

use crate::{EVIL, server};

/// A server for `localhost`, certified by an authority nobody else trusts, and that authority.
struct Secure {
    address: SocketAddr,
    authority: String,
}

impl Secure {
    fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&key).expect("it signs itself").pem();
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec!["localhost".to_owned()])
            .and_then(|params| params.signed_by(&own, &issuer))
            .expect("it is signed");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::from_pem_slice(own.serialize_pem().as_bytes()).expect("a key"),
            )
            .expect("key and certificate fit");
        let (config, listener) =
            (Arc::new(config), TcpListener::bind("127.0.0.1:0").expect("a port on this machine"));
        let address = listener.local_addr().expect("it has an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config).expect("the configuration holds");
                    let _ = file(StreamOwned::new(connection, stream));
                });
            }
        });
        Self { address, authority }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/model.pkl", self.address.port())
    }
}

/// Answers one request with the hostile pickle.
fn file(mut stream: StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let range = head.to_ascii_lowercase().contains("range: bytes=");
    let last = EVIL.len() - 1;
    let (status, extra) = if range {
        ("206 Partial", format!("content-range: bytes 0-{last}/{}\r\n", EVIL.len()))
    } else {
        ("200 Whole", String::new())
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{extra}content-length: {}\r\nconnection: close\r\n\r\n",
        EVIL.len()
    )?;
    stream.write_all(EVIL)?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// A proxy that tunnels to `to`, whatever it is asked for, and remembers what that was.
fn proxy(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on this machine");
    let address = listener.local_addr().expect("it has an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            log.lock().expect("nobody panicked").push(String::from_utf8_lossy(&head).into_owned());
            let Ok(mut far) = TcpStream::connect(to) else { continue };
            let _ = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
            let (mut back, mut forth) =
                (stream.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
            std::thread::spawn(move || std::io::copy(&mut forth, &mut back));
            std::thread::spawn(move || std::io::copy(&mut stream, &mut far));
        }
    });
    (address, asked)
}

fn fetched(url: &str, outward: &Outward) -> Result<Vec<u8>, RemoteError> {
    let remote = Remote::through(Limits::default(), outward).expect("the system gives threads");
    let listing = remote.list(url, &crate::nothing)?;
    let source = remote.open(&listing.objects[0], false)?;
    Ok(mantlet_vocab::read_window(&source, 0, 1_024).expect("it can be read"))
}

#[test]
fn an_authority_of_the_users_own_is_trusted_when_it_is_named_and_only_then() {
    let server = Secure::start();
    let unknown = fetched(&server.url(), &Outward::default()).expect_err("nobody vouches for it");
    assert!(unknown.to_string().contains("certificate"), "{unknown}");
    let outward = Outward::default().trust(server.authority.as_bytes()).expect("a certificate");
    assert_eq!(fetched(&server.url(), &outward).expect("it is trusted"), EVIL);
    let other = Secure::start();
    assert!(fetched(&other.url(), &outward).is_err(), "another authority vouches for it");
    for none in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "plain words"] {
        assert!(Outward::default().trust(none.as_bytes()).is_err(), "{none}");
    }
}

#[test]
fn the_proxy_that_the_environment_names_carries_https_and_nothing_else() {
    let server = Secure::start();
    let (proxy, asked) = proxy(server.address);
    let outward = |no: &'static str| {
        let environment = move |name: &str| match name {
            "HTTPS_PROXY" => Some(format!("http://ada:secret@{proxy}")),
            "NO_PROXY" => Some(no.to_owned()),
            _ => None,
        };
        Outward::from_environment(&environment)
            .map(|way| way.trust(server.authority.as_bytes()).expect("a certificate"))
            .expect("a proxy")
    };
    assert_eq!(fetched(&server.url(), &outward("")).expect("through the proxy"), EVIL);
    let first = asked.lock().expect("nobody panicked").join("\n");
    let port = server.address.port();
    assert!(first.starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")), "{first}");
    assert!(first.to_ascii_lowercase().contains("proxy-authorization: basic ywrhonnly3jlda=="), "{first}");
    assert!(!first.contains("/model.pkl"), "the proxy sees names and ports only: {first}");
    assert!(!format!("{:?}", outward("")).contains("secret"));
    // Exceptions, and plain http on this machine, go past it.
    let before = asked.lock().expect("nobody panicked").len();
    assert_eq!(fetched(&server.url(), &outward("localhost")).expect("straight"), EVIL);
    let plain = server::Server::start(|seen| server::Reply::file(seen, EVIL, "\"a\""));
    assert_eq!(fetched(&plain.url("/x.pkl"), &outward("")).expect("straight"), EVIL);
    assert_eq!(asked.lock().expect("nobody panicked").len(), before);
}

#[test]
fn a_proxy_that_is_none_or_does_not_answer_is_said() {
    let with = |value: &'static str| {
        Outward::from_environment(&move |name: &str| (name == "HTTPS_PROXY").then(|| value.to_owned()))
    };
    for wrong in ["socks5://127.0.0.1:1080", "https://127.0.0.1:1080", "ftp://x"] {
        let error = with(wrong).expect_err("it is no proxy for tunnels").to_string();
        assert!(error.starts_with("HTTPS_PROXY: "), "{error}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let environment = move |name: &str| (name == "https_proxy").then(|| format!("http://{gone}"));
    let outward = Outward::from_environment(&environment).expect("it is a proxy by its name");
    let error = fetched("https://localhost:1/x", &outward).expect_err("nobody is there").to_string();
    assert!(error.contains("proxy"), "{error}");
}
