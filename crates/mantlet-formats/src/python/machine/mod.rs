//! Follows Python source as the interpreter would, with values that may be unknown.
//!
//! An abstract interpreter: names have values, functions and classes of the source are entered when they are
//! called (by a call, an operator, a hook of the language, or a library that is handed them), constants are
//! computed, and what cannot be known is unknown with a note of where it came from. Branches on what is
//! unknown are both taken; loops over what is known are run. What comes out are the calls of other modules,
//! under their own names however they were reached. Every step counts against a budget, so that a program
//! that runs for ever, or hides behind a long computation, ends as one that was not followed.
//!
//! Long because the state of the interpreter and what it lists are kept together.

mod calls;
mod conversions;
mod expressions;
mod items;
mod library;
mod methods;
mod names;
mod objects;
mod outside;
mod parse;
mod parse_expr;
mod reach;
mod statements;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod value;
mod walk;

pub(super) use library::canonical;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::calls::Power;
use super::{Argument, Call, MAX_CALLS, MAX_TOKENS, Origin, Role, Script};
use tree::{Def, Name, Stmt};
use value::{Arg, Id, Kind, Names, Taint, Thing, Value};

/// Steps at the level of the module.
const MAX_STEPS: u32 = 1_500_000;
/// Steps in functions that nothing calls.
const MAX_LATER: u32 = 600_000;
/// Steps in one function that nothing calls.
const MAX_ONE: u32 = 40_000;
/// Things that can change.
const MAX_THINGS: usize = 400_000;
/// Bytes of constant text made in one source, and of one text.
const MAX_MADE: usize = 64 << 20;
const MAX_TEXT: usize = 256 << 10;
/// Expressions and calls within each other.
const MAX_DEPTH: u32 = 110;
/// Calls of the source's functions within each other.
const MAX_CALL_DEPTH: usize = 14;
/// Code in code in code.
const MAX_NESTED: u8 = 4;
/// Values one name may have at a time.
const MAX_ANY: usize = 6;
const MAX_ARGUMENTS: usize = 24;

/// Adds to a script the calls that following its source shows.
pub(super) fn follow(text: &str, script: &mut Script) {
    let (module, whole) = parse::module(text, MAX_TOKENS);
    let mut machine = Machine::new(script.role);
    machine.reach = reach::reach(&module, script.role);
    machine.module(&module);
    if machine.exhausted && machine.ran_out_at_import {
        script.limits.push("the source computes longer when it is imported than is followed".to_owned());
    }
    if !whole && !script.limits.iter().any(|limit| limit.contains("nested")) {
        script.limits.push("expressions of the source are nested too deep".to_owned());
    }
    let reach = std::mem::take(&mut machine.reach);
    let resolved = std::mem::take(&mut machine.resolved);
    machine.hand_over(script);
    reach.tell(&resolved, script);
}

/// A call of a function of the source.
#[derive(Default)]
struct Frame {
    returned: Option<Value>,
    yielded: Vec<Value>,
    /// What `yield` gives back.
    sent: Option<Value>,
    class: Option<Id>,
    this: Option<Value>,
}

struct Machine {
    things: Vec<Thing>,
    steps: u32,
    limit: u32,
    exhausted: bool,
    ran_out_at_import: bool,
    depth: u32,
    /// The code does not run at import.
    deferred: bool,
    /// Branches that may not be taken.
    weak: u32,
    scope: Id,
    globals: Id,
    frames: Vec<Frame>,
    active: Vec<*const Def>,
    /// Functions that were entered.
    entered: HashSet<*const Def>,
    /// Functions of the source, with the class they stand in.
    known: Vec<(Value, Option<Id>)>,
    stars: Vec<String>,
    /// Names of other modules that the source changed.
    patched: HashMap<String, Value>,
    /// Hooks of the language that are being run.
    hooks: u32,
    hidden: u32,
    assembled: u32,
    nested: u8,
    line: Option<u32>,
    made: usize,
    calls: Vec<Call>,
    pickles: Vec<(Vec<u8>, u32)>,
    /// Settings of the environment as a shell writes them, and templates.
    lines: Vec<(String, u32)>,
    templates: Vec<(String, u32)>,
    /// Functions that a server or a page calls with what it is asked.
    asked: HashSet<*const Def>,
    /// What the module says about itself.
    about: Option<Name>,
    /// One object of each class, for methods that nothing calls.
    samples: HashMap<Id, Value>,
    /// Classes all of whose methods a library was given.
    handed: HashSet<Id>,
    role: super::Role,
    /// What may run, whether or not it was seen to.
    reach: reach::Reach,
    /// Lines whose imports by a computed name were followed.
    resolved: HashSet<u32>,
}

