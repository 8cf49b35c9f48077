//! Items and slices of what has them.

use super::library;
use super::objects::{GLOBALS, INSIDE, ITEMS, MAX_PATH, class_meta};
use super::tree::Name;
use super::value::{Kind, Shape, Taint, Thing, Value};
use super::{Machine, text};

impl Machine {
    /// Whether the class of an object has such a method.
    fn has(&self, object: &Value, name: &str) -> bool {
        match self.thing_of(object) {
            Some(Thing::Object { class, .. }) => self.find(class, &name.into()).is_some(),
            _ => false,
        }
    }

    /// `base[key]`; a function of power out of a table is not called by its name.
    pub(super) fn item(&mut self, base: &Value, key: &Value, line: u32) -> Value {
        let mut value = self.item_inner(base, key, line);
        let table = matches!(self.thing_of(base), Some(Thing::Map { .. } | Thing::Row { .. }));
        value.taint.made |= table && value.as_path().is_some_and(library::is_grave);
        value
    }

    fn item_inner(&mut self, base: &Value, key: &Value, line: u32) -> Value {
        let taint = Taint { made: false, ..base.taint.and(key.taint) };
        if let Some(Thing::Partial { function, given }) = self.thing_of(key)
            && function.as_path() == Some("slice")
        {
            let parts = given.first().map(|(_, parts)| parts.clone()).unwrap_or_default();
            let (parts, _) = self.row_items(&parts);
            return self.slice(base, &parts, taint);
        }
        match &base.kind {
            Kind::Path(path) => {
                let path = path.clone();
                return self.path_item(&path, key, base.taint, taint);
            }
            Kind::Str(text) | Kind::Bytes(text) => {
                let Some(at) = key.as_int() else { return Value::unknown(taint) };
                let length = text.chars().count() as i64;
                let at = if at < 0 { at + length } else { at };
                let Some(c) = usize::try_from(at).ok().and_then(|at| text.chars().nth(at)) else {
                    return Value::unknown(taint);
                };
                return match base.kind {
                    Kind::Bytes(_) => Value { kind: Kind::Int(i64::from(u32::from(c))), taint },
                    _ => Value::text(c.to_string()).with(Taint { made: true, ..taint }),
                };
            }
            Kind::Unknown => return Value::unknown(taint),
            _ => {}
        }
        match self.thing_of(base) {
            Some(Thing::Row { items, .. }) => {
                let length = items.len() as i64;
                let found = key.as_int().map(|at| if at < 0 { at + length } else { at });
                match found.and_then(|at| usize::try_from(at).ok()) {
                    Some(at) => items.get(at).cloned().unwrap_or(Value::unknown(taint)),
                    None => self.some_of(&items.clone(), key, taint),
                }
            }
            Some(Thing::Map { pairs, factory, .. }) => {
                let (pairs, factory) = (pairs.clone(), factory.clone());
                if let Some((_, value)) = pairs.iter().rev().find(|(known, _)| known.same(key) == Some(true))
                {
                    return value.clone();
                }
                if let Some(factory) = factory {
                    return self.call(factory, Vec::new(), line);
                }
                if !key.is_unknown() && pairs.iter().all(|(known, _)| known.same(key) == Some(false)) {
                    return Value::unknown(taint);
                }
                let values: Vec<Value> = pairs.into_iter().map(|(_, value)| value).collect();
                self.some_of(&values, key, taint)
            }
            Some(Thing::Scope { names, .. }) => match key.as_text() {
                Some(name) => match names.get(name) {
                    Some(value) => value.clone(),
                    None if name.as_ref() == "__builtins__" => Value::path("builtins"),
                    None => Value::unknown(taint),
                },
                None => Value::unknown(taint),
            },
            Some(Thing::Any(values)) => {
                let values = values.clone();
                let mut out: Option<Value> = None;
                for one in values {
                    let found = self.item(&one, key, line);
                    out = Some(match out {
                        Some(out) => self.any(out, found),
                        None => found,
                    });
                }
                out.unwrap_or_default()
            }
            Some(Thing::Object { names, .. }) => {
                let held = names.get(ITEMS).cloned();
                if let Some(held) = held
                    && !self.has(base, "__getitem__")
                {
                    let found = self.item(&held, key, line);
                    if !found.is_unknown() || !self.has(base, "__missing__") {
                        return found;
                    }
                }
                match self.hook(base, "__getitem__", vec![(None, key.clone())], line) {
                    Some(value) => value,
                    None => self
                        .hook(base, "__missing__", vec![(None, key.clone())], line)
                        .unwrap_or(Value::unknown(taint)),
                }
            }
            Some(Thing::Class(_)) => {
                if let Some((found, _)) = self.find(base, &"__class_getitem__".into()) {
                    // Python gives it the class by itself.
                    let function = self.bound_to_class(found, base);
                    let bound = matches!(self.thing_of(&function), Some(Thing::Function(_)));
                    let mut given = vec![(None, key.clone())];
                    if bound {
                        given.insert(0, (None, base.clone()));
                    }
                    return self.hooked(function, given, line);
                }
                match class_meta(self, base) {
                    Some(meta) => self
                        .class_hook_with(
                            &meta,
                            "__getitem__",
                            vec![(None, base.clone()), (None, key.clone())],
                            line,
                        )
                        .unwrap_or(base.clone()),
                    None => base.clone(),
                }
            }
            _ => Value::unknown(taint),
        }
    }

