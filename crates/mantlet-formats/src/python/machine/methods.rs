//! Methods of constants, rows, dictionaries, generators and paths.

use super::super::reader::constant;
use super::library::is_data_file;
use super::value::{Arg, Kind, Shape, Taint, Thing, Value};
use super::{MAX_TEXT, Machine, text};

impl Machine {
    /// A method of a constant, a row, a dictionary, a generator or an unknown object.
    pub(super) fn method_call(&mut self, this: &Value, name: &str, given: Vec<Arg>, line: u32) -> Value {
        let sum =
            given.iter().fold(Taint { made: false, ..this.taint }, |sum, (_, value)| sum.and(value.taint));
        if matches!(name, "__getattribute__" | "__getattr__")
            && let Some((_, key)) = given.first()
        {
            let key = key.clone();
            return self.dotted_once(this, &key, line);
        }
        if this.as_text().is_some() {
            return self.text_call(this, name, &given, sum, line).unwrap_or(Value::unknown(sum));
        }
        let first = given.first().map(|(_, value)| value.clone());
        let Kind::At(id) = this.kind else { return Value::unknown(sum) };
        match self.thing(id) {
            Thing::Row { .. } => self.row_call(id, name, &given, sum, line),
            Thing::Map { .. } => self.map_call(this, id, name, &given, sum, line),
            Thing::Generator { .. } => match name {
                "send" => {
                    let values = self.run_generator(this, first);
                    values.last().cloned().unwrap_or(Value::unknown(sum))
                }
                "__next__" | "__anext__" => {
                    let values = self.run_generator(this, None);
                    values.first().cloned().unwrap_or(Value::unknown(sum))
                }
                _ => Value::unknown(sum),
            },
            Thing::Object { names, .. } if matches!(name, "substitute" | "safe_substitute") => {
                let template = names.get("template").cloned().unwrap_or_default();
                let mut pairs = first.map_or(Vec::new(), |first| self.pairs_of(&first));
                for (name, value) in &given {
                    pairs.extend(name.clone().map(|name| (Value::text(name), value.clone())));
                }
                let made = Taint { made: true, ..sum };
                match template.as_text().and_then(|text| text::substituted(text, &pairs)) {
                    Some(text) => self.made(text, false, made),
                    None => Value::unknown(made),
                }
            }
            Thing::Scope { .. } => match name {
                "get" | "__getitem__" | "pop" | "setdefault" => {
                    let key = first.unwrap_or_default();
                    self.item(this, &key, line)
                }
                "update" => {
                    let mut pairs = first.map_or(Vec::new(), |first| self.pairs_of(&first));
                    for (name, value) in &given {
                        pairs.extend(name.clone().map(|name| (Value::text(name), value.clone())));
                    }
                    for (key, value) in pairs {
                        self.set_item(this, key, value, line);
                    }
                    Value::of(Kind::None)
                }
                "values" | "items" | "keys" => Value::unknown(sum),
                _ => Value::unknown(sum),
            },
            _ => Value::unknown(sum),
        }
    }

    fn row_call(&mut self, id: u32, name: &str, given: &[Arg], sum: Taint, line: u32) -> Value {
        let first = given.first().map(|(_, value)| value.clone()).unwrap_or_default();
        let (items, open) = self.row_items(&Value::of(Kind::At(id)));
        if name == "sort" {
            let key =
                given.iter().find(|(name, _)| name.as_deref() == Some("key")).map(|(_, key)| key.clone());
            self.keyed(key, &items, line);
            return Value::of(Kind::None);
        }
        if matches!(name, "__getitem__" | "__next__") {
            let key = if name == "__next__" { Value::of(Kind::Int(0)) } else { first };
            return self.item(&Value::of(Kind::At(id)), &key, line);
        }
        let extra = match name {
            "extend" | "update" | "extendleft" => self.items_of(&first),
            _ => (Vec::new(), false),
        };
        let Some(Thing::Row { items: kept, open: rest, .. }) = self.things.get_mut(id as usize) else {
            return Value::unknown(sum);
        };
        match name {
            "append" | "add" | "appendleft" if kept.len() < 65_536 => {
                kept.push(first);
                Value::of(Kind::None)
            }
            "insert" => {
                let at = given
                    .first()
                    .and_then(|(_, at)| at.as_int())
                    .and_then(|at| usize::try_from(at).ok())
                    .unwrap_or(0);
                let value = given.get(1).map(|(_, value)| value.clone()).unwrap_or_default();
                let at = at.min(kept.len());
                kept.insert(at, value);
                Value::of(Kind::None)
            }
            "extend" | "update" | "extendleft" if kept.len() + extra.0.len() < 65_536 => {
                kept.extend(extra.0);
                *rest |= extra.1;
                Value::of(Kind::None)
            }
            "reverse" => {
                kept.reverse();
                Value::of(Kind::None)
            }
            "clear" => {
                kept.clear();
                Value::of(Kind::None)
            }
            "pop" | "popleft" => {
                let at = match given.first().and_then(|(_, at)| at.as_int()) {
                    _ if name == "popleft" => 0,
                    Some(at) => {
                        if at < 0 {
                            at + kept.len() as i64
                        } else {
                            at
                        }
                    }
                    None => kept.len() as i64 - 1,
                };
                match usize::try_from(at) {
                    Ok(at) if at < kept.len() => kept.remove(at),
                    _ => Value::unknown(sum),
                }
            }
            "copy" => self.make(Thing::Row { items, shape: Shape::List, open }),
            "index" => {
                let at = items.iter().position(|item| item.same(&first) == Some(true));
                at.map_or(Value::unknown(sum), |at| Value::of(Kind::Int(at as i64)))
            }
            _ => Value::unknown(sum),
        }
    }

