//! Reads statements top to bottom: imports, assignments, scopes, and every call in every expression.
//!
//! Long because every kind of statement is told apart in one place.

mod call;
pub(super) mod constant;
mod expression;

use std::collections::HashMap;
use std::rc::Rc;

use super::calls::{self, Power};
use super::functions::{self, Functions};
use super::lex::{self, Kind, Token};
use super::{MAX_CALLS, MAX_TOKENS, Origin, Role, Script};

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
const MAX_DECORATORS: usize = 16;
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
        decorators: Vec::new(),
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
    /// It is a class whose objects are classes.
    pub(super) makes_classes: bool,
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
    /// Decorators that wait for their function or class, with their line.
    decorators: Vec<(Val, u32)>,
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

    pub(super) fn limit(&mut self, limit: &str) {
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
        let mut words = trimmed.split_whitespace();
        let first = words.next().unwrap_or("");
        let second = words.find(|word| !word.starts_with('-')).unwrap_or("");
        let origin = Origin {
            network: first == "run" && second.contains("://"),
            trusted_place: matches!(first, "writefile" | "file") && constant::is_trusted_place(second),
            ..Origin::default()
        };
        let power = match origin {
            Origin { network: true, .. } => Some(Power::Evaluates),
            Origin { trusted_place: true, .. } => Some(Power::Plants),
            _ => None,
        };
        if let Some(power) = power {
            let given = Val { text: Some(second.into()), origin, ..Val::default() };
            self.record(&format!("%{first}"), power, &[(None, given)], line, false);
        }
        let known = self.filled(trimmed);
        let trimmed = known.as_str();
        let cell = text.starts_with("%%") && matches!(first, "bash" | "sh" | "script" | "system");
        self.shell |= cell;
        let runs = text.starts_with('!')
            || cell
            || matches!(first, "sx" | "system" | "pip" | "conda" | "alias" | "alias_magic");
        if runs && self.script.shell.len() < MAX_CALLS {
            self.script.shell.push((trimmed.trim().chars().take(400).collect(), line));
        } else if runs {
            self.limit(&format!("only the first {MAX_CALLS} commands are listed"));
        }
    }

    /// A command with the texts of the names that stand in it as `{name}` or `$name`.
    fn filled(&self, command: &str) -> String {
        let mut out = String::new();
        let mut rest = command;
        while let Some(at) = rest.find(['{', '$']) {
            out.push_str(&rest[..at]);
            let inner = &rest[at + 1..];
            let end = inner.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inner.len());
            let known = self.names.get(&inner[..end]).and_then(|value| value.text.as_deref());
            let braced = rest[at..].starts_with('{');
            match known.filter(|_| !braced || inner[end..].starts_with('}')) {
                Some(text) if out.len() + text.len() < MAX_TEXT => {
                    out.push_str(text);
                    rest = &inner[end + usize::from(braced)..];
                }
                _ => {
                    out.push_str(&rest[at..=at]);
                    rest = inner;
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn line_start(&mut self, indent: usize) {
        if matches!(self.kind(), Some(Kind::Op('@'))) {
            let line = self.line();
            self.at += 1;
            let decorator = self.expression();
            if self.decorators.len() < MAX_DECORATORS {
                self.decorators.push((decorator, line));
            } else {
                self.limit("a function has more decorators than are followed");
            }
            return;
        }
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
                let function = first == "def";
                self.at += 1;
                let name = self.name().unwrap_or("");
                // Python itself calls these while a class is made, or when a module or a class is asked.
                let by_itself = is_operator(name)
                    && (self.scopes.last().is_some_and(|scope| scope.makes_classes)
                        || matches!(
                            name,
                            "__init_subclass__" | "__set_name__" | "__class_getitem__" | "__prepare__"
                        )
                        || name == "__getattr__" && indent == 0);
                let deferred = function && !by_itself;
                // A function of the module's own hides what it is called like.
                self.bind(name.to_owned(), Val { path: Some(functions::own(name)), ..Val::default() });
                if function {
                    self.define(name, indent);
                }
                let makes_classes = !function && self.base_is_type();
                if !function && matches!(self.kind(), Some(Kind::Op('('))) && self.base_is_install_step() {
                    self.script.install_hooks = true;
                }
                // Decorators, defaults and bases run where they stand; the body later.
                self.skip_header(name, function);
                self.decorated();
                self.serves(name, function);
                self.scopes.push(Scope { indent, deferred, makes_classes });
                return;
            }
            "return" => return,
            "if" => {
                let main =
                    self.tokens[self.at..].iter().take(4).any(|token| token.kind == Kind::Name("__name__"));
                if main {
                    self.scopes.push(Scope { indent, deferred: true, makes_classes: false });
                }
            }
            _ => {}
        }
        self.assignments();
    }

    /// A decorator is called with what stands under it.
    fn decorated(&mut self) {
        let mut under = Val::default();
        for (decorator, line) in std::mem::take(&mut self.decorators).into_iter().rev() {
            under = self.call(decorator, vec![(None, under)], line);
        }
    }

    /// What a server's entry point is given comes from whoever asks it.
    fn serves(&mut self, name: &str, function: bool) {
        let entry = ["handle", "preprocess", "inference", "postprocess", "input_fn", "predict_fn", "execute"];
        if !function || self.script.role != Role::Module || !entry.contains(&name) {
            return;
        }
        for parameter in self.functions.parameters_of(name) {
            if !matches!(parameter.as_str(), "self" | "cls" | "context" | "ctx") {
                let origin = Origin { input: true, ..Origin::default() };
                self.bind(parameter.clone(), Val { path: Some(parameter), origin, ..Val::default() });
            }
        }
    }

    fn base_is_install_step(&self) -> bool {
        self.tokens[self.at..].iter().take(8).any(|token| {
            matches!(
                token.kind,
                Kind::Name(
                    "install"
                        | "develop"
                        | "egg_info"
                        | "build_py"
                        | "sdist"
                        | "bdist_egg"
                        | "bdist_wheel"
                        | "BuildHookInterface"
                        | "MetadataHookInterface"
                )
            )
        })
    }

    /// Whether `type` is among the bases that follow.
    fn base_is_type(&self) -> bool {
        let rest = self.tokens.get(self.at..).unwrap_or(&[]);
        matches!(
            rest,
            [
                Token { kind: Kind::Op('('), .. },
                Token { kind: Kind::Name("type" | "EnumMeta" | "ABCMeta"), .. },
                ..
            ]
        )
    }

    /// Calls in defaults and bases are seen: expressions in the parentheses are read.
    fn skip_header(&mut self, name: &str, function: bool) {
        if !self.op('(') {
            return;
        }
        for (keyword, value) in self.arguments() {
            match keyword {
                Some(keyword) if function => self.default(&keyword, value),
                // A class that is made of `subprocess.Popen` starts what it is called with.
                None if !function => {
                    let power = value.path.as_deref().map_or(Power::Computes, calls::power);
                    if matches!(power, Power::Runs | Power::Evaluates) {
                        self.bind(name.to_owned(), value);
                    }
                }
                _ => {}
            }
        }
    }

    /// What a parameter is when nothing is given for it, as far as it is a module or function that matters.
    fn default(&mut self, name: &str, value: Val) {
        const MODULES: [&str; 8] =
            ["os", "posix", "subprocess", "pty", "builtins", "__builtins__", "pickle", "importlib"];
        let matters = value
            .path
            .as_deref()
            .is_some_and(|path| MODULES.contains(&path) || calls::power(path) != Power::Computes);
        if matters {
            self.bind(name.to_owned(), value);
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
        if self.op('*') {
            if self.stars.len() < 64 {
                self.stars.push(module.clone());
            } else {
                self.limit("more modules are imported whole than are followed");
            }
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
        if self.names.len() < 20_000 || self.names.contains_key(&name) {
            let before = self.names.insert(name.clone(), value);
            self.functions.note(&name, before);
        } else {
            self.limit("the source gives more names than are followed");
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
                // `X.__getitem__ = f` makes every `X[...]` a call of `f`.
                let target = value.path.as_deref().and_then(|path| path.rsplit('.').next());
                targets.extend(target.filter(|name| is_operator(name)).map(str::to_owned));
                continue;
            }
            let grave = value.path.as_deref().map_or(Power::Computes, calls::power);
            if matches!(grave, Power::Runs | Power::Evaluates) && targets.iter().any(|name| is_operator(name))
            {
                let (path, line) = (value.path.clone().unwrap_or_default(), self.line());
                self.record(&path, grave, &[], line, true);
            }
            for target in targets {
                self.bind(target, value.clone());
            }
            return;
        }
    }
}

/// Whether a name is one that Python calls for an operator or a subscript.
fn is_operator(name: &str) -> bool {
    name.len() > 4 && name.starts_with("__") && name.ends_with("__")
}
