//! Expressions of the source, folded as far as they are constant.
//!
//! Long because every form an operand takes is folded in one place.

use std::rc::Rc;

use super::constant::{is_secret_path, is_trusted_place, origin_of, tells};
use super::{Held, MAX_DEPTH, MAX_HELD, MAX_PATH, MAX_TEXT, Reader, Val};
use crate::python::Origin;
use crate::python::calls::{self, Power};
use crate::python::lex::{Kind, NAMES, Token};

/// How two operands stand together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    Plus,
    Slash,
    /// One or the other.
    Choice,
    Other,
}

impl Reader<'_, '_> {
    /// An expression up to a comma, a closing bracket, a colon, an assignment or the end of the line.
    pub(in crate::python) fn expression(&mut self) -> Val {
        if self.depth >= MAX_DEPTH {
            self.limit("expressions of the source are nested too deep");
            self.at += 1;
            return Val::default();
        }
        self.depth += 1;
        let value = self.operands();
        self.depth -= 1;
        value
    }

    pub(super) fn operands(&mut self) -> Val {
        let mut value: Option<Val> = None;
        let mut how = Join::Other;
        let mut scrambled = false;
        loop {
            match self.kind() {
                None
                | Some(Kind::Line(_) | Kind::Shell(_) | Kind::Op(',' | ')' | ']' | '}' | ':' | '=' | ';')) => {
                    break;
                }
                Some(&Kind::Op(NAMES)) => {
                    let before =
                        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map(|token| &token.kind);
                    let name = match before {
                        Some(&Kind::Name(name)) => name.to_owned(),
                        _ => String::new(),
                    };
                    self.at += 1;
                    let named = self.expression();
                    self.bind(name, named.clone());
                    value = Some(named);
                }
                Some(Kind::Op('^')) => {
                    scrambled = true;
                    how = Join::Other;
                    self.at += 1;
                }
                Some(&Kind::Op(op @ ('+' | '/'))) => {
                    how = if op == '+' { Join::Plus } else { Join::Slash };
                    self.at += 1;
                }
                Some(Kind::Name("if" | "else" | "or")) if value.is_some() => {
                    how = Join::Choice;
                    self.at += 1;
                }
                Some(Kind::Op(_) | Kind::Other(_))
                    if !matches!(self.kind(), Some(Kind::Op('(' | '[' | '{'))) =>
                {
                    how = Join::Other;
                    self.at += 1;
                }
                Some(Kind::Name("as")) => break,
                Some(Kind::Name("lambda")) => {
                    self.at += 1;
                    let start = self.at;
                    while !self.at_end() && !self.op(':') {
                        let next = self.tokens.get(self.at + 1).map(|token| &token.kind);
                        let named = match (self.kind(), next) {
                            (Some(&Kind::Name(name)), Some(Kind::Op('='))) => Some(name.to_owned()),
                            _ => None,
                        };
                        match named {
                            Some(name) => {
                                self.at += 2;
                                let default = self.expression();
                                self.default(&name, default);
                            }
                            None => self.at += 1,
                        }
                    }
                    let from = self.at;
                    self.expression();
                    let lambda = self.define_lambda(start, from);
                    value = value.or(Some(lambda));
                    break;
                }
                Some(Kind::Name(
                    "and" | "or" | "not" | "in" | "is" | "if" | "else" | "for" | "await" | "async" | "yield"
                    | "return" | "del" | "assert" | "raise" | "while" | "with" | "elif" | "print" | "from"
                    | "global" | "nonlocal" | "try" | "except" | "finally" | "pass",
                )) if !matches!(self.tokens.get(self.at + 1).map(|t| &t.kind), Some(Kind::Op('.' | '='))) => {
                    how = Join::Other;
                    self.at += 1;
                }
                Some(_) => {
                    let operand = self.operand();
                    value = Some(match value {
                        None => operand,
                        Some(left) => Self::joined(left, operand, how),
                    });
                    how = Join::Other;
                }
            }
        }
        let mut value = value.unwrap_or_default();
        // Constants taken apart bit by bit are hidden as well as encoded ones.
        value.origin.decoded |= scrambled;
        // What only this value has was made for it.
        let made =
            value.text.as_ref().filter(|text| Rc::strong_count(text) == 1).map_or(0, |text| text.len());
        if !self.affords(made) {
            value.text = None;
        }
        value
    }

