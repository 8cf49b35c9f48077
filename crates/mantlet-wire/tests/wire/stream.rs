//! Streams: what clients put together, however the bytes are cut.
//!
//! Long because whole streams of each dialect are written out.

use std::collections::BTreeMap;

use mantlet_vocab::Kind;
use mantlet_wire::text::{Frame, StreamReader, Surface, refuse_call_stream, refuse_stream};
use mantlet_wire::{Defect, Limits};
use proptest::prelude::*;

const CHAT: &str = concat!(
    ": connected\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"AK\\u0049\"},\"index\":0},{\"index\":1,\"delta\":{\"content\":\"höt\"}}]}\r\n\r\n",
    ": ping\n\n",
    "event: message\ndata: {\"id\":\"c\",\ndata: \"choices\":[{\"index\":0,\"delta\":{\"content\":\"A😀\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"send\",\"arguments\":\"\"}}]}}]}\r\r",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{\\\"to\\\":\\\"\\\\u00\"}},{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"41\\\"}\"},\"index\":1}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n",
    "data: [DONE]\n\n",
);

const ANTHROPIC: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"Hel\"}}\n\n",
    "event: content_block_delta\ndata: {\"index\":1,\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"lo\"}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"ls\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"p\\\":\\\"\\\\n\\\"}\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp\",\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"m\",\"instructions\":\"sys\",\"output\":[]}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"i\",\"output_index\":1,\"content_index\":0,\"delta\":\"He\",\"logprobs\":[]}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"i\",\"output_index\":1,\"content_index\":0,\"delta\":\"y\"}\n\n",
    "event: response.reasoning_summary_text.delta\ndata: {\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,\"summary_index\":0,\"delta\":\"hm\"}\n\n",
    "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":2,\"delta\":\"{}\"}\n\n",
    "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"output_index\":1,\"content_index\":0,\"text\":\"Hey\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp\",\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hey\"}]}],\"usage\":{\"input_tokens\":2,\"output_tokens\":3}}}\n\n",
);

const STREAMS: [(Surface, &str); 3] = [
    (Surface::OpenAiChat, CHAT),
    (Surface::AnthropicMessages, ANTHROPIC),
    (Surface::OpenAiResponses, RESPONSES),
];

fn read(surface: Surface, parts: &[&[u8]]) -> Result<Vec<Frame>, Defect> {
    let mut reader = StreamReader::new(surface, Limits::default());
    let mut frames = Vec::new();
    for part in parts {
        frames.extend(reader.feed(part)?);
    }
    frames.extend(reader.finish()?);
    Ok(frames)
}

fn texts(frames: &[Frame]) -> BTreeMap<u32, (Kind, String)> {
    let mut texts = BTreeMap::new();
    for fragment in frames.iter().flat_map(|frame| &frame.fragments) {
        texts.entry(fragment.channel).or_insert((fragment.kind, String::new())).1.push_str(&fragment.text);
    }
    texts
}

/// The texts of these kinds, as a client puts them together.
fn said(frames: &[Frame], kinds: &[Kind]) -> Vec<String> {
    texts(frames).into_values().filter(|(kind, _)| kinds.contains(kind)).map(|(_, text)| text).collect()
}

