//! Endpoints that storm, lie, redirect and repeat secrets: no invented success, the right state, never above a budget.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mantlet_attacks::{Material, Stop};
use mantlet_redteam::{Budget, Campaign, NoClock, NoJournal, ProbeReport};
use mantlet_vocab::Tensor;
use mantlet_worker::targets::{EndpointConfig, EndpointTarget};
use serde_json::{Value, json};

const KEY: &str = "sk-super-secret-0451";

struct Endpoint {
    url: String,
    /// Inference requests that came.
    asked: Arc<AtomicUsize>,
    /// Header lines of all requests.
    heads: Arc<Mutex<String>>,
}

/// A small server of the Open Inference Protocol: `behave` is told the number of the request (from 1) and its rows, and
/// says status, extra header lines and the body.
fn endpoint(
    output: &'static str,
    behave: impl Fn(usize, &[Vec<f64>]) -> (u16, String, String) + Send + 'static,
) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
    let (count, seen) = (Arc::clone(&asked), Arc::clone(&heads));
    let metadata = json!({"name": "m", "versions": ["1"], "platform": "test",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [serde_json::from_str::<Value>(output).unwrap()]});
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                continue;
            }
            loop {
                let mut header = String::new();
                if reader.read_line(&mut header).unwrap_or(0) == 0 || header == "\r\n" {
                    break;
                }
                if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                seen.lock().unwrap().push_str(&header);
            }
            let mut bytes = vec![0; length];
            if reader.read_exact(&mut bytes).is_err() {
                continue;
            }
            let (status, extra, body) = if line.starts_with("GET") {
                (200, String::new(), metadata.to_string())
            } else {
                let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let data: Vec<f64> = body["inputs"][0]["data"]
                    .as_array()
                    .map(|data| data.iter().filter_map(Value::as_f64).collect())
                    .unwrap_or_default();
                let rows: Vec<Vec<f64>> = data.chunks(2).map(<[f64]>::to_vec).collect();
                behave(count.fetch_add(1, Ordering::SeqCst) + 1, &rows)
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{extra}\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    Endpoint { url, asked, heads }
}

const SCORES: &str = r#"{"name": "p", "datatype": "FP32", "shape": [-1, -1]}"#;
const LABELS: &str = r#"{"name": "label", "datatype": "INT64", "shape": [-1]}"#;

fn scores(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let share = |row: &Vec<f64>| 1.0 / (1.0 + (-6.0 * (row[0] + row[1] - 1.0)).exp());
    rows.iter().map(|row| vec![1.0 - share(row), share(row)]).collect()
}

fn answer(name: &str, kind: &str, shape: &[usize], data: Value) -> String {
    let output = json!({"name": name, "datatype": kind, "shape": shape, "data": data});
    json!({"model_name": "m", "outputs": [output]}).to_string()
}

fn good(rows: &[Vec<f64>]) -> String {
    let scores = scores(rows);
    answer("p", "FP32", &[rows.len(), 2], json!(scores.concat()))
}

fn connect(endpoint: &Endpoint) -> EndpointTarget {
    let mut config = EndpointConfig::new(endpoint.url.replacen("http://", "http://anna:pa55word@", 1), "m");
    config.key = Some(("authorization".to_owned(), format!("Bearer {KEY}")));
    config.max_rows = 8;
    EndpointTarget::connect(config).unwrap()
}

fn material() -> Material {
    let rows = Tensor::new([4, 2], vec![0.9, 0.8, 0.1, 0.2, 0.2, 0.3, 0.7, 0.9]).unwrap();
    let pool = rows.clone();
    Material::new(rows, vec![1, 0, 0, 1], 2).pool(pool, vec![1, 0, 0, 1])
}

struct Played {
    report: ProbeReport,
    waited: u64,
}

