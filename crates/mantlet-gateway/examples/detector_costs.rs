//! What each part of looking at a message costs: microseconds of one thread, for `cargo xtask bench gateway
//! --only=detectors`.
//!
//! Prints lines of `part<TAB>microseconds`: the median of rounds, each over the same drawn requests of 784 numbers, or
//! the same chat.
#![expect(clippy::print_stdout, reason = "a tool that prints a table")]

use std::hint::black_box;
use std::time::Instant;

use mantlet_detectors::text::{TextConfig, TextRules};
use mantlet_detectors::{CallerState, Learning, Observation, Profile, StateLimits};
use mantlet_vocab::{Millis, NamedValue, Tensor, Value};
use mantlet_wire::Limits;
use mantlet_wire::text::{Surface, read_text_reply, read_text_request};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 31;
const WIDE: usize = 784;

type Failed = Box<dyn std::error::Error>;

/// Prints the median microseconds of one of `count` pieces of work.
fn part(name: &str, count: usize, mut work: impl FnMut()) {
    let mut took: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64() * 1e6 / count as f64
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!("{name}\t{:.2}", took[ROUNDS / 2]);
}

fn drawn() -> impl FnMut() -> f32 {
    let mut seed = 3_u64;
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f32 / 16_777_216.0
    }
}

fn tensors() -> Result<(), Failed> {
    let mut unit = drawn();
    let data = (0..1_500 * WIDE).map(|_| unit()).collect();
    let inputs = [NamedValue { name: "X".into(), value: Value::F32(Tensor::new([1_500, WIDE], data)?) }];
    let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    let (labels, scores) = (None, None);
    let learning =
        Learning { inputs: &inputs, labels, classes: &classes, scores, outlier_rate: 0.001, seed: 1 };
    let profile = Profile::learn(&learning)?;
    let bodies: Vec<String> = (0..200)
        .map(|_| {
            let row: Vec<String> = (0..WIDE).map(|_| format!("{:.4}", unit())).collect();
            let row = row.join(",");
            format!(r#"{{"inputs":[{{"name":"X","shape":[1,{WIDE}],"datatype":"FP32","data":[{row}]}}]}}"#)
        })
        .collect();
    let (count, limits) = (bodies.len(), Limits::default());
    let read = |body: &String| mantlet_wire::read_request("m", None, None, body.as_bytes(), &limits);
    part("tensors: read the request", count, || {
        bodies.iter().for_each(|body| drop(black_box(read(body))));
    });
    let requests = bodies.iter().map(|body| Ok(read(body)?.request)).collect::<Result<Vec<_>, Failed>>()?;
    let plan = profile.plan();
    part("tensors: encode, and the schema's faults", count, || {
        requests.iter().for_each(|request| drop(black_box(profile.encode_by(&plan, &request.inputs))));
    });
    let encoded: Vec<_> = requests.iter().map(|request| profile.encode_by(&plan, &request.inputs)).collect();
    let mut state = CallerState::default();
    let kept = StateLimits::default();
    part("tensors: facts of the row among the caller's last", count, || {
        for rows in &encoded {
            black_box(state.advance(&profile, rows, &kept, Millis(1)));
        }
    });
    part("tensors: the answer's label among the caller's last", count, || {
        for rows in &encoded {
            black_box(state.answered(&profile, rows, &[1], &kept));
        }
    });
    let facts: Vec<_> = encoded.iter().map(|rows| state.advance(&profile, rows, &kept, Millis(1))).collect();
    for detector in mantlet_detectors::all() {
        part(&format!("tensors: {}", detector.about().name), count, || {
            for (encoded, rows) in encoded.iter().zip(&facts) {
                black_box(detector.look(&Observation { profile: &profile, encoded, rows, budget: None }));
            }
        });
    }
    Ok(())
}

/// How often a piece of work on one text is repeated.
const TIMES: usize = 200;

fn times<'a>(mut work: Box<dyn FnMut() + 'a>) -> impl FnMut() + 'a {
    move || (0..TIMES).for_each(|_| work())
}

fn text() -> Result<(), Failed> {
    let ask = br#"{"model":"m","messages":[{"role":"system","content":"You answer questions about a furniture shop, briefly and kindly."},{"role":"user","content":"Hello, I have a question about two blue chairs, number 7 on my list: what should I do next, and whom can I ask in the shop?"}],"temperature":0.2}"#;
    let answer = br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"The shop opens at nine and closes at six, except on Sundays."},"finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":14,"total_tokens":54}}"#;
    let limits = Limits::default();
    let rules = TextRules::new(&TextConfig::default())?;
    let request = read_text_request(Surface::OpenAiChat, ask, &limits)?;
    let reply = read_text_reply(Surface::OpenAiChat, answer, &limits)?;
    let prompts = rules.prompts(&request.pieces);
    part(
        "chat: read the request",
        TIMES,
        times(Box::new(|| {
            drop(black_box(read_text_request(Surface::OpenAiChat, ask, &limits)));
        })),
    );
    part(
        "chat: read the reply",
        TIMES,
        times(Box::new(|| {
            drop(black_box(read_text_reply(Surface::OpenAiChat, answer, &limits)));
        })),
    );
    part(
        "chat: every rule on the request",
        TIMES,
        times(Box::new(|| {
            drop(black_box(rules.request(&request.pieces)));
        })),
    );
    part(
        "chat: what is remembered of the caller",
        TIMES,
        times(Box::new(|| {
            black_box(rules.asked(&request.pieces));
        })),
    );
    part(
        "chat: the instructions to listen for",
        TIMES,
        times(Box::new(|| {
            drop(black_box(rules.prompts(&request.pieces)));
        })),
    );
    part(
        "chat: every rule on the reply",
        TIMES,
        times(Box::new(|| {
            drop(black_box(rules.reply(&reply.pieces, &prompts)));
        })),
    );
    Ok(())
}

fn main() -> Result<(), Failed> {
    tensors()?;
    text()
}
