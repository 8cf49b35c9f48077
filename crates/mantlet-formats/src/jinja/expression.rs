//! Expressions, in Jinja's order of precedence, folded as they are read.
//!
//! Long because the grammar of one expression is one recursion over the same machine.

use super::lex::Kind;
use super::value::{MAX_TEXT, Value, arithmetic, braces, concat, each2, join, percent, slice, transform};
use super::{MAX_DEPTH, Machine};

/// Numbers of repetitions that no prompt needs.
const HUGE: i64 = 5_000_000;

impl<'t> Machine<'t> {
    /// An expression, or several with commas: a list then.
    pub(super) fn tuple(&mut self) -> Value {
        let first = self.expression();
        self.more(first, true)
    }

    /// As [`Self::tuple`], where `if` belongs to the loop around it.
    pub(super) fn unconditional_tuple(&mut self) -> Value {
        let first = self.or();
        self.more(first, false)
    }

    fn more(&mut self, first: Value, conditional: bool) -> Value {
        if !matches!(self.kind(), Some(Kind::Op(","))) {
            return first;
        }
        let mut items = vec![first];
        while self.eat(",") {
            if matches!(self.kind(), Some(Kind::Close | Kind::CloseVar | Kind::Op(")" | "=")) | None) {
                break;
            }
            items.push(if conditional { self.expression() } else { self.or() });
        }
        Value::list(items)
    }

    pub(super) fn expression(&mut self) -> Value {
        if self.depth >= MAX_DEPTH {
            self.broke = true;
            let why = "expressions of the template are nested too deep";
            if !self.facts.limits.iter().any(|limit| limit == why) {
                self.facts.limits.push(why.into());
            }
            self.step();
            return Value::None;
        }
        self.depth += 1;
        let mut value = self.or();
        while self.word("if") {
            self.or();
            let other = if self.word("else") { self.expression() } else { Value::None };
            value = value.or(other);
        }
        self.depth -= 1;
        value
    }

    fn or(&mut self) -> Value {
        let mut value = self.and();
        while self.word("or") {
            let right = self.and();
            value = value.or(right);
        }
        value
    }

    fn and(&mut self) -> Value {
        let mut value = self.not();
        while self.word("and") {
            let right = self.not();
            value = value.or(right);
        }
        value
    }

    fn not(&mut self) -> Value {
        let mut negated = false;
        while self.word("not") {
            negated = true;
        }
        let value = self.comparison();
        if negated { Value::sym("a truth value") } else { value }
    }

    fn comparison(&mut self) -> Value {
        let mut value = self.sum();
        loop {
            let offset = self.offset();
            let negated = self.at_word("not")
                && matches!(self.tokens.get(self.at + 1).map(|token| &token.kind), Some(Kind::Name("in")));
            if negated {
                self.step();
            }
            let compares = ["==", "!=", "<=", ">=", "<", ">"].iter().any(|op| self.eat(op));
            if !compares && !self.word("in") {
                return value;
            }
            let right = self.sum();
            self.trigger(&value, &right, offset);
            value = Value::sym("a truth value");
        }
    }

    /// Plain words that are looked for in what a person wrote.
    fn trigger(&mut self, left: &Value, right: &Value, offset: usize) {
        let (text, path) = match (left, right) {
            (Value::Str(text), Value::Sym { path, .. }) | (Value::Sym { path, .. }, Value::Str(text)) => {
                (text, path)
            }
            _ => return,
        };
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        let markup = text.contains(['<', '>', '[', ']', '|', '{', '}', '/']);
        let content = path.rsplit(['.', '~', ' ']).next().is_some_and(|last| last.starts_with("content"));
        if content && letters >= 3 && !markup && !path.ends_with("[i]") {
            let what = text.chars().take(80).collect();
            Self::spot(&mut self.facts.triggers, what, offset);
        }
    }

    fn sum(&mut self) -> Value {
        let mut value = self.concatenation();
        loop {
            let offset = self.offset();
            let op = match self.kind() {
                Some(&Kind::Op(op @ ("+" | "-"))) => op,
                _ => return value,
            };
            self.step();
            let right = self.concatenation();
            value = self.calculated(op, &value, &right, offset);
        }
    }

    fn concatenation(&mut self) -> Value {
        let mut value = self.product();
        while self.eat("~") {
            let right = self.product();
            value = concat(&value, &right);
        }
        value
    }

