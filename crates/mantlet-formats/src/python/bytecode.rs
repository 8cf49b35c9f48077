//! Compiled Python (`.pyc`): the code objects within, and the calls that their instructions make.
//!
//! A small machine with a symbolic stack: names, attributes, imports, constants and calls are followed; whatever
//! else an instruction does empties the stack. It knows the instructions of Python 3.6 to 3.13.

use std::collections::HashMap;
use std::rc::Rc;

use mantlet_vocab::{Source, read_window};

use super::calls::decodes;
use super::marshal::{Code, Value, read};
use super::opcodes::{Does, does, version};
use super::{Argument, Call, MAX_CALLS, Origin, Power, Role, Script, power};

/// Longest file examined.
const MAX_FILE: usize = 4 << 20;
const MAX_STACK: usize = 256;

/// Whether the bytes begin like compiled Python: a magic number, then a code object behind the header.
#[must_use]
pub fn is_bytecode(head: &[u8]) -> bool {
    let Some(&[low, high, 0x0d, 0x0a]) = head.first_chunk() else { return false };
    let code = |at: usize| head.get(at).is_some_and(|byte| byte & 0x7f == b'c');
    match u16::from_le_bytes([low, high]) {
        3_390..=3_700 => code(16),
        3_200..=3_389 => code(12),
        // Python 2.
        20_121 | 50_428 | 50_823 | 60_202 | 60_717 | 62_011..=62_300 => code(8) || code(12),
        _ => false,
    }
}

/// The facts of compiled Python. Never fails: what is not followed is a limit.
#[must_use]
pub fn analyse(source: &dyn Source, role: Role) -> Script {
    let mut script = Script { role, ..Script::default() };
    let bytes = read_window(source, 0, MAX_FILE).unwrap_or_default();
    if source.len() > MAX_FILE as u64 {
        script.limits.push(format!("only the first {MAX_FILE} bytes of the code are examined"));
    }
    let magic = bytes.first_chunk().map_or(0, |&[low, high]| u16::from_le_bytes([low, high]));
    let Some(version) = version(magic).filter(|version| (6..=13).contains(version)) else {
        script
            .limits
            .push(format!("the instructions of this version of Python (magic {magic}) are not known"));
        return script;
    };
    let header = if version >= 7 { 16 } else { 12 };
    let mut codes = Vec::new();
    if let Err(why) = read(bytes.get(header..).unwrap_or_default(), version, &mut codes) {
        script.limits.push(why);
    }
    // The module comes last: what it contains was finished first.
    let known = codes.last().map(|code| imports(code, version)).unwrap_or_default();
    let module = codes.len().saturating_sub(1);
    for (index, code) in codes.iter().enumerate() {
        let mut machine = Machine {
            code,
            version,
            aliases: known.clone(),
            locals: HashMap::new(),
            stack: Vec::new(),
            imported: None,
            calls: &mut script.calls,
            at_import: index == module || code.name == "<module>",
        };
        machine.run();
    }
    script
}

/// The names that a module imports.
fn imports(code: &Code, version: u8) -> HashMap<String, String> {
    let mut calls = Vec::new();
    let mut machine = Machine {
        code,
        version,
        aliases: HashMap::new(),
        locals: HashMap::new(),
        stack: Vec::new(),
        imported: None,
        calls: &mut calls,
        at_import: true,
    };
    machine.run();
    machine.aliases
}

/// What lies on the stack, as far as it matters.
#[derive(Clone)]
enum Sym {
    /// A module, function or attribute by its full name.
    Name(String),
    /// A constant, or what was made of constants.
    Text(String, Origin),
    /// The place that a call keeps for `self` or nothing.
    Null,
    Other(Origin),
}

impl Sym {
    fn origin(&self) -> Origin {
        match self {
            Self::Text(_, origin) | Self::Other(origin) => *origin,
            _ => Origin::default(),
        }
    }
}

struct Machine<'a> {
    code: &'a Code,
    version: u8,
    aliases: HashMap<String, String>,
    locals: HashMap<usize, Sym>,
    stack: Vec<Sym>,
    /// The module of the import that is under way.
    imported: Option<String>,
    calls: &'a mut Vec<Call>,
    at_import: bool,
}

