//! Calls as a load would make them: judged by the effect of what is called, resolvers followed.

use super::effect::{Effect, Special};
use super::facts::{Call, How};
use super::machine::Machine;
use super::value::{Node, Val, View};

impl Machine<'_> {
    pub(super) fn record(&mut self, callee: String, effect: Effect, how: How, text: String, offset: u64) {
        if self.facts.calls.len() < self.max_facts {
            self.facts.calls.push(Call { callee, effect, how, text, offset });
        } else {
            self.limit("more calls than are kept as facts; the first ones are reported");
        }
    }

    /// A call of `callee`; the value is what it returns, as far as that is known.
    pub(super) fn invoke(&mut self, how: How, callee: Val, args: Val, kwargs: Option<Val>, at: u64) -> Val {
        self.facts.call_count += 1;
        match callee.view() {
            View::Global(id) => self.call_global(how, callee, id, args, kwargs, at),
            View::Node(_) => self.call_node(how, callee, args, at),
            View::Dropped => {
                self.limit("a value that was dropped to stay within memory is called");
                Val::UNKNOWN
            }
            View::Instance(id) => {
                let class = self.heap.globals.get(id as usize).map(|global| global.qualified());
                let callee_text = format!("an instance of {}", class.unwrap_or_default());
                let text = self.show_call(callee, args, kwargs);
                self.record(callee_text, Effect::Unknown, how, text, at);
                Val::UNKNOWN
            }
            _ => {
                let text = self.show_call(callee, args, kwargs);
                self.record("a value that only exists while loading".into(), Effect::Resolves, how, text, at);
                Val::UNKNOWN
            }
        }
    }

    pub(super) fn call_node(&mut self, how: How, callee: Val, args: Val, at: u64) -> Val {
        let Some(node) = self.heap.node(callee).cloned() else { return Val::UNKNOWN };
        match node {
            Node::Call { callee: maker, args: made, state } => {
                let special = self.heap.global(maker).map_or(Special::None, |global| global.special);
                let first = self.heap.items(args).first().copied();
                match (special, first) {
                    (Special::Partial, _) => {
                        let mut all = self.heap.items(made).to_vec();
                        if all.is_empty() {
                            return Val::UNKNOWN;
                        }
                        let inner = all.remove(0);
                        all.extend_from_slice(self.heap.items(args));
                        let all = self.heap.tuple(&all);
                        let keywords = self.keywords_of_partial(state);
                        return self.invoke(how, inner, all, keywords, at);
                    }
                    (Special::Attrgetter, Some(object)) => {
                        let names = self.heap.items(made).first().copied();
                        if let Some((path, _)) = names.and_then(|name| self.string(name)) {
                            return path
                                .split('.')
                                .fold(object, |object, name| self.attribute(object, name, at));
                        }
                    }
                    (Special::Itemgetter, Some(object)) => {
                        if let Some(&key) = self.heap.items(made).first() {
                            return self.item(object, key, at);
                        }
                    }
                    (Special::Methodcaller, Some(object)) => {
                        let rest = self.heap.items(made).to_vec();
                        if let Some((name, _)) = rest.first().and_then(|&name| self.string(name)) {
                            let method = self.attribute(object, &name, at);
                            let args = self.heap.tuple(&rest[1..]);
                            return self.invoke(how, method, args, None, at);
                        }
                    }
                    _ => {}
                }
                let text = self.show_call(callee, args, None);
                let name = self.heap.global(maker).map(|global| global.qualified()).unwrap_or_default();
                self.record(format!("what {name} made"), Effect::Unknown, how, text, at);
                Val::UNKNOWN
            }
            Node::Attribute { object, name } => {
                if (&*name == "get" || &*name == "__getitem__")
                    && let Some(&key) = self.heap.items(args).first()
                {
                    return self.item(object, key, at);
                }
                let text = self.show_call(callee, args, None);
                let callee_text = format!("the method {name} of a loaded object");
                self.record(callee_text, Effect::Unknown, how, text, at);
                Val::UNKNOWN
            }
            _ => {
                let text = self.show_call(callee, args, None);
                self.record("a value that only exists while loading".into(), Effect::Resolves, how, text, at);
                Val::UNKNOWN
            }
        }
    }

    pub(super) fn call_global(
        &mut self,
        how: How,
        callee: Val,
        id: u32,
        args: Val,
        kwargs: Option<Val>,
        at: u64,
    ) -> Val {
        let global = &mut self.heap.globals[id as usize];
        global.called = true;
        let (global_effect, special) = (global.effect, global.special);
        // The common case first: plain constructors of known frameworks.
        let (mut effect, mut result) = match global_effect {
            Effect::Data | Effect::Object => (None, Val::instance(id)),
            Effect::Instance => {
                let bare = kwargs.is_none() && self.heap.items(args).is_empty() && args != Val::DROPPED;
                ((how != How::New && !bare).then_some(Effect::Unknown), Val::instance(id))
            }
            Effect::Reference => (Some(Effect::Unknown), Val::UNKNOWN),
            Effect::HigherOrder => (None, Val::UNKNOWN),
            other => (Some(other), Val::UNKNOWN),
        };
        let object = global_effect == Effect::Object;
        if special != Special::None || effect.is_none() && result == Val::UNKNOWN {
            let mut items = self.heap.items(args).to_vec();
            if special == Special::Map {
                // `sorted(values, key=f)` calls what a keyword names.
                items.extend(self.values_of(kwargs));
            }
            self.special(special, how, callee, args, &items, &mut effect, &mut result, at);
            if special == Special::Partial && kwargs.is_some() {
                self.keep_keywords(result, kwargs);
            }
        }
        if object && (kwargs.is_some() || !self.heap.items(args).is_empty()) {
            self.hooks(callee, args, at);
            self.hooks(callee, kwargs.unwrap_or(Val::NONE), at);
        }
        if let Some(effect) = effect {
            let text = self.show_call(callee, args, kwargs);
            let name = self.heap.globals[id as usize].qualified();
            self.record(name, effect, how, text, at);
        }
        result
    }

    #[expect(clippy::too_many_arguments, clippy::too_many_lines, reason = "one arm per evaluated function")]
    pub(super) fn special(
        &mut self,
        special: Special,
        how: How,
        callee: Val,
        args: Val,
        items: &[Val],
        effect: &mut Option<Effect>,
        result: &mut Val,
        at: u64,
    ) {
        let first = items.first().copied().unwrap_or(Val::NONE);
        let text = |machine: &Self, index: usize| {
            items.get(index).and_then(|&item| machine.string(item)).map(|(text, _)| text)
        };
        let keep = |machine: &mut Self, otherwise: Val| {
            machine.heap.add(Node::Call { callee, args, state: Val::NONE }, otherwise)
        };
        match special {
            Special::Getattr => {
                if let Some(name) = text(self, 1) {
                    *effect = None;
                    *result = name.split('.').fold(first, |object, name| self.attribute(object, name, at));
                }
            }
            Special::Attrgetter | Special::Itemgetter | Special::Methodcaller => {
                if text(self, 0).is_some() || special == Special::Itemgetter {
                    *effect = None;
                }
                *result = keep(self, Val::UNKNOWN);
            }
            Special::Partial | Special::BytesIo | Special::JoblibWrapper | Special::Dtype => {
                *result = keep(self, *result);
            }
            Special::Frozen | Special::None
                if !items.is_empty() && effect.is_none() && *result == Val::UNKNOWN =>
            {
                self.call_arguments(items, at);
            }
            Special::Import => {
                if let Some(name) = text(self, 0) {
                    // How cloudpickle and dill write a module that a function uses.
                    let writes = self.heap.global(callee).map(|global| &*global.name);
                    let writes = matches!(writes, Some("subimport" | "_import_module"));
                    let effects = self.heap.effects;
                    if writes && effects.knows_module(&name) && !effects.is_dangerous_module(&name) {
                        *effect = None;
                    }
                    *result = self.heap.add(Node::Module(name.into()), Val::UNKNOWN);
                }
            }
            Special::Resolve => {
                if let Some(path) = text(self, 0) {
                    *effect = None;
                    *result = self.resolve_path(&path, at);
                }
            }
            Special::Ufunc => {
                if let (Some(module), Some(name)) = (text(self, 0), text(self, 1)) {
                    *effect = None;
                    *result = self.module_attribute(&module, &name, at);
                }
            }
            Special::DtypeName => *effect = None,
            // `type(None)` and its like are how pickle writes these types; three arguments make a class.
            Special::TypeOf if items.len() == 1 => *effect = None,
            Special::Reduce => self.reduce(items, result, at),
            Special::Map | Special::Factory => self.call_arguments(items, at),
            Special::Apply => {
                if let Some((&inner, rest)) = items.split_first() {
                    let rest = self.heap.tuple(rest);
                    *result = self.invoke(How::Proxy, inner, rest, None, at);
                }
            }
            Special::GetItem => {
                if let Some(&key) = items.get(1) {
                    *result = self.item(first, key, at);
                }
            }
            Special::Vars => {
                *effect = None;
                *result = self.heap.add(Node::Namespace(first), Val::UNKNOWN);
            }
            Special::Str
            | Special::Encode
            | Special::Concat
            | Special::Join
            | Special::Base64
            | Special::Inflate => {
                self.compute(special, items, result);
            }
            Special::Size => {
                if let Some(View::Int(count)) =
                    items.iter().map(|item| item.view()).find(|v| matches!(v, View::Int(n) if *n >= 1 << 30))
                {
                    self.facts.huge_size.get_or_insert((at, count));
                }
                if matches!(first.view(), View::Bytes(_) | View::Node(_)) {
                    *result = first;
                }
            }
            Special::Loads | Special::Quiet => {
                let known = self.decoded(first);
                if special == Special::Quiet && known {
                    *effect = None;
                }
            }
            Special::Open => {
                let mode = match items.get(1) {
                    None => Some("r".to_owned()),
                    Some(_) => text(self, 1),
                };
                let reads = mode.is_some_and(|mode| !mode.contains(['w', 'a', 'x', '+']));
                *effect = Some(if reads { Effect::Reads } else { Effect::Writes });
            }
            Special::AddExtension => {
                if let (Some(module), Some(name), Some(View::Int(code))) =
                    (text(self, 0), text(self, 1), items.get(2).map(|code| code.view()))
                {
                    let value = self.heap.intern(&module, &name, at, true);
                    if self.extensions.len() < 4_096 {
                        self.extensions.insert(code, value);
                    } else {
                        self.limit("it registers more extensions than are followed");
                    }
                }
            }
            Special::Reconstruct => {
                *result = self.invoke_class(first, at);
                // `_reconstructor(class, base, state)` also runs the initialiser of a base that has one.
                let base = items.get(1).copied().unwrap_or(Val::NONE);
                let own = self.heap.global(base).is_none_or(|base| &*base.module != "builtins");
                if own && base != Val::NONE {
                    let state = self.heap.tuple(items.get(2..3).unwrap_or(&[]));
                    self.invoke(How::Proxy, base, state, None, at);
                }
            }
            Special::CreateArray => {
                // dill: `array = f(*args); array.__setstate__(state); array.__dict__.update(attributes)`.
                if let &[function, args, ref states @ ..] = items {
                    *result = self.invoke(how, function, args, None, at);
                    for &state in states {
                        self.restored(*result, state, at);
                    }
                }
            }
            Special::LoadType => {
                if let Some(name) = text(self, 0) {
                    let builtin = self.heap.effects.lookup("builtins", &name).0.is_allowed();
                    let module = if builtin { "builtins" } else { "types" };
                    *effect = None;
                    *result = self.heap.intern(module, &name, at, true);
                }
            }
            Special::Repr => {
                if text(self, 0).is_some_and(|text| is_range(&text)) {
                    (*effect, *result) = (None, self.heap.intern_instance("builtins", "range", at));
                }
            }
            Special::Tensor | Special::Sparse | Special::Extents => {
                *result = self.torch(special, items, *result, at);
            }
            Special::NewIndex => {
                let empty = self.heap.tuple(&[]);
                self.invoke(How::New, first, empty, items.get(1).copied(), at);
            }
            Special::NewObj => {
                let rest = self.heap.tuple(items.get(1..).unwrap_or(&[]));
                *result = self.invoke(How::New, first, rest, None, at);
            }
            Special::FromType => {
                if let Some(&inner) = items.get(2) {
                    *result = self.invoke(how, first, inner, None, at);
                }
                if let Some(&state) = items.get(3) {
                    self.restored(*result, state, at);
                }
            }
            Special::ModuleName | Special::TypeOf | Special::Frozen | Special::Formula | Special::None => {}
        }
    }

    pub(super) fn invoke_class(&mut self, class: Val, at: u64) -> Val {
        let empty = self.heap.tuple(&[]);
        self.invoke(How::New, class, empty, None, at)
    }

    /// `map(f, xs)` and its like: what is callable among the arguments is called with the first items.
    pub(super) fn call_arguments(&mut self, items: &[Val], at: u64) {
        if let [first, rest @ ..] = items
            && !rest.is_empty()
            && matches!(first.view(), View::Instance(_))
        {
            let args = self.heap.tuple(rest);
            self.invoke(How::Proxy, *first, args, None, at);
        }
        let sample: Vec<Val> = items
            .iter()
            .filter(|&&item| !self.is_callable(item))
            .map(|&item| self.heap.items(item).first().copied().unwrap_or(item))
            .collect();
        for &item in items.iter().filter(|&&item| self.is_callable(item)).collect::<Vec<_>>() {
            let args = self.heap.tuple(&sample);
            self.invoke(How::Proxy, item, args, None, at);
        }
    }

    pub(super) fn is_callable(&self, value: Val) -> bool {
        match value.view() {
            View::Global(_) | View::Unknown => true,
            View::Node(_) => matches!(
                self.heap.node(value),
                Some(Node::Attribute { .. } | Node::Call { .. } | Node::Extension(_))
            ),
            _ => false,
        }
    }

    /// `functools.reduce(f, xs, start)`, followed while the items are known.
    pub(super) fn reduce(&mut self, items: &[Val], result: &mut Val, at: u64) {
        let &[function, sequence, ref start @ ..] = items else { return };
        let mut rest = self.heap.items(sequence).to_vec();
        if start.is_empty() && rest.is_empty() {
            self.call_arguments(items, at);
            return;
        }
        let mut value = if let Some(&start) = start.first() { start } else { rest.remove(0) };
        let dropped = matches!(self.heap.node(sequence), Some(Node::Container { more, .. }) if *more > 0);
        if dropped || rest.len() > 64 {
            self.limit("a function is folded over more values than are followed");
        }
        for item in rest.into_iter().take(64) {
            let args = self.heap.tuple(&[value, item]);
            value = self.invoke(How::Proxy, function, args, None, at);
        }
        *result = value;
    }
}

/// Whether the text is `range(...)` of literal numbers, which dill evaluates to make it again.
fn is_range(text: &str) -> bool {
    text.strip_prefix("range(").and_then(|rest| rest.strip_suffix(')')).is_some_and(|numbers| {
        numbers.split(',').count() <= 3
            && numbers.split(',').all(|number| number.trim().parse::<i64>().is_ok())
    })
}