#[test]
fn channels_are_what_a_client_puts_together() {
    let frames = read(Surface::OpenAiChat, &[CHAT.as_bytes()]).unwrap();
    assert_eq!(said(&frames, &[Kind::Assistant]), ["AKIA😀", "höt"]);
    let calls = said(&frames, &[Kind::ToolCall]);
    assert_eq!(calls, ["send", r#"{"to":"\u0041"}"#, r#"{"to":"A"}"#, "{}", "{}"]);
    let comments: Vec<_> =
        said(&frames, &[Kind::Unknown]).into_iter().filter(|t| t.contains("ping")).collect();
    assert_eq!(comments, ["connected\nping\n"]);
    let usage = frames.iter().find_map(|frame| frame.usage).unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (3, 4));
    assert_eq!(frames.iter().filter(|frame| frame.last).count(), 1);

    let frames = read(Surface::AnthropicMessages, &[ANTHROPIC.as_bytes()]).unwrap();
    assert_eq!(said(&frames, &[Kind::Assistant]), ["Hello"]);
    assert_eq!(said(&frames, &[Kind::Reasoning]), ["hm"]);
    assert_eq!(said(&frames, &[Kind::ToolCall]), ["ls", r#"{"p":"\n"}"#, "{\"p\":\"\n\"}"]);
    let usage = frames.iter().filter_map(|frame| frame.usage).next_back().unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (9, 15));

    let frames = read(Surface::OpenAiResponses, &[RESPONSES.as_bytes()]).unwrap();
    assert_eq!(said(&frames, &[Kind::Assistant]), ["Hey", "Hey", "Hey"]);
    assert_eq!(said(&frames, &[Kind::Reasoning]), ["hm"]);
    assert_eq!(said(&frames, &[Kind::ToolCall]), ["{}"]);
    assert_eq!(said(&frames, &[Kind::System]), ["sys"]);
}

#[test]
fn every_two_way_split_reads_the_same() {
    for (surface, stream) in STREAMS {
        let bytes = stream.as_bytes();
        let whole = read(surface, &[bytes]).unwrap();
        let raw: Vec<u8> = whole.iter().flat_map(|frame| frame.raw.clone()).collect();
        assert_eq!(raw, bytes);
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read(surface, &[head, tail]).unwrap(), whole, "{surface:?} cut at {cut}");
        }
        // One byte at a time.
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(surface, &single).unwrap(), whole);
    }
}

#[test]
fn carriage_returns_end_lines_and_events() {
    for ends in ["\n", "\r", "\r\n"] {
        let stream = CHAT.replace("\r\n", "\n").replace('\r', "\n").replace('\n', ends);
        let bytes = stream.as_bytes();
        let whole = read(Surface::OpenAiChat, &[bytes]).unwrap();
        assert_eq!(said(&whole, &[Kind::Assistant]), ["AKIA😀", "höt"], "{ends:?}");
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read(Surface::OpenAiChat, &[head, tail]).unwrap(), whole, "{ends:?} cut at {cut}");
        }
    }
}

#[test]
fn an_event_is_handed_over_with_its_last_byte() {
    let mut reader = StreamReader::new(Surface::OpenAiChat, Limits::default());
    let event = b"data: {\"choices\":[]}\n\n";
    assert!(reader.feed(&event[..event.len() - 1]).unwrap().is_empty());
    assert_eq!(reader.feed(&event[event.len() - 1..]).unwrap().len(), 1);
    assert_eq!(reader.feed(b"data: {\"choices\":[]}\r\n\r\n").unwrap().len(), 1);
}

#[test]
fn a_stream_that_stops_early_has_a_name() {
    for (surface, stream) in STREAMS {
        let events: Vec<&str> = stream.split_inclusive("\n\n").collect();
        let cut = events[..events.len() - 1].concat();
        assert_eq!(read(surface, &[cut.as_bytes()]).unwrap_err(), Defect::Unfinished, "{surface:?}");
        assert_eq!(read(surface, &[]).unwrap_err(), Defect::Unfinished);
        // Without the blank line a client may still take the last event.
        let bare = stream.trim_end();
        let frames = read(surface, &[bare.as_bytes()]).unwrap();
        assert!(frames.last().unwrap().last, "{surface:?}");
    }
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n";
    let frames = read(Surface::OpenAiChat, &[error.as_bytes()]).unwrap();
    assert!(frames[0].last && frames[0].fragments.iter().any(|fragment| fragment.text == "overloaded"));
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    assert!(read(Surface::AnthropicMessages, &[error.as_bytes()]).unwrap()[0].last);
}

