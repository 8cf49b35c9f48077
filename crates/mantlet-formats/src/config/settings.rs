//! Settings in the forms of TOML and of lines of keys and values, read as the same stream of events as JSON and YAML.

use super::{Config, Reader};
use crate::pickle::Effects;
use crate::tree::{Event, Walked};

/// Lines of one file that are read.
const MAX_LINES: usize = 50_000;
/// Tables within each other.
const MAX_DEPTH: u8 = 64;

/// The facts of TOML; what is none is read line by line.
#[must_use]
pub fn toml(text: &str, effects: Effects) -> Config {
    let Ok(table) = text.parse::<toml::Table>() else { return lines(text, effects) };
    let mut reader = Reader { effects, ..Reader::default() };
    let mut at = 0;
    value(&toml::Value::Table(table), &mut reader, &mut at, 0);
    reader.finish(Walked::default())
}

fn value(one: &toml::Value, reader: &mut Reader, at: &mut u64, depth: u8) {
    if depth > MAX_DEPTH {
        return;
    }
    // Places are not kept by the parser: values are told apart by their number.
    *at += 1;
    match one {
        toml::Value::Table(table) => {
            reader.event(Event::Open { list: false, tag: None }, *at);
            for (key, inner) in table {
                reader.event(Event::Key(key), *at);
                value(inner, reader, at, depth + 1);
            }
            reader.event(Event::Close, *at);
        }
        toml::Value::Array(items) => {
            reader.event(Event::Open { list: true, tag: None }, *at);
            for inner in items {
                value(inner, reader, at, depth + 1);
            }
            reader.event(Event::Close, *at);
        }
        toml::Value::String(text) => {
            reader.event(Event::Scalar { text, string: true, tag: None }, *at);
        }
        other => reader.event(Event::Scalar { text: &other.to_string(), string: false, tag: None }, *at),
    }
}

/// The facts of lines of keys and values, with sections: INI, properties, gin, settings of tools.
#[must_use]
pub fn lines(text: &str, effects: Effects) -> Config {
    let mut reader = Reader { effects, ..Reader::default() };
    reader.event(Event::Open { list: false, tag: None }, 0);
    let mut section = false;
    let mut at = 0_u64;
    for line in text.split_inclusive('\n').take(MAX_LINES) {
        let start = at;
        at += line.len() as u64;
        let whole = line.trim();
        if whole.is_empty() || whole.starts_with(['#', ';', '!']) || whole.len() > 8_000 {
            continue;
        }
        if let Some(name) = whole.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if std::mem::replace(&mut section, true) {
                reader.event(Event::Close, start);
            }
            reader.event(Event::Key(name), start);
            reader.event(Event::Open { list: false, tag: None }, start);
            continue;
        }
        let split = whole.find(['=', ':']).filter(|end| *end <= 120);
        // A line without a key goes on with the value of the one before, or is an instruction with a word.
        let (key, value) = match split {
            Some(end) if !whole[..end].contains("//") && !line.starts_with([' ', '\t']) => {
                (&whole[..end], &whole[end + 1..])
            }
            _ if line.starts_with([' ', '\t']) => ("", whole),
            _ => whole.split_once(' ').unwrap_or(("", whole)),
        };
        let value = value.trim_start_matches(['=', ' ']).trim();
        let value = value.trim_end_matches([',', ';']).trim_matches(['"', '\'']);
        if !key.is_empty() {
            reader.event(Event::Key(key.trim()), start);
        }
        reader.event(Event::Scalar { text: value, string: true, tag: None }, start);
    }
    if section {
        reader.event(Event::Close, at);
    }
    reader.event(Event::Close, at);
    reader.finish(Walked::default())
}
