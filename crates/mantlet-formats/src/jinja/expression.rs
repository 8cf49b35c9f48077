//! Expressions, in Jinja's order of precedence, folded as they are read.

use super::lex::Kind;
use super::value::{MAX_TEXT, Value, arithmetic, concat, each2, slice};
use super::{MAX_DEPTH, Machine};

/// Numbers of repetitions that no prompt needs.
pub(super) const HUGE: i64 = 5_000_000;

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

    pub(super) fn more(&mut self, first: Value, conditional: bool) -> Value {
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
            self.limit("expressions of the template are nested too deep");
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

    pub(super) fn or(&mut self) -> Value {
        let mut value = self.and();
        while self.word("or") {
            let right = self.and();
            value = value.or(right);
        }
        value
    }

    pub(super) fn and(&mut self) -> Value {
        let mut value = self.not();
        while self.word("and") {
            let right = self.not();
            value = value.or(right);
        }
        value
    }

    pub(super) fn not(&mut self) -> Value {
        let mut negated = false;
        while self.word("not") {
            negated = true;
        }
        let value = self.comparison();
        if negated { Value::sym("a truth value") } else { value }
    }

    pub(super) fn comparison(&mut self) -> Value {
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
            self.date(&value, &right, offset);
            value = Value::sym("a truth value");
        }
    }

    /// A date that is compared with the day the template is rendered on.
    fn date(&mut self, left: &Value, right: &Value, offset: usize) {
        const CLOCKS: [&str; 4] = ["strftime_now", "date_string", "datetime", "now()"];
        let today = |value: &Value| {
            value.clone().alternatives().iter().any(|one| match one {
                Value::Sym { path, .. } => CLOCKS.iter().any(|clock| path.contains(clock)),
                _ => false,
            })
        };
        let fixed = |value: &Value| match value {
            Value::Int(_) => true,
            Value::Str(text) => text.chars().any(|c| c.is_ascii_digit()),
            _ => false,
        };
        if today(left) && fixed(right) || today(right) && fixed(left) {
            let constant = if fixed(right) { right } else { left };
            Self::spot(&mut self.facts.dates, constant.shown(), offset);
        }
    }

    /// Plain words that are looked for in what a person wrote.
    pub(super) fn trigger(&mut self, left: &Value, right: &Value, offset: usize) {
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

    pub(super) fn sum(&mut self) -> Value {
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

    pub(super) fn concatenation(&mut self) -> Value {
        let mut value = self.product();
        while self.eat("~") {
            let right = self.product();
            value = concat(&value, &right);
        }
        value
    }

    pub(super) fn product(&mut self) -> Value {
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

    pub(super) fn calculated(&mut self, op: &str, left: &Value, right: &Value, offset: usize) -> Value {
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

    pub(super) fn unary(&mut self) -> Value {
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

    pub(super) fn primary(&mut self) -> Value {
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

    pub(super) fn postfix(&mut self, mut value: Value) -> Value {
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
    pub(super) fn member(&mut self, base: Value, name: Value, offset: usize) -> Value {
        let value = self.access(&base, &name, offset);
        let Value::Str(method) = &name else { return value };
        if !matches!(self.kind(), Some(Kind::Op("("))) {
            return value;
        }
        self.step();
        let (arguments, named) = self.arguments();
        self.method(&base, method, &arguments, &named, offset)
    }

    pub(super) fn subscript(&mut self, base: Value, offset: usize) -> Value {
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
}
