//! Attributes, items and hooks of objects, classes and modules.
//!
//! Long because every kind of thing an attribute is asked of is told apart in one place.

use super::Machine;
use super::library;
use super::tree::Name;
use super::value::{Arg, Id, Kind, Names, Taint, Thing, Value, Wrap};

/// Bytes of one dotted name.
pub(super) const MAX_PATH: usize = 200;
/// Classes above a class that are looked through.
const MAX_BASES: usize = 40;
/// What Python keeps for itself and programs have little reason to reach.
pub(super) const INSIDE: &str = "<inside>";
/// The classes that Python has of every kind, and one of them.
pub(super) const SUBCLASSES: &str = "<subclasses>";
/// Where an object of a mapping's class keeps what it holds.
pub(super) const ITEMS: &str = "<items>";
/// The names of another module, reached from one of its functions or a frame.
pub(super) const GLOBALS: &str = "<globals>";

impl Machine {
    /// `value.name`.
    pub(super) fn attribute(&mut self, value: &Value, name: &Name, line: u32) -> Value {
        let taint = Taint { made: false, ..value.taint };
        match &value.kind {
            Kind::Path(path) => {
                let path = path.clone();
                self.path_attribute(&path, name, value.taint)
            }
            Kind::At(id) => {
                let id = *id;
                self.thing_attribute(value, id, name, line)
            }
            Kind::Unknown => match name.as_ref() {
                "gi_frame" | "cr_frame" | "ag_frame" | "tb_frame" => {
                    Value::path("<frame>").with(Taint { inside: true, ..taint })
                }
                "__globals__" | "f_globals" | "f_builtins" | "__builtins__" | "__subclasses__"
                | "f_locals" => self.path_attribute(&"<unknown>".into(), name, taint),
                _ => Value::unknown(value.taint),
            },
            // A constant of a class is what a member of an enumeration holds.
            Kind::Str(_) | Kind::Int(_) | Kind::Bytes(_) if matches!(name.as_ref(), "value" | "_value_") => {
                value.clone()
            }
            _ if matches!(name.as_ref(), "__class__") => Value::path("<type>").with(taint),
            _ => self.method(value, name),
        }
    }

    /// A method of a built-in value.
    fn method(&mut self, value: &Value, name: &Name) -> Value {
        let function = Value::path(&format!("<method>.{name}"));
        self.make(Thing::Bound { function, this: value.clone() }).with(Taint { made: false, ..value.taint })
    }

    pub(super) fn path_attribute(&mut self, path: &Name, name: &Name, mut taint: Taint) -> Value {
        let full = format!("{path}.{name}");
        if let Some(value) = self.patched.get(full.as_str()) {
            return value.clone();
        }
        if full.len() > MAX_PATH
            || path.starts_with(SUBCLASSES)
                && matches!(name.as_ref(), "__name__" | "__qualname__" | "__module__" | "__doc__")
        {
            return Value::unknown(taint);
        }
        let full = match name.as_ref() {
            "f_builtins" | "__builtins__" => {
                taint.inside = true;
                "builtins.__dict__".to_owned()
            }
            "__globals__" | "f_globals" => {
                taint.inside = true;
                GLOBALS.to_owned()
            }
            "__subclasses__" if matches!(path.as_ref(), INSIDE | "object" | "builtins.object" | "<type>") => {
                taint.inside = true;
                SUBCLASSES.to_owned()
            }
            _ if path.starts_with(SUBCLASSES) && !matches!(name.as_ref(), "__globals__" | "__dict__") => {
                taint.inside = true;
                SUBCLASSES.to_owned()
            }
            "__subclasses__" | "__mro__" | "__bases__" | "__base__" if !path.starts_with("self") => {
                taint.inside = true;
                INSIDE.to_owned()
            }
            "__dict__" => full,
            "__name__" | "__qualname__" => {
                let last = path.rsplit('.').next().unwrap_or("");
                return if last.starts_with('<') || last.ends_with(')') {
                    Value::unknown(taint)
                } else {
                    Value::text(last).with(taint)
                };
            }
            "__self__" if library::is_builtin(path) => "builtins".to_owned(),
            _ if &**path == INSIDE => INSIDE.to_owned(),
            _ => library::canonical(&full),
        };
        // One variable of the environment is not all of it.
        let one = path.as_ref() == "os.environ" && !matches!(name.as_ref(), "copy" | "items" | "values");
        let origin = library::origin_of(&full);
        taint.origin = taint.origin.and(origin);
        taint.origin.secret &= !one;
        Value::path(&full).with(taint)
    }

