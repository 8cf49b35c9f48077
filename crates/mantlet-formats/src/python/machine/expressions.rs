//! Expressions: constants computed, names found, operators on what is known.
//!
//! Long because every kind of expression is told apart in one place.

use super::text;
use super::tree::{Comprehension, Expr, Given, How, Name, Node, Stmt};
use super::value::{Arg, Kind, Names, Shape, Taint, Thing, Value};
use super::{MAX_DEPTH, MAX_TEXT, Machine};

impl Machine {
    pub(super) fn eval(&mut self, expr: &Expr) -> Value {
        if self.depth >= MAX_DEPTH || !self.step() {
            return Value::default();
        }
        self.depth += 1;
        let value = self.node(expr);
        self.depth -= 1;
        value
    }

    fn node(&mut self, expr: &Expr) -> Value {
        let line = expr.line;
        match &expr.node {
            Node::None => Value::of(Kind::None),
            Node::Bool(truth) => Value::of(Kind::Bool(*truth)),
            Node::Int(number) => Value::of(Kind::Int(*number)),
            Node::Str(text) => text::constant(text, false),
            Node::Bytes(text) => text::constant(text, true),
            Node::Name(name) => self.lookup(name),
            Node::Attribute(base, name) => {
                let base = self.eval(base);
                self.attribute(&base, name, line)
            }
            Node::Index(base, key) => {
                let base = self.eval(base);
                let key = self.eval(key);
                self.item(&base, &key, line)
            }
            Node::Call(callee, given) => self.call_node(callee, given, line),
            Node::Unary(op, inner) => {
                let inner = self.eval(inner);
                self.unary(op, inner, line)
            }
            Node::Chain(op, operands) => self.chain(op, operands, line),
            Node::Either(both, left, right) => self.either(*both, left, right),
            Node::Compare(op, left, right) => {
                let (left, right) = (self.eval(left), self.eval(right));
                self.compare(op, &left, &right, line)
            }
            Node::Choice(test, one, two) => self.choice(test, one, two),
            Node::Lambda(def) => self.define(def),
            Node::Format(parts) => self.format(parts, line),
            Node::Tuple(items) => self.display(items, Shape::Tuple),
            Node::List(items) => self.display(items, Shape::List),
            Node::Set(items) => self.display(items, Shape::Set),
            Node::Dict(pairs) => self.dictionary(pairs),
            Node::Comprehension(inner) => self.comprehension(inner),
            Node::Slice(from, to, step) => {
                let part = |this: &mut Self, part: &Option<Box<Expr>>| {
                    part.as_ref().map_or(Value::of(Kind::None), |part| this.eval(part))
                };
                let parts = vec![part(self, from), part(self, to), part(self, step)];
                let parts = self.row(parts, Shape::Tuple);
                self.make(Thing::Partial { function: Value::path("slice"), given: vec![(None, parts)] })
            }
            Node::Walrus(name, value) => {
                let value = self.eval(value);
                self.bind(self.scope, name, value.clone());
                value
            }
            Node::Await(inner) => {
                let value = self.eval(inner);
                match self.hook(&value, "__await__", Vec::new(), line) {
                    Some(value) => value,
                    None => value,
                }
            }
            Node::Yield(value) => {
                let value = value.as_ref().map_or(Value::of(Kind::None), |value| self.eval(value));
                let Some(frame) = self.frames.last_mut() else { return Value::default() };
                if frame.yielded.len() < 4_096 {
                    frame.yielded.push(value);
                }
                frame.sent.clone().unwrap_or_default()
            }
            Node::YieldFrom(over) => {
                let over = self.eval(over);
                let (items, _) = self.items_of(&over);
                if let Some(frame) = self.frames.last_mut() {
                    frame.yielded.extend(items.into_iter().take(4_096));
                }
                Value::default()
            }
            Node::Star(inner) => self.eval(inner),
            Node::Float | Node::Unknown => Value::default(),
        }
    }

    fn display(&mut self, items: &[Expr], shape: Shape) -> Value {
        let mut all = Vec::with_capacity(items.len().min(64));
        let mut open = false;
        for item in items {
            if let Node::Star(inner) = &item.node {
                let inner = self.eval(inner);
                let (more, rest) = self.items_of(&inner);
                all.extend(more);
                open |= rest;
            } else {
                all.push(self.eval(item));
            }
            if self.exhausted {
                break;
            }
        }
        let taint = all.iter().take(256).fold(Taint::default(), |sum, item| sum.and(item.taint));
        self.make(Thing::Row { items: all, shape, open }).with(Taint { made: false, ..taint })
    }

