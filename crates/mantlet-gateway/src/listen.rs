//! Connections: taking them, TLS, which HTTP they speak, and closing those that stall.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;

use crate::GatewayError;
use crate::handle;
use crate::service::{Face, Shared};
use crate::tls::client_name;

/// What the first bytes of HTTP/2 are (RFC 9113, section 3.4); `PRI` is no method of HTTP/1.
const PREFACE: &[u8] = b"PRI ";
/// Requests one HTTP/2 connection may have open at once.
const STREAMS: u32 = 128;
/// Bytes of headers of one request.
const HEADERS: u32 = 64 << 10;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The name in a verified client certificate.
    pub(crate) certificate: Option<Arc<str>>,
}

pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), GatewayError> {
    let fault = |source| GatewayError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    Ok((listener, bound))
}

/// Takes connections until told to stop, then waits for those that are open.
pub(crate) async fn accept(
    listener: TcpListener,
    face: Face,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(shared.live.load().config.max_connections));
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            // Finished connections are reaped here, so that the set stays as small as what is open.
            Some(_) = open.join_next() => continue,
            accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await.ok();
                (permit, listener.accept().await)
            } => accepted,
        };
        let (permit, (stream, address)) = match accepted {
            (permit, Ok(stream)) => (permit, stream),
            (_, Err(error)) => {
                // Out of descriptors, most likely: wait for some to be closed instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        let mut stop = stop.clone();
        open.spawn(async move {
            shared.metrics.connections.inc();
            connection(stream, address, face, &shared, &mut stop).await;
            shared.metrics.connections.dec();
            drop(permit);
        });
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// One connection from its first byte.
async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    face: Face,
    shared: &Arc<Shared>,
    stop: &mut watch::Receiver<bool>,
) {
    let live = shared.live.load_full();
    let patience = Duration::from_millis(live.config.header_timeout_ms);
    let stalled = Duration::from_millis(live.config.write_timeout_ms);
    let tls = if face == Face::Admin { None } else { live.tls.clone() };
    drop(live);
    match tls {
        None => {
            let Ok(Ok(h2)) = tokio::time::timeout(patience, speaks_h2(&stream)).await else { return };
            let peer = Peer { address, certificate: None };
            serve(Stalling::new(TokioIo::new(stream), stalled), h2, peer, face, shared, stop).await;
        }
        Some(tls) => {
            let shaken = tokio::time::timeout(patience, TlsAcceptor::from(tls).accept(stream)).await;
            let Ok(Ok(stream)) = shaken else { return };
            let session = stream.get_ref().1;
            let h2 = session.alpn_protocol() == Some(b"h2");
            let certificate = session.peer_certificates().and_then(client_name).map(Arc::from);
            let peer = Peer { address, certificate };
            serve(Stalling::new(TokioIo::new(stream), stalled), h2, peer, face, shared, stop).await;
        }
    }
}

/// Whether the client begins with HTTP/2's preface. Nothing is taken from the connection.
async fn speaks_h2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[..seen] != PREFACE[..seen] {
            return Ok(false);
        }
        if seen == PREFACE.len() {
            return Ok(true);
        }
        // The bytes seen so far stay readable, so readiness would not wait for more.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn serve<I>(
    io: I,
    h2: bool,
    peer: Peer,
    face: Face,
    shared: &Arc<Shared>,
    stop: &mut watch::Receiver<bool>,
) where
    I: Read + Write + Unpin + Send + 'static,
{
    let patience = Duration::from_millis(shared.live.load().config.header_timeout_ms);
    let service = service_fn(|request: http::Request<Incoming>| {
        let (shared, peer) = (Arc::clone(shared), peer.clone());
        async move { Ok::<_, Infallible>(handle::handle(&shared, face, &peer, request).await) }
    });
    macro_rules! run {
        ($connection:expr) => {{
            let mut connection = std::pin::pin!($connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                _ = stop.changed() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        }};
    }
    if h2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADERS)
            .keep_alive_interval(Some(patience))
            .keep_alive_timeout(patience);
        run!(builder.serve_connection(io, service));
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(patience);
        run!(builder.serve_connection(io, service).with_upgrades());
    }
}

/// A connection whose writes must get on: a client that does not take its answer is cut off.
struct Stalling<T> {
    inner: T,
    patience: Duration,
    since: Option<Pin<Box<Sleep>>>,
}

impl<T> Stalling<T> {
    fn new(inner: T, patience: Duration) -> Self {
        Self { inner, patience, since: None }
    }

    fn watch<R>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.since = None;
            return polled;
        }
        let patience = self.patience;
        let since =
            self.since.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        if since.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<T: Read + Unpin> Read for Stalling<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Write for Stalling<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        self.watch(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(context);
        self.watch(context, polled)
    }
}
