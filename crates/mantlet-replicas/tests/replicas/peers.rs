//! One caller spread over three replicas is seen as one, through a real Redis; apart each says that it is alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mantlet_detectors::{Learning, Profile};
use mantlet_guard::{Caller, Controls, Guard, GuardConfig, Peers as _};
use mantlet_learn::digits;
use mantlet_replicas::{RedisOptions, RedisPeers};
use mantlet_testkit::servers::Server;
use mantlet_vocab::{Action, Impact, Millis, NamedValue, Reply, Request, Tensor, Value};

use crate::servers::Line;

const SOON: Duration = Duration::from_secs(20);
const CALLER: Caller<'_> = Caller { key: "ann" };
const NOW: Millis = Millis(1_700_000_000_000);

fn named(name: &str, shape: &[usize], data: Vec<f32>) -> NamedValue {
    NamedValue { name: name.into(), value: Value::F32(Tensor::new(shape.to_vec(), data).unwrap()) }
}

/// What honest traffic of digits looks like, and one digit.
fn profile() -> (Arc<Profile>, Vec<f32>) {
    let table = digits();
    let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    let inputs = [NamedValue { name: "input".into(), value: Value::F32(table.x.clone()) }];
    let learning = Learning {
        inputs: &inputs,
        labels: Some(&table.y),
        classes: &classes,
        scores: None,
        outlier_rate: 0.001,
        seed: 1,
    };
    (Arc::new(Profile::learn(&learning).unwrap()), table.x.row(7).to_vec())
}

/// The digit with one of its pixels a little other: a different row each time, all of them near.
fn query(digit: &[f32], number: usize) -> Request {
    let mut row = digit.to_vec();
    row[number % 64] += 0.01 * (1 + number / 64) as f32;
    Request { inputs: vec![named("input", &[1, 1, 8, 8], row)], ..Request::default() }
}

struct Replica {
    guard: Arc<Guard>,
    peers: RedisPeers,
    line: Line,
}