    fn thing_attribute(&mut self, value: &Value, id: Id, name: &Name, line: u32) -> Value {
        let taint = Taint { made: false, ..value.taint };
        if matches!(name.as_ref(), "gi_frame" | "cr_frame" | "ag_frame" | "tb_frame") {
            return Value::path("<frame>").with(Taint { inside: true, ..taint });
        }
        match self.thing(id) {
            Thing::Row { .. } | Thing::Map { .. } if name.as_ref() == "__class__" => {
                Value::path("<type>").with(taint)
            }
            Thing::Any(values) => {
                let values = values.clone();
                let mut out: Option<Value> = None;
                for one in values {
                    let found = self.attribute(&one, name, line);
                    out = Some(match out {
                        Some(out) => self.any(out, found),
                        None => found,
                    });
                }
                out.unwrap_or_default().with(taint)
            }
            Thing::Object { class, names } => {
                if name.as_ref() == "__class__" {
                    return class.clone();
                }
                if name.as_ref() == "__dict__" {
                    let pairs = names.iter().map(|(name, value)| (Value::text(name.clone()), value.clone()));
                    let pairs = pairs.collect();
                    return self.make(Thing::Map { pairs, open: true, factory: None });
                }
                let own = names.get(name).cloned();
                let class = class.clone();
                self.object_attribute(value, &class, own, name, line)
            }
            Thing::Class(class) => {
                if matches!(name.as_ref(), "__name__" | "__qualname__") {
                    return Value::text(class.name.clone());
                }
                if name.as_ref() == "__dict__" {
                    let pairs =
                        class.names.iter().map(|(name, value)| (Value::text(name.clone()), value.clone()));
                    let pairs = pairs.collect();
                    return self.make(Thing::Map { pairs, open: true, factory: None });
                }
                if let Some((found, _)) = self.find(value, name) {
                    return self.bound_to_class(found, value);
                }
                let meta = class_meta(self, value);
                if let Some(meta) = meta {
                    if let Some((found, _)) = self.find(&meta, name) {
                        return self.bound_to_object(found, value, line);
                    }
                    if let Some((hook, _)) = self.find(&meta, &"__getattr__".into())
                        && !is_own_name(name)
                    {
                        let given = vec![(None, value.clone()), (None, Value::text(name.clone()))];
                        return self.hooked(hook, given, line);
                    }
                }
                self.inherited_method(value, name, taint)
            }
            Thing::Function(function) => match name.as_ref() {
                "__globals__" => Value::of(Kind::At(self.globals)),
                "__builtins__" => Value::path("builtins.__dict__").with(Taint { inside: true, ..taint }),
                "__name__" | "__qualname__" => Value::text(function.def.name.clone()),
                "__doc__" => match function.def.body.first() {
                    Some(super::tree::Stmt::Expr(super::tree::Expr {
                        node: super::tree::Node::Str(text),
                        ..
                    })) => {
                        let mut value = Value::text(text.clone());
                        // Text that stands as a description and is used as something else.
                        value.taint.made = true;
                        value.taint.origin.decoded = true;
                        value
                    }
                    _ => Value::default(),
                },
                "__call__" | "__wrapped__" | "__func__" => value.clone(),
                "register" => {
                    self.make(Thing::Bound { function: Value::path("<overload>"), this: value.clone() })
                }
                _ => match self.patched.get(format!("<function {id}>.{name}").as_str()) {
                    Some(value) => value.clone(),
                    None => Value::unknown(taint),
                },
            },
            Thing::Bound { function, this } => match name.as_ref() {
                "__func__" => function.clone(),
                "__self__" => this.clone(),
                "__call__" => value.clone(),
                _ => {
                    let function = function.clone();
                    match function.kind {
                        Kind::Path(_) => self.method(value, name),
                        _ => self.attribute(&function, name, line),
                    }
                }
            },
            Thing::Partial { function, .. } => match name.as_ref() {
                "func" => function.clone(),
                "__call__" => value.clone(),
                _ => Value::unknown(taint),
            },
            Thing::Super { class, this } => {
                let (class, this) = (class.clone(), this.clone());
                let bases = match self.thing_of(&class) {
                    Some(Thing::Class(class)) => class.bases.clone(),
                    _ => Vec::new(),
                };
                for base in &bases {
                    if let Some((found, _)) = self.find(base, name) {
                        return self.bound_to_object(found, &this, line);
                    }
                }
                if let Some(Thing::Object { names, .. }) = self.thing_of(&this)
                    && let Some(items) = names.get(ITEMS).cloned()
                    && name.as_ref() != "__init__"
                {
                    return self.method(&items, name);
                }
                match bases.iter().find_map(Value::as_path) {
                    Some(path) => Value::path(&library::canonical(&format!("{path}.{name}"))),
                    None => Value::path(&format!("<super>.{name}")),
                }
            }
            Thing::Scope { names, .. } => match names.get(name) {
                Some(value) => value.clone(),
                None => self.method(value, name),
            },
            Thing::Wrapped { inner, .. } => {
                let inner = inner.clone();
                match name.as_ref() {
                    // `@x.setter` and the like keep the property.
                    "setter" | "getter" | "deleter" => Value::path("<property>"),
                    _ => self.attribute(&inner, name, line),
                }
            }
            Thing::Row { .. } | Thing::Map { .. } | Thing::Generator { .. } | Thing::Maker { .. } => {
                self.method(value, name)
            }
        }
    }

