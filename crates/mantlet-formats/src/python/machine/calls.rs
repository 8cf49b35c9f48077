//! Calls: of the source's functions and classes, of other modules, and of what is handed to them.
//!
//! Long because every kind of thing that can be called is told apart in one place.

use std::rc::Rc;

use super::super::calls::{self, Power};
use super::super::libraries;
use super::objects::{GLOBALS, INSIDE, ITEMS, SUBCLASSES};
use super::value::{Arg, Function, Id, Kind, Maker, Names, Shape, Taint, Thing, Value};
use super::{Frame, MAX_CALL_DEPTH, MAX_DEPTH, Machine, library};

impl Machine {
    pub(super) fn call(&mut self, callee: Value, given: Vec<Arg>, line: u32) -> Value {
        if self.depth >= MAX_DEPTH || !self.step() {
            return Value::default();
        }
        self.depth += 1;
        let value = self.call_inner(callee, given, line);
        self.depth -= 1;
        value
    }

    fn call_inner(&mut self, callee: Value, given: Vec<Arg>, line: u32) -> Value {
        match &callee.kind {
            Kind::Path(path) => {
                let path = path.clone();
                self.path_call(&path, callee.taint, given, line)
            }
            Kind::At(id) => self.thing_call(&callee, *id, given, line),
            _ => {
                self.hand_over_to("", &given, line, false);
                let taint = given.iter().fold(callee.taint, |sum, (_, value)| sum.and(value.taint));
                Value::unknown(Taint { made: false, ..taint })
            }
        }
    }

    fn thing_call(&mut self, callee: &Value, id: Id, mut given: Vec<Arg>, line: u32) -> Value {
        match self.thing(id) {
            Thing::Function(function) => {
                let function = function.clone();
                self.enter(callee, &function, given, line)
            }
            Thing::Bound { function, this } => {
                let (function, this) = (function.clone(), this.clone());
                if let Some(name) = function.as_path().and_then(|path| path.strip_prefix("<method>.")) {
                    let name = name.to_owned();
                    return self.method_call(&this, &name, given, line);
                }
                if function.as_path() == Some("<overload>") {
                    return self.overload(&this, &given);
                }
                if let Kind::Path(path) = &function.kind {
                    // A method that a base class of another module has calls what the class of the source has.
                    let path = path.clone();
                    if let Some(Thing::Object { class, .. }) = self.thing_of(&this) {
                        let class = class.clone();
                        self.hand_object(&this, &class, line);
                    }
                    return self.path_call(&path, callee.taint, given, line);
                }
                given.insert(0, (None, this));
                self.call(function, given, line)
            }
            Thing::Partial { function, given: known } => {
                let (function, mut all) = (function.clone(), known.clone());
                all.extend(given);
                self.call(function.with(Taint { made: callee.taint.made, ..Taint::default() }), all, line)
            }
            Thing::Class(_) => self.instance(callee, given, line),
            Thing::Object { .. } => match self.hook(callee, "__call__", given.clone(), line) {
                Some(value) => value,
                None => {
                    self.hand_over_to("", &given, line, false);
                    Value::unknown(callee.taint)
                }
            },
            Thing::Wrapped { inner, .. } => {
                let inner = inner.clone();
                self.call(inner, given, line)
            }
            Thing::Maker { what, given: known } => {
                let (what, known) = (*what, known.clone());
                let target = given.first().map(|(_, value)| value.clone()).unwrap_or_default();
                self.made_by(what, &known, &target, line)
            }
            Thing::Any(values) => {
                let values = values.clone();
                let mut out: Option<Value> = None;
                self.weak += 1;
                for value in values {
                    let result = self.call(value, given.clone(), line);
                    out = Some(match out {
                        Some(out) => self.any(out, result),
                        None => result,
                    });
                }
                self.weak -= 1;
                out.unwrap_or_default()
            }
            _ => Value::unknown(callee.taint),
        }
    }

