//! What is applied to a value: calls, methods, formats, filters and tests.
//!
//! Long because whatever is applied shares the values it is applied to.

use super::Machine;
use super::expression::HUGE;
use super::lex::Kind;
use super::value::{Value, braces, each2, join, percent, transform};

impl Machine<'_> {
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
                if arguments.len() > 256 {
                    self.limit("a call of the template has more arguments than are followed");
                    arguments.truncate(256);
                }
            }
            if !self.eat(",") {
                self.broke |= !self.eat(")");
                break;
            }
        }
        (arguments, named)
    }

    pub(super) fn call(
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
                self.ranged = match arguments {
                    [Value::Int(n)] => Some(*n),
                    [Value::Int(from), Value::Int(to)] => to.checked_sub(*from),
                    [Value::Int(from), Value::Int(to), Value::Int(step)] => {
                        to.checked_sub(*from).and_then(|all| all.checked_div(*step))
                    }
                    _ => None,
                };
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

    pub(super) fn method(
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
            "replace" => self.rewrite(base, arguments, offset),
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
    pub(super) fn formatted(
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
                    if fields.len() > 64 {
                        self.limit("a format of the template has more fields than are followed");
                    }
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

    pub(super) fn filters(&mut self, mut value: Value) -> Value {
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
    pub(super) fn test(&mut self) {
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

    pub(super) fn filter(
        &mut self,
        name: &str,
        base: &Value,
        arguments: &[Value],
        named: &[(String, Value)],
        offset: usize,
    ) -> Value {
        if name == "replace" {
            self.rewrite(base, arguments, offset);
        }
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

    /// What the host gives is changed before the model sees it: an address, an account, a number of digits.
    fn rewrite(&mut self, base: &Value, arguments: &[Value], offset: usize) {
        let [from, Value::Str(to), ..] = arguments else { return };
        let given = base.clone().alternatives().iter().any(|one| matches!(one, Value::Sym { .. }));
        let same = matches!(from, Value::Str(from) if from == to);
        if given && !same && (is_host(to) || is_number(to)) {
            let what = format!("{} with {to:?}", from.shown());
            Self::spot(&mut self.facts.rewrites, what, offset);
        }
    }

    /// A filter over something unknown. The text of a host's function is raw material for hidden names.
    pub(super) fn opaque(&self, name: &str, base: &Value) -> Value {
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

    pub(super) fn entry(&self, base: &Value, name: &Value) -> Value {
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
}

/// Whether a text names a machine: an address with a scheme or a dotted name under a domain that is given out.
fn is_host(text: &str) -> bool {
    const DOMAINS: [&str; 36] = [
        "com", "net", "org", "io", "ai", "dev", "app", "co", "info", "xyz", "top", "ru", "cn", "cloud",
        "site", "online", "test", "tk", "me", "cc", "us", "uk", "de", "fr", "eu", "biz", "pro", "link",
        "click", "ly", "gg", "sh", "onion", "shop", "store", "live",
    ];
    if text.contains("://") {
        return true;
    }
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))).any(|name| {
        let mut labels = name.split('.').filter(|label| !label.is_empty()).rev();
        let last = labels.next().unwrap_or("").to_ascii_lowercase();
        let rest = labels.count();
        let address = rest == 3 && name.split('.').all(|part| part.parse::<u8>().is_ok());
        rest >= 1 && DOMAINS.contains(&last.as_str()) || address
    })
}

/// Whether a text is a number as accounts and telephones have them.
fn is_number(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let other = text.chars().filter(|c| !c.is_ascii_digit() && !matches!(c, ' ' | '-' | '+')).count();
    digits >= 8 && other <= 4
}
