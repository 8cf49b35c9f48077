//! Constant text and bytes: their methods, formats and slices.

use super::super::Origin;
use super::super::reader::constant::{is_secret_path, is_trusted_place};
use super::tree::Name;
use super::value::{Kind, Taint, Value};

/// A constant of the source, with what its text says of where it leads.
pub(super) fn constant(text: &Name, bytes: bool) -> Value {
    let kind = if bytes { Kind::Bytes(text.clone()) } else { Kind::Str(text.clone()) };
    // No path is that long.
    if text.len() > 4_096 {
        return Value { kind, taint: Taint::default() };
    }
    let origin =
        Origin { secret: is_secret_path(text), trusted_place: is_trusted_place(text), ..Origin::default() };
    Value { kind, taint: Taint { origin, ..Taint::default() } }
}

/// A constant as `str` shows it.
pub(super) fn shown(value: &Value) -> Option<String> {
    Some(match &value.kind {
        Kind::Str(text) => text.to_string(),
        Kind::Bytes(text) => format!("b'{text}'"),
        Kind::Int(number) => number.to_string(),
        Kind::Bool(true) => "True".into(),
        Kind::Bool(false) => "False".into(),
        Kind::None => "None".into(),
        _ => return None,
    })
}

/// `text % given`.
pub(super) fn percent(text: &str, given: &[Value]) -> Option<String> {
    let mut out = String::new();
    let mut given = given.iter();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let kind = loop {
            match chars.next()? {
                c if c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | ' ' | '#') => {}
                c => break c,
            }
        };
        match kind {
            '%' => out.push('%'),
            'c' => match &given.next()?.kind {
                Kind::Int(number) => out.push(char::from_u32(u32::try_from(*number).ok()?)?),
                Kind::Str(text) => out.push_str(text),
                _ => return None,
            },
            'x' => out.push_str(&format!("{:x}", given.next()?.as_int()?)),
            's' | 'd' | 'i' | 'b' => {
                let value = given.next()?;
                match &value.kind {
                    Kind::Bytes(text) => out.push_str(text),
                    _ => out.push_str(&shown(value)?),
                }
            }
            _ => return None,
        }
    }
    Some(out)
}

/// `text.format(...)`: fields by position or name, without formats.
pub(super) fn format(text: &str, given: &[(Option<Name>, Value)]) -> Option<String> {
    let mut out = String::new();
    let mut next = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return None;
        }
        let end = rest.find('}')?;
        let field = rest[..end].split(['!', ':']).next().unwrap_or("");
        rest = &rest[end + 1..];
        let positional =
            |at: usize| given.iter().filter(|(name, _)| name.is_none()).nth(at).map(|(_, value)| value);
        let value = if field.is_empty() {
            next += 1;
            positional(next - 1)
        } else if let Ok(at) = field.parse::<usize>() {
            positional(at)
        } else {
            given.iter().find(|(name, _)| name.as_deref() == Some(field)).map(|(_, value)| value)
        };
        out.push_str(&shown(value?)?);
        if out.len() > super::MAX_TEXT {
            return None;
        }
    }
    out.push_str(rest);
    Some(out)
}

/// The places a slice takes.
pub(super) fn indexes(length: usize, from: Option<i64>, to: Option<i64>, step: i64) -> Vec<usize> {
    let length = length as i64;
    let place = |at: i64| if at < 0 { at + length } else { at };
    let mut out = Vec::new();
    if step > 0 {
        let mut at = from.map_or(0, place).clamp(0, length);
        let end = to.map_or(length, place).clamp(0, length);
        while at < end {
            out.push(at as usize);
            at = at.saturating_add(step);
        }
    } else if step < 0 {
        let mut at = from.map_or(length - 1, place).clamp(-1, length - 1);
        let end = to.map_or(-1, place).clamp(-1, length - 1);
        while at > end {
            out.push(at as usize);
            at = at.saturating_add(step);
        }
    }
    out
}

/// Methods whose result is text of the same kind.
pub(super) fn method(name: &str, text: &str, first: Option<&str>, second: Option<&str>) -> Option<String> {
    let set = |c: char| first.map_or(c.is_whitespace(), |set| set.contains(c));
    Some(match name {
        "lower" | "casefold" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "swapcase" => text
            .chars()
            .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect(),
        "title" | "capitalize" => {
            let mut fresh = true;
            text.chars()
                .map(|c| {
                    let out = if fresh { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
                    fresh = name == "title" && !c.is_alphanumeric();
                    out
                })
                .collect()
        }
        "strip" => text.trim_matches(set).to_owned(),
        "lstrip" => text.trim_start_matches(set).to_owned(),
        "rstrip" => text.trim_end_matches(set).to_owned(),
        "removeprefix" => text.strip_prefix(first?).unwrap_or(text).to_owned(),
        "removesuffix" => text.strip_suffix(first?).unwrap_or(text).to_owned(),
        "replace" => {
            let (from, to) = (first.filter(|from| !from.is_empty())?, second?);
            if text.matches(from).count().saturating_mul(to.len()) > super::MAX_TEXT {
                return None;
            }
            text.replace(from, to)
        }
        "expandtabs" | "copy" | "__str__" => text.to_owned(),
        _ => return None,
    })
}

/// Methods whose result is a truth.
pub(super) fn test(name: &str, text: &str, first: Option<&str>) -> Option<bool> {
    let all = |fits: fn(char) -> bool| !text.is_empty() && text.chars().all(fits);
    Some(match name {
        "isalpha" => all(char::is_alphabetic),
        "isdigit" | "isdecimal" | "isnumeric" => all(char::is_numeric),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "isupper" => text.chars().any(char::is_alphabetic) && !text.chars().any(char::is_lowercase),
        "islower" => text.chars().any(char::is_alphabetic) && !text.chars().any(char::is_uppercase),
        "startswith" => text.starts_with(first?),
        "endswith" => text.ends_with(first?),
        "__contains__" => text.contains(first?),
        _ => return None,
    })
}

/// Entities of HTML that are numbers.
pub(super) fn entities(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("&#") {
        out.push_str(&rest[..at]);
        rest = &rest[at + 2..];
        let end = rest.find(';')?;
        let digits = &rest[..end];
        let number = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        };
        out.push(char::from_u32(number)?);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

/// `%41` as `A`.
pub(super) fn unquoted(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `$name` and `${name}` with the values of names.
pub(super) fn substituted(text: &str, pairs: &[(Value, Value)]) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (braced, inner) = match rest.strip_prefix('{') {
            Some(inner) => (true, inner),
            None => (false, rest),
        };
        let end = inner.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inner.len());
        let name = &inner[..end];
        rest = &inner[end..];
        if braced {
            rest = rest.strip_prefix('}')?;
        }
        let value = pairs.iter().find(|(key, _)| key.as_text().is_some_and(|key| key.as_ref() == name))?;
        out.push_str(&shown(&value.1)?);
        if out.len() > super::MAX_TEXT {
            return None;
        }
    }
    out.push_str(rest);
    Some(out)
}