impl Machine {
    fn new(role: super::Role) -> Self {
        let global = Thing::Scope { names: Names::new(), parent: None, class: false, outer: Vec::new() };
        Self {
            things: vec![global],
            steps: 0,
            limit: MAX_STEPS,
            exhausted: false,
            ran_out_at_import: false,
            depth: 0,
            deferred: false,
            weak: 0,
            scope: 0,
            globals: 0,
            frames: Vec::new(),
            active: Vec::new(),
            entered: HashSet::new(),
            known: Vec::new(),
            stars: Vec::new(),
            patched: HashMap::new(),
            hooks: 0,
            hidden: 0,
            assembled: 0,
            nested: 0,
            line: None,
            made: 0,
            calls: Vec::new(),
            pickles: Vec::new(),
            lines: Vec::new(),
            templates: Vec::new(),
            asked: HashSet::new(),
            about: None,
            samples: HashMap::new(),
            handed: HashSet::new(),
            role,
            reach: reach::Reach::default(),
            resolved: HashSet::new(),
        }
    }

    fn module(&mut self, module: &[Stmt]) {
        self.frames.push(Frame::default());
        if let Some(Stmt::Expr(tree::Expr { node: tree::Node::Str(text), .. })) = module.first() {
            self.about = Some(text.clone());
        }
        self.block(module);
        self.ran_out_at_import = self.exhausted;
        // What nothing called so far runs later, if ever.
        self.deferred = true;
        let mut at = 0;
        let end = self.steps.saturating_add(MAX_LATER);
        while at < self.known.len() && self.steps < end {
            let (function, class) = self.known[at].clone();
            at += 1;
            self.exhausted = false;
            self.limit = self.steps.saturating_add(MAX_ONE).min(end);
            self.later(&function, class);
        }
        self.exhausted |= self.ran_out_at_import;
    }

    /// Runs a function that nothing called.
    fn later(&mut self, function: &Value, class: Option<Id>) {
        let Some(def) = self.def_of(function) else { return };
        // What importing may run is looked at with unknown arguments too: a branch may have been misjudged.
        if self.entered.contains(&Rc::as_ptr(&def)) && !self.reach.reached.contains(&Rc::as_ptr(&def)) {
            return;
        }
        let line = def.line;
        let Some(class) = class else {
            self.call(function.clone(), Vec::new(), line);
            return;
        };
        let this = self.sample(class);
        let this = if matches!(def.name.as_ref(), "__new__" | "__init_subclass__" | "__class_getitem__") {
            Value::of(Kind::At(class))
        } else {
            this
        };
        // Opening an object of the module's runs this, as importing runs the module.
        let loads = self.role == super::Role::Module && def.name.as_ref() == "__setstate__";
        let before = std::mem::replace(&mut self.deferred, !loads);
        let result = self.call(function.clone(), vec![(None, this)], line);
        self.deferred = before;
        // Whoever opens the object calls what it says it is made by.
        if matches!(def.name.as_ref(), "__reduce__" | "__reduce_ex__") {
            self.rebuild(&result, line);
        }
    }

    /// What `__reduce__` gives is called when the object is opened or copied.
    fn rebuild(&mut self, reduced: &Value, line: u32) {
        let (items, _) = self.row_items(reduced);
        let [function, given, ..] = items.as_slice() else { return };
        let (given, _) = self.row_items(given);
        self.hooks += 1;
        self.call(function.clone(), given.into_iter().map(|value| (None, value)).collect(), line);
        self.hooks -= 1;
    }

    /// Takes a step; whether there are any left.
    fn step(&mut self) -> bool {
        self.steps = self.steps.saturating_add(1);
        self.exhausted |= self.steps > self.limit;
        !self.exhausted
    }

    fn make(&mut self, thing: Thing) -> Value {
        if self.things.len() >= MAX_THINGS {
            self.exhausted = true;
            return Value::default();
        }
        self.things.push(thing);
        Value::of(Kind::At((self.things.len() - 1) as Id))
    }

    fn thing(&self, id: Id) -> &Thing {
        &self.things[id as usize]
    }

    fn thing_of(&self, value: &Value) -> Option<&Thing> {
        match value.kind {
            Kind::At(id) => self.things.get(id as usize),
            _ => None,
        }
    }

    fn row(&mut self, items: Vec<Value>, shape: value::Shape) -> Value {
        let taint = items.iter().take(64).fold(Taint::default(), |sum, item| sum.and(item.taint));
        self.steps = self.steps.saturating_add(items.len() as u32 / 8);
        self.make(Thing::Row { items, shape, open: false }).with(taint)
    }