    /// `function.register` of `functools.singledispatch`, with a type or as the decorator itself.
    fn overload(&mut self, this: &Value, given: &[Arg]) -> Value {
        let function = given.iter().map(|(_, value)| value).rfind(|value| {
            matches!(
                self.thing_of(value),
                Some(Thing::Function(_) | Thing::Bound { .. } | Thing::Partial { .. })
            )
        });
        let Some(function) = function.cloned() else {
            return self.make(Thing::Bound { function: Value::path("<overload>"), this: this.clone() });
        };
        if let Kind::At(id) = this.kind {
            let key = format!("<function {id}>.<overloads>");
            let all = match self.patched.get(&key).cloned() {
                Some(known) => self.any(known, function.clone()),
                None => function.clone(),
            };
            self.patched.insert(key, all);
        }
        function
    }

    /// What `attrgetter`, `itemgetter` and `methodcaller` do to what they are called with.
    fn made_by(&mut self, what: Maker, known: &[Arg], target: &Value, line: u32) -> Value {
        let first = known.first().map(|(_, value)| value.clone()).unwrap_or_default();
        match what {
            Maker::Item => self.item(target, &first, line),
            Maker::Attribute => self.dotted(target, &first, line),
            Maker::Method => {
                let function = self.dotted(target, &first, line);
                self.call(function, known.get(1..).unwrap_or(&[]).to_vec(), line)
            }
        }
    }

    /// An attribute by a name that is a value, which may have dots.
    pub(super) fn dotted(&mut self, target: &Value, name: &Value, line: u32) -> Value {
        let Some(text) = name.as_text().cloned() else {
            if let Some(path) = target.as_path() {
                let (path, taint) = (path.to_owned(), target.taint.and(name.taint));
                let knows = library::is_power_module(&path);
                let hidden = name.taint.made || name.taint.origin.decoded || name.taint.inside;
                return Value::path(&format!("{path}.?")).with(Taint { made: knows && hidden, ..taint });
            }
            // One of the attributes, which is not known.
            return Value::unknown(Taint { made: false, ..target.taint.and(name.taint) });
        };
        let mut value = target.clone();
        for part in text.split('.') {
            value = self.attribute(&value, &part.into(), line);
        }
        value.taint.made |= name.taint.made;
        value
    }

    /// Runs a function of the source.
    fn enter(&mut self, value: &Value, function: &Rc<Function>, given: Vec<Arg>, line: u32) -> Value {
        let def = function.def.clone();
        if let Kind::At(id) = value.kind
            && let Some(code) = self.patched.get(format!("<function {id}>.__code__").as_str()).cloned()
        {
            return self.path_call(
                &"exec".into(),
                Taint { made: true, ..code.taint },
                vec![(None, code)],
                line,
            );
        }
        let pointer = Rc::as_ptr(&def);
        if def.yields && self.frames.len() < MAX_CALL_DEPTH + 1 {
            self.entered.insert(pointer);
            return self.make(Thing::Generator { function: value.clone(), given });
        }
        let again = self.active.iter().filter(|one| **one == pointer).count();
        if self.active.len() >= MAX_CALL_DEPTH || again > 2 {
            return Value::default();
        }
        self.entered.insert(pointer);
        // Which of several functions of one name is meant depends on what it is given.
        let others = match value.kind {
            Kind::At(id) => self.patched.get(format!("<function {id}>.<overloads>").as_str()).cloned(),
            _ => None,
        };
        if let Some(others) = others {
            self.weak += 1;
            for other in self.each(&others) {
                self.call(other, given.clone(), line);
            }
            self.weak -= 1;
        }
        let frame = self.run(function, given, None, line);
        frame.returned.unwrap_or(Value::of(Kind::None))
    }

    /// The values a generator gives when it is run.
    pub(super) fn run_generator(&mut self, generator: &Value, sent: Option<Value>) -> Vec<Value> {
        let Some(Thing::Generator { function, given }) = self.thing_of(generator) else { return Vec::new() };
        let (function, given) = (function.clone(), given.clone());
        let Some(Thing::Function(function)) = self.thing_of(&function) else { return Vec::new() };
        let function = function.clone();
        let pointer = Rc::as_ptr(&function.def);
        if self.active.len() >= MAX_CALL_DEPTH || self.active.contains(&pointer) || self.depth >= MAX_DEPTH {
            return Vec::new();
        }
        let line = function.def.line;
        self.run(&function, given, sent, line).yielded
    }