    fn product(&mut self) -> Value {
        let mut value = self.unary();
        loop {
            let offset = self.offset();
            let op = match self.kind() {
                Some(&Kind::Op(op @ ("*" | "/" | "//" | "%" | "**"))) => op,
                _ => return value,
            };
            self.step();
            let right = self.unary();
            value = self.calculated(op, &value, &right, offset);
        }
    }

    fn calculated(&mut self, op: &str, left: &Value, right: &Value, offset: usize) -> Value {
        let value = arithmetic(op, left, right);
        let repeats = match (op, left, right) {
            ("*", Value::Str(_) | Value::List(_), Value::Int(n))
            | ("*", Value::Int(n), Value::Str(_) | Value::List(_)) => *n,
            ("**", Value::Int(base), Value::Int(power)) if base.unsigned_abs() > 1 && *power > 1_000 => HUGE,
            _ => 0,
        };
        if repeats >= HUGE {
            let what = format!("{} {op} {}", left.shown(), right.shown());
            Self::spot(&mut self.facts.exhausts, what, offset);
        }
        value
    }

    fn unary(&mut self) -> Value {
        let mut minus = false;
        loop {
            if self.eat("-") {
                minus = !minus;
            } else if !self.eat("+") {
                break;
            }
        }
        let value = self.primary();
        let value = self.postfix(value);
        let value = self.filters(value);
        match value {
            Value::Int(value) if minus => Value::Int(value.saturating_neg()),
            other => other,
        }
    }

    fn primary(&mut self) -> Value {
        let Some(kind) = self.kind().cloned() else {
            self.broke = true;
            return Value::None;
        };
        match kind {
            Kind::Name(name) => {
                self.step();
                match name {
                    "true" | "True" => Value::Bool(true),
                    "false" | "False" => Value::Bool(false),
                    "none" | "None" => Value::None,
                    _ => self.names.get(name).cloned().unwrap_or_else(|| Value::sym(name)),
                }
            }
            Kind::Str(mut text) => {
                self.step();
                let mut built = false;
                loop {
                    match self.kind() {
                        Some(Kind::Str(more)) if text.len() + more.len() <= 64 * MAX_TEXT => {
                            text.push_str(more)
                        }
                        Some(Kind::Opaque) => built = true,
                        _ => break,
                    }
                    self.step();
                }
                if built { Value::built(format!("{text:?}")) } else { Value::string(text) }
            }
            Kind::Opaque => {
                self.step();
                Value::built("a text with named characters")
            }
            Kind::Int(value) => {
                self.step();
                Value::Int(value)
            }
            Kind::Float => {
                self.step();
                Value::sym("a number")
            }
            Kind::Op("(") => {
                self.step();
                if self.eat(")") {
                    return Value::list(Vec::new());
                }
                let value = self.tuple();
                self.broke |= !self.eat(")");
                value
            }
            Kind::Op("[") => {
                self.step();
                let mut items = Vec::new();
                while !self.eat("]") {
                    items.push(self.expression());
                    if !self.eat(",") {
                        self.broke |= !self.eat("]");
                        break;
                    }
                }
                Value::list(items)
            }
            Kind::Op("{") => {
                self.step();
                let mut pairs = Vec::new();
                while !self.eat("}") {
                    let key = self.expression();
                    self.broke |= !self.eat(":");
                    let value = self.expression();
                    if let Some(key) = key.text() {
                        pairs.push((key, value));
                    }
                    if !self.eat(",") {
                        self.broke |= !self.eat("}");
                        break;
                    }
                }
                Value::dict(pairs)
            }
            _ => {
                self.broke = true;
                if !matches!(kind, Kind::Close | Kind::CloseVar | Kind::Data(_) | Kind::Open | Kind::OpenVar)
                {
                    self.step();
                }
                Value::None
            }
        }
    }

    fn postfix(&mut self, mut value: Value) -> Value {
        loop {
            let offset = self.offset();
            if self.eat(".") {
                let name = match self.kind() {
                    Some(&Kind::Name(name)) => Value::Str(name.to_owned()),
                    Some(&Kind::Int(index)) => Value::Int(index),
                    _ => {
                        self.broke = true;
                        return value;
                    }
                };
                self.step();
                value = self.member(value, name, offset);
            } else if self.eat("[") {
                value = self.subscript(value, offset);
            } else if self.eat("(") {
                let (arguments, named) = self.arguments();
                value = self.call(&value, &arguments, &named, offset);
            } else {
                return value;
            }
        }
    }

