//! An endpoint on loopback that speaks gRPC and answers as told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mantlet_attacks::{Material, Stop};
use mantlet_redteam::{Campaign, NoClock, NoJournal};
use mantlet_vocab::Reply;
use mantlet_wire::grpc::{GrpcFrames, grpc_frame, read_grpc_about, read_grpc_request, write_grpc_reply};
use mantlet_wire::{Datatype, InferReply, Wire};

use super::*;

/// What an inference gets: a body and trailers.
type Behave = dyn Fn(usize, InferRequest) -> (Vec<u8>, Vec<(&'static str, &'static str)>) + Send + Sync;

/// Path and key of every call.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A body that is written already, trailers and all.
struct Written(VecDeque<Frame<Bytes>>);

impl Body for Written {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// `TensorMetadata`; a free axis is minus one, in ten bytes.
fn tensor(name: &str, datatype: &str, columns: u8) -> Vec<u8> {
    let free = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    [field(1, name.as_bytes()), field(2, datatype.as_bytes()), field(3, &[&free[..], &[columns]].concat())]
        .concat()
}

fn endpoint(behave: Box<Behave>) -> (String, Seen) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("grpc://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let (kept, behave) = (Arc::clone(&seen), Arc::<Behave>::from(behave));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let turns = Arc::new(AtomicUsize::new(0));
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, behave, turns) = (Arc::clone(&kept), Arc::clone(&behave), Arc::clone(&turns));
                let service = service_fn(move |request: hyper::Request<Incoming>| {
                    answer(request, Arc::clone(&kept), Arc::clone(&behave), Arc::clone(&turns))
                });
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    (url, seen)
}

async fn answer(
    request: hyper::Request<Incoming>,
    seen: Seen,
    behave: Arc<Behave>,
    turns: Arc<AtomicUsize>,
) -> Result<hyper::Response<Written>, Infallible> {
    let path = request.uri().path().to_owned();
    assert_eq!(request.headers()["te"], "trailers");
    let key = request.headers().get("x-key").map(|value| value.to_str().unwrap().to_owned());
    seen.lock().unwrap().push((path.clone(), key));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let frame = GrpcFrames::new(1 << 20).feed(&body).unwrap().remove(0);
    if path == "/moved" {
        unreachable!("a redirect was followed");
    }
    let (body, trailers) = if path.ends_with("/ModelMetadata") {
        let (model, _) = read_grpc_about(frame.message()).unwrap();
        if model != "m" {
            (Vec::new(), vec![("grpc-status", "5"), ("grpc-message", "no such model")])
        } else {
            let said = [
                field(1, b"m"),
                field(3, b"test"),
                field(4, &tensor("x", "FP32", 2)),
                field(5, &tensor("p", "FP32", 2)),
            ];
            (grpc_frame(&said.concat()), vec![("grpc-status", "0")])
        }
    } else {
        let asked = read_grpc_request(frame.message(), &Limits::default()).unwrap();
        behave(turns.fetch_add(1, Ordering::SeqCst) + 1, asked)
    };
    let moved = trailers.iter().find(|(name, _)| *name == "location").map(|(_, place)| *place);
    let trailers: HeaderMap =
        trailers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let frames = [Frame::data(Bytes::from(body)), Frame::trailers(trailers)];
    let mut reply = hyper::Response::new(Written(frames.into_iter().collect()));
    reply.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    if let Some(place) = moved {
        *reply.status_mut() = hyper::StatusCode::TEMPORARY_REDIRECT;
        reply.headers_mut().insert("location", place.parse().unwrap());
    }
    Ok(reply)
}

/// Shares of two classes: the second where the sum of a row is above 1.
fn shares(request: &InferRequest) -> Vec<u8> {
    let x = request.request.inputs[0].value.to_f32().unwrap();
    let share = |row: usize| 1.0 / (1.0 + (-6.0 * (x.row(row).iter().sum::<f32>() - 1.0)).exp());
    let data = (0..x.rows()).flat_map(|row| [1.0 - share(row), share(row)]).collect();
    let value = Value::F32(Tensor::new([x.rows(), 2], data).unwrap());
    grpc_frame(&write_grpc_reply(&InferReply {
        reply: Reply { outputs: vec![NamedValue { name: "p".to_owned(), value }], pieces: vec![] },
        wire: vec![Wire { datatype: Datatype::Fp32, binary: true }],
        model: "m".to_owned(),
        version: None,
        id: None,
    }))
}

const GOOD: [(&str, &str); 1] = [("grpc-status", "0")];

fn open(url: &str) -> EndpointTarget {
    let mut config = EndpointConfig::new(url, "m");
    config.key = Some(("x-key".to_owned(), "s3cret".to_owned()));
    EndpointTarget::connect(config).unwrap()
}

fn rows() -> Tensor {
    Tensor::new([2, 2], vec![0.9, 0.8, 0.1, 0.2]).unwrap()
}

#[test]
fn scores_come_back_over_grpc_and_the_key_goes_along_but_is_never_shown() {
    let (url, seen) = endpoint(Box::new(|_, asked| {
        assert_eq!((asked.request.model.as_str(), asked.outputs[0].name.as_str()), ("m", "p"));
        (shares(&asked), GOOD.to_vec())
    }));
    let mut target = open(&url);
    let facts = target.describe();
    assert_eq!((facts.input_shape, facts.classes, facts.scores), (vec![2], Some(2), true));
    assert_eq!(facts.name, format!("{url}/v2/models/m"));
    assert_eq!(target.scores(&rows()).unwrap().argmax_rows(), [1, 0]);
    assert_eq!(target.labels(&rows()).unwrap(), [1, 0]);
    let paths: Vec<(String, Option<String>)> = seen.lock().unwrap().clone();
    let service = "/inference.GRPCInferenceService/";
    assert_eq!(paths[0].0, format!("{service}ModelMetadata"));
    assert_eq!(paths[1].0, format!("{service}ModelInfer"));
    assert!(paths.iter().all(|(_, key)| key.as_deref() == Some("s3cret")));
    let unknown = EndpointTarget::connect(EndpointConfig::new(&url, "other")).err().unwrap();
    assert!(matches!(unknown, TargetError::Unsupported { reason } if reason.contains("no such model")));
}

