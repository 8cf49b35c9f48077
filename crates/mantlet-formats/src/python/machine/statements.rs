//! Statements: names, branches, loops, definitions.
//!
//! Long because every kind of statement is told apart in one place.

use std::rc::Rc;

use super::tree::{ClassDef, Def, Expr, How, Name, Node, Stmt};
use super::value::{Arg, Class, Function, Kind, Names, Shape, Thing, Value, Wrap};
use super::{MAX_DEPTH, Machine};

/// How a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Return,
    Break,
    Continue,
    Raise,
}

/// Rounds of a loop over what is known.
const MAX_ROUNDS: usize = 20_000;

impl Machine {
    pub(super) fn block(&mut self, block: &[Stmt]) -> Flow {
        for statement in block {
            if !self.step() {
                return Flow::Return;
            }
            let flow = self.statement(statement);
            if flow != Flow::Next {
                return flow;
            }
        }
        Flow::Next
    }

    /// A block that may or may not run.
    fn perhaps(&mut self, block: &[Stmt]) -> Flow {
        self.weak += 1;
        let flow = self.block(block);
        self.weak -= 1;
        flow
    }

    fn statement(&mut self, statement: &Stmt) -> Flow {
        if self.depth >= MAX_DEPTH {
            return Flow::Next;
        }
        self.depth += 1;
        let flow = self.statement_inner(statement);
        self.depth -= 1;
        flow
    }

    fn statement_inner(&mut self, statement: &Stmt) -> Flow {
        match statement {
            Stmt::Expr(expr) => {
                self.eval(expr);
            }
            Stmt::Assign(targets, value) => {
                let value = self.eval(value);
                for target in targets {
                    self.assign(target, value.clone());
                }
            }
            Stmt::Augment(target, op, value) => self.augment(target, op, value),
            Stmt::Annotated(target, annotation, value) => {
                let value = value.as_ref().map(|value| self.eval(value));
                if let Some(annotation) = annotation {
                    self.eval(annotation);
                }
                if let Some(value) = value {
                    self.assign(target, value);
                }
            }
            Stmt::Delete(target) => self.delete(target),
            Stmt::Pass | Stmt::Global(_) => {
                if let Stmt::Global(names) = statement {
                    self.outer(names);
                }
            }
            Stmt::Return(value) => {
                let value = value.as_ref().map_or(Value::of(Kind::None), |value| self.eval(value));
                self.returns(value);
                return Flow::Return;
            }
            Stmt::Raise(value) => {
                if let Some(value) = value {
                    self.eval(value);
                }
                return Flow::Raise;
            }
            Stmt::Import(all) => self.import(all),
            Stmt::From(module, names, star) => self.import_from(module, names, *star),
            Stmt::If(test, body, other) => return self.branch(test, body, other),
            Stmt::While(test, body, other) => return self.repeat(test, body, other),
            Stmt::For(target, over, body, other) => return self.for_each(target, over, body, other),
            Stmt::Try(body, handlers, other, last) => return self.attempt(body, handlers, other, last),
            Stmt::With(items, body) => return self.with(items, body),
            Stmt::Def(def) => {
                let value = self.define(def);
                let value = self.decorated(value, &def.decorators, def.line);
                self.bind(self.scope, &def.name, value);
            }
            Stmt::Class(def) => self.class(def),
            Stmt::Match(subject, cases) => return self.matching(subject, cases),
            Stmt::Break => return Flow::Break,
            Stmt::Continue => return Flow::Continue,
        }
        Flow::Next
    }

    fn returns(&mut self, value: Value) {
        let known = self.frames.last_mut().and_then(|frame| frame.returned.take());
        let value = match known {
            Some(known) => self.any(known, value),
            None => value,
        };
        if let Some(frame) = self.frames.last_mut() {
            frame.returned = Some(value);
        }
    }