    fn map_call(&mut self, this: &Value, id: u32, name: &str, given: &[Arg], sum: Taint, line: u32) -> Value {
        let first = given.first().map(|(_, value)| value.clone()).unwrap_or_default();
        let second = given.get(1).map(|(_, value)| value.clone());
        let pairs = self.pairs_of(this);
        let open = matches!(self.thing(id), Thing::Map { open: true, .. });
        match name {
            "get" | "pop" | "setdefault" | "__getitem__" => {
                let found = self.item(this, &first, line);
                match (found.is_unknown(), second) {
                    (true, Some(second)) => {
                        if name == "setdefault" {
                            self.set_item(this, first, second.clone(), line);
                        }
                        second
                    }
                    (false, Some(second)) if first.is_unknown() => self.any(found, second),
                    _ => found,
                }
            }
            "keys" | "values" | "items" => {
                let mut items = Vec::new();
                for (key, value) in pairs {
                    items.push(match name {
                        "keys" => key,
                        "values" => value,
                        _ => self.row(vec![key, value], Shape::Tuple),
                    });
                }
                self.make(Thing::Row { items, shape: Shape::List, open }).with(sum)
            }
            "update" => {
                let mut more = self.pairs_of(&first);
                for (name, value) in given {
                    more.extend(name.clone().map(|name| (Value::text(name), value.clone())));
                }
                for (key, value) in more {
                    self.set_item(this, key, value, line);
                }
                Value::of(Kind::None)
            }
            "copy" => self.make(Thing::Map { pairs, open, factory: None }),
            "popitem" => pairs.last().map_or(Value::unknown(sum), |(_, value)| value.clone()),
            _ => Value::unknown(sum),
        }
    }

    /// Methods of a path, which is kept as its text.
    fn file_call(&mut self, this: &Value, name: &str, given: &[Arg], line: u32) -> Option<Value> {
        match name {
            "expanduser" | "resolve" | "absolute" | "as_posix" => Some(this.clone()),
            "joinpath" => {
                let mut value = this.clone();
                for (_, part) in given {
                    value = self.binary("/", value, part.clone(), line);
                }
                Some(value)
            }
            "with_name" => {
                given.first().filter(|(_, name)| name.as_text().is_some()).map(|(_, name)| name.clone())
            }
            "read_text" | "read_bytes" | "open" | "write_text" | "write_bytes" | "symlink_to" | "rename"
            | "chmod" => {
                let mut all = vec![(None, this.clone())];
                all.extend(given.iter().cloned());
                let path = if name == "open" { "open".to_owned() } else { format!("pathlib.Path().{name}") };
                let mut value = self.path_call(&path.as_str().into(), Taint::default(), all, line);
                value.taint.origin.file = true;
                value.taint.origin.data_file |= name.starts_with("read") && is_data_file(this);
                Some(value)
            }
            _ => None,
        }
    }

