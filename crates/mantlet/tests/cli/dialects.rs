//! The descriptions of `docs/targets`, as they stand there, against servers that answer as each product documents.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::program::{Folder, run};

const TF_SERVING: &str = include_str!("../../../../docs/targets/tf-serving.toml");
const KSERVE: &str = include_str!("../../../../docs/targets/kserve-v1.toml");
const SELDON: &str = include_str!("../../../../docs/targets/seldon.toml");
const MLFLOW: &str = include_str!("../../../../docs/targets/mlflow.toml");

/// What a server answers to a question.
type Answers = fn(&Value) -> Value;

/// A question as it came: its path and its JSON.
type Asked = (String, Value);

/// Answers every request with what `answer` makes of its JSON, until the test ends; gives the address and what was asked.
fn serve(answer: Answers) -> (String, std::sync::mpsc::Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (say, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            // A connection may be kept for further requests.
            loop {
                let (mut first, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if first.is_empty() {
                        first = line;
                    }
                }
                let mut bytes = vec![0; length];
                if first.is_empty() || reader.read_exact(&mut bytes).is_err() {
                    break;
                }
                let question: Value = serde_json::from_slice(&bytes).unwrap();
                let body = answer(&question).to_string();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                if say.send((path, question)).is_err() {
                    return;
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                if (&stream).write_all((head + &body).as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    (address, asked)
}

fn numbers(row: &Value) -> (f64, f64) {
    match row {
        Value::Array(values) => (values[0].as_f64().unwrap(), values[1].as_f64().unwrap()),
        record => (record["income"].as_f64().unwrap(), record["debt"].as_f64().unwrap()),
    }
}

/// The chance of credit.
fn chance(row: &Value) -> f64 {
    let (income, debt) = numbers(row);
    1.0 / (1.0 + (-8.0 * (income - debt)).exp())
}

fn shares(rows: &Value) -> Vec<Value> {
    rows.as_array().unwrap().iter().map(|row| json!([1.0 - chance(row), chance(row)])).collect()
}

fn labels(rows: &Value) -> Vec<usize> {
    rows.as_array().unwrap().iter().map(|row| usize::from(chance(row) > 0.5)).collect()
}

/// Attacks the server as the description says and gives the report and the first question.
fn attacked(description: &str, answer: Answers) -> (Value, Asked) {
    let folder = Folder::with_model();
    let (address, asked) = serve(answer);
    let old = description.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let target = folder.path.join("target.toml");
    std::fs::write(&target, description.replace(old, &address)).unwrap();
    let attack = [
        "attack",
        "run",
        folder.text(),
        "--only",
        "evasion-boundary",
        "--rows",
        "6",
        "--seed",
        "3",
        "--json",
    ];
    let more = ["--set", "queries=60", "--set", "radius=1", "--target", target.to_str().unwrap()];
    let ran = run(attack.into_iter().chain(more));
    let mut reports: Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
    (reports[0].take(), asked.recv().unwrap())
}

#[test]
fn each_description_of_the_docs_reaches_its_server() {
    let cases: [(&str, Answers, &str, &str); 4] = [
        (
            TF_SERVING,
            |asked| json!({"predictions": shares(&asked["instances"])}),
            "/v1/models/credit:predict",
            "instances",
        ),
        (
            KSERVE,
            |asked| json!({"predictions": labels(&asked["instances"])}),
            "/v1/models/credit:predict",
            "instances",
        ),
        (
            SELDON,
            |asked| json!({"data": {"names": ["t:0", "t:1"], "ndarray": shares(&asked["data"]["ndarray"])}, "meta": {"requestPath": {"m": "i"}}}),
            "/seldon/default/credit/api/v1.0/predictions",
            "data",
        ),
        (
            MLFLOW,
            |asked| json!({"predictions": labels(&asked["dataframe_records"])}),
            "/invocations",
            "dataframe_records",
        ),
    ];
    for (description, answer, path, key) in cases {
        let (report, (asked, question)) = attacked(description, answer);
        assert_eq!(asked, path);
        assert!(question[key].is_array() || question[key]["ndarray"].is_array(), "{question}");
        // Rows were read right, turned, and every one of them decided.
        assert!(report["counts"]["hit"].as_u64().unwrap() >= 4, "{path}: {report}");
        assert_eq!(report["counts"]["error"], 0, "{path}: {report}");
        assert_eq!(report["failures"], 0, "{path}: {report}");
    }
}

#[test]
fn an_answer_of_another_form_is_an_error_and_no_success() {
    // Seldon's answer where TensorFlow Serving's was described.
    let (report, _) = attacked(TF_SERVING, |asked| json!({"data": {"ndarray": shares(&asked["instances"])}}));
    assert_eq!((&report["counts"]["hit"], &report["counts"]["miss"]), (&0.into(), &0.into()), "{report}");
}
