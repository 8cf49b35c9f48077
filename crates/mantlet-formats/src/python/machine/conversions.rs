//! Functions that call what they are given, and those that make one kind of value of another.

use super::super::reader::constant;
use super::library::is_grave;
use super::value::{Arg, Kind, Shape, Taint, Thing, Value};
use super::{MAX_TEXT, Machine, text};

impl Machine {
    /// `map` and its relatives: the function is called with each item.
    pub(super) fn mapped(&mut self, path: &str, given: &[Arg], line: u32) -> Option<Value> {
        let mut values = given.iter().map(|(_, value)| value.clone());
        let (function, mut row) = (values.next()?, values.next()?);
        let mut function = function;
        if path == "itertools.accumulate" {
            std::mem::swap(&mut function, &mut row);
        }
        if matches!(function.kind, Kind::None) {
            return Some(row);
        }
        let more: Vec<Value> = values.collect();
        let (items, open) = self.items_of(&row);
        let mut others: Vec<Vec<Value>> = Vec::new();
        for row in &more {
            others.push(self.items_of(row).0);
        }
        let mut out = Vec::new();
        for (at, item) in items.into_iter().enumerate().take(65_536) {
            if !self.step() {
                break;
            }
            let mut arguments = vec![(None, item.clone())];
            if path == "itertools.starmap" {
                arguments = self.row_items(&item).0.into_iter().map(|value| (None, value)).collect();
            }
            arguments.extend(others.iter().filter_map(|row| Some((None, row.get(at)?.clone()))));
            let value = self.call(function.clone(), arguments, line);
            match path {
                "map" | "itertools.starmap" | "itertools.accumulate" => out.push(value),
                _ => match self.truth(&value, line) {
                    Some(truth) if truth == (path != "itertools.filterfalse") => out.push(item),
                    Some(_) => {}
                    None => out.push(item),
                },
            }
        }
        Some(self.make(Thing::Row { items: out, shape: Shape::Iterator, open }))
    }

    /// The key function of a sort sees each item.
    pub(super) fn keyed(&mut self, key: Option<Value>, items: &[Value], line: u32) {
        let Some(key) = key.filter(|key| !matches!(key.kind, Kind::None | Kind::Unknown)) else { return };
        let grave = key.as_path().is_some_and(is_grave);
        self.hooks += u32::from(grave);
        for item in items.iter().take(16) {
            self.call(key.clone(), vec![(None, item.clone())], line);
        }
        self.hooks -= u32::from(grave);
    }

    /// A function that is handed over is called with what is handed over beside it.
    pub(super) fn called_back(&mut self, path: &str, given: &[Arg], line: u32) -> Option<Value> {
        let callable = |this: &Self, value: &Value| match (&value.kind, this.thing_of(value)) {
            (Kind::Path(path), _) => is_grave(path),
            (
                _,
                Some(Thing::Function(_) | Thing::Bound { .. } | Thing::Partial { .. } | Thing::Maker { .. }),
            ) => true,
            _ => false,
        };
        let at = given.iter().position(|(_, value)| callable(self, value))?;
        let function = given[at].1.clone();
        let mut rest: Vec<Arg> = Vec::new();
        for (index, (name, value)) in given.iter().enumerate() {
            match name.as_deref() {
                _ if index == at => {}
                Some("args") => rest.extend(self.row_items(value).0.into_iter().map(|value| (None, value))),
                Some("kwargs") => {
                    for (key, value) in self.pairs_of(value) {
                        rest.push((key.as_text().cloned(), value));
                    }
                }
                Some("name" | "daemon" | "initializer" | "timeout" | "chunksize") => {}
                _ if index > at => rest.push((name.clone(), value.clone())),
                _ => {}
            }
        }
        let last = path.rsplit('.').next().unwrap_or("");
        if matches!(last, "map" | "starmap" | "imap" | "map_async" | "apply" | "apply_async") {
            let row = rest.first().map(|(_, row)| row.clone()).unwrap_or_default();
            let (items, _) = self.items_of(&row);
            if last.starts_with("apply") {
                self.call(function, items.into_iter().map(|item| (None, item)).collect(), line);
            } else {
                for item in items.into_iter().take(64) {
                    self.call(function.clone(), vec![(None, item)], line);
                }
            }
            return Some(Value::default());
        }
        if matches!(
            last,
            "submit"
                | "Timer"
                | "Thread"
                | "Process"
                | "register"
                | "finalize"
                | "call_soon"
                | "call_later"
                | "run_in_executor"
                | "to_thread"
                | "start_new_thread"
        ) {
            self.call(function, rest, line);
            return Some(Value::path(&format!("{path}()")));
        }
        None
    }