    fn joined(left: Val, right: Val, how: Join) -> Val {
        let mut origin = left.origin.and(right.origin);
        if how == Join::Choice {
            // Which of them it is, is not decided: the first that says anything stands for both.
            let chosen = if left.says() { left } else { right };
            return Val { origin, ..chosen };
        }
        let text: Option<Rc<str>> = match (left.text, right.text, how) {
            (Some(left), Some(right), Join::Plus) if left.len() + right.len() <= MAX_TEXT => {
                Some([&*left, &*right].concat().into())
            }
            // Paths are put together so.
            (Some(left), Some(right), Join::Slash) if left.len() + right.len() < MAX_TEXT => {
                Some([&*left, "/", &*right].concat().into())
            }
            (None, Some(right), Join::Slash) => Some(["/", &*right].concat().into()),
            _ => None,
        };
        origin.trusted_place |= how == Join::Slash && text.as_deref().is_some_and(is_trusted_place);
        let assembled = text.is_some() && how == Join::Plus;
        Val { text, origin, assembled, ..Val::default() }
    }

    pub(super) fn operand(&mut self) -> Val {
        let value = self.primary();
        let mut value = self.postfix(value);
        value.path = value.path.filter(|path| path.len() <= MAX_PATH);
        value
    }

    pub(super) fn primary(&mut self) -> Val {
        match self.kind().cloned() {
            Some(Kind::Name(name)) => {
                self.at += 1;
                self.named(name)
            }
            Some(Kind::Str(mut text)) => {
                self.at += 1;
                while let Some(Kind::Str(more)) = self.kind() {
                    if text.len() + more.len() <= MAX_TEXT {
                        text.push_str(more);
                    }
                    self.at += 1;
                }
                let (secret, trusted_place) = (is_secret_path(&text), is_trusted_place(&text));
                Val {
                    text: Some(text.into()),
                    origin: Origin { secret, trusted_place, ..Origin::default() },
                    ..Val::default()
                }
            }
            Some(Kind::Number(digits)) => {
                self.at += 1;
                let number = match digits.strip_prefix("0x") {
                    Some(hex) => u32::from_str_radix(hex, 16).ok(),
                    None => digits.parse().ok(),
                };
                Val { number, ..Val::default() }
            }
            Some(Kind::Format(text)) => {
                self.at += 1;
                self.formatted(text)
            }
            Some(Kind::Op('(')) => {
                self.at += 1;
                let (value, _) = self.list(')');
                value
            }
            Some(Kind::Op('[')) => {
                self.at += 1;
                let (mut value, items) = self.list(']');
                value.text = None;
                value.items = items;
                value
            }
            Some(Kind::Op('{')) => {
                self.at += 1;
                let (value, _) = self.list('}');
                Val { origin: value.origin, held: value.held, ..Val::default() }
            }
            Some(_) => {
                self.at += 1;
                Val::default()
            }
            None => Val::default(),
        }
    }

    pub(super) fn named(&self, name: &str) -> Val {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        // A name that only makes sense as one of a module imported whole.
        let from = self
            .stars
            .iter()
            .map(|module| format!("{module}.{name}"))
            .find(|full| calls::power(full) != Power::Computes || calls::decodes(full));
        if let Some(path) = from {
            return Val { path: Some(path), ..Val::default() };
        }
        Val { path: Some(name.to_owned()), ..Val::default() }
    }

