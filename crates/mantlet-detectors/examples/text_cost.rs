//! What text rules cost: CPU time of one request of two kilobytes through all of them, and of a streamed reply.
//!
//! `cargo run --release -p mantlet-detectors --example text_cost`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the terminal")]

use std::sync::Arc;
use std::time::Instant;

use mantlet_detectors::text::{StreamLook, TextConfig, TextRules};
use mantlet_vocab::{Fragment, Kind, Piece};

const PROSE: &str = "The committee met on 3 May 2024 to discuss the budget for the coming year. Anna Krüger presented \
    the figures: income rose by 4.2 % to 1,250,000, while costs stayed flat. \"We should invest in training,\" she \
    said, \"and in tools that save time.\" After a short break the members agreed to hire two engineers, to replace \
    the old servers (they are from 2016!), and to review the contract with the supplier; see section 4.1 for \
    details. Could you write a friendly summary of this for the whole team, in about 150 words, and list the open \
    questions at the end? ";

fn main() {
    let config = TextConfig {
        canaries: vec!["kestrel-4471-vane".into()],
        prompts: vec![
            "You are Ada, the assistant of Blue Harbour Bank. Answer politely and in short.".into(),
        ],
        terms: vec!["project nightjar".into(), "operation walrus".into()],
        ..TextConfig::default()
    };
    let started = Instant::now();
    let rules = Arc::new(TextRules::new(&config).unwrap());
    println!(
        "compiled in {:.0} ms, automata of {:?} bytes",
        started.elapsed().as_secs_f64() * 1e3,
        rules.memory()
    );
    let text: String = PROSE.repeat(4).chars().take(2048).collect();
    let piece = |kind| vec![Piece { kind, pointer: "/messages/0/content".into(), text: text.clone() }];
    let (asked, answered) = (piece(Kind::User), piece(Kind::Assistant));
    let prompts = rules.prompts(&[]);
    measure("request, 2 kB", || rules.request(&asked).len());
    measure("reply, 2 kB", || rules.reply(&answered, &prompts).len());
    measure("reply, 2 kB in chunks of 16 bytes", || {
        let mut look = StreamLook::listening(&rules, &prompts);
        let mut hits = 0;
        let chars: Vec<char> = text.chars().collect();
        for chunk in chars.chunks(16) {
            let fragment = Fragment { channel: 0, kind: Kind::Assistant, text: chunk.iter().collect() };
            hits += look.feed(&fragment).hits.len();
        }
        hits + look.finish(0).hits.len()
    });
}

/// The least and the median of rounds, in CPU time of this thread: other work on the machine does not count.
fn measure(what: &str, mut work: impl FnMut() -> usize) {
    let mut rounds = Vec::new();
    for _ in 0..15 {
        let started = cpu();
        let hits: usize = (0..1000).map(|_| work()).sum();
        rounds.push((cpu() - started) / 1e3 / 1000.0);
        assert_eq!(hits, 0, "plain text");
    }
    rounds.sort_by(f64::total_cmp);
    println!("{what}: median {:.0} µs, least {:.0} µs", rounds[7], rounds[0]);
}

/// Nanoseconds this thread has run (Linux).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}
