//! A source as functions and classes, with the names that each of them uses and the calls of power in it.
//!
//! Long because every kind of statement and expression is told apart in one place.

use std::collections::HashSet;
use std::rc::Rc;

use super::super::calls::Power;
use super::names::Known;
use super::statements::mentions_name;
use super::tree::{ClassDef, Def, Expr, Given, How, Name, Node, Stmt};

/// Statements and expressions within each other.
pub(super) const MAX_DEPTH: u32 = 400;
/// Calls and values that are kept.
const MAX_HITS: usize = 2_000;

/// Special methods that programs write to act: what they do is no more hidden than a call.
const PLAIN: [&str; 14] = [
    "__init__",
    "__new__",
    "__call__",
    "__enter__",
    "__exit__",
    "__aenter__",
    "__aexit__",
    "__iter__",
    "__next__",
    "__aiter__",
    "__anext__",
    "__post_init__",
    "__main__",
    "__await__",
];

/// Decorators that leave a function what it is.
const INERT: [&str; 28] = [
    "property",
    "staticmethod",
    "classmethod",
    "abstractmethod",
    "lru_cache",
    "cached_property",
    "wraps",
    "overload",
    "no_grad",
    "setter",
    "getter",
    "deleter",
    "fixture",
    "mark",
    "cache",
    "final",
    "override",
    "contextmanager",
    "asynccontextmanager",
    "total_ordering",
    "njit",
    "jit",
    "inference_mode",
    "compile",
    "dataclass",
    "add_start_docstrings",
    "command",
    "option",
];

/// The code of one function, or of the module.
#[derive(Default)]
pub(super) struct Unit {
    pub(super) def: Option<*const Def>,
    pub(super) name: Name,
    pub(super) parent: usize,
    pub(super) class: Option<usize>,
    pub(super) lambda: bool,
    /// A lambda that a name is given to.
    pub(super) named: bool,
    /// It runs when the file is the program.
    pub(super) main: bool,
    pub(super) decorated: bool,
    pub(super) implicit: bool,
    pub(super) names: HashSet<Name>,
    /// Attributes, and texts that could be names.
    pub(super) marks: HashSet<Name>,
    /// It looks names up that are computed.
    pub(super) looks_up: bool,
    pub(super) children: Vec<usize>,
}

pub(super) struct Class {
    pub(super) name: Name,
    pub(super) bases: Vec<Option<Name>>,
    pub(super) meta: Option<Name>,
    pub(super) methods: Vec<usize>,
    pub(super) unit: usize,
    /// Names that its own statements use.
    pub(super) body: HashSet<Name>,
    pub(super) decorated: bool,
}

pub(super) struct Found {
    pub(super) path: String,
    pub(super) power: Power,
    pub(super) line: u32,
    pub(super) unit: usize,
    pub(super) text: Option<String>,
    pub(super) open: bool,
    pub(super) called: bool,
    /// An alias of its own, or a call with some of its arguments.
    pub(super) plain: bool,
}

#[derive(Default)]
pub(super) struct Walk {
    pub(super) names: Known,
    pub(super) units: Vec<Unit>,
    pub(super) classes: Vec<Class>,
    pub(super) found: Vec<Found>,
    pub(super) imports: Vec<(usize, u32)>,
    /// Functions that are given the name of a special method.
    pub(super) special: HashSet<Name>,
    pub(super) at: usize,
    pub(super) class: Option<usize>,
}

impl Walk {
    pub(super) fn block(&mut self, block: &[Stmt], depth: u32) {
        if depth < MAX_DEPTH {
            block.iter().for_each(|statement| self.statement(statement, depth + 1));
        }
    }

    fn all(&mut self, exprs: &[Expr], depth: u32) {
        exprs.iter().for_each(|expr| self.expr(expr, depth));
    }

