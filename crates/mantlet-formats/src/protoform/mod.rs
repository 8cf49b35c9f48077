//! Protocol buffers in their text and JSON forms, turned into the binary one: so one reader judges all forms of a model.
//!
//! Long because the readers of both forms feed one builder.

mod schema;

use mantlet_vocab::Source;

use crate::pickle::unbase64;
use crate::tree::{self, Event};

/// Messages within messages; what protobuf itself allows.
const MAX_DEPTH: usize = 100;
/// Bytes of a form that are turned.
pub const MAX_FORM: u64 = 32 << 20;

/// What a field holds.
#[derive(Clone, Copy)]
enum Type {
    /// Text.
    Text,
    /// Bytes; base64 in JSON.
    Bytes,
    /// A number, a yes or no, or a name of an enumeration.
    Number,
    Float,
    Double,
    Message(&'static Message),
    /// Entries of keys and values.
    Map(&'static Message),
}

/// The fields of a message: name, number, what it holds.
struct Message(&'static [(&'static str, u64, Type)]);

/// What a form turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// A name for the binary form.
    pub name: &'static str,
    /// The binary form.
    pub bytes: Vec<u8>,
}

struct Frame {
    /// Nothing of what is not known is kept.
    message: Option<&'static Message>,
    /// The number of the field in the message around it.
    number: u64,
    /// The key of the entry of a map that it is the value of.
    entry: Option<String>,
    /// Its keys are those of a map: the field, and its entries.
    map: Option<(u64, &'static Message)>,
    out: Vec<u8>,
}

struct Builder {
    frames: Vec<Frame>,
    /// Nodes with an operator.
    operators: u64,
    json: bool,
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// `tensorShape` as `tensor_shape`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

impl Builder {
    fn new(root: &'static Message, json: bool) -> Self {
        let frame = Frame { message: Some(root), number: 0, entry: None, map: None, out: Vec::new() };
        Self { frames: vec![frame], operators: 0, json }
    }

    fn find(&self, name: &str) -> Option<(u64, Type)> {
        let message = self.frames.last()?.message?;
        let find = |name: &str| message.0.iter().find(|(known, ..)| *known == name);
        find(name)
            .or_else(|| self.json.then(|| find(&snake(name))).flatten())
            .map(|&(_, number, kind)| (number, kind))
    }

    /// A message begins; false when it is too deep.
    fn open(&mut self, name: &str) -> bool {
        let blank = Frame { message: None, number: 0, entry: None, map: None, out: Vec::new() };
        let frame = match self.frames.last().and_then(|frame| frame.map) {
            Some((_, entry)) => match entry.0.iter().find(|(known, ..)| *known == "value") {
                Some(&(_, number, Type::Message(value))) => {
                    Frame { message: Some(value), number, entry: Some(name.to_owned()), ..blank }
                }
                _ => blank,
            },
            None => match self.find(name) {
                Some((number, Type::Map(entry))) if self.json => {
                    Frame { map: Some((number, entry)), ..blank }
                }
                Some((number, Type::Message(message) | Type::Map(message))) => {
                    Frame { message: Some(message), number, ..blank }
                }
                _ => blank,
            },
        };
        self.frames.push(frame);
        self.frames.len() <= MAX_DEPTH
    }

    /// A message ends; false when none is open.
    fn close(&mut self) -> bool {
        if self.frames.len() < 2 {
            return false;
        }
        let Some(frame) = self.frames.pop() else { return false };
        let Some(above) = self.frames.last_mut() else { return false };
        if frame.map.is_some() {
            above.out.extend(frame.out);
        } else if let (Some(key), Some((number, _))) = (&frame.entry, above.map) {
            let mut entry = Vec::new();
            field(&mut entry, 1, key.as_bytes());
            field(&mut entry, frame.number, &frame.out);
            field(&mut above.out, number, &entry);
        } else if frame.message.is_some() {
            field(&mut above.out, frame.number, &frame.out);
        }
        true
    }