    fn run(&mut self, function: &Rc<Function>, given: Vec<Arg>, sent: Option<Value>, _line: u32) -> Frame {
        let def = function.def.clone();
        let mut names = Names::new();
        let this = given.first().filter(|(name, _)| name.is_none()).map(|(_, value)| value.clone());
        let mut positional = given.iter().filter(|(name, _)| name.is_none()).map(|(_, value)| value.clone());
        let open = given.iter().any(|(name, _)| name.as_deref() == Some("**"));
        let asked = self.asked.contains(&Rc::as_ptr(&def));
        for (at, parameter) in def.parameters.iter().enumerate() {
            let value = match parameter.stars {
                1 => {
                    let rest: Vec<Value> = positional.by_ref().collect();
                    let shape = Shape::Tuple;
                    let unknown = rest.is_empty() && given.is_empty();
                    self.make(Thing::Row { items: rest, shape, open: unknown })
                }
                2 => {
                    let known =
                        |name: &str| def.parameters.iter().any(|parameter| parameter.name.as_ref() == name);
                    let pairs: Vec<(Value, Value)> = given
                        .iter()
                        .filter_map(|(name, value)| {
                            let name = name.as_ref().filter(|name| !known(name))?;
                            Some((Value::text(name.clone()), value.clone()))
                        })
                        .collect();
                    let open = open || given.is_empty();
                    self.make(Thing::Map { pairs, open, factory: None })
                }
                _ => {
                    let named =
                        given.iter().find(|(name, _)| name.as_deref() == Some(parameter.name.as_ref()));
                    let taken = if parameter.keyword {
                        None
                    } else {
                        positional_of(named.is_some(), &mut positional)
                    };
                    match (named, taken) {
                        (Some((_, value)), _) => value.clone(),
                        (None, Some(value)) => value,
                        (None, None) => {
                            let default = function.defaults.get(at).cloned().flatten();
                            // A default that only computes stands for whatever will be given.
                            default.map_or_else(
                                || {
                                    let mut value = library::parameter(&def.name, &parameter.name, self.role);
                                    value.taint.origin.asked |= asked && parameter.name.as_ref() != "self";
                                    value.taint.origin.input |= value.taint.origin.asked;
                                    value
                                },
                                |value| {
                                    if self.deferred && !self.tells(&value) {
                                        Value::unknown(value.taint)
                                    } else {
                                        value
                                    }
                                },
                            )
                        }
                    }
                }
            };
            names.insert(parameter.name.clone(), value);
        }
        let scope =
            self.make(Thing::Scope { names, parent: Some(function.scope), class: false, outer: Vec::new() });
        let Kind::At(scope) = scope.kind else { return Frame::default() };
        let outer = std::mem::replace(&mut self.scope, scope);
        let weak = std::mem::take(&mut self.weak);
        self.active.push(Rc::as_ptr(&def));
        self.frames.push(Frame { sent, class: function.class, this, ..Frame::default() });
        self.block(&def.body);
        let frame = self.frames.pop().unwrap_or_default();
        self.active.pop();
        self.weak = weak;
        self.scope = outer;
        frame
    }

    /// Whether a value can do something beside being computed with.
    fn tells(&self, value: &Value) -> bool {
        match (&value.kind, self.thing_of(value)) {
            (Kind::Path(path), _) => library::is_grave(path) || library::is_power_module(path),
            (_, Some(Thing::Function(_) | Thing::Partial { .. } | Thing::Bound { .. } | Thing::Class(_))) => {
                true
            }
            (_, Some(Thing::Row { .. } | Thing::Map { .. })) => true,
            _ => value.taint.origin.secret || value.taint.origin.trusted_place,
        }
    }