    /// Text that was made; unknown when it is too long.
    fn made(&mut self, text: String, bytes: bool, taint: Taint) -> Value {
        self.made = self.made.saturating_add(text.len());
        if text.len() > MAX_TEXT || self.made > MAX_MADE {
            return Value::unknown(taint);
        }
        self.steps = self.steps.saturating_add(text.len() as u32 / 64);
        let kind = if bytes { Kind::Bytes(text.into()) } else { Kind::Str(text.into()) };
        Value { kind, taint }
    }

    fn def_of(&self, value: &Value) -> Option<Rc<Def>> {
        match self.thing_of(value)? {
            Thing::Function(function) => Some(function.def.clone()),
            Thing::Wrapped { inner, .. } => {
                let inner = inner.clone();
                match self.thing_of(&inner)? {
                    Thing::Function(function) => Some(function.def.clone()),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// One value that is either.
    fn any(&mut self, one: Value, two: Value) -> Value {
        if one.same(&two) == Some(true) {
            return one.with(two.taint);
        }
        let taint = one.taint.and(two.taint);
        let mut all: Vec<Value> = Vec::new();
        for value in [one, two] {
            match self.thing_of(&value) {
                Some(Thing::Any(values)) => all.extend(values.iter().cloned()),
                _ => all.push(value),
            }
        }
        // What is unknown says nothing beside what is known.
        let known =
            all.iter().filter(|value| !value.is_unknown() && !matches!(value.kind, Kind::None)).count();
        if known > 0 {
            all.retain(|value| !value.is_unknown() && !matches!(value.kind, Kind::None));
        }
        let mut kept: Vec<Value> = Vec::new();
        for value in all {
            if kept.len() < MAX_ANY && !kept.iter().any(|known| known.same(&value) == Some(true)) {
                kept.push(value);
            }
        }
        match kept.len() {
            0 => Value::unknown(taint),
            1 => kept.remove(0).with(taint),
            _ => self.make(Thing::Any(kept)).with(taint),
        }
    }

    /// The possible values of a value.
    fn each(&self, value: &Value) -> Vec<Value> {
        match self.thing_of(value) {
            Some(Thing::Any(values)) => values.iter().map(|one| one.clone().with(value.taint)).collect(),
            _ => vec![value.clone()],
        }
    }

    /// Lists a call of another module's function.
    fn record(&mut self, path: &str, power: Power, given: &[Arg], line: u32, taint: Taint) {
        if self.calls.len() >= MAX_CALLS {
            return;
        }
        let mut arguments: Vec<Argument> = Vec::new();
        for (name, value) in given.iter().take(MAX_ARGUMENTS) {
            let text = self.words(value);
            let shown = self.shown(value, text.as_deref());
            arguments.push(Argument {
                name: name.as_deref().map(str::to_owned),
                shown,
                text,
                origin: self.origin_within(value),
            });
        }
        if let Some(last) = arguments.last_mut() {
            for (_, value) in given.iter().skip(MAX_ARGUMENTS) {
                last.origin = last.origin.and(value.taint.origin);
            }
        }
        // Code that the program builds as a tree, or constants it puts together, where it could be written down.
        let built = power == Power::Evaluates
            && !self.deferred
            && given.iter().any(|(_, value)| {
                let code = matches!(value.kind, Kind::Str(_) | Kind::Bytes(_) | Kind::Code(_));
                value.taint.built || value.taint.made && code
            });
        let inside = self.active.last();
        let reached = self.deferred
            && inside.is_some_and(|def| self.reach.reached.contains(def))
            && !(power == Power::Network && inside.is_some_and(|def| self.reach.serves.contains(def)));
        let implicit = matches!(power, Power::Runs | Power::Evaluates)
            && inside.is_some_and(|def| self.reach.implicit.contains(def));
        let assembled = taint.made || taint.inside || built || self.assembled > 0 || self.hooks > 0;
        self.calls.push(Call {
            callee: path.chars().take(200).collect(),
            power,
            arguments,
            line: self.line.unwrap_or(line),
            at_import: !self.deferred,
            reached,
            hidden: self.hidden > 0,
            assembled: assembled || implicit,
        });
    }

    /// The origins of a value and of what it holds.
    fn origin_within(&self, value: &Value) -> Origin {
        let mut origin = value.taint.origin;
        match self.thing_of(value) {
            Some(Thing::Row { items, .. }) => {
                for item in items.iter().take(64) {
                    origin = origin.and(item.taint.origin);
                }
            }
            Some(Thing::Map { pairs, .. }) => {
                for (_, item) in pairs.iter().take(64) {
                    origin = origin.and(item.taint.origin);
                }
            }
            _ => {}
        }
        origin
    }

    /// The constant text of an argument, or of the list it is.
    fn words(&self, value: &Value) -> Option<String> {
        if let Some(text) = value.as_text() {
            return Some(text.chars().take(2_000).collect());
        }
        match self.thing_of(value)? {
            Thing::Row { items, .. } if !items.is_empty() => {
                let mut out = String::new();
                for item in items.iter().take(2_000) {
                    let text = item.as_text()?;
                    if !out.is_empty() {
                        out.push(' ');
                    }
                    out.extend(text.chars().take(2_000));
                    if out.len() > 8_000 {
                        break;
                    }
                }
                Some(out.chars().take(2_000).collect())
            }
            Thing::Any(values) => values.iter().find_map(|value| self.words(value)),
            _ => None,
        }
    }

    fn shown(&self, value: &Value, text: Option<&str>) -> String {
        let cut = |text: &str| text.chars().take(120).collect::<String>();
        if value.as_text().is_some() {
            return format!("{:?}", cut(text.unwrap_or("")));
        }
        match &value.kind {
            Kind::Path(path) => return cut(path),
            Kind::None => return "None".into(),
            Kind::Bool(truth) => return if *truth { "True".into() } else { "False".into() },
            Kind::Int(number) => return number.to_string(),
            _ => {}
        }
        match self.thing_of(value) {
            Some(Thing::Row { items, .. }) if text.is_some() => {
                let words = items.iter().take(6).filter_map(Value::as_text);
                format!("[{}]", words.map(|word| format!("{:?}", cut(word))).collect::<Vec<_>>().join(", "))
            }
            _ => "...".into(),
        }
    }

    /// Gives a script what it does not know yet.
    fn hand_over(self, script: &mut Script) {
        for call in self.calls {
            let same = |known: &Call| {
                known.callee == call.callee
                    && known.line == call.line
                    && known.arguments.len() == call.arguments.len()
                    && known
                        .arguments
                        .iter()
                        .zip(&call.arguments)
                        .all(|(a, b)| a.name == b.name && a.text == b.text)
            };
            if let Some(known) = script.calls.iter_mut().find(|known| same(known)) {
                known.at_import |= call.at_import;
                known.reached |= call.reached;
                known.hidden |= call.hidden;
                known.assembled |= call.assembled;
                for (argument, more) in known.arguments.iter_mut().zip(call.arguments) {
                    argument.origin = argument.origin.and(more.origin);
                }
            } else if script.calls.len() < MAX_CALLS {
                script.calls.push(call);
            }
        }
        script.shell.extend(self.lines);
        script.templates.extend(self.templates);
        for pickle in self.pickles {
            if !script.pickles.iter().any(|known| known.0 == pickle.0) && script.pickles.len() < 16 {
                script.pickles.push(pickle);
            }
        }
    }

    /// The name a scope knows.
    fn lookup(&mut self, name: &Name) -> Value {
        let mut at = Some(self.scope);
        while let Some(id) = at {
            let Thing::Scope { names, parent, .. } = self.thing(id) else { break };
            if let Some(value) = names.get(name) {
                return value.clone();
            }
            at = *parent;
        }
        if let Some(value) = self.patched.get(name.as_ref()) {
            return value.clone();
        }
        let from = self
            .stars
            .iter()
            .map(|module| format!("{module}.{name}"))
            .find(|full| library::power(full) != Power::Computes || super::calls::decodes(full));
        if let Some(path) = from {
            return Value::path(&path);
        }
        match name.as_ref() {
            "__builtins__" => Value::path("builtins"),
            "__file__" | "__doc__" | "__spec__" | "__loader__" | "__path__" => Value::default(),
            "__name__" => Value::default(),
            _ => Value::path(name),
        }
    }

    fn bind(&mut self, scope: Id, name: &Name, value: Value) {
        let scope = match self.thing(scope) {
            Thing::Scope { outer, .. } => {
                outer.iter().find(|(known, _)| known == name).map_or(scope, |(_, home)| *home)
            }
            _ => scope,
        };
        let weak = self.weak > 0;
        let before = match self.thing(scope) {
            Thing::Scope { names, .. } if weak => names.get(name).cloned(),
            _ => None,
        };
        let value = match before {
            Some(before) => self.any(before, value),
            None => value,
        };
        if let Some(Thing::Scope { names, .. }) = self.things.get_mut(scope as usize)
            && (names.len() < 20_000 || names.contains_key(name))
        {
            names.insert(name.clone(), value);
        }
    }
}