    fn scalar(&mut self, name: &str, value: &[u8]) {
        let above = self.frames.last().and_then(|frame| frame.map);
        if let (Some((number, _)), Some(frame)) = (above, self.frames.last_mut()) {
            // A map of texts.
            let mut entry = Vec::new();
            field(&mut entry, 1, name.as_bytes());
            field(&mut entry, 2, value);
            field(&mut frame.out, number, &entry);
            return;
        }
        let Some((number, kind)) = self.find(name) else { return };
        let json = self.json;
        let Some(frame) = self.frames.last_mut() else { return };
        let text = String::from_utf8_lossy(value);
        match kind {
            Type::Text | Type::Bytes => {
                self.operators += u64::from(name == "op" || name == "op_type" || name == "opType");
                let decoded = (json && matches!(kind, Type::Bytes)).then(|| unbase64(value)).flatten();
                field(&mut frame.out, number, decoded.as_deref().unwrap_or(value));
            }
            Type::Number => {
                varint(&mut frame.out, number << 3);
                varint(&mut frame.out, whole(&text));
            }
            Type::Float => {
                varint(&mut frame.out, number << 3 | 5);
                frame.out.extend((real(&text) as f32).to_le_bytes());
            }
            Type::Double => {
                varint(&mut frame.out, number << 3 | 1);
                frame.out.extend(real(&text).to_le_bytes());
            }
            Type::Message(_) | Type::Map(_) => {}
        }
    }
}

/// A whole number, or the number behind a name of an enumeration.
fn whole(text: &str) -> u64 {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let number = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16).ok()
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8).ok()
    } else {
        digits.parse::<u64>().ok()
    };
    match number {
        Some(number) if negative => number.wrapping_neg(),
        Some(number) => number,
        None if matches!(text, "true" | "True" | "t") => 1,
        None => schema::number(text),
    }
}

fn real(text: &str) -> f64 {
    match text.to_ascii_lowercase().trim_end_matches('f') {
        "in" | "infinity" => f64::INFINITY,
        "-in" | "-infinity" => f64::NEG_INFINITY,
        number => number.parse().unwrap_or(f64::NAN),
    }
}

/// Which model a text form holds, by its outermost names.
fn root(names: impl Iterator<Item = &'static str>) -> Option<(&'static str, &'static Message)> {
    let mut names = names;
    names.find_map(|name| {
        Some(match name {
            "meta_graphs" => ("saved_model.pb", &schema::SAVED_MODEL),
            "graph_def" => ("graph.meta", &schema::META),
            "node" | "library" => ("graph.pb", &schema::GRAPH),
            "graph" | "opset_import" | "ir_version" => ("model.onnx", &schema::ONNX),
            _ => return None,
        })
    })
}

/// A TensorFlow or ONNX model in protobuf's text form as the binary one; `None` for other text.
#[must_use]
pub fn from_text(text: &str) -> Option<Turned> {
    // Cheap: most texts are neither.
    let says = |word: &str| text.contains(word);
    if !says("node") || !(says("op") || says("op_type")) || !text.contains(['{', '<']) {
        return None;
    }
    let names = ["meta_graphs", "graph_def", "opset_import", "ir_version", "graph", "node", "library"];
    let mut seen: Vec<&'static str> = Vec::new();
    let outermost = walk_text(text, &mut |step, depth| {
        if let (Step::Open(name) | Step::Scalar(name, _), 0) = (step, depth)
            && let Some(name) = names.iter().find(|known| **known == name)
            && !seen.contains(name)
        {
            seen.push(name);
        }
        true
    });
    outermost?;
    seen.sort_by_key(|name| names.iter().position(|known| known == name));
    let (name, message) = root(seen.into_iter())?;
    let mut builder = Builder::new(message, false);
    walk_text(text, &mut |step, _| match step {
        Step::Open(name) => builder.open(name),
        Step::Close => builder.close(),
        Step::Scalar(name, value) => {
            builder.scalar(name, value);
            true
        }
    })?;
    let bytes = builder.frames.pop()?.out;
    (builder.frames.is_empty() && builder.operators > 0).then_some(Turned { name, bytes })
}

enum Step<'a> {
    Open(&'a str),
    Close,
    Scalar(&'a str, &'a [u8]),
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-')
}

