//! An endpoint on loopback that answers as told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use mantlet_attacks::{Material, Stop};
use mantlet_redteam::{Campaign, NoClock, NoJournal, ReplayVerdict};
use serde_json::{Value as Json, json};

use super::*;

/// What the endpoint does with an inference request: status, extra header lines, body.
type Behave = dyn Fn(usize, &Json) -> (u16, String, Json) + Send;

/// Every request line and the key it carried.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

fn endpoint(metadata: Json, behave: Box<Behave>) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut inferences = 0;
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            loop {
                let (mut line, mut length, mut key) = (String::new(), 0, None);
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    break;
                }
                loop {
                    let mut header = String::new();
                    reader.read_line(&mut header).unwrap();
                    let Some((name, value)) = header.trim().split_once(':') else { break };
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().unwrap(),
                        "x-key" => key = Some(value.trim().to_owned()),
                        _ => {}
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                record.lock().unwrap().push((line.trim().to_owned(), key));
                let (status, extra, answer) = if line.starts_with("GET") {
                    (200, String::new(), metadata.clone())
                } else {
                    inferences += 1;
                    behave(inferences, &serde_json::from_slice(&body).unwrap())
                };
                let answer = answer.to_string();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{extra}\r\n", answer.len());
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    (url, seen)
}

fn square(outputs: Json) -> Json {
    json!({"name": "m", "versions": ["1"], "platform": "test",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}], "outputs": outputs})
}

fn labels() -> Json {
    square(json!([{"name": "label", "datatype": "INT64", "shape": [-1]}]))
}

/// Class 1 where the sum of a row is above 1.
fn decide(request: &Json) -> Json {
    let data: Vec<f64> =
        request["inputs"][0]["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let labels: Vec<i64> = data.chunks(2).map(|row| i64::from(row[0] + row[1] > 1.0)).collect();
    json!({"model_name": "m", "outputs": [{"name": "label", "datatype": "INT64", "shape": [labels.len()], "data": labels}]})
}

fn rows() -> Tensor {
    Tensor::new([2, 2], vec![0.9, 0.8, 0.1, 0.2]).unwrap()
}

#[test]
fn labels_come_back_and_the_key_goes_along_but_is_never_shown() {
    let (url, seen) = endpoint(labels(), Box::new(|_, request| (200, String::new(), decide(request))));
    let mut config = EndpointConfig::new(url, "m");
    config.version = Some("1".to_owned());
    config.key = Some(("x-key".to_owned(), "s3cret".to_owned()));
    assert!(!format!("{config:?}").contains("s3cret"));
    let mut target = EndpointTarget::connect(config).unwrap();
    assert_eq!(target.labels(&rows()).unwrap(), [1, 0]);
    assert!(matches!(target.scores(&rows()), Err(TargetError::Unsupported { .. })));
    assert!(!format!("{:?}", target.describe()).contains("s3cret"));
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].0, "GET /v2/models/m/versions/1 HTTP/1.1");
    assert_eq!(seen[1].0, "POST /v2/models/m/versions/1/infer HTTP/1.1");
    assert!(seen.iter().all(|(_, key)| key.as_deref() == Some("s3cret")));
}

#[test]
fn it_can_be_asked_from_inside_a_runtime() {
    let (url, _) = endpoint(labels(), Box::new(|_, request| (200, String::new(), decide(request))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut target = EndpointTarget::connect(EndpointConfig::new(url, "m")).unwrap();
        assert_eq!(target.labels(&rows()).unwrap(), [1, 0]);
    });
}

#[test]
fn scores_of_one_and_of_many_columns() {
    let answer = |shape: Json, data: Json| {
        let reply = json!({"model_name": "m", "outputs": [{"name": "p", "datatype": "FP32", "shape": shape, "data": data}]});
        let metadata = square(json!([{"name": "p", "datatype": "FP32", "shape": [-1, -1]}]));
        let (url, _) = endpoint(metadata, Box::new(move |_, _| (200, String::new(), reply.clone())));
        EndpointTarget::connect(EndpointConfig::new(url, "m")).unwrap().scores(&rows())
    };
    assert_eq!(answer(json!([2, 1]), json!([0.75, 0.25])).unwrap().data(), [0.25, 0.75, 0.75, 0.25]);
    assert_eq!(answer(json!([2, 1]), json!([3.0, 0.5])).unwrap().data(), [0.0, 3.0, 0.0, 0.5]);
    assert_eq!(answer(json!([2, 3]), json!([1, 2, 3, 4, 5, 6])).unwrap().shape(), [2, 3]);
    assert!(matches!(answer(json!([1, 2]), json!([1, 2])), Err(TargetError::Malformed { .. })));
}