    /// `global` and `nonlocal`: the name is that of the scope outside which has it, or of the module.
    fn outer(&mut self, declared: &[Name]) {
        let scope = self.scope;
        let Thing::Scope { parent: Some(parent), .. } = self.thing(scope) else { return };
        let parent = *parent;
        for name in declared.iter().take(64) {
            let mut at = Some(parent);
            let mut home = self.globals;
            while let Some(id) = at {
                let Thing::Scope { names, parent, .. } = self.thing(id) else { break };
                if names.contains_key(name) {
                    home = id;
                    break;
                }
                at = *parent;
            }
            if let Some(Thing::Scope { names, outer, .. }) = self.things.get_mut(scope as usize) {
                names.remove(name);
                outer.push((name.clone(), home));
            }
        }
    }

    pub(super) fn assign(&mut self, target: &Expr, value: Value) {
        match &target.node {
            Node::Name(name) => self.bind(self.scope, name, value),
            Node::Unary("()", inner) => self.assign(inner, value),
            Node::Star(inner) => self.assign(inner, value),
            Node::Tuple(targets) | Node::List(targets) => {
                let (items, open) = self.items_of(&value);
                let star = targets.iter().position(|target| matches!(target.node, Node::Star(_)));
                for (at, target) in targets.iter().enumerate() {
                    let from_end = targets.len() - at;
                    let item = match star {
                        Some(star) if at == star => {
                            let end = (items.len() + 1 + star).saturating_sub(targets.len());
                            let middle = items.get(star..end.max(star)).unwrap_or(&[]).to_vec();
                            self.row(middle, Shape::List)
                        }
                        Some(star) if at > star => items
                            .len()
                            .checked_sub(from_end)
                            .and_then(|at| items.get(at))
                            .cloned()
                            .unwrap_or_default(),
                        _ if open => {
                            items.get(at).or(items.first()).cloned().unwrap_or(Value::unknown(value.taint))
                        }
                        _ => items.get(at).cloned().unwrap_or(Value::unknown(value.taint)),
                    };
                    self.assign(target, item);
                }
            }
            Node::Attribute(base, name) => {
                let base = self.eval(base);
                self.set_attribute(&base, name, value, target.line);
            }
            Node::Index(base, key) => {
                let base = self.eval(base);
                let key = self.eval(key);
                self.set_item(&base, key, value, target.line);
            }
            _ => {}
        }
    }

    fn augment(&mut self, target: &Expr, op: &'static str, value: &Expr) {
        let before = self.eval(target);
        let value = self.eval(value);
        let after = self.binary(op, before, value, target.line);
        self.assign(target, after);
    }

    /// `del`: what a class has for it is called; a name is kept, as what it held may still be used.
    fn delete(&mut self, target: &Expr) {
        match &target.node {
            Node::Tuple(all) | Node::List(all) => all.iter().take(64).for_each(|one| self.delete(one)),
            Node::Unary("()", inner) => self.delete(inner),
            Node::Index(base, key) => {
                let (base, key) = (self.eval(base), self.eval(key));
                self.hook(&base, "__delitem__", vec![(None, key)], target.line);
            }
            Node::Attribute(base, name) => {
                let base = self.eval(base);
                self.hook(&base, "__delattr__", vec![(None, Value::text(name.clone()))], target.line);
            }
            _ => {}
        }
    }

    fn import(&mut self, all: &[(String, Option<Name>)]) {
        for (path, alias) in all {
            let root = path.split('.').next().unwrap_or(path);
            match alias {
                Some(alias) => self.bind(self.scope, alias, Value::path(path)),
                None => self.bind(self.scope, &root.into(), Value::path(root)),
            }
        }
    }

    fn import_from(&mut self, module: &str, names: &[(Name, Name)], star: bool) {
        if star && self.stars.len() < 64 {
            self.stars.push(module.to_owned());
        }
        let module = Value::path(module);
        for (name, alias) in names {
            let value = self.attribute(&module, name, 0);
            self.bind(self.scope, alias, value);
        }
    }

    fn branch(&mut self, test: &Expr, body: &[Stmt], other: &[Stmt]) -> Flow {
        // What stands below `if __name__ == '__main__'` does not run at import.
        if mentions_name(test) {
            let before = std::mem::replace(&mut self.deferred, true);
            let flow = self.perhaps(body);
            self.deferred = before;
            self.perhaps(other);
            return if flow == Flow::Raise { Flow::Next } else { flow };
        }
        let value = self.eval(test);
        match self.truth(&value, test.line) {
            Some(true) => self.block(body),
            Some(false) => self.block(other),
            None => {
                let one = self.perhaps(body);
                let two = self.perhaps(other);
                if one == two { one } else { Flow::Next }
            }
        }
    }

