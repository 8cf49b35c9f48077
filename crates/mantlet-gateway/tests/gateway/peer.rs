//! Upstreams of the tests' own: what they are asked is told, what they answer is given.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// One request as an upstream saw it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) h2: bool,
}

pub(crate) type Answers = dyn Fn(&Asked) -> Response<Full<Bytes>> + Send + Sync;

/// An upstream that answers by a function and remembers what it was asked.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
}

impl Peer {
    pub(crate) async fn start(answers: Box<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answers) = (Arc::clone(&asked), Arc::from(answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answers): (_, Arc<Answers>) = (Arc::clone(&seen), Arc::clone(&answers));
                tokio::spawn(async move {
                    let mut first = [0; 3];
                    let h2 = stream.peek(&mut first).await.is_ok() && &first == b"PRI";
                    serve(stream, h2, answers, seen).await;
                });
            }
        });
        Self { address, asked }
    }

    pub(crate) fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Serves one connection, over HTTP/2 or HTTP/1.1.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    h2: bool,
    answers: Arc<Answers>,
    seen: Arc<Mutex<Vec<Asked>>>,
) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let asked = Asked { path, headers: parts.headers, body, h2 };
            let answer = answers(&asked);
            seen.lock().unwrap().push(asked);
            Ok::<_, Infallible>(answer)
        }
    });
    let io = TokioIo::new(stream);
    if h2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(io, service).await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
    }
}

/// What a model of two classes answers.
pub(crate) const REPLY: &str = r#"{"model_name":"sums","model_version":"1","outputs":[{"name":"p","shape":[1,2],"datatype":"FP32","data":[0.25,0.75]}]}"#;

pub(crate) fn ok(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
    answer
}