    fn object_attribute(
        &mut self,
        value: &Value,
        class: &Value,
        own: Option<Value>,
        name: &Name,
        line: u32,
    ) -> Value {
        let taint = Taint { made: false, ..value.taint };
        if let Some((hook, _)) = self.find(class, &"__getattribute__".into())
            && !is_own_name(name)
            && self.hooks < 4
        {
            let given = vec![(None, value.clone()), (None, Value::text(name.clone()))];
            let found = self.hooked(hook, given, line);
            if !found.is_unknown() {
                return found;
            }
        }
        if let Some(own) = own {
            return own;
        }
        if let Some((found, _)) = self.find(class, name) {
            return self.bound_to_object(found, value, line);
        }
        if let Some((hook, _)) = self.find(class, &"__getattr__".into())
            && !is_own_name(name)
        {
            let given = vec![(None, value.clone()), (None, Value::text(name.clone()))];
            return self.hooked(hook, given, line);
        }
        self.outer_method(value, class, name, taint)
    }

    /// A method that only a base class of another module can have.
    fn outer_method(&mut self, this: &Value, class: &Value, name: &Name, taint: Taint) -> Value {
        if class.as_path() == Some("string.Template") {
            return self.method(this, name);
        }
        if let Some(Thing::Object { names, .. }) = self.thing_of(this)
            && let Some(items) = names.get(ITEMS).cloned()
        {
            return self.method(&items, name);
        }
        let function = self.inherited_method(class, name, taint);
        match function.kind {
            Kind::Path(_) if matches!(class.kind, Kind::At(_)) => {
                self.make(Thing::Bound { function, this: this.clone() }).with(taint)
            }
            _ => function,
        }
    }

    /// An attribute that only a base class of another module can have.
    fn inherited_method(&mut self, class: &Value, name: &Name, taint: Taint) -> Value {
        match self.outer_base(class) {
            Some(path) => Value::path(&library::canonical(&format!("{path}().{name}"))).with(taint),
            None => Value::unknown(taint),
        }
    }

    /// The first base of a class that stands in another module.
    pub(super) fn outer_base(&self, class: &Value) -> Option<String> {
        let mut todo = vec![class.clone()];
        let mut seen = 0;
        while let Some(one) = todo.pop() {
            seen += 1;
            if seen > MAX_BASES {
                return None;
            }
            match (&one.kind, self.thing_of(&one)) {
                (Kind::Path(path), _) if path.as_ref() != "object" => return Some(path.to_string()),
                (_, Some(Thing::Class(class))) => todo.extend(class.bases.iter().rev().cloned()),
                _ => {}
            }
        }
        None
    }