    fn dictionary(&mut self, pairs: &[(Option<Expr>, Expr)]) -> Value {
        let mut all: Vec<(Value, Value)> = Vec::new();
        let mut open = false;
        for (key, value) in pairs {
            let key = key.as_ref().map(|key| self.eval(key));
            let value = self.eval(value);
            match key {
                Some(key) => all.push((key, value)),
                None => match self.thing_of(&value) {
                    Some(Thing::Map { pairs, open: rest, .. }) => {
                        open |= *rest;
                        all.extend(pairs.iter().cloned());
                    }
                    _ => open = true,
                },
            }
            if self.exhausted {
                break;
            }
        }
        let taint = all.iter().take(256).fold(Taint::default(), |sum, (_, item)| sum.and(item.taint));
        self.make(Thing::Map { pairs: all, open, factory: None }).with(Taint { made: false, ..taint })
    }

    fn comprehension(&mut self, inner: &Comprehension) -> Value {
        let scope =
            Thing::Scope { names: Names::new(), parent: Some(self.scope), class: false, outer: Vec::new() };
        let Kind::At(scope) = self.make(scope).kind else { return Value::default() };
        let outer = std::mem::replace(&mut self.scope, scope);
        let mut out: Vec<(Value, Value)> = Vec::new();
        let open = self.clauses(inner, 0, &mut out);
        self.scope = outer;
        let taint = out.iter().take(256).fold(Taint::default(), |sum, (_, item)| sum.and(item.taint));
        if inner.key.is_some() {
            return self.make(Thing::Map { pairs: out, open, factory: None }).with(taint);
        }
        let shape = if inner.set { Shape::Set } else { Shape::List };
        let items = out.into_iter().map(|(_, item)| item).collect();
        self.make(Thing::Row { items, shape, open }).with(taint)
    }

    fn clauses(&mut self, inner: &Comprehension, at: usize, out: &mut Vec<(Value, Value)>) -> bool {
        let Some((target, over, tests)) = inner.clauses.get(at) else {
            let key = inner.key.as_ref().map_or(Value::of(Kind::None), |key| self.eval(key));
            let value = self.eval(&inner.element);
            if out.len() < 65_536 {
                out.push((key, value));
            }
            return false;
        };
        let over = self.eval(over);
        let (items, mut open) = self.items_of(&over);
        for item in items {
            if !self.step() {
                return true;
            }
            self.assign(target, item);
            let mut fits = Some(true);
            for test in tests {
                let value = self.eval(test);
                fits = match (fits, self.truth(&value, test.line)) {
                    (_, Some(false)) => Some(false),
                    (fits, Some(true)) => fits,
                    (_, None) => None,
                };
                if fits == Some(false) {
                    break;
                }
            }
            open |= fits.is_none();
            if fits != Some(false) {
                open |= self.clauses(inner, at + 1, out);
            }
        }
        open
    }

    fn call_node(&mut self, callee: &Expr, given: &[Given], line: u32) -> Value {
        if let Node::Name(name) = &callee.node
            && name.as_ref() == "super"
            && given.is_empty()
            && let Some((class, this)) =
                self.frames.last().and_then(|frame| Some((frame.class?, frame.this.clone()?)))
        {
            return self.make(Thing::Super { class: Value::of(Kind::At(class)), this });
        }
        let callee = self.eval(callee);
        let mut all: Vec<Arg> = Vec::with_capacity(given.len().min(64));
        for one in given {
            let value = self.eval(&one.value);
            match &one.how {
                How::Position => all.push((None, value)),
                How::Keyword(name) => all.push((Some(name.clone()), value)),
                How::Star => {
                    let (items, _) = self.items_of(&value);
                    all.extend(items.into_iter().take(64).map(|item| (None, item)));
                }
                How::Stars => match self.thing_of(&value) {
                    Some(Thing::Map { pairs, .. }) => {
                        let pairs: Vec<Arg> = pairs
                            .iter()
                            .take(64)
                            .filter_map(|(key, value)| Some((Some(key.as_text()?.clone()), value.clone())))
                            .collect();
                        all.extend(pairs);
                    }
                    _ => all.push((Some("**".into()), value)),
                },
            }
        }
        self.call(callee, all, line)
    }

