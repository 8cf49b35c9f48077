//! Reads statements top to bottom: imports, assignments, scopes, and every call in every expression.
//!
//! Long because statements and expressions are read in one pass over one position.

use std::collections::HashMap;
use std::io::Read as _;
use std::rc::Rc;

use super::calls::{self, Power};
use super::functions::{self, Functions};
use super::lex::{self, Kind, Token};
use super::{Argument, Call, MAX_CALLS, MAX_TOKENS, Origin, Script};

/// What an expression is known to be. Names hand it on without copying what it holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Val {
    /// Constant text, or bytes as Latin-1.
    pub(super) text: Option<Rc<str>>,
    /// Full dotted name.
    pub(super) path: Option<String>,
    /// Constant texts of a list.
    pub(super) items: Option<Rc<[Rc<str>]>>,
    /// A constant number; in a list, every item is one.
    pub(super) number: Option<u32>,
    pub(super) numbers: Option<Rc<[u32]>>,
    /// Functions in a dictionary or list, by their key or index.
    pub(super) held: Held,
    pub(super) origin: Origin,
    /// The text, or the name it became, was put together from pieces or decoded.
    pub(super) assembled: bool,
}

/// Functions by their key or index.
type Held = Rc<[(Rc<str>, Rc<str>)]>;

const MAX_DEPTH: u32 = 40;
/// Functions of one dictionary or list.
const MAX_HELD: usize = 256;
/// Bytes of one dotted name.
const MAX_PATH: usize = 1_000;
/// Bytes of constant texts and lists made in one source.
const MAX_MADE: usize = 128 << 20;
const MAX_TEXT: usize = 256 << 10;
/// Code in code in code.
const MAX_NESTED: u8 = 4;

pub(super) fn read(text: &str, script: &mut Script, nested: u8) {
    let (tokens, whole) = lex::tokens(text, MAX_TOKENS);
    if !whole {
        script.limits.push(format!("only the first {MAX_TOKENS} tokens of the source are examined"));
    }
    let names = HashMap::new();
    let mut reader = Reader {
        tokens,
        at: 0,
        names,
        script,
        scopes: Vec::new(),
        depth: 0,
        nested,
        shell: false,
        stars: Vec::new(),
        functions: Functions::default(),
        made: 0,
    };
    while reader.at < reader.tokens.len() {
        let before = reader.at;
        reader.statement();
        reader.at = reader.at.max(before + 1);
    }
}

pub(super) struct Scope {
    pub(super) indent: usize,
    /// Its body does not run at import.
    pub(super) deferred: bool,
}

pub(super) struct Reader<'t, 's> {
    pub(super) tokens: Vec<Token<'t>>,
    pub(super) at: usize,
    pub(super) names: HashMap<String, Val>,
    pub(super) script: &'s mut Script,
    pub(super) scopes: Vec<Scope>,
    depth: u32,
    nested: u8,
    /// The cell is a shell's.
    shell: bool,
    /// Modules all of whose names were imported.
    stars: Vec<String>,
    pub(super) functions: Functions,
    /// Bytes of texts and lists made so far.
    made: usize,
}

