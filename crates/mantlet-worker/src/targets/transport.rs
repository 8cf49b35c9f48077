//! One HTTP exchange at a time from a plain thread: bounded in time and size, redirects never followed.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mantlet_redteam::TargetError;

/// The largest answer read.
const LIMIT: usize = 16 << 20;

/// A client with a small runtime of its own.
pub(super) struct Transport {
    runtime: Option<tokio::runtime::Runtime>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// A whole answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What came behind the body.
    pub(super) trailers: HeaderMap,
}

fn failed(reason: impl std::fmt::Display) -> TargetError {
    TargetError::Failed { reason: reason.to_string() }
}

impl Transport {
    pub(super) fn new(timeout: Duration) -> Result<Self, TargetError> {
        Self::speaking(false, timeout)
    }

    /// A client for gRPC: HTTP/2 from the first byte, also without TLS.
    pub(super) fn second(timeout: Duration) -> Result<Self, TargetError> {
        Self::speaking(true, timeout)
    }

    fn speaking(second: bool, timeout: Duration) -> Result<Self, TargetError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http();
        let connector =
            if second { connector.enable_http2().build() } else { connector.enable_http1().build() };
        let client = Client::builder(TokioExecutor::new()).http2_only(second).build(connector);
        Ok(Self { runtime: Some(runtime), client, timeout })
    }

    /// Sends one request and reads the whole answer. Blocks the calling thread; the work is done on another, so
    /// that it may be called from anywhere.
    pub(super) fn send(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Reply, TargetError> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| failed(chain(&error)))?;
            let (head, body) = answer.into_parts();
            let body =
                Limited::new(body, LIMIT).collect().await.map_err(|error| failed(error.to_string()))?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes(), trailers })
        };
        let timed = async {
            tokio::time::timeout(self.timeout, exchange)
                .await
                .unwrap_or_else(|_| Err(failed(format!("no answer within {} ms", self.timeout.as_millis()))))
        };
        let Some(runtime) = &self.runtime else { return Err(failed("the client is closed")) };
        std::thread::scope(|scope| {
            scope.spawn(|| runtime.block_on(timed)).join().unwrap_or_else(|_| Err(failed("the client broke")))
        })
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
