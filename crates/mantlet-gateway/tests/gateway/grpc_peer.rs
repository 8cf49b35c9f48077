//! A model server that speaks gRPC, a gateway before it, and a client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mantlet_detectors::text::TextConfig;
use mantlet_gateway::{Gateway, GatewayConfig, Route, Upstream};
use mantlet_guard::{Controls, Guard, GuardConfig};
use mantlet_vocab::{NamedValue, Reply, Tensor, Value};
use mantlet_wire::grpc::{
    GrpcFrames, grpc_frame, read_grpc_request, write_grpc_reply, write_grpc_stream_reply,
};
use mantlet_wire::{Datatype, InferReply, Limits, Wire};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::world::{Memory, guard_config, ports, profile};

pub(crate) const SERVICE: &str = "/inference.GRPCInferenceService/";
pub(crate) const KEY: (&str, &str) = ("authorization", "Bearer secret-ann");

/// A body that is written while it is read.
pub(crate) struct Written(pub(crate) mpsc::Receiver<Frame<Bytes>>);

impl Body for Written {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

pub(crate) fn whole(frames: Vec<Frame<Bytes>>) -> Written {
    let (sender, receiver) = mpsc::channel(frames.len().max(1));
    for frame in frames {
        sender.try_send(frame).unwrap();
    }
    Written(receiver)
}

pub(crate) fn status(code: &str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())])
}

/// What one call of the upstream was: path, headers, messages as they came.
pub(crate) type Seen = Arc<Mutex<Vec<(String, HeaderMap, Vec<Bytes>)>>>;
/// From a path and a message to an answer's message, or a status.
pub(crate) type Answers = dyn Fn(&str, &[u8]) -> Result<Bytes, &'static str> + Send + Sync;

/// A model server that speaks gRPC: each message is answered as it comes.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    pub(crate) gone: mpsc::Receiver<()>,
}

impl Server {
    pub(crate) async fn start(answers: Box<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Seen = Arc::default();
        let (told, gone) = mpsc::channel(8);
        let (kept, answers): (Seen, Arc<Answers>) = (Arc::clone(&seen), Arc::from(answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answers, told) = (Arc::clone(&kept), Arc::clone(&answers), told.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, answers, told) = (Arc::clone(&seen), Arc::clone(&answers), told.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let path = parts.uri.path().to_owned();
                        let place = {
                            let mut seen = seen.lock().unwrap();
                            seen.push((path.clone(), parts.headers, Vec::new()));
                            seen.len() - 1
                        };
                        let (sender, receiver) = mpsc::channel(8);
                        tokio::spawn(answer(body, path, place, seen, answers, sender, told));
                        let mut reply = Response::new(Written(receiver));
                        reply.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                        reply.headers_mut().insert("x-model-host", "a7".parse().unwrap());
                        Ok::<_, Infallible>(reply)
                    }
                });
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, seen, gone }
    }

    pub(crate) fn messages(&self) -> Vec<Bytes> {
        self.seen.lock().unwrap().iter().flat_map(|(_, _, messages)| messages.clone()).collect()
    }
}

pub(crate) async fn answer(
    mut body: Incoming,
    path: String,
    place: usize,
    seen: Seen,
    answers: Arc<Answers>,
    sender: mpsc::Sender<Frame<Bytes>>,
    told: mpsc::Sender<()>,
) {
    let mut frames = GrpcFrames::new(1 << 20);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let _ = told.send(()).await;
            return;
        };
        for frame in frames.feed(&frame.into_data().unwrap()).unwrap() {
            seen.lock().unwrap()[place].2.push(Bytes::from(frame.raw.clone()));
            match answers(&path, frame.message()) {
                Ok(bytes) => sender.send(Frame::data(bytes)).await.unwrap(),
                Err(code) => return sender.send(Frame::trailers(status(code))).await.unwrap(),
            }
        }
    }
    let _ = sender.send(Frame::trailers(status("0"))).await;
}