    /// Makes an object of a class of the source.
    fn instance(&mut self, class: &Value, given: Vec<Arg>, line: u32) -> Value {
        if let Some(Thing::Class(found)) = self.thing_of(class)
            && let Some(meta) = found.meta.clone()
            && self.find(&meta, &"__call__".into()).is_some()
            && self.hooks < 4
        {
            let mut all = given.clone();
            all.insert(0, (None, class.clone()));
            let (hook, _) = self.find(&meta, &"__call__".into()).unwrap_or_default();
            self.hooks += 1;
            let made = self.call(hook, all, line);
            self.hooks -= 1;
            if !made.is_unknown() && !matches!(made.kind, Kind::Path(_)) {
                return made;
            }
        }
        let this = self.make(Thing::Object { class: class.clone(), names: Names::new() });
        let mut own = given.clone();
        own.insert(0, (None, class.clone()));
        if let Some((new, _)) = self.find(class, &"__new__".into()) {
            let made = self.call(new, own.clone(), line);
            if matches!(
                self.thing_of(&made),
                Some(Thing::Function(_) | Thing::Bound { .. } | Thing::Partial { .. })
            ) {
                return made;
            }
        }
        let with_this = |given: &[Arg]| {
            let mut all = given.to_vec();
            all.insert(0, (None, this.clone()));
            all
        };
        if let Some(base) = self.outer_base(class)
            && library::is_mapping(&base)
            && let Some(items) = self.known_call("dict", Taint::default(), &given, line)
            && let Kind::At(id) = this.kind
            && let Some(Thing::Object { names, .. }) = self.things.get_mut(id as usize)
        {
            names.insert(ITEMS.into(), items);
        }
        let mut inits = false;
        for name in ["__init__", "__post_init__"] {
            if let Some((init, _)) = self.find(class, &name.into()) {
                inits = true;
                let given = if name == "__init__" { with_this(&given) } else { with_this(&[]) };
                self.call(init, given, line);
            }
        }
        if let Some((missing, _)) = self.find(class, &"_missing_".into()) {
            let missing = match self.thing_of(&missing) {
                Some(Thing::Wrapped { inner, .. }) => inner.clone(),
                _ => missing,
            };
            self.hooks += 1;
            self.call(missing, own, line);
            self.hooks -= 1;
        }
        if !inits {
            self.named_fields(class, &this, &given);
            // A class that is made of `subprocess.Popen` starts what it is called with.
            if let Some(base) = self.outer_base(class)
                && library::is_grave(&base)
            {
                self.path_call(&base.as_str().into(), Taint::default(), given, line);
            }
        }
        if let Some((end, _)) = self.find(class, &"__del__".into()) {
            self.hooks += 1;
            self.call(end, vec![(None, this.clone())], line);
            self.hooks -= 1;
        }
        this
    }

    /// The fields of a class without an initialiser of its own take what it is called with.
    fn named_fields(&mut self, class: &Value, this: &Value, given: &[Arg]) {
        let Kind::At(id) = this.kind else { return };
        let _ = class;
        let fields: Vec<(super::Name, Value)> =
            given.iter().filter_map(|(name, value)| Some((name.clone()?, value.clone()))).collect();
        if let Some(Thing::Object { names, .. }) = self.things.get_mut(id as usize) {
            names.extend(fields);
        }
    }