    fn statement(&mut self, statement: &Stmt, depth: u32) {
        match statement {
            Stmt::Expr(expr) | Stmt::Return(Some(expr)) | Stmt::Raise(Some(expr)) | Stmt::Delete(expr) => {
                self.expr(expr, depth);
            }
            Stmt::Assign(targets, value) => {
                // What a module exports is not used by it.
                let exports = targets.iter().any(|target| name_of(target) == Some("__all__"));
                if exports {
                    return;
                }
                for target in targets {
                    self.assigned(target, value);
                    self.expr(target, depth);
                }
                self.given_to_name(value, depth);
            }
            Stmt::Augment(target, _, value) => {
                if name_of(target) != Some("__all__") {
                    self.expr(target, depth);
                    self.expr(value, depth);
                }
            }
            Stmt::Annotated(target, annotation, Some(value)) => {
                self.all(annotation.as_slice(), depth);
                self.assigned(target, value);
                self.expr(target, depth);
                self.given_to_name(value, depth);
            }
            Stmt::Annotated(_, Some(annotation), None) => self.expr(annotation, depth),
            Stmt::If(test, body, other) => {
                if self.at == 0 && self.class.is_none() && mentions_name(test) {
                    let unit = self.unit("__main__".into(), None);
                    self.units[unit].main = true;
                    let before = std::mem::replace(&mut self.at, unit);
                    self.block(body, depth);
                    self.at = before;
                } else {
                    self.expr(test, depth);
                    self.block(body, depth);
                }
                self.block(other, depth);
            }
            Stmt::While(test, body, other) => {
                self.expr(test, depth);
                self.block(body, depth);
                self.block(other, depth);
            }
            Stmt::For(target, over, body, other) => {
                self.expr(target, depth);
                self.expr(over, depth);
                self.block(body, depth);
                self.block(other, depth);
            }
            Stmt::Try(body, handlers, other, last) => {
                self.block(body, depth);
                handlers.iter().for_each(|(_, _, body)| self.block(body, depth));
                self.block(other, depth);
                self.block(last, depth);
            }
            Stmt::With(items, body) => {
                for (value, target) in items {
                    self.expr(value, depth);
                    if let Some(target) = target {
                        self.expr(target, depth);
                    }
                }
                self.block(body, depth);
            }
            Stmt::Match(subject, cases) => {
                self.expr(subject, depth);
                for (pattern, guard, body) in cases.iter() {
                    self.expr(pattern, depth);
                    if let Some(guard) = guard {
                        self.expr(guard, depth);
                    }
                    self.block(body, depth);
                }
            }
            Stmt::Def(def) => {
                self.def(def, depth);
            }
            Stmt::Class(class) => self.class_def(class, depth),
            Stmt::Return(None)
            | Stmt::Raise(None)
            | Stmt::Annotated(_, None, None)
            | Stmt::Import(_)
            | Stmt::From(..)
            | Stmt::Global(_)
            | Stmt::Break
            | Stmt::Continue
            | Stmt::Pass => {}
        }
    }

    /// A value that a plain name is given to is an alias.
    fn given_to_name(&mut self, value: &Expr, depth: u32) {
        if matches!(value.node, Node::Name(_) | Node::Attribute(..))
            && let Some((path, power)) = self.names.power(value)
        {
            self.value(path, power, value.line, true);
        } else if let Node::Lambda(def) = &value.node {
            let unit = self.def(def, depth);
            self.units[unit].named = true;
        } else {
            self.expr(value, depth);
        }
    }

    /// A function under the name of a special method is one.
    fn assigned(&mut self, target: &Expr, value: &Expr) {
        let under = match &target.node {
            Node::Name(name) if self.class.is_some() => name,
            Node::Attribute(_, name) => name,
            _ => return,
        };
        if is_implicit(under)
            && let Some(name) = name_of(value)
        {
            self.special.insert(name.into());
        }
    }

    fn unit(&mut self, name: Name, def: Option<*const Def>) -> usize {
        let unit = Unit { name, def, parent: self.at, class: self.class, ..Unit::default() };
        self.units.push(unit);
        let at = self.units.len() - 1;
        self.units[self.at].children.push(at);
        at
    }

    fn def(&mut self, def: &Rc<Def>, depth: u32) -> usize {
        self.all(&def.decorators, depth);
        self.all(&def.annotations, depth);
        for parameter in &def.parameters {
            if let Some(default) = &parameter.default {
                self.expr(default, depth);
            }
        }
        let at = self.unit(def.name.clone(), Some(Rc::as_ptr(def)));
        let lambda = def.name.as_ref() == "<lambda>";
        let changes = def.decorators.iter().any(|one| matches!(last_name(one), Some("setter" | "deleter")));
        let module_hook =
            self.at == 0 && self.class.is_none() && matches!(def.name.as_ref(), "__getattr__" | "__dir__");
        let decorated = !def.decorators.iter().all(|one| {
            let text = decorator_names(one, 0);
            INERT.iter().any(|inert| text.iter().any(|name| name.contains(inert)))
        });
        let method = self.class.is_some();
        let unit = &mut self.units[at];
        unit.lambda = lambda;
        unit.decorated = decorated;
        unit.implicit = method && (is_implicit(&def.name) || changes) || module_hook;
        if let (Some(class), false) = (self.class, lambda) {
            self.classes[class].methods.push(at);
        }
        let (before, class) = (std::mem::replace(&mut self.at, at), self.class.take());
        self.block(&def.body, depth);
        self.at = before;
        self.class = class;
        at
    }

