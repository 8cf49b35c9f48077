//! Redis and NATS over TLS: the right authority, another one, a client certificate that is asked for.

use std::path::PathBuf;
use std::time::Duration;

use mantlet_guard::shared::{Allowance, Ask, SharedLimits as _, Standing};
use mantlet_replicas::{Bus, RedisLimits, RedisOptions, Tls, Topic};
use mantlet_testkit::servers::{Server, free_port};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

/// An authority with certificates of its own in a folder.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        // A certificate whose name is its issuer's is taken for its own issuer by OpenSSL.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: tempfile::tempdir().unwrap() };
        std::fs::write(authority.path("ca.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Files of a certificate for this machine and its key.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut params =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let (certificate, private) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&certificate, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&private, key.serialize_pem()).unwrap();
        (certificate, private)
    }

    fn trusted(&self) -> Tls {
        Tls { authorities: Some(self.path("ca.pem")), identity: None }
    }
}

fn options(url: String, tls: Tls) -> RedisOptions {
    RedisOptions { tls, quiet: Duration::from_millis(500), ..RedisOptions::new(url, "tls", 1) }
}

fn ask() -> [Ask; 1] {
    let allowance = Allowance::Rate { per_minute: 6_000.0, burst: 10.0 };
    [Ask { bucket: "route/requests/key/ann".into(), allowance, amount: 1.0 }]
}

/// Waits until a reason is named, which must not be that the connection stands.
async fn complains(fault: impl Fn() -> Option<String>) -> String {
    let waited = async {
        loop {
            if let Some(fault) = fault() {
                return fault;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, waited).await.expect("a reason is named")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_over_tls_trust_the_authority_that_is_named_and_no_other() {
    let (ours, others) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.issue("server");
    let port = free_port();
    let server = Server::redis_tls(port, &certificate, &key, &ours.path("ca.pem"));
    let url = format!("rediss://127.0.0.1:{port}");
    // The server asks for a certificate of its own authority.
    let shown = Tls { identity: Some(ours.issue("client")), ..ours.trusted() };
    let limits = RedisLimits::start(options(url.clone(), shown.clone())).unwrap();
    let connected = timeout(SOON, limits.connected()).await;
    assert!(connected.is_ok(), "{:?}", limits.fault());
    while limits.take(&ask()).await.map_or_else(|denied| denied.standing, |granted| granted.standing)
        != Standing::Shared
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stranger = Tls { identity: Some(others.issue("client")), ..ours.trusted() };
    for (what, url, tls) in [
        ("another authority", url.clone(), Tls { authorities: Some(others.path("ca.pem")), ..shown.clone() }),
        ("no authority of the machine knows it", url.clone(), Tls { authorities: None, ..shown.clone() }),
        ("no certificate is shown", url.clone(), ours.trusted()),
        ("a stranger's certificate is shown", url.clone(), stranger),
        ("another name", url.replace("127.0.0.1", "127.0.0.2"), shown.clone()),
        ("in the clear", url.replace("rediss", "redis"), Tls::default()),
    ] {
        let limits = RedisLimits::start(options(url, tls)).unwrap();
        let why = complains(|| limits.fault()).await;
        println!("{what}: {why}");
        assert_ne!(limits.standing(), Standing::Shared, "{what}");
    }
    // A file that is none is said at once.
    let (absent, empty) = (ours.path("nothing.pem"), ours.path("empty.pem"));
    std::fs::write(&empty, "what?").unwrap();
    for path in [absent, empty] {
        let tls = Tls { authorities: Some(path.clone()), identity: None };
        let said = RedisLimits::start(options(url.clone(), tls.clone())).err().unwrap().to_string();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        let said = Bus::start("tls://127.0.0.1:1", "x", &tls).await.err().unwrap().to_string();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_over_tls_trust_the_authority_that_is_named_and_no_other() {
    let (ours, others) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.issue("server");
    let port = free_port();
    let server = Server::nats_tls(port, &certificate, &key, &ours.path("ca.pem"));
    let url = format!("tls://127.0.0.1:{port}");
    let shown = Tls { identity: Some(ours.issue("client")), ..ours.trusted() };
    let bus = Bus::start(&url, "tls", &shown).await.unwrap();
    let mut work = bus.work(Topic::Events, 8);
    bus.tell(Topic::Events, b"seen".to_vec()).unwrap();
    assert_eq!(timeout(SOON, work.recv()).await.expect("it comes").unwrap(), b"seen");
    assert_eq!(bus.fault(), None);
    for (what, tls) in [
        ("another authority", Tls { authorities: Some(others.path("ca.pem")), ..shown.clone() }),
        ("no authority of the machine knows it", Tls { authorities: None, ..shown.clone() }),
        ("no certificate is shown", ours.trusted()),
    ] {
        let bus = Bus::start(&url, "tls", &tls).await.unwrap();
        bus.tell(Topic::Events, b"secret".to_vec()).unwrap();
        let why = complains(|| bus.fault()).await;
        println!("{what}: {why}");
        assert!(!bus.status().connected && bus.status().told == 0, "{what}");
    }
    drop(server);
}