    /// Names in the braces of a formatted string give it their origins; calls in them are read.
    pub(super) fn formatted(&mut self, text: &str) -> Val {
        let mut origin = Origin {
            secret: is_secret_path(text),
            trusted_place: is_trusted_place(text),
            ..Origin::default()
        };
        if text.split('{').nth(65).is_some() {
            self.limit("a formatted text has more parts than are read");
        }
        for part in text.split('{').skip(1).take(64) {
            let inner = part.split('}').next().unwrap_or("");
            let name: String =
                inner.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
            let root = name.split('.').next().unwrap_or("");
            if let Some(known) = self.names.get(root) {
                origin = origin.and(known.origin);
            }
            origin = origin.and(origin_of(&name));
            if inner.contains('(') {
                self.inner(inner);
            }
        }
        Val { origin, ..Val::default() }
    }

    /// Values up to a closing bracket: the first, with the origins of all, and the constant texts.
    pub(super) fn list(&mut self, close: char) -> (Val, Option<Rc<[Rc<str>]>>) {
        let mut first: Option<Val> = None;
        let mut items = Some(Vec::new());
        let mut numbers = Some(Vec::new());
        let (mut held, mut key, mut index): (Vec<(Rc<str>, Rc<str>)>, _, _) = (Vec::new(), None, 0_u32);
        let mut dropped = false;
        while self.at < self.tokens.len() && !self.op(close) {
            let before = self.at;
            let value = self.expression();
            let (kept, lost) = value.held.split_at(value.held.len().min(MAX_HELD - held.len()));
            held.extend_from_slice(kept);
            dropped |= lost.iter().any(|(_, path)| tells(path));
            match matches!(self.kind(), Some(Kind::Op(':'))) {
                true => key = value.text.clone(),
                false => {
                    let name = key.take().unwrap_or_else(|| index.to_string().into());
                    index = index.saturating_add(1);
                    if let Some(path) = &value.path {
                        match held.len() < MAX_HELD {
                            true => held.push((name, path.as_str().into())),
                            false => dropped |= tells(path),
                        }
                    }
                }
            }
            if let Some(texts) = &mut items {
                match &value.text {
                    Some(text) if texts.len() < 4_096 => texts.push(text.clone()),
                    _ => items = None,
                }
            }
            match (&mut numbers, value.number) {
                (Some(all), Some(number)) if all.len() < 65_536 => all.push(number),
                _ => numbers = None,
            }
            first = Some(match first {
                None => value,
                Some(all) => Val { origin: all.origin.and(value.origin), ..Val::default() },
            });
            if matches!(self.kind(), Some(Kind::Line(_) | Kind::Shell(_))) {
                break;
            }
            if self.at == before || !matches!(self.kind(), Some(Kind::Op(found)) if *found == close) {
                self.at += 1;
            }
        }
        let mut value = first.unwrap_or_default();
        value.numbers = numbers.filter(|numbers| numbers.len() > 1 || close == ']').map(Into::into);
        if close != ')' {
            let bytes = held.iter().map(|(name, path)| 64 + name.len() + path.len()).sum();
            value.held = if self.affords(bytes) { held.into() } else { Held::default() };
            if dropped {
                self.limit("not all functions of a large list or dictionary of the source are followed");
            }
        }
        (value, items.map(Into::into))
    }

    pub(super) fn postfix(&mut self, mut value: Val) -> Val {
        loop {
            if self.op('.') {
                let Some(name) = self.name() else { return value };
                value = self.attribute(value, name);
            } else if matches!(self.kind(), Some(Kind::Op('('))) {
                let line = self.line();
                self.at += 1;
                let arguments = self.arguments();
                value = self.call(value, arguments, line);
            } else if self.op('[') {
                value = self.subscript(value);
            } else {
                return value;
            }
        }
    }

    pub(super) fn attribute(&mut self, value: Val, name: &str) -> Val {
        let Some(path) = value.path else {
            // A method of a constant keeps the constant for the call.
            return Val { path: Some(format!("<text>.{name}")), ..value };
        };
        if path.len() > 200 {
            return Val { origin: value.origin, ..Val::default() };
        }
        if name == "__doc__"
            && let Some(text) =
                path.strip_suffix("<own>").and_then(|own| self.functions.doc(own, &self.tokens))
        {
            // Text that stands as a description and is used as something else.
            let origin = Origin { decoded: true, ..value.origin };
            return Val { text: Some(text.into()), origin, assembled: true, ..Val::default() };
        }
        // One variable of the environment is not all of it.
        let one = path == "os.environ" && !matches!(name, "copy" | "items" | "values");
        let path = format!("{path}.{name}");
        let mut origin = value.origin.and(origin_of(&path));
        origin.secret &= !one;
        Val { path: Some(path), origin, ..value }
    }

