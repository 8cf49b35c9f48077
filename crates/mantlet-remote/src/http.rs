//! Requests whose answers are not trusted: bounded in size and time, redirected only where that is safe.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

use crate::Limits;
use crate::address::{is_private, shown};
use crate::keyring::Keyring;
use crate::way::{Outward, Way};

const MAX_REDIRECTS: usize = 5;
const AGENT: &str = concat!("mantlet/", env!("CARGO_PKG_VERSION"));

type Connector<R> = HttpsConnector<Way<R>>;
type Open = hyper_util::client::legacy::connect::dns::GaiResolver;

/// A client for addresses that users name, and for those that servers name.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    named: Client<Connector<Open>, Full<Bytes>>,
    foreign: Client<Connector<Public>, Full<Bytes>>,
    pub(crate) limits: Limits,
}

/// A secret and the only place it may be sent to.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) origin: String,
    pub(crate) value: HeaderValue,
}

impl Secret {
    /// A header for the origin of `url`; refused where it would cross a network in the clear.
    pub(crate) fn new(url: &str, value: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "the address of the server is malformed".to_owned())?;
        let local = uri.authority().is_some_and(|authority| crate::address::local_host(authority.as_str()));
        if uri.scheme_str() != Some("https") && !local {
            return Err("credentials are not sent over plain http: use https".into());
        }
        let mut value =
            HeaderValue::from_str(value).map_err(|_| "the credentials are malformed".to_owned())?;
        value.set_sensitive(true);
        Ok(Self { origin: origin(&uri), value })
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    pub(crate) url: String,
    /// The address the user named, by which the others are judged.
    pub(crate) home: String,
    pub(crate) secret: Option<Secret>,
    /// Credentials that end and are asked for again, in place of `secret`.
    pub(crate) keyring: Option<Arc<Keyring>>,
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) accept: Option<&'static str>,
}

/// An answer before its body, and where it came from in the end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
    pub(crate) url: String,
}

impl Http {
    /// # Errors
    /// When the authorities of `outward` cannot be used.
    pub(crate) fn new(limits: Limits, outward: &Outward) -> Result<Self, rustls::Error> {
        let tls = outward.tls()?;
        let open = || connector(Open::new(), limits.connect);
        let named = secured(tls.clone(), Way::new(open(), open(), outward));
        let foreign = secured(tls, Way::new(connector(Public, limits.connect), open(), outward));
        let executor = TokioExecutor::new;
        Ok(Self {
            named: Client::builder(executor()).build(named),
            foreign: Client::builder(executor()).build(foreign),
            limits,
        })
    }

    /// Sends a request and follows its redirects.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Answer, String> {
        let home: Uri = ask.home.parse().map_err(|_| "the address is malformed".to_owned())?;
        let mut at: Uri = ask.url.parse().map_err(|_| "the address is malformed".to_owned())?;
        let mut home_is_private = None;
        let held = |ask: &Ask| ask.keyring.as_ref().and_then(|keyring| keyring.secret());
        let mut secret = held(ask).or_else(|| ask.secret.clone());
        let mut renewed = false;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::new(Full::default());
            *request.uri_mut() = at.clone();
            let headers = request.headers_mut();
            headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if let Some(accept) = ask.accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            if let Some((start, end)) = ask.range {
                let range = format!("bytes={start}-{}", end.saturating_sub(1));
                headers.insert(header::RANGE, HeaderValue::from_str(&range).map_err(|e| e.to_string())?);
            }
            if let Some(secret) = secret.as_ref().filter(|secret| secret.origin == origin(&at)) {
                headers.insert(header::AUTHORIZATION, secret.value.clone());
            }
            let trusted = at.host() == home.host() || {
                if home_is_private.is_none() {
                    home_is_private = Some(leads_inside(&home).await);
                }
                home_is_private == Some(true)
            };
            let response = self.once(request, trusted).await?;
            let asks = ask.keyring.as_ref().filter(|keyring| keyring.is_for(&at));
            if response.status() == StatusCode::UNAUTHORIZED
                && !renewed
                && let Some(keyring) = asks
            {
                // Tokens end while large blobs are read: once more with a new one, from the beginning.
                renewed = true;
                let challenge = text(response.headers(), header::WWW_AUTHENTICATE).unwrap_or("").to_owned();
                secret = Some(keyring.renew(self, secret.as_ref(), &challenge).await?);
                at = ask.url.parse().map_err(|_| "the address is malformed".to_owned())?;
                continue;
            }
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                let (parts, body) = response.into_parts();
                let (status, headers) = (parts.status, parts.headers);
                return Ok(Answer { status, headers, body, url: at.to_string() });
            }
            at = next(&at, response.headers())?;
        }
        Err(format!("it redirects more than {MAX_REDIRECTS} times"))
    }

    async fn once(&self, request: Request<Full<Bytes>>, trusted: bool) -> Result<Response<Incoming>, String> {
        // The resolver is not asked about numbers.
        if !trusted && literal(request.uri()).is_some_and(is_private) {
            return Err(INSIDE.to_owned());
        }
        let sent = if trusted { self.named.request(request) } else { self.foreign.request(request) };
        match tokio::time::timeout(self.limits.answer, sent).await {
            Ok(response) => response.map_err(|error| chain(&error)),
            Err(_) => Err(format!("no answer within {} s", self.limits.answer.as_secs())),
        }
    }

    /// A request of a service that brings its own headers, to the address the user named. Never redirected.
    pub(crate) async fn plain(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let (parts, body) = self.once(request, true).await?.into_parts();
        let bytes = self.collect(body, self.limits.document).await?;
        Ok((parts.status, parts.headers, bytes))
    }

    /// A small document, whatever its status.
    pub(crate) async fn document(&self, ask: &Ask) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let answer = self.send(ask).await?;
        let bytes = self.collect(answer.body, self.limits.document).await?;
        Ok((answer.status, answer.headers, bytes))
    }

    /// A whole body of at most `max` bytes.
    pub(crate) async fn collect(&self, mut body: Incoming, max: usize) -> Result<Bytes, String> {
        let reading = async {
            let mut bytes = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| chain(&error))?;
                if let Some(data) = frame.data_ref() {
                    if bytes.len() + data.len() > max {
                        return Err(format!("the server sends more than the {max} bytes that belong there"));
                    }
                    bytes.extend_from_slice(data);
                }
            }
            Ok(bytes.freeze())
        };
        match tokio::time::timeout(self.limits.body, reading).await {
            Ok(result) => result,
            Err(_) => Err(format!("the body did not come within {} s", self.limits.body.as_secs())),
        }
    }
}

