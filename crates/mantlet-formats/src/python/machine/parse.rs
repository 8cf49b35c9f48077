//! Statements of Python source, by the layout of their lines; what is not Python becomes nothing.
//!
//! Long because every kind of statement is told apart in one place.

use std::rc::Rc;

use super::super::lex::{self, Kind, NAMES, Token};
use super::tree::{ClassDef, Def, Expr, Name, Node, Parameter, Stmt};

/// Blocks and brackets within each other.
pub(super) const MAX_DEPTH: u32 = 40;

pub(super) struct Parser<'t> {
    pub(super) tokens: Vec<Token<'t>>,
    pub(super) at: usize,
    pub(super) depth: u32,
    /// A function's body holds `yield`.
    pub(super) yields: bool,
    /// Something was nested deeper than is read.
    pub(super) deep: bool,
    /// Annotations are kept as text (`from __future__ import annotations`).
    postponed: bool,
    /// Bodies of functions around a statement; annotations of local names are not evaluated.
    local: u32,
    /// Annotations of the parameters that were read last.
    annotations: Vec<Expr>,
}

/// The statements of a text; whether all of it was read.
pub(super) fn module(text: &str, max: usize) -> (Vec<Stmt>, bool) {
    let (tokens, whole) = lex::tokens(text, max);
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        yields: false,
        deep: false,
        postponed: false,
        local: 0,
        annotations: Vec::new(),
    };
    let mut out = Vec::new();
    while parser.at < parser.tokens.len() {
        let before = parser.at;
        // Lines deeper than expected belong to what could not be read before them.
        let indent = parser.indent().unwrap_or(0);
        parser.block(indent, &mut out);
        parser.at = parser.at.max(before + 1);
    }
    (out, whole && !parser.deep)
}

/// An expression alone.
pub(super) fn expression(text: &str, depth: u32) -> (Expr, bool) {
    let (tokens, _) = lex::tokens(text, 20_000);
    let mut parser = Parser {
        tokens,
        at: 0,
        depth,
        yields: false,
        deep: false,
        postponed: false,
        local: 0,
        annotations: Vec::new(),
    };
    if parser.indent().is_some() {
        parser.at += 1;
    }
    (parser.tuple(), parser.deep)
}

impl<'t> Parser<'t> {
    pub(super) fn kind(&self) -> Option<&Kind<'t>> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    pub(super) fn next_kind(&self, ahead: usize) -> Option<&Kind<'t>> {
        self.tokens.get(self.at + ahead).map(|token| &token.kind)
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens.get(self.at.min(self.tokens.len().saturating_sub(1))).map_or(0, |token| token.line)
    }

    pub(super) fn op(&mut self, op: char) -> bool {
        let found = matches!(self.kind(), Some(Kind::Op(found)) if *found == op);
        self.at += usize::from(found);
        found
    }