    fn class_def(&mut self, class: &Rc<ClassDef>, depth: u32) {
        self.all(&class.decorators, depth);
        let (mut bases, mut meta) = (Vec::new(), None);
        for base in &class.bases {
            match &base.how {
                How::Keyword(name) if name.as_ref() == "metaclass" => {
                    meta = last_name(&base.value).map(Name::from);
                }
                How::Keyword(_) => self.expr(&base.value, depth),
                _ => {
                    bases.push(match &base.value.node {
                        Node::Name(name) => Some(name.clone()),
                        _ => last_name(&base.value).map(|name| format!(".{name}").into()),
                    });
                    if !matches!(base.value.node, Node::Name(_) | Node::Attribute(..)) {
                        self.expr(&base.value, depth);
                    }
                }
            }
        }
        self.classes.push(Class {
            name: class.name.clone(),
            bases,
            meta,
            methods: Vec::new(),
            unit: self.at,
            body: HashSet::new(),
            decorated: !class.decorators.is_empty(),
        });
        let at = self.classes.len() - 1;
        let before = self.class.replace(at);
        self.block(&class.body, depth);
        self.class = before;
    }

    fn used(&mut self, name: &Name) {
        self.units[self.at].names.insert(name.clone());
        if let Some(class) = self.class {
            self.classes[class].body.insert(name.clone());
        }
    }

    fn value(&mut self, path: String, power: Power, line: u32, plain: bool) {
        // Types are compared and listed.
        if power == Power::Network || path.starts_with("types.") || self.found.len() >= MAX_HITS {
            return;
        }
        let unit = self.at;
        self.found.push(Found { path, power, line, unit, text: None, open: false, called: false, plain });
    }

    fn expr(&mut self, expr: &Expr, depth: u32) {
        if depth >= MAX_DEPTH {
            return;
        }
        let depth = depth + 1;
        match &expr.node {
            Node::Name(name) => {
                self.used(name);
                if let Some((path, power)) = self.names.power(expr) {
                    self.value(path, power, expr.line, false);
                }
            }
            Node::Attribute(base, name) => {
                self.units[self.at].marks.insert(name.clone());
                match self.names.power(expr) {
                    Some((path, power)) => self.value(path, power, expr.line, false),
                    None => self.expr(base, depth),
                }
            }
            Node::Str(text) => {
                let name = text.len() <= 60
                    && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
                    && text.chars().all(|c| c.is_alphanumeric() || c == '_');
                if name {
                    self.units[self.at].marks.insert(text.clone());
                }
            }
            Node::Call(callee, given) => self.call(callee, given, expr.line, depth),
            Node::Index(base, key) => {
                let table = matches!(&base.node, Node::Call(callee, given) if given.is_empty()
                    && matches!(name_of(callee), Some("globals" | "locals" | "vars")));
                self.units[self.at].looks_up |= table && literal(key).is_none();
                self.expr(base, depth);
                self.expr(key, depth);
            }
            Node::Slice(from, to, step) => {
                for part in [from, to, step].into_iter().flatten() {
                    self.expr(part, depth);
                }
            }
            Node::Unary(_, inner) | Node::Await(inner) | Node::YieldFrom(inner) | Node::Star(inner) => {
                self.expr(inner, depth);
            }
            Node::Walrus(_, inner) => self.given_to_name(inner, depth),
            Node::Format(all) | Node::Chain(_, all) | Node::Tuple(all) | Node::List(all) | Node::Set(all) => {
                self.all(all, depth);
            }
            Node::Either(_, left, right) => {
                self.expr(left, depth);
                self.expr(right, depth);
            }
            // Comparing functions does nothing with them.
            Node::Compare(_, left, right) => {
                for side in [left, right] {
                    if self.names.power(side).is_none() {
                        self.expr(side, depth);
                    }
                }
            }
            Node::Choice(test, one, two) => {
                self.expr(test, depth);
                self.expr(one, depth);
                self.expr(two, depth);
            }
            Node::Lambda(def) => {
                self.def(def, depth);
            }
            Node::Dict(pairs) => {
                for (key, value) in pairs {
                    if let Some(key) = key {
                        self.keyed(&key.node, value);
                        self.expr(key, depth);
                    }
                    self.expr(value, depth);
                }
            }
            Node::Comprehension(inner) => {
                for (target, over, tests) in &inner.clauses {
                    self.expr(target, depth);
                    self.expr(over, depth);
                    self.all(tests, depth);
                }
                if let Some(key) = &inner.key {
                    self.expr(key, depth);
                }
                self.expr(&inner.element, depth);
            }
            Node::Yield(Some(inner)) => self.expr(inner, depth),
            Node::None
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Float
            | Node::Bytes(_)
            | Node::Yield(None)
            | Node::Unknown => {}
        }
    }

    /// `{"__getattr__": function}`, as `type` takes it.
    fn keyed(&mut self, key: &Node, value: &Expr) {
        if let Node::Str(key) = key
            && is_implicit(key)
            && let Some(name) = name_of(value)
        {
            self.special.insert(name.into());
        }
    }