    fn repeat(&mut self, test: &Expr, body: &[Stmt], other: &[Stmt]) -> Flow {
        let mut rounds = 0;
        loop {
            let value = self.eval(test);
            let truth = self.truth(&value, test.line);
            if truth == Some(false) {
                return self.block(other);
            }
            rounds += 1;
            // A loop that ends by something unknown is run twice: the second round sees what the first left.
            let enough = truth.is_none() && rounds > 2 || rounds > MAX_ROUNDS;
            if enough || !self.step() {
                return Flow::Next;
            }
            let endless = matches!(test.node, Node::Bool(true) | Node::Int(_)) && rounds > 64;
            let flow = match truth {
                Some(true) => self.block(body),
                _ => self.perhaps(body),
            };
            match flow {
                Flow::Break => return Flow::Next,
                Flow::Return | Flow::Raise if truth.is_some() => return flow,
                _ if endless => return Flow::Next,
                _ => {}
            }
        }
    }

    fn for_each(&mut self, target: &Expr, over: &Expr, body: &[Stmt], other: &[Stmt]) -> Flow {
        let over = self.eval(over);
        let (items, open) = self.items_of(&over);
        for item in items.into_iter().take(MAX_ROUNDS) {
            if !self.step() {
                return Flow::Return;
            }
            self.assign(target, item);
            let flow = if open { self.perhaps(body) } else { self.block(body) };
            match flow {
                Flow::Break => return Flow::Next,
                Flow::Return | Flow::Raise if !open => return flow,
                _ => {}
            }
        }
        self.block(other)
    }

    fn attempt(
        &mut self,
        body: &[Stmt],
        handlers: &[(Option<Expr>, Option<Name>, Vec<Stmt>)],
        other: &[Stmt],
        last: &[Stmt],
    ) -> Flow {
        let mut flow = self.block(body);
        for (kind, name, body) in handlers {
            if let Some(kind) = kind {
                self.eval(kind);
            }
            if let Some(name) = name {
                self.bind(self.scope, name, Value::default());
            }
            let handled = self.perhaps(body);
            if flow == Flow::Raise {
                flow = if handled == Flow::Raise { Flow::Raise } else { Flow::Next };
            }
        }
        if flow == Flow::Next {
            flow = self.block(other);
        }
        let end = self.block(last);
        if end == Flow::Next { flow } else { end }
    }

    fn with(&mut self, items: &[(Expr, Option<Expr>)], body: &[Stmt]) -> Flow {
        let mut managers = Vec::new();
        for (value, target) in items {
            let line = value.line;
            let value = self.eval(value);
            let entered = match self.hook(&value, "__enter__", Vec::new(), line) {
                Some(entered) => entered,
                None => match self.hook(&value, "__aenter__", Vec::new(), line) {
                    Some(entered) => entered,
                    None => value.clone(),
                },
            };
            if let Some(target) = target {
                self.assign(target, entered);
            }
            managers.push((value, line));
        }
        let flow = self.block(body);
        for (manager, line) in managers.into_iter().rev() {
            let given = vec![(None, Value::default()); 3];
            if self.hook(&manager, "__exit__", given.clone(), line).is_none() {
                self.hook(&manager, "__aexit__", given, line);
            }
        }
        // A manager may swallow what was raised.
        if flow == Flow::Raise { Flow::Next } else { flow }
    }

    fn matching(&mut self, subject: &Expr, cases: &[(Expr, Option<Expr>, Vec<Stmt>)]) -> Flow {
        let subject = self.eval(subject);
        for (pattern, guard, body) in cases {
            let fits = self.pattern(pattern, &subject);
            if fits == Some(false) {
                continue;
            }
            let guarded = match guard {
                Some(guard) => {
                    let value = self.eval(guard);
                    self.truth(&value, guard.line)
                }
                None => Some(true),
            };
            match (fits, guarded) {
                (_, Some(false)) => {}
                (Some(true), Some(true)) => return self.block(body),
                _ => {
                    self.perhaps(body);
                }
            }
        }
        Flow::Next
    }

