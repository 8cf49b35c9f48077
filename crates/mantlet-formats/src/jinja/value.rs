//! What an expression of a template is known to be, and constants folded as Jinja would compute them.
//!
//! Long because each filter folds the same few kinds of constants.

/// Longest text a value keeps.
pub(super) const MAX_TEXT: usize = 4_096;
const MAX_ITEMS: usize = 256;
/// Alternatives of a value that depends on a branch.
const MAX_ALTERNATIVES: usize = 16;

/// A value as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Str(String),
    Int(i64),
    Bool(bool),
    None,
    List(Vec<Value>),
    Dict(Vec<(String, Value)>),
    /// One of these, depending on a branch.
    Any(Vec<Value>),
    /// Something known only by how it is reached; `built` when it is text assembled at run time.
    Sym {
        path: String,
        built: bool,
    },
}

impl Value {
    pub(super) fn sym(path: impl Into<String>) -> Self {
        Self::Sym { path: cut(path.into()), built: false }
    }

    pub(super) fn built(path: impl Into<String>) -> Self {
        Self::Sym { path: cut(path.into()), built: true }
    }

    pub(super) fn is_built(&self) -> bool {
        match self {
            Self::Sym { built, .. } => *built,
            Self::Any(all) | Self::List(all) => all.iter().any(Self::is_built),
            _ => false,
        }
    }

    /// A value that is one of two.
    pub(super) fn or(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        let mut all = self.alternatives();
        for value in other.alternatives() {
            if all.len() < MAX_ALTERNATIVES && !all.contains(&value) {
                all.push(value);
            }
        }
        Self::Any(all)
    }

    pub(super) fn alternatives(self) -> Vec<Self> {
        match self {
            Self::Any(all) => all,
            one => vec![one],
        }
    }

    /// The text Jinja would print for a known scalar.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Str(text) => Some(text.clone()),
            Self::Int(value) => Some(value.to_string()),
            Self::Bool(value) => Some(if *value { "True" } else { "False" }.into()),
            Self::None => Some("None".into()),
            _ => None,
        }
    }

    /// How it is shown to a reader.
    pub(super) fn shown(&self) -> String {
        cut(match self {
            Self::Str(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
            Self::List(_) => "[...]".into(),
            Self::Dict(_) => "{...}".into(),
            Self::Any(all) => all.first().map(Self::shown).unwrap_or_default(),
            Self::Sym { path, .. } => path.clone(),
            other => other.text().unwrap_or_default(),
        })
    }

    /// The elements a loop or a filter over sequences would see.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) => Some(items.clone()),
            Self::Str(text) if text.chars().count() <= MAX_ITEMS => {
                Some(text.chars().map(|c| Self::Str(c.into())).collect())
            }
            Self::Dict(pairs) => Some(pairs.iter().map(|(key, _)| Self::Str(key.clone())).collect()),
            _ => None,
        }
    }

    /// A list of bounded size and depth.
    pub(super) fn list(items: Vec<Self>) -> Self {
        let mut left = 2_000_usize;
        if items.len() <= MAX_ITEMS && items.iter().all(|item| item.fits(6, &mut left)) {
            Self::List(items)
        } else if items.iter().any(Self::is_built) {
            Self::built("a long list")
        } else {
            Self::sym("a long list")
        }
    }

    fn fits(&self, depth: u8, left: &mut usize) -> bool {
        let Some(rest) = left.checked_sub(1).filter(|_| depth > 0) else { return false };
        *left = rest;
        match self {
            Self::List(all) | Self::Any(all) => all.iter().all(|value| value.fits(depth - 1, left)),
            Self::Dict(pairs) => pairs.iter().all(|(_, value)| value.fits(depth - 1, left)),
            _ => true,
        }
    }

    /// A mapping of bounded size and depth.
    pub(super) fn dict(pairs: Vec<(String, Self)>) -> Self {
        let mut left = 2_000_usize;
        let fits = pairs.len() <= MAX_ITEMS && pairs.iter().all(|(_, value)| value.fits(6, &mut left));
        if fits { Self::Dict(pairs) } else { Self::sym("a long mapping") }
    }

    pub(super) fn string(text: String) -> Self {
        if text.len() > MAX_TEXT { Self::built("a long text") } else { Self::Str(text) }
    }
}

