//! A withheld decision from the caller's request to the label: its owner, who waits, who is told, what is learned.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Up, expect, http};
use crate::running::{ROW, as_person, served_by};

const SECRET: &str = "a secret of the loans desk";

/// A server that takes documents: heads and bodies come out; the first is turned away.
pub fn sink() -> (String, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, taken) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            let (head, body) = loop {
                let count = stream.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = header(head, "content-length").parse().unwrap();
                    if body.len() >= length {
                        break (head.to_owned(), body.to_owned());
                    }
                }
                assert!(count > 0, "the request ends early");
            };
            let status = if number == 0 { "503 Later" } else { "200 OK" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if sender.send((head, body)).is_err() {
                return;
            }
        }
    });
    (address, taken)
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).unwrap_or("")
}

/// The generation of the configuration in force.
fn generation(up: &Up) -> u64 {
    let ask = "GET /status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (status, body) = http(&up.address("gateway"), ask);
    assert_eq!(status, 200, "{body}");
    let said: Value = serde_json::from_str(&body).unwrap();
    said["generation"].as_u64().unwrap()
}

#[test]
fn a_withheld_decision_has_an_owner_is_waited_for_told_and_becomes_a_label() {
    let (folder, password) = served_by("ada");
    let (address, taken) = sink();
    std::fs::write(folder.path.join("desk.secret"), format!("{SECRET}\n")).unwrap();
    let up = Up::start(&folder.path);
    let key = up.said["api_key"].as_str().unwrap().to_owned();
    let begun = Instant::now();
    while up.infer("model", &key, ROW).0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(50));
    }
    // The program runs already: what it is told of reviews counts without a restart, for tickets filed from then on.
    folder.edit(|text| {
        format!(
            "{text}\n[reviews]\nowner = \"loans desk\"\nminutes = 30\nwebhook = \"http://{address}/decided\"\n\
             webhook_secret_file = \"desk.secret\"\n"
        )
    });
    while generation(&up) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the configuration is not taken over");
        std::thread::sleep(Duration::from_millis(50));
    }
    as_person(&password, ["registry", "divert", folder.text(), "--user", "ada", "--note", "we look into it"]);
    let body = loop {
        let (status, body) = up.infer("model", &key, ROW);
        if status == 202 {
            break body;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{status}: {body}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    let (ticket, poll) = (body["ticket"].as_str().unwrap(), body["poll"].as_str().unwrap());
    // The caller waits while a person decides.
    let ask = format!(
        "GET {poll} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\nprefer: wait=60\r\nconnection: close\r\n\r\n"
    );
    let gateway = up.address("gateway");
    let waiting = std::thread::spawn(move || http(&gateway, &ask));
    let listed = loop {
        let listed = expect(0, ["review", "list", folder.text()]).out;
        if listed.contains(ticket) {
            break listed;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "{listed}");
    };
    assert!(!waiting.is_finished(), "{listed}");
    as_person(
        &password,
        [
            "review",
            "decide",
            ticket,
            "answer",
            folder.text(),
            "--label",
            "1",
            "--user",
            "ada",
            "--note",
            "seen",
        ],
    );
    let (status, answer) = waiting.join().unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["status"]), (200, &"released".into()), "{answer}");
    // Whoever the webhook names is told, again after it was not taken, and can check who says so.
    let mut last = None;
    for attempt in 0..2 {
        let (head, body) = taken.recv_timeout(Duration::from_secs(30)).unwrap();
        let (id, seconds) = (header(&head, "webhook-id"), header(&head, "webhook-timestamp"));
        let signature = header(&head, "webhook-signature");
        let seconds = seconds.parse().unwrap();
        assert_eq!(id, ticket, "attempt {attempt}");
        let signed = |secret: &str, body: &str| {
            mantlet_worker::answer::verify(secret.as_bytes(), id, seconds, body.as_bytes(), signature)
        };
        assert!(signed(SECRET, &body) && !signed("another secret of a desk", &body));
        assert!(!signed(SECRET, &format!("{body} ")));
        last = Some(body);
    }
    let document: Value = serde_json::from_str(&last.unwrap()).unwrap();
    assert_eq!(document["type"], "review.settled");
    assert_eq!(document["data"]["status"], "released");
    assert_eq!(document["data"]["answer"], answer["answer"]);
    assert!(
        taken.recv_timeout(Duration::from_secs(2)).is_err(),
        "it is told once it was taken, and not again"
    );
    // The label.
    let table = expect(0, ["review", "labels", folder.text()]).out;
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1, "{table}");
    assert_eq!((&rows[0][1], &rows[0][3], &rows[0][5]), ("1", "v1", "ada"), "{table}");
    assert_eq!(&rows[0][0], document["data"]["exchange"].as_str().unwrap());
    up.interrupt();
}