    fn text_call(&mut self, this: &Value, name: &str, given: &[Arg], sum: Taint, line: u32) -> Option<Value> {
        let text = this.as_text()?.clone();
        let bytes = matches!(this.kind, Kind::Bytes(_));
        let argument = |at: usize| given.get(at).map(|(_, value)| value);
        let (first, second) = (argument(0).cloned(), argument(1).cloned());
        let one = first.as_ref().and_then(Value::as_text).cloned();
        let two = second.as_ref().and_then(Value::as_text).cloned();
        let made = Taint { made: true, ..sum };
        match name {
            "join" => {
                let (items, open) = self.items_of(&first?);
                let taint = items.iter().fold(made, |sum, item| sum.and(item.taint));
                if open {
                    return Some(Value::unknown(taint));
                }
                let parts: Option<Vec<&str>> =
                    items.iter().map(|item| item.as_text().map(|text| text.as_ref())).collect();
                let parts = parts?;
                let length: usize = parts.iter().map(|part| part.len() + text.len()).sum();
                if length > MAX_TEXT {
                    return Some(Value::unknown(taint));
                }
                let joined = parts.join(text.as_ref());
                let constant = text::constant(&joined.as_str().into(), bytes).taint;
                Some(self.made(joined, bytes, taint.and(constant)))
            }
            "encode" => {
                Some(Value { kind: Kind::Bytes(text), taint: Taint { made: this.taint.made, ..sum } })
            }
            "decode" => {
                let taint = Taint { made: this.taint.made, ..sum };
                self.decoded_by(&text, one.as_deref().unwrap_or("utf-8"), taint).map(|mut value| {
                    value.taint.made |= this.taint.made;
                    value
                })
            }
            "fromhex" => constant::unhex(one.as_deref()?)
                .map(|out| Value { kind: Kind::Bytes(out.into()), taint: made }),
            "hex" => {
                let hex: String = text.chars().map(|c| format!("{:02x}", u32::from(c) & 0xff)).collect();
                Some(self.made(hex, false, made))
            }
            "format" => {
                let out = text::format(&text, given)?;
                let constant = text::constant(&out.as_str().into(), bytes).taint;
                Some(self.made(out, bytes, made.and(constant)))
            }
            "format_map" => {
                let pairs = self.pairs_of(&first?);
                let given: Vec<Arg> = pairs
                    .into_iter()
                    .filter_map(|(key, value)| Some((Some(key.as_text()?.clone()), value)))
                    .collect();
                let out = text::format(&text, &given)?;
                Some(self.made(out, bytes, made))
            }
            "translate" => {
                let pairs = self.pairs_of(&first?);
                let mut out = String::new();
                for c in text.chars() {
                    let key = Value::text(c.to_string());
                    let number = Value::of(Kind::Int(i64::from(u32::from(c))));
                    let found = pairs.iter().find(|(known, _)| {
                        known.same(&key) == Some(true) || known.same(&number) == Some(true)
                    });
                    match found.map(|(_, value)| value) {
                        Some(Value { kind: Kind::Int(number), .. }) => {
                            out.push(char::from_u32(u32::try_from(*number).ok()?)?);
                        }
                        Some(Value { kind: Kind::None, .. }) => {}
                        Some(value) => out.push_str(value.as_text()?),
                        None => out.push(c),
                    }
                }
                Some(self.made(out, bytes, made))
            }
            "split" | "rsplit" | "splitlines" | "partition" | "rpartition" => {
                let limit =
                    second.as_ref().and_then(Value::as_int).and_then(|limit| usize::try_from(limit).ok());
                let parts: Vec<String> = match (name, one.as_deref().filter(|one| !one.is_empty())) {
                    ("splitlines", _) => text.lines().map(str::to_owned).collect(),
                    ("partition", Some(at)) => {
                        let (left, right) = text.split_once(at).unwrap_or((&text, ""));
                        vec![left.to_owned(), at.to_owned(), right.to_owned()]
                    }
                    ("rpartition", Some(at)) => {
                        let (left, right) = text.rsplit_once(at).unwrap_or(("", &text));
                        vec![left.to_owned(), at.to_owned(), right.to_owned()]
                    }
                    ("rsplit", Some(at)) => match limit {
                        Some(limit) => {
                            let mut parts: Vec<String> =
                                text.rsplitn(limit + 1, at).map(str::to_owned).collect();
                            parts.reverse();
                            parts
                        }
                        None => text.split(at).map(str::to_owned).collect(),
                    },
                    (_, Some(at)) => match limit {
                        Some(limit) => text.splitn(limit + 1, at).map(str::to_owned).collect(),
                        None => text.split(at).map(str::to_owned).collect(),
                    },
                    _ => text.split_whitespace().map(str::to_owned).collect(),
                };
                let taint = Taint { made: this.taint.made, ..sum };
                let value = |part: String| Value {
                    kind: if bytes { Kind::Bytes(part.into()) } else { Kind::Str(part.into()) },
                    taint,
                };
                let items: Vec<Value> = parts.into_iter().take(65_536).map(value).collect();
                Some(self.row(items, Shape::List))
            }
            "find" | "index" | "rfind" | "rindex" => {
                let at =
                    if name.starts_with('r') { text.rfind(one?.as_ref()) } else { text.find(one?.as_ref()) };
                let at = at.map_or(-1, |at| text[..at].chars().count() as i64);
                Some(Value { kind: Kind::Int(at), taint: Taint { made: false, ..sum } })
            }
            "count" => {
                let one = one.filter(|one| !one.is_empty())?;
                Some(Value { kind: Kind::Int(text.matches(one.as_ref()).count() as i64), taint: sum })
            }
            "__getitem__" => {
                let key = first?;
                Some(self.item(this, &key, line))
            }
            _ => {
                if let Some(value) = self.file_call(this, name, given, line) {
                    return Some(value);
                }
                if let Some(truth) = text::test(name, &text, one.as_deref()) {
                    return Some(Value { kind: Kind::Bool(truth), taint: Taint { made: false, ..sum } });
                }
                let out = text::method(name, &text, one.as_deref(), two.as_deref())?;
                let changed = out.as_str() != text.as_ref();
                let taint = Taint { made: this.taint.made || changed && !name.contains("strip"), ..sum };
                Some(self.made(out, bytes, taint))
            }
        }
    }
}