/// Applies `f` to each combination of alternatives.
pub(super) fn each2(a: &Value, b: &Value, f: impl Fn(&Value, &Value) -> Value) -> Value {
    let (left, right) = (a.clone().alternatives(), b.clone().alternatives());
    let mut result: Option<Value> = None;
    for x in &left {
        for y in &right {
            let value = f(x, y);
            result = Some(match result {
                Some(old) => old.or(value),
                None => value,
            });
        }
    }
    result.unwrap_or(Value::None)
}

fn cut(text: String) -> String {
    if text.len() <= 200 { text } else { text.chars().take(180).chain("...".chars()).collect() }
}

/// Text put together: known when both sides are, else assembled at run time if a side is constant text.
pub(super) fn concat(a: &Value, b: &Value) -> Value {
    each2(a, b, |a, b| match (a.text(), b.text()) {
        (Some(a), Some(b)) => Value::string(a + &b),
        (left, right) => {
            let fragment = [&left, &right].into_iter().flatten().any(|text| text.contains('_'));
            let path = format!("{} ~ {}", a.shown(), b.shown());
            if fragment || a.is_built() || b.is_built() { Value::built(path) } else { Value::sym(path) }
        }
    })
}

/// `+`, `*` and `%` on constants.
pub(super) fn arithmetic(op: &str, a: &Value, b: &Value) -> Value {
    each2(a, b, |a, b| match (op, a, b) {
        ("+", Value::Str(x), Value::Str(y)) => Value::string(format!("{x}{y}")),
        ("+", Value::List(x), Value::List(y)) => Value::list([x.as_slice(), y].concat()),
        ("+", Value::Int(x), Value::Int(y)) => x.checked_add(*y).map_or(Value::sym("a number"), Value::Int),
        ("-", Value::Int(x), Value::Int(y)) => x.checked_sub(*y).map_or(Value::sym("a number"), Value::Int),
        ("*", Value::Int(x), Value::Int(y)) => x.checked_mul(*y).map_or(Value::sym("a number"), Value::Int),
        ("//", Value::Int(x), Value::Int(y)) => x.checked_div(*y).map_or(Value::sym("a number"), Value::Int),
        ("**", Value::Int(x), Value::Int(y)) => {
            u32::try_from(*y).ok().and_then(|y| x.checked_pow(y)).map_or(Value::Int(i64::MAX), Value::Int)
        }
        ("%", Value::Int(x), Value::Int(y)) => x.checked_rem(*y).map_or(Value::sym("a number"), Value::Int),
        ("*", Value::Str(x), Value::Int(n)) | ("*", Value::Int(n), Value::Str(x)) => {
            match usize::try_from(*n).ok().and_then(|n| x.len().checked_mul(n)) {
                Some(len) if len <= MAX_TEXT => Value::Str(x.repeat(len / x.len().max(1))),
                _ => Value::built("a repeated text"),
            }
        }
        ("%", Value::Str(format), arguments) => {
            let arguments = match arguments {
                Value::List(items) => items.clone(),
                one => vec![one.clone()],
            };
            percent(format, &arguments)
        }
        ("+", Value::Str(_), _) | ("+", _, Value::Str(_)) => concat(a, b),
        _ => {
            let path = format!("{} {op} {}", a.shown(), b.shown());
            if a.is_built() || b.is_built() { Value::built(path) } else { Value::sym(path) }
        }
    })
}

/// `'...' % (...)`, also the `format` filter.
pub(super) fn percent(format: &str, arguments: &[Value]) -> Value {
    let mut out = String::new();
    let mut next = arguments.iter();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let kind = chars.find(|c| c.is_alphabetic() || *c == '%');
        match kind {
            Some('%') => out.push('%'),
            Some('c') => match next.next() {
                Some(Value::Int(code)) => match u32::try_from(*code).ok().and_then(char::from_u32) {
                    Some(c) => out.push(c),
                    None => return Value::built("formatted text"),
                },
                Some(Value::Str(text)) => out.push_str(text),
                _ => return Value::built("formatted text"),
            },
            Some('x') => match next.next() {
                Some(Value::Int(value)) => out.push_str(&format!("{value:x}")),
                _ => return Value::built("formatted text"),
            },
            _ => match next.next().and_then(Value::text) {
                Some(text) => out.push_str(&text),
                None => return Value::sym("formatted text"),
            },
        }
    }
    Value::string(out)
}

