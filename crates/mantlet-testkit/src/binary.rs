//! Self-describing encodings from text: protocol buffers, flatbuffers, UBJSON and MessagePack.

use crate::ForgeError;
use crate::assembly::hex;

/// The lines below `at` that are indented deeper, without two spaces of indentation each.
fn indented(lines: &[&str], at: usize) -> Vec<String> {
    lines[at..].iter().take_while(|line| line.starts_with("  ")).map(|line| line[2..].to_owned()).collect()
}

fn quoted(text: &str) -> Option<Vec<u8>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.replace("\\n", "\n").into_bytes())
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 127 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Protocol buffers: `FIELD NUMBER`, `FIELD "text"`, `FIELD xHEX`, or `FIELD` with a message indented below.
pub(crate) fn proto(text: &str) -> Result<Vec<u8>, ForgeError> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&line) = lines.get(at) {
        at += 1;
        let fault = |reason| ForgeError::new(at, reason, line);
        let (field, value) = line.split_once(' ').unwrap_or((line, ""));
        let field: u64 = field.trim().parse().map_err(|_| fault("not a field number"))?;
        if let Ok(number) = value.parse::<i64>() {
            varint(field << 3, &mut out);
            varint(number.cast_unsigned(), &mut out);
            continue;
        }
        let bytes = if value.is_empty() {
            let inner = indented(&lines, at);
            at += inner.len();
            proto(&inner.join("\n"))?
        } else if let Some(digits) = value.strip_prefix('x') {
            hex(digits).ok_or_else(|| fault("not hexadecimal"))?
        } else {
            quoted(value).ok_or_else(|| fault("not a quoted string"))?
        };
        varint(field << 3 | 2, &mut out);
        varint(bytes.len() as u64, &mut out);
        out.extend(bytes);
    }
    Ok(out)
}

/// A flatbuffer: `id ABCD`, `sized ABCD` (a mark and a length before it), `tail HEX`, and the fields of the
/// root: `N u8|u16|u32|u64 VALUE`, `N text "x"`, `N bytes HEX`, `N ints 1,2`, `N longs 1,2`, `N doubles COUNT`,
/// `N texts a,b`, `N table` with its fields indented below, `N tables` with `table` lines below.
pub(crate) fn flat(text: &str) -> Result<Vec<u8>, ForgeError> {
    let (mut id, mut sized, mut tail) = (None, None, Vec::new());
    let mut fields = Vec::new();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("id", mark)) => id = Some(mark.to_owned()),
            Some(("sized", mark)) => sized = Some(mark.to_owned()),
            Some(("tail", digits)) => {
                tail = hex(digits).ok_or_else(|| ForgeError::new(1, "not hexadecimal", line))?;
            }
            _ => fields.push(line.to_owned()),
        }
    }
    let mut out = vec![0; 4];
    if let Some(id) = id {
        out.extend(id.as_bytes());
    }
    let root = table(&fields, &mut out)?;
    out[..4].copy_from_slice(&(root as u32).to_le_bytes());
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
    if let Some(mark) = sized {
        let mut whole = mark.into_bytes();
        whole.extend((out.len() as u32).to_le_bytes());
        whole.extend(out);
        out = whole;
    }
    out.extend(tail);
    Ok(out)
}

