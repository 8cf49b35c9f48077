//! Protobuf's text form as a tree of messages, as Caffe reads its networks and solvers.

use crate::weights::TensorInfo;

const MAX_FIELDS: usize = 400_000;
const MAX_DEPTH: usize = 32;

/// A message: its fields in order, each with its offset.
#[derive(Debug, Default)]
pub(super) struct Message(pub(super) Vec<(String, Field, u64)>);

#[derive(Debug)]
pub(super) enum Field {
    /// A number, a text or a word, without quotes.
    Value(String),
    Inner(Message),
    /// Numbers of a layer, and where they are.
    Weights(Box<TensorInfo>),
}

impl Message {
    pub(super) fn inner(&self, name: &'static str) -> impl Iterator<Item = (&Message, u64)> {
        self.0.iter().filter_map(move |(key, field, at)| match field {
            Field::Inner(inner) if key == name => Some((inner, *at)),
            _ => None,
        })
    }

    pub(super) fn values(&self, name: &'static str) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().filter_map(move |(key, field, at)| match field {
            Field::Value(value) if key == name => Some((value.as_str(), *at)),
            _ => None,
        })
    }

    pub(super) fn value(&self, name: &'static str) -> Option<&str> {
        self.values(name).last().map(|(value, _)| value)
    }

    pub(super) fn number(&self, name: &'static str) -> Option<f64> {
        self.value(name)?.trim_end_matches(['f', 'F']).parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The parameters of a layer, by the end of their name.
    pub(super) fn parameters(&self, name: &'static str) -> Option<&Message> {
        self.inner(name).map(|(inner, _)| inner).last()
    }
}

/// Reads the form; false when something of it was not understood or lies behind a bound.
pub(super) fn parse(text: &str) -> (Message, bool) {
    let bytes = text.as_bytes();
    let mut open: Vec<(String, u64, Message)> = Vec::new();
    let (mut here, mut whole, mut fields, mut at) = (Message::default(), true, 0_usize, 0_usize);
    let skip = |mut at: usize| {
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'#' => at += bytes[at..].iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len() - at),
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b';' => at += 1,
                _ => break,
            }
        }
        at
    };
    loop {
        at = skip(at);
        let Some(&byte) = bytes.get(at) else { break };
        fields += 1;
        if fields > MAX_FIELDS {
            whole = false;
            break;
        }
        if matches!(byte, b'}' | b'>') {
            at += 1;
            match open.pop() {
                Some((name, start, outer)) => {
                    let inner = std::mem::replace(&mut here, outer);
                    here.0.push((name, Field::Inner(inner), start));
                }
                None => whole = false,
            }
            continue;
        }
        let start = at;
        while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')) {
            at += 1;
        }
        if at == start {
            whole = false;
            at += 1;
            continue;
        }
        let name = text.get(start..at).unwrap_or("").to_owned();
        at = skip(at);
        if bytes.get(at) == Some(&b':') {
            at = skip(at + 1);
        }
        match bytes.get(at) {
            Some(b'{' | b'<') => {
                at += 1;
                if open.len() >= MAX_DEPTH {
                    whole = false;
                    break;
                }
                open.push((name, start as u64, std::mem::take(&mut here)));
            }
            Some(b'[') => {
                // A list of values under one name.
                at = skip(at + 1);
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b']') {
                    if matches!(byte, b'{' | b'}') || fields > MAX_FIELDS {
                        whole = false;
                        break;
                    }
                    let (value, end) = scalar(text, at);
                    here.0.push((name.clone(), Field::Value(value), start as u64));
                    (fields, at) = (fields + 1, skip(end));
                }
                at += usize::from(bytes.get(at) == Some(&b']'));
            }
            Some(_) => {
                let (value, end) = scalar(text, at);
                here.0.push((name, Field::Value(value), start as u64));
                at = end;
            }
            None => whole = false,
        }
    }
    whole &= open.is_empty();
    while let Some((name, start, outer)) = open.pop() {
        let inner = std::mem::replace(&mut here, outer);
        here.0.push((name, Field::Inner(inner), start));
    }
    (here, whole)
}

/// A value and where it ends. Texts that follow one another are one.
fn scalar(text: &str, from: usize) -> (String, usize) {
    let bytes = text.as_bytes();
    let (mut at, mut value) = (from, Vec::new());
    let mut quoted = false;
    while let Some(&quote) = bytes.get(at).filter(|byte| matches!(byte, b'"' | b'\'')) {
        quoted = true;
        at += 1;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            if byte == quote {
                break;
            }
            if byte != b'\\' {
                value.push(byte);
                continue;
            }
            let rest = bytes.get(at..).unwrap_or(&[]);
            let (radix, skip, most) = match rest.first() {
                Some(b'x' | b'X') => (16, 1, 2),
                Some(b'0'..=b'7') => (8, 0, 3),
                _ => (0, 0, 0),
            };
            let digit = |byte: &u8| radix > 0 && char::from(*byte).is_digit(radix);
            let len = rest.iter().skip(skip).take(most).take_while(|byte| digit(byte)).count();
            let digits = rest.get(skip..skip + len).and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u32::from_str_radix(digits, radix.max(2)).ok()) {
                Some(code) if len > 0 => {
                    value.push(code as u8);
                    at += skip + len;
                }
                _ => {
                    value.extend(rest.first().map(|byte| match byte {
                        b'n' => b'\n',
                        b't' => b'\t',
                        other => *other,
                    }));
                    at += 1;
                }
            }
        }
        let blank = |byte: &&u8| byte.is_ascii_whitespace();
        let after = at + bytes.get(at..).unwrap_or(&[]).iter().take_while(blank).count();
        if !bytes.get(after).is_some_and(|byte| matches!(byte, b'"' | b'\'')) {
            break;
        }
        at = after;
    }
    if !quoted {
        let end = |byte: &&u8| {
            !byte.is_ascii_whitespace()
                && !matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b';' | b'#' | b'"' | b'\'')
        };
        let len = bytes.get(at..).unwrap_or(&[]).iter().take_while(end).count().max(1);
        value.extend(bytes.get(at..at + len).unwrap_or(&[]));
        at += len;
    }
    (String::from_utf8_lossy(&value).into_owned(), at)
}