#[test]
fn what_two_clients_could_read_differently_is_refused() {
    for (surface, stream, name) in [
        (Surface::OpenAiChat, "\u{feff}data: {\"choices\":[]}\n\n", "wire-syntax"),
        (Surface::OpenAiChat, "data: {\"choices\":[],\"choices\":[]}\n\n", "wire-duplicate-key"),
        (Surface::OpenAiChat, "data: [DONE] more\n\n", "wire-syntax"),
        (Surface::OpenAiChat, "data: hello\n\n", "wire-syntax"),
        (Surface::OpenAiChat, "data: {\"choices\":[{\"index\":-1}]}\n\n", "wire-out-of-range"),
        (
            Surface::OpenAiChat,
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\ndata: b\"}}]}\n\n",
            "wire-syntax",
        ),
        (
            Surface::AnthropicMessages,
            "event: ping\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"x\"}}\n\n",
            "wire-event-name",
        ),
        (
            Surface::OpenAiResponses,
            "event: response.created\ndata: {\"type\":\"error\"}\n\n",
            "wire-event-name",
        ),
    ] {
        assert_eq!(read(surface, &[stream.as_bytes()]).unwrap_err().name(), name, "{stream}");
    }
    let mut reader = StreamReader::new(Surface::OpenAiChat, Limits { bytes: 1000, ..Limits::default() });
    let fed = (0..20).try_for_each(|_| reader.feed(&[b'a'; 100]).map(drop));
    assert_eq!(fed.unwrap_err().name(), "wire-too-large");
    let reader = StreamReader::new(Surface::OpenAiChat, Limits::default()).feed(b"data: \"\xff\"\n\n");
    assert_eq!(reader.unwrap_err().name(), "wire-not-utf8");
    let mut reader = StreamReader::new(Surface::OpenAiChat, Limits { pieces: 100, ..Limits::default() });
    let fed = (0..200).try_for_each(|n| {
        let event = format!("data: {{\"choices\":[{{\"index\":{n},\"delta\":{{\"content\":\"a\"}}}}]}}\n\n");
        reader.feed(event.as_bytes()).map(drop)
    });
    assert_eq!(fed.unwrap_err().name(), "wire-too-many");
}

#[test]
fn nothing_hides_beside_the_data() {
    let stream = "id: secret-1\nfoo: secret-2\nevent: secret-3\n: secret-4\nsecret-5\ndata: {\"choices\":[{\"secret-6\":{\"secret-7\":[\"secret-8\"]},\"delta\":{\"content\":{\"x\":\"secret-9\"}}}]}\n\ndata: [DONE]\n\n";
    let frames = read(Surface::OpenAiChat, &[stream.as_bytes()]).unwrap();
    let all: String = frames.iter().flat_map(|frame| &frame.fragments).map(|f| f.text.as_str()).collect();
    for n in 1..=9 {
        assert!(all.contains(&format!("secret-{n}")), "{n} in {all}");
    }
}

#[test]
fn a_redacted_stream_stays_well_formed() {
    for (surface, stream) in STREAMS {
        let frames = read(surface, &[stream.as_bytes()]).unwrap();
        for frame in &frames {
            assert_eq!(frame.with_texts(&[]).unwrap(), *frame);
            for fragment in &frame.fragments {
                let new = vec![(fragment.channel, "ein \"Ä\"\n\u{1}".to_owned())];
                if frame.twin(fragment.channel).is_some() {
                    assert_eq!(frame.with_texts(&new).unwrap_err().name(), "wire-not-editable");
                    continue;
                }
                let Ok(other) = frame.with_texts(&new) else {
                    // Keys of free-form objects.
                    assert!(!fragment.text.contains(' ') && fragment.kind == Kind::Unknown, "{fragment:?}");
                    continue;
                };
                // Read again, the event has the other text there and the same texts elsewhere.
                let mut reader = StreamReader::new(surface, Limits::default());
                let mut again = reader.feed(&other.raw).unwrap();
                // A lone `\r` waits for what follows.
                again.extend(reader.feed(b"\n").unwrap());
                assert!(!again.is_empty(), "{:?}", String::from_utf8_lossy(&other.raw));
                let all = |frame: &Frame| -> Vec<String> {
                    frame
                        .fragments
                        .iter()
                        .map(|f| f.text.trim().to_owned())
                        .filter(|t| !t.is_empty())
                        .collect()
                };
                let changed = all(&again[0]).iter().any(|text| text.contains("ein"));
                assert!(changed, "{:?}", String::from_utf8_lossy(&other.raw));
                // And back.
                let back = vec![(fragment.channel, fragment.text.clone())];
                let raw = other.with_texts(&back).unwrap().raw;
                assert!(raw.starts_with(&frame.raw[..5]));
            }
        }
    }
    let frames = read(Surface::OpenAiChat, &[CHAT.as_bytes()]).unwrap();
    let two = &frames[2];
    let texts: Vec<(u32, String)> = two
        .fragments
        .iter()
        .filter(|fragment| fragment.kind == Kind::Assistant)
        .map(|fragment| (fragment.channel, format!("<{}>", fragment.text)))
        .collect();
    assert_eq!(
        String::from_utf8(two.with_texts(&texts).unwrap().raw).unwrap(),
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"<AKI>\"},\"index\":0},{\"index\":1,\"delta\":{\"content\":\"<höt>\"}}]}\r\n\r\n"
    );
    assert_eq!(two.with_texts(&[(9999, String::new())]).unwrap_err().name(), "wire-not-editable");
}