/// Walks protobuf's text form; `None` where it is none.
fn walk_text(text: &str, visit: &mut dyn FnMut(Step<'_>, usize) -> bool) -> Option<()> {
    let bytes = text.as_bytes();
    let mut at = 0;
    // The lists that are open, innermost last: at which depth, and of which field.
    let mut lists: Vec<(usize, &str)> = Vec::new();
    let mut depth = 0_usize;
    loop {
        at = skip(bytes, at);
        let Some(&byte) = bytes.get(at) else { break };
        match byte {
            b'}' | b'>' => {
                depth = depth.checked_sub(1)?;
                at += 1;
                if !visit(Step::Close, depth) {
                    return None;
                }
                continue;
            }
            b']' => {
                lists.pop_if(|(open, _)| *open == depth)?;
                at += 1;
                continue;
            }
            _ => {}
        }
        let list = lists.last().filter(|(open, _)| *open == depth).map(|(_, name)| *name);
        let name = if let Some(name) = list {
            name
        } else {
            let start = at;
            if byte == b'[' {
                at += memchr::memchr(b']', &bytes[at..])? + 1;
            } else {
                at += bytes[at..].iter().take_while(|&&byte| is_word(byte)).count();
            }
            if at == start {
                return None;
            }
            let name = text.get(start..at)?;
            at = skip(bytes, at);
            if bytes.get(at) == Some(&b':') {
                at = skip(bytes, at + 1);
            } else if !matches!(bytes.get(at), Some(b'{' | b'<' | b'[')) {
                return None;
            }
            name
        };
        match *bytes.get(at)? {
            b'{' | b'<' => {
                at += 1;
                if depth >= MAX_DEPTH || !visit(Step::Open(name), depth) {
                    return None;
                }
                depth += 1;
            }
            b'[' if list.is_none() => {
                at += 1;
                lists.push((depth, name));
            }
            b'"' | b'\'' => {
                let mut value = Vec::new();
                // Pieces beside each other are one.
                while let Some(&quote) = bytes.get(at).filter(|byte| matches!(byte, b'"' | b'\'')) {
                    at = quoted(bytes, at + 1, quote, &mut value)?;
                    at = blanks(bytes, at);
                }
                if !visit(Step::Scalar(name, &value), depth) {
                    return None;
                }
            }
            _ => {
                let len = bytes[at..].iter().take_while(|&&byte| is_word(byte)).count();
                let word = bytes.get(at..at + len).filter(|word| !word.is_empty())?;
                at += len;
                if !visit(Step::Scalar(name, word), depth) {
                    return None;
                }
            }
        }
    }
    (depth == 0 && lists.is_empty()).then_some(())
}

/// Behind blanks and comments.
fn blanks(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(b'#') => at += memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at),
            Some(byte) if byte.is_ascii_whitespace() => at += 1,
            _ => return at,
        }
    }
}

/// Behind blanks, comments and what separates fields.
fn skip(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at = blanks(bytes, at);
        match bytes.get(at) {
            Some(b',' | b';') => at += 1,
            _ => return at,
        }
    }
}

/// The bytes of a string up to its end; gives what is behind it.
fn quoted(bytes: &[u8], mut at: usize, quote: u8, out: &mut Vec<u8>) -> Option<usize> {
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        if byte == quote {
            return Some(at);
        }
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escape = *bytes.get(at)?;
        at += 1;
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let more = bytes[at..].iter().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                let digits = std::str::from_utf8(bytes.get(at - 1..at + more)?).ok()?;
                out.push(u32::from_str_radix(digits, 8).ok()? as u8);
                at += more;
            }
            b'x' | b'X' => {
                let more = bytes[at..].iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
                let digits = std::str::from_utf8(bytes.get(at..at + more)?).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                at += more;
            }
            b'u' | b'U' => {
                let len = if escape == b'u' { 4 } else { 8 };
                let digits = std::str::from_utf8(bytes.get(at..at + len)?).ok()?;
                let letter = char::from_u32(u32::from_str_radix(digits, 16).ok()?).unwrap_or('\u{fffd}');
                out.extend(letter.to_string().as_bytes());
                at += len;
            }
            other => out.push(other),
        }
    }
}

