//! Functions of the module's own: what is handed in, what comes back, and what their bodies do with it.
//!
//! A call of a function or lambda that the same source defines is read again with the parameters bound, so
//! that a value keeps its origin through a helper. Each source has a budget of tokens for that.

use std::collections::HashMap;

use super::calls::{self, Power};
use super::lex::{Kind, Token};
use super::reader::{Reader, Scope, Val};
use super::{Argument, Call, Origin};

/// Calls within calls that are followed.
const MAX_INLINED: u32 = 6;
/// Tokens read again in one source.
const MAX_AGAIN: usize = 1_000_000;
const MAX_PARAMETERS: usize = 64;

/// A function of the source: its parameters and where its body is.
#[derive(Debug, Clone)]
pub(super) struct Function {
    parameters: Vec<String>,
    from: usize,
    to: usize,
    /// A lambda: the body is one expression.
    expression: bool,
    indent: usize,
}

/// What is known of the functions read so far.
#[derive(Debug, Default)]
pub(super) struct Functions {
    known: HashMap<String, Function>,
    /// What a function gives when nothing is known of its arguments, at import or later.
    plain: HashMap<(String, bool), Val>,
    active: Vec<String>,
    again: usize,
    /// Names bound while a body is read again, with what they were.
    journal: Option<Vec<(String, Option<Val>)>>,
    returned: Option<Val>,
}