    /// Reads a member, or calls it when a call follows and the object is a constant.
    fn member(&mut self, base: Value, name: Value, offset: usize) -> Value {
        let value = self.access(&base, &name, offset);
        let Value::Str(method) = &name else { return value };
        if !matches!(self.kind(), Some(Kind::Op("("))) {
            return value;
        }
        self.step();
        let (arguments, named) = self.arguments();
        self.method(&base, method, &arguments, &named, offset)
    }

    fn subscript(&mut self, base: Value, offset: usize) -> Value {
        let mut bounds = [None; 3];
        let (mut index, mut slices, mut opaque, mut first) = (0, false, false, None);
        loop {
            match self.kind() {
                Some(Kind::Op(":")) => {
                    self.step();
                    slices = true;
                    index += 1;
                }
                Some(Kind::Op("]")) => {
                    self.step();
                    break;
                }
                Some(Kind::Op(",")) => self.step(),
                None | Some(Kind::Close | Kind::CloseVar | Kind::Data(_) | Kind::Open | Kind::OpenVar) => {
                    self.broke = true;
                    break;
                }
                Some(_) => {
                    let value = self.expression();
                    match (&value, bounds.get_mut(index)) {
                        (Value::Int(value), Some(bound)) => *bound = Some(*value),
                        (Value::None, _) => {}
                        _ => opaque = true,
                    }
                    first = first.or(Some(value));
                }
            }
        }
        if slices {
            if opaque {
                let path = format!("{}[:]", base.shown());
                return if base.is_built() || matches!(base, Value::Str(_)) {
                    Value::built(path)
                } else {
                    Value::sym(path)
                };
            }
            return each2(&base, &Value::None, |base, _| slice(base, bounds));
        }
        self.member(base, first.unwrap_or(Value::None), offset)
    }

    /// `base.name` or `base[name]`.
    pub(super) fn access(&mut self, base: &Value, name: &Value, offset: usize) -> Value {
        let path = base.shown();
        for one in name.clone().alternatives() {
            if let Value::Str(name) = &one {
                self.touch(&path, name, offset);
            } else if one.is_built() {
                let what = format!("{path}[{}]", one.shown());
                Self::spot(&mut self.facts.computed, what, offset);
            }
        }
        let mut result: Option<Value> = None;
        for base in base.clone().alternatives() {
            let value = self.entry(&base, name);
            result = Some(match result {
                Some(old) => old.or(value),
                None => value,
            });
        }
        result.unwrap_or(Value::None)
    }

    fn entry(&self, base: &Value, name: &Value) -> Value {
        match (base, name) {
            (Value::List(_) | Value::Str(_), Value::Int(index)) => {
                let items = base.items().unwrap_or_default();
                let index = if *index < 0 { index.saturating_add(items.len() as i64) } else { *index };
                let found = usize::try_from(index).ok().and_then(|index| items.get(index));
                found.cloned().unwrap_or_else(|| Value::built("a character"))
            }
            (Value::Dict(pairs), Value::Str(name)) => pairs
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map_or_else(|| Value::sym(name.as_str()), |(_, value)| value.clone()),
            (Value::Sym { path, built }, Value::Str(name)) => {
                // Fields of a namespace are known by their full name.
                if let Some(known) = self.names.get(&format!("{path}.{name}")) {
                    return known.clone();
                }
                Value::Sym { path: Value::sym(format!("{path}.{name}")).shown(), built: *built }
            }
            (Value::Sym { path, built }, index) => {
                Value::Sym { path: Value::sym(format!("{path}[{}]", index.shown())).shown(), built: *built }
            }
            (base, name) => Value::sym(format!("{}[{}]", base.shown(), name.shown())),
        }
    }

    /// The arguments of a call, after `(`.
    pub(super) fn arguments(&mut self) -> (Vec<Value>, Vec<(String, Value)>) {
        let (mut arguments, mut named) = (Vec::new(), Vec::new());
        while !self.eat(")") {
            if matches!(self.kind(), None | Some(Kind::Close | Kind::CloseVar | Kind::Data(_) | Kind::Open)) {
                self.broke = true;
                break;
            }
            let starred = self.eat("**") || self.eat("*");
            let next = self.tokens.get(self.at + 1).map(|token| &token.kind);
            if let (Some(&Kind::Name(name)), Some(Kind::Op("="))) = (self.kind(), next) {
                self.step();
                self.step();
                let value = self.expression();
                if named.len() < 64 {
                    named.push((name.to_owned(), value));
                }
            } else {
                let value = self.expression();
                match (starred, value) {
                    (true, Value::List(items)) => arguments.extend(items),
                    (_, value) => arguments.push(value),
                }
                arguments.truncate(256);
            }
            if !self.eat(",") {
                self.broke |= !self.eat(")");
                break;
            }
        }
        (arguments, named)
    }