#[test]
fn what_was_changed_can_be_changed_back() {
    for (surface, stream) in STREAMS {
        for frame in read(surface, &[stream.as_bytes()]).unwrap() {
            let changeable = |fragment: &&mantlet_vocab::Fragment| {
                frame.with_texts(&[(fragment.channel, "x".into())]).is_ok()
            };
            let channels: Vec<_> = frame.fragments.iter().filter(changeable).collect();
            let to = |text: &dyn Fn(&str) -> String| -> Vec<(u32, String)> {
                channels.iter().map(|fragment| (fragment.channel, text(&fragment.text))).collect()
            };
            let longer = frame.with_texts(&to(&|text| format!("<{text}{text}>"))).unwrap();
            let shorter = longer.with_texts(&to(&|_| String::new())).unwrap();
            let back = shorter.with_texts(&to(&|text| text.to_owned())).unwrap();
            let texts = |frame: &Frame| frame.fragments.iter().map(|f| f.text.clone()).collect::<Vec<_>>();
            assert_eq!(texts(&back), texts(&frame));
            // Escapes may be written another way; what they say is the same.
            let mut reader = StreamReader::new(surface, Limits::default());
            let again = reader.feed(&[&back.raw[..], b"\n"].concat()).unwrap();
            for fragment in &channels {
                let said = again[0].fragments.iter().any(|other| other.text.trim() == fragment.text.trim());
                assert!(said, "{fragment:?} in {:?}", String::from_utf8_lossy(&back.raw));
            }
        }
    }
}

#[test]
fn a_line_that_is_taken_out_ends_no_event() {
    let mut reader = StreamReader::new(Surface::OpenAiChat, Limits::default());
    let event = "secret\nfoo: bar\n: more\ndata: [DONE]\n\n";
    let frame = reader.feed(event.as_bytes()).unwrap().remove(0);
    let channel = frame.fragments[0].channel;
    let raw = frame.with_texts(&[(channel, "data: x".to_owned())]).unwrap().raw;
    assert_eq!(String::from_utf8(raw).unwrap(), ": data: x\n: \n: \ndata: [DONE]\n\n");
}

#[test]
fn an_event_of_many_lines_is_refused() {
    let mut reader = StreamReader::new(Surface::OpenAiChat, Limits::default());
    let lines = "a\n".repeat(70_000) + "\n";
    assert_eq!(reader.feed(lines.as_bytes()).unwrap_err().name(), "wire-too-many");
}

#[test]
fn blank_lines_are_no_events() {
    let mut reader = StreamReader::new(Surface::OpenAiChat, Limits::default());
    assert!(reader.feed(&[b'\n'; 10_000]).unwrap().is_empty());
    let frames = reader.feed(b"data: [DONE]\n\n\n").unwrap();
    assert_eq!((frames.len(), frames[0].raw.len()), (1, 10_014));
    assert_eq!(reader.finish().unwrap().unwrap().raw, b"\n");
}