    /// Calls a function of another module.
    pub(super) fn path_call(
        &mut self,
        path: &super::Name,
        mut taint: Taint,
        given: Vec<Arg>,
        line: u32,
    ) -> Value {
        let full = path.to_string();
        if let Some(value) = self.patched.get(full.as_str()).cloned()
            && value.as_path() != Some(&full)
        {
            return self.call(value, given, line);
        }
        // Positions only, and the first two of them.
        let first = given.iter().find(|(name, _)| name.is_none()).map(|(_, value)| value.clone());
        if let Some(value) = self.known_call(&full, taint, &given, line) {
            return value;
        }
        let first = first.unwrap_or_default();
        let mut power = library::power(&full);
        if full == INSIDE {
            return Value::path(INSIDE).with(taint);
        }
        if full.starts_with(SUBCLASSES) {
            // Asked for all of them; then one of them is called.
            if given.is_empty() && !full.ends_with("[]") {
                return Value::path(SUBCLASSES).with(taint);
            }
            self.record(&full, Power::Evaluates, &given, line, Taint { made: true, ..taint });
            return Value::unknown(taint);
        }
        if let Some(value) = self.library_call(&full, &given, line) {
            return value;
        }
        if full == format!("{GLOBALS}[]")
            || full.ends_with(".?") && library::is_power_module(full.trim_end_matches(".?"))
        {
            let hidden = taint.made || taint.inside || taint.origin.decoded || !full.starts_with("builtins");
            power = if hidden { Power::Evaluates } else { Power::Computes };
            taint.made |= hidden;
        }
        let sum = given.iter().fold(Taint::default(), |sum, (_, value)| sum.and(value.taint));
        let mut origin = self.origins(&given).and(taint.origin);
        let writes = self.writes(&full, power, &given);
        if origin.trusted_place && writes {
            self.record(&full, Power::Plants, &given, line, taint);
        } else if writes && !self.deferred && (power == Power::Opens || calls::surely_writes(&full)) {
            self.record(&full, Power::Writes, &given, line, taint);
        }
        let reads_data = power == Power::Opens && library::is_data_file(&first);
        let opens_weights = library::is_weights_file(&first);
        if calls::loads_source(&full)
            && let Some(at) = given.iter().position(|(_, value)| library::is_data_file(value))
        {
            let mut given = given.clone();
            given[at].1.taint.origin.data_file = true;
            self.record(&full, Power::Evaluates, &given, line, taint);
        }
        if power == Power::Unpickles
            && full.ends_with(".loads")
            && let Some(text) = first.as_text()
            && self.pickles.len() < 16
        {
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            let line = self.line.unwrap_or(line);
            self.pickles.push((bytes.unwrap_or_else(|| text.as_bytes().to_vec()), line));
        }
        if let Some(mut given) = library::leads_to_data(&full, &given) {
            for (_, value) in &mut given {
                value.taint.origin.data_file = true;
            }
            self.record(&full, Power::Evaluates, &given, line, taint);
        }
        if full == "webbrowser.get" && first.as_text().is_some_and(|text| text.contains("%s")) {
            power = Power::Runs;
            taint.made = true;
        }
        if power == Power::Native && !library::names_a_library(&first) {
            power = Power::Computes;
        }
        let interesting =
            !matches!(power, Power::Computes | Power::Opens) || power == Power::Opens && origin.secret;
        if interesting {
            self.record(&full, power, &given, line, taint);
        }
        let runs = matches!(full.as_str(), "exec" | "eval") || calls::interprets(&full);
        if runs {
            match &first.kind {
                Kind::Str(code) | Kind::Bytes(code) | Kind::Code(code) => {
                    let code = code.clone();
                    let space = given
                        .iter()
                        .filter(|(name, _)| name.is_none())
                        .nth(1)
                        .map(|(_, space)| space.clone());
                    return self.run_text_in(&code, first.taint, space, line);
                }
                Kind::At(_) => {
                    self.hand_over_to("", &given, line, false);
                }
                _ => {}
            }
        } else {
            self.hand_over_to(&full, &given, line, calls::calls_back(&full) || library::is_inert(&full));
            if !library::is_inert(&full) && !full.starts_with("sys.audit") {
                self.named_in(&full, &given, line);
            }
        }
        origin.network |= power == Power::Network;
        origin.decoded |= calls::decodes(&full);
        origin.file |= power == Power::Opens;
        origin.data_file |= reads_data;
        origin.weights_file |= power == Power::Opens && opens_weights;
        origin.fetched |= libraries::fetches(&full);
        origin.socket |= full.starts_with("socket.");
        let built = taint.built || sum.built || full.starts_with("ast.") && library::builds_code(&full);
        let result = Taint { origin, made: false, inside: false, built };
        if full.len() > 160 || full.starts_with('<') {
            return Value::unknown(result);
        }
        // Arguments of a path still say where it leads.
        Value::path(&format!("{full}()")).with(result)
    }

    fn origins(&self, given: &[Arg]) -> super::Origin {
        given.iter().fold(super::Origin::default(), |sum, (_, value)| sum.and(self.origin_within(value)))
    }

    fn writes(&self, path: &str, power: Power, given: &[Arg]) -> bool {
        let mode = |value: &Value| {
            value.as_text().is_some_and(|mode| {
                mode.len() <= 3 && mode.starts_with(['w', 'a', 'x'])
                    || matches!(mode.as_ref(), "r+" | "r+b" | "rb+")
            })
        };
        let opens = power == Power::Opens || path.ends_with(".open");
        calls::writes(path) || opens && given.iter().any(|(_, value)| mode(value))
    }

