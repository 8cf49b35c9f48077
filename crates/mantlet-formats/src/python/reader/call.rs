//! Calls: names made from text, text made from text, and what is listed.

use std::rc::Rc;

use super::constant::{decoded, origin_of, text_method};
use super::{MAX_NESTED, Reader, Val};
use crate::python::calls::{self, Power};
use crate::python::functions::Functions;
use crate::python::lex;
use crate::python::libraries;
use crate::python::{Argument, Call, MAX_CALLS, MAX_TOKENS, Origin};

/// Arguments of a call that are listed; the last stands for the origins of those after it.
const MAX_ARGUMENTS: usize = 24;
/// The path of a function that takes an attribute, before its name.
const TAKES: &str = "operator.attrgetter<>";
/// Pickles among the constants of one source.
const MAX_PICKLES: usize = 16;

/// Whether a constant is the name of a file that is no program's.
fn data_file(value: &Val) -> bool {
    value.text.as_deref().and_then(|name| name.rsplit_once('.')).is_some_and(|(_, ending)| {
        (1..=12).contains(&ending.len())
            && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && !matches!(ending, "py" | "pyc" | "pyw" | "so" | "pyd" | "pyx" | "pth" | "cfg" | "toml")
    })
}

impl Reader<'_, '_> {
    pub(super) fn call(&mut self, callee: Val, arguments: Vec<(Option<String>, Val)>, line: u32) -> Val {
        let path = callee.path.clone().unwrap_or_default();
        let positional = |index: usize| {
            arguments.iter().filter(|(name, _)| name.is_none()).nth(index).map(|(_, value)| value)
        };
        let given = arguments.iter().fold(Origin::default(), |sum, (_, value)| sum.and(value.origin));
        let first = positional(0).cloned().unwrap_or_default();
        // What `attrgetter` and `methodcaller` made takes the attribute of what it is called with.
        if let Some(name) = path.strip_prefix(TAKES)
            && let Some(base) = &first.path
        {
            let path = Some(format!("{base}.{name}"));
            return Val { path, assembled: callee.assembled, ..Val::default() };
        }
        // A function out of a table, by its key.
        if matches!(path.rsplit('.').next(), Some("get" | "pop" | "setdefault" | "__getitem__"))
            && let Some(key) = &first.text
            && let Some((_, found)) = callee.held.iter().find(|(name, _)| name == key)
        {
            return Val { path: Some(found.to_string()), origin: callee.origin, ..Val::default() };
        }
        // Names from text.
        match path.as_str() {
            "operator.attrgetter" | "operator.methodcaller" => {
                if let Some(name) = &first.text {
                    let path = Some(format!("{TAKES}{name}"));
                    return Val { path, assembled: first.assembled, ..Val::default() };
                }
            }
            "reversed" => {
                if let Some(text) = &first.text {
                    let back: Rc<str> = text.chars().rev().collect::<String>().into();
                    let items: Vec<Rc<str>> = back.chars().map(|c| Rc::from(c.to_string())).collect();
                    return Val {
                        items: Some(items.into()),
                        text: Some(back),
                        origin: given,
                        assembled: true,
                        ..Val::default()
                    };
                }
            }
            "getattr" | "builtins.getattr" => {
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
        let power = calls::power(&path);
        if origin.trusted_place && self.plants(&path, power, &arguments) {
            self.record(&path, Power::Plants, &arguments, line, false);
        }
        if let Some(value) = text_method(&path, &callee, &first, &arguments, origin) {
            return value;
        }
        let reads_data = power == Power::Opens && data_file(&first);
        if calls::loads_source(&path)
            && let Some(at) = arguments.iter().position(|(_, value)| data_file(value))
        {
            let mut arguments = arguments.clone();
            if let Some((_, value)) = arguments.get_mut(at) {
                value.origin.data_file = true;
            }
            self.record(&path, Power::Evaluates, &arguments, line, false);
        }
        if calls::calls_back(&path) {
            self.called_back(&arguments, line);
        }
        if power == Power::Unpickles
            && path.ends_with(".loads")
            && let Some(text) = &first.text
        {
            // Bytes of a constant are kept as Latin-1.
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            if self.script.pickles.len() < MAX_PICKLES {
                self.script.pickles.push((bytes.unwrap_or_else(|| text.as_bytes().to_vec()), line));
            } else {
                self.limit("the source loads more constant pickles than are examined");
            }
        }
        let interesting = !matches!(power, Power::Computes | Power::Opens | Power::Native)
            || power == Power::Opens && given.secret;
        if interesting && !path.is_empty() {
            let assembled = callee.assembled || path.ends_with("__dict__[]") || path == "__builtins__[]";
            self.record(&path, power, &arguments, line, assembled);
        }
        if let Some(value) = self.followed(&path, &arguments) {
            return value;
        }
        let decodes = calls::decodes(&path);
        let text = if decodes { first.text.as_deref().and_then(|text| decoded(&path, text)) } else { None };
        let text = text.map(Rc::<str>::from);
        if (matches!(path.as_str(), "exec" | "eval" | "builtins.exec" | "builtins.eval" | "compile")
            || calls::interprets(&path))
            && let Some(code) = &first.text
        {
            self.evaluate(code, first.origin.decoded, power != Power::Computes);
        }
        let result = Origin {
            network: origin.network || power == Power::Network,
            decoded: origin.decoded || decodes,
            file: origin.file || power == Power::Opens,
            data_file: origin.data_file || reads_data,
            socket: origin.socket || path.starts_with("socket."),
            fetched: origin.fetched || libraries::fetches(&path),
            ..origin
        };
        let keeps = path == "compile" || text.is_some();
        let text = text.or_else(|| first.text.filter(|_| path == "compile"));
        let path = if keeps || path.len() > 160 { None } else { Some(format!("{path}()")) };
        Val { assembled: decodes && text.is_some(), text, path, origin: result, ..Val::default() }
    }

    /// Whether a call writes what its path names.
    fn plants(&self, path: &str, power: Power, arguments: &[(Option<String>, Val)]) -> bool {
        let mode = |value: &Val| {
            value.text.as_deref().is_some_and(|mode| {
                mode.len() <= 3 && mode.starts_with(['w', 'a', 'x']) || matches!(mode, "r+" | "r+b" | "rb+")
            })
        };
        let opens = power == Power::Opens || path.ends_with(".open");
        calls::writes(path) || opens && arguments.iter().any(|(_, value)| mode(value))
    }

    /// A function that is handed over is called with what is handed over beside it.
    fn called_back(&mut self, arguments: &[(Option<String>, Val)], line: u32) {
        let given = arguments.iter().position(|(_, value)| {
            let power = value.path.as_deref().map_or(Power::Computes, calls::power);
            matches!(power, Power::Runs | Power::Evaluates)
        });
        let Some(at) = given else { return };
        let (path, assembled) = (arguments[at].1.path.clone().unwrap_or_default(), arguments[at].1.assembled);
        let rest: Vec<(Option<String>, Val)> = arguments
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != at)
            .map(|(_, one)| one.clone())
            .collect();
        self.record(&path, calls::power(&path), &rest, line, assembled);
        let code = rest.iter().find_map(|(_, value)| {
            value.text.clone().or_else(|| value.items.as_ref().and_then(|items| items.first().cloned()))
        });
        if matches!(path.as_str(), "exec" | "eval" | "builtins.exec" | "builtins.eval")
            && let Some(code) = code
        {
            self.evaluate(&code, false, true);
        }
    }

    pub(super) fn evaluate(&mut self, code: &str, hidden: bool, runs: bool) {
        if !runs {
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

    pub(super) fn record(
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
        let rest = arguments.iter().skip(MAX_ARGUMENTS);
        let rest = rest.fold(Origin::default(), |sum, (_, value)| sum.and(value.origin));
        let mut arguments: Vec<Argument> = arguments
            .iter()
            .take(MAX_ARGUMENTS)
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
        if let Some(last) = arguments.last_mut() {
            last.origin = last.origin.and(rest);
        }
        let at_import = !self.scopes.iter().any(|scope| scope.deferred);
        let callee = path.to_owned();
        self.list_call(Call {
            callee,
            power,
            arguments,
            line,
            at_import,
            reached: false,
            hidden: false,
            assembled,
        });
    }

    /// Reads code that is text here, with the names known here.
    pub(super) fn inner(&mut self, code: &str) {
        if self.nested >= MAX_NESTED {
            self.limit("code in texts in code is nested deeper than is followed");
            return;
        }
        if !self.functions.affords(code.len()) {
            self.limit("not every text that is run as code is read");
            return;
        }
        let (tokens, whole) = lex::tokens(code, MAX_TOKENS / 10);
        if !whole {
            self.limit("a text that is run as code is longer than is read");
        }
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
            decorators: Vec::new(),
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
