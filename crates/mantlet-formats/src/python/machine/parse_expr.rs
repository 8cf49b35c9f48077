//! Expressions of Python source, by the precedence of the language reference (6.17).
//!
//! Long because every level of precedence is read in one place.

use std::rc::Rc;

use super::super::lex::{self, Kind};
use super::parse::{self, MAX_DEPTH, Parser};
use super::tree::{Comprehension, Def, Expr, Given, How, Node, Parameter, Stmt};

/// Items of one display, and arguments of one call.
const MAX_ITEMS: usize = 100_000;

/// Operators of one level in a row, each a level of the tree.
const MAX_LINKS: u32 = 40;

/// Binary operators from the loosest to the tightest.
const LEVELS: [&[&str]; 6] =
    [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "/", "//", "%", "@"]];

fn boxed(line: u32, node: Node) -> Box<Expr> {
    Box::new(Expr { line, node })
}

impl Parser<'_> {
    /// An expression, or several with commas between them.
    pub(super) fn tuple(&mut self) -> Expr {
        let line = self.line();
        let first = self.item();
        if !matches!(self.kind(), Some(Kind::Op(','))) {
            return first;
        }
        let mut all = vec![first];
        while self.op(',') {
            if self.at_end() || matches!(self.kind(), Some(Kind::Op(')' | ']' | '}' | '=' | ':' | ';'))) {
                break;
            }
            let item = self.item();
            if all.len() < MAX_ITEMS {
                all.push(item);
            }
        }
        Expr { line, node: Node::Tuple(all) }
    }

    fn item(&mut self) -> Expr {
        let line = self.line();
        if self.op('*') {
            let inner = self.test();
            return Expr { line, node: Node::Star(Box::new(inner)) };
        }
        self.test()
    }

    /// One expression.
    pub(super) fn test(&mut self) -> Expr {
        let line = self.line();
        if self.depth >= MAX_DEPTH {
            self.deep = true;
            self.at += usize::from(!self.at_end());
            return Expr { line, node: Node::Unknown };
        }
        self.depth += 1;
        let value = self.choice();
        self.depth -= 1;
        value
    }

    fn choice(&mut self) -> Expr {
        let line = self.line();
        if self.word("lambda") {
            return self.lambda(line);
        }
        if self.word("yield") {
            self.yields = true;
            if self.word("from") {
                let over = self.test();
                return Expr { line, node: Node::YieldFrom(Box::new(over)) };
            }
            let ends =
                self.at_end() || matches!(self.kind(), Some(Kind::Op(')' | ']' | '}' | '=' | ';' | ',')));
            let value = (!ends).then(|| Box::new(self.tuple()));
            return Expr { line, node: Node::Yield(value) };
        }
        let value = self.either();
        if self.is_word("if") && !self.at_end() {
            self.at += 1;
            let test = self.either();
            let other = if self.word("else") { self.test() } else { Expr { line, node: Node::None } };
            return Expr { line, node: Node::Choice(Box::new(test), Box::new(value), Box::new(other)) };
        }
        value
    }

    fn lambda(&mut self, line: u32) -> Expr {
        let parameters: Vec<Parameter> = self.parameters(':');
        let outer = std::mem::replace(&mut self.yields, false);
        let body = self.test();
        let yields = std::mem::replace(&mut self.yields, outer);
        let body = vec![Stmt::Return(Some(body))];
        let def = Def {
            name: "<lambda>".into(),
            parameters,
            annotations: Vec::new(),
            decorators: Vec::new(),
            body,
            yields,
            line,
        };
        Expr { line, node: Node::Lambda(Rc::new(def)) }
    }

    fn either(&mut self) -> Expr {
        let line = self.line();
        let mut value = self.both();
        let mut links = 0_u32;
        while self.word("or") {
            let right = self.both();
            links += 1;
            if links > MAX_LINKS {
                self.deep = true;
                continue;
            }
            value = Expr { line, node: Node::Either(false, Box::new(value), Box::new(right)) };
        }
        value
    }

    fn both(&mut self) -> Expr {
        let line = self.line();
        let mut value = self.negation();
        let mut links = 0_u32;
        while self.word("and") {
            let right = self.negation();
            links += 1;
            if links > MAX_LINKS {
                self.deep = true;
                continue;
            }
            value = Expr { line, node: Node::Either(true, Box::new(value), Box::new(right)) };
        }
        value
    }

    fn negation(&mut self) -> Expr {
        let line = self.line();
        let mut times = 0_u32;
        while self.word("not") {
            times += 1;
        }
        let value = self.comparison();
        match times % 2 {
            _ if times == 0 => value,
            1 => Expr { line, node: Node::Unary("not", Box::new(value)) },
            _ => Expr { line, node: Node::Unary("bool", Box::new(value)) },
        }
    }

    fn comparison(&mut self) -> Expr {
        let line = self.line();
        let mut value = self.level(0);
        let mut links = 0_u32;
        loop {
            let (op, width) = match (self.kind(), self.next_kind(1)) {
                (Some(Kind::Other("==")), _) => ("==", 1),
                (Some(Kind::Other("!=")), _) => ("!=", 1),
                (Some(Kind::Other("<=")), _) => ("<=", 1),
                (Some(Kind::Other(">=")), _) => (">=", 1),
                (Some(Kind::Op('<')), _) => ("<", 1),
                (Some(Kind::Op('>')), _) => (">", 1),
                (Some(Kind::Name("in")), _) => ("in", 1),
                (Some(Kind::Name("not")), Some(Kind::Name("in"))) => ("not in", 2),
                (Some(Kind::Name("is")), Some(Kind::Name("not"))) => ("!=", 2),
                (Some(Kind::Name("is")), _) => ("==", 1),
                _ => return value,
            };
            self.at += width;
            let right = self.level(0);
            links += 1;
            if links > MAX_LINKS {
                self.deep = true;
                continue;
            }
            value = Expr { line, node: Node::Compare(op, Box::new(value), Box::new(right)) };
        }
    }

    fn level(&mut self, level: usize) -> Expr {
        let line = self.line();
        let Some(ops) = LEVELS.get(level) else { return self.unary() };
        let mut value = self.level(level + 1);
        let mut links = 0_u32;
        'more: loop {
            for op in *ops {
                if self.binary(op) {
                    let right = self.level(level + 1);
                    // A long sum is one node, not a tree as deep as it is long.
                    if let Node::Chain(known, all) = &mut value.node
                        && known == op
                    {
                        if all.len() < MAX_ITEMS {
                            all.push(right);
                        }
                    } else if links < MAX_LINKS {
                        links += 1;
                        value = Expr { line, node: Node::Chain(op, vec![value, right]) };
                    } else {
                        self.deep = true;
                    }
                    continue 'more;
                }
            }
            return value;
        }
    }

    /// Takes a binary operator, unless it assigns.
    fn binary(&mut self, op: &str) -> bool {
        let next = self.next_kind(1);
        let found = match (op, self.kind()) {
            ("<<", Some(Kind::Op('<'))) => matches!(next, Some(Kind::Op('<'))),
            (">>", Some(Kind::Op('>'))) => matches!(next, Some(Kind::Op('>'))),
            ("//", Some(Kind::Other("//"))) => !matches!(next, Some(Kind::Op('='))),
            ("^" | "@", Some(Kind::Op(found))) => {
                op.starts_with(*found) && !matches!(next, Some(Kind::Op('=')))
            }
            (_, Some(Kind::Op(found))) if op.len() == 1 => op.starts_with(*found),
            _ => false,
        };
        self.at += if !found { 0 } else { 1 + usize::from(matches!(op, "<<" | ">>")) };
        found
    }

    fn unary(&mut self) -> Expr {
        let line = self.line();
        let mut ops = Vec::new();
        loop {
            match self.kind() {
                Some(Kind::Op('-')) => ops.push("-"),
                Some(Kind::Op('+')) => ops.push("+"),
                Some(Kind::Op('~')) => ops.push("~"),
                _ => break,
            }
            self.at += 1;
        }
        let mut value = self.operand();
        if matches!(self.kind(), Some(Kind::Other("**"))) && !matches!(self.next_kind(1), Some(Kind::Op('=')))
        {
            self.at += 1;
            if self.depth < MAX_DEPTH {
                self.depth += 1;
                let right = self.unary();
                self.depth -= 1;
                value = Expr { line, node: Node::Chain("**", vec![value, right]) };
            } else {
                self.deep = true;
            }
        }
        // Signs in a row add up to one.
        ops.dedup_by(|a, b| a == b && *a == "+");
        for op in ops.into_iter().rev().take(4) {
            value = Expr { line, node: Node::Unary(op, Box::new(value)) };
        }
        value
    }

    /// A name, constant or bracket with what follows it directly.
    pub(super) fn operand(&mut self) -> Expr {
        let line = self.line();
        if self.is_word("await") && !matches!(self.next_kind(1), Some(Kind::Op('=' | ',' | ')'))) {
            self.at += 1;
            let value = self.postfixed(line);
            return Expr { line, node: Node::Await(Box::new(value)) };
        }
        self.postfixed(line)
    }

    fn postfixed(&mut self, line: u32) -> Expr {
        let mut value = self.primary();
        let mut links = 0_u32;
        loop {
            links += 1;
            // Each link is a level of the tree; the rest is left.
            if links > MAX_LINKS {
                self.deep = true;
                return value;
            }
            if matches!(self.kind(), Some(Kind::Op('.'))) && matches!(self.next_kind(1), Some(Kind::Name(_)))
            {
                self.at += 1;
                let name = self.name().unwrap_or_default();
                value = Expr { line, node: Node::Attribute(Box::new(value), name) };
            } else if self.op('(') {
                let line = self.line();
                let arguments = self.arguments();
                value = Expr { line, node: Node::Call(Box::new(value), arguments) };
            } else if self.op('[') {
                let key = self.subscript();
                value = Expr { line, node: Node::Index(Box::new(value), Box::new(key)) };
            } else {
                return value;
            }
        }
    }

    fn subscript(&mut self) -> Expr {
        let line = self.line();
        let mut all = Vec::new();
        let mut several = false;
        while !self.at_end() && !self.op(']') {
            let before = self.at;
            let part = self.slice();
            if all.len() < 64 {
                all.push(part);
            }
            several |= self.op(',');
            if self.at == before {
                self.at += 1;
            }
        }
        match (several, all.pop()) {
            (false, Some(one)) => one,
            (_, last) => {
                all.extend(last);
                Expr { line, node: Node::Tuple(all) }
            }
        }
    }

    fn slice(&mut self) -> Expr {
        let line = self.line();
        let ends = |this: &Self| matches!(this.kind(), Some(Kind::Op(':' | ']' | ',')) | None);
        let from = if ends(self) { None } else { Some(Box::new(self.item())) };
        if !self.op(':') {
            return from.map_or(Expr { line, node: Node::None }, |from| *from);
        }
        let to = if ends(self) { None } else { Some(Box::new(self.test())) };
        let step = if self.op(':') && !ends(self) { Some(Box::new(self.test())) } else { None };
        Expr { line, node: Node::Slice(from, to, step) }
    }

    /// Arguments up to the closing bracket, which is taken.
    pub(super) fn arguments(&mut self) -> Vec<Given> {
        let mut all = Vec::new();
        while !self.at_end() && !self.op(')') {
            let before = self.at;
            let how = if self.other("**") {
                How::Stars
            } else if self.op('*') {
                How::Star
            } else if let (Some(&Kind::Name(name)), Some(Kind::Op('='))) = (self.kind(), self.next_kind(1)) {
                self.at += 2;
                How::Keyword(name.into())
            } else {
                How::Position
            };
            let mut value = self.test();
            if let Some(made) = self.comprehension(None, &value, false) {
                value = made;
            }
            if all.len() < 4_096 {
                all.push(Given { how, value });
            }
            if !self.op(',') && self.at == before {
                self.at += 1;
            }
        }
        all
    }

    /// `for ... in ...` after an element.
    fn comprehension(&mut self, key: Option<&Expr>, element: &Expr, set: bool) -> Option<Expr> {
        let line = self.line();
        let begins = |this: &Self| {
            this.is_word("for")
                || this.is_word("async") && matches!(this.next_kind(1), Some(Kind::Name("for")))
        };
        if !begins(self) {
            return None;
        }
        let mut clauses = Vec::new();
        while begins(self) && clauses.len() < 16 {
            self.word("async");
            self.word("for");
            let target = self.targets();
            self.word("in");
            let over = self.either_in_clause();
            let mut tests = Vec::new();
            while self.word("if") {
                tests.push(self.either_in_clause());
            }
            clauses.push((target, over, tests));
        }
        let made = Comprehension { key: key.cloned(), element: element.clone(), clauses, set };
        Some(Expr { line, node: Node::Comprehension(Box::new(made)) })
    }

    fn either_in_clause(&mut self) -> Expr {
        let line = self.line();
        if self.depth >= MAX_DEPTH {
            self.deep = true;
            self.at += usize::from(!self.at_end());
            return Expr { line, node: Node::Unknown };
        }
        self.depth += 1;
        let value = if self.word("lambda") { self.lambda(line) } else { self.either() };
        self.depth -= 1;
        value
    }

    fn primary(&mut self) -> Expr {
        let line = self.line();
        let bytes = self.tokens.get(self.at).is_some_and(|token| token.bytes);
        let node = match self.kind().cloned() {
            Some(Kind::Name(name)) => {
                self.at += 1;
                match name {
                    "None" => Node::None,
                    "True" => Node::Bool(true),
                    "False" => Node::Bool(false),
                    _ if self.walrus() => {
                        let value = self.test();
                        Node::Walrus(name.into(), Box::new(value))
                    }
                    _ => Node::Name(name.into()),
                }
            }
            Some(Kind::Number(digits)) => {
                self.at += 1;
                number(digits)
            }
            Some(Kind::Str(_) | Kind::Format(_)) => self.strings(line, bytes),
            Some(Kind::Op('(')) => {
                self.at += 1;
                self.group(line)
            }
            Some(Kind::Op('[')) => {
                self.at += 1;
                self.row(line)
            }
            Some(Kind::Op('{')) => {
                self.at += 1;
                self.braces(line)
            }
            Some(Kind::Op('.')) => {
                while self.op('.') {}
                Node::Unknown
            }
            Some(Kind::Line(_) | Kind::Shell(_)) | None => Node::Unknown,
            Some(Kind::Op(')' | ']' | '}' | ',' | ':' | '=' | ';')) => Node::Unknown,
            Some(_) => {
                self.at += 1;
                Node::Unknown
            }
        };
        Expr { line, node }
    }

    /// Strings that stand beside each other are one.
    fn strings(&mut self, line: u32, bytes: bool) -> Node {
        let mut text = String::new();
        let mut parts: Vec<Expr> = Vec::new();
        let mut formats = false;
        while let Some(kind) = self.kind().cloned() {
            match kind {
                Kind::Str(more) => text.push_str(&more),
                Kind::Format(raw) => {
                    formats = true;
                    self.formatted(raw, line, &mut text, &mut parts);
                }
                _ => break,
            }
            self.at += 1;
        }
        if !formats {
            return if bytes { Node::Bytes(text.into()) } else { Node::Str(text.into()) };
        }
        if !text.is_empty() {
            parts.push(Expr { line, node: Node::Str(text.into()) });
        }
        Node::Format(parts)
    }

    fn formatted(&mut self, raw: &str, line: u32, text: &mut String, parts: &mut Vec<Expr>) {
        let mut rest = raw;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&lex::unescaped(&rest[..at]));
            let brace = &rest[at..=at];
            if rest[at + 1..].starts_with(brace) {
                text.push_str(brace);
                rest = &rest[at + 2..];
                continue;
            }
            rest = &rest[at + 1..];
            if brace == "}" || parts.len() >= 400 {
                continue;
            }
            let end = ends(rest);
            let inner = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or("");
            if !text.is_empty() {
                parts.push(Expr { line, node: Node::Str(std::mem::take(text).into()) });
            }
            let code = inner.get(..code_end(inner)).unwrap_or(inner);
            if self.depth >= MAX_DEPTH {
                self.deep = true;
                continue;
            }
            let (mut value, deep) = parse::expression(code, self.depth + 1);
            self.deep |= deep;
            value.line = line;
            parts.push(value);
        }
        text.push_str(&lex::unescaped(rest));
    }

    fn group(&mut self, line: u32) -> Node {
        if self.op(')') {
            return Node::Tuple(Vec::new());
        }
        let before = self.at;
        let value = self.tuple();
        let value = self.comprehension(None, &value, false).unwrap_or(value);
        self.close(')', before);
        match value.node {
            node @ Node::Name(_) => node,
            node => Node::Unary("()", boxed(line, node)),
        }
    }

    fn row(&mut self, _line: u32) -> Node {
        let mut all = Vec::new();
        while !self.at_end() && !self.op(']') {
            let before = self.at;
            let item = self.item();
            if let Some(made) = self.comprehension(None, &item, false) {
                self.close(']', before);
                return made.node;
            }
            if all.len() < MAX_ITEMS {
                all.push(item);
            }
            if !self.op(',') && self.at == before {
                self.at += 1;
            }
        }
        Node::List(all)
    }

    fn braces(&mut self, line: u32) -> Node {
        let (mut pairs, mut items) = (Vec::new(), Vec::new());
        while !self.at_end() && !self.op('}') {
            let before = self.at;
            if self.other("**") {
                let value = self.test();
                pairs.push((None, value));
            } else {
                let key = self.item();
                if self.op(':') {
                    let value = self.test();
                    if let Some(made) = self.comprehension(Some(&key), &value, false) {
                        self.close('}', before);
                        return made.node;
                    }
                    if pairs.len() < MAX_ITEMS {
                        pairs.push((Some(key), value));
                    }
                } else {
                    if let Some(made) = self.comprehension(None, &key, true) {
                        self.close('}', before);
                        return made.node;
                    }
                    if items.len() < MAX_ITEMS {
                        items.push(key);
                    }
                }
            }
            if !self.op(',') && self.at == before {
                self.at += 1;
            }
        }
        let _ = line;
        if items.is_empty() { Node::Dict(pairs) } else { Node::Set(items) }
    }

    /// Up to a closing bracket that something unknown stands before.
    fn close(&mut self, close: char, before: usize) {
        let mut depth = 0_u32;
        self.at = self.at.max(before);
        while !self.at_end() {
            match self.kind() {
                Some(Kind::Op(found)) if *found == close && depth == 0 => {
                    self.at += 1;
                    return;
                }
                Some(Kind::Op('(' | '[' | '{')) => depth += 1,
                Some(Kind::Op(')' | ']' | '}')) => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
    }
}

/// Where the braces of a formatted string's expression end.
fn ends(rest: &str) -> usize {
    let (mut depth, mut quote) = (0_u32, None);
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{' | '(' | '[') => depth += 1,
            (None, '}') if depth == 0 => return at,
            (None, '}' | ')' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    rest.len()
}

/// Where the expression ends and a conversion or a format begins.
fn code_end(inner: &str) -> usize {
    let (mut depth, mut quote) = (0_u32, None);
    let bytes = inner.as_bytes();
    for (at, c) in inner.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{' | '(' | '[') => depth += 1,
            (None, '}' | ')' | ']') => depth = depth.saturating_sub(1),
            (None, '!') if depth == 0 && bytes.get(at + 1) != Some(&b'=') => return at,
            (None, ':') if depth == 0 && bytes.get(at + 1) != Some(&b'=') => return at,
            _ => {}
        }
    }
    inner
        .trim_end()
        .strip_suffix('=')
        .filter(|code| !code.ends_with(['=', '!', '<', '>']))
        .map_or(inner.len(), str::len)
}

fn number(digits: &str) -> Node {
    let plain = digits.replace('_', "").to_ascii_lowercase();
    let radix = |prefix: &str, radix: u32| {
        plain.strip_prefix(prefix).and_then(|d| i64::from_str_radix(d, radix).ok())
    };
    let value =
        radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)).or_else(|| plain.parse().ok());
    // A whole number that is written as another spells what the whole one does.
    let whole = || plain.split_once('.').filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0'));
    let value = value.or_else(|| whole()?.0.parse().ok());
    value.map_or(Node::Float, Node::Int)
}