    /// Functions and objects that a library is handed are called by it.
    ///
    /// `plainly` when handing over a function is what the callee is for, or it does nothing with it.
    fn hand_over_to(&mut self, callee: &str, given: &[Arg], line: u32, plainly: bool) {
        if self.hooks >= 6 {
            return;
        }
        for (at, (name, value)) in given.iter().enumerate().take(16) {
            for value in self.each(value) {
                if let Kind::Path(path) = &value.kind {
                    if library::is_grave(path) && !plainly {
                        let rest: Vec<Arg> = given
                            .iter()
                            .enumerate()
                            .filter(|(other, _)| *other != at)
                            .map(|(_, one)| one.clone())
                            .collect();
                        let path = path.clone();
                        let taint = Taint { made: true, ..value.taint };
                        let power = library::power(&path);
                        self.record(&path, power, &rest, line, taint);
                    }
                    continue;
                }
                self.held(&value, line, plainly);
                if library::is_page(callee)
                    && let Some(def) = self.def_of(&value)
                {
                    self.asked.insert(Rc::as_ptr(&def));
                }
                let inert = plainly && name.is_none();
                match self.thing_of(&value) {
                    Some(Thing::Function(_) | Thing::Bound { .. } | Thing::Partial { .. }) if !inert => {
                        self.call(value, Vec::new(), line);
                    }
                    Some(Thing::Object { class, .. }) => {
                        let class = class.clone();
                        self.hand_object(&value, &class, line);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Functions of power in a container that a library is handed.
    fn held(&mut self, container: &Value, line: u32, plainly: bool) {
        let items: Vec<Value> = match self.thing_of(container) {
            Some(Thing::Map { pairs, .. }) => pairs.iter().take(64).map(|(_, value)| value.clone()).collect(),
            Some(Thing::Row { items, .. }) => items.iter().take(64).cloned().collect(),
            _ => return,
        };
        for item in items {
            if let Kind::Path(path) = &item.kind
                && library::is_grave(path)
                && !plainly
            {
                let taint = Taint { made: true, ..item.taint };
                self.record(path, library::power(path), &[], line, taint);
            }
        }
    }

    /// A library that is handed an object calls the methods of its class that it knows.
    pub(super) fn hand_object(&mut self, object: &Value, class: &Value, line: u32) {
        let Kind::At(id) = class.kind else { return };
        if !self.handed.insert(id) {
            return;
        }
        if let Some((reduce, _)) =
            self.find(class, &"__reduce__".into()).or(self.find(class, &"__reduce_ex__".into()))
        {
            let result = self.call(reduce, vec![(None, object.clone())], line);
            self.rebuild(&result, line);
        }
        if self.outer_base(class).is_none() {
            return;
        }
        let methods: Vec<Value> = match self.thing_of(class) {
            Some(Thing::Class(class)) => {
                let mut names: Vec<_> = class.names.iter().collect();
                names.sort_by(|a, b| a.0.cmp(b.0));
                let public = names.into_iter().filter(|(name, _)| !name.starts_with("__"));
                public.map(|(_, value)| value.clone()).collect()
            }
            _ => return,
        };
        let loads = self.outer_base(class).is_some_and(|base| base.starts_with("importlib"));
        for method in methods {
            if matches!(self.thing_of(&method), Some(Thing::Function(_))) {
                let named = self.def_of(&method).map(|def| def.name.clone()).unwrap_or_default();
                let given = self.call(method, vec![(None, object.clone())], line);
                // What a loader gives as the source of a module is run.
                if loads
                    && matches!(named.as_ref(), "get_source" | "get_data" | "get_code" | "source_to_code")
                {
                    self.path_call(&"exec".into(), Taint::default(), vec![(None, given)], line);
                }
            }
        }
    }
}

fn positional_of(named: bool, rest: &mut impl Iterator<Item = Value>) -> Option<Value> {
    if named { None } else { rest.next() }
}
