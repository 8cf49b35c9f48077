//! A judge behind a real endpoint in a guard: what it says counts, and each way it fails is its rule's own choice.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use mantlet_guard::{Caller, Controls, Failure, Guard, GuardConfig, RulePolicy, Verdict, WindowJudge as _};
use mantlet_vocab::{Action, Impact, Kind, Millis, OnFailure, Piece};
use mantlet_wire::Limits;
use mantlet_wire::text::{StreamReader, Surface, TextReply, TextRequest};

use super::{HttpJudge, JudgeConfig, JudgeError};

/// An endpoint that answers each call by a function of its text: status and body; `None` never answers.
fn endpoint(answer: fn(&str) -> Option<(u16, String)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut got, mut part) = (Vec::new(), [0; 4096]);
                loop {
                    let text = String::from_utf8_lossy(&got).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let length = head.to_lowercase();
                        let length = length.split("content-length: ").nth(1).unwrap();
                        let length: usize = length.split("\r\n").next().unwrap().trim().parse().unwrap();
                        if body.len() >= length {
                            let Some((status, body)) = answer(body) else {
                                // Held open until the other side has had enough.
                                let _ = stream.read(&mut part);
                                return;
                            };
                            let head = format!(
                                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                                body.len()
                            );
                            let _ = stream.write_all((head + &body).as_bytes());
                            return;
                        }
                    }
                    match stream.read(&mut part) {
                        Ok(read) if read > 0 => got.extend_from_slice(&part[..read]),
                        _ => return,
                    }
                }
            });
        }
    });
    address
}

fn config(address: SocketAddr) -> JudgeConfig {
    JudgeConfig {
        name: "manners-judge".into(),
        endpoint: format!("http://{address}/judge"),
        headers: vec![("authorization".into(), "Bearer k".into())],
        threshold: 0.5,
        window: 64,
        lag: 0,
        timeout: Duration::from_secs(20),
        at_once: 4,
    }
}

fn guard(judge: HttpJudge, on_failure: OnFailure) -> Guard {
    let policy = RulePolicy { refuse: Some(1.0), on_failure, ..RulePolicy::for_rule("x-y", Impact::Low) };
    let rules = BTreeMap::from([("manners-judge".to_owned(), policy)]);
    let config =
        GuardConfig { rules, judges: vec!["manners-judge".into()], limit: None, ..GuardConfig::default() };
    Guard::new(config, None, vec![], Arc::new(Controls::new())).unwrap().with_judges(vec![Arc::new(judge)])
}

fn asked(guard: &Guard, text: &str) -> mantlet_guard::Inspection {
    let pieces = vec![Piece { kind: Kind::User, pointer: "/messages/0/content".into(), text: text.into() }];
    guard.examine_text(Caller { key: "ann" }, &TextRequest { pieces, ..TextRequest::default() }, Millis(0))
}

