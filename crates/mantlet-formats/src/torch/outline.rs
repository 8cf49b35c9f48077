//! What the classes of a TorchScript archive hold, as far as is needed to know which modules give one value: their
//! parts, the width of linear layers, and which part the answer comes from.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// Lines of one source, classes of one archive, parts of one class.
const MAX_LINES: usize = 40_000;
const MAX_CLASSES: usize = 4_000;
const MAX_PARTS: usize = 512;
/// Functions of one archive, and letters of the head of one.
const MAX_BODIES: usize = 20_000;
const MAX_HEAD: usize = 20_000;
/// Modules within modules.
const MAX_DEPTH: u8 = 8;

/// A class of one source.
#[derive(Debug, Clone, Default)]
pub(super) struct Class {
    pub(super) name: String,
    /// The line it begins in.
    pub(super) line: usize,
    /// Classes of its parts, by name.
    parts: HashMap<String, String>,
    /// How many values it gives, when it is a linear layer.
    width: Option<u64>,
    /// The part that what it returns comes from.
    last: Option<String>,
}

/// A function: what it is given, and its statements.
#[derive(Debug, Clone, Default)]
pub(super) struct Body<'a> {
    /// The names of its parameters, without the module itself.
    pub(super) parameters: Vec<String>,
    /// How far each line is indented, and the line.
    pub(super) lines: Vec<(usize, &'a str)>,
    /// The class it is a method of.
    pub(super) class: Option<String>,
}

/// The modules and functions of an archive.
#[derive(Debug, Clone, Default)]
pub struct Classes<'a> {
    /// The modules that give one or two values a sample.
    narrow: HashSet<String>,
    known: HashMap<String, Class>,
    bodies: HashMap<String, Body<'a>>,
    /// Lines of functions that were followed where they are called.
    pub(super) followed: Cell<usize>,
}

impl<'a> Classes<'a> {
    /// From the sources of an archive: the name of each member, and its text.
    pub fn of(sources: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut known: HashMap<String, Class> = HashMap::new();
        let mut bodies = HashMap::new();
        for (member, text) in sources {
            let module = module(member);
            functions(&module, text, &mut bodies);
            for class in classes(text) {
                if known.len() < MAX_CLASSES {
                    known.insert(format!("{module}.{}", class.name), class);
                }
            }
        }
        let narrow = known.keys().filter(|name| is_narrow(&known, name, 0)).cloned().collect();
        Self { narrow, known, bodies, followed: Cell::new(0) }
    }

    /// A function by its whole name.
    pub(super) fn body(&self, name: &str) -> Option<&Body<'a>> {
        self.bodies.get(name)
    }

    /// A class by its whole name.
    pub(super) fn class(&self, name: &str) -> Option<&Class> {
        self.known.get(name)
    }

    /// Whether a class gives one or two values.
    pub(super) fn gives_one(&self, class: &str) -> bool {
        self.narrow.contains(class)
    }
}

impl Class {
    /// The class of a part.
    pub(super) fn part(&self, name: &str) -> Option<&str> {
        self.parts.get(name).map(String::as_str)
    }
}

/// The functions and methods of one source, by their whole names.
fn functions<'a>(module: &str, text: &'a str, bodies: &mut HashMap<String, Body<'a>>) {
    let lines: Vec<(usize, &str)> = text.lines().take(MAX_LINES).map(indented).collect();
    let (mut class, mut at): (Option<String>, usize) = (None, 0);
    while let Some(&(indent, line)) = lines.get(at) {
        at += 1;
        if let Some(rest) = line.strip_prefix("class ") {
            let name = rest.split(['(', ':']).next().unwrap_or("");
            class = Some(format!("{module}.{name}"));
            continue;
        }
        let Some(rest) = line.strip_prefix("def ") else { continue };
        let mut head = rest.to_owned();
        while !head.ends_with(':') && at < lines.len() && head.len() < MAX_HEAD {
            head.push(' ');
            head.push_str(lines[at].1);
            at += 1;
        }
        let end = lines[at..].iter().position(|(deep, line)| *deep <= indent && !line.is_empty());
        let end = end.map_or(lines.len(), |len| at + len);
        if indent == 0 {
            class = None;
        }
        let (name, given) = head.split_once('(').unwrap_or((&head, ""));
        let owner = class.as_deref().unwrap_or(module);
        let mut parameters = parameters(given);
        if class.is_some() && !parameters.is_empty() {
            parameters.remove(0);
        }
        if bodies.len() < MAX_BODIES {
            let body = Body { parameters, lines: lines[at..end].to_vec(), class: class.clone() };
            bodies.insert(format!("{owner}.{}", name.trim()), body);
        }
        at = end;
    }
}

/// How far a line is indented, and the line.
pub(super) fn indented(line: &str) -> (usize, &str) {
    (line.len() - line.trim_start().len(), line.trim())
}

