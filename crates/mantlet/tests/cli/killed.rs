//! Attacks that are killed while they ask an endpoint or go through the guard: run again, they end in the report of a run
//! that nobody killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use crate::program::{Folder, mantlet, run};

/// How many inferences there were, and from which on answers are held back.
type Turn = Arc<(Mutex<(usize, usize)>, Condvar)>;

/// Credit behind an address; from the turn that is set on, nobody gets an answer.
fn endpoint() -> (String, Turn) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let turn: Turn = Arc::new((Mutex::new((0, usize::MAX)), Condvar::new()));
    let kept = Arc::clone(&turn);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), turn) = (stream, Arc::clone(&kept)) else { continue };
            // A caller who is killed leaves in the middle.
            std::thread::spawn(move || serve(stream, &turn));
        }
    });
    (url, turn)
}

fn serve(mut stream: std::net::TcpStream, turn: &Turn) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let answer = if line.starts_with("GET") {
            json!({"name": "model", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
                   "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}]})
        } else {
            let (state, changed) = &**turn;
            let mut state = state.lock().ok()?;
            state.0 += 1;
            changed.notify_all();
            while state.0 >= state.1 {
                state = changed.wait(state).ok()?;
            }
            drop(state);
            let asked: Value = serde_json::from_slice(&body).ok()?;
            let x: Vec<f64> =
                asked["inputs"][0]["data"].as_array()?.iter().filter_map(Value::as_f64).collect();
            let labels: Vec<i64> = x.chunks(2).map(|row| i64::from(row[0] > row[1])).collect();
            json!({"model_name": "model", "outputs": [
                {"name": "label", "datatype": "INT64", "shape": [labels.len()], "data": labels}]})
        };
        let answer = answer.to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all((head + &answer).as_bytes()).ok()?;
    }
}

/// Kills a run as soon as its endpoint was asked so often.
fn kill_at(turn: &Turn, at: usize, arguments: &[String]) {
    {
        let mut state = turn.0.lock().unwrap();
        *state = (0, at);
    }
    let mut child = mantlet(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut state = turn.0.lock().unwrap();
    while state.0 < at {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was killed, after {} of {at}",
            state.0
        );
        state = turn.1.wait_timeout(state, std::time::Duration::from_millis(500)).unwrap().0;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Whoever still waits for an answer finds nobody to give it to.
    state.1 = usize::MAX;
    turn.1.notify_all();
}

#[test]
fn runs_against_an_endpoint_that_are_killed_again_and_again_end_in_the_same_report() {
    let folder = Folder::with_model();
    let (url, turn) = endpoint();
    let path = |name: &str| -> PathBuf { folder.path.join(name) };
    let arguments = |journal: &str, output: &str| -> Vec<String> {
        let rest =
            ["--only", "evasion-boundary", "--only", "evasion-hop-skip-jump", "--rows", "3", "--seed", "3"];
        let mut words: Vec<String> = ["attack", "run", folder.text()].map(str::to_owned).to_vec();
        words.extend(rest.map(str::to_owned));
        words.extend(["--set", "queries=120", "--json", "--endpoint", &url, "--journal"].map(str::to_owned));
        words.extend(
            [path(journal), "--output".into(), path(output)].map(|file| file.to_str().unwrap().to_owned()),
        );
        words
    };
    let ran = run(arguments("whole", "first.json"));
    let questions = turn.0.lock().unwrap().0;
    assert!(questions > 200, "{questions} {} {}", ran.out, ran.err);
    let first = std::fs::read(path("first.json")).unwrap();
    let mut asked = 0;
    for at in [7, questions / 3, questions / 3] {
        kill_at(&turn, at, &arguments("killed", "second.json"));
        assert!(!path("second.json").exists());
        asked += at;
    }
    turn.0.lock().unwrap().0 = 0;
    let again = run(arguments("killed", "second.json"));
    assert_eq!(again.code, ran.code, "{}", again.err);
    assert!(first == std::fs::read(path("second.json")).unwrap(), "the reports differ");
    asked += turn.0.lock().unwrap().0;
    // The first kill comes while the target is still looked at, which begins anew; at the others one question was under way.
    assert!(asked <= questions + 7 + 2, "{asked} {questions}");
}

#[test]
fn a_run_through_the_guard_that_is_killed_goes_on_and_ends_in_the_same_report() {
    let folder = Folder::with_model();
    let (url, turn) = endpoint();
    let path = |name: &str| -> PathBuf { folder.path.join(name) };
    let arguments = |journal: &str, output: &str, through: bool| -> Vec<String> {
        let rest = ["--only", "evasion-boundary", "--rows", "3", "--seed", "3", "--set", "queries=60"];
        let mut words: Vec<String> = ["attack", "run", folder.text()].map(str::to_owned).to_vec();
        words.extend(rest.map(str::to_owned));
        words.extend(["--set", "radius=1", "--json", "--endpoint", &url, "--journal"].map(str::to_owned));
        words.extend(
            [path(journal), "--output".into(), path(output)].map(|file| file.to_str().unwrap().to_owned()),
        );
        if through {
            words.extend(["--through", "guard"].map(str::to_owned));
        }
        words
    };
    run(arguments("plain", "plain.json", false));
    let alone = std::mem::take(&mut turn.0.lock().unwrap().0);
    let ran = run(arguments("whole", "first.json", true));
    let both = turn.0.lock().unwrap().0;
    // The guard's part asks the endpoint, too: that is where the kill comes.
    assert!(alone > 60 && both > alone + 20, "{alone} {both} {}", ran.err);
    let first = std::fs::read(path("first.json")).unwrap();
    assert!(String::from_utf8_lossy(&first).contains("through-guard"), "{}", ran.err);
    kill_at(&turn, (alone + both) / 2, &arguments("killed", "second.json", true));
    assert!(!path("second.json").exists());
    turn.0.lock().unwrap().0 = 0;
    let again = run(arguments("killed", "second.json", true));
    assert_eq!(again.code, ran.code, "{}", again.err);
    assert!(first == std::fs::read(path("second.json")).unwrap(), "the reports differ");
    // What the attack alone had asked is not asked again.
    let asked = turn.0.lock().unwrap().0;
    assert!(asked <= both - alone + 1, "{asked} {both} {alone}");
}
