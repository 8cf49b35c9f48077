//! Calling an upstream: which version is asked, what is tried again, and for how long.
//!
//! What was sent is sent again only when it cannot have been seen (no connection was made) or may be repeated (`GET`
//! and `HEAD`). When the chosen version cannot be asked, the route's fallback is, if it names one.

pub(crate) mod breaker;
pub(crate) mod direct;
pub(crate) mod grpc;
pub(crate) mod health;

use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderMap};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::body::Body;
use crate::live::{Live, LiveRoute, Target};
use crate::service::Shared;
use crate::{GatewayConfig, GatewayError};
use direct::{Arriving, Refused};

/// Connections kept ready for one upstream address.
const IDLE: usize = 256;

type Caller = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// What is known of upstreams by their addresses, and outlives reloads.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) breakers: breaker::Breakers,
    pub(crate) lanes: direct::AllLanes,
}

/// The connections to upstreams.
pub(crate) struct Clients {
    /// HTTP/1.1, or what TLS negotiates.
    plain: Caller,
    /// HTTP/2 from the first byte.
    h2: Caller,
    /// What makes connections for [`direct`].
    connector: HttpConnector,
    /// HTTP/1.1 alone, for connections that become something else.
    upgrades: Caller,
    /// HTTP/2 from the first byte, for bodies that are still being written.
    grpc: Client<HttpsConnector<HttpConnector>, Body>,
}

impl Clients {
    pub(crate) fn new(config: &GatewayConfig) -> Result<Self, GatewayError> {
        let connector = || {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            connector.enforce_http(false);
            connector.set_connect_timeout(Some(Duration::from_millis(config.connect_timeout_ms)));
            connector
        };
        let tls = config.upstream_tls.client()?;
        let wrapped = || {
            hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(tls.clone())
                .https_or_http()
                .enable_all_versions()
                .wrap_connector(connector())
        };
        let builder = || {
            let mut builder = Client::builder(TokioExecutor::new());
            builder
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_secs(20))
                .pool_max_idle_per_host(IDLE)
                .retry_canceled_requests(true);
            builder
        };
        let first = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector());
        Ok(Self {
            upgrades: builder().build(first),
            plain: builder().build(wrapped()),
            h2: builder().http2_only(true).build(wrapped()),
            connector: connector(),
            grpc: builder().http2_only(true).build(wrapped()),
        })
    }
}

impl Clients {
    /// A document at an address.
    pub(crate) async fn get(&self, address: &str) -> Result<(StatusCode, Incoming), String> {
        let request = Request::get(address).body(Full::default()).map_err(|error| error.to_string())?;
        let reply = self.plain.request(request).await.map_err(|error| cause(&error))?;
        Ok((reply.status(), reply.into_body()))
    }

    /// Hands a body to an address, and gives its status.
    pub(crate) async fn post(
        &self,
        address: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<StatusCode, String> {
        let mut request = Request::post(address).body(Full::new(body)).map_err(|error| error.to_string())?;
        *request.headers_mut() = headers;
        Ok(self.plain.request(request).await.map_err(|error| cause(&error))?.status())
    }
}

/// An upstream gave no answer.
pub(crate) struct Lost {
    /// Nothing of the request was sent.
    pub(crate) unseen: bool,
    /// Why, for the log.
    pub(crate) why: String,
}

/// Why an upstream gave no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection: the call was not seen.
    Unreachable,
    /// The connection broke: the call may have been seen.
    Broken,
    /// It has failed so often that it is not asked now.
    Resting,
    /// No answer in time.
    Late,
    /// The answer is larger than allowed.
    TooLarge,
}

impl Fault {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Late => 504,
            Self::Resting => 503,
            Self::Unreachable | Self::Broken | Self::TooLarge => 502,
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "the model's endpoint cannot be reached",
            Self::Broken => "the model's endpoint broke the connection off",
            Self::Resting => "the model's endpoint has failed repeatedly and is not asked for now",
            Self::Late => "the model's endpoint did not answer in time",
            Self::TooLarge => "the model's reply is larger than allowed",
        }
    }
}

