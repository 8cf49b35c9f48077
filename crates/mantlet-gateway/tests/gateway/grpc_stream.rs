//! Streams over gRPC: each message is an exchange, and either end ends it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use mantlet_gateway::GatewayConfig;
use mantlet_vocab::Action;
use mantlet_wire::Limits;
use mantlet_wire::grpc::{GrpcFrames, grpc_frame, read_grpc_stream_reply, write_grpc_stream_reply};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::grpc_peer::{
    FAR, Grpc, KEY, NEAR, Server, Written, asks, asks_as, config, ended, field, gateway, model, route, said,
};

/// Reads messages of a stream as they come.
pub(crate) struct Heard {
    body: Incoming,
    frames: GrpcFrames,
    ready: Vec<Vec<u8>>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Heard {
    pub(crate) fn new(reply: Response<Incoming>) -> Self {
        Self { body: reply.into_body(), frames: GrpcFrames::new(1 << 20), ready: Vec::new(), trailers: None }
    }

    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        while self.ready.is_empty() {
            let frame = tokio::time::timeout(Duration::from_secs(20), self.body.frame()).await.unwrap()?;
            match frame.unwrap().into_data() {
                Ok(data) => {
                    self.ready.extend(self.frames.feed(&data).unwrap().into_iter().map(|frame| frame.raw));
                }
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
        Some(self.ready.remove(0))
    }
}

#[tokio::test]
async fn each_message_of_a_stream_is_an_exchange_and_a_refused_one_does_not_end_it() {
    let server = Server::start(Box::new(model)).await;
    let (gateway, memory) = gateway(GatewayConfig::default(), route(server.address, config())).await;
    let client = Grpc::new();
    let (sender, receiver) = mpsc::channel(8);
    let reply = client.begin(gateway.address(), "ModelStreamInfer", &[KEY], Written(receiver)).await;
    let mut heard = Heard::new(reply);
    let send = async |bytes: &[u8]| sender.send(Frame::data(Bytes::copy_from_slice(bytes))).await.unwrap();

    // The first message of all is refused: the upstream is not even called.
    send(&grpc_frame(&asks_as("sums", "0", &FAR))).await;
    let told = heard.next().await.unwrap();
    let told = read_grpc_stream_reply(&told[5..], &Limits::default()).unwrap();
    assert!(told.error.unwrap().contains("outside the training range") && told.reply.is_none());
    assert!(server.seen.lock().unwrap().is_empty());

    let near = grpc_frame(&asks_as("sums", "1", &NEAR));
    // Cut anywhere.
    for part in near.chunks(7) {
        send(part).await;
    }
    let answer = grpc_frame(&write_grpc_stream_reply(&said([0.25, 0.75], Some("1"))));
    assert_eq!(heard.next().await.unwrap(), answer);
    assert_eq!(memory.last().status, 200);
    assert_eq!(memory.last().reply.unwrap().outputs[0].value.to_f32().unwrap().data(), [0.25, 0.75]);

    for (message, why) in [
        (asks_as("sums", "2", &FAR), "training range"),
        (asks_as("other", "3", &NEAR), "one model"),
        ([asks_as("sums", "4", &NEAR), field(2, b"9")].concat(), "one version"),
        (b"what?".to_vec(), "expected"),
        ([asks_as("sums", "5", &NEAR), field(15, b"Project Nightjar")].concat(), ""),
    ] {
        send(&grpc_frame(&message)).await;
        let told = heard.next().await.unwrap();
        let told = read_grpc_stream_reply(&told[5..], &Limits::default()).unwrap();
        assert!(told.reply.is_none(), "{why}");
        assert!(told.error.as_ref().unwrap().contains(why), "{told:?}");
    }
    // Two at once, one good and one bad.
    let good = grpc_frame(&asks_as("sums", "6", &NEAR));
    send(&[good.clone(), grpc_frame(&asks_as("sums", "7", &FAR))].concat()).await;
    let mut both = [heard.next().await.unwrap(), heard.next().await.unwrap()];
    both.sort_by_key(Vec::len);
    let answered = grpc_frame(&write_grpc_stream_reply(&said([0.25, 0.75], Some("6"))));
    assert!(both.contains(&answered));
    drop(sender);
    assert_eq!(heard.next().await, None);
    assert_eq!(heard.trailers.unwrap()["grpc-status"], "0");
    // What reached the model is what was allowed, byte for byte.
    assert_eq!(server.messages(), [near, good]);
    let exchanges = memory.exchanges.lock().unwrap();
    let refused = exchanges.iter().filter(|exchange| exchange.decision.action == Action::Refuse).count();
    let allowed = exchanges.iter().filter(|exchange| exchange.decision.action == Action::Allow).count();
    assert_eq!((refused, allowed), (6, 2));
}

#[tokio::test]
async fn a_stream_ends_as_either_end_ends_it() {
    let client = Grpc::new();
    // The caller goes away: so does the call to the model.
    let silent = |_: &str, _: &[u8]| Ok(Bytes::new());
    let mut server = Server::start(Box::new(silent)).await;
    let (gateway_silent, memory) = gateway(GatewayConfig::default(), route(server.address, config())).await;
    let (sender, receiver) = mpsc::channel(8);
    let reply = client.begin(gateway_silent.address(), "ModelStreamInfer", &[KEY], Written(receiver)).await;
    sender.send(Frame::data(Bytes::from(grpc_frame(&asks(&NEAR))))).await.unwrap();
    let arrived = async {
        while server.messages().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap();
    drop((reply, sender));
    tokio::time::timeout(Duration::from_secs(20), server.gone.recv()).await.unwrap();
    let recorded = async {
        while memory.exchanges.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recorded).await.unwrap();
    assert_eq!(memory.last().status, 499);

    // The model says no, falls silent, talks nonsense, or is not there.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let says_no = Server::start(Box::new(|_, _| Err("8"))).await;
    let nonsense = Server::start(Box::new(|_, _| Ok(Bytes::from_static(&[9, 9, 9, 9, 9, 9])))).await;
    for (upstream, code) in
        [(says_no.address, "8"), (server.address, "4"), (nonsense.address, "14"), (dead, "14")]
    {
        let quick = GatewayConfig { stream_idle_ms: 300, ..GatewayConfig::default() };
        let (gateway, _) = gateway(quick, route(upstream, config())).await;
        let (sender, receiver) = mpsc::channel(8);
        sender.send(Frame::data(Bytes::from(grpc_frame(&asks(&NEAR))))).await.unwrap();
        let reply = client.begin(gateway.address(), "ModelStreamInfer", &[KEY], Written(receiver)).await;
        let mut heard = Heard::new(reply);
        assert_eq!(heard.next().await, None, "{code}");
        assert_eq!(heard.trailers.unwrap()["grpc-status"], code);
        drop(sender);
    }

    // The caller sends what is no stream of messages, nothing, or half of one.
    let server = Server::start(Box::new(model)).await;
    let quick = GatewayConfig { body_timeout_ms: 300, ..GatewayConfig::default() };
    let (gateway_quick, _) = gateway(quick, route(server.address, config())).await;
    let near = grpc_frame(&asks(&NEAR));
    for (headers, sent, ends, code) in [
        (&[KEY][..], &[5, 0, 0, 0, 0][..], false, "3"),
        (&[KEY], &near[..9], false, "4"),
        (&[KEY], &near[..9], true, "3"),
        (&[KEY], &[], false, "4"),
        (&[KEY], &[], true, "0"),
        (&[KEY, ("grpc-encoding", "snappy")], &near, true, "12"),
        (&[], &near, true, "16"),
    ] {
        let (sender, receiver) = mpsc::channel(8);
        if !sent.is_empty() {
            sender.send(Frame::data(Bytes::copy_from_slice(sent))).await.unwrap();
        }
        let kept = (!ends).then_some(sender);
        let reply =
            client.begin(gateway_quick.address(), "ModelStreamInfer", headers, Written(receiver)).await;
        assert_eq!(ended(reply).await.code, code, "{sent:?}");
        drop(kept);
    }
    assert!(server.seen.lock().unwrap().is_empty());
}