fn play(endpoint: &Endpoint, attack: &str, queries: u64, patience: u64) -> Played {
    let mut target = connect(endpoint);
    let mut clock = NoClock::default();
    let mut campaign = Campaign::new(attack, 3, material())
        .config(if attack == "evasion-square" {
            json!({"epsilon": 0.5, "queries": 80})
        } else {
            json!({"queries": 80})
        })
        .budget(Budget { queries, ..Budget::default() });
    campaign.patience.wait_ms = patience;
    let report = campaign.run(&mut target, &mut NoJournal, &mut clock).unwrap();
    let text = serde_json::to_string(&report).unwrap();
    for secret in [KEY, "pa55word"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(report.queries <= queries, "{} of {queries}", report.queries);
    let waited = mantlet_redteam::Clock::now_ms(&clock);
    Played { report, waited }
}

#[test]
fn storms_of_429_are_waited_out_and_never_break_the_budget() {
    // Every third request is answered; the others are told to wait a second, once by a date that is past.
    let endpoint = endpoint(SCORES, |count, rows| match count % 3 {
        0 => (200, String::new(), good(rows)),
        1 => (429, "retry-after: 1\r\n".to_owned(), "slow down".to_owned()),
        _ => (429, "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), "slow down".to_owned()),
    });
    let Played { report, waited } = play(&endpoint, "evasion-square", 5_000, 2_000);
    assert!(report.counts.hit > 0 && report.counts.error == 0, "{:?}", report.counts);
    let batches = endpoint.asked.load(Ordering::SeqCst) as u64 / 3;
    assert_eq!((report.refusals, waited), (2 * batches, 1_000 * batches));
    // The same with a budget in the middle of the storm: refused rows are paid for too.
    let before = endpoint.asked.load(Ordering::SeqCst);
    let Played { report, .. } = play(&endpoint, "evasion-square", 31, 2_000);
    assert_eq!(report.stopped, Some(Stop::Budget));
    assert!(report.counts.undecided > 0 && report.counts.miss == 0, "{:?}", report.counts);
    assert!(endpoint.asked.load(Ordering::SeqCst) - before <= 31);
}

#[test]
fn who_is_told_to_stay_away_longer_than_he_waits_asks_no_more() {
    let endpoint = endpoint(SCORES, |count, rows| {
        if count > 2 {
            (429, "retry-after: 90\r\n".to_owned(), String::new())
        } else {
            (200, String::new(), good(rows))
        }
    });
    let Played { report, waited } = play(&endpoint, "evasion-square", 5_000, 2_000);
    assert_eq!((report.stopped, report.refusals, waited), (Some(Stop::Guard), 1, 0));
    assert_eq!(endpoint.asked.load(Ordering::SeqCst), 3);
    assert!(report.counts.undecided > 0 && report.counts.miss == 0 && report.counts.error == 0);
    assert!(report.notes.iter().any(|note| note.contains("90 s")), "{:?}", report.notes);
}

#[test]
fn storms_of_5xx_are_errors_with_pauses_between() {
    let endpoint = endpoint(SCORES, |count, rows| {
        if count > 2 { (500, String::new(), "boom".to_owned()) } else { (200, String::new(), good(rows)) }
    });
    let Played { report, waited } = play(&endpoint, "evasion-square", 5_000, 2_000);
    assert_eq!((report.stopped, report.failures, waited), (Some(Stop::Failure), 3, 750));
    assert!(report.counts.error > 0 && report.counts.miss == 0, "{:?}", report.counts);
    assert_eq!(endpoint.asked.load(Ordering::SeqCst), 5);
}

#[test]
fn a_redirect_to_another_host_is_not_followed_and_takes_no_key_along() {
    let other = endpoint(SCORES, |_, rows| (200, String::new(), good(rows)));
    for status in [301, 302, 303, 307, 308] {
        let to = other.url.clone();
        let first = endpoint(SCORES, move |_, _| {
            (status, format!("location: {to}/v2/models/m/infer\r\n"), String::new())
        });
        let Played { report, .. } = play(&first, "evasion-square", 5_000, 2_000);
        let gap = report.not_examined.expect("what was redirected was not examined");
        assert!(gap.why.contains("redirects are not followed"), "{}", gap.why);
        assert_eq!((report.counts.hit, report.counts.miss), (0, 0));
        assert_eq!(first.asked.load(Ordering::SeqCst), 1);
    }
    assert_eq!(other.asked.load(Ordering::SeqCst), 0);
    assert!(other.heads.lock().unwrap().is_empty());
}

#[test]
fn an_endpoint_that_says_the_key_back_does_not_get_it_into_the_report() {
    for status in [401, 404, 429, 500] {
        let endpoint = endpoint(SCORES, move |_, _| {
            (status, String::new(), json!({"error": format!("invalid key Bearer {KEY}")}).to_string())
        });
        let Played { report, .. } = play(&endpoint, "evasion-square", 500, 2_000);
        assert_eq!(report.counts.hit, 0, "{status}");
        assert!(report.counts.miss == 0, "{status}: {:?}", report.counts);
    }
}

/// What it is called, and what is answered to rows.
type Lie = (&'static str, fn(&[Vec<f64>]) -> String);

/// What an endpoint that begins well answers from its third request on, and whether any row may then be a hit.
#[test]
fn endpoints_that_lie_give_errors_and_no_success() {
    let lies: Vec<Lie> = vec![
        ("one row less", |rows| {
            answer("p", "FP32", &[rows.len() - 1, 2], json!(scores(&rows[1..]).concat()))
        }),
        ("one row more", |rows| {
            let mut more = scores(rows);
            more.push(vec![0.5, 0.5]);
            answer("p", "FP32", &[rows.len() + 1, 2], json!(more.concat()))
        }),
        ("a class more", |rows| {
            let wider: Vec<f64> = scores(rows).into_iter().flat_map(|row| [row[1], row[0], 0.0]).collect();
            answer("p", "FP32", &[rows.len(), 3], json!(wider))
        }),
        ("a shape that is not the data's", |rows| {
            answer("p", "FP32", &[rows.len(), 7], json!(scores(rows).concat()))
        }),
        ("no numbers", |rows| {
            let none: Vec<Value> = rows.iter().flat_map(|_| [json!("NaN"), json!(null)]).collect();
            answer("p", "FP32", &[rows.len(), 2], json!(none))
        }),
        ("numbers beyond all", |rows| {
            let beyond: Vec<f64> = rows.iter().flat_map(|_| [1e300, -1e300]).collect();
            answer("p", "FP32", &[rows.len(), 2], json!(beyond))
        }),
        ("another output", |rows| answer("q", "FP32", &[rows.len(), 2], json!(scores(rows).concat()))),
        ("no JSON", |_| "<html>welcome</html>".to_owned()),
    ];
    for (what, lie) in lies {
        let endpoint = endpoint(SCORES, move |count, rows| {
            (200, String::new(), if count <= 1 { good(rows) } else { lie(rows) })
        });
        let Played { report, .. } = play(&endpoint, "evasion-square", 5_000, 2_000);
        assert_eq!((report.counts.hit, report.counts.miss), (0, 0), "{what}: {:?}", report.counts);
        assert!(report.counts.error > 0, "{what}: {:?}", report.counts);
    }
}

#[test]
fn shares_that_do_not_sum_to_one_and_classes_in_another_order_change_no_decision() {
    // Shares of 1.4 in all are scores of their own kind: the same rows are hits, each confirmed by the model's class.
    let endpoint_of = |factor: f64| {
        endpoint(SCORES, move |_, rows| {
            let data: Vec<f64> = scores(rows).concat().into_iter().map(|value| factor * value).collect();
            (200, String::new(), answer("p", "FP32", &[rows.len(), 2], json!(data)))
        })
    };
    let plain = play(&endpoint_of(1.0), "evasion-square", 5_000, 2_000).report;
    let loose = play(&endpoint_of(1.4), "evasion-square", 5_000, 2_000).report;
    assert!(plain.counts.hit == 4 && loose.counts.hit == 4, "{:?} {:?}", plain.counts, loose.counts);
    // Labels are another class's: every row is wrong before anything is changed, so there is nothing to attack.
    let other = endpoint(LABELS, |_, rows| {
        let labels: Vec<i64> = rows.iter().map(|row| i64::from(row[0] + row[1] <= 1.0)).collect();
        (200, String::new(), answer("label", "INT64", &[rows.len()], json!(labels)))
    });
    let swapped = play(&other, "evasion-hop-skip-jump", 2_000, 2_000).report;
    assert_eq!((swapped.n, swapped.counts.hit), (0, 0), "{:?}", swapped.counts);
}