    /// `str(...)`, `bytes(...)` and the like.
    pub(super) fn as_string(&mut self, path: &str, given: &[Arg], sum: Taint, line: u32) -> Option<Value> {
        let first = given.first().map(|(_, value)| value.clone())?;
        for name in ["__str__", "__repr__", "__bytes__"] {
            if let Some(value) = self.hook(&first, name, Vec::new(), line) {
                return Some(value);
            }
        }
        let bytes = matches!(path, "bytes" | "bytearray");
        if let Some(text) = first.as_text() {
            return Some(match path {
                "repr" | "ascii" => Value::text(format!("'{text}'")).with(sum),
                _ => Value {
                    kind: if bytes { Kind::Bytes(text.clone()) } else { Kind::Str(text.clone()) },
                    taint: sum,
                },
            });
        }
        if bytes && matches!(first.kind, Kind::At(_)) {
            let (items, open) = self.items_of(&first);
            if open || items.len() > MAX_TEXT {
                return Some(Value::unknown(sum));
            }
            let text: Option<String> = items
                .iter()
                .map(|item| item.as_int().and_then(|number| u8::try_from(number).ok()).map(char::from))
                .collect();
            let made = items.iter().any(|item| item.taint.origin.decoded);
            let mut taint = Taint { made: true, ..sum };
            taint.origin.decoded |= made;
            return Some(text.map_or(Value::unknown(taint), |text| self.made(text, true, taint)));
        }
        match text::shown(&first) {
            Some(text) if !bytes => Some(Value::text(text).with(sum)),
            _ => Some(Value::unknown(sum)),
        }
    }

    pub(super) fn joined_path(&mut self, path: &str, parts: &[&Value], sum: Taint) -> Option<Value> {
        let opens = path.starts_with("pathlib");
        let texts: Vec<String> =
            parts.iter().map(|part| part.as_text().map_or("", |text| text.as_ref()).to_owned()).collect();
        let text = texts.join("/");
        let mut taint = text::constant(&text.as_str().into(), false).taint.and(sum);
        taint.made = false;
        if opens && texts.iter().all(String::is_empty) {
            return Some(Value::path("pathlib.Path()").with(taint));
        }
        if opens {
            return Some(self.made(text, false, taint));
        }
        match parts.iter().all(|part| part.as_text().is_some()) {
            true => Some(self.made(text, false, taint)),
            false => Some(Value::unknown(taint)),
        }
    }

    pub(super) fn decoded_by(&mut self, text: &str, codec: &str, mut taint: Taint) -> Option<Value> {
        let codec = codec.to_ascii_lowercase().replace('_', "-");
        let out = match codec.as_str() {
            "rot13" | "rot-13" => constant::rot13(text),
            "hex" | "hex-codec" => constant::unhex(text)?,
            "base64" | "base-64" | "base64-codec" => constant::decoded("base64.b64decode", text)?,
            "zlib" | "zip" | "zlib-codec" => constant::decoded("zlib.decompress", text)?,
            "unicode-escape" | "raw-unicode-escape" => super::super::lex::unescaped(text),
            _ => {
                // Bytes of a text are kept as their characters.
                let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
                let plain =
                    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| text.to_owned());
                taint.made = false;
                return Some(self.made(plain, false, taint));
            }
        };
        taint.made = true;
        taint.origin.decoded = true;
        Some(self.made(out, false, taint))
    }

    pub(super) fn json(&mut self, value: &serde_json::Value, taint: Taint, depth: u32) -> Value {
        let value = match value {
            serde_json::Value::Null => Value::of(Kind::None),
            serde_json::Value::Bool(truth) => Value::of(Kind::Bool(*truth)),
            serde_json::Value::Number(number) => {
                number.as_i64().map_or(Value::default(), |n| Value::of(Kind::Int(n)))
            }
            serde_json::Value::String(text) => Value::text(text.as_str()),
            serde_json::Value::Array(items) if depth < 16 => {
                let items = items.iter().map(|item| self.json(item, taint, depth + 1)).collect();
                self.row(items, Shape::List)
            }
            serde_json::Value::Object(items) if depth < 16 => {
                let pairs = items
                    .iter()
                    .map(|(key, item)| (Value::text(key.as_str()), self.json(item, taint, depth + 1)))
                    .collect();
                self.make(Thing::Map { pairs, open: false, factory: None })
            }
            _ => Value::default(),
        };
        value.with(taint)
    }
}