/// Writes a table behind its list of fields, then what it refers to; gives its offset.
fn table(lines: &[String], out: &mut Vec<u8>) -> Result<usize, ForgeError> {
    let mut fields: Vec<(usize, String, String, Vec<String>)> = Vec::new();
    let refs: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut at = 0;
    while let Some(line) = refs.get(at) {
        at += 1;
        let mut words = line.splitn(3, ' ');
        let number = words.next().and_then(|n| n.parse().ok());
        let number = number.ok_or_else(|| ForgeError::new(at, "not a field number", line))?;
        let kind = words.next().unwrap_or("").to_owned();
        let inner = indented(&refs, at);
        at += inner.len();
        fields.push((number, kind, words.next().unwrap_or("").to_owned(), inner));
    }
    let count = fields.iter().map(|(number, ..)| number + 1).max().unwrap_or(0);
    let start = out.len();
    let size = 4 + 8 * fields.len();
    out.extend(((4 + 2 * count) as u16).to_le_bytes());
    out.extend((size as u16).to_le_bytes());
    let mut slots = vec![0_u16; count];
    for (place, (number, ..)) in fields.iter().enumerate() {
        slots[*number] = (4 + 8 * place) as u16;
    }
    for slot in slots {
        out.extend(slot.to_le_bytes());
    }
    let own = out.len();
    out.extend(((own - start) as u32).to_le_bytes());
    out.resize(own + size, 0);
    for (place, (_, kind, value, inner)) in fields.iter().enumerate() {
        let slot = own + 4 + 8 * place;
        if let Some(width) = kind.strip_prefix('u').and_then(|bits| bits.parse::<usize>().ok()) {
            let number: i64 = value.parse().map_err(|_| ForgeError::new(place, "needs a number", value))?;
            out[slot..slot + width / 8].copy_from_slice(&number.to_le_bytes()[..width / 8]);
            continue;
        }
        let target = child(kind, value, inner, out)?;
        out[slot..slot + 4].copy_from_slice(&((target - slot) as u32).to_le_bytes());
    }
    Ok(own)
}

fn vector(count: usize, bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend((count as u32).to_le_bytes());
    out.extend(bytes);
    at
}

fn child(kind: &str, value: &str, inner: &[String], out: &mut Vec<u8>) -> Result<usize, ForgeError> {
    let fault = |reason| ForgeError::new(0, reason, value);
    let numbers = || value.split(',').filter(|n| !n.is_empty()).map(|n| n.trim().parse::<i64>());
    Ok(match kind {
        "text" => {
            let bytes = quoted(value).ok_or_else(|| fault("not a quoted string"))?;
            let at = vector(bytes.len(), &bytes, out);
            out.push(0);
            at
        }
        "bytes" => {
            let bytes = hex(value).ok_or_else(|| fault("not hexadecimal"))?;
            vector(bytes.len(), &bytes, out)
        }
        "ints" | "longs" => {
            let width = if kind == "ints" { 4 } else { 8 };
            let mut bytes = Vec::new();
            let mut count = 0;
            for number in numbers() {
                let number = number.map_err(|_| fault("needs numbers"))?;
                bytes.extend(&number.to_le_bytes()[..width]);
                count += 1;
            }
            vector(count, &bytes, out)
        }
        "doubles" => {
            let count: usize = value.parse().map_err(|_| fault("needs a number"))?;
            vector(count, &vec![0; 8 * count], out)
        }
        "texts" => {
            let texts: Vec<&str> = value.split(',').collect();
            let at = vector(texts.len(), &vec![0; 4 * texts.len()], out);
            for (place, text) in texts.iter().enumerate() {
                let slot = at + 4 + 4 * place;
                let target = child("text", &format!("\"{text}\""), &[], out)?;
                out[slot..slot + 4].copy_from_slice(&((target - slot) as u32).to_le_bytes());
            }
            at
        }
        "table" => table(inner, out)?,
        "tables" => {
            let refs: Vec<&str> = inner.iter().map(String::as_str).collect();
            let starts: Vec<usize> = (0..refs.len()).filter(|&at| refs[at].trim_end() == "table").collect();
            let at = vector(starts.len(), &vec![0; 4 * starts.len()], out);
            for (place, &start) in starts.iter().enumerate() {
                let slot = at + 4 + 4 * place;
                let target = table(&indented(&refs, start + 1), out)?;
                out[slot..slot + 4].copy_from_slice(&((target - slot) as u32).to_le_bytes());
            }
            at
        }
        _ => return Err(ForgeError::new(0, "not a kind of field", kind)),
    })
}

fn parsed(text: &str) -> Result<serde_json::Value, ForgeError> {
    serde_json::from_str(text).map_err(|_| ForgeError::new(1, "not JSON", text))
}

