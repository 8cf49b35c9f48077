//! What reading a message costs: `cargo bench -p mantlet-wire`, or with a number of rounds as its argument.
//!
//! Prints, for each message, its bytes and the least and the middle of the microseconds per message over the rounds.
//! The least is what the work costs; the middle is what the machine made of it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops when it cannot go on"
)]

use std::hint::black_box;
use std::time::Instant;

use mantlet_vocab::{NamedValue, Request, Tensor, Value};
use mantlet_wire::text::{StreamReader, Surface, read_text_reply, read_text_request};
use mantlet_wire::{Datatype, InferRequest, Limits, Wire, read_request, write_request};

fn main() {
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(301_usize);
    let limits = Limits::default();
    let pixels: Vec<f32> = (0..784_u32).map(|n| f32::from((n * 37 % 256) as u8) / 255.0).collect();
    let short: Vec<f32> = (0..784_u32).map(|n| f32::from((n * 37 % 17) as u8) / 16.0).collect();
    // Written by way of doubles, as most clients do, a number has up to 17 digits.
    let doubles: Vec<f64> = pixels.iter().map(|&pixel| f64::from(pixel)).collect();
    let tensor = |value, binary| {
        let inputs = vec![NamedValue { name: "x".into(), value }];
        let request = Request { model: "m".into(), inputs, ..Request::default() };
        let wire = vec![Wire { datatype: Datatype::Fp32, binary }];
        write_request(&InferRequest { request, wire, id: None, outputs: Vec::new(), binary_outputs: false })
    };
    let value = |data: &[f32]| Value::F32(Tensor::new([1, 784], data.to_vec()).unwrap());
    let text = |data: String| {
        let body =
            format!(r#"{{"inputs":[{{"name":"x","shape":[1,784],"datatype":"FP32","data":{data}}}]}}"#);
        mantlet_wire::Encoded { head: None, body: body.into_bytes() }
    };
    for (name, message) in [
        ("784 floats, 17 digits", text(format!("{doubles:?}"))),
        ("784 floats, 17 digits, first", tensor(value(&pixels), false)),
        ("784 floats, 9 digits", text(format!("{pixels:?}"))),
        ("784 floats, short", text(format!("{short:?}"))),
        ("784 floats, binary", tensor(value(&pixels), true)),
    ] {
        measure(name, message.body.len(), rounds, || {
            black_box(read_request("m", None, message.head, black_box(&message.body), &limits).unwrap());
        });
    }
    let chat = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are a helpful assistant of a bank."},{"role":"user","content":"What is the balance of my account, and when is the next payment due? Please answer in one sentence."}],"temperature":0.2,"max_tokens":200,"stream":false,"user":"customer-1234"}"#;
    let long = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "Words of a document. ".repeat(100)
    );
    let reply = r#"{"id":"chatcmpl-123","object":"chat.completion","created":1719000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Your balance is 1,204.50 and the next payment is due on Friday."},"finish_reason":"stop"}],"usage":{"prompt_tokens":41,"completion_tokens":17,"total_tokens":58}}"#;
    for (name, body) in [("chat request", chat), ("chat request, 2 kB", &*long)] {
        measure(name, body.len(), rounds, || {
            black_box(read_text_request(Surface::OpenAiChat, black_box(body.as_bytes()), &limits).unwrap());
        });
    }
    measure("chat reply", reply.len(), rounds, || {
        black_box(read_text_reply(Surface::OpenAiChat, black_box(reply.as_bytes()), &limits).unwrap());
    });
    let chunk = r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1719000000,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":" balance"},"finish_reason":null}]}"#;
    let stream = format!("{}data: [DONE]\n\n", format!("{chunk}\n\n").repeat(100));
    measure("100 events of a chat stream", stream.len(), rounds, || {
        let mut reader = StreamReader::new(Surface::OpenAiChat, limits);
        for part in stream.as_bytes().chunks(chunk.len() + 2) {
            black_box(reader.feed(part).unwrap());
        }
        reader.finish().unwrap();
    });
}

fn measure(name: &str, bytes: usize, rounds: usize, mut run: impl FnMut()) {
    // Rounds of about a millisecond: most of them are not interrupted, however busy the machine is.
    let start = Instant::now();
    run();
    let times = (1e-3 / start.elapsed().as_secs_f64()).clamp(1.0, 10_000.0).round() as u32;
    let mut took: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            (0..times).for_each(|_| run());
            start.elapsed().as_secs_f64() * 1e6 / f64::from(times)
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!("{name:30} {bytes:7} bytes  least {:8.2} us  middle {:8.2} us", took[0], took[rounds / 2]);
}