/// One call, as it goes to whichever version is asked.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// What is asked of the upstream.
    pub(crate) path: Path,
    /// Headers that go on ([`crate::headers::onward`]).
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What is asked of an upstream.
#[derive(Debug, Clone)]
pub(crate) enum Path {
    /// A call about the model: empty or beginning with a slash.
    Model(&'static str),
    /// A path below the upstream's base address, with its query.
    Below(String),
}

impl Call {
    pub(crate) fn get(verb: &'static str) -> Self {
        Self { method: Method::GET, path: Path::Model(verb), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Whether asking twice does no more than asking once.
    fn idempotent(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// A reply, and the version that gave it.
pub(crate) struct Reply<'a, B> {
    pub(crate) by: &'a Target,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: B,
}

/// Calls an upstream and takes its whole reply. Dropping the future (the client went away) drops the call.
pub(crate) async fn ask<'a>(
    shared: &Shared,
    live: &Live,
    route: &'a LiveRoute,
    target: &'a Target,
    call: Call,
) -> Result<Reply<'a, Bytes>, Fault> {
    let whole = async {
        let reply = begin(shared, live, route, target, call).await?;
        let Reply { by, status, headers, body } = reply;
        let body = Limited::new(body, live.config.max_reply).collect().await.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() { Fault::TooLarge } else { Fault::Broken }
        })?;
        Ok(Reply { by, status, headers, body: body.to_bytes() })
    };
    let timeout = Duration::from_millis(live.config.upstream_timeout_ms);
    let reply = tokio::time::timeout(timeout, whole).await.unwrap_or(Err(Fault::Late));
    if let Err(fault) = &reply {
        shared.metrics.upstream_faults.inc();
        if matches!(fault, Fault::Late | Fault::Broken) {
            failed(shared, live, target);
        }
    }
    reply
}

/// Calls an upstream and gives its reply as soon as its head is there.
pub(crate) async fn begin<'a>(
    shared: &Shared,
    live: &Live,
    route: &'a LiveRoute,
    target: &'a Target,
    mut call: Call,
) -> Result<Reply<'a, Arriving>, Fault> {
    let first = attempt(shared, live, target, &mut call).await;
    let Err(fault) = first else { return first };
    // An upstream that may have taken the call is not replaced by another.
    let unseen = matches!(fault, Fault::Unreachable | Fault::Resting) || call.idempotent();
    match route.fallback(target).filter(|_| unseen) {
        Some(other) => {
            tracing::warn!(
                version = %target.upstream.version, fallback = %other.upstream.version, fault = fault.text(),
                "the fallback is asked"
            );
            shared.metrics.fallbacks.inc();
            attempt(shared, live, other, &mut call).await
        }
        None => Err(fault),
    }
}

/// One version, asked twice where that is safe.
async fn attempt<'a>(
    shared: &Shared,
    live: &Live,
    target: &'a Target,
    call: &mut Call,
) -> Result<Reply<'a, Arriving>, Fault> {
    let policy = live.config.breaker();
    let mut again = true;
    loop {
        if !target.breaker.allows(|| shared.ports.clock.now(), policy) {
            return Err(Fault::Resting);
        }
        match target.ask(&shared.clients, call).await {
            // Nobody asked for another protocol: what follows is no reply.
            Ok(reply) if reply.status() == StatusCode::SWITCHING_PROTOCOLS => {
                failed(shared, live, target);
                return Err(Fault::Broken);
            }
            Ok(reply) => {
                if matches!(reply.status().as_u16(), 502..=504) {
                    failed(shared, live, target);
                } else {
                    target.breaker.succeeded();
                }
                let (parts, body) = reply.into_parts();
                return Ok(Reply { by: target, status: parts.status, headers: parts.headers, body });
            }
            Err(Lost { unseen, why }) => {
                tracing::warn!(version = %target.upstream.version, error = %why, "upstream call failed");
                if unseen {
                    failed(shared, live, target);
                }
                if !again || !(unseen || call.idempotent()) {
                    return Err(if unseen { Fault::Unreachable } else { Fault::Broken });
                }
                again = false;
                shared.metrics.retries.inc();
            }
        }
    }
}