#[test]
fn every_status_of_grpc_has_its_meaning_and_no_redirect_is_followed() {
    for (trailers, expected) in [
        (vec![("grpc-status", "8"), ("grpc-retry-pushback-ms", "70")], "refused 429 Some(70)"),
        (vec![("grpc-status", "8"), ("retry-after", "7")], "refused 429 Some(7000)"),
        (vec![("grpc-status", "14"), ("grpc-retry-pushback-ms", "-1")], "refused 503 None"),
        (vec![("grpc-status", "7")], "refused 403 None"),
        (vec![("grpc-status", "16")], "refused 401 None"),
        (vec![("grpc-status", "3")], "refused 400 None"),
        (vec![("grpc-status", "12")], "unsupported"),
        (vec![("grpc-status", "13")], "failed"),
        (vec![("grpc-status", "4")], "failed"),
        (vec![("grpc-status", "all is well")], "malformed"),
        (vec![], "malformed"),
        (vec![("location", "/moved")], "unsupported"),
    ] {
        let told = trailers.clone();
        let (url, seen) = endpoint(Box::new(move |_, _| {
            let mut trailers = trailers.clone();
            trailers.push(("grpc-message", "no%1B[31m way, s3cret %zz"));
            (Vec::new(), trailers)
        }));
        let got = match open(&url).scores(&rows()).unwrap_err() {
            TargetError::Refused { status, reason, retry_after_ms } => {
                assert!(reason.ends_with("no[31m way, (the key) %zz"), "{reason}");
                format!("refused {status} {retry_after_ms:?}")
            }
            TargetError::Unsupported { .. } => "unsupported".to_owned(),
            TargetError::Failed { .. } => "failed".to_owned(),
            TargetError::Malformed { .. } => "malformed".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(got, expected, "{told:?}");
        assert_eq!(seen.lock().unwrap().len(), 2, "asked again or followed");
    }
}

#[test]
fn answers_over_grpc_that_are_none_are_errors() {
    type Cut = fn(Vec<u8>) -> Vec<u8>;
    let bad: [(&str, Cut); 6] = [
        ("nothing", |_| Vec::new()),
        ("half of it", |good| good[..good.len() / 2].to_vec()),
        ("two", |good| [good.clone(), good].concat()),
        ("compressed", |mut good| {
            good[0] = 1;
            good
        }),
        ("a length that lies", |good| [&[0, 0xff, 0xff, 0xff, 0xff], &good[5..]].concat()),
        ("no protocol buffers", |_| grpc_frame(b"what?")),
    ];
    for (what, cut) in bad {
        let (url, _) = endpoint(Box::new(move |_, asked| (cut(shares(&asked)), GOOD.to_vec())));
        let error = open(&url).scores(&rows()).unwrap_err();
        assert!(matches!(error, TargetError::Malformed { .. }), "{what}: {error:?}");
    }
    // Scores that are no numbers, and rows that were not asked for.
    for (of, value) in [(2, f32::NAN), (1, 0.5)] {
        let (url, _) = endpoint(Box::new(move |_, mut asked| {
            let x = Tensor::new([of, 2], vec![value; of * 2]).unwrap();
            asked.request.inputs[0].value = Value::F32(x);
            (shares(&asked), GOOD.to_vec())
        }));
        assert!(matches!(open(&url).scores(&rows()), Err(TargetError::Malformed { .. })), "{of} {value}");
    }
    for bad in ["grpc://", "grpc://a b", "grpcs://"] {
        let refused = EndpointTarget::connect(EndpointConfig::new(bad, "m"));
        assert!(matches!(refused, Err(TargetError::Unsupported { .. })), "{bad}");
    }
    // An endpoint that speaks HTTP/1 only.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = EndpointTarget::connect(EndpointConfig::new(format!("grpc://{closed}"), "m"));
    assert!(matches!(refused, Err(TargetError::Failed { .. })));
}

#[test]
fn a_campaign_over_grpc_hits_keeps_its_cap_and_stops_where_it_is_refused() {
    let campaign = |queries: u64| {
        Campaign::new("evasion-square", 3, Material::new(rows(), vec![], 2))
            .config(serde_json::json!({"queries": queries, "epsilon": 0.45}))
    };
    let (url, seen) = endpoint(Box::new(|_, asked| (shares(&asked), GOOD.to_vec())));
    let report = campaign(60).run(&mut open(&url), &mut NoJournal, &mut NoClock::default()).unwrap();
    assert_eq!((report.counts.hit, report.stopped), (2, None), "{report:?}");
    // The metadata, and never more inferences than were counted.
    assert!(seen.lock().unwrap().len() as u64 <= 1 + report.queries);
    let (url, seen) = endpoint(Box::new(|turn, asked| {
        if turn > 2 {
            (Vec::new(), vec![("grpc-status", "8"), ("grpc-retry-pushback-ms", "3600000")])
        } else {
            (shares(&asked), GOOD.to_vec())
        }
    }));
    let report = campaign(60).run(&mut open(&url), &mut NoJournal, &mut NoClock::default()).unwrap();
    assert_eq!(report.stopped, Some(Stop::Guard), "{report:?}");
    assert_eq!(seen.lock().unwrap().len(), 1 + 2 + 1);
}
