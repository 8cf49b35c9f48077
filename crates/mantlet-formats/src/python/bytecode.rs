//! Compiled Python (`.pyc`): the code objects within, and the calls that their instructions make.
//!
//! A small machine with a symbolic stack: names, attributes, imports, constants and calls are followed; whatever
//! else an instruction does empties the stack. It knows the instructions of Python 3.6 to 3.13.
//!
//! Long because one machine follows every instruction.

use std::collections::HashMap;
use std::rc::Rc;

use mantlet_vocab::{Source, read_window};

use super::calls::decodes;
use super::marshal::{Code, Value, read};
use super::opcodes::{Does, does, version};
use super::{Argument, Call, MAX_CALLS, Origin, Power, Role, Script, power};

/// Longest file examined.
const MAX_FILE: usize = 4 << 20;
const MAX_STACK: usize = 1 << 16;
/// Bytes of text that was put together, and of that which an argument is said to be.
const MAX_TEXT: usize = 4_096;
const MAX_ARGUMENT: usize = 2_000;
/// Parts of a constant, and arguments of a call.
const MAX_PARTS: usize = 256;
const MAX_ARGUMENTS: usize = 24;
/// Bytes of a dotted name.
const MAX_NAME: usize = 1_024;
/// Instructions of one file, and bytes of what they put together.
const MAX_STEPS: usize = 8 << 20;
const MAX_MADE: usize = 256 << 20;
/// What cannot be told from its bytes is not taken for text.
const MAX_BYTES: usize = 1 << 16;

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
    let mut work = Work::default();
    let known = codes.last().map(|code| imports(code, version, &mut work)).unwrap_or_default();
    let module = codes.len().saturating_sub(1);
    for (index, code) in codes.iter().enumerate() {
        let mut machine = Machine {
            code,
            version,
            known: &known,
            aliases: HashMap::new(),
            locals: HashMap::new(),
            stack: Vec::new(),
            imported: None,
            calls: &mut script.calls,
            work: &mut work,
            at_import: index == module || &*code.name == "<module>",
        };
        machine.run();
    }
    script.limits.extend(work.flat.map(str::to_owned));
    script
}

/// The names that compiled code uses, when Python takes it for that of a source of this many bytes without reading
/// the source: by the length that it was made from, or because it says that it is not to be compared.
#[must_use]
pub fn names(source: &dyn Source, length: u64) -> Vec<String> {
    let bytes = read_window(source, 0, MAX_FILE).unwrap_or_default();
    let field = |at: usize| {
        bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes)
    };
    let magic = bytes.first_chunk().map_or(0, |&[low, high]| u16::from_le_bytes([low, high]));
    let Some(version) = version(magic).filter(|version| (7..=13).contains(version)) else {
        return Vec::new();
    };
    if field(4) & 1 == 0 && u64::from(field(12)) != length & 0xffff_ffff {
        return Vec::new();
    }
    let mut codes = Vec::new();
    if read(bytes.get(16..).unwrap_or_default(), version, &mut codes).is_err() {
        return Vec::new();
    }
    let mut names: Vec<String> = Vec::new();
    for name in codes.iter().flat_map(|code| code.names.iter()) {
        if let Value::Text(name) = name {
            names.push(name.to_string());
        }
    }
    names.sort();
    names.dedup();
    names
}

type Names = HashMap<Rc<str>, Rc<str>>;

/// What all code objects of a file took together.
#[derive(Default)]
struct Work {
    steps: usize,
    made: usize,
    /// Why not all is followed.
    flat: Option<&'static str>,
}

/// The names that a module imports.
fn imports(code: &Code, version: u8, work: &mut Work) -> Names {
    let (mut calls, known) = (Vec::new(), Names::new());
    let mut machine = Machine {
        code,
        version,
        known: &known,
        aliases: HashMap::new(),
        locals: HashMap::new(),
        stack: Vec::new(),
        imported: None,
        calls: &mut calls,
        work,
        at_import: true,
    };
    machine.run();
    machine.aliases.into_iter().filter_map(|(name, full)| Some((name, full?))).collect()
}