impl Functions {
    /// The description with which a function of the source begins.
    pub(super) fn doc(&self, name: &str, tokens: &[Token<'_>]) -> Option<String> {
        let function = self.known.get(name)?;
        let body = tokens.get(function.from..function.to)?;
        body.iter().take(3).find_map(|token| match &token.kind {
            Kind::Str(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// The parameters of a function of the source.
    pub(super) fn parameters_of(&self, name: &str) -> Vec<String> {
        self.known.get(name).map(|function| function.parameters.clone()).unwrap_or_default()
    }

    /// Whether code that is text may be read in a body that is read again.
    pub(super) fn affords(&mut self, length: usize) -> bool {
        if self.active.is_empty() {
            return true;
        }
        self.again = self.again.saturating_add(length);
        self.again <= MAX_AGAIN
    }

    /// Notes that a name is bound, so that it can be undone.
    pub(super) fn note(&mut self, name: &str, before: Option<Val>) {
        if let Some(journal) = &mut self.journal {
            journal.push((name.to_owned(), before));
        }
    }
}

/// The name a function of the module's own has as a path.
pub(super) fn own(name: &str) -> String {
    format!("{name}<own>")
}

impl<'t> Reader<'t, '_> {
    /// Remembers the function whose `def NAME` was just read; the position stays.
    pub(super) fn define(&mut self, name: &str, indent: usize) {
        let parameters = match self.tokens.get(self.at).map(|token| &token.kind) {
            Some(Kind::Op('(')) => self.parameters(self.at + 1, ')'),
            _ => return,
        };
        // The body begins after the colon of the header.
        let mut depth = 0_u32;
        let header = self.tokens[self.at..].iter().take(4_096).position(|token| {
            match token.kind {
                Kind::Op('(' | '[' | '{') => depth += 1,
                Kind::Op(')' | ']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && token.kind == Kind::Op(':')
        });
        let Some(header) = header else { return };
        let from = self.at + header + 1;
        let mut lines = 0_usize;
        let length = self.tokens.get(from..).unwrap_or(&[]).iter().position(|token| match token.kind {
            Kind::Line(found) => {
                lines += 1;
                found <= indent
            }
            _ => false,
        });
        let to = length.map_or(self.tokens.len(), |length| from + length);
        let function = Function { parameters, from, to, expression: false, indent };
        self.remember(name, function);
    }

    /// Remembers a lambda whose parameters begin at `start` and whose body ends here.
    pub(super) fn define_lambda(&mut self, start: usize, from: usize) -> Val {
        let name = format!("lambda@{start}");
        let parameters = self.parameters(start, ':');
        self.remember(&name, Function { parameters, from, to: self.at, expression: true, indent: 0 });
        Val { path: Some(own(&name)), ..Val::default() }
    }

    fn remember(&mut self, name: &str, function: Function) {
        if self.functions.known.len() < 20_000 {
            self.functions.plain.remove(&(name.to_owned(), true));
            self.functions.plain.remove(&(name.to_owned(), false));
            self.functions.known.insert(name.to_owned(), function);
        } else {
            self.limit("the source has more functions than are followed");
        }
    }

    /// The names before `=`, `:` or a comma, up to the closing token.
    fn parameters(&self, start: usize, close: char) -> Vec<String> {
        let (mut names, mut depth, mut fresh) = (Vec::new(), 0_u32, true);
        for token in self.tokens.get(start..).unwrap_or(&[]).iter().take(4_096) {
            match token.kind {
                Kind::Op(found) if found == close && depth == 0 => break,
                Kind::Op('(' | '[' | '{') => depth += 1,
                Kind::Op(')' | ']' | '}') => depth = depth.saturating_sub(1),
                Kind::Op(',') if depth == 0 => fresh = true,
                Kind::Name(name) if fresh && names.len() < MAX_PARAMETERS => {
                    names.push(name.to_owned());
                    fresh = false;
                }
                _ => {}
            }
        }
        names
    }

    /// What a call of a function of the source gives; `None` when it is not one.
    pub(super) fn followed(&mut self, path: &str, arguments: &[(Option<String>, Val)]) -> Option<Val> {
        let (name, method) = match path.strip_suffix("<own>") {
            Some(name) => (name, false),
            None => {
                let (base, last) = path.rsplit_once('.')?;
                (matches!(base, "self" | "cls") || base.contains("<own>")).then_some((last, true))?
            }
        };
        let function = self.functions.known.get(name)?.clone();
        let length = function.to.saturating_sub(function.from);
        let told = arguments.iter().any(|(_, value)| value.tells());
        let at_import = !self.scopes.iter().any(|scope| scope.deferred);
        let key = (name.to_owned(), at_import);
        if !told && let Some(known) = self.functions.plain.get(&key) {
            return Some(known.clone());
        }
        if self.functions.active.len() >= MAX_INLINED as usize
            || self.functions.active.iter().any(|a| a == name)
        {
            return None;
        }
        if self.functions.again.saturating_add(length) > MAX_AGAIN {
            let limit = "not every call of the source's own functions is followed".to_owned();
            if !self.script.limits.contains(&limit) {
                self.script.limits.push(limit);
            }
            return None;
        }
        self.functions.again += length;
        let value = self.again(name, &function, method, arguments);
        if !told {
            self.functions.plain.insert(key, value.clone());
        }
        Some(value)
    }

    /// Reads a body with its parameters bound, then puts everything back.
    fn again(
        &mut self,
        name: &str,
        function: &Function,
        method: bool,
        arguments: &[(Option<String>, Val)],
    ) -> Val {
        let at = std::mem::replace(&mut self.at, function.from);
        let deferred = self.scopes.iter().any(|scope| scope.deferred);
        let scopes = std::mem::take(&mut self.scopes);
        let outer = self.functions.journal.replace(Vec::new());
        let returned = self.functions.returned.take();
        self.functions.active.push(name.to_owned());
        let skipped = usize::from(
            method && matches!(function.parameters.first().map(String::as_str), Some("self" | "cls")),
        );
        for (index, parameter) in function.parameters.iter().skip(skipped).enumerate() {
            let given = arguments
                .iter()
                .find(|(keyword, _)| keyword.as_ref() == Some(parameter))
                .or_else(|| arguments.iter().filter(|(keyword, _)| keyword.is_none()).nth(index));
            if let Some((_, value)) = given {
                self.bind(parameter.clone(), value.clone());
            }
        }
        if deferred {
            // Below everything: the body runs when its caller does.
            self.scopes.push(Scope { indent: 0, deferred: true, makes_classes: false });
        }
        let value = match function.expression {
            true => self.expression(),
            false => {
                while self.at < function.to {
                    let before = self.at;
                    self.statement_of(function.indent, deferred);
                    self.at = self.at.max(before + 1);
                }
                self.functions.returned.take().unwrap_or_default()
            }
        };
        self.functions.active.pop();
        self.functions.returned = returned;
        let journal = std::mem::replace(&mut self.functions.journal, outer).unwrap_or_default();
        for (name, before) in journal.into_iter().rev() {
            match before {
                Some(value) => self.names.insert(name, value),
                None => self.names.remove(&name),
            };
        }
        self.scopes = scopes;
        self.at = at;
        value
    }

    /// A statement of a body that is read again: its scopes are the body's own.
    fn statement_of(&mut self, indent: usize, deferred: bool) {
        self.statement();
        if deferred && !self.scopes.iter().any(|scope| scope.deferred) {
            self.scopes.insert(0, Scope { indent, deferred: true, makes_classes: false });
        }
    }

    /// `return` and what follows.
    pub(super) fn returns(&mut self) {
        let value = self.expression();
        let known = self.functions.returned.take();
        self.functions.returned = Some(match known {
            Some(known) => Val { origin: known.origin.and(value.origin), ..known },
            None => value,
        });
    }

    /// Adds a call, or what is newly known of one that was listed when its function was read first.
    pub(super) fn list_call(&mut self, call: Call) {
        let again = !self.functions.active.is_empty();
        let listed = again
            .then(|| {
                self.script
                    .calls
                    .iter_mut()
                    .find(|known| known.line == call.line && known.callee == call.callee)
            })
            .flatten();
        match listed {
            Some(known) => {
                known.at_import |= call.at_import;
                merge(&mut known.arguments, &call.arguments);
            }
            None => self.script.calls.push(call),
        }
    }
}

fn merge(known: &mut [Argument], more: &[Argument]) {
    for (known, more) in known.iter_mut().zip(more) {
        known.origin = known.origin.and(more.origin);
        if known.text.is_none() && more.text.is_some() {
            known.text.clone_from(&more.text);
            known.shown.clone_from(&more.shown);
        }
    }
}

impl Val {
    /// Whether anything is known of it.
    pub(super) fn says(&self) -> bool {
        let named = self.path.as_deref().is_some_and(|path| !matches!(path, "None" | "True" | "False"));
        named || self.text.is_some() || self.items.is_some() || !self.held.is_empty()
    }

    /// Whether it says anything a function's body could pass on.
    fn tells(&self) -> bool {
        self.origin != Origin::default()
            || self.text.is_some()
            || self.items.is_some()
            || self.path.as_deref().is_some_and(|path| {
                path.ends_with("<own>") || calls::power(path) != Power::Computes || calls::decodes(path)
            })
    }
}
