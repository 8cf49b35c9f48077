//! The Open Inference Protocol over gRPC: one message each way, and what hostile clients send.

use bytes::Bytes;
use hyper::body::Frame;
use mantlet_gateway::GatewayConfig;
use mantlet_guard::{GuardConfig, RulePolicy};
use mantlet_vocab::{Action, Impact, Mode, Tensor, Value};
use mantlet_wire::Limits;
use mantlet_wire::grpc::{grpc_frame, read_grpc_reply, read_grpc_request, write_grpc_reply};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::grpc_peer::{
    FAR, Grpc, KEY, NEAR, SERVICE, Server, Written, asks, asks_as, config, ended, field, gateway, model,
    route, said,
};
use crate::world::Caller;

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A compressed message with its head.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut frame = grpc_frame(&gzip(message));
    frame[0] = 1;
    frame
}

#[tokio::test]
async fn an_allowed_inference_is_byte_equal_both_ways_looked_at_and_recorded() {
    let server = Server::start(Box::new(model)).await;
    let (gateway, memory) = gateway(GatewayConfig::default(), route(server.address, config())).await;
    let client = Grpc::new();
    let answer = grpc_frame(&write_grpc_reply(&said([0.25, 0.75], None)));
    // A field that no reader knows goes on as well.
    let odd = [asks(&NEAR), vec![0xa0, 0x06, 0x01]].concat();
    for (frame, coding) in
        [(grpc_frame(&asks(&NEAR)), "identity"), (grpc_frame(&odd), "identity"), (compressed(&odd), "gzip")]
    {
        let headers = [KEY, ("grpc-encoding", coding), ("x-trace", "1"), ("grpc-timeout", "5S")];
        let got = client.call(gateway.address(), "ModelInfer", &headers, &frame).await;
        assert_eq!((got.code.as_str(), &got.body[..]), ("0", &answer[..]), "{}", got.message);
        assert_eq!(got.headers["x-model-host"], "a7");
        let (path, headers, messages) = server.seen.lock().unwrap().last().unwrap().clone();
        assert_eq!(
            (path.as_str(), &messages[0][..]),
            ("/inference.GRPCInferenceService/ModelInfer", &frame[..])
        );
        assert_eq!(
            (&headers["te"], &headers["x-trace"], &headers["grpc-timeout"]),
            (&"trailers".parse().unwrap(), &"1".parse().unwrap(), &"5S".parse().unwrap())
        );
        assert!(!headers.contains_key("authorization"));
        let exchange = memory.last();
        assert_eq!((exchange.status, exchange.caller.as_str()), (200, "ann"));
        assert_eq!(exchange.decision.action, Action::Allow, "{:?}", exchange.decision.signals);
        assert_eq!(exchange.request.inputs[0].value.to_f32().unwrap().data(), NEAR);
        assert_eq!(exchange.reply.unwrap().outputs[0].value.to_f32().unwrap().data(), [0.25, 0.75]);
        assert_eq!(got.headers["x-mantlet-exchange"], exchange.id.as_str());
    }
}