/// A field of bytes of Protocol Buffers.
pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// `ModelInferRequest` for one row, its values as raw contents.
pub(crate) fn asks_as(model: &str, id: &str, row: &[f32]) -> Vec<u8> {
    let shape = [1, u8::try_from(row.len()).unwrap()];
    let tensor = [field(1, b"x"), field(2, b"FP32"), field(3, &shape)].concat();
    let raw: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
    [field(1, model.as_bytes()), field(3, id.as_bytes()), field(5, &tensor), field(7, &raw)].concat()
}

pub(crate) fn asks(row: &[f32]) -> Vec<u8> {
    asks_as("sums", "7", row)
}

pub(crate) const NEAR: [f32; 4] = [0.1, 0.2, 0.3, 0.1];
pub(crate) const FAR: [f32; 4] = [900.0, 0.0, 0.0, 0.0];

pub(crate) fn said(scores: [f32; 2], id: Option<&str>) -> InferReply {
    let value = Value::F32(Tensor::new([1, 2], scores.to_vec()).unwrap());
    InferReply {
        reply: Reply { outputs: vec![NamedValue { name: "p".into(), value }], pieces: vec![] },
        wire: vec![Wire { datatype: Datatype::Fp32, binary: true }],
        model: "sums".into(),
        version: Some("1".into()),
        id: id.map(str::to_owned),
    }
}

/// Answers inferences with two scores, and other calls with a field of their own.
pub(crate) fn model(path: &str, message: &[u8]) -> Result<Bytes, &'static str> {
    Ok(Bytes::from(grpc_frame(&match path.rsplit('/').next().unwrap() {
        "ModelInfer" => write_grpc_reply(&said([0.25, 0.75], None)),
        "ModelStreamInfer" => {
            let asked = read_grpc_request(message, &Limits::default()).unwrap();
            write_grpc_stream_reply(&said([0.25, 0.75], asked.id.as_deref()))
        }
        "ServerReady" => vec![8, 1],
        _ => field(9, b"what this server says"),
    })))
}

pub(crate) fn config() -> GuardConfig {
    let text = TextConfig { terms: vec!["project nightjar".into()], ..TextConfig::default() };
    GuardConfig { text, ..guard_config() }
}

pub(crate) fn route(upstream: SocketAddr, config: GuardConfig) -> Route {
    let version = Upstream {
        version: "1".into(),
        url: format!("http://{upstream}"),
        grpc: Some(format!("http://{upstream}")),
        weight: 1,
        ..Upstream::default()
    };
    let guard = Guard::new(config, Some(profile()), vec![], Arc::new(Controls::new())).unwrap();
    Route::new("sums".into(), vec![version], Arc::new(guard))
}

pub(crate) async fn gateway(config: GatewayConfig, route: Route) -> (Gateway, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    (Gateway::start(config, vec![route], ports(&memory)).await.unwrap(), memory)
}

/// How a call ended.
pub(crate) struct Ended {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) async fn ended(reply: Response<Incoming>) -> Ended {
    let (parts, body) = reply.into_parts();
    assert_eq!(parts.status, 200);
    assert_eq!(parts.headers["content-type"], "application/grpc");
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_else(|| parts.headers.clone());
    let word =
        |name: &str| trailers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    Ended {
        code: word("grpc-status"),
        message: word("grpc-message"),
        headers: parts.headers,
        body: collected.to_bytes(),
    }
}

pub(crate) struct Grpc(Client<HttpConnector, Written>);

impl Grpc {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).http2_only(true).build_http())
    }

    pub(crate) async fn begin(
        &self,
        to: SocketAddr,
        method: &str,
        headers: &[(&str, &str)],
        body: Written,
    ) -> Response<Incoming> {
        let service = if method.starts_with('/') { "" } else { SERVICE };
        let mut request = Request::post(format!("http://{to}{service}{method}"));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0.request(request.header("te", "trailers").body(body).unwrap()).await.unwrap()
    }

    pub(crate) async fn call(
        &self,
        to: SocketAddr,
        method: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Ended {
        let body = whole(vec![Frame::data(Bytes::copy_from_slice(body))]);
        ended(self.begin(to, method, headers, body).await).await
    }
}