    pub(super) fn subscript(&mut self, value: Val) -> Val {
        let from = self.at;
        let mut key = None;
        while self.at < self.tokens.len() && !self.op(']') {
            let before = self.at;
            let part = self.expression();
            key = key.or(part.text);
            if self.at == before || matches!(self.kind(), Some(Kind::Op(':' | ',' | ')' | '}' | '=' | ';'))) {
                self.at += 1;
            }
            if matches!(self.kind(), Some(Kind::Line(_))) {
                break;
            }
        }
        let reversed = matches!(
            self.tokens.get(from..self.at).unwrap_or(&[]),
            [
                Token { kind: Kind::Op(':'), .. },
                Token { kind: Kind::Op(':'), .. },
                Token { kind: Kind::Op('-'), .. },
                Token { kind: Kind::Number("1"), .. },
                ..
            ]
        );
        if reversed {
            let text = value.text.map(|text| text.chars().rev().collect::<String>().into());
            return Val { text, origin: value.origin, assembled: true, ..Val::default() };
        }
        let asked = key.clone().or_else(|| match self.tokens.get(from..self.at).unwrap_or(&[]) {
            [Token { kind: Kind::Number(number), .. }, _] => Some((*number).into()),
            _ => None,
        });
        if let Some((_, path)) = value.held.iter().find(|(name, _)| Some(name) == asked.as_ref()) {
            let path = Some(path.to_string());
            return Val { path, origin: value.origin, ..Val::default() };
        }
        let path = match (value.path, key) {
            (Some(path), Some(key)) => Some(match path.as_str() {
                // `sys.modules['os']` is `os`, `os.__dict__['system']` is `os.system`.
                "sys.modules" => key.to_string(),
                "globals()" | "locals()" | "vars()" | "__builtins__" => key.to_string(),
                _ => match path.strip_suffix(".__dict__") {
                    Some(module) => format!("{module}.{key}"),
                    None => format!("{path}[{key:?}]"),
                },
            }),
            (Some(path), None) => Some(format!("{path}[]")),
            (None, _) => None,
        };
        let mut origin = path.as_deref().map_or(value.origin, |path| value.origin.and(origin_of(path)));
        origin.secret &= !path.as_deref().is_some_and(|path| path.starts_with("os.environ["));
        Val { path: path.filter(|path| path.len() <= 200), origin, ..Val::default() }
    }

    /// The arguments of a call, after `(`.
    pub(super) fn arguments(&mut self) -> Vec<(Option<String>, Val)> {
        let mut arguments: Vec<(Option<String>, Val)> = Vec::new();
        while self.at < self.tokens.len() && !self.op(')') {
            let before = self.at;
            let keyword = match (self.kind(), self.tokens.get(self.at + 1).map(|token| &token.kind)) {
                (Some(&Kind::Name(name)), Some(Kind::Op('='))) => Some(name.to_owned()),
                _ => None,
            };
            if keyword.is_some() {
                self.at += 2;
            }
            let value = self.expression();
            let arguments_full = arguments.len() >= 64;
            match arguments.last_mut() {
                // What is given beyond a bound still says where the call's values come from.
                Some((_, last)) if arguments_full => last.origin = last.origin.and(value.origin),
                _ => arguments.push((keyword, value)),
            }
            if matches!(self.kind(), Some(Kind::Line(_) | Kind::Shell(_))) {
                break;
            }
            if self.at == before || !matches!(self.kind(), Some(Kind::Op(')'))) {
                self.at += 1;
            }
        }
        arguments
    }
}