fn scores(body: &str) -> Option<(u16, String)> {
    let score = if body.contains("horrid") { 0.9 } else { 0.1 };
    Some((200, format!("{{\"score\": {score}, \"reason\": \"insult\"}}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_endpoint_says_counts_in_requests_replies_and_streams() {
    let guard = guard(HttpJudge::new(config(endpoint(scores))).unwrap(), OnFailure::PassAndFlag);
    assert_eq!(asked(&guard, "what a lovely day").decision.action, Action::Allow);
    let horrid = asked(&guard, &format!("{} horrid", "lovely ".repeat(30)));
    assert_eq!(horrid.decision.action, Action::Refuse);
    let signal = &horrid.decision.signals[0];
    assert_eq!((signal.name.as_str(), signal.message.as_str()), ("manners-judge", "insult"));
    assert!((signal.score - 1.8).abs() < 1e-9);
    let mut inspection = asked(&guard, "hello");
    let piece = Piece { kind: Kind::Assistant, pointer: "/c".into(), text: "you horrid thing".into() };
    let _ =
        guard.examine_text_reply(&mut inspection, &TextReply { pieces: vec![piece], ..TextReply::default() });
    assert_eq!(inspection.decision.action, Action::Refuse);
    // A stream is cut before the window with the word leaves.
    let inspection = asked(&guard, "hello");
    let (mut watch, mut reader) =
        (guard.watch(&inspection), StreamReader::new(Surface::OpenAiChat, Limits::default()));
    assert_eq!(watch.lag(), Some(0));
    let (mut released, mut stopped) = (String::new(), false);
    for word in ["calm "; 40].into_iter().chain(["horrid "]).chain(["more "; 40]) {
        let event =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n");
        for frame in reader.feed(event.as_bytes()).unwrap() {
            let release = watch.feed(frame);
            for frame in release.frames {
                released.extend(frame.fragments.iter().map(|part| part.text.as_str()));
            }
            stopped |= matches!(release.verdict, Verdict::Stop { .. });
        }
    }
    assert!(stopped && !released.contains("horrid"), "{released}");
}

#[test]
fn each_way_to_fail_is_told_and_decided_by_the_rule() {
    let slow =
        |timeout| JudgeConfig { timeout: Duration::from_millis(timeout), ..config(endpoint(|_| None)) };
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (config, failure) in [
        (config(endpoint(|_| Some((500, String::new())))), Failure::Error),
        (config(endpoint(|_| Some((200, "{\"score\": \"high\"}".into())))), Failure::Error),
        (
            config(endpoint(|_| {
                Some((200, format!("{{\"score\": 1, \"reason\": \"{}\"}}", "x".repeat(99_999))))
            })),
            Failure::Error,
        ),
        (config(gone), Failure::Error),
        (slow(60), Failure::Timeout),
    ] {
        let judge = HttpJudge::new(config.clone()).unwrap();
        assert_eq!(judge.judge(Kind::User, "hello").unwrap_err(), failure, "{config:?}");
        for (on_failure, action) in [
            (OnFailure::Refuse, Action::Refuse),
            (OnFailure::Divert, Action::Divert),
            (OnFailure::PassAndFlag, Action::Flag),
        ] {
            let guard = guard(HttpJudge::new(config.clone()).unwrap(), on_failure);
            let inspection = asked(&guard, "hello");
            assert_eq!(inspection.decision.action, action, "{failure:?}");
            let failed = inspection.decision.signals.iter().find(|signal| signal.name == "guard-rule-failed");
            assert_eq!(failed.unwrap().facts["how"], failure.word());
        }
    }
    // One at a time and one waiting: the rest is too much at once, and nobody waits for it.
    let judge = Arc::new(HttpJudge::new(JudgeConfig { at_once: 1, ..slow(3_000) }).unwrap());
    let (tell, told) = channel();
    for _ in 0..6 {
        let (judge, tell) = (Arc::clone(&judge), tell.clone());
        std::thread::spawn(move || {
            let begun = Instant::now();
            tell.send((judge.judge(Kind::User, "hello").unwrap_err(), begun.elapsed())).unwrap();
        });
    }
    let all: Vec<(Failure, Duration)> = (0..6).map(|_| told.recv().unwrap()).collect();
    let full = all.iter().filter(|(failure, _)| *failure == Failure::Overload);
    assert!(full.clone().count() >= 3, "{all:?}");
    assert!(full.clone().all(|(_, took)| *took < Duration::from_millis(2_500)), "{all:?}");
}

#[test]
fn a_judge_that_cannot_be_one_is_refused_by_name() {
    let good = config(([127, 0, 0, 1], 9).into());
    let fault = |config: JudgeConfig| HttpJudge::new(config).err().unwrap();
    assert!(matches!(fault(JudgeConfig { name: "Toxic".into(), ..good.clone() }), JudgeError::Name(_)));
    assert!(matches!(
        fault(JudgeConfig { endpoint: "ftp://x/".into(), ..good.clone() }),
        JudgeError::Endpoint(_)
    ));
    assert!(matches!(fault(JudgeConfig { threshold: 0.0, ..good.clone() }), JudgeError::Threshold(_)));
    assert!(matches!(
        fault(JudgeConfig { headers: vec![("a b".into(), "c".into())], ..good }),
        JudgeError::Header(_)
    ));
}