#[test]
fn probabilities_leave_with_the_text_they_repeat() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"key\"},\"logprobs\":{\"content\":[{\"token\":\"k\",\"bytes\":[107],\"top_logprobs\":[{\"token\":\"z\"}]},{\"token\":\"ey\"}]}}]}\n\n";
    let mut reader = StreamReader::new(Surface::OpenAiChat, Limits::default());
    let frame = reader.feed(stream.as_bytes()).unwrap().remove(0);
    let channel =
        |text: &str| frame.fragments.iter().filter(|f| f.text == text).map(|f| f.channel).next_back();
    let texts = [(channel("key").unwrap(), String::new()), (channel("z").unwrap(), String::new())];
    let raw = String::from_utf8(frame.with_texts(&texts).unwrap().raw).unwrap();
    assert_eq!(
        raw,
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"key\"},\"logprobs\":null}]}\n\n"
    );
}

#[test]
fn the_end_of_a_refused_stream_is_an_error_event() {
    for surface in [
        Surface::OpenAiChat,
        Surface::OpenAiCompletions,
        Surface::OpenAiResponses,
        Surface::AnthropicMessages,
    ] {
        let bytes = refuse_stream(surface, "a rule ended this answer", "e1");
        let frames = read(surface, &[&bytes]).unwrap();
        assert!(frames[0].last, "{surface:?}");
        assert!(frames[0].fragments.iter().any(|fragment| fragment.text.contains("(exchange e1)")));
    }
}

#[test]
fn an_agents_stream_is_read_and_its_call_refused() {
    let stream = concat!(
        "event: endpoint\ndata: /messages?session=1\n\n",
        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"out\"}]}}\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n",
    );
    let frames = read(Surface::Mcp, &[stream.as_bytes()]).unwrap();
    assert_eq!(said(&frames, &[Kind::ToolResult]), ["out"]);
    assert!(said(&frames, &[Kind::Unknown]).concat().contains("/messages?session=1"));
    let refused = String::from_utf8(refuse_call_stream(Some("4"), "no", "e1")).unwrap();
    assert!(refused.starts_with("event: message\ndata: {"));
    assert!(refused.contains("\"id\":4") && refused.ends_with("\n\n"));
    assert!(read(Surface::Mcp, &[refused.as_bytes()]).is_ok());
}

proptest! {
    #[test]
    fn every_split_reads_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40), which in 0_usize..3) {
        let (surface, stream) = STREAMS[which];
        let bytes = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(surface, &parts).unwrap(), read(surface, &[bytes]).unwrap());
    }

    /// A text in pieces over events, choices and calls comes together on its channel, whatever it holds.
    #[test]
    fn a_text_comes_together(text in "\\PC{1,30}|[\\x00-\\x7f]{1,30}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), call in any::<bool>()) {
        let chars: Vec<char> = text.chars().collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(chars.len() + 1)).collect();
        cuts.extend([0, chars.len()]);
        cuts.sort_unstable();
        let mut stream = String::new();
        for pair in cuts.windows(2) {
            let part: String = chars[pair[0]..pair[1]].iter().collect();
            let delta = if call {
                serde_json::json!({ "tool_calls": [{ "index": 3, "function": { "arguments": part } }] })
            } else {
                serde_json::json!({ "content": part })
            };
            stream += &format!("data: {}\n\n", serde_json::json!({ "choices": [{ "index": 5, "delta": delta }] }));
        }
        stream += "data: [DONE]\n\n";
        let frames = read(Surface::OpenAiChat, &[stream.as_bytes()]).unwrap();
        let kinds = [if call { Kind::ToolCall } else { Kind::Assistant }];
        let said = said(&frames, &kinds);
        prop_assert_eq!(said.first(), Some(&text));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len() + 1);
        for surface in Surface::ALL {
            let whole = read(surface, &[&bytes]);
            prop_assert_eq!(read(surface, &[&bytes[..cut], &bytes[cut..]]), whole);
        }
    }
}