/// `'...{}...'.format(...)`: the text when it is known; every field expression goes to `field`.
pub(super) fn braces(
    format: &str,
    arguments: &[Value],
    named: &[(String, Value)],
    mut field: impl FnMut(&str),
) -> Value {
    let mut out = Some(String::new());
    let mut auto = 0;
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        if let Some(out) = &mut out {
            out.push_str(before);
        }
        if from.starts_with("{{") || from.starts_with("}}") {
            if let Some(out) = &mut out {
                out.push_str(&from[..1]);
            }
            rest = &from[2..];
            continue;
        }
        let Some(end) = from.find('}').filter(|_| from.starts_with('{')) else { break };
        let inner = &from[1..end];
        rest = &from[end + 1..];
        let expression = inner.split([':', '!']).next().unwrap_or("");
        if expression.contains(['.', '[']) {
            field(expression);
        }
        let value = if expression.is_empty() {
            auto += 1;
            arguments.get(auto - 1)
        } else if let Ok(index) = expression.parse::<usize>() {
            arguments.get(index)
        } else {
            named.iter().find(|(name, _)| name == expression).map(|(_, value)| value)
        };
        let text = match (value, inner.ends_with(":c")) {
            (Some(Value::Int(code)), true) => {
                u32::try_from(*code).ok().and_then(char::from_u32).map(String::from)
            }
            (value, _) => value.and_then(Value::text),
        };
        out = match (out, text) {
            (Some(out), Some(text)) if out.len() < MAX_TEXT => Some(out + &text),
            _ => None,
        };
    }
    match out {
        Some(out) => Value::string(out + rest),
        None if format.contains('_') => Value::built("formatted text"),
        None => Value::sym("formatted text"),
    }
}

fn mapped(value: &Value, f: impl Fn(&str) -> String) -> Option<Value> {
    match value {
        Value::Str(text) => Some(Value::string(f(text))),
        _ => None,
    }
}

fn titled(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            let out = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            start = !c.is_alphanumeric();
            out
        })
        .collect()
}

/// What joining a sequence gives.
pub(super) fn join(items: &Value, separator: &str) -> Value {
    let Some(items) = items.items() else {
        return if items.is_built() { Value::built("joined text") } else { Value::sym("joined text") };
    };
    let texts: Option<Vec<String>> = items.iter().map(Value::text).collect();
    match texts {
        Some(texts) => Value::string(texts.join(separator)),
        None if items.iter().any(|item| item.is_built() || item.text().is_some_and(|t| t.contains('_'))) => {
            Value::built("joined text")
        }
        None => Value::sym("joined text"),
    }
}