/// The graphs of TensorFlow.js (`model.json`) and ONNX models in JSON as binary ones; `None` for other JSON.
#[must_use]
pub fn from_json(source: &dyn Source) -> Option<Turned> {
    if source.len() > MAX_FORM {
        return None;
    }
    // Which message the document is, and under which key.
    let (mut depth, mut key) = (0_usize, String::new());
    let mut found: Option<(usize, &'static str, &'static Message)> = None;
    let mut under = false;
    tree::json(source, &mut |event, _| match event {
        Event::Key(name) => {
            if depth == 1 {
                under = name == "modelTopology";
            }
            let list = match (depth, name) {
                (1, "node") => Some(("graph.pb", &schema::GRAPH)),
                (2, "node" | "library") if under => Some(("graph.pb", &schema::GRAPH)),
                (1, "graph") => Some(("model.onnx", &schema::ONNX)),
                (1, "metaGraphs" | "meta_graphs") => Some(("saved_model.pb", &schema::SAVED_MODEL)),
                _ => None,
            };
            if let (None, Some((name, message))) = (found, list) {
                found = Some((depth, name, message));
            }
        }
        Event::Open { .. } => depth += 1,
        Event::Close => depth = depth.saturating_sub(1),
        Event::Scalar { .. } => {}
    });
    let (start, name, message) = found?;
    let mut builder = Builder::new(message, true);
    // What is open: a list, or a message.
    let mut open: Vec<bool> = Vec::new();
    let (mut inside, mut good) = (start == 1, true);
    key.clear();
    let mut keys: Vec<String> = Vec::new();
    tree::json(source, &mut |event, _| match event {
        Event::Key(name) => {
            if open.len() == 1 && start == 2 {
                inside = name == "modelTopology";
            }
            name.clone_into(&mut key);
        }
        Event::Open { list, .. } => {
            // The document, and what stands before the message.
            let message = open.len() >= start && inside;
            if message && !list && good {
                good = builder.open(&key);
            }
            keys.push(std::mem::take(&mut key));
            key.clone_from(&keys[keys.len() - 1]);
            open.push(list);
        }
        Event::Close => {
            let list = open.pop().unwrap_or(true);
            if open.len() >= start && inside && !list && good {
                good = builder.close();
            }
            key = keys.pop().unwrap_or_default();
        }
        Event::Scalar { text, .. } if inside && open.len() >= start && good => {
            builder.scalar(&key, text.as_bytes());
        }
        Event::Scalar { .. } => {}
    });
    let bytes = builder.frames.pop()?.out;
    (good && builder.frames.is_empty() && builder.operators > 0).then_some(Turned { name, bytes })
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;
    use crate::Bounds;
    use crate::tensorflow::{File, Reach, analyse, recognise};

    fn operators(turned: &Turned) -> Vec<(String, Option<Reach>, Vec<String>)> {
        let source = MemorySource::new(&turned.bytes);
        let file = recognise(&source).unwrap();
        let facts = analyse(&source, file, &Bounds::default());
        assert_eq!(facts.defects, []);
        facts.operators.into_iter().map(|one| (one.name, one.reach, one.texts)).collect()
    }

    #[test]
    fn a_graph_in_text_says_what_the_binary_one_says() {
        for text in [
            "node {\n  name: \"p\"\n  op: \"ReadFile\"\n}\n",
            "node < name: 'p'; op: 'Read' \"File\" >  # a comment }",
            "node: [{ name: \"p\", op: \"\\122eadFile\" }]",
            "library { function { signature { name: \"f\" } node_def {\n op:'ReadFile'\n} } }",
            "meta_graphs { graph_def { node { name: \"p\" op: \"ReadFile\" } } }",
        ] {
            let turned = from_text(text).unwrap();
            assert_eq!(operators(&turned)[0].1, Some(Reach::Reads), "{text}");
        }
        let text = "node { name: \"c\" op: \"Const\" attr { key: \"dtype\" value { type: DT_STRING } } attr { key: \
                    \"value\" value { tensor { dtype: DT_STRING tensor_shape { } string_val: \"/opt/x\" } } } }\n\
                    node { name: \"s\" op: \"SaveV2\" input: \"c\" }\nnode { name: \"p\" op: \"PrintV2\" attr { key: \
                    \"output_stream\" value { s: \"file:///x\" } } }\nnode { name: \"q\" op: \"Mine\" }\nversions { }";
        let found = operators(&from_text(text).unwrap());
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["PrintV2", "Mine", "SaveV2"]);
        assert!(found[2].2.contains(&"/opt/x".to_owned()));
        let plain = "node {\n  name: \"x\" op: \"Relu\"\n}\n";
        assert_eq!(operators(&from_text(plain).unwrap()), []);
    }

    #[test]
    fn other_text_is_none() {
        for text in
            ["see node { op: \"ReadFile\"", "node op: \"x\" {}", "node { op: \"x\" }}", "a = {'node': 'op'}"]
        {
            assert_eq!(from_text(text), None, "{text}");
        }
        assert_eq!(from_text(&"node { op ".repeat(1_000)), None);
        assert_eq!(from_json(&MemorySource::new(b"{\"node\": [1, 2]}")), None);
    }

    #[test]
    fn a_graph_of_tensorflow_js_is_one() {
        let text = r#"{"format": "graph-model", "modelTopology": {"node": [
            {"name": "x", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": [{"size": "-1"}]}}}},
            {"name": "r", "op": "ReadFile", "input": ["x"]}], "library": {}, "versions": {}},
            "weightsManifest": [{"paths": ["a.bin"], "weights": [{"name": "w", "shape": [1]}]}]}"#;
        let turned = from_json(&MemorySource::new(text.as_bytes())).unwrap();
        let source = MemorySource::new(&turned.bytes);
        assert_eq!(recognise(&source), Some(File::Graph));
        assert_eq!(operators(&turned)[0].0, "ReadFile");
    }

    #[test]
    fn onnx_in_text_is_one() {
        let text = "ir_version: 8\ngraph { node { input: \"x\" output: \"y\" op_type: \"Evil\" domain: \"evil\" } \
                    input { name: \"x\" type { tensor_type { elem_type: 1 shape { dim { dim_value: 2 } } } } } }\n\
                    opset_import { domain: \"\" version: 17 }";
        let turned = from_text(text).unwrap();
        let facts = crate::onnx::analyse(&MemorySource::new(&turned.bytes), &Bounds::default());
        assert!(format!("{facts:?}").contains("evil"));
    }
}