const INSIDE: &str = "the server leads to an address that is not public, which is not followed";

fn connector<R>(resolver: R, timeout: Duration) -> HttpConnector<R> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(timeout));
    connector
}

fn secured<R>(tls: rustls::ClientConfig, way: Way<R>) -> Connector<R> {
    HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(way)
}

/// Where a redirect leads, if it may be followed.
fn next(at: &Uri, headers: &HeaderMap) -> Result<Uri, String> {
    let target = headers
        .get(header::LOCATION)
        .and_then(|target| target.to_str().ok())
        .ok_or("it redirects to nowhere")?;
    let target = joined(at, target).ok_or("it redirects to a malformed address")?;
    match (at.scheme_str(), target.scheme_str()) {
        (_, Some("https")) | (Some("http"), Some("http")) => Ok(target),
        (Some("https"), Some("http")) => Err("it redirects from https to plain http".into()),
        _ => Err(format!("it redirects to another protocol: {}", shown(&target.to_string()))),
    }
}

/// An address that may be relative to another.
pub(crate) fn joined(at: &Uri, target: &str) -> Option<Uri> {
    let base = format!("{}://{}", at.scheme_str()?, at.authority()?);
    let absolute = if let Some(rest) = target.strip_prefix("//") {
        format!("{}://{rest}", at.scheme_str()?)
    } else if target.starts_with('/') {
        base + target
    } else if target
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        target.to_owned()
    } else {
        let folder = at.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{base}{folder}/{target}")
    };
    let uri: Uri = absolute.split('#').next()?.parse().ok()?;
    // A user name in an address is there to mislead.
    (!uri.authority()?.as_str().contains('@')).then_some(uri)
}

/// Scheme, host and port: what a secret is bound to.
pub(crate) fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("");
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    format!("{scheme}://{}:{port}", uri.host().unwrap_or("").to_ascii_lowercase())
}

fn literal(uri: &Uri) -> Option<IpAddr> {
    uri.host()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether the host a user named is itself inside: then it may lead to others inside.
async fn leads_inside(home: &Uri) -> bool {
    if let Some(ip) = literal(home) {
        return is_private(ip);
    }
    let Some(host) = home.host() else { return false };
    match tokio::net::lookup_host((host, 0)).await {
        Ok(found) => {
            let found: Vec<_> = found.collect();
            !found.is_empty() && found.iter().all(|address| is_private(address.ip()))
        }
        Err(_) => false,
    }
}

/// A resolver that knows public addresses only, asked again for each connection.
#[derive(Debug, Clone)]
pub(crate) struct Public;

impl Service<Name> for Public {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().any(|address| is_private(address.ip())) {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, INSIDE));
            }
            Ok(found.into_iter())
        })
    }
}

/// An error with its causes, none of which names an address that may be secret.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// One header as text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_joined_and_downgrades_refused() {
        let at: Uri = "https://h.example/a/b?x=1".parse().unwrap();
        for (target, expected) in [
            ("/c", Some("https://h.example/c")),
            ("c?d", Some("https://h.example/a/c?d")),
            ("//other.example/c", Some("https://other.example/c")),
            ("https://other.example:8443/c#part", Some("https://other.example:8443/c")),
            ("https://user@evil.example/", None),
        ] {
            assert_eq!(joined(&at, target).map(|uri| uri.to_string()).as_deref(), expected, "{target}");
        }
        let to = |target: &'static str| {
            next(&at, &HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_static(target))]))
        };
        assert!(to("http://h.example/").unwrap_err().contains("plain http"));
        assert!(to("file:///etc/passwd").is_err());
        assert!(to("https://h.example/z").is_ok());
    }

    #[test]
    fn secrets_are_bound_to_an_origin_and_not_sent_in_the_clear() {
        let secret = Secret::new("https://H.example/x", "Bearer abc").unwrap();
        assert_eq!(secret.origin, "https://h.example:443");
        assert!(!format!("{secret:?}").contains("abc"));
        assert!(Secret::new("http://h.example/", "x").is_err());
        assert!(Secret::new("http://127.0.0.1:8/", "x").is_ok());
    }

    #[test]
    fn a_public_server_does_not_lead_inside() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        runtime.block_on(async {
            let http = Http::new(Limits::default(), &Outward::default()).unwrap();
            // By number, by a name that leads there, and by another way to write the number.
            for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "169.254.169.254"] {
                let url = format!("http://{host}:{port}/x");
                let ask = Ask { url, home: "https://8.8.8.8/".into(), ..Ask::default() };
                let why = http.send(&ask).await.err().unwrap_or_default();
                assert!(why.contains("not public"), "{host}: {why}");
            }
        });
        assert!(listener.accept().is_err(), "nobody may have knocked");
    }
}