/// A filter or a method of the same meaning on a constant; `None` when the constant or the name is unknown.
pub(super) fn transform(name: &str, base: &Value, arguments: &[Value]) -> Option<Value> {
    if let Value::Any(all) = base {
        let mut result: Option<Value> = None;
        for one in all {
            let value = transform(name, one, arguments).unwrap_or_else(|| {
                let path = format!("{}|{name}", one.shown());
                if one.is_built() { Value::built(path) } else { Value::sym(path) }
            });
            result = Some(match result {
                Some(old) => old.or(value),
                None => value,
            });
        }
        return result;
    }
    let first = arguments.first().and_then(Value::text);
    match name {
        "lower" | "casefold" => mapped(base, str::to_lowercase),
        "upper" => mapped(base, str::to_uppercase),
        "title" => mapped(base, titled),
        "capitalize" => mapped(base, |text| {
            let mut chars = text.chars();
            chars
                .next()
                .map(|c| c.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect())
                .unwrap_or_default()
        }),
        "swapcase" => mapped(base, |text| {
            text.chars()
                .map(|c| if c.is_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
                .collect()
        }),
        "trim" | "strip" | "lstrip" | "rstrip" => {
            let set: Vec<char> = first.unwrap_or_else(|| " \t\r\n".into()).chars().collect();
            mapped(base, |text| {
                match name {
                    "lstrip" => text.trim_start_matches(set.as_slice()),
                    "rstrip" => text.trim_end_matches(set.as_slice()),
                    _ => text.trim_matches(set.as_slice()),
                }
                .to_owned()
            })
        }
        "string" | "e" | "escape" | "safe" | "forceescape" | "striptags" | "encode" | "decode" | "urlize" => {
            base.text().map(Value::string)
        }
        "reverse" | "reversed" => match base {
            Value::Str(text) => Some(Value::string(text.chars().rev().collect())),
            Value::List(items) => Some(Value::List(items.iter().rev().cloned().collect())),
            _ => None,
        },
        "first" => base.items().and_then(|items| items.first().cloned()),
        "last" => base.items().and_then(|items| items.last().cloned()),
        "list" | "unique" | "sort" => base.items().map(Value::List),
        "length" | "count" => base.items().map(|items| Value::Int(items.len() as i64)),
        "join" => base.items().map(|_| join(base, &first.unwrap_or_default())),
        "sum" => base.items().map(|_| join(base, "")),
        "replace" => {
            let to = arguments.get(1).and_then(Value::text)?;
            let from = first?;
            mapped(base, |text| {
                if text.len() * (to.len() + 1) > 1 << 20 { String::new() } else { text.replace(&from, &to) }
            })
        }
        "split" => match base {
            Value::Str(text) => {
                let parts: Vec<Value> = match &first {
                    Some(separator) if !separator.is_empty() => {
                        text.split(separator.as_str()).take(MAX_ITEMS).map(|t| Value::Str(t.into())).collect()
                    }
                    _ => text.split_whitespace().take(MAX_ITEMS).map(|t| Value::Str(t.into())).collect(),
                };
                Some(Value::List(parts))
            }
            _ => None,
        },
        "removeprefix" | "removesuffix" => {
            let part = first?;
            mapped(base, |text| {
                let cut =
                    if name == "removeprefix" { text.strip_prefix(&part) } else { text.strip_suffix(&part) };
                cut.unwrap_or(text).to_owned()
            })
        }
        "int" => base.text().and_then(|text| text.trim().parse().ok()).map(Value::Int),
        "keys" | "values" | "items" | "dictsort" => match base {
            Value::Dict(pairs) => Some(Value::List(
                pairs
                    .iter()
                    .map(|(key, value)| match name {
                        "keys" => Value::Str(key.clone()),
                        "values" => value.clone(),
                        _ => Value::List(vec![Value::Str(key.clone()), value.clone()]),
                    })
                    .collect(),
            )),
            _ => None,
        },
        _ => None,
    }
}

/// `text[a:b:c]` on constants.
pub(super) fn slice(base: &Value, bounds: [Option<i64>; 3]) -> Value {
    let Some(items) = base.items() else {
        let path = format!("{}[:]", base.shown());
        return if base.is_built() { Value::built(path) } else { Value::sym(path) };
    };
    let len = items.len() as i64;
    let step = bounds[2].unwrap_or(1);
    if step == 0 {
        return Value::None;
    }
    let clip = |value: Option<i64>, default: i64| match value {
        Some(value) if value < 0 => (value + len).max(if step < 0 { -1 } else { 0 }),
        Some(value) => value.min(if step < 0 { len - 1 } else { len }),
        None => default,
    };
    let (mut at, end) = if step > 0 {
        (clip(bounds[0], 0), clip(bounds[1], len))
    } else {
        (clip(bounds[0], len - 1), clip(bounds[1], -1))
    };
    let mut out = Vec::new();
    while (step > 0 && at < end || step < 0 && at > end) && out.len() <= items.len() {
        out.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned());
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    match base {
        Value::Str(_) => join(&Value::List(out), ""),
        _ => Value::List(out),
    }
}