    fn call(
        &mut self,
        callee: &Value,
        arguments: &[Value],
        named: &[(String, Value)],
        offset: usize,
    ) -> Value {
        let Value::Sym { path, .. } = callee else { return Value::sym(format!("{}()", callee.shown())) };
        let path = path.clone();
        if let Some(value) = self.enter(&path, arguments, named) {
            return value;
        }
        match path.as_str() {
            "range" => {
                if let Some(Value::Int(n)) = arguments.get(1).or(arguments.first())
                    && *n >= HUGE
                {
                    Self::spot(&mut self.facts.exhausts, format!("range({n})"), offset);
                }
                if let [Value::Int(n)] = arguments
                    && (0..=64).contains(n)
                {
                    return Value::list((0..*n).map(Value::Int).collect());
                }
                Value::sym("range()")
            }
            "dict" => Value::dict(named.to_vec()),
            "namespace" => {
                // Its fields get their names from the assignment around it.
                self.space = Some(named.to_vec());
                Value::sym("namespace()")
            }
            _ => {
                let shown: Vec<String> = arguments.iter().take(3).map(Value::shown).collect();
                let built = callee.is_built();
                let path = Value::sym(format!("{path}({})", shown.join(", "))).shown();
                Value::Sym { path, built }
            }
        }
    }

    fn method(
        &mut self,
        base: &Value,
        name: &str,
        arguments: &[Value],
        named: &[(String, Value)],
        offset: usize,
    ) -> Value {
        match name {
            "join" => {
                let items = arguments.first().cloned().unwrap_or(Value::None);
                return each2(base, &items, |base, items| match base.text() {
                    Some(separator) => join(items, &separator),
                    None => join(items, ""),
                });
            }
            "format" | "format_map" => return self.formatted(base, arguments, named, offset),
            "startswith" | "endswith" | "find" | "count" | "index" => {
                if let Some(first) = arguments.first() {
                    self.trigger(base, first, offset);
                }
            }
            "get" | "pop" | "setdefault" | "getattr" | "__getitem__" | "__getattribute__" => {
                if let Some(key) = arguments.first() {
                    let value = self.access(base, key, offset);
                    return match arguments.get(1) {
                        Some(default) => value.or(default.clone()),
                        None => value,
                    };
                }
            }
            _ => {}
        }
        if let Some(value) = transform(name, base, arguments) {
            return value;
        }
        let shown: Vec<String> = arguments.iter().take(3).map(Value::shown).collect();
        let path = format!("{}.{name}({})", base.shown(), shown.join(", "));
        if self.macros.contains_key(path.as_str()) {
            return Value::sym(path);
        }
        if base.is_built() { Value::built(path) } else { Value::sym(path) }
    }

    /// `'{0.x}'.format(y)` reads attributes of `y`.
    fn formatted(
        &mut self,
        base: &Value,
        arguments: &[Value],
        named: &[(String, Value)],
        offset: usize,
    ) -> Value {
        let mut result: Option<Value> = None;
        for one in base.clone().alternatives() {
            let value = match &one {
                Value::Str(format) => {
                    let mut fields = Vec::new();
                    let value = braces(format, arguments, named, |field| fields.push(field.to_owned()));
                    for field in fields.iter().take(64) {
                        for part in field.split(['.', '[', ']']).skip(1) {
                            self.touch(&format!("{format:?}.format()"), part, offset);
                        }
                    }
                    value
                }
                other if other.is_built() => {
                    let what = format!("{}.format()", other.shown());
                    Self::spot(&mut self.facts.computed, what, offset);
                    Value::built("formatted text")
                }
                other => Value::sym(format!("{}.format()", other.shown())),
            };
            result = Some(match result {
                Some(old) => old.or(value),
                None => value,
            });
        }
        result.unwrap_or(Value::None)
    }

    fn filters(&mut self, mut value: Value) -> Value {
        loop {
            let offset = self.offset();
            if self.eat("|") {
                let Some(mut name) = self.name() else {
                    self.broke = true;
                    return value;
                };
                while self.eat(".") {
                    name = self.name().unwrap_or("");
                }
                let (arguments, named) = if self.eat("(") { self.arguments() } else { Default::default() };
                value = self.filter(name, &value, &arguments, &named, offset);
                // A filter's result may be called: `x|attr('f')()`.
                if matches!(self.kind(), Some(Kind::Op("("))) {
                    value = self.postfix(value);
                }
            } else if self.word("is") {
                self.word("not");
                self.test();
                value = Value::sym("a truth value");
            } else {
                return value;
            }
        }
    }