    /// One of several values, which is not known.
    fn some_of(&mut self, values: &[Value], key: &Value, taint: Taint) -> Value {
        let mut out: Option<Value> = None;
        for value in values.iter().take(64) {
            out = Some(match out {
                Some(out) => self.any(out, value.clone()),
                None => value.clone(),
            });
        }
        let _ = key;
        out.map_or(Value::unknown(taint), |value| value.with(Taint { made: false, ..taint }))
    }

    fn path_item(&mut self, path: &Name, key: &Value, base: Taint, mut taint: Taint) -> Value {
        let text = key.as_text().cloned();
        let through = Taint { made: base.made || key.taint.made, ..base };
        let full = match (path.as_ref(), &text) {
            ("sys.modules", Some(key)) => return Value::path(&library::module(key)).with(through),
            ("globals()" | "locals()" | "vars()", Some(key)) => return Value::path(key).with(through),
            ("builtins" | "builtins.__dict__", Some(key)) => {
                return Value::path(key).with(through);
            }
            ("builtins" | "builtins.__dict__", None) => {
                taint.inside = true;
                // An entry of the built-in names that is computed: nobody looks `len` up this way.
                return Value::path("builtins.__dict__[]").with(taint);
            }
            (GLOBALS, Some(key)) => {
                let found = library::global(key);
                return match found {
                    Some(path) => Value::path(&path).with(Taint { inside: true, ..through }),
                    None => Value::unknown(taint),
                };
            }
            (GLOBALS, None) => return Value::path("<globals>[]").with(Taint { inside: true, ..taint }),
            (INSIDE, _) => return Value::path(INSIDE).with(Taint { inside: true, ..taint }),
            (_, Some(key)) => match path.strip_suffix(".__dict__") {
                Some(module) => {
                    let mut value = self.path_attribute(&module.into(), key, through);
                    value.taint.made |= through.made;
                    return value;
                }
                None => format!("{path}[{key:?}]"),
            },
            (_, None) => match path.strip_suffix(".__dict__") {
                Some(module) => format!("{module}.?"),
                None => format!("{path}[]"),
            },
        };
        taint.origin = taint.origin.and(library::origin_of(&full));
        taint.origin.secret &= !full.starts_with("os.environ[");
        if full.len() > MAX_PATH {
            return Value::unknown(taint);
        }
        Value::path(&full).with(taint)
    }