#[tokio::test]
async fn what_may_not_pass_is_refused_with_a_status_and_never_reaches_the_model() {
    let server = Server::start(Box::new(model)).await;
    let config_gateway = GatewayConfig { max_body: 4096, body_timeout_ms: 200, ..GatewayConfig::default() };
    let (gateway, memory) = gateway(config_gateway, route(server.address, config())).await;
    let client = Grpc::new();
    let at = gateway.address();
    let frame = grpc_frame(&asks(&NEAR));
    let with = |more: &[u8]| grpc_frame(&[asks(&NEAR), more.to_vec()].concat());
    let shared = field(4, &[field(1, b"shared_memory_region"), field(2, &field(3, b"r"))].concat());
    let tensor = [field(1, b"y"), field(2, b"FP32"), field(3, &[1, 4]), shared].concat();
    let huge =
        [field(1, b"x"), field(2, b"FP32"), field(3, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 4])]
            .concat();
    let short = [
        field(1, b"sums"),
        field(5, &[field(1, b"x"), field(2, b"FP32"), field(3, &[1, 4])].concat()),
        field(7, &[0; 12]),
    ]
    .concat();
    let key = [KEY];
    for (what, headers, body, code) in [
        ("off the schema", &key[..], grpc_frame(&asks(&FAR)), "7"),
        ("another width", &key, grpc_frame(&asks(&NEAR[..3])), "7"),
        (
            "a blocked word in a parameter",
            &key,
            with(&field(4, &[field(1, b"note"), field(2, &field(3, b"Project Nightjar"))].concat())),
            "7",
        ),
        ("a blocked word in an unknown field", &key, with(&field(15, b"Project Nightjar")), "7"),
        ("another model", &key, grpc_frame(&asks_as("other", "", &NEAR)), "5"),
        ("no model", &key, grpc_frame(&asks_as("", "", &NEAR)), "3"),
        ("no key", &[], frame.clone(), "16"),
        ("a wrong key", &[("authorization", "Bearer wrong")], frame.clone(), "16"),
        ("no message", &key, vec![], "3"),
        ("two messages", &key, [frame.clone(), frame.clone()].concat(), "3"),
        ("half a message", &key, frame[..frame.len() - 3].to_vec(), "3"),
        ("an odd flag", &key, [&[7], &frame[1..]].concat(), "3"),
        ("a length that lies", &key, [&[0, 0xff, 0xff, 0xff, 0xff], &frame[5..]].concat(), "8"),
        ("too large", &key, grpc_frame(&vec![0; 5000]), "8"),
        ("no protocol buffers", &key, grpc_frame(b"what?"), "3"),
        ("a name twice", &key, with(&field(1, b"sums")), "3"),
        ("shared memory", &key, with(&field(5, &tensor)), "3"),
        (
            "a shape that overflows",
            &key,
            grpc_frame(&[field(1, b"sums"), field(5, &huge), field(7, &[0; 16])].concat()),
            "3",
        ),
        ("too few bytes", &key, grpc_frame(&short), "3"),
        ("compressed without a word", &key, compressed(&asks(&NEAR)), "12"),
        (
            "compressed by what is not read",
            &[KEY, ("grpc-encoding", "snappy")],
            compressed(&asks(&NEAR)),
            "12",
        ),
        ("compressed in no way", &[KEY, ("grpc-encoding", "gzip")], [&[1], &frame[1..]].concat(), "3"),
        ("a bomb", &[KEY, ("grpc-encoding", "gzip")], compressed(&vec![0; 1 << 20]), "8"),
        ("another type", &[KEY, ("content-type", "application/grpc-web")], frame.clone(), "12"),
    ] {
        let got = client.call(at, "ModelInfer", headers, &body).await;
        assert_eq!(got.code, code, "{what}: {}", got.message);
        assert!(!got.message.is_empty() && got.body.is_empty(), "{what}");
    }
    for (method, code) in [
        ("SystemSharedMemoryRegister", "7"),
        ("CudaSharedMemoryStatus", "7"),
        ("RepositoryModelLoad", "7"),
        ("TraceSetting", "7"),
    ] {
        assert_eq!(client.call(at, method, &key, &grpc_frame(&[])).await.code, code, "{method}");
    }
    assert!(server.seen.lock().unwrap().is_empty());
    let exchange = memory.last();
    assert_eq!((exchange.decision.action, exchange.status), (Action::Refuse, 413), "the bomb is on record");
    // A message that does not arrive.
    let (sender, receiver) = mpsc::channel(1);
    sender.send(Frame::data(Bytes::from_static(&[0, 0]))).await.unwrap();
    let got = ended(client.begin(at, "ModelInfer", &key, Written(receiver)).await).await;
    assert_eq!(got.code, "4");
    // gRPC over HTTP/1.1 is none.
    let headers = [KEY, ("content-type", "application/grpc")];
    let path = format!("{SERVICE}ModelInfer");
    let got = Caller::new().send(at, "POST", &path, &headers, frame).await;
    assert_eq!(got.1["grpc-status"], "12");
}