    /// Whether a pattern fits, with its names bound.
    fn pattern(&mut self, pattern: &Expr, subject: &Value) -> Option<bool> {
        match &pattern.node {
            Node::Name(name) => {
                if name.as_ref() != "_" {
                    self.bind(self.scope, name, subject.clone());
                }
                Some(true)
            }
            Node::Unary("()", inner) => self.pattern(inner, subject),
            Node::Tuple(parts) | Node::List(parts) => {
                let (items, open) = self.items_of(subject);
                let mut fits = if open { None } else { Some(parts.len() == items.len()) };
                for (at, part) in parts.iter().enumerate() {
                    let item = items.get(at).cloned().unwrap_or(Value::unknown(subject.taint));
                    match self.pattern(part, &item) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => fits = fits.and(None),
                    }
                }
                fits
            }
            Node::Dict(pairs) => {
                for (key, value) in pairs {
                    let Some(key) = key else { continue };
                    let key = self.eval(key);
                    let item = self.item(subject, &key, pattern.line);
                    self.pattern(value, &item);
                }
                None
            }
            // `Class(a, b=c)`: what is inside is unknown.
            Node::Call(_, given) => {
                for one in given {
                    let inner = match &one.how {
                        How::Keyword(name) => self.attribute(subject, name, pattern.line),
                        _ => Value::unknown(subject.taint),
                    };
                    self.pattern(&one.value, &inner);
                }
                None
            }
            Node::Chain("|", choices) => {
                let mut fits = Some(false);
                for choice in choices {
                    // Each is looked at: a pattern binds names.
                    fits = match (fits, self.pattern(choice, subject)) {
                        (Some(true), _) | (_, Some(true)) => Some(true),
                        (None, _) | (_, None) => None,
                        _ => Some(false),
                    };
                }
                fits
            }
            Node::Star(inner) => self.pattern(inner, &Value::unknown(subject.taint)),
            _ => {
                let value = self.eval(pattern);
                value.same(subject)
            }
        }
    }

    pub(super) fn define(&mut self, def: &Rc<Def>) -> Value {
        let defaults = def
            .parameters
            .iter()
            .map(|parameter| parameter.default.as_ref().map(|default| self.eval(default)))
            .collect();
        for annotation in &def.annotations {
            self.eval(annotation);
        }
        // A function in a class looks for names outside of the class.
        let (scope, class) = match self.thing(self.scope) {
            Thing::Scope { parent: Some(parent), class: true, .. } => (*parent, true),
            _ => (self.scope, false),
        };
        let function = Function { def: def.clone(), scope, defaults, class: None };
        let value = self.make(Thing::Function(Rc::new(function)));
        if !class && def.name.as_ref() != "<lambda>" && self.known.len() < 20_000 {
            self.known.push((value.clone(), None));
        }
        value
    }

    /// Decorators are called with what stands under them, from the nearest outwards.
    fn decorated(&mut self, mut value: Value, decorators: &[Expr], line: u32) -> Value {
        for decorator in decorators.iter().rev().take(16) {
            let callee = self.eval(decorator);
            let below = value.clone();
            if callee.as_path().is_some_and(super::library::is_route)
                && let Some(def) = self.def_of(&below)
            {
                self.asked.insert(Rc::as_ptr(&def));
            }
            value = match callee.as_path() {
                Some("property" | "functools.cached_property" | "cached_property") => {
                    self.make(Thing::Wrapped { how: Wrap::Property, inner: below })
                }
                Some("staticmethod") => self.make(Thing::Wrapped { how: Wrap::Static, inner: below }),
                Some("classmethod") => self.make(Thing::Wrapped { how: Wrap::Class, inner: below }),
                // What other libraries decorate is still the function; a function of power is called here.
                Some(path) if super::library::is_grave(path) => {
                    self.call(callee.clone(), vec![(None, below)], line)
                }
                Some(_) => below,
                None if callee.is_unknown() => below,
                None => {
                    let made = self.call(callee, vec![(None, below.clone())], line);
                    if made.is_unknown() || matches!(made.kind, Kind::Path(_)) { below } else { made }
                }
            };
        }
        value
    }

    fn class(&mut self, def: &ClassDef) {
        let mut bases = Vec::new();
        let mut keywords: Vec<Arg> = Vec::new();
        let mut meta = None;
        for base in &def.bases {
            let value = self.eval(&base.value);
            match &base.how {
                How::Keyword(name) if name.as_ref() == "metaclass" => meta = Some(value),
                How::Keyword(name) => keywords.push((Some(name.clone()), value)),
                _ => bases.push(value),
            }
        }
        let line = def.line;
        if let Some(meta) = &meta {
            let given = vec![(None, Value::text(def.name.clone())), (None, Value::default())];
            self.class_hook(meta, "__prepare__", given, line);
        }
        let inherited = bases.iter().find_map(|base| match self.thing_of(base) {
            Some(Thing::Class(class)) => class.meta.clone(),
            _ => None,
        });
        let parent = Some(self.scope);
        let scope = self.make(Thing::Scope { names: Names::new(), parent, class: true, outer: Vec::new() });
        let Kind::At(scope) = scope.kind else { return };
        let outer = std::mem::replace(&mut self.scope, scope);
        self.block(&def.body);
        self.scope = outer;
        let names = match self.things.get_mut(scope as usize) {
            Some(Thing::Scope { names, .. }) => std::mem::take(names),
            _ => Names::new(),
        };
        let members: Vec<(Name, Value)> = {
            let mut members: Vec<_> =
                names.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            members
        };
        let meta = meta.or(inherited);
        let class = Class { name: def.name.clone(), bases: bases.clone(), names, meta: meta.clone() };
        let value = self.make(Thing::Class(class));
        let Kind::At(id) = value.kind else { return };
        for (_, member) in &members {
            self.belongs(member, id);
        }
        // What Python calls while a class is made.
        for (name, member) in &members {
            let given = vec![(None, value.clone()), (None, Value::text(name.clone()))];
            self.hook(member, "__set_name__", given, line);
        }
        for base in &bases {
            self.class_hook(base, "__init_subclass__", keywords.clone(), line);
        }
        if let Some(meta) = meta {
            let map = self.make(Thing::Map { pairs: Vec::new(), open: true, factory: None });
            let bases = self.row(bases, Shape::Tuple);
            let given = vec![(None, Value::text(def.name.clone())), (None, bases), (None, map)];
            match meta.as_path() {
                Some(path) if super::library::is_grave(path) => {
                    self.call(meta.clone(), given, line);
                }
                Some(_) => {}
                None => {
                    self.class_hook(&meta, "__new__", given.clone(), line);
                    self.class_hook(&meta, "__init__", given, line);
                }
            }
        }
        let value = self.decorated(value, &def.decorators, line);
        self.bind(self.scope, &def.name, value);
    }

    /// Notes the class a function stands in.
    fn belongs(&mut self, member: &Value, class: u32) {
        let mut at = member.clone();
        if let Some(Thing::Wrapped { inner, .. }) = self.thing_of(member) {
            at = inner.clone();
        }
        let Kind::At(id) = at.kind else { return };
        let Some(Thing::Function(function)) = self.things.get(id as usize) else { return };
        if function.class.is_some() {
            return;
        }
        let mut function = (**function).clone();
        function.class = Some(class);
        self.things[id as usize] = Thing::Function(Rc::new(function));
        if self.known.len() < 20_000 {
            self.known.push((at, Some(class)));
        }
    }
}

/// Whether a test asks whether the module is the program.
pub(super) fn mentions_name(test: &Expr) -> bool {
    match &test.node {
        Node::Name(name) => name.as_ref() == "__name__",
        Node::Compare(_, left, right) | Node::Either(_, left, right) => {
            mentions_name(left) || mentions_name(right)
        }
        Node::Unary(_, inner) => mentions_name(inner),
        _ => false,
    }
}