/// What lies on the stack, as far as it matters.
#[derive(Clone)]
enum Sym {
    /// A module, function or attribute by its full name.
    Name(Rc<str>),
    /// A constant, or what was made of constants.
    Text(Rc<str>, Origin),
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
    /// What the module imports.
    known: &'a Names,
    /// Names of this code; one that stands for nothing known hides the module's.
    aliases: HashMap<Rc<str>, Option<Rc<str>>>,
    locals: HashMap<usize, Sym>,
    stack: Vec<Sym>,
    /// The module of the import that is under way.
    imported: Option<Rc<str>>,
    calls: &'a mut Vec<Call>,
    work: &'a mut Work,
    at_import: bool,
}

impl Machine<'_> {
    fn run(&mut self) {
        let mut high = 0_usize;
        let code = Rc::clone(&self.code.code);
        for pair in code.chunks_exact(2) {
            self.work.steps += 1;
            if self.work.steps > MAX_STEPS {
                self.work.flat = Some("the code has more instructions than are followed");
                return;
            }
            let argument = high << 8 | usize::from(pair[1]);
            let step = does(self.version, pair[0]);
            high = if step == Does::Extends { argument & 0xff_ffff } else { 0 };
            self.step(step, argument);
            if self.stack.len() > MAX_STACK {
                self.work.flat = Some("the code holds more values at once than are followed");
                self.stack.clear();
            }
        }
    }

    fn name(&self, index: usize) -> Rc<str> {
        match self.code.names.get(index) {
            Some(Value::Text(name)) => Rc::clone(name),
            _ => "".into(),
        }
    }

    fn resolved(&self, name: Rc<str>) -> Sym {
        let full = match self.aliases.get(&name) {
            Some(full) => full.clone(),
            None => self.known.get(&name).cloned(),
        };
        Sym::Name(full.unwrap_or(name))
    }

    /// Whether that many bytes more may be put together.
    fn affords(&mut self, bytes: usize) -> bool {
        self.work.made = self.work.made.saturating_add(bytes);
        if self.work.made > MAX_MADE {
            self.work.flat = Some("the code puts together more constants than are followed");
        }
        self.work.made <= MAX_MADE
    }

    fn dotted(&mut self, owner: &str, name: &str) -> Sym {
        let bytes = owner.len() + 1 + name.len();
        if bytes > MAX_NAME {
            self.work.flat = Some("a name of the code is longer than is followed");
        }
        if bytes > MAX_NAME || !self.affords(bytes) {
            return Sym::Other(Origin::default());
        }
        Sym::Name(format!("{owner}.{name}").into())
    }

    fn constant(&mut self, argument: usize) -> Option<Sym> {
        let text = match self.code.consts.get(argument)? {
            Value::Text(text) => Rc::clone(text),
            value => {
                let (mut text, mut parts) = (String::new(), MAX_PARTS);
                let found = value.text(&mut text, &mut parts);
                if !self.affords(text.len() + MAX_PARTS - parts) || !found {
                    return None;
                }
                text.into()
            }
        };
        Some(Sym::Text(text, Origin::default()))
    }

    fn join(&mut self, count: usize, between: &str) {
        let parts = self.take(count);
        let sym = joined(&parts, between);
        let bytes = if let Sym::Text(text, _) = &sym { text.len() } else { 0 };
        let sym = if self.affords(bytes) { sym } else { Sym::Other(sym.origin()) };
        self.stack.push(sym);
    }

    fn step(&mut self, step: Does, argument: usize) {
        let shifted = |from: u8| if self.version >= from { argument >> 1 } else { argument };
        match step {
            Does::Nothing | Does::Extends => {}
            Does::LoadName => {
                let sym = self.resolved(self.name(argument));
                self.stack.push(sym);
            }
            Does::LoadGlobal => {
                let null = self.version >= 11 && argument & 1 == 1;
                let sym = self.resolved(self.name(shifted(11)));
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
            Does::LoadConst => {
                let sym = self.constant(argument).unwrap_or(Sym::Other(Origin::default()));
                self.stack.push(sym);
            }
            Does::LoadAttr | Does::LoadMethod => {
                let method = step == Does::LoadMethod || self.version >= 12 && argument & 1 == 1;
                let name = self.name(shifted(12));
                let sym = match self.stack.pop() {
                    Some(Sym::Name(owner)) => self.dotted(&owner, &name),
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
                let owner = self.imported.clone().unwrap_or_else(|| "".into());
                let name = self.name(argument);
                let sym = self.dotted(&owner, &name);
                self.stack.push(sym);
            }
            Does::StoreName => {
                let name = self.name(argument);
                match self.stack.pop() {
                    Some(Sym::Name(full)) => {
                        // `import a.b` binds `a`.
                        let first = full.strip_prefix(&*name).is_some_and(|rest| rest.starts_with('.'))
                            && self.imported.as_ref() == Some(&full);
                        if self.aliases.len() < 4_096 {
                            self.aliases.insert(Rc::clone(&name), Some(if first { name } else { full }));
                        } else {
                            self.work.flat = Some("the code gives more names than are followed");
                        }
                    }
                    _ => {
                        if self.known.contains_key(&name) {
                            self.aliases.insert(name, None);
                        } else {
                            self.aliases.remove(&name);
                        }
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
                self.join(argument, " ");
            }
            Does::Joins => {
                self.join(2, "");
            }
            Does::Appends => {
                self.join(2, " ");
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
        if what != Power::Computes && self.calls.len() >= MAX_CALLS {
            self.work.flat = Some("the code has more calls than are listed");
        } else if what != Power::Computes {
            let arguments = given.iter().filter(|sym| !matches!(sym, Sym::Name(name) if *name == callee));
            let arguments = arguments.take(MAX_ARGUMENTS).map(argument).collect();
            self.calls.push(Call {
                callee: callee.to_string(),
                power: what,
                arguments,
                line: self.code.line,
                at_import: self.at_import,
                reached: false,
                hidden: false,
                assembled: false,
            });
        }
        let mut origin = given.iter().fold(Origin::default(), |sum, sym| sum.and(sym.origin()));
        origin.decoded |= decodes(&callee);
        origin.network |= what == Power::Network;
        let result = match (&*callee, first) {
            ("__import__" | "importlib.import_module" | "builtins.__import__", Some(module)) => {
                Sym::Name(module)
            }
            ("getattr", Some(name)) => {
                let object = given.iter().find_map(|sym| match sym {
                    Sym::Name(object) => Some(object.clone()),
                    _ => None,
                });
                object.map_or(Sym::Other(origin), |object| self.dotted(&object, &name))
            }
            (_, Some(text)) if origin.decoded => Sym::Text(text, origin),
            _ => Sym::Other(origin),
        };
        self.stack.push(result);
    }
}

fn joined(parts: &[Sym], between: &str) -> Sym {
    let origin = parts.iter().fold(Origin::default(), |sum, sym| sum.and(sym.origin()));
    let (mut text, mut found) = (String::new(), false);
    for sym in parts {
        if let Sym::Text(part, _) = sym {
            add(&mut text, if found { between } else { "" });
            add(&mut text, part);
            found = true;
        }
    }
    if found { Sym::Text(text.into(), origin) } else { Sym::Other(origin) }
}

/// Adds text up to the bound.
fn add(text: &mut String, part: &str) {
    let room = MAX_TEXT.saturating_sub(text.len());
    text.push_str(&part[..part.floor_char_boundary(room)]);
}

fn argument(sym: &Sym) -> Argument {
    let (shown, text) = match sym {
        Sym::Name(name) => (name.chars().take(MAX_NAME).collect(), None),
        Sym::Text(text, _) => (
            format!("'{}'", text.chars().take(120).collect::<String>()),
            Some(text.chars().take(MAX_ARGUMENT).collect()),
        ),
        Sym::Null | Sym::Other(_) => ("..".to_owned(), None),
    };
    Argument { name: None, shown, text, origin: sym.origin() }
}

impl Value {
    /// The text of a constant: of a string, of bytes, or of a tuple of such. Whether there is any.
    fn text(&self, out: &mut String, parts: &mut usize) -> bool {
        if *parts == 0 || out.len() >= MAX_TEXT {
            return false;
        }
        *parts -= 1;
        let mut space = |part: &str| {
            add(out, if out.is_empty() { "" } else { " " });
            add(out, part);
            true
        };
        match self {
            Self::Text(text) => space(text),
            Self::Bytes(bytes) if bytes.len() <= MAX_BYTES => {
                space(&String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT)]))
            }
            Self::Tuple(items, _) => items.iter().take(64).filter(|item| item.text(out, parts)).count() > 0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of 3.8 with these constants, names and instructions; all marshalled already but the last.
    fn module(consts: &[u8], names: &[u8], code: &[u8]) -> Vec<u8> {
        let mut out = 3_413_u16.to_le_bytes().to_vec();
        out.extend(b"\r\n");
        out.extend([0; 12]);
        out.push(b'c');
        out.extend([0; 24]);
        out.push(b's');
        out.extend((code.len() as u32).to_le_bytes());
        out.extend(code);
        out.extend(consts);
        out.extend(names);
        // Three lists of variables, the file, the name, the line, the table of lines.
        out.extend(b")\0)\0)\0z\x01fz\x08<module>\0\0\0\0s\0\0\0\0");
        out
    }

    fn reference(index: u32) -> Vec<u8> {
        [&[b'r'][..], &index.to_le_bytes()].concat()
    }

    fn list(items: &[Vec<u8>]) -> Vec<u8> {
        [&[b'('][..], &(items.len() as u32).to_le_bytes(), &items.concat()].concat()
    }

    fn limits(bytes: Vec<u8>) -> String {
        analyse(&mantlet_vocab::MemorySource::new(&bytes), Role::Script).limits.join("; ")
    }

    #[test]
    fn what_refers_to_what_was_read_is_bounded() {
        let none = list(&[]);
        // Lists that refer to the list before: a chain, and 64 times each.
        let chain = |width: u8, count: u32| -> Vec<Vec<u8>> {
            let item = |k: u32| {
                let inner = reference(k.saturating_sub(1)).repeat(usize::from(width));
                [&[0x80 | b')', if k == 0 { 0 } else { width }][..], if k == 0 { &[] } else { &inner }]
                    .concat()
            };
            (0..count).map(item).collect()
        };
        let deep = list(&chain(1, 400_000));
        assert!(limits(module(&deep, &none, &[])).contains("nested too deep"));
        let mut wide = chain(64, 60);
        wide[0] = b"\xda\x01a".to_vec();
        assert_eq!(limits(module(&list(&wide), &none, &[100, 59])), "");
        // One long name 500,000 times, and an attribute of an attribute.
        let long = [&[b'u' | 0x80][..], &1_000_000_u32.to_le_bytes(), &[b'a'; 1_000_000]].concat();
        let mut names = vec![long];
        names.resize(500_000, reference(0));
        assert_eq!(limits(module(&none, &list(&names), &[101, 0])), "");
        let name = list(&[b"z\x01a".to_vec()]);
        let code = [&[101, 0][..], &[106, 0].repeat(1_000_000)].concat();
        assert!(limits(module(&none, &name, &code)).contains("longer than is followed"));
    }
}