    /// The name and the argument of a test.
    fn test(&mut self) {
        while self.name().is_some() {
            if !self.eat(".") {
                break;
            }
        }
        if self.eat("(") {
            self.arguments();
            return;
        }
        let operand = match self.kind() {
            Some(Kind::Name(name)) => !matches!(*name, "else" | "or" | "and" | "if" | "is" | "in" | "not"),
            Some(Kind::Str(_) | Kind::Int(_) | Kind::Float | Kind::Op("[" | "{")) => true,
            _ => false,
        };
        if operand {
            let value = self.primary();
            self.postfix(value);
        }
    }

    fn filter(
        &mut self,
        name: &str,
        base: &Value,
        arguments: &[Value],
        named: &[(String, Value)],
        offset: usize,
    ) -> Value {
        let keyword = |wanted: &str| named.iter().find(|(key, _)| key == wanted).map(|(_, value)| value);
        match name {
            "attr" => {
                let name = arguments.first().cloned().unwrap_or(Value::None);
                for one in name.clone().alternatives() {
                    if !matches!(one, Value::Str(_)) && !one.is_built() {
                        let what = format!("{}|attr({})", base.shown(), one.shown());
                        Self::spot(&mut self.facts.computed, what, offset);
                    }
                }
                self.access(base, &name, offset)
            }
            "map" | "select" | "reject" | "selectattr" | "rejectattr" | "groupby" | "sort" | "sum"
            | "unique" | "min" | "max" => {
                let attribute = keyword("attribute").cloned().or_else(|| {
                    matches!(name, "selectattr" | "rejectattr" | "groupby")
                        .then(|| arguments.first().cloned())
                        .flatten()
                });
                if let Some(attribute) = attribute {
                    for one in attribute.alternatives() {
                        match &one {
                            Value::Str(dotted) => {
                                for part in dotted.split('.') {
                                    self.touch(&base.shown(), part, offset);
                                }
                            }
                            other if other.is_built() => {
                                let what = format!("{}|{name}({})", base.shown(), other.shown());
                                Self::spot(&mut self.facts.computed, what, offset);
                            }
                            _ => {}
                        }
                    }
                    return Value::sym(format!("{}|{name}", base.shown()));
                }
                if name == "map"
                    && let Some((Value::Str(inner), rest)) = arguments.split_first()
                {
                    let (inner, items) = (inner.clone(), base.items());
                    let Some(items) = items else {
                        return self.filter(&inner, base, rest, &[], offset);
                    };
                    if self.steps < items.len() as u32 * 4 {
                        return Value::sym("mapped");
                    }
                    self.steps -= items.len() as u32 * 4;
                    let mapped = items.iter().map(|item| self.filter(&inner, item, rest, &[], offset));
                    let mapped: Vec<Value> = mapped.collect();
                    return Value::list(mapped);
                }
                transform(name, base, arguments).unwrap_or_else(|| self.opaque(name, base))
            }
            "default" | "d" => base.clone().or(arguments.first().cloned().unwrap_or(Value::None)),
            "format" => each2(base, &Value::None, |base, _| match base {
                Value::Str(format) => percent(format, arguments),
                other => Value::sym(format!("{}|format", other.shown())),
            }),
            "join" => {
                let separator = arguments.first().or(keyword("d")).and_then(Value::text).unwrap_or_default();
                each2(base, &Value::None, |base, _| join(base, &separator))
            }
            _ => match transform(name, base, arguments) {
                Some(value) => value,
                None => self.opaque(name, base),
            },
        }
    }

    /// A filter over something unknown. The text of a host's function is raw material for hidden names.
    fn opaque(&self, name: &str, base: &Value) -> Value {
        let path = format!("{}|{name}", base.shown());
        let host = ["lipsum", "cycler", "joiner", "self", "url_for", "range", "dict", "namespace", "request"];
        let Value::Sym { path: source, built } = base else { return Value::sym(path) };
        let printed =
            matches!(name, "string" | "list" | "escape" | "e" | "urlencode" | "pprint" | "forceescape");
        if *built || (printed && host.contains(&source.as_str())) {
            Value::built(path)
        } else {
            Value::sym(path)
        }
    }
}