/// UBJSON from JSON.
pub(crate) fn ubjson(text: &str) -> Result<Vec<u8>, ForgeError> {
    fn write(value: &serde_json::Value, out: &mut Vec<u8>) {
        use serde_json::Value;
        let text = |text: &str, out: &mut Vec<u8>| {
            out.push(b'L');
            out.extend((text.len() as u64).to_be_bytes());
            out.extend(text.as_bytes());
        };
        match value {
            Value::Null => out.push(b'Z'),
            Value::Bool(value) => out.push(if *value { b'T' } else { b'F' }),
            Value::Number(number) => match number.as_i64() {
                Some(number) => {
                    out.push(b'L');
                    out.extend(number.to_be_bytes());
                }
                None => {
                    out.push(b'D');
                    out.extend(number.as_f64().unwrap_or(0.0).to_be_bytes());
                }
            },
            Value::String(string) => {
                out.push(b'S');
                text(string, out);
            }
            Value::Array(items) => {
                out.extend(b"[#L");
                out.extend((items.len() as u64).to_be_bytes());
                for item in items {
                    write(item, out);
                }
            }
            Value::Object(members) => {
                out.push(b'{');
                for (key, value) in members {
                    text(key, out);
                    write(value, out);
                }
                out.push(b'}');
            }
        }
    }
    let mut lines = text.lines();
    let tail = text.lines().find_map(|line| line.strip_prefix("tail "));
    let json: String = lines.by_ref().filter(|line| !line.starts_with("tail ")).collect();
    let mut out = Vec::new();
    write(&parsed(&json)?, &mut out);
    if let Some(tail) = tail {
        out.extend(hex(tail).ok_or_else(|| ForgeError::new(1, "not hexadecimal", tail))?);
    }
    Ok(out)
}

/// MessagePack from JSON; a list `["ext", CODE, ITEM...]` is an extension that holds a list of the items,
/// `["bytes", N]` is N zero bytes.
pub(crate) fn msgpack(text: &str) -> Result<Vec<u8>, ForgeError> {
    fn write(value: &serde_json::Value, out: &mut Vec<u8>) {
        use serde_json::Value;
        match value {
            Value::Null => out.push(0xc0),
            Value::Bool(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
            Value::Number(number) => {
                out.push(0xd3);
                out.extend(number.as_i64().unwrap_or(0).to_be_bytes());
            }
            Value::String(text) => {
                out.push(0xda);
                out.extend((text.len() as u16).to_be_bytes());
                out.extend(text.as_bytes());
            }
            Value::Array(items) => match (items.first().and_then(Value::as_str), items.get(1)) {
                (Some("ext"), Some(code)) => {
                    let mut inner = vec![0x90 | (items.len() - 2).min(15) as u8];
                    for item in &items[2..] {
                        write(item, &mut inner);
                    }
                    out.push(0xc9);
                    out.extend((inner.len() as u32).to_be_bytes());
                    out.push(code.as_i64().unwrap_or(0) as u8);
                    out.extend(inner);
                }
                (Some("bytes"), Some(count)) => {
                    let count = count.as_u64().unwrap_or(0);
                    out.push(0xc6);
                    out.extend((count as u32).to_be_bytes());
                    out.resize(out.len() + count as usize, 0);
                }
                _ => {
                    out.push(0xdc);
                    out.extend((items.len() as u16).to_be_bytes());
                    for item in items {
                        write(item, out);
                    }
                }
            },
            Value::Object(members) => {
                out.push(0xde);
                out.extend((members.len() as u16).to_be_bytes());
                for (key, value) in members {
                    write(&Value::String(key.clone()), out);
                    write(value, out);
                }
            }
        }
    }
    let tail = text.lines().find_map(|line| line.strip_prefix("tail "));
    let json: String = text.lines().filter(|line| !line.starts_with("tail ")).collect();
    let mut out = Vec::new();
    write(&parsed(&json)?, &mut out);
    if let Some(tail) = tail {
        out.extend(hex(tail).ok_or_else(|| ForgeError::new(1, "not hexadecimal", tail))?);
    }
    Ok(out)
}