    /// What a class or its bases in the source have under a name.
    pub(super) fn find(&self, class: &Value, name: &Name) -> Option<(Value, Value)> {
        let mut todo = vec![class.clone()];
        let mut seen = 0;
        while let Some(one) = todo.pop() {
            seen += 1;
            if seen > MAX_BASES {
                return None;
            }
            if let Some(Thing::Class(class)) = self.thing_of(&one) {
                if let Some(found) = class.names.get(name) {
                    return Some((found.clone(), one.clone()));
                }
                todo.extend(class.bases.iter().rev().cloned());
            } else if let Some(Thing::Any(values)) = self.thing_of(&one) {
                todo.extend(values.iter().cloned());
            }
        }
        None
    }

    /// What a class attribute is through an object.
    fn bound_to_object(&mut self, found: Value, this: &Value, line: u32) -> Value {
        match self.thing_of(&found) {
            Some(Thing::Function(_)) => self.make(Thing::Bound { function: found, this: this.clone() }),
            Some(Thing::Wrapped { how, inner }) => {
                let (how, inner) = (*how, inner.clone());
                match how {
                    Wrap::Static => inner,
                    Wrap::Class => {
                        let class = match self.thing_of(this) {
                            Some(Thing::Object { class, .. }) => class.clone(),
                            _ => this.clone(),
                        };
                        self.make(Thing::Bound { function: inner, this: class })
                    }
                    Wrap::Property => self.call(inner, vec![(None, this.clone())], line),
                }
            }
            Some(Thing::Object { .. }) => {
                let given = vec![(None, this.clone()), (None, Value::default())];
                self.hook(&found, "__get__", given, line).unwrap_or(found)
            }
            _ => found,
        }
    }

    /// What a class attribute is through the class.
    pub(super) fn bound_to_class(&mut self, found: Value, class: &Value) -> Value {
        match self.thing_of(&found) {
            Some(Thing::Wrapped { how, inner }) => {
                let (how, inner) = (*how, inner.clone());
                match how {
                    Wrap::Class => self.make(Thing::Bound { function: inner, this: class.clone() }),
                    _ => inner,
                }
            }
            Some(Thing::Object { .. }) => {
                let given = vec![(None, Value::of(Kind::None)), (None, class.clone())];
                self.hook(&found, "__get__", given, 0).unwrap_or(found)
            }
            _ => found,
        }
    }

    pub(super) fn set_attribute(&mut self, base: &Value, name: &Name, value: Value, line: u32) {
        if let Some(path) = base.as_path() {
            // Other modules keep what the source puts there, as far as it can act.
            let full = library::canonical(&format!("{path}.{name}"));
            let acts = match (&value.kind, self.thing_of(&value)) {
                (Kind::Path(path), _) => library::is_grave(path),
                (_, Some(Thing::Function(_) | Thing::Partial { .. } | Thing::Bound { .. })) => true,
                _ => false,
            };
            let hook = matches!(
                full.as_str(),
                "sys.excepthook"
                    | "sys.displayhook"
                    | "sys.unraisablehook"
                    | "threading.excepthook"
                    | "sys.breakpointhook"
                    | "warnings.showwarning"
                    | "warnings.formatwarning"
                    | "traceback.print_exception"
                    | "pydoc.pager"
                    | "site.main"
                    | "logging.Logger.makeRecord"
            ) || full.starts_with("builtins.") && full.len() > 9;
            self.guarded(&full, &value, line);
            if acts && hook {
                self.hooks += 1;
                self.call(value.clone(), vec![(None, Value::default()); 3], line);
                self.hooks -= 1;
            }
            if acts && self.patched.len() < 4_096 {
                // `operator`s of a class that are a function of power act by themselves.
                let last = full.rsplit('.').next().unwrap_or("");
                if let Kind::Path(power) = &value.kind
                    && last.starts_with("__")
                {
                    let power = power.clone();
                    self.hooks += 1;
                    self.call(Value::of(Kind::Path(power)), Vec::new(), line);
                    self.hooks -= 1;
                }
                self.patched.insert(full, value);
            }
            return;
        }
        for one in self.each(base) {
            let Kind::At(id) = one.kind else { continue };
            let class = match self.thing(id) {
                Thing::Object { class, .. } => Some(class.clone()),
                _ => None,
            };
            if let Some(class) = class {
                // A descriptor or `__setattr__` of the class is asked first.
                if let Some((found, _)) = self.find(&class, name)
                    && matches!(self.thing_of(&found), Some(Thing::Object { .. }))
                {
                    self.hook(&found, "__set__", vec![(None, one.clone()), (None, value.clone())], line);
                }
                if let Some((hook, _)) = self.find(&class, &"__setattr__".into())
                    && self.hooks < 4
                {
                    let given =
                        vec![(None, one.clone()), (None, Value::text(name.clone())), (None, value.clone())];
                    self.hooked(hook, given, line);
                }
            }
            let weak = self.weak > 0 && !self.deferred;
            let before = match self.thing(id) {
                Thing::Object { names, .. } if weak => names.get(name).cloned(),
                _ => None,
            };
            let value = match before {
                Some(before) => self.any(before, value.clone()),
                None => value.clone(),
            };
            let special = name.starts_with("__") && !matches!(value.kind, Kind::Unknown);
            match self.things.get_mut(id as usize) {
                Some(Thing::Object { names, .. }) if names.len() < 20_000 => {
                    names.insert(name.clone(), value);
                }
                Some(Thing::Class(class)) if class.names.len() < 20_000 => {
                    class.names.insert(name.clone(), value);
                }
                Some(Thing::Function(_)) if special || self.patched.len() < 4_096 => {
                    self.patched.insert(format!("<function {id}>.{name}"), value);
                }
                _ => {}
            }
        }
    }

