//! A withheld decision from the caller's request to the label: its owner, who waits, who is told, what is learned.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Up, expect, http};
use crate::running::{ROW, as_person, served_by};
use crate::versions::serve;

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

const TERM: &str = "tell me of project nightjar";
const CHAT: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a bird"},"finish_reason":"stop"}]}"#;
const CHUNK: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a bird\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const MESSAGE: &str = r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"a bird"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#;
const LEAK: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"AKIAQ3EGRZX5WT2NJ7PA"},"finish_reason":"stop"}]}"#;

/// A text that was withheld before the model was asked: released by a person, it goes to the model once, whether its
/// caller waits or comes again, and what the model answers is looked at all the same.
#[test]
fn a_withheld_text_that_a_person_releases_goes_to_the_model_once() {
    let (folder, password) = served_by("ada");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let upstream = serve(move |head, body| {
        if !head.starts_with("GET ") {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        let json = "200 OK\r\ncontent-type: application/json".to_owned();
        match () {
            () if body.contains("a secret please") => (json, LEAK.to_owned()),
            () if body.contains("\"stream\":true") => {
                ("200 OK\r\ncontent-type: text/event-stream".to_owned(), CHUNK.to_owned())
            }
            () if head.contains("/v1/messages") => (json, MESSAGE.to_owned()),
            () => (json, CHAT.to_owned()),
        }
    });
    folder.edit(|text| {
        format!(
            "{text}\n[gateway.text]\nterms = [\"project nightjar\"]\n\n[[gateway.routes]]\nname = \"assistant\"\n\
             prefix = \"/assistant\"\nupstream = \"{upstream}\"\nspeaks = \"text\"\nmode = \"enforce\"\n\
             [gateway.routes.rules]\nblocked-term = {{ divert = 1.0, refuse = false }}\n\
             secret-exposed = {{ redact = false, refuse = 1.0 }}\n"
        )
    });
    let up = Up::start(&folder.path);
    let key = up.said["api_key"].as_str().unwrap().to_owned();
    let gateway = up.address("gateway");
    let send = |path: &str, more: &str, words: &str, stream: bool| {
        let body = format!(
            "{{\"model\":\"m\",\"max_tokens\":9,\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"{words}\"}}]}}"
        );
        let ask = format!(
            "POST /assistant{path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n{more}\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        (gateway.clone(), ask)
    };
    let wait = "prefer: wait=50\r\n";
    // The ticket of the one decision that waits.
    let ticket = || {
        let begun = Instant::now();
        loop {
            let listed = expect(0, ["review", "list", folder.text()]).out;
            if let Some(ticket) = listed.split_whitespace().find(|word| word.starts_with("rev-")) {
                break ticket.to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "nothing waits");
        }
    };
    let decide = |ticket: &str, what: &str| {
        as_person(&password, ["review", "decide", ticket, what, folder.text(), "--user", "ada"]);
    };
    for (path, stream, words, ruling, status, holds, asked) in [
        ("/v1/chat/completions", false, TERM, "release", 200, "a bird", 1),
        ("/v1/chat/completions", true, TERM, "release", 200, "a bird", 1),
        ("/v1/messages", false, TERM, "release", 200, "a bird", 1),
        ("/v1/chat/completions", false, TERM, "reject", 403, "a person refused this request", 0),
        // What the model says to a released text is looked at too.
        ("/v1/chat/completions", false, "project nightjar, and a secret please", "release", 403, "error", 1),
    ] {
        let before = count.load(Ordering::Relaxed);
        let (gateway, ask) = send(path, wait, words, stream);
        let waiting = std::thread::spawn(move || http(&gateway, &ask));
        let ticket = ticket();
        assert_eq!(count.load(Ordering::Relaxed), before, "the model is not asked before");
        decide(&ticket, ruling);
        let (got, body) = waiting.join().unwrap();
        let case = format!("{path} {stream} {words} {ruling}: {body}");
        assert!(got == status && body.contains(holds) && !body.contains("AKIA"), "{got} {case}");
        assert_eq!(count.load(Ordering::Relaxed) - before, asked, "{case}");
    }
    // A caller who does not wait sends it again with its ticket.
    let before = count.load(Ordering::Relaxed);
    let (at, ask) = send("/v1/chat/completions", "", TERM, false);
    assert_eq!(http(&at, &ask).0, 403);
    let ticket = ticket();
    decide(&ticket, "release");
    let begun = Instant::now();
    let poll = format!(
        "GET /mantlet/v1/reviews/{ticket} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\nprefer: wait=9\r\nconnection: close\r\n\r\n"
    );
    while !http(&gateway, &poll).1.contains("\"goes-on\"") {
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    let again = format!("x-mantlet-review: {ticket}\r\n");
    for (words, status) in [("project nightjar, another", 403), (TERM, 200), (TERM, 403)] {
        let (at, ask) = send("/v1/chat/completions", &again, words, false);
        let (got, body) = http(&at, &ask);
        assert_eq!(got, status, "{words}: {body}");
    }
    assert_eq!(count.load(Ordering::Relaxed) - before, 1);
    up.interrupt();
}