    fn slice(&mut self, base: &Value, parts: &[Value], taint: Taint) -> Value {
        let bound = |at: usize| parts.get(at).and_then(Value::as_int);
        let unknown = parts.iter().any(|part| !matches!(part.kind, Kind::None | Kind::Int(_)));
        if unknown {
            return Value::unknown(taint);
        }
        let step = bound(2).unwrap_or(1);
        let indexes = |length: usize| text::indexes(length, bound(0), bound(1), step);
        if let Some(text) = base.as_text() {
            let chars: Vec<char> = text.chars().collect();
            let out: String = indexes(chars.len()).into_iter().filter_map(|at| chars.get(at)).collect();
            let bytes = matches!(base.kind, Kind::Bytes(_));
            let made = base.taint.made || out.len() < text.len() || step < 0;
            return self.made(out, bytes, Taint { made, ..taint });
        }
        let (items, open) = self.row_items(base);
        if items.is_empty() {
            return Value::unknown(taint);
        }
        let kept = indexes(items.len()).into_iter().filter_map(|at| items.get(at).cloned()).collect();
        self.make(Thing::Row { items: kept, shape: Shape::List, open }).with(taint)
    }

    pub(super) fn set_item(&mut self, base: &Value, key: Value, value: Value, line: u32) {
        if let Some(path) = base.as_path() {
            // A library that every program started from here loads first.
            let named = key.as_text().is_some_and(|key| {
                matches!(
                    key.as_ref(),
                    "LD_PRELOAD" | "DYLD_INSERT_LIBRARIES" | "LD_AUDIT" | "PYTHONSTARTUP" | "BASH_ENV"
                )
            });
            let installed =
                |text: &str| ["/usr/", "/lib", "/opt/"].iter().any(|start| text.starts_with(start));
            if path == "os.environ"
                && named
                && value.as_text().is_some_and(|text| !text.is_empty() && !installed(text))
            {
                let given = vec![(None, key.clone()), (None, value.clone())];
                self.record(
                    "os.environ.__setitem__",
                    crate::python::Power::Plants,
                    &given,
                    line,
                    Taint::default(),
                );
            }
            if path == "os.environ"
                && let (Some(key), Some(value)) = (key.as_text(), value.as_text())
            {
                let (key, value) = (key.clone(), value.clone());
                self.sets(&key, &value, line);
            }
            let Some(path) = base.as_path() else { return };
            let module = path.strip_suffix(".__dict__").map(str::to_owned);
            match (path, key.as_text()) {
                ("globals()" | "vars()" | "locals()", Some(name)) => {
                    let name = name.clone();
                    self.bind(self.globals, &name, value);
                }
                (_, Some(name)) if module.is_some() => {
                    let name = name.clone();
                    let module = Value::path(&module.unwrap_or_default());
                    self.set_attribute(&module, &name, value, line);
                }
                _ => {}
            }
            return;
        }
        if self.hook(base, "__setitem__", vec![(None, key.clone()), (None, value.clone())], line).is_some() {
            return;
        }
        for one in self.each(base) {
            let Kind::At(id) = one.kind else { continue };
            if let (Thing::Scope { .. }, Some(name)) = (self.thing(id), key.as_text()) {
                let name = name.clone();
                self.bind(id, &name, value.clone());
                continue;
            }
            let weak = self.weak > 0;
            match self.things.get_mut(id as usize) {
                Some(Thing::Row { items, open, .. }) => {
                    let length = items.len() as i64;
                    let at = key.as_int().map(|at| if at < 0 { at + length } else { at });
                    match at.and_then(|at| usize::try_from(at).ok()).and_then(|at| items.get_mut(at)) {
                        Some(place) => *place = value.clone(),
                        None => *open = true,
                    }
                }
                Some(Thing::Map { pairs, open, .. }) => {
                    let known = pairs.iter().position(|(known, _)| known.same(&key) == Some(true));
                    match known {
                        Some(at) if !weak => pairs[at].1 = value.clone(),
                        _ if pairs.len() < 4_096 => pairs.push((key.clone(), value.clone())),
                        _ => *open = true,
                    }
                }
                _ => {}
            }
        }
    }
}
