//! Listening.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mantlet_wire::{Call, Refusal, Verb, refuse};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answer::{Shelf, Written};
use crate::{ServeConfig, ServeError, Served};

/// How long a client may take to send headers, and a body.
const PATIENCE: Duration = Duration::from_secs(30);
const HEAD_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// A running server.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    listening: JoinSet<()>,
}

impl Server {
    /// Starts to listen. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or the versions cannot be served.
    pub async fn start(config: ServeConfig, versions: Vec<Served>) -> Result<Self, ServeError> {
        let fault = |source| ServeError::Listen { address: config.listen, source };
        let shelf = Arc::new(Shelf::new(&config, versions)?);
        let listener = TcpListener::bind(config.listen).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let (stop, stopped) = watch::channel(false);
        let mut listening = JoinSet::new();
        listening.spawn(accept(listener, shelf, config.max_body, stopped));
        tracing::info!(%address, model = config.name, "model server listens");
        Ok(Self { address, stop, listening })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening and lets open requests finish, for five seconds at most.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let finished = async { while self.listening.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(5), finished).await;
        self.listening.shutdown().await;
    }
}

async fn accept(listener: TcpListener, shelf: Arc<Shelf>, max_body: usize, mut stop: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    loop {
        let stream = tokio::select! {
            _ = stop.changed() => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let shelf = Arc::clone(&shelf);
        let mut stop = stop.clone();
        open.spawn(async move {
            let service = service_fn(|request| {
                let shelf = Arc::clone(&shelf);
                async move { Ok::<_, Infallible>(handle(shelf, max_body, request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                _ = stop.changed() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        });
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

async fn handle(shelf: Arc<Shelf>, max_body: usize, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let answer = match mantlet_wire::call(request.method().as_str(), request.uri().path()) {
        Call::Live | Call::Ready => Ok(Written::empty()),
        Call::ServerMetadata => Ok(Shelf::server_metadata()),
        Call::Model { model, version, verb } => match shelf.find(&model, version.as_deref()) {
            Err(refusal) => Err(refusal),
            Ok(found) => match verb {
                Verb::Ready => Ok(Written::empty()),
                Verb::Metadata => Ok(shelf.metadata(found)),
                Verb::Config | Verb::Statistics => Err(refuse(404, "this server keeps no such record", "")),
                Verb::Infer => infer(shelf, found, max_body, request).await,
            },
        },
        Call::SharedMemory => Err(refuse(400, "shared memory is not offered here", "")),
        Call::Administration => Err(refuse(400, "administration is not offered here", "")),
        Call::WrongMethod => Err(refuse(405, "this path has another method", "")),
        Call::Unknown => Err(refuse(404, "there is nothing here", "")),
    };
    match answer {
        Ok(written) => ok(written),
        Err(refusal) => refused(refusal),
    }
}

async fn infer(
    shelf: Arc<Shelf>,
    found: usize,
    max_body: usize,
    request: Request<Incoming>,
) -> Result<Written, Refusal> {
    let (parts, body) = request.into_parts();
    if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(refuse(415, "compressed requests are not taken; send the body as it is", ""));
    }
    let head = match parts.headers.get(HEAD_LENGTH) {
        None => None,
        Some(value) => match value.to_str().ok().and_then(|value| value.parse().ok()) {
            Some(head) => Some(head),
            None => return Err(refuse(400, "Inference-Header-Content-Length is not a number", "")),
        },
    };
    let body = match tokio::time::timeout(PATIENCE, Limited::new(body, max_body).collect()).await {
        Err(_) => return Err(refuse(408, "the body did not arrive in time", "")),
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            return Err(refuse(413, &format!("the body is larger than {max_body} bytes"), ""));
        }
        Ok(Err(_)) => return Err(refuse(400, "the body broke off", "")),
    };
    // A model computes; the threads that answer the network must not wait for it.
    let computed = tokio::task::spawn_blocking(move || shelf.infer(found, head, &body, max_body)).await;
    computed.unwrap_or_else(|_| Err(refuse(500, "the model failed", "")))
}

fn ok(written: Written) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(written.body)));
    let headers = answer.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(written.content_type));
    if let Some(head) = written.head {
        headers.insert(HEAD_LENGTH, HeaderValue::from(head));
    }
    answer
}

fn refused(refusal: Refusal) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(refusal.body)));
    *answer.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in refusal.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    answer
}
