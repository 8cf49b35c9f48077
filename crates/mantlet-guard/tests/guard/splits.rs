//! However a reply is cut into events and bytes, and however its texts take turns: what may not leave does not, and what
//! may leaves byte for byte.
//!
//! What left is read by a client of its own here, not by the reader that is under test.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use mantlet_detectors::text::TextConfig;
use mantlet_guard::{Caller, Controls, Guard, GuardConfig, Release, RulePolicy, Verdict};
use mantlet_vocab::{Impact, Millis};
use mantlet_wire::Limits;
use mantlet_wire::text::{StreamReader, Surface, read_text_request};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// One text of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Content,
    Tool,
    Thinking,
    Second,
}

use Place::{Content, Second, Thinking, Tool};

/// Every dialect with every text its streams can have.
const PLACES: [(Surface, Place); 14] = [
    (Surface::OpenAiChat, Content),
    (Surface::OpenAiChat, Tool),
    (Surface::OpenAiChat, Thinking),
    (Surface::OpenAiChat, Second),
    (Surface::OpenAiCompletions, Content),
    (Surface::OpenAiCompletions, Second),
    (Surface::AnthropicMessages, Content),
    (Surface::AnthropicMessages, Tool),
    (Surface::AnthropicMessages, Thinking),
    (Surface::AnthropicMessages, Second),
    (Surface::OpenAiResponses, Content),
    (Surface::OpenAiResponses, Tool),
    (Surface::OpenAiResponses, Thinking),
    (Surface::OpenAiResponses, Second),
];

/// Events of another text in a row from which one that is silent may be let go of, and from which it is: two more than
/// twice those that speak. The arguments of a call may count twice, as they came and with their escapes undone, and the
/// other text speaks only from its own first event on.
const SILENCE: (usize, usize) = (6, 8);

static GUARD: LazyLock<Guard> = LazyLock::new(|| {
    let refuse = RulePolicy { flag: None, refuse: Some(1.0), ..RulePolicy::for_rule("none", Impact::Low) };
    let rules = ["secret-exposed", "blocked-term"].map(|rule| (rule.to_owned(), refuse));
    let text = TextConfig { terms: vec!["project nightjar".into()], ..TextConfig::default() };
    let config = GuardConfig { rules: rules.into(), text, limit: None, ..GuardConfig::default() };
    Guard::new(config, None, vec![], Arc::new(Controls::new())).unwrap()
});

/// What may not leave, and what looks like it until its last characters.
fn blocked() -> [(String, &'static str); 2] {
    let key = ["AKIA", "Q3EGRZX5WT2NJ7PA"].concat();
    [(key, "AKIAQ3EGRZX5WT is short"), ("project nightjar".to_owned(), "project nightfall")]
}

/// A reply as it is cut.
#[derive(Debug, Clone)]
struct Cut {
    surface: Surface,
    place: Place,
    before: &'static str,
    after: &'static str,
    /// Which characters of arguments, and of the JSON around them, are written as escapes.
    escapes: u64,
    /// Where the text is cut into events, and how many events of another text come before each part.
    events: Vec<(Index, usize)>,
    /// Where the bytes of the stream are cut.
    bytes: Vec<Index>,
}

fn cuts() -> impl Strategy<Value = Cut> {
    (
        select(&PLACES[..]),
        select(&["", "The key is ", "hé 😀 \"so\"\n", "to AKIA, or a project: "][..]),
        select(&[" and that is all. ", ", ünd mehr.", "\nproject AKIA "][..]),
        any::<u64>(),
        proptest::collection::vec((any::<Index>(), prop_oneof![4 => 0..3_usize, 1 => 0..20_usize]), 1..12),
        proptest::collection::vec(any::<Index>(), 0..12),
    )
        .prop_map(|((surface, place), before, after, escapes, events, bytes)| {
            // Without an end that lets go of it, a text would stay open anyway.
            Cut { surface, place, before, after, escapes, events, bytes }
        })
}

/// JSON of a text, with the characters that the bits choose written as escapes.
fn quoted(text: &str, bits: u64) -> String {
    let mut out = String::from("\"");
    for (n, c) in text.chars().enumerate() {
        let chosen = bits >> (n % 64) & 1 == 1 && bits >> ((n / 64 + 7) % 64) & 1 == 1;
        if chosen && c.is_ascii_alphanumeric() {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            let plain = json!(c.to_string()).to_string();
            out.push_str(&plain[1..plain.len() - 1]);
        }
    }
    out + "\""
}

/// One event that adds to a text.
fn delta(surface: Surface, place: Place, text: &str, bits: u64) -> String {
    let text = quoted(text, bits.rotate_left(13));
    let (name, data) = match (surface, place) {
        (Surface::OpenAiChat, Content) => chat(0, &format!("\"content\":{text}")),
        (Surface::OpenAiChat, Second) => chat(1, &format!("\"content\":{text}")),
        (Surface::OpenAiChat, Thinking) => chat(0, &format!("\"reasoning_content\":{text}")),
        (Surface::OpenAiChat, Tool) => {
            chat(0, &format!("\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":{text}}}}}]"))
        }
        (Surface::OpenAiCompletions, _) => {
            let index = usize::from(place == Second);
            (None, format!("{{\"id\":\"c\",\"choices\":[{{\"index\":{index},\"text\":{text}}}]}}"))
        }
        (Surface::AnthropicMessages, _) => {
            let (index, kind, field) = match place {
                Content => (0, "text_delta", "text"),
                Second => (1, "text_delta", "text"),
                Tool => (2, "input_json_delta", "partial_json"),
                Thinking => (3, "thinking_delta", "thinking"),
            };
            let data = format!(
                "{{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"{kind}\",\"{field}\":{text}}}}}"
            );
            (Some("content_block_delta"), data)
        }
        (_, _) => {
            let (name, index) = match place {
                Content => ("response.output_text.delta", "\"output_index\":0,\"content_index\":0"),
                Second => ("response.output_text.delta", "\"output_index\":1,\"content_index\":0"),
                Tool => ("response.function_call_arguments.delta", "\"output_index\":2"),
                Thinking => {
                    ("response.reasoning_summary_text.delta", "\"output_index\":3,\"summary_index\":0")
                }
            };
            (Some(name), format!("{{\"type\":\"{name}\",{index},\"delta\":{text}}}"))
        }
    };
    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
    format!("{name}data: {data}\n\n")
}