    pub(super) fn other(&mut self, two: &str) -> bool {
        let found = matches!(self.kind(), Some(Kind::Other(found)) if *found == two);
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.kind(), Some(Kind::Name(found)) if *found == word)
    }

    pub(super) fn name(&mut self) -> Option<Name> {
        let &Kind::Name(name) = self.kind()? else { return None };
        self.at += 1;
        Some(name.into())
    }

    fn indent(&self) -> Option<usize> {
        match self.kind() {
            Some(&Kind::Line(indent)) => Some(indent),
            _ => None,
        }
    }

    pub(super) fn at_end(&self) -> bool {
        matches!(self.kind(), None | Some(Kind::Line(_) | Kind::Shell(_)))
    }

    /// Lines of this indentation, and those deeper that nothing before them owns.
    fn block(&mut self, indent: usize, out: &mut Vec<Stmt>) {
        while let Some(found) = self.indent() {
            if found < indent {
                return;
            }
            self.at += 1;
            self.logical_line(found, out);
        }
        if matches!(self.kind(), Some(Kind::Shell(_))) {
            self.at += 1;
        }
    }

    /// Statements up to the end of a logical line, with the blocks that hang on it.
    fn logical_line(&mut self, indent: usize, out: &mut Vec<Stmt>) {
        if matches!(self.kind(), Some(Kind::Shell(_))) {
            self.at += 1;
            return;
        }
        loop {
            let before = self.at;
            let statement = self.statement(indent);
            out.extend(statement);
            if self.op(';') && !self.at_end() {
                continue;
            }
            if self.at_end() {
                return;
            }
            // Something that is not Python, or a rest that was not understood.
            self.at = self.at.max(before + 1);
            if self.at_end() {
                return;
            }
        }
    }

    /// What follows the colon of a statement.
    fn suite(&mut self, indent: usize) -> Vec<Stmt> {
        let mut out = Vec::new();
        // Whatever of the header was not understood.
        while !self.at_end() && !matches!(self.kind(), Some(Kind::Op(':'))) {
            self.at += 1;
        }
        self.op(':');
        if self.depth >= MAX_DEPTH {
            self.deep = true;
            return out;
        }
        self.depth += 1;
        match self.indent() {
            Some(found) if found > indent => self.block(found, &mut out),
            Some(_) | None => {
                if !self.at_end() {
                    self.logical_line(indent, &mut out);
                }
            }
        }
        self.depth -= 1;
        out
    }

    /// Whether the next line, of the same indentation, begins with this word.
    fn continues(&mut self, indent: usize, word: &str) -> bool {
        let found = self.indent() == Some(indent)
            && matches!(self.next_kind(1), Some(Kind::Name(found)) if *found == word);
        self.at += 2 * usize::from(found);
        found
    }

    fn statement(&mut self, indent: usize) -> Option<Stmt> {
        let line = self.line();
        if matches!(self.kind(), Some(Kind::Op('@'))) {
            return self.decorated(indent);
        }
        let &Kind::Name(word) = self.kind()? else { return Some(self.simple()) };
        let after = self.next_kind(1).cloned();
        let assigns = matches!(after, Some(Kind::Op('=' | '.' | ',' | ')' | ']')) | None);
        match word {
            "import" => {
                self.at += 1;
                Some(self.import())
            }
            "from" if matches!(after, Some(Kind::Name(_) | Kind::Op('.'))) => {
                self.at += 1;
                Some(self.import_from())
            }
            "async" if matches!(after, Some(Kind::Name("def" | "for" | "with"))) => {
                self.at += 1;
                self.statement(indent)
            }
            "def" if matches!(after, Some(Kind::Name(_))) => Some(self.def(indent, Vec::new())),
            "class" if matches!(after, Some(Kind::Name(_))) => Some(self.class(indent, Vec::new())),
            "if" | "elif" if !assigns => {
                self.at += 1;
                Some(self.condition(indent))
            }
            "while" if !assigns => {
                self.at += 1;
                let test = self.tuple();
                let body = self.suite(indent);
                let other = self.otherwise(indent);
                Some(Stmt::While(test, body.into(), other.into()))
            }
            "for" if !assigns => {
                self.at += 1;
                let target = self.targets();
                self.word("in");
                let over = self.tuple();
                let body = self.suite(indent);
                let other = self.otherwise(indent);
                Some(Stmt::For(target, over, body.into(), other.into()))
            }
            "try" if matches!(after, Some(Kind::Op(':'))) => {
                self.at += 1;
                Some(self.attempt(indent))
            }
            "with" if !assigns => {
                self.at += 1;
                Some(self.with(indent))
            }
            "match"
                if !matches!(
                    after,
                    Some(Kind::Op('=' | '.' | ',' | ')' | ':'))
                        | Some(Kind::Other(_))
                        | Some(Kind::Line(_))
                        | None
                ) =>
            {
                self.matching(indent).or_else(|| Some(self.simple()))
            }
            "return" => {
                self.at += 1;
                let value =
                    (!self.at_end() && !matches!(self.kind(), Some(Kind::Op(';')))).then(|| self.tuple());
                Some(Stmt::Return(value))
            }
            "raise" if !assigns => {
                self.at += 1;
                let mut value = (!self.at_end()).then(|| self.tuple());
                if self.word("from") {
                    let cause = self.tuple();
                    value = value.map(|value| Expr { line, node: Node::Tuple(vec![value, cause]) });
                }
                Some(Stmt::Raise(value))
            }
            "assert" if !assigns => {
                self.at += 1;
                Some(Stmt::Expr(self.tuple()))
            }
            "del" if !assigns => {
                self.at += 1;
                Some(Stmt::Delete(self.tuple()))
            }
            "global" | "nonlocal" if matches!(after, Some(Kind::Name(_))) => {
                self.at += 1;
                let mut names = Vec::new();
                while let Some(name) = self.name() {
                    names.push(name);
                    if !self.op(',') {
                        break;
                    }
                }
                Some(Stmt::Global(names))
            }
            "pass" | "break" | "continue" if !assigns || after.is_none() => {
                self.at += 1;
                Some(match word {
                    "break" => Stmt::Break,
                    "continue" => Stmt::Continue,
                    _ => Stmt::Pass,
                })
            }
            // Python 2.
            "print" | "exec" if matches!(after, Some(Kind::Str(_) | Kind::Name(_) | Kind::Number(_))) => {
                let callee = Expr { line, node: Node::Name(word.into()) };
                self.at += 1;
                let value = self.tuple();
                let given = super::tree::Given { how: super::tree::How::Position, value };
                Some(Stmt::Expr(Expr { line, node: Node::Call(Box::new(callee), vec![given]) }))
            }
            _ => Some(self.simple()),
        }
    }

    /// An annotation, where it is evaluated and calls something.
    fn annotation(&mut self, read: fn(&mut Self) -> Expr) -> Option<Expr> {
        let from = self.at;
        let annotation = read(self);
        let read = self.tokens.get(from..self.at).unwrap_or_default();
        let calls = read.iter().any(|token| matches!(token.kind, Kind::Op('(')));
        (calls && !self.postponed).then_some(annotation)
    }

    /// An expression, or an assignment.
    fn simple(&mut self) -> Stmt {
        let first = self.tuple();
        if self.op(':') {
            let annotation = self.annotation(Self::tuple).filter(|_| self.local == 0);
            let value = self.op('=').then(|| self.tuple());
            return Stmt::Annotated(first, annotation, value);
        }
        if let Some(op) = self.augments() {
            let value = self.tuple();
            return Stmt::Augment(first, op, value);
        }
        let mut targets = Vec::new();
        let mut value = first;
        while self.op('=') {
            targets.push(value);
            value = self.tuple();
        }
        match targets.is_empty() {
            true => Stmt::Expr(value),
            false => Stmt::Assign(targets, value),
        }
    }

    /// `+=` and the like.
    fn augments(&mut self) -> Option<&'static str> {
        let next = matches!(self.next_kind(1), Some(Kind::Op('=')));
        let (op, width) = match self.kind()? {
            Kind::Other("+=") => ("+", 1),
            Kind::Other("-=") => ("-", 1),
            Kind::Other("*=") => ("*", 1),
            Kind::Other("/=") => ("/", 1),
            Kind::Other("|=") => ("|", 1),
            Kind::Other("&=") => ("&", 1),
            Kind::Other("%=") => ("%", 1),
            Kind::Other("**") if next => ("**", 2),
            Kind::Other("//") if next => ("//", 2),
            Kind::Op('^') if next => ("^", 2),
            Kind::Op('@') if next => ("@", 2),
            Kind::Op('<') if matches!(self.next_kind(1), Some(Kind::Other("<="))) => ("<<", 2),
            Kind::Op('>') if matches!(self.next_kind(1), Some(Kind::Other(">="))) => (">>", 2),
            _ => return None,
        };
        self.at += width;
        Some(op)
    }

    fn import(&mut self) -> Stmt {
        let mut all = Vec::new();
        while let Some(first) = self.name() {
            let mut path = first.to_string();
            while self.op('.') {
                path.push('.');
                path.push_str(&self.name().unwrap_or_default());
            }
            let alias = if self.word("as") { self.name() } else { None };
            all.push((path, alias));
            if !self.op(',') {
                break;
            }
        }
        Stmt::Import(all)
    }

    fn import_from(&mut self) -> Stmt {
        let mut module = String::new();
        while self.op('.') {
            module.push('.');
        }
        if !self.is_word("import") {
            module.push_str(&self.name().unwrap_or_default());
        }
        while self.op('.') {
            module.push('.');
            module.push_str(&self.name().unwrap_or_default());
        }
        self.word("import");
        self.op('(');
        if self.op('*') {
            return Stmt::From(module, Vec::new(), true);
        }
        let mut names = Vec::new();
        while let Some(name) = self.name() {
            let alias = if self.word("as") { self.name() } else { None };
            self.postponed |= module == "__future__" && &*name == "annotations";
            names.push((name.clone(), alias.unwrap_or(name)));
            if !self.op(',') {
                break;
            }
        }
        self.op(')');
        Stmt::From(module, names, false)
    }

    fn decorated(&mut self, indent: usize) -> Option<Stmt> {
        let mut decorators = Vec::new();
        while self.op('@') {
            decorators.push(self.tuple());
            while !self.at_end() {
                self.at += 1;
            }
            if self.indent() == Some(indent) {
                self.at += 1;
            }
        }
        self.word("async");
        match self.kind() {
            Some(Kind::Name("def")) => Some(self.def(indent, decorators)),
            Some(Kind::Name("class")) => Some(self.class(indent, decorators)),
            _ => None,
        }
    }

    fn def(&mut self, indent: usize, decorators: Vec<Expr>) -> Stmt {
        let line = self.line();
        self.at += 1;
        let name = self.name().unwrap_or_default();
        if matches!(self.kind(), Some(Kind::Op('['))) {
            self.postfix_skip();
        }
        self.annotations.clear();
        let parameters = if self.op('(') { self.parameters(')') } else { Vec::new() };
        let mut annotations = std::mem::take(&mut self.annotations);
        if self.other("->") {
            annotations.extend(self.annotation(Self::tuple));
        }
        let outer = std::mem::replace(&mut self.yields, false);
        self.local += 1;
        let body = self.suite(indent);
        self.local -= 1;
        let yields = std::mem::replace(&mut self.yields, outer);
        Stmt::Def(Rc::new(Def { name, parameters, annotations, decorators, body, yields, line }))
    }

    /// Over a bracket and what is in it.
    fn postfix_skip(&mut self) {
        let mut depth = 0_u32;
        while let Some(kind) = self.kind() {
            match kind {
                Kind::Op('[') => depth += 1,
                Kind::Op(']') => depth -= 1,
                Kind::Line(_) => return,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Parameters up to the closing token, which is taken.
    pub(super) fn parameters(&mut self, close: char) -> Vec<Parameter> {
        let (mut all, mut keyword) = (Vec::new(), false);
        while !self.at_end() && !self.op(close) {
            let before = self.at;
            let stars = if self.other("**") { 2 } else { u8::from(self.op('*')) };
            if let Some(name) = self.name() {
                if close == ')' && self.op(':') {
                    let annotation = self.annotation(Self::test);
                    self.annotations.extend(annotation.filter(|_| all.len() < 128));
                }
                let default = self.op('=').then(|| self.test());
                if all.len() < 128 {
                    all.push(Parameter { name, default, stars, keyword: keyword && stars == 0 });
                }
            }
            keyword |= stars == 1;
            if !self.op(',') && self.at == before {
                self.at += 1;
            }
        }
        all
    }

    fn class(&mut self, indent: usize, decorators: Vec<Expr>) -> Stmt {
        let line = self.line();
        self.at += 1;
        let name = self.name().unwrap_or_default();
        if matches!(self.kind(), Some(Kind::Op('['))) {
            self.postfix_skip();
        }
        let bases = if self.op('(') { self.arguments() } else { Vec::new() };
        let local = std::mem::take(&mut self.local);
        let body = self.suite(indent);
        self.local = local;
        Stmt::Class(Rc::new(ClassDef { name, bases, decorators, body, line }))
    }

    fn condition(&mut self, indent: usize) -> Stmt {
        let test = self.tuple();
        let body = self.suite(indent);
        let other = if self.continues(indent, "elif") {
            // A chain is as deep as it is long.
            if self.depth >= MAX_DEPTH * 2 {
                self.suite(indent)
            } else {
                self.depth += 1;
                let next = self.condition(indent);
                self.depth -= 1;
                vec![next]
            }
        } else {
            self.otherwise(indent)
        };
        Stmt::If(test, body.into(), other.into())
    }

    fn otherwise(&mut self, indent: usize) -> Vec<Stmt> {
        if self.continues(indent, "else") { self.suite(indent) } else { Vec::new() }
    }

    fn attempt(&mut self, indent: usize) -> Stmt {
        let body = self.suite(indent);
        let mut handlers = Vec::new();
        while self.continues(indent, "except") {
            self.op('*');
            let kind = (!matches!(self.kind(), Some(Kind::Op(':')))).then(|| self.test());
            let name = if self.word("as") || self.op(',') { self.name() } else { None };
            handlers.push((kind, name, self.suite(indent)));
        }
        let other = self.otherwise(indent);
        let last = if self.continues(indent, "finally") { self.suite(indent) } else { Vec::new() };
        Stmt::Try(body.into(), handlers.into(), other.into(), last.into())
    }

    fn with(&mut self, indent: usize) -> Stmt {
        let mut items = Vec::new();
        // `with (a as b, c as d):` and `with (a), b:` alike.
        let grouped = matches!(self.kind(), Some(Kind::Op('('))) && self.group_has_as();
        if grouped {
            self.at += 1;
        }
        loop {
            if self.at_end() || matches!(self.kind(), Some(Kind::Op(':' | ')'))) {
                break;
            }
            let before = self.at;
            let value = self.test();
            let target = self.word("as").then(|| self.test());
            items.push((value, target));
            if !self.op(',') || self.at == before {
                break;
            }
        }
        if grouped {
            self.op(')');
        }
        let body = self.suite(indent);
        Stmt::With(items, body.into())
    }

    fn group_has_as(&self) -> bool {
        let mut depth = 0_u32;
        for token in self.tokens[self.at..].iter().take(400) {
            match token.kind {
                Kind::Op('(' | '[' | '{') => depth += 1,
                Kind::Op(')' | ']' | '}') => depth = depth.saturating_sub(1),
                Kind::Name("as") if depth == 1 => return true,
                _ => {}
            }
            if depth == 0 {
                return false;
            }
        }
        false
    }

    /// `match subject:` with its cases; patterns are read as expressions.
    fn matching(&mut self, indent: usize) -> Option<Stmt> {
        let start = self.at;
        self.at += 1;
        let subject = self.tuple();
        let inner = match (self.kind(), self.next_kind(1), self.next_kind(2)) {
            (Some(Kind::Op(':')), Some(&Kind::Line(inner)), Some(Kind::Name("case"))) if inner > indent => {
                inner
            }
            _ => {
                self.at = start;
                return None;
            }
        };
        self.at += 1;
        let mut cases = Vec::new();
        while self.continues(inner, "case") {
            let pattern = self.tuple();
            if self.word("as") {
                self.name();
            }
            let guard = self.word("if").then(|| self.tuple());
            cases.push((pattern, guard, self.suite(inner)));
        }
        Some(Stmt::Match(subject, cases.into()))
    }

    /// Targets of a `for`: operands, not comparisons with `in`.
    pub(super) fn targets(&mut self) -> Expr {
        let line = self.line();
        let mut all = vec![self.target()];
        let mut several = false;
        while self.op(',') {
            several = true;
            if self.is_word("in") || self.at_end() {
                break;
            }
            all.push(self.target());
        }
        match (several, all.pop()) {
            (false, Some(one)) => one,
            (_, last) => {
                all.extend(last);
                Expr { line, node: Node::Tuple(all) }
            }
        }
    }

    fn target(&mut self) -> Expr {
        let line = self.line();
        if self.op('*') {
            let inner = self.operand();
            return Expr { line, node: Node::Star(Box::new(inner)) };
        }
        self.operand()
    }

    /// Whether the name that was just read is given a value within the expression.
    pub(super) fn walrus(&mut self) -> bool {
        self.op(NAMES)
    }
}