impl Machine<'_> {
    fn run(&mut self) {
        let mut high = 0_usize;
        let code = Rc::clone(&self.code.code);
        for pair in code.chunks_exact(2) {
            let argument = high << 8 | usize::from(pair[1]);
            let step = does(self.version, pair[0]);
            high = if step == Does::Extends { argument & 0xff_ffff } else { 0 };
            self.step(step, argument);
            if self.stack.len() > MAX_STACK {
                self.stack.clear();
            }
        }
    }

    fn name(&self, index: usize) -> String {
        self.code.names.get(index).cloned().unwrap_or_default()
    }

    fn resolved(&self, name: &str) -> Sym {
        Sym::Name(self.aliases.get(name).cloned().unwrap_or_else(|| name.to_owned()))
    }

    fn step(&mut self, step: Does, argument: usize) {
        let shifted = |from: u8| if self.version >= from { argument >> 1 } else { argument };
        match step {
            Does::Nothing | Does::Extends => {}
            Does::LoadName => {
                let sym = self.resolved(&self.name(argument));
                self.stack.push(sym);
            }
            Does::LoadGlobal => {
                let null = self.version >= 11 && argument & 1 == 1;
                let sym = self.resolved(&self.name(shifted(11)));
                if null && self.version < 13 {
                    self.stack.push(Sym::Null);
                }
                self.stack.push(sym);
                if null && self.version >= 13 {
                    self.stack.push(Sym::Null);
                }
            }
            Does::LoadFast => {
                let sym = self.locals.get(&argument).cloned().unwrap_or(Sym::Other(Origin::default()));
                self.stack.push(sym);
            }
            Does::LoadConst => self.stack.push(match self.code.consts.get(argument) {
                Some(value) => match value.text() {
                    Some(text) => Sym::Text(text, Origin::default()),
                    None => Sym::Other(Origin::default()),
                },
                None => Sym::Other(Origin::default()),
            }),
            Does::LoadAttr | Does::LoadMethod => {
                let method = step == Does::LoadMethod || self.version >= 12 && argument & 1 == 1;
                let name = self.name(shifted(12));
                let sym = match self.stack.pop() {
                    Some(Sym::Name(owner)) => Sym::Name(format!("{owner}.{name}")),
                    Some(other) => Sym::Other(other.origin()),
                    None => Sym::Other(Origin::default()),
                };
                self.stack.push(sym);
                if method {
                    self.stack.push(Sym::Null);
                }
            }
            Does::ImportName => {
                self.stack.truncate(self.stack.len().saturating_sub(2));
                let module = self.name(argument);
                self.stack.push(Sym::Name(module.clone()));
                self.imported = Some(module);
            }
            Does::ImportFrom => {
                let owner = self.imported.clone().unwrap_or_default();
                let name = self.name(argument);
                self.stack.push(Sym::Name(format!("{owner}.{name}")));
            }
            Does::StoreName => {
                let name = self.name(argument);
                match self.stack.pop() {
                    Some(Sym::Name(full)) => {
                        // `import a.b` binds `a`.
                        let first =
                            full.starts_with(&format!("{name}.")) && self.imported.as_ref() == Some(&full);
                        if self.aliases.len() < 4_096 {
                            self.aliases.insert(name.clone(), if first { name } else { full });
                        }
                    }
                    _ => {
                        self.aliases.remove(&name);
                    }
                }
            }
            Does::StoreFast => {
                let sym = self.stack.pop().unwrap_or(Sym::Other(Origin::default()));
                self.locals.insert(argument, sym);
            }
            Does::PushNull => self.stack.push(Sym::Null),
            Does::Call => self.call(argument, if self.version >= 11 { 2 } else { 1 }, 0),
            Does::CallMethod => self.call(argument, 2, 0),
            Does::CallKeywords => self.call(argument, if self.version >= 11 { 2 } else { 1 }, 1),
            Does::CallUnpacked => self.call(1 + (argument & 1), if self.version >= 11 { 2 } else { 1 }, 0),
            Does::Pop => {
                self.stack.pop();
            }
            Does::Builds => {
                let parts = self.take(argument);
                self.stack.push(joined(&parts, " "));
            }
            Does::Joins => {
                let parts = self.take(2);
                self.stack.push(joined(&parts, ""));
            }
            Does::Appends => {
                let parts = self.take(2);
                self.stack.push(joined(&parts, " "));
            }
            Does::PushOther => self.stack.push(Sym::Other(Origin::default())),
            Does::Makes => {
                let below = if self.version < 11 { 1 } else { 0 };
                let extra = if self.version < 13 { (argument & 0xf).count_ones() as usize } else { 0 };
                self.take(1 + below + extra);
                self.stack.push(Sym::Other(Origin::default()));
            }
            Does::Unknown => self.stack.clear(),
        }
    }

    /// The topmost items, lowest first.
    fn take(&mut self, count: usize) -> Vec<Sym> {
        let from = self.stack.len().saturating_sub(count);
        self.stack.split_off(from)
    }

    fn call(&mut self, count: usize, below: usize, above: usize) {
        self.stack.truncate(self.stack.len().saturating_sub(above));
        let given = self.take(count);
        let owner = self.take(below);
        // What was emptied away leaves the function among what is given.
        let lost = if owner.len() < below { given.as_slice() } else { &[] };
        let callee = owner.iter().chain(lost).find_map(|sym| match sym {
            Sym::Name(name) => Some(name.clone()),
            _ => None,
        });
        let Some(callee) = callee else {
            let origin = given.iter().fold(Origin::default(), |sum, sym| sum.and(sym.origin()));
            self.stack.push(Sym::Other(origin));
            return;
        };
        let first = given.iter().find_map(|sym| match sym {
            Sym::Text(text, _) => Some(text.clone()),
            _ => None,
        });
        let what = power(&callee);
        if what != Power::Computes && self.calls.len() < MAX_CALLS {
            let arguments = given.iter().filter(|sym| !matches!(sym, Sym::Name(name) if *name == callee));
            let arguments = arguments.map(argument).collect();
            self.calls.push(Call {
                callee: callee.clone(),
                power: what,
                arguments,
                line: self.code.line,
                at_import: self.at_import,
                hidden: false,
                assembled: false,
            });
        }
        let mut origin = given.iter().fold(Origin::default(), |sum, sym| sum.and(sym.origin()));
        origin.decoded |= decodes(&callee);
        origin.network |= what == Power::Network;
        let result = match (callee.as_str(), first) {
            ("__import__" | "importlib.import_module" | "builtins.__import__", Some(module)) => {
                Sym::Name(module)
            }
            ("getattr", Some(name)) => {
                let object = given.iter().find_map(|sym| match sym {
                    Sym::Name(object) => Some(object.clone()),
                    _ => None,
                });
                object.map_or(Sym::Other(origin), |object| Sym::Name(format!("{object}.{name}")))
            }
            (_, Some(text)) if origin.decoded => Sym::Text(text, origin),
            _ => Sym::Other(origin),
        };
        self.stack.push(result);
    }
}

fn joined(parts: &[Sym], between: &str) -> Sym {
    let origin = parts.iter().fold(Origin::default(), |sum, sym| sum.and(sym.origin()));
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|sym| match sym {
            Sym::Text(text, _) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if texts.is_empty() {
        return Sym::Other(origin);
    }
    Sym::Text(texts.join(between).chars().take(4_096).collect(), origin)
}

fn argument(sym: &Sym) -> Argument {
    let (shown, text) = match sym {
        Sym::Name(name) => (name.clone(), None),
        Sym::Text(text, _) => {
            (format!("'{}'", text.chars().take(120).collect::<String>()), Some(text.clone()))
        }
        Sym::Null | Sym::Other(_) => ("..".to_owned(), None),
    };
    Argument { name: None, shown, text, origin: sym.origin() }
}

impl Value {
    /// The text of a constant: of a string, of bytes, or of a tuple of such.
    fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.to_string()),
            Self::Tuple(items) => {
                let texts: Vec<String> = items.iter().take(64).filter_map(Self::text).collect();
                (!texts.is_empty()).then(|| texts.join(" "))
            }
            _ => None,
        }
    }
}
