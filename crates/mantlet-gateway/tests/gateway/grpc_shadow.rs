//! Streams over gRPC while a version is tried in the shadow: it gets what was allowed, in order, and answers nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Frame;
use mantlet_gateway::{GatewayConfig, Route, Upstream};
use mantlet_guard::Split;
use mantlet_vocab::Exchange;
use mantlet_wire::Limits;
use mantlet_wire::grpc::{grpc_frame, read_grpc_request, write_grpc_stream_reply};
use tokio::sync::mpsc;

use crate::grpc_peer::{FAR, Grpc, KEY, NEAR, Server, Written, asks_as, config, gateway, model, route, said};
use crate::grpc_stream::Heard;
use crate::world::Memory;

fn split(candidate: &str) -> Split {
    let (rollout, stable) = ("r1".into(), "1".into());
    Split { rollout, stable, candidate: candidate.into(), share: 0, shadow: true }
}

async fn copies(memory: &Memory, count: usize) -> Vec<Exchange> {
    let begun = Instant::now();
    loop {
        let copies = memory.shadowed.lock().unwrap().clone();
        if copies.len() >= count {
            return copies;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{} of {count} copies were answered",
            copies.len()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn with(mut route: Route, version: &str, server: std::net::SocketAddr) -> Route {
    let url = format!("http://{server}");
    let upstream =
        Upstream { version: version.into(), url: url.clone(), grpc: Some(url), ..Upstream::default() };
    route.upstreams.push(upstream);
    route
}

#[tokio::test]
async fn a_version_in_the_shadow_gets_a_streams_allowed_messages_in_order_over_one_stream() {
    let server = Server::start(Box::new(model)).await;
    let candidate = Server::start(Box::new(|_: &str, message: &[u8]| {
        let asked = read_grpc_request(message, &Limits::default()).unwrap();
        if asked.id.as_deref() == Some("2") {
            return Ok(Bytes::from(mantlet_wire::grpc::refuse_grpc_stream("cannot", "")));
        }
        Ok(Bytes::from(grpc_frame(&write_grpc_stream_reply(&said([0.9, 0.1], asked.id.as_deref())))))
    }))
    .await;
    let route = with(route(server.address, config()), "2", candidate.address);
    let guard = Arc::clone(&route.guard);
    let (gateway, memory) = gateway(GatewayConfig::default(), route).await;
    let (sender, receiver) = mpsc::channel(8);
    let reply = Grpc::new().begin(gateway.address(), "ModelStreamInfer", &[KEY], Written(receiver)).await;
    let mut heard = Heard::new(reply);
    let mut ask = async |id: &str, row: &[f32]| {
        sender.send(Frame::data(Bytes::from(grpc_frame(&asks_as("sums", id, row))))).await.unwrap();
        heard.next().await.unwrap()
    };
    // Before it is tried it hears nothing.
    ask("0", &NEAR).await;
    guard.controls().set_split(Some(split("2")));
    let answer = ask("1", &NEAR).await;
    assert_eq!(answer, grpc_frame(&write_grpc_stream_reply(&said([0.25, 0.75], Some("1")))));
    ask("far", &FAR).await;
    let served = ask("2", &NEAR).await;
    assert_eq!(served, grpc_frame(&write_grpc_stream_reply(&said([0.25, 0.75], Some("2")))));
    ask("3", &NEAR).await;
    let told = copies(&memory, 3).await;
    let of = |status: u16| told.iter().filter(|copy| copy.status == status).count();
    // An error without a name is the oldest one's.
    assert_eq!((of(200), of(500)), (2, 1), "{told:?}");
    assert!(
        told.iter().all(|copy| copy.version == "2" && copy.caller == "ann" && copy.request.inputs.len() == 1)
    );
    let answered = told.iter().find(|copy| copy.status == 200).unwrap().reply.clone().unwrap();
    assert_eq!(answered.outputs[0].value.to_f32().unwrap().data(), [0.9, 0.1]);
    // In order, over one stream, and nothing that was refused.
    let expected: Vec<_> =
        ["1", "2", "3"].map(|id| Bytes::from(grpc_frame(&asks_as("sums", id, &NEAR)))).into();
    assert_eq!(candidate.messages(), expected);
    assert_eq!(candidate.seen.lock().unwrap().len(), 1);
    assert!(memory.exchanges.lock().unwrap().iter().all(|exchange| exchange.version != "2"));
    // No longer tried, it is no longer asked.
    guard.controls().set_split(None);
    ask("4", &NEAR).await;
    drop(sender);
    assert_eq!(heard.next().await, None);
    assert_eq!(heard.trailers.unwrap()["grpc-status"], "0");
    assert_eq!((candidate.messages().len(), memory.shadowed.lock().unwrap().len()), (3, 3));
}

#[tokio::test]
async fn one_that_fails_in_the_shadow_has_failed_and_the_stream_goes_on() {
    let server = Server::start(Box::new(model)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let says_no = Server::start(Box::new(|_, _| Err("8"))).await;
    let nonsense = Server::start(Box::new(|_, _| Ok(Bytes::from_static(&[9, 9, 9, 9, 9, 9])))).await;
    let silent = Server::start(Box::new(|_, _| Ok(Bytes::new()))).await;
    for (candidate, status) in
        [(dead, 502), (says_no.address, 429), (nonsense.address, 502), (silent.address, 504)]
    {
        let route = with(route(server.address, config()), "2", candidate);
        route.guard.controls().set_split(Some(split("2")));
        let quick = GatewayConfig { upstream_timeout_ms: 400, ..GatewayConfig::default() };
        let (gateway, memory) = gateway(quick, route).await;
        let (sender, receiver) = mpsc::channel(8);
        let reply = Grpc::new().begin(gateway.address(), "ModelStreamInfer", &[KEY], Written(receiver)).await;
        let mut heard = Heard::new(reply);
        for id in ["1", "2"] {
            sender.send(Frame::data(Bytes::from(grpc_frame(&asks_as("sums", id, &NEAR))))).await.unwrap();
            let answer = grpc_frame(&write_grpc_stream_reply(&said([0.25, 0.75], Some(id))));
            assert_eq!(heard.next().await.unwrap(), answer, "{status}");
            let count = id.parse().unwrap();
            assert_eq!(copies(&memory, count).await[count - 1].status, status);
        }
        drop(sender);
        assert_eq!(heard.next().await, None);
        assert_eq!(heard.trailers.unwrap()["grpc-status"], "0");
    }
}