#[tokio::test]
async fn replies_are_looked_at_and_errors_of_the_model_are_its_own() {
    let client = Grpc::new();
    let reply = |message: Vec<u8>| move |_: &str, _: &[u8]| Ok(Bytes::from(grpc_frame(&message)));
    let spoken = {
        let mut said = said([0.0; 2], None);
        let text = Tensor::new([1], vec!["about Project Nightjar".to_owned()]).unwrap();
        said.reply.outputs[0].value = Value::Text(text);
        write_grpc_reply(&said)
    };
    for (message, mode, code, status) in [
        (b"nonsense".to_vec(), Mode::Enforce, "14", 502),
        (b"nonsense".to_vec(), Mode::Observe, "0", 200),
        (spoken.clone(), Mode::Enforce, "7", 403),
        (spoken, Mode::Observe, "0", 200),
    ] {
        let sent = grpc_frame(&message);
        let server = Server::start(Box::new(reply(message))).await;
        let config = GuardConfig { mode, ..config() };
        let (gateway, memory) = gateway(GatewayConfig::default(), route(server.address, config)).await;
        let got = client.call(gateway.address(), "ModelInfer", &[KEY], &grpc_frame(&asks(&NEAR))).await;
        assert_eq!(got.code, code, "{mode:?}: {}", got.message);
        assert_eq!(got.body.is_empty(), code != "0");
        assert!(got.body.is_empty() || got.body == sent);
        let exchange = memory.last();
        assert_eq!((exchange.status, exchange.decision.signals.len()), (status, 1));
    }
    let server = Server::start(Box::new(|_, _| Err("3"))).await;
    let (gateway_odd, memory) = gateway(GatewayConfig::default(), route(server.address, config())).await;
    let got = client.call(gateway_odd.address(), "ModelInfer", &[KEY], &grpc_frame(&asks(&NEAR))).await;
    assert_eq!((got.code.as_str(), memory.last().status), ("3", 400));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let (gateway_dead, memory) = gateway(GatewayConfig::default(), route(dead, config())).await;
    let got = client.call(gateway_dead.address(), "ModelInfer", &[KEY], &grpc_frame(&asks(&NEAR))).await;
    assert_eq!((got.code.as_str(), memory.last().status), ("14", 502));

    // Less detail, in the same form.
    let coarse = RulePolicy {
        coarsen: Some(1.0),
        refuse: None,
        ..RulePolicy::for_rule("input-off-schema", Impact::High)
    };
    let rules = [("input-off-schema".to_owned(), coarse)].into();
    let server = Server::start(Box::new(reply(write_grpc_reply(&said([0.251_239, 0.748_761], None))))).await;
    let (gateway_coarse, _) =
        gateway(GatewayConfig::default(), route(server.address, GuardConfig { rules, ..config() })).await;
    let far = grpc_frame(&asks(&[9.0, 0.0, 0.0, 0.0]));
    let got = client.call(gateway_coarse.address(), "ModelInfer", &[KEY], &far).await;
    assert_eq!(got.code, "0", "{}", got.message);
    let read = read_grpc_reply(&got.body[5..], &Limits::default()).unwrap();
    assert_eq!(read.reply.outputs[0].value.to_f32().unwrap().data(), [0.25, 0.75]);
}

#[tokio::test]
async fn calls_about_server_and_model_pass_and_liveness_needs_no_key() {
    let server = Server::start(Box::new(model)).await;
    let mut named = route(server.address, config());
    named.upstreams[0].model = Some("their_sums".into());
    named.upstreams[0].upstream_version = Some("17".into());
    let (gateway, _) = gateway(GatewayConfig::default(), named).await;
    let (client, at) = (Grpc::new(), gateway.address());
    for method in ["ServerLive", "ServerReady"] {
        let got = client.call(at, method, &[], &grpc_frame(&[])).await;
        assert_eq!((got.code.as_str(), &got.body[..]), ("0", &grpc_frame(&[8, 1])[..]), "{method}");
    }
    let got = client.call(at, "ServerMetadata", &[KEY], &grpc_frame(&[])).await;
    assert!(got.code == "0" && String::from_utf8_lossy(&got.body).contains("mantlet"));
    assert_eq!(client.call(at, "ServerMetadata", &[], &grpc_frame(&[])).await.code, "16");
    for method in ["ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"] {
        let got = client.call(at, method, &[KEY], &grpc_frame(&field(1, b"sums"))).await;
        let answer = grpc_frame(&field(9, b"what this server says"));
        assert_eq!((got.code.as_str(), &got.body[..]), ("0", &answer[..]), "{method}");
        // The upstream knows the model by another name and version.
        let renamed = [field(1, b"their_sums"), field(2, b"17")].concat();
        assert_eq!(server.messages().last().unwrap()[..], grpc_frame(&renamed)[..]);
        for (message, code) in [(field(1, b"other"), "5"), (vec![], "5"), (b"what?".to_vec(), "3")] {
            assert_eq!(client.call(at, method, &[KEY], &grpc_frame(&message)).await.code, code, "{method}");
        }
        assert_eq!(client.call(at, method, &[], &grpc_frame(&field(1, b"sums"))).await.code, "16");
    }
    let got = client.call(at, "ModelInfer", &[KEY], &grpc_frame(&asks(&NEAR))).await;
    assert_eq!(got.code, "0");
    let sent = server.messages().last().unwrap().clone();
    let read = read_grpc_request(&sent[5..], &Limits::default()).unwrap();
    assert_eq!((read.request.model.as_str(), read.request.version.as_deref()), ("their_sums", Some("17")));
    assert_eq!(read.request.inputs[0].value.to_f32().unwrap().data(), NEAR);
}