fn chat(choice: usize, delta: &str) -> (Option<&'static str>, String) {
    (None, format!("{{\"id\":\"c\",\"choices\":[{{\"index\":{choice},\"delta\":{{{delta}}}}}]}}"))
}

fn end(surface: Surface, said: &str) -> String {
    match surface {
        Surface::AnthropicMessages => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(),
        Surface::OpenAiResponses => {
            // It says everything once more.
            let output = json!([{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said}]}]);
            let done = json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": said});
            let completed = json!({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": output}});
            format!(
                "event: response.output_text.done\ndata: {done}\n\nevent: response.completed\ndata: {completed}\n\n"
            )
        }
        _ => "data: [DONE]\n\n".to_owned(),
    }
}

/// The texts as a client puts them together, and every string of every event.
fn client(surface: Surface, raw: &[u8]) -> (BTreeMap<Place, String>, Vec<String>) {
    let (mut texts, mut strings) = (BTreeMap::<Place, String>::new(), Vec::new());
    let raw = std::str::from_utf8(raw).unwrap();
    for data in raw.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
        let event: Value = serde_json::from_str(data).unwrap();
        every_string(&event, &mut strings);
        let mut add = |place, text: &Value| {
            texts.entry(place).or_default().push_str(text.as_str().unwrap_or_default());
        };
        let kind = event["type"].as_str().unwrap_or_default();
        match surface {
            Surface::OpenAiChat | Surface::OpenAiCompletions => {
                let choice = &event["choices"][0];
                let place = if choice["index"] == 1 { Second } else { Content };
                add(place, &choice["text"]);
                add(place, &choice["delta"]["content"]);
                add(Thinking, &choice["delta"]["reasoning_content"]);
                add(Tool, &choice["delta"]["tool_calls"][0]["function"]["arguments"]);
            }
            Surface::AnthropicMessages => {
                let place = if event["index"] == 1 { Second } else { Content };
                add(place, &event["delta"]["text"]);
                add(Tool, &event["delta"]["partial_json"]);
                add(Thinking, &event["delta"]["thinking"]);
            }
            _ if kind.starts_with("response.output_text.delta") => {
                add(if event["output_index"] == 1 { Second } else { Content }, &event["delta"]);
            }
            _ if kind.contains("arguments") => add(Tool, &event["delta"]),
            _ if kind.contains("reasoning") => add(Thinking, &event["delta"]),
            _ => {}
        }
    }
    (texts, strings)
}

fn every_string(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| every_string(value, into)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            into.push(key.clone());
            every_string(value, into);
        }),
        _ => {}
    }
}

impl Cut {
    /// The text of the place, and where what may not leave stands in it.
    fn text(&self, middle: &str) -> (String, std::ops::Range<usize>) {
        let whole = |part: &str, from: usize| match self.place {
            Tool => {
                let quoted = quoted(part, self.escapes.rotate_right(u32::try_from(from % 64).unwrap()));
                quoted[1..quoted.len() - 1].to_owned()
            }
            _ => part.to_owned(),
        };
        let mut text = if self.place == Tool { "{\"q\":\"".to_owned() } else { String::new() };
        text.push_str(&whole(self.before, 0));
        let start = text.len();
        text.push_str(&whole(middle, 11));
        let range = start..text.len();
        text.push_str(&whole(self.after, 23));
        if self.place == Tool {
            text.push_str("\"}");
        }
        (text, range)
    }