    fn either(&mut self, both: bool, left: &Expr, right: &Expr) -> Value {
        let line = left.line;
        let left = self.eval(left);
        match self.truth(&left, line) {
            Some(truth) if truth != both => left,
            Some(_) => self.eval(right),
            None => {
                self.weak += 1;
                let right = self.eval(right);
                self.weak -= 1;
                self.any(left, right)
            }
        }
    }

    fn choice(&mut self, test: &Expr, one: &Expr, two: &Expr) -> Value {
        let line = test.line;
        let test = self.eval(test);
        match self.truth(&test, line) {
            Some(true) => self.eval(one),
            Some(false) => self.eval(two),
            None => {
                self.weak += 1;
                let one = self.eval(one);
                let two = self.eval(two);
                self.weak -= 1;
                self.any(one, two)
            }
        }
    }

    fn format(&mut self, parts: &[Expr], line: u32) -> Value {
        let mut out = Some(String::new());
        let mut taint = Taint::default();
        for part in parts {
            let value = self.eval(part);
            if self.hook(&value, "__format__", vec![(None, Value::text(""))], line).is_none() {
                self.hook(&value, "__str__", Vec::new(), line);
            }
            taint = taint.and(value.taint);
            match (text::shown(&value), &mut out) {
                (Some(text), Some(out)) if out.len() + text.len() <= MAX_TEXT => out.push_str(&text),
                _ => out = None,
            }
        }
        taint.made |= parts.len() > 1 && out.is_some();
        let whole: String = parts
            .iter()
            .filter_map(|part| match &part.node {
                Node::Str(text) => Some(text.as_ref()),
                _ => None,
            })
            .collect();
        let constant = text::constant(&whole.as_str().into(), false);
        taint = taint.and(constant.taint);
        match out {
            Some(out) => {
                let trusted = text::constant(&out.as_str().into(), false).taint;
                self.made(out, false, taint.and(trusted))
            }
            None => Value::unknown(taint),
        }
    }

    fn chain(&mut self, op: &'static str, operands: &[Expr], line: u32) -> Value {
        let mut operands = operands.iter();
        let Some(first) = operands.next() else { return Value::default() };
        let mut value = self.eval(first);
        for operand in operands {
            let right = self.eval(operand);
            value = self.binary(op, value, right, line);
            if self.exhausted {
                break;
            }
        }
        value
    }

    pub(super) fn unary(&mut self, op: &str, value: Value, line: u32) -> Value {
        match op {
            "()" => value,
            "not" | "bool" => match self.truth(&value, line) {
                Some(truth) => Value::of(Kind::Bool(truth == (op == "bool"))).with(value.taint),
                None => Value::unknown(value.taint),
            },
            _ => {
                let name = match op {
                    "-" => "__neg__",
                    "~" => "__invert__",
                    _ => "__pos__",
                };
                if let Some(result) = self.hook(&value, name, Vec::new(), line) {
                    return result;
                }
                let number = value.as_int().and_then(|number| match op {
                    "-" => number.checked_neg(),
                    "~" => Some(!number),
                    _ => Some(number),
                });
                number.map_or(Value::unknown(value.taint), |number| {
                    Value::of(Kind::Int(number)).with(value.taint)
                })
            }
        }
    }