impl<'t> Reader<'t, '_> {
    fn kind(&self) -> Option<&Kind<'t>> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn op(&mut self, op: char) -> bool {
        let found = matches!(self.kind(), Some(Kind::Op(found)) if *found == op);
        self.at += usize::from(found);
        found
    }

    fn name(&mut self) -> Option<&'t str> {
        let &Kind::Name(name) = self.kind()? else { return None };
        self.at += 1;
        Some(name)
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.kind(), Some(Kind::Name(found)) if *found == word);
        self.at += usize::from(found);
        found
    }

    fn line(&self) -> u32 {
        self.tokens.get(self.at.min(self.tokens.len().saturating_sub(1))).map_or(0, |token| token.line)
    }

    fn limit(&mut self, limit: &str) {
        if !self.script.limits.iter().any(|known| known == limit) {
            self.script.limits.push(limit.to_owned());
        }
    }

    /// Whether that many bytes more may be kept.
    fn affords(&mut self, bytes: usize) -> bool {
        self.made = self.made.saturating_add(bytes);
        if self.made > MAX_MADE {
            self.limit("the source makes more constants than are followed");
        }
        self.made <= MAX_MADE
    }

    fn at_end(&self) -> bool {
        matches!(self.kind(), None | Some(Kind::Line(_)))
    }

    pub(super) fn statement(&mut self) {
        match self.kind().cloned() {
            Some(Kind::Line(indent)) => {
                self.at += 1;
                if !self.shell {
                    self.scopes.retain(|scope| scope.indent < indent);
                }
                self.line_start(indent);
            }
            Some(Kind::Shell(text)) => self.command(text),
            Some(Kind::Name("return")) => {
                self.at += 1;
                self.returns();
            }
            Some(_) => {
                self.expression();
                // Whatever stopped the expression: a colon, a comma, an assignment.
                if !self.at_end() {
                    self.at += 1;
                }
            }
            None => {}
        }
    }

    fn command(&mut self, text: &'t str) {
        let line = self.line();
        self.at += 1;
        let trimmed = text.trim_start_matches(['!', '%']);
        let first = trimmed.split_whitespace().next().unwrap_or("");
        let cell = text.starts_with("%%") && matches!(first, "bash" | "sh" | "script" | "system");
        self.shell |= cell;
        let runs = text.starts_with('!') || cell || matches!(first, "sx" | "system" | "pip" | "conda");
        if runs && self.script.shell.len() < MAX_CALLS {
            self.script.shell.push((trimmed.trim().chars().take(400).collect(), line));
        }
    }

    fn line_start(&mut self, indent: usize) {
        let Some(&Kind::Name(first)) = self.kind() else { return };
        let after = self.tokens.get(self.at + 1).map(|token| &token.kind);
        match first {
            "import" => {
                self.at += 1;
                self.import();
            }
            "from" if matches!(after, Some(Kind::Name(_) | Kind::Op('.'))) => {
                self.at += 1;
                self.import_from();
            }
            "async" => self.at += 1,
            "def" | "class" => {
                let deferred = first == "def";
                self.at += 1;
                let name = self.name().unwrap_or("");
                // A function of the module's own hides what it is called like.
                self.bind(name.to_owned(), Val { path: Some(functions::own(name)), ..Val::default() });
                if deferred {
                    self.define(name, indent);
                }
                if !deferred && matches!(self.kind(), Some(Kind::Op('('))) && self.base_is_install_step() {
                    self.script.install_hooks = true;
                }
                // Decorators, defaults and bases run where they stand; the body later.
                self.skip_header();
                self.scopes.push(Scope { indent, deferred });
                return;
            }
            "return" => return,
            "if" => {
                let main =
                    self.tokens[self.at..].iter().take(4).any(|token| token.kind == Kind::Name("__name__"));
                if main {
                    self.scopes.push(Scope { indent, deferred: true });
                }
            }
            _ => {}
        }
        self.assignments();
    }

    fn base_is_install_step(&self) -> bool {
        self.tokens[self.at..].iter().take(8).any(|token| {
            matches!(
                token.kind,
                Kind::Name("install" | "develop" | "egg_info" | "build_py" | "sdist" | "bdist_egg")
            )
        })
    }

    fn skip_header(&mut self) {
        // Calls in defaults are seen: expressions in the parentheses are read.
        if self.op('(') {
            self.arguments();
        }
    }

    fn import(&mut self) {
        loop {
            let Some(mut path) = self.name().map(str::to_owned) else { return };
            let root = path.clone();
            while self.op('.') {
                self.longer(&mut path);
            }
            let (name, target) = match self.word("as") {
                true => (self.name().unwrap_or("").to_owned(), path),
                false => (root.clone(), root),
            };
            self.bind(name, Val { path: Some(target), ..Val::default() });
            if !self.op(',') {
                return;
            }
        }
    }

    /// Adds the next name to a dotted one.
    fn longer(&mut self, path: &mut String) {
        let name = self.name().unwrap_or("");
        if path.len() <= MAX_PATH {
            path.push('.');
            path.push_str(name);
        }
    }

    fn import_from(&mut self) {
        let mut module = String::new();
        while self.op('.') {
            module.push('.');
        }
        module.push_str(self.name().unwrap_or(""));
        while self.op('.') {
            self.longer(&mut module);
        }
        if !self.word("import") {
            return;
        }
        self.op('(');
        if self.op('*') && self.stars.len() < 64 {
            self.stars.push(module.clone());
        }
        while let Some(name) = self.name() {
            let target = format!("{module}.{name}");
            let alias = if self.word("as") { self.name().unwrap_or(name) } else { name };
            self.bind(alias.to_owned(), Val { path: Some(target), ..Val::default() });
            if !self.op(',') {
                break;
            }
        }
        self.op(')');
    }

    pub(super) fn bind(&mut self, name: String, mut value: Val) {
        value.path = value.path.filter(|path| path.len() <= MAX_PATH);
        if self.names.len() < 20_000 {
            let before = self.names.insert(name.clone(), value);
            self.functions.note(&name, before);
        }
    }

    /// `a = b = expression`, `with expression as a`, or an expression alone.
    fn assignments(&mut self) {
        let mut targets: Vec<String> = Vec::new();
        loop {
            let start = self.at;
            let simple = match (self.kind(), self.tokens.get(self.at + 1).map(|token| &token.kind)) {
                (Some(&Kind::Name(name)), Some(Kind::Op('='))) => Some(name),
                _ => None,
            };
            if let Some(name) = simple {
                targets.push(name.to_owned());
                self.at = start + 2;
                continue;
            }
            let mut value = self.expression();
            while self.op(',') || self.op(':') {
                let more = self.expression();
                value = Val { origin: value.origin.and(more.origin), ..Val::default() };
                if self.word("as")
                    && let Some(name) = self.name()
                {
                    self.bind(name.to_owned(), more);
                }
            }
            if self.word("as")
                && let Some(name) = self.name()
            {
                self.bind(name.to_owned(), value.clone());
            }
            if self.op('=') {
                continue;
            }
            for target in targets {
                self.bind(target, value.clone());
            }
            return;
        }
    }

    /// An expression up to a comma, a closing bracket, a colon, an assignment or the end of the line.
    pub(super) fn expression(&mut self) -> Val {
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

    fn operands(&mut self) -> Val {
        let mut value: Option<Val> = None;
        let mut plus = false;
        loop {
            match self.kind() {
                None
                | Some(Kind::Line(_) | Kind::Shell(_) | Kind::Op(',' | ')' | ']' | '}' | ':' | '=' | ';')) => {
                    break;
                }
                Some(Kind::Op('+')) => {
                    plus = true;
                    self.at += 1;
                }
                Some(Kind::Op(_) | Kind::Other)
                    if !matches!(self.kind(), Some(Kind::Op('(' | '[' | '{'))) =>
                {
                    plus = false;
                    self.at += 1;
                }
                Some(Kind::Name("as")) => break,
                Some(Kind::Name("lambda")) => {
                    self.at += 1;
                    let start = self.at;
                    while !self.at_end() && !self.op(':') {
                        self.at += 1;
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
                    plus = false;
                    self.at += 1;
                }
                Some(_) => {
                    let operand = self.operand();
                    value = Some(match value {
                        None => operand,
                        Some(left) => Self::joined(left, operand, plus),
                    });
                    plus = false;
                }
            }
        }
        let mut value = value.unwrap_or_default();
        // What only this value has was made for it.
        let made =
            value.text.as_ref().filter(|text| Rc::strong_count(text) == 1).map_or(0, |text| text.len());
        if !self.affords(made) {
            value.text = None;
        }
        value
    }

    fn joined(left: Val, right: Val, plus: bool) -> Val {
        let origin = left.origin.and(right.origin);
        let text = match (left.text, right.text) {
            (Some(left), Some(right)) if plus && left.len() + right.len() <= MAX_TEXT => {
                Some([&*left, &*right].concat().into())
            }
            _ => None,
        };
        let assembled = text.is_some();
        Val { text, origin, assembled, ..Val::default() }
    }

    fn operand(&mut self) -> Val {
        let value = self.primary();
        let mut value = self.postfix(value);
        value.path = value.path.filter(|path| path.len() <= MAX_PATH);
        value
    }

    fn primary(&mut self) -> Val {
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
                let secret = is_secret_path(&text);
                Val {
                    text: Some(text.into()),
                    origin: Origin { secret, ..Origin::default() },
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

    fn named(&self, name: &str) -> Val {
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
    fn formatted(&mut self, text: &str) -> Val {
        let mut origin = Origin { secret: is_secret_path(text), ..Origin::default() };
        for part in text.split('{').skip(1).take(64) {
            let inner = part.split('}').next().unwrap_or("");
            let name: String =
                inner.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
            let root = name.split('.').next().unwrap_or("");
            if let Some(known) = self.names.get(root) {
                origin = origin.and(known.origin);
            }
            origin = origin.and(origin_of(&name));
            if inner.contains('(') && self.nested < MAX_NESTED {
                self.inner(inner);
            }
        }
        Val { origin, ..Val::default() }
    }

    /// Reads code that is text here, with the names known here.
    fn inner(&mut self, code: &str) {
        if !self.functions.affords(code.len()) {
            return;
        }
        let (tokens, _) = lex::tokens(code, MAX_TOKENS / 10);
        let line = self.line();
        let deferred = self.scopes.iter().any(|scope| scope.deferred);
        let from = self.script.calls.len();
        let mut reader = Reader {
            tokens,
            at: 0,
            names: std::mem::take(&mut self.names),
            script: self.script,
            scopes: Vec::new(),
            depth: self.depth,
            nested: self.nested + 1,
            shell: false,
            stars: self.stars.clone(),
            functions: Functions::default(),
            made: self.made,
        };
        while reader.at < reader.tokens.len() {
            let before = reader.at;
            reader.statement();
            reader.at = reader.at.max(before + 1);
        }
        self.names = reader.names;
        self.made = reader.made;
        for call in self.script.calls.iter_mut().skip(from) {
            call.line = line;
            call.at_import &= !deferred;
        }
    }

    /// Values up to a closing bracket: the first, with the origins of all, and the constant texts.
    fn list(&mut self, close: char) -> (Val, Option<Rc<[Rc<str>]>>) {
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

    fn postfix(&mut self, mut value: Val) -> Val {
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

    fn attribute(&mut self, value: Val, name: &str) -> Val {
        let Some(path) = value.path else {
            // A method of a constant keeps the constant for the call.
            return Val { path: Some(format!("<text>.{name}")), ..value };
        };
        if path.len() > 200 {
            return Val { origin: value.origin, ..Val::default() };
        }
        // One variable of the environment is not all of it.
        let one = path == "os.environ" && !matches!(name, "copy" | "items" | "values");
        let path = format!("{path}.{name}");
        let mut origin = value.origin.and(origin_of(&path));
        origin.secret &= !one;
        Val { path: Some(path), origin, ..value }
    }

    fn subscript(&mut self, value: Val) -> Val {
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
    fn arguments(&mut self) -> Vec<(Option<String>, Val)> {
        let mut arguments = Vec::new();
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
            if arguments.len() < 64 {
                arguments.push((keyword, value));
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

    fn call(&mut self, callee: Val, arguments: Vec<(Option<String>, Val)>, line: u32) -> Val {
        let path = callee.path.clone().unwrap_or_default();
        let positional = |index: usize| {
            arguments.iter().filter(|(name, _)| name.is_none()).nth(index).map(|(_, value)| value)
        };
        let given = arguments.iter().fold(Origin::default(), |sum, (_, value)| sum.and(value.origin));
        let first = positional(0).cloned().unwrap_or_default();
        // Names from text.
        match path.as_str() {
            "getattr" | "builtins.getattr" | "operator.attrgetter" => {
                if let (Some(base), Some(name)) =
                    (&first.path, positional(1).and_then(|name| name.text.clone()))
                {
                    let assembled = first.assembled || positional(1).is_some_and(|name| name.assembled);
                    return Val { path: Some(format!("{base}.{name}")), assembled, ..Val::default() };
                }
            }
            "__import__" | "builtins.__import__" | "importlib.import_module" | "importlib.__import__" => {
                if let Some(mut module) = first.text.as_deref().map(str::to_owned) {
                    // `__import__` gives the outermost package.
                    if path.ends_with("__import__") && arguments.len() == 1 {
                        module.truncate(module.find('.').unwrap_or(module.len()));
                    }
                    return Val { path: Some(module), assembled: first.assembled, ..Val::default() };
                }
            }
            "chr" | "bytes" | "bytearray" | "map" => {
                let numbers = match path.as_str() {
                    "map" if first.path.as_deref() == Some("chr") => {
                        positional(1).and_then(|value| value.numbers.clone())
                    }
                    "chr" => first.number.map(|number| [number].into()),
                    "map" => None,
                    _ => first.numbers.clone(),
                };
                let text = numbers
                    .and_then(|all| all.iter().copied().map(char::from_u32).collect::<Option<String>>());
                if let Some(text) = text.map(Rc::<str>::from) {
                    // Numbers instead of letters hide them as well as any encoding.
                    let origin = Origin { decoded: true, ..given };
                    return Val {
                        items: Some([Rc::clone(&text)].into()),
                        text: Some(text),
                        origin,
                        assembled: true,
                        ..Val::default()
                    };
                }
            }
            "vars" => {
                if let Some(base) = first.path {
                    return Val { path: Some(format!("{base}.__dict__")), ..Val::default() };
                }
            }
            _ => {}
        }
        let origin = callee.origin.and(given).and(origin_of(&path));
        if let Some(value) = text_method(&path, &callee, &first, &arguments, origin) {
            return value;
        }
        let power = calls::power(&path);
        let interesting =
            !matches!(power, Power::Computes | Power::Opens) || power == Power::Opens && given.secret;
        if interesting && !path.is_empty() {
            self.record(&path, power, &arguments, line, callee.assembled);
        }
        if let Some(value) = self.followed(&path, &arguments) {
            return value;
        }
        let decodes = calls::decodes(&path);
        let text = if decodes { first.text.as_deref().and_then(|text| decoded(&path, text)) } else { None };
        let text = text.map(Rc::<str>::from);
        if matches!(path.as_str(), "exec" | "eval" | "builtins.exec" | "builtins.eval" | "compile")
            && let Some(code) = &first.text
        {
            self.evaluate(code, first.origin.decoded, power != Power::Computes);
        }
        let result = Origin {
            network: origin.network || power == Power::Network,
            decoded: origin.decoded || decodes,
            file: origin.file || power == Power::Opens,
            socket: origin.socket || path.starts_with("socket."),
            ..origin
        };
        let keeps = path == "compile" || text.is_some();
        let text = text.or_else(|| first.text.filter(|_| path == "compile"));
        let path = if keeps || path.len() > 160 { None } else { Some(format!("{path}()")) };
        Val { assembled: decodes && text.is_some(), text, path, origin: result, ..Val::default() }
    }

    fn evaluate(&mut self, code: &str, hidden: bool, runs: bool) {
        if self.nested >= MAX_NESTED || !runs {
            return;
        }
        let from = self.script.calls.len();
        self.inner(code);
        if hidden {
            for call in self.script.calls.iter_mut().skip(from) {
                call.hidden = true;
            }
        }
    }

    fn record(
        &mut self,
        path: &str,
        power: Power,
        arguments: &[(Option<String>, Val)],
        line: u32,
        assembled: bool,
    ) {
        if self.script.calls.len() >= MAX_CALLS {
            let limit = format!("only the first {MAX_CALLS} calls are listed");
            if !self.script.limits.contains(&limit) {
                self.script.limits.push(limit);
            }
            return;
        }
        let arguments = arguments
            .iter()
            .take(24)
            .map(|(name, value)| Argument {
                name: name.clone(),
                shown: shown(value),
                text: match (&value.text, &value.items) {
                    (Some(text), _) => Some(text.chars().take(2_000).collect()),
                    (None, Some(items)) => Some(beginning(items)),
                    (None, None) => None,
                },
                origin: value.origin,
            })
            .collect();
        let at_import = !self.scopes.iter().any(|scope| scope.deferred);
        let callee = path.to_owned();
        self.list_call(Call { callee, power, arguments, line, at_import, hidden: false, assembled });
    }
}

/// Whether a function of this name does anything that is listed.
fn tells(path: &str) -> bool {
    calls::power(path) != Power::Computes || calls::decodes(path)
}

/// The texts in a row, cut.
fn beginning(items: &[Rc<str>]) -> String {
    let mut text = String::new();
    for (index, item) in items.iter().take(2_000).enumerate() {
        text.extend((index > 0).then_some(' '));
        text.extend(item.chars().take(2_000));
        if text.len() >= 8_000 {
            break;
        }
    }
    text.chars().take(2_000).collect()
}

fn shown(value: &Val) -> String {
    let cut = |text: &str| text.chars().take(120).collect::<String>();
    match value {
        Val { text: Some(text), .. } => format!("{:?}", cut(text)),
        Val { items: Some(items), .. } if !items.is_empty() => {
            format!(
                "[{}]",
                items.iter().take(6).map(|item| format!("{:?}", cut(item))).collect::<Vec<_>>().join(", ")
            )
        }
        Val { path: Some(path), .. } => cut(path),
        _ => "...".into(),
    }
}

/// Methods that make text of text.
fn text_method(
    path: &str,
    callee: &Val,
    first: &Val,
    arguments: &[(Option<String>, Val)],
    origin: Origin,
) -> Option<Val> {
    let method = path.rsplit('.').next().unwrap_or("");
    if callee.text.is_none() && !matches!(path, "str" | "bytes" | "chr") {
        return None;
    }
    let base = callee.text.clone();
    let text = match (method, base) {
        ("join", Some(separator)) => {
            let items = first.items.as_ref()?;
            let bytes = items.iter().map(|item| item.len() + separator.len()).sum::<usize>();
            (bytes <= MAX_TEXT + separator.len()).then(|| items.join(&*separator).into())
        }
        ("encode" | "decode" | "strip", Some(base)) => match first.text.as_deref() {
            Some("rot13" | "rot_13") => Some(rot13(&base).into()),
            Some("hex") => unhex(&base).map(Into::into),
            _ => Some(base),
        },
        ("lower", Some(base)) => Some(base.to_lowercase().into()),
        ("replace", Some(base)) => {
            let to = arguments.get(1).and_then(|(_, value)| value.text.clone())?;
            let from = first.text.clone().filter(|from| !from.is_empty())?;
            let bytes = base.matches(&*from).count().saturating_mul(to.len());
            (bytes <= MAX_TEXT).then(|| base.replace(&*from, &to).into())
        }
        ("str" | "bytes", None) => first.text.clone(),
        _ => None,
    };
    let text = text.filter(|text: &Rc<str>| text.len() <= MAX_TEXT);
    if text.is_none() && matches!(path, "str" | "bytes" | "chr") {
        return None;
    }
    let assembled = !matches!(method, "str" | "bytes" | "strip");
    Some(Val { text, origin, assembled, ..Val::default() })
}

/// What a dotted name stands for.
fn origin_of(path: &str) -> Origin {
    let is = |prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    Origin {
        input: is("sys.argv")
            || is("input")
            || is("request.args")
            || is("request.form")
            || is("request.json"),
        secret: path == "os.environ" || path == "os.environ.copy",
        ..Origin::default()
    }
}

fn is_secret_path(text: &str) -> bool {
    [".ssh/id_", ".aws/credentials", "/etc/shadow", ".config/gcloud", ".kube/config", "huggingface/token"]
        .iter()
        .any(|part| text.contains(part))
}

/// The text that a decoder gives for a constant.
fn decoded(callee: &str, text: &str) -> Option<String> {
    let last = callee.rsplit('.').next().unwrap_or("");
    let latin = |bytes: Vec<u8>| -> Option<String> {
        Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => error.into_bytes().iter().map(|&byte| byte as char).collect(),
        })
    };
    match last {
        "b64decode" | "urlsafe_b64decode" | "standard_b64decode" | "decodebytes" | "a2b_base64" => {
            latin(unbase64(text)?)
        }
        "fromhex" | "unhexlify" | "a2b_hex" | "b16decode" => unhex(text),
        "decompress" => {
            // Bytes of a constant are kept as Latin-1.
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c as u32).ok()).collect();
            let bytes = bytes?;
            let mut out = Vec::new();
            let mut reader = flate2::read::ZlibDecoder::new(bytes.as_slice()).take(MAX_TEXT as u64);
            reader.read_to_end(&mut out).ok()?;
            latin(out)
        }
        "decode" => Some(text.to_owned()),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<String> {
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' | b'\n' | b'\r' | b' ' => continue,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

fn rot13(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='z' => ((c as u8 - b'a' + 13) % 26 + b'a') as char,
            'A'..='Z' => ((c as u8 - b'A' + 13) % 26 + b'A') as char,
            other => other,
        })
        .collect()
}