impl Replica {
    async fn start(port: u16, profile: &Arc<Profile>) -> Self {
        let line = Line::to(port).await;
        let options = RedisOptions {
            quiet: Duration::from_millis(300),
            ..RedisOptions::new(format!("redis://{}", line.address), "test", 3)
        };
        let (peers, mut heard) = RedisPeers::start(&options).unwrap();
        let guard = Arc::new(guard(profile).with_peers(Arc::new(peers.clone())));
        let hearing = guard.clone();
        tokio::spawn(async move {
            while let Some(told) = heard.recv().await {
                assert!(hearing.heard(told, NOW));
            }
        });
        Self { guard, peers, line }
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < SOON, "{what}: {:?}", self.peers.status());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn guard(profile: &Arc<Profile>) -> Guard {
    let config = GuardConfig { impact: Impact::High, limit: None, ..GuardConfig::default() };
    Guard::new(config, Some(Arc::clone(profile)), Vec::new(), Arc::new(Controls::new())).unwrap()
}

fn searches(guard: &Guard, request: &Request) -> bool {
    let inspection = guard.inspect(CALLER, request, NOW);
    inspection
        .decision
        .signals
        .iter()
        .any(|signal| signal.name == "query-local-search" && signal.score >= 1.0)
}

/// The number of the query at which a search is told, over guards in turn.
fn found(guards: &[&Guard], digit: &[f32], most: usize) -> Option<usize> {
    (0..most).find(|&number| searches(guards[number % guards.len()], &query(digit, number)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_spread_over_three_replicas_is_found_as_soon_as_on_one() {
    let (profile, digit) = profile();
    let alone = found(&[&guard(&profile)], &digit, 200).expect("one guard finds it");
    let apart = [guard(&profile), guard(&profile), guard(&profile)];
    let strangers = found(&[&apart[0], &apart[1], &apart[2]], &digit, 200).unwrap_or(200);
    assert!(strangers > 2 * alone, "three that tell one another nothing: {strangers}, one: {alone}");

    let server = Server::redis();
    let mut three = Vec::new();
    for _ in 0..3 {
        three.push(Replica::start(server.port, &profile).await);
    }
    let mut slowest = Duration::ZERO;
    let mut spread = None;
    for number in 0..200 {
        if searches(&three[number % 3].guard, &query(&digit, number)) {
            spread = Some(number);
            break;
        }
        // The next is asked when the news is there: how long that takes is what an attacker can gain.
        let begun = Instant::now();
        for (at, replica) in three.iter().enumerate().filter(|(at, _)| *at != number % 3) {
            let others = (0..=number).filter(|asked| asked % 3 != at).count() as u64;
            replica.until("hears", |replica| replica.peers.status().heard == others).await;
        }
        slowest = slowest.max(begun.elapsed());
    }
    println!(
        "one replica: query {alone}; three that share: {spread:?}; three apart: {strangers}; news took at most {slowest:?}"
    );
    assert_eq!(spread, Some(alone));
    for replica in &three {
        let status = replica.peers.status();
        assert_eq!((status.alone, status.left_out, status.missed), (false, 0, 0), "{status:?}");
    }

    // One that was started again takes up what the others remember.
    let late = Replica::start(server.port, &profile).await;
    late.until("hears of the past", |late| late.peers.status().heard >= alone as u64).await;
    let begun = Instant::now();
    while !searches(&late.guard, &query(&digit, 199)) {
        assert!(begun.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    // Cut off, it says so, and goes on by itself.
    late.line.cut();
    late.until("alone", |late| late.guard.peers().unwrap().alone).await;
    assert!(!three[0].guard.peers().unwrap().alone);
    let before = late.peers.status().left_out;
    assert!(searches(&late.guard, &query(&digit, 150)));
    late.until("counts what it cannot tell", |late| late.peers.status().left_out > before).await;
    late.line.open();
    late.until("together again", |late| !late.guard.peers().unwrap().alone).await;
    let heard = three[0].peers.status().heard;
    assert!(searches(&late.guard, &query(&digit, 151)));
    three[0].until("hears it again", |first| first.peers.status().heard > heard).await;
}

/// What follows from answers is shared too: flips near a boundary, and answers that were withheld.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_one_replica_withheld_is_withheld_by_all() {
    let (profile, digit) = profile();
    let server = Server::redis();
    let (first, second) =
        (Replica::start(server.port, &profile).await, Replica::start(server.port, &profile).await);
    let mut stopped = None;
    for number in 0..300 {
        let request = query(&digit, number);
        let mut inspection = first.guard.inspect(CALLER, &request, NOW);
        if matches!(inspection.decision.action, Action::Divert | Action::Refuse) {
            stopped = Some(request);
            break;
        }
        let mut scores = vec![0.0; 10];
        scores[number % 2] = 1.0;
        let reply = Reply { outputs: vec![named("scores", &[1, 10], scores)], ..Reply::default() };
        first.guard.observe_reply(CALLER, &mut inspection, &reply, NOW);
    }
    let request = stopped.expect("one guard withholds the answers of a search");
    let told = |first: &Replica| first.peers.status().told;
    first.until("tells", |first| first.peers.status().told > 3).await;
    let begun = Instant::now();
    loop {
        second.until("hears", |second| second.peers.status().heard >= told(&first)).await;
        let there = second.guard.inspect(CALLER, &request, NOW);
        if matches!(there.decision.action, Action::Divert | Action::Refuse) {
            break;
        }
        assert!(begun.elapsed() < SOON, "{:?}", there.decision);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_profile_saw_and_what_is_nonsense_is_not_taken_in() {
    let (profile, digit) = profile();
    let server = Server::redis();
    let one = Replica::start(server.port, &profile).await;
    let options = RedisOptions::new(format!("redis://127.0.0.1:{}", server.port), "test", 3);
    let (peers, mut heard) = RedisPeers::start(&options).unwrap();
    let config = GuardConfig { route: "another".into(), limit: None, ..GuardConfig::default() };
    let other = Guard::new(config, Some(Arc::clone(&profile)), Vec::new(), Arc::new(Controls::new()));
    let other = other.unwrap().with_peers(Arc::new(peers.clone()));
    let _ = one.guard.inspect(CALLER, &query(&digit, 1), NOW);
    let told = tokio::time::timeout(SOON, heard.recv()).await.expect("it is heard").unwrap();
    assert!(!other.heard(told.clone(), NOW));
    assert_eq!(other.callers(), 0);
    // Rows that do not fit, of a caller nobody knows.
    let mut odd = told;
    for (width, values) in [(0, vec![1.0]), (3, vec![1.0; 4]), (1, vec![0.0; 65]), (2, vec![])] {
        odd.what = mantlet_guard::Seen::Asked { rows: 1, width, values, left_out: u64::MAX };
        assert!(!one.guard.heard(odd.clone(), NOW), "{width}");
    }
    // Without a server nobody waits, and what is not told is counted.
    let nowhere = RedisOptions::new("redis://127.0.0.1:1", "test", 3);
    let (peers, _heard) = RedisPeers::start(&nowhere).unwrap();
    let guard = guard(&profile).with_peers(Arc::new(peers.clone()));
    let begun = Instant::now();
    (0..200).for_each(|number| drop(guard.inspect(CALLER, &query(&digit, number), NOW)));
    assert!(begun.elapsed() < SOON);
    while peers.status().left_out == 0 || !peers.status().alone {
        assert!(begun.elapsed() < SOON, "{:?}", peers.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
