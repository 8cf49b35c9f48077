//! A webhook's other end, on loopback: shows in the demo that an incident is delivered, and what arrived.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The largest delivery kept, in bytes.
const MAX_BODY: usize = 1 << 20;

/// What arrived at the sink.
#[derive(Debug, Clone, Default)]
pub struct Sink {
    deliveries: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Sink {
    /// Listens on a free loopback port until the runtime ends.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> std::io::Result<(Self, SocketAddr)> {
        let sink = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = accepting.clone();
                let service = hyper::service::service_fn(move |request| sink.clone().take(request));
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok((sink, address))
    }

    /// The deliveries so far, oldest first.
    pub fn deliveries(&self) -> Vec<serde_json::Value> {
        self.deliveries.lock().map(|deliveries| deliveries.clone()).unwrap_or_default()
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
        let json = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
        let mut response = Response::new(Empty::new());
        match (json, self.deliveries.lock()) {
            (Some(json), Ok(mut deliveries)) => deliveries.push(json),
            _ => *response.status_mut() = StatusCode::BAD_REQUEST,
        }
        Ok(response)
    }
}