#[test]
fn every_status_has_its_meaning() {
    for (status, extra, expected) in [
        (429, "retry-after: 7\r\n", "refused 429 Some(7000)"),
        (403, "", "refused 403 None"),
        (400, "", "refused 400 None"),
        (503, "", "refused 503 None"),
        (202, "", "refused 202 None"),
        (404, "", "unsupported"),
        (302, "location: http://127.0.0.1:1/\r\n", "unsupported"),
        (500, "", "failed"),
    ] {
        let body = json!({"error": "no\u{1b}[31m way"});
        let (url, seen) = endpoint(labels(), Box::new(move |_, _| (status, extra.to_owned(), body.clone())));
        let mut target = EndpointTarget::connect(EndpointConfig::new(url, "m")).unwrap();
        let got = match target.labels(&rows()).unwrap_err() {
            TargetError::Refused { status, reason, retry_after_ms } => {
                assert_eq!(reason, "no[31m way");
                format!("refused {status} {retry_after_ms:?}")
            }
            TargetError::Unsupported { .. } => "unsupported".to_owned(),
            TargetError::Failed { .. } => "failed".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(got, expected);
        assert_eq!(seen.lock().unwrap().len(), 2, "asked again or followed");
    }
}

#[test]
fn answers_that_are_none_and_silence_are_errors() {
    for body in [
        json!({}),
        json!([1]),
        json!({"model_name": "m", "outputs": []}),
        json!({"model_name": "m",
        "outputs": [{"name": "label", "datatype": "INT64", "shape": [2], "data": [-1, 0]}]}),
    ] {
        let (url, _) = endpoint(labels(), Box::new(move |_, _| (200, String::new(), body.clone())));
        let mut target = EndpointTarget::connect(EndpointConfig::new(url, "m")).unwrap();
        assert!(matches!(target.labels(&rows()), Err(TargetError::Malformed { .. })));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = EndpointConfig::new(format!("http://{}", listener.local_addr().unwrap()), "m");
    config.timeout_ms = 50;
    assert!(matches!(EndpointTarget::connect(config), Err(TargetError::Failed { .. })));
    let closed = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let config = EndpointConfig::new(format!("http://{closed}"), "m");
    assert!(matches!(EndpointTarget::connect(config), Err(TargetError::Failed { .. })));
    for bad in ["", "127.0.0.1:80", "http://a b"] {
        assert!(matches!(
            EndpointTarget::connect(EndpointConfig::new(bad, "m")),
            Err(TargetError::Unsupported { .. })
        ));
    }
}

#[test]
fn a_campaign_over_http_hits_and_a_guard_that_refuses_stops_its_replay() {
    let material = Material::new(rows(), vec![], 2);
    let campaign =
        Campaign::new("evasion-hop-skip-jump", 3, material).config(json!({"queries": 120, "radius": 0.6}));
    let (url, _) = endpoint(labels(), Box::new(|_, request| (200, String::new(), decide(request))));
    let mut config = EndpointConfig::new(url, "m");
    config.max_rows = 16;
    let mut open = EndpointTarget::connect(config).unwrap();
    let report = campaign.run(&mut open, &mut NoJournal, &mut NoClock::default()).unwrap();
    assert_eq!((report.counts.hit, report.stopped), (2, None));
    let case = mantlet_redteam::Case::of(&campaign, &report).unwrap();
    let (url, seen) = endpoint(
        labels(),
        Box::new(|count, request| {
            if count > 2 {
                (429, "retry-after: 60\r\n".to_owned(), json!({"error": "slow down"}))
            } else {
                (200, String::new(), decide(request))
            }
        }),
    );
    let mut guarded = EndpointTarget::connect(EndpointConfig::new(url, "m")).unwrap();
    let replay =
        case.replay(&mut guarded, mantlet_redteam::Patience::default(), &mut NoClock::default()).unwrap();
    assert_eq!((replay.verdict, replay.report.stopped), (ReplayVerdict::Stopped, Some(Stop::Guard)));
    // Told to stay away for longer than the replay waits, it asks once.
    assert_eq!(seen.lock().unwrap().len(), 1 + 2 + 1);
}