    pub(super) fn binary(&mut self, op: &'static str, left: Value, right: Value, line: u32) -> Value {
        let mut taint = left.taint.and(right.taint);
        let (one, two) = match op {
            "+" => ("__add__", "__radd__"),
            "-" => ("__sub__", "__rsub__"),
            "*" => ("__mul__", "__rmul__"),
            "/" => ("__truediv__", "__rtruediv__"),
            "//" => ("__floordiv__", "__rfloordiv__"),
            "%" => ("__mod__", "__rmod__"),
            "**" => ("__pow__", "__rpow__"),
            "@" => ("__matmul__", "__rmatmul__"),
            "<<" => ("__lshift__", "__rlshift__"),
            ">>" => ("__rshift__", "__rrshift__"),
            "&" => ("__and__", "__rand__"),
            "|" => ("__or__", "__ror__"),
            _ => ("__xor__", "__rxor__"),
        };
        if let Some(value) = self.hook(&left, one, vec![(None, right.clone())], line) {
            return value;
        }
        if let Some(value) = self.hook(&right, two, vec![(None, left.clone())], line) {
            return value;
        }
        // Constants taken apart bit by bit are hidden as well as encoded ones.
        taint.origin.decoded |= op == "^" && (left.as_int().is_some() || right.as_int().is_some());
        if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
            let number = match op {
                "+" => a.checked_add(b),
                "-" => a.checked_sub(b),
                "*" => a.checked_mul(b),
                "//" if b != 0 => a.checked_div_euclid(b).filter(|_| b > 0),
                "%" if b > 0 => Some(a.rem_euclid(b)),
                "**" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
                "<<" => u32::try_from(b).ok().filter(|b| *b < 48).and_then(|b| a.checked_shl(b)),
                ">>" => u32::try_from(b).ok().filter(|b| *b < 64).map(|b| a >> b),
                "&" => Some(a & b),
                "|" => Some(a | b),
                "^" => Some(a ^ b),
                _ => None,
            };
            return number.map_or(Value::unknown(taint), |number| Value { kind: Kind::Int(number), taint });
        }
        match (op, &left.kind, &right.kind) {
            ("+", Kind::Str(a), Kind::Str(b)) | ("+", Kind::Bytes(a), Kind::Bytes(b)) => {
                let bytes = matches!(left.kind, Kind::Bytes(_));
                if a.len() + b.len() > MAX_TEXT || self.made > super::MAX_MADE {
                    return Value::unknown(taint);
                }
                let text = format!("{a}{b}");
                let constant = text::constant(&text.as_str().into(), bytes);
                taint = taint.and(constant.taint);
                taint.made = true;
                self.made(text, bytes, taint)
            }
            ("*", Kind::Str(a) | Kind::Bytes(a), Kind::Int(n))
            | ("*", Kind::Int(n), Kind::Str(a) | Kind::Bytes(a)) => {
                let times = usize::try_from(*n).unwrap_or(0);
                if a.len().saturating_mul(times) > MAX_TEXT {
                    return Value::unknown(taint);
                }
                let bytes = matches!(left.kind, Kind::Bytes(_)) || matches!(right.kind, Kind::Bytes(_));
                taint.made |= times > 1;
                let text = a.repeat(times);
                self.made(text, bytes, taint)
            }
            ("%", Kind::Str(a) | Kind::Bytes(a), _) => {
                let a = a.clone();
                let given = match self.thing_of(&right) {
                    Some(Thing::Row { items, shape: Shape::Tuple, .. }) => items.clone(),
                    _ => vec![right.clone()],
                };
                let bytes = matches!(left.kind, Kind::Bytes(_));
                taint.made = true;
                match text::percent(&a, &given) {
                    Some(text) if text.len() <= MAX_TEXT => self.made(text, bytes, taint),
                    _ => Value::unknown(taint),
                }
            }
            // Paths are put together so.
            ("/", _, Kind::Str(b)) => {
                let joined = match left.as_text() {
                    Some(a) => format!("{a}/{b}"),
                    None => format!("/{b}"),
                };
                let constant = text::constant(&joined.as_str().into(), false);
                taint = taint.and(constant.taint);
                taint.made = false;
                self.made(joined, false, taint)
            }
            ("|", _, _) if matches!(self.thing_of(&left), Some(Thing::Map { .. })) => {
                let mut pairs = self.pairs_of(&left);
                pairs.extend(self.pairs_of(&right));
                self.make(Thing::Map { pairs, open: false, factory: None }).with(taint)
            }
            ("+", Kind::At(_), Kind::At(_)) => {
                let ((mut a, one), (b, two)) = (self.row_items(&left), self.row_items(&right));
                if a.is_empty() && b.is_empty() || a.len() + b.len() > 65_536 {
                    return Value::unknown(taint);
                }
                a.extend(b);
                self.make(Thing::Row { items: a, shape: Shape::List, open: one || two }).with(taint)
            }
            ("*", Kind::At(_), Kind::Int(n)) => {
                let (items, open) = self.row_items(&left);
                let times = usize::try_from(*n).unwrap_or(0);
                if items.is_empty() || items.len().saturating_mul(times) > 65_536 {
                    return Value::unknown(taint);
                }
                let all = items.iter().cycle().take(items.len() * times).cloned().collect();
                self.make(Thing::Row { items: all, shape: Shape::List, open }).with(taint)
            }
            _ => Value::unknown(taint),
        }
    }

    fn compare(&mut self, op: &'static str, left: &Value, right: &Value, line: u32) -> Value {
        let taint = Taint { made: false, ..left.taint.and(right.taint) };
        let hook = match op {
            "==" => Some("__eq__"),
            "!=" => Some("__ne__"),
            "<" => Some("__lt__"),
            "<=" => Some("__le__"),
            ">" => Some("__gt__"),
            ">=" => Some("__ge__"),
            _ => None,
        };
        if let Some(name) = hook
            && let Some(value) = self.hook(left, name, vec![(None, right.clone())], line)
        {
            return value;
        }
        if matches!(op, "in" | "not in")
            && let Some(value) = self.hook(right, "__contains__", vec![(None, left.clone())], line)
        {
            return value;
        }
        let numbers = left.as_int().zip(right.as_int());
        let truth = match op {
            "==" => left.same(right),
            "!=" => left.same(right).map(|same| !same),
            "<" => numbers.map(|(a, b)| a < b),
            "<=" => numbers.map(|(a, b)| a <= b),
            ">" => numbers.map(|(a, b)| a > b),
            ">=" => numbers.map(|(a, b)| a >= b),
            "in" | "not in" => self.within(left, right).map(|found| found == (op == "in")),
            _ => None,
        };
        truth.map_or(Value::unknown(taint), |truth| Value { kind: Kind::Bool(truth), taint })
    }

    fn within(&mut self, item: &Value, row: &Value) -> Option<bool> {
        if let (Some(item), Some(text)) = (item.as_text(), row.as_text()) {
            return Some(text.contains(item.as_ref()));
        }
        let (items, open) = match self.thing_of(row)? {
            Thing::Row { items, open, .. } => (items.clone(), *open),
            Thing::Map { pairs, open, .. } => (pairs.iter().map(|(key, _)| key.clone()).collect(), *open),
            _ => return None,
        };
        let mut unknown = open;
        for one in &items {
            match one.same(item) {
                Some(true) => return Some(true),
                None => unknown = true,
                Some(false) => {}
            }
        }
        if unknown { None } else { Some(false) }
    }

    /// Whether a value counts as true.
    pub(super) fn truth(&mut self, value: &Value, line: u32) -> Option<bool> {
        match &value.kind {
            Kind::None => return Some(false),
            Kind::Bool(truth) => return Some(*truth),
            Kind::Int(number) => return Some(*number != 0),
            Kind::Str(text) | Kind::Bytes(text) => return Some(!text.is_empty()),
            Kind::Unknown | Kind::Path(_) | Kind::Code(_) => return None,
            Kind::At(_) => {}
        }
        match self.thing_of(value)? {
            Thing::Row { items, open: false, .. } => return Some(!items.is_empty()),
            Thing::Map { pairs, open: false, .. } => return Some(!pairs.is_empty()),
            Thing::Function(_) | Thing::Class(_) => return Some(true),
            Thing::Object { .. } => {}
            _ => return None,
        }
        let result = match self.hook(value, "__bool__", Vec::new(), line) {
            Some(result) => result,
            None => self.hook(value, "__len__", Vec::new(), line)?,
        };
        match result.kind {
            Kind::Bool(truth) => Some(truth),
            Kind::Int(number) => Some(number != 0),
            _ => None,
        }
    }

    /// The items of a list, tuple or set; nothing of other values.
    pub(super) fn row_items(&self, value: &Value) -> (Vec<Value>, bool) {
        match self.thing_of(value) {
            Some(Thing::Row { items, open, .. }) => (items.clone(), *open),
            _ => (Vec::new(), true),
        }
    }

    pub(super) fn pairs_of(&self, value: &Value) -> Vec<(Value, Value)> {
        match self.thing_of(value) {
            Some(Thing::Map { pairs, .. }) => pairs.clone(),
            _ => Vec::new(),
        }
    }

    /// What iterating over a value gives, and whether there may be more or less of it.
    pub(super) fn items_of(&mut self, value: &Value) -> (Vec<Value>, bool) {
        let taint = value.taint;
        match &value.kind {
            Kind::Str(text) => {
                self.steps = self.steps.saturating_add(text.len() as u32 / 8);
                return (text.chars().map(|c| Value::text(c.to_string()).with(taint)).collect(), false);
            }
            Kind::Bytes(text) => {
                self.steps = self.steps.saturating_add(text.len() as u32 / 8);
                let byte = |c: char| Value { kind: Kind::Int(i64::from(u32::from(c))), taint };
                return (text.chars().map(byte).collect(), false);
            }
            Kind::At(_) => {}
            Kind::Path(path) if path.starts_with("builtins.__dict__.") => {
                let any = Value::path("builtins.__dict__[]").with(Taint { inside: true, ..taint });
                let item = if path.ends_with(".items()") {
                    self.row(vec![Value::default(), any], Shape::Tuple)
                } else {
                    any
                };
                return (vec![item], true);
            }
            Kind::Path(path) if path.starts_with(super::objects::SUBCLASSES) => {
                let one = Value::path(super::objects::SUBCLASSES);
                return (vec![one.with(Taint { inside: true, ..taint })], true);
            }
            _ => return (vec![Value::unknown(taint)], true),
        }
        let line = 0;
        match self.thing_of(value) {
            Some(Thing::Row { items, open, .. }) => {
                let (items, open) = (items.clone(), *open);
                self.steps = self.steps.saturating_add(items.len() as u32 / 8);
                (items, open)
            }
            Some(Thing::Map { pairs, open, .. }) => {
                (pairs.iter().map(|(key, _)| key.clone()).collect(), *open)
            }
            Some(Thing::Generator { .. }) => (self.run_generator(value, None), false),
            Some(Thing::Any(values)) => {
                let values = values.clone();
                let mut all = Vec::new();
                for value in values {
                    all.extend(self.items_of(&value).0);
                }
                (all, true)
            }
            Some(Thing::Scope { names, .. }) => {
                let mut names: Vec<Value> = names.keys().map(|name| Value::text(name.clone())).collect();
                names.sort_by(|a, b| a.as_text().cmp(&b.as_text()));
                (names, true)
            }
            Some(Thing::Object { .. } | Thing::Class(_)) => {
                for name in ["__iter__", "__aiter__"] {
                    if let Some(iterator) = self.hook(value, name, Vec::new(), line) {
                        for next in ["__next__", "__anext__"] {
                            if let Some(item) = self.hook(&iterator, next, Vec::new(), line) {
                                return (vec![item], true);
                            }
                        }
                        let same =
                            matches!((&iterator.kind, &value.kind), (Kind::At(a), Kind::At(b)) if a == b);
                        let plain = matches!(self.thing_of(&iterator), Some(Thing::Object { .. }));
                        return if same || plain {
                            (vec![Value::unknown(taint)], true)
                        } else {
                            self.items_of(&iterator)
                        };
                    }
                }
                match self.hook(value, "__getitem__", vec![(None, Value::of(Kind::Int(0)))], line) {
                    Some(item) => (vec![item], true),
                    None => (vec![Value::unknown(taint)], true),
                }
            }
            _ => (vec![Value::unknown(taint)], true),
        }
    }

    /// Runs text as code, with the names of a dictionary where one is given.
    pub(super) fn run_text_in(
        &mut self,
        code: &Name,
        taint: Taint,
        space: Option<Value>,
        line: u32,
    ) -> Value {
        let pairs = space.as_ref().map_or(Vec::new(), |space| self.pairs_of(space));
        let Some(space) = space.filter(|space| matches!(self.thing_of(space), Some(Thing::Map { .. })))
        else {
            return self.run_text(code, taint, line);
        };
        let known = pairs.into_iter().filter_map(|(name, value)| Some((name.as_text()?.clone(), value)));
        let names: Names = known.collect();
        let parent = Some(self.globals);
        let Kind::At(scope) = self.make(Thing::Scope { names, parent, class: false, outer: Vec::new() }).kind
        else {
            return Value::default();
        };
        let outer = std::mem::replace(&mut self.scope, scope);
        let value = self.run_text(code, taint, line);
        self.scope = outer;
        let made: Vec<(Name, Value)> = match self.thing(scope) {
            Thing::Scope { names, .. } => {
                names.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            _ => Vec::new(),
        };
        for (name, value) in made {
            self.set_item(&space, Value::text(name), value, line);
        }
        value
    }

    /// Runs text as code, with the names known here.
    pub(super) fn run_text(&mut self, code: &Name, taint: Taint, line: u32) -> Value {
        if self.nested >= super::MAX_NESTED || !self.step() {
            return Value::default();
        }
        self.made = self.made.saturating_add(code.len());
        self.steps = self.steps.saturating_add(code.len() as u32 / 4);
        let (module, _) = super::parse::module(code, super::MAX_TOKENS / 10);
        let hidden = u32::from(taint.origin.decoded);
        let assembled = u32::from(taint.made);
        self.nested += 1;
        self.hidden += hidden;
        self.assembled += assembled;
        let outer = self.line;
        self.line = Some(outer.unwrap_or(line));
        let mut value = Value::of(Kind::None);
        match module.as_slice() {
            [Stmt::Expr(expr)] => value = self.eval(expr),
            module => {
                self.block(module);
            }
        }
        self.line = outer;
        self.nested -= 1;
        self.hidden -= hidden;
        self.assembled -= assembled;
        value
    }
}