    /// Calls what the class of an object has for an operator or a protocol; `None` when it has nothing.
    pub(super) fn hook(&mut self, value: &Value, name: &str, given: Vec<Arg>, line: u32) -> Option<Value> {
        let class = match self.thing_of(value)? {
            Thing::Object { class, .. } => class.clone(),
            Thing::Class(class) => class.meta.clone()?,
            _ => return None,
        };
        let (found, _) = self.find(&class, &name.into())?;
        let function = self.bound_to_object(found, value, line);
        // Programs run commands when they enter, leave and call; not when they add or compare.
        let plain = matches!(
            name,
            "__enter__"
                | "__exit__"
                | "__aenter__"
                | "__aexit__"
                | "__call__"
                | "__init__"
                | "__iter__"
                | "__next__"
        );
        if plain {
            return Some(self.call(function, given, line));
        }
        Some(self.hooked(function, given, line))
    }

    pub(super) fn hooked(&mut self, function: Value, given: Vec<Arg>, line: u32) -> Value {
        if self.hooks >= 8 {
            return Value::default();
        }
        self.hooks += 1;
        let value = self.call(function, given, line);
        self.hooks -= 1;
        value
    }

    /// Calls a hook of a class with the class itself.
    pub(super) fn class_hook(
        &mut self,
        class: &Value,
        name: &str,
        mut given: Vec<Arg>,
        line: u32,
    ) -> Option<Value> {
        given.insert(0, (None, class.clone()));
        self.class_hook_with(class, name, given, line)
    }

    pub(super) fn class_hook_with(
        &mut self,
        class: &Value,
        name: &str,
        given: Vec<Arg>,
        line: u32,
    ) -> Option<Value> {
        let (found, _) = self.find(class, &name.into())?;
        let function = match self.thing_of(&found) {
            Some(Thing::Wrapped { inner, .. }) => inner.clone(),
            _ => found,
        };
        Some(self.hooked(function, given, line))
    }

    /// An object of a class of the source, for methods that nothing calls.
    pub(super) fn sample(&mut self, class: Id) -> Value {
        if let Some(known) = self.samples.get(&class) {
            return known.clone();
        }
        let of = Value::of(Kind::At(class));
        let this = self.make(Thing::Object { class: of.clone(), names: Names::new() });
        self.samples.insert(class, this.clone());
        if let Some((init, _)) = self.find(&of, &"__init__".into()) {
            self.call(init, vec![(None, this.clone())], 0);
        }
        this
    }
}

pub(super) fn class_meta(machine: &Machine, class: &Value) -> Option<Value> {
    match machine.thing_of(class)? {
        Thing::Class(class) => class.meta.clone().filter(|meta| matches!(meta.kind, Kind::At(_))),
        _ => None,
    }
}

/// Names that the language itself looks up.
fn is_own_name(name: &str) -> bool {
    name.starts_with("__") && name.ends_with("__")
}