/// The names of parameters up to the bracket that closes.
fn parameters(given: &str) -> Vec<String> {
    let (mut depth, mut found, mut from) = (0_u32, Vec::new(), 0);
    for (at, letter) in given.char_indices() {
        match letter {
            '[' | '(' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ')' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 && found.len() < MAX_PARTS => {
                let name = given.get(from..at).unwrap_or("").split(':').next().unwrap_or("").trim();
                if !name.is_empty() {
                    found.push(name.to_owned());
                }
                from = at + 1;
                if letter == ')' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

/// `archive/code/__torch__/a/b.py` is the module `__torch__.a.b`.
fn module(member: &str) -> String {
    let path = member.find("__torch__").and_then(|at| member.get(at..)).unwrap_or(member);
    path.trim_end_matches(".py").replace('/', ".")
}

fn is_narrow(known: &HashMap<String, Class>, name: &str, depth: u8) -> bool {
    let Some(class) = known.get(name).filter(|_| depth < MAX_DEPTH) else { return false };
    match (class.width, &class.last) {
        (Some(width), _) => width <= 2,
        (None, Some(last)) => {
            class.parts.get(last).is_some_and(|part| is_narrow(known, part, depth.saturating_add(1)))
        }
        _ => false,
    }
}

/// The part that a text takes from the module: `self.head`, `getattr(self, "2")`.
pub(super) fn part(value: &str) -> Option<&str> {
    let plain = |c: char| c.is_alphanumeric() || c == '_';
    if let Some(name) = value.strip_prefix("self.") {
        return name.chars().all(plain).then_some(name);
    }
    value.strip_prefix("getattr(self, \"")?.strip_suffix("\")")
}

/// The classes of one source.
pub(super) fn classes(text: &str) -> Vec<Class> {
    let mut found: Vec<Class> = Vec::new();
    let (mut locals, mut made): (HashMap<&str, &str>, HashMap<&str, &str>) = Default::default();
    let mut forward = false;
    for (number, line) in text.lines().take(MAX_LINES).enumerate() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("class ") {
            let name = rest.split(['(', ':']).next().unwrap_or("").to_owned();
            if found.len() >= MAX_CLASSES {
                break;
            }
            found.push(Class { name, line: number, ..Class::default() });
            (locals, made, forward) = Default::default();
            continue;
        }
        let Some(class) = found.last_mut() else { continue };
        if let Some(rest) = line.strip_prefix("def ") {
            (locals, made) = Default::default();
            forward = rest.starts_with("forward(");
        } else if let Some((name, kind)) = line.split_once(" : ").filter(|(name, _)| !name.contains(' ')) {
            if name == "out_features" {
                class.width = kind.rsplit("= ").next().and_then(|width| width.trim().parse().ok());
            } else if kind.starts_with("__torch__.") && class.parts.len() < MAX_PARTS {
                class.parts.insert(name.to_owned(), kind.to_owned());
            }
        } else if let Some((name, kind)) =
            line.strip_prefix("__annotations__[\"").and_then(|rest| rest.split_once("\"] = "))
        {
            if class.parts.len() < MAX_PARTS {
                class.parts.insert(name.to_owned(), kind.to_owned());
            }
        } else if let Some(value) = line.strip_prefix("return ").filter(|_| forward) {
            let value = made.get(value).copied().unwrap_or(value);
            let called = value.rsplit_once(").forward(").map_or("", |(before, _)| before);
            let name = called.rsplit('(').next().unwrap_or("");
            class.last = locals.get(name).map(|part| (*part).to_owned());
        } else if let Some((name, value)) = line.split_once(" = ") {
            match part(value) {
                Some(part) if locals.len() < MAX_PARTS => {
                    locals.insert(name, part);
                }
                _ if made.len() < MAX_LINES => {
                    made.insert(name, value);
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINEAR: &str = "class Linear(Module):\n  weight : Tensor\n  in_features : Final[int] = 8\n  out_features : Final[int] = 1\n  \
        def forward(self: L,\n    input: Tensor) -> Tensor:\n    weight = self.weight\n    return torch.linear(input, weight, bias)\n";
    const MODEL: &str = "class Detector(Module):\n  __annotations__[\"0\"] = __torch__.wide.Linear\n  \
        __annotations__[\"1\"] = __torch__.linear.Linear\n  def forward(self: D,\n    x: Tensor) -> Tensor:\n    \
        _0 = getattr(self, \"0\")\n    _1 = getattr(self, \"1\")\n    y = (_0).forward(x, )\n    return (_1).forward(y, )\n\
        class Model(Module):\n  d : __torch__.model.Detector\n  def forward(self: M,\n    x: Tensor) -> Tensor:\n    d = self.d\n    \
        y = (d).forward(x, )\n    return y\n";

    #[test]
    fn modules_that_give_one_value_are_told_through_their_parts() {
        let wide = LINEAR.replace("= 1\n", "= 64\n");
        let sources = [
            ("a/code/__torch__/model.py", MODEL),
            ("a/code/__torch__/linear.py", LINEAR),
            ("a/code/__torch__/wide.py", wide.as_str()),
        ];
        let all = Classes::of(sources.into_iter());
        let narrow = |name: &str| all.narrow.contains(name);
        assert!(narrow("__torch__.linear.Linear") && narrow("__torch__.model.Detector"));
        assert!(narrow("__torch__.model.Model") && !narrow("__torch__.wide.Linear"));
        let model = classes(MODEL);
        let part = |class: usize, name: &str| model.get(class).and_then(|class: &Class| class.part(name));
        assert!(part(1, "d").is_some_and(|name| all.gives_one(name)));
        assert!(!part(0, "0").is_some_and(|name| all.gives_one(name)));
        let body = all.body("__torch__.model.Detector.forward").expect("it has one");
        assert_eq!((body.parameters.join(" "), body.lines.len()), ("x".into(), 4));
    }

    #[test]
    fn classes_that_hold_each_other_end() {
        let text = "class A(Module):\n  a : __torch__.x.A\n  def forward(self: A) -> Tensor:\n    a = self.a\n    return (a).forward(x, )\n";
        let all = Classes::of([("__torch__/x.py", text)].into_iter());
        assert!(all.narrow.is_empty());
    }
}