    /// The parts of a text, each with where it ends and how many events of another text come before it.
    fn parts<'a>(&self, text: &'a str) -> Vec<(&'a str, usize, usize)> {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
        let mut cuts: Vec<(usize, usize)> = self
            .events
            .iter()
            .map(|(at, others)| (if places.is_empty() { 0 } else { places[at.index(places.len())] }, *others))
            .collect();
        cuts.sort_unstable();
        cuts.dedup_by_key(|(at, _)| *at);
        let (mut parts, mut from, mut before) = (Vec::new(), 0, 0);
        for (at, others) in cuts {
            parts.push((&text[from..at], at, before));
            (from, before) = (at, others);
        }
        parts.push((&text[from..], text.len(), before));
        parts
    }

    fn stream(&self, text: &str, said: &str) -> Vec<u8> {
        let other = if self.place == Content { Second } else { Content };
        let mut stream = String::new();
        for (part, _, others) in self.parts(text) {
            (0..others).for_each(|_| stream.push_str(&delta(self.surface, other, "calm words. ", 0)));
            stream.push_str(&delta(self.surface, self.place, part, self.escapes));
        }
        stream.push_str(&end(self.surface, said));
        stream.into_bytes()
    }

    /// Runs a stream through a watch, its bytes cut; what left, and whether it was stopped.
    fn watched(&self, stream: &[u8]) -> (Vec<u8>, bool) {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).to_string();
        let request = read_text_request(Surface::OpenAiChat, body.as_bytes(), &Limits::default()).unwrap();
        let inspection = GUARD.examine_text(Caller { key: "ann" }, &request, Millis(0));
        let mut reader = StreamReader::new(self.surface, Limits::default());
        let mut watch = GUARD.watch(&inspection);
        let (mut raw, mut stopped) = (Vec::new(), false);
        let mut send = |release: Release| {
            // Nothing leaves once it was stopped.
            assert!(!stopped || release.frames.is_empty());
            release.frames.iter().for_each(|frame| raw.extend_from_slice(&frame.raw));
            stopped |= matches!(release.verdict, Verdict::Stop { .. });
        };
        let mut cuts: Vec<usize> = self.bytes.iter().map(|at| at.index(stream.len())).collect();
        cuts.push(stream.len());
        cuts.sort_unstable();
        let mut from = 0;
        for at in cuts {
            reader.feed(&stream[from..at]).unwrap().into_iter().for_each(|frame| send(watch.feed(frame)));
            from = at;
        }
        reader.finish().unwrap().into_iter().for_each(|frame| send(watch.feed(frame)));
        send(watch.finish());
        (raw, stopped)
    }

    /// How much of what may not leave was said before its text fell silent for the first time, and may have left then.
    fn open(&self, text: &str, range: &std::ops::Range<usize>) -> usize {
        let (may, does) = SILENCE;
        let parts = self.parts(text);
        let mut open = 0;
        for ((_, end, _), (_, _, others)) in parts.iter().zip(parts.iter().skip(1)) {
            if *others < may || !range.contains(end) || *end == range.start {
                continue;
            }
            open = end - range.start;
            if *others >= does {
                break;
            }
        }
        open
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_may_not_leave_does_not_and_everything_else_does_byte_for_byte(
        cut in cuts(),
        which in 0..2_usize,
    ) {
        let (word, near) = &blocked()[which];
        let (text, range) = cut.text(word);
        let said = format!("{}{word}{}", cut.before, cut.after);
        let (raw, stopped) = cut.watched(&cut.stream(&text, &said));
        prop_assert!(stopped, "{:?}", String::from_utf8_lossy(&raw));
        let (texts, strings) = client(cut.surface, &raw);
        let left = texts.get(&cut.place).map_or("", String::as_str);
        let open = cut.open(&text, &range);
        prop_assert!(text[..range.start + open].starts_with(left), "{left:?} of {text:?}, {open} open");
        prop_assert!(!strings.iter().any(|string| string.contains(word.as_str())));

        // What only looks like it until its last characters.
        let (text, _) = cut.text(near);
        let stream = cut.stream(&text, &format!("{}{near}{}", cut.before, cut.after));
        let (raw, stopped) = cut.watched(&stream);
        prop_assert!(!stopped);
        prop_assert_eq!(String::from_utf8_lossy(&raw), String::from_utf8_lossy(&stream));
        let (texts, _) = client(cut.surface, &raw);
        prop_assert_eq!(texts.get(&cut.place), Some(&text));
    }
}

/// A text that falls silent twice within what may not leave: only what was said before the first silence has left.
#[test]
fn silence_lets_go_of_an_open_prefix_once_and_forgets_nothing() {
    let (key, _) = &blocked()[0];
    for (surface, place) in PLACES {
        let mut stream = String::new();
        let other = if place == Content { Second } else { Content };
        for part in ["the key ", &key[..9], &key[9..14], &key[14..], " is all"] {
            stream.push_str(&delta(surface, place, part, 0));
            (0..30).for_each(|_| stream.push_str(&delta(surface, other, "calm words. ", 0)));
        }
        stream.push_str(&end(surface, "nothing"));
        let cut =
            Cut { surface, place, before: "", after: "", escapes: 0, events: Vec::new(), bytes: Vec::new() };
        let (raw, stopped) = cut.watched(stream.as_bytes());
        let left = client(surface, &raw).0.remove(&place).unwrap_or_default();
        assert!(stopped, "{surface:?} {place:?}");
        assert!(format!("the key {}", &key[..9]).starts_with(&left), "{surface:?} {place:?}: {left}");
    }
}