/// Asks a version to let a connection become something else, and gives its answer. It is asked once.
pub(crate) async fn upgrade(
    shared: &Shared,
    live: &Live,
    target: &Target,
    call: &Call,
) -> Result<Response<Incoming>, Fault> {
    if !target.breaker.allows(|| shared.ports.clock.now(), live.config.breaker()) {
        return Err(Fault::Resting);
    }
    let Path::Below(path) = &call.path else { return Err(Fault::Unreachable) };
    let mut request = target.request(call, call.headers.clone()).ok_or(Fault::Unreachable)?;
    *request.uri_mut() = target.whole(path).ok_or(Fault::Unreachable)?;
    // The address says it here.
    request.headers_mut().remove(HOST);
    let asked = shared.clients.upgrades.request(request).await;
    match asked {
        Ok(reply) => {
            target.breaker.succeeded();
            Ok(reply)
        }
        Err(error) => {
            tracing::warn!(version = %target.upstream.version, error = %cause(&error), "upstream call failed");
            failed(shared, live, target);
            Err(if error.is_connect() { Fault::Unreachable } else { Fault::Broken })
        }
    }
}

fn failed(shared: &Shared, live: &Live, target: &Target) {
    failed_at(shared, live, target, &target.breaker);
}

fn failed_at(shared: &Shared, live: &Live, target: &Target, breaker: &breaker::Breaker) {
    if breaker.failed(shared.ports.clock.now(), live.config.breaker()) {
        shared.metrics.breaks.inc();
        tracing::error!(
            version = %target.upstream.version, address = %target.upstream.url,
            "the upstream has failed repeatedly and is left alone for a while"
        );
    }
}

impl Target {
    /// Asks once. The call has its headers afterwards only when it may be made again.
    pub(crate) async fn ask(&self, clients: &Clients, call: &mut Call) -> Result<Response<Arriving>, Lost> {
        // They come back with a request of which nothing was sent, and then hold nothing that is this version's own.
        let lent = self.lanes.is_some() && self.credentials.is_empty() && !call.idempotent();
        let headers = if lent { std::mem::take(&mut call.headers) } else { call.headers.clone() };
        let request = self
            .request(call, headers)
            .ok_or_else(|| Lost { unseen: true, why: "the path cannot be part of an address".to_owned() })?;
        if let Some(lanes) = &self.lanes {
            let asked = lanes.ask(&clients.connector, &self.address, request).await;
            return asked.map_err(|Refused { unsent, why }| {
                let unseen = unsent.is_some();
                if let Some(mut request) = unsent.filter(|_| lent) {
                    call.headers = std::mem::take(request.headers_mut());
                    call.headers.remove(HOST);
                }
                Lost { unseen, why }
            });
        }
        let client = if self.upstream.h2 { &clients.h2 } else { &clients.plain };
        let asked = client.request(request).await;
        asked
            .map(|reply| reply.map(Arriving::tasked))
            .map_err(|error| Lost { unseen: error.is_connect(), why: cause(&error) })
    }

    fn request(&self, call: &Call, headers: HeaderMap) -> Option<Request<Full<Bytes>>> {
        let uri: Uri = match &call.path {
            Path::Model(verb) => self.uri(verb)?,
            Path::Below(path) => self.below(path)?,
        };
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        if self.lanes.is_some() {
            request.headers_mut().insert(HOST, self.host.clone());
        }
        for (name, value) in &self.credentials {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        Some(request)
    }
}

/// An error with what caused it.
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
