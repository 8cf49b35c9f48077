//! Health over gRPC as orchestrators ask it, and copies of calls to a version that is tried in the shadow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Frame;
use mantlet_gateway::{GatewayConfig, Upstream};
use mantlet_guard::Split;
use mantlet_wire::grpc::{grpc_frame, write_grpc_reply};

use crate::grpc_peer::{
    FAR, Grpc, KEY, NEAR, Server, asks, config, field, gateway, model, route, said, whole,
};
use crate::grpc_stream::Heard;

const CHECK: &str = "/grpc.health.v1.Health/Check";
const SERVING: [u8; 2] = [8, 1];
const NOT_SERVING: [u8; 2] = [8, 2];

#[tokio::test]
async fn health_is_answered_without_a_key_and_follows_the_upstream() {
    let server = Server::start(Box::new(model)).await;
    let (gateway, memory) = gateway(GatewayConfig::default(), route(server.address, config())).await;
    let (client, at) = (Grpc::new(), gateway.address());
    for service in ["", "inference.GRPCInferenceService"] {
        let got = client.call(at, CHECK, &[], &grpc_frame(&field(1, service.as_bytes()))).await;
        assert_eq!((got.code.as_str(), &got.body[..]), ("0", &grpc_frame(&SERVING)[..]), "{service}");
    }
    // A message without the field asks for all of it, too.
    let got = client.call(at, CHECK, &[], &grpc_frame(&[])).await;
    assert_eq!((got.code.as_str(), &got.body[..]), ("0", &grpc_frame(&SERVING)[..]));
    for (what, path, body, code) in [
        ("which models there are is told to nobody", CHECK, grpc_frame(&field(1, b"sums")), "5"),
        ("no message", CHECK, vec![], "3"),
        ("no protocol buffers", CHECK, grpc_frame(b"what?"), "3"),
        ("no message to watch by", "/grpc.health.v1.Health/Watch", vec![], "3"),
    ] {
        let got = client.call(at, path, &[], &body).await;
        assert_eq!(got.code, code, "{what}: {}", got.message);
    }
    assert!(memory.exchanges.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_upstream_that_is_not_ready_does_not_serve() {
    let unready = |path: &str, message: &[u8]| {
        if path.ends_with("ServerReady") { Ok(Bytes::from(grpc_frame(&[]))) } else { model(path, message) }
    };
    let server = Server::start(Box::new(unready)).await;
    let (gateway, _) = gateway(GatewayConfig::default(), route(server.address, config())).await;
    let got = Grpc::new().call(gateway.address(), CHECK, &[], &grpc_frame(&[])).await;
    assert_eq!((got.code.as_str(), &got.body[..]), ("0", &grpc_frame(&NOT_SERVING)[..]));
}

#[tokio::test]
async fn a_version_in_the_shadow_gets_copies_of_what_was_allowed_and_answers_nobody() {
    let server = Server::start(Box::new(model)).await;
    let candidate = Server::start(Box::new(|_: &str, _: &[u8]| {
        Ok(Bytes::from(grpc_frame(&write_grpc_reply(&said([0.9, 0.1], None)))))
    }))
    .await;
    let mut route = route(server.address, config());
    let (guard, url) = (route.guard.clone(), format!("http://{}", candidate.address));
    let second = Upstream { version: "2".into(), url: url.clone(), grpc: Some(url), ..Upstream::default() };
    let nowhere = Upstream { version: "3".into(), grpc: None, ..second.clone() };
    route.upstreams.extend([second, nowhere]);
    let (gateway, memory) = gateway(GatewayConfig::default(), route).await;
    let (client, at) = (Grpc::new(), gateway.address());
    let split = |candidate: &str| Split {
        rollout: "r1".into(),
        stable: "1".into(),
        candidate: candidate.into(),
        share: 0,
        shadow: true,
    };
    let before = client.call(at, "ModelInfer", &[KEY], &grpc_frame(&asks(&NEAR))).await;
    guard.controls().set_split(Some(split("2")));
    // What is refused is copied to nobody.
    let refused = client.call(at, "ModelInfer", &[KEY], &grpc_frame(&asks(&FAR))).await;
    assert_eq!(refused.code, "7");
    let served = client.call(at, "ModelInfer", &[KEY], &grpc_frame(&asks(&NEAR))).await;
    assert_eq!((&served.code, &served.body), (&before.code, &before.body));
    let begun = Instant::now();
    let wait = |count: usize| {
        let memory = memory.clone();
        async move {
            while memory.shadowed.lock().unwrap().len() < count {
                assert!(begun.elapsed() < Duration::from_secs(20), "no copy was sent");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    wait(1).await;
    let copy = memory.shadowed.lock().unwrap()[0].clone();
    assert_eq!((copy.version.as_str(), copy.status, copy.caller.as_str()), ("2", 200, "ann"));
    assert_eq!(copy.reply.unwrap().outputs[0].value.to_f32().unwrap().data(), [0.9, 0.1]);
    assert_eq!(candidate.messages().len(), 1);
    assert!(memory.exchanges.lock().unwrap().iter().all(|exchange| exchange.version != "2"));
    // One that cannot be reached has failed; one that does not answer gRPC is not asked.
    guard.controls().set_split(Some(split("3")));
    let served = client.call(at, "ModelInfer", &[KEY], &grpc_frame(&asks(&NEAR))).await;
    assert_eq!(served.body, before.body);
    assert_eq!((candidate.messages().len(), memory.shadowed.lock().unwrap().len()), (1, 1));
}

#[tokio::test]
async fn whoever_watches_is_told_of_each_change_and_of_the_end() {
    let is_ready = Arc::new(AtomicBool::new(true));
    let asked = is_ready.clone();
    let server = Server::start(Box::new(move |path: &str, message: &[u8]| {
        if path.ends_with("ServerReady") && !asked.load(Ordering::SeqCst) {
            return Ok(Bytes::from(grpc_frame(&[])));
        }
        model(path, message)
    }))
    .await;
    let quick = GatewayConfig { health_interval_ms: 40, ..GatewayConfig::default() };
    let (gateway, memory) = gateway(quick, route(server.address, config())).await;
    let (client, at) = (Grpc::new(), gateway.address());
    let watch = async |service: &[u8]| {
        let message = Bytes::from(grpc_frame(&field(1, service)));
        let body = whole(vec![Frame::data(message)]);
        Heard::new(client.begin(at, "/grpc.health.v1.Health/Watch", &[], body).await)
    };
    let mut all = watch(b"").await;
    let mut unknown = watch(b"sums").await;
    assert_eq!(all.next().await.unwrap(), grpc_frame(&SERVING));
    // Which models there are is told to nobody; a service that is not known may come.
    assert_eq!(unknown.next().await.unwrap(), grpc_frame(&[8, 3]));
    is_ready.store(false, Ordering::SeqCst);
    assert_eq!(all.next().await.unwrap(), grpc_frame(&NOT_SERVING));
    is_ready.store(true, Ordering::SeqCst);
    assert_eq!(all.next().await.unwrap(), grpc_frame(&SERVING));
    // Many watch, and the upstream is asked as for one.
    let before = server.seen.lock().unwrap().len();
    let begun = Instant::now();
    let mut others = Vec::new();
    for _ in 0..63 {
        others.push(watch(b"inference.GRPCInferenceService").await);
    }
    let mut told = 0;
    let mut left = 0;
    for other in &mut others {
        match other.next().await {
            Some(message) => {
                assert_eq!(message, grpc_frame(&SERVING));
                told += 1;
            }
            None => left += 1,
        }
    }
    assert_eq!((told, left), (62, 1), "64 watch at most");
    let asked = server.seen.lock().unwrap().len() - before;
    let most = begun.elapsed().as_millis() / 20 + 2;
    assert!(asked as u128 <= most, "{asked} questions where {most} do");
    tokio::time::timeout(Duration::from_secs(20), gateway.shutdown()).await.unwrap();
    assert_eq!(all.next().await.unwrap(), grpc_frame(&NOT_SERVING));
    assert_eq!(all.next().await, None);
    assert_eq!(all.trailers.unwrap()["grpc-status"], "14");
    assert!(memory.exchanges.lock().unwrap().is_empty());
}