    fn call(&mut self, callee: &Expr, given: &[Given], line: u32, depth: u32) {
        let first = given.first().map(|one| &one.value);
        let second = given.get(1).map(|one| &one.value);
        let name = last_name(callee).unwrap_or("");
        match self.names.power(callee) {
            Some((path, power)) if self.found.len() < MAX_HITS => {
                let text = first.and_then(literal);
                let open = first.is_some_and(|first| literal(first).is_none() && !begins_plainly(first));
                let unit = self.at;
                self.found.push(Found { path, power, line, unit, text, open, called: true, plain: false });
                if let Node::Name(name) = &callee.node {
                    self.used(name);
                }
            }
            Some(_) => {}
            None => self.expr(callee, depth),
        }
        let computed = |expr: Option<&Expr>| expr.is_some_and(|expr| literal(expr).is_none());
        match name {
            // Tests hand over what must fail.
            "isinstance" | "issubclass" | "raises" | "assertRaises" | "assertRaisesRegex" | "warns" => return,
            "getattr" | "methodcaller" | "attrgetter" | "__getattribute__" => {
                let name = if name == "getattr" { second } else { first };
                self.units[self.at].looks_up |= computed(name);
            }
            "setattr" => {
                if let (Some(key), Some(value)) = (second, given.get(2)) {
                    self.keyed(&key.node, &value.value);
                }
            }
            "__import__" | "import_module"
                if given.len() == 1
                    && first.is_some_and(|first| literal(first).is_none() && !is_put_together(first)) =>
            {
                self.imports.push((self.at, line));
            }
            _ => {}
        }
        for one in given {
            if let How::Keyword(name) = &one.how {
                self.keyed(&Node::Str(name.clone()), &one.value);
            }
            // Calls with some of the arguments are given a name, and called by it.
            let some = matches!(name, "partial" | "partialmethod" | "wraps");
            match self.names.power(&one.value) {
                Some((path, power)) if some => self.value(path, power, line, true),
                _ => self.expr(&one.value, depth),
            }
        }
    }
}

/// Methods that Python calls for something that is not written as a call.
fn is_implicit(name: &str) -> bool {
    let special = name.len() > 4 && name.starts_with("__") && name.ends_with("__");
    special && !PLAIN.contains(&name) || matches!(name, "_missing_" | "_generate_next_value_")
}

fn name_of(expr: &Expr) -> Option<&str> {
    match &expr.node {
        Node::Name(name) => Some(name),
        _ => None,
    }
}

/// `c` of `a.b.c`.
fn last_name(expr: &Expr) -> Option<&str> {
    match &expr.node {
        Node::Name(name) | Node::Attribute(_, name) => Some(name),
        Node::Index(base, _) => match &base.node {
            Node::Name(name) | Node::Attribute(_, name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// The names of a decorator: `a`, `b` and `c` of `a.b.c(...)`.
fn decorator_names(expr: &Expr, depth: u32) -> Vec<&str> {
    match &expr.node {
        Node::Name(name) => vec![name],
        Node::Attribute(base, name) if depth < 8 => {
            let mut all = decorator_names(base, depth + 1);
            all.push(name);
            all
        }
        Node::Call(callee, _) if depth < 8 => decorator_names(callee, depth + 1),
        _ => Vec::new(),
    }
}

/// Constant text, or the constant texts of a list.
pub(super) fn literal(expr: &Expr) -> Option<String> {
    match &expr.node {
        Node::Str(text) => Some(text.chars().take(2_000).collect()),
        Node::Bytes(text) => Some(text.chars().take(2_000).collect()),
        Node::Unary("()", inner) => literal(inner),
        Node::List(all) | Node::Tuple(all) if !all.is_empty() && all.len() <= 64 => {
            let words: Option<Vec<&str>> = all
                .iter()
                .map(|one| match &one.node {
                    Node::Str(text) => Some(text.as_ref()),
                    _ => None,
                })
                .collect();
            words.map(|words| words.join(" ").chars().take(2_000).collect())
        }
        _ => None,
    }
}

fn is_put_together(expr: &Expr) -> bool {
    matches!(&expr.node, Node::Format(_) | Node::Chain(..))
}

/// Code whose beginning says what it is: an import, a deletion.
fn begins_plainly(expr: &Expr) -> bool {
    let first = match &expr.node {
        Node::Format(parts) | Node::Chain(_, parts) => parts.first(),
        _ => None,
    };
    first.and_then(literal).is_some_and(|text| {
        let text = text.trim_start();
        ["from ", "import ", "del "].iter().any(|start| text.starts_with(start))
            && !text.contains([';', '\n', '('])
    })
}
