//! Code, configuration and graph of two versions, by structure.

use std::collections::BTreeMap;

use mantlet_formats::route::{Format, recognise};
use mantlet_formats::{Bounds, gguf, hdf5, onnx, pickle, tensorflow};
use mantlet_vocab::{Source, SubSource, read_window};
use serde_json::Value;

use super::{Change, FileChange, MAX_CHANGES, PartChange};

/// Text read of one side.
const MAX_TEXT: usize = 3 << 20;

/// The parts of a version: a name and its content in one line.
type Parts = BTreeMap<String, String>;

pub(super) fn parts(
    name: &str,
    old: &dyn Source,
    new: &dyn Source,
    bounds: &Bounds,
    change: &mut FileChange,
    limits: &mut Vec<String>,
) {
    let mut known = true;
    let mut side = |source: &dyn Source| {
        let mut parts = Parts::new();
        let formats = recognise(source, name, bounds).formats;
        known &= !formats.is_empty() || !change.tensors.is_empty();
        for format in formats {
            read(format, source, bounds, &mut parts, limits);
        }
        parts
    };
    let (before, after) = (side(old), side(new));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for part in names {
        let (a, b) = (before.get(part), after.get(part));
        if a == b {
            continue;
        }
        if change.parts.len() >= MAX_CHANGES {
            limits.push(format!("more than {MAX_CHANGES} parts changed"));
            break;
        }
        let kind = match (a, b) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ => Change::Changed,
        };
        change.parts.push(PartChange { part: part.clone(), change: kind, old: a.cloned(), new: b.cloned() });
    }
    if !known {
        limits.push("its format is not recognised, so only the bytes are known to differ".into());
    }
}

fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

fn read(format: Format, source: &dyn Source, bounds: &Bounds, parts: &mut Parts, limits: &mut Vec<String>) {
    match format {
        Format::Json | Format::Text | Format::Script => {
            if source.len() > MAX_TEXT as u64 {
                limits.push(format!("only the first {MAX_TEXT} bytes of text are compared"));
            }
            let bytes = read_window(source, 0, MAX_TEXT).unwrap_or_default();
            match serde_json::from_slice(&bytes) {
                Ok(value) => json(&value, "", parts),
                Err(_) => lines(&String::from_utf8_lossy(&bytes), parts),
            }
        }
        Format::Pickle => {
            let facts = pickle::analyse(source, bounds);
            limits.extend(facts.limits);
            for import in &facts.imports {
                parts.insert(format!("import {}.{}", import.module, import.name), "imported".into());
            }
            for call in &facts.calls {
                parts.insert(format!("call {}", short(&call.text)), "called".into());
            }
        }
        Format::Onnx => {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            let graph = onnx::graph(source);
            for node in graph.nodes() {
                let (operator, name) = &node.label;
                match operator.as_str() {
                    "input" => {
                        parts.insert(format!("input `{name}`"), "there".into());
                    }
                    "constant" | "absent" | "value" => {}
                    _ => *counts.entry(operator.clone()).or_default() += 1,
                }
            }
            parts.extend(
                counts
                    .into_iter()
                    .map(|(operator, count)| (format!("operator {operator}"), count.to_string())),
            );
            if graph.cut {
                limits.push("the graph is too large to be compared".into());
            }
        }
        Format::Gguf => {
            let facts = gguf::analyse(source, bounds);
            for text in facts.texts.iter().chain(&facts.templates) {
                let value =
                    read_window(source, text.start, (text.len as usize).min(MAX_TEXT)).unwrap_or_default();
                parts.insert(format!("metadata {}", text.key), digest_or_text(&value));
            }
        }
        Format::Hdf5 => {
            let facts = hdf5::analyse(source, bounds);
            for text in &facts.texts {
                let inner = SubSource::new(source, text.start, text.len);
                let value = read_window(&inner, 0, MAX_TEXT).unwrap_or_default();
                let place = format!("attribute {} {}", text.object, text.name);
                match serde_json::from_slice(&value) {
                    Ok(value) => json(&value, &place, parts),
                    Err(_) => drop(parts.insert(place, digest_or_text(&value))),
                }
            }
            for escape in &facts.escapes {
                parts.insert(format!("outside file of {}", escape.object), escape.file.clone());
            }
        }
        Format::TensorFlow => {
            let Some(file) = tensorflow::recognise(source) else { return };
            let facts = tensorflow::analyse(source, file, bounds);
            parts.insert("nodes".into(), facts.nodes.to_string());
            parts.insert("functions".into(), facts.functions.to_string());
            for (operator, count) in &facts.counts {
                parts.insert(format!("operator {operator}"), count.to_string());
            }
        }
        _ => {}
    }
}

/// Short text as it is; of long text its beginning and digest.
fn digest_or_text(bytes: &[u8]) -> String {
    let text = short(&String::from_utf8_lossy(bytes));
    if bytes.len() <= 200 { text } else { format!("{text}... ({})", mantlet_vocab::Digest::of(bytes)) }
}

fn json(value: &Value, path: &str, parts: &mut Parts) {
    if parts.len() > 200_000 {
        return;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, inner) in map {
                json(inner, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, parts);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, inner) in items.iter().enumerate() {
                json(inner, &format!("{path}[{index}]"), parts);
            }
        }
        Value::String(text) => drop(parts.insert(path.to_owned(), digest_or_text(text.as_bytes()))),
        other => drop(parts.insert(path.to_owned(), short(&other.to_string()))),
    }
}

/// Lines of code and text by what they say; how often each is there.
fn lines(text: &str, parts: &mut Parts) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).take(200_000) {
        *counts.entry(line).or_default() += 1;
    }
    for (line, count) in counts {
        parts.insert(format!("line `{}`", short(line)), format!("{count} times"));
    }
}
