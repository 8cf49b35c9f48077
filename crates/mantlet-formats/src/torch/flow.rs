//! The functions of a TorchScript source as graphs: what reads the raw input, what has been through learned layers, and
//! what decides between them.
//!
//! The printer of TorchScript writes one assignment a line and one call in another, so that expressions are read by
//! descent; what is not understood is a value that goes through unchanged.
//!
//! Long because the reader of expressions and what operators do stand together.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::outline::{self, Class, Classes};
use crate::graph::{Graph, Kind, STATE};

/// Functions of one source that are followed, lines of one, and brackets within brackets.
const MAX_FUNCTIONS: usize = 64;
const MAX_LINES: usize = 40_000;
const MAX_NESTING: u8 = 24;
/// Choices of one function, and of all that are followed within it.
const MAX_CHOICES: u32 = 200;
const MAX_CHOICES_WITHIN: u32 = 8_000;
/// Functions within functions, how deep in statements their calls may stand together, and lines of all of them in one
/// archive.
const MAX_WITHIN: usize = 16;
const MAX_DEEP: u32 = 96;
const MAX_FOLLOWED: usize = 1_000_000;
/// Operands of one call.
const MAX_OPERANDS: usize = 256;

/// The graphs of the functions `forward` of a source.
#[must_use]
pub fn graphs(code: &str) -> Vec<Graph> {
    let name = "__torch__.py";
    graphs_with(code, &Classes::of(std::iter::once((name, code))))
}

/// The same, with what is known of the modules that are called.
#[must_use]
pub fn graphs_with(code: &str, classes: &Classes<'_>) -> Vec<Graph> {
    let outlines = outline::classes(code);
    let lines: Vec<(usize, &str)> = code.lines().take(MAX_LINES).map(outline::indented).collect();
    let flat = is_flat(code);
    let counted = counted(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() && found.len() < MAX_FUNCTIONS {
        let (indent, line) = lines[at];
        at += 1;
        let Some(head) = line.strip_prefix("def forward(") else { continue };
        // The head may go over several lines.
        let mut head = head.to_owned();
        while !head.ends_with(':') && at < lines.len() && head.len() < 20_000 {
            head.push(' ');
            head.push_str(lines[at].1);
            at += 1;
        }
        let end = lines[at..].iter().position(|(deep, line)| *deep <= indent && !line.is_empty());
        let end = end.map_or(lines.len(), |len| at + len);
        let mut function = Function {
            graph: Graph::default(),
            names: HashMap::new(),
            lists: HashMap::new(),
            at: 0,
            choices: 0,
            choices_within: 0,
            own: None,
            class: outlines.iter().rev().find(|class| class.line < at),
            classes,
            narrow: HashSet::new(),
            modules: HashMap::new(),
            counted: &counted,
            attributes: HashSet::new(),
            within: Vec::new(),
            results: Vec::new(),
        };
        for parameter in head.split(',') {
            let Some((name, kind)) = parameter.split_once(':') else { continue };
            let name = name.trim();
            if name == "self" {
                function.own = kind.split([',', ')']).next().map(|kind| kind.trim().to_owned());
            } else if kind.contains("Tensor") {
                // How many axes it has is said of exported programs only.
                let digit =
                    kind.trim().strip_prefix("Tensor").and_then(|rest| rest.chars().next()?.to_digit(10));
                let axes = digit.map_or(if flat { 1 } else { 3 }, |axes| axes as u8);
                let node = function.graph.add(Kind::Input { axes }, "input", name, Vec::new(), 0);
                function.names.insert(name.to_owned(), node);
            }
        }
        function.block(&lines[at..end], 0);
        at = end;
        found.push(function.graph);
    }
    // What is behind the last line that is read is not followed.
    if code.lines().nth(MAX_LINES).is_some() {
        let mut rest = Graph::default();
        rest.cut = true;
        found.push(rest);
    }
    found
}

/// The attributes that functions of a source count in: they are set to what they were and some more.
fn counted(code: &str) -> HashSet<&str> {
    let counts = ["torch.add(", "torch.add_(", "torch.sub(", "torch.sub_(", "torch.rsub("];
    let mut found = HashSet::new();
    for (name, value) in
        code.lines().take(MAX_LINES).filter_map(|line| line.trim().strip_prefix("self.")?.split_once(" = "))
    {
        if counts.iter().any(|count| value.starts_with(count)) && found.len() < 256 {
            found.insert(name);
        }
    }
    found
}

/// Whether nothing in a source speaks of samples with more than one axis: no layer that needs them, and no step over
/// one behind the first.
fn is_flat(code: &str) -> bool {
    const DEEPER: [&str; 25] = [
        "onv",
        "mbedding",
        "LSTM",
        "lstm",
        "GRU",
        "gru",
        "RNN",
        "rnn",
        "ransformer",
        "ttention",
        "Pool",
        "pool",
        "permute",
        "transpose",
        "latten",
        "matmul",
        "bmm",
        "view",
        "reshape",
        "[-1]",
        "[-2]",
        "[2",
        "[3",
        "[1, 2",
        "Norm2d",
    ];
    !DEEPER.iter().any(|word| code.contains(word)) && !deepens(code)
}

/// Whether a source takes parts of an axis behind the first, or gives a value one more that is no answer.
fn deepens(code: &str) -> bool {
    const ANSWERS: [&str; 12] =
        ["lt", "gt", "le", "ge", "eq", "ne", "__and__", "__or__", "all", "any", "isnan", "logical_and"];
    let answers = |value: &str| {
        let name = value.strip_prefix("torch.").and_then(|rest| rest.split('(').next());
        name.is_some_and(|name| ANSWERS.contains(&name))
    };
    let mut known: HashSet<&str> = HashSet::new();
    for line in code.lines().take(MAX_LINES).map(str::trim) {
        if let Some((name, _)) = line.split_once(" = ").filter(|(_, value)| answers(value)) {
            known.insert(name);
        }
        for (at, word) in line.match_indices("squeeze(") {
            let given = line.get(at + word.len()..).unwrap_or("");
            let name = given.split(',').next().unwrap_or("");
            let more = line.get(..at).is_some_and(|before| before.ends_with("un"));
            if !more || !(answers(given) || known.contains(name)) {
                return true;
            }
        }
        for (at, word) in line.match_indices("select(") {
            let given = line.get(at + word.len()..).unwrap_or("");
            if !matches!(second(given), Some("0" | "1")) {
                return true;
            }
        }
    }
    false
}

/// The second of the operands that a text begins with.
fn second(text: &str) -> Option<&str> {
    let (mut depth, mut from) = (0_u32, None);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' if depth == 0 => return from.and_then(|from: usize| text.get(from..at)).map(str::trim),
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => match from {
                Some(from) => return text.get(from..at).map(str::trim),
                None => from = Some(at + 1),
            },
            _ => {}
        }
    }
    None
}

struct Function<'c> {
    graph: Graph,
    /// What each name stands for.
    names: HashMap<String, u32>,
    /// How many values lists hold that were written out.
    lists: HashMap<u32, u8>,
    /// Number of the line, for places.
    at: u64,
    choices: u32,
    choices_within: u32,
    /// The class it belongs to by its whole name, the class, and what is known of the modules of the archive.
    own: Option<String>,
    class: Option<&'c Class>,
    classes: &'c Classes<'c>,
    /// Modules that give one or two values.
    narrow: HashSet<u32>,
    /// Modules by their class, and functions by their name.
    modules: HashMap<u32, String>,
    /// Attributes that a module counts in.
    counted: &'c HashSet<&'c str>,
    /// Values of modules.
    attributes: HashSet<u32>,
    /// How deep the call of each function stands that is followed within this one.
    within: Vec<u32>,
    /// What each of them returns.
    results: Vec<Option<u32>>,
}

impl Function<'_> {
    /// The statements of one block; gives how many lines were read.
    fn block(&mut self, lines: &[(usize, &str)], depth: u8) {
        let mut at = 0;
        while let Some(&(indent, line)) = lines.get(at) {
            at += 1;
            self.at += 1;
            if depth > MAX_NESTING || self.graph.cut {
                self.graph.cut = true;
                return;
            }
            let inner = |from: usize| {
                let rest = lines.get(from..).unwrap_or(&[]);
                rest.iter().position(|(deep, line)| *deep <= indent && !line.is_empty()).unwrap_or(rest.len())
            };
            if let Some(condition) = line.strip_prefix("if ").and_then(|rest| rest.strip_suffix(':')) {
                let len = inner(at);
                let then = &lines[at..at + len];
                at += len;
                let mut other: &[(usize, &str)] = &[];
                if lines.get(at).is_some_and(|(deep, line)| *deep == indent && *line == "else:") {
                    let len = inner(at + 1);
                    other = &lines[at + 1..at + 1 + len];
                    at += 1 + len;
                }
                let condition = self.expression(condition);
                self.choice("if", condition, then, other, depth);
            } else if let Some(value) = line.strip_prefix("return ") {
                let value = self.expression(value);
                match self.results.last_mut() {
                    Some(result) => *result = Some(value),
                    None => self.graph.output(value),
                }
            } else if let Some(head) = line.strip_suffix(':') {
                // The statements of a loop once: what it goes by decides whether they count.
                let len = inner(at);
                let body = &lines[at..at + len];
                at += len;
                let over = head.strip_prefix("while ");
                match over.or_else(|| {
                    head.strip_prefix("for ").and_then(|rest| rest.split_once(" in ")).map(|two| two.1)
                }) {
                    Some(over) => {
                        let condition = self.expression(over);
                        self.choice("while", condition, body, &[], depth);
                    }
                    None => self.block(body, depth + 1),
                }
            } else if let Some((name, taken)) =
                line.split_once(" = ").and_then(|(name, value)| Some((name, self.taken(value)?)))
            {
                // A part of a module, or one of its values.
                let value = line.split_once(" = ").map_or("", |(_, value)| value);
                let value = self.attribute(value, taken);
                self.names.insert(name.to_owned(), value);
            } else if let Some((names, value)) = assignment(line) {
                let value = self.expression(value);
                let names: Vec<&str> =
                    names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
                // Values side by side under a name each.
                let parts = self.graph.nodes().get(value as usize).filter(|node| {
                    names.len() > 1 && node.label.0 == "list" && node.inputs.len() == names.len()
                });
                let parts = parts.map_or_else(|| vec![value; names.len()], |node| node.inputs.clone());
                for (name, part) in names.into_iter().zip(parts) {
                    self.names.insert(name.to_owned(), part);
                }
            }
        }
    }

    /// The part of a module that a text takes, as the name of its class where that is known, or a function of the
    /// archive; nothing when it is another value.
    fn taken(&self, value: &str) -> Option<Option<String>> {
        if let Some(part) = outline::part(value) {
            return Some(self.class.and_then(|class| class.part(part)).map(str::to_owned));
        }
        if value.starts_with("__torch__.") && self.classes.body(value).is_some() {
            return Some(Some(value.to_owned()));
        }
        let (object, part) = match value.strip_prefix("getattr(") {
            Some(rest) => rest.strip_suffix("\")")?.split_once(", \"")?,
            None => value.rsplit_once('.')?,
        };
        let class = self.modules.get(self.names.get(object)?)?;
        Some(self.classes.class(class).and_then(|class| class.part(part)).map(str::to_owned))
    }

    /// A part of a module or one of its values; what it counts in is an input of its own.
    fn attribute(&mut self, text: &str, taken: Option<String>) -> u32 {
        if text.strip_prefix("self.").is_some_and(|name| self.counted.contains(name)) {
            return self.graph.add(Kind::Input { axes: 0 }, STATE, "", Vec::new(), self.at);
        }
        let value = self.module(taken);
        self.attributes.insert(value);
        value
    }

    /// A module, by its class where that is known.
    fn module(&mut self, class: Option<String>) -> u32 {
        let value = self.constant();
        if let Some(class) = class {
            if self.classes.gives_one(&class) {
                self.narrow.insert(value);
            }
            self.modules.insert(value, class);
        }
        value
    }

    /// Follows a function of the archive where it is called; nothing when it is not known. `depth` says how deep in its
    /// statement the call stands.
    fn called(&mut self, name: &str, values: &[u32], depth: u8) -> Option<u32> {
        let classes = self.classes;
        let body = classes.body(name)?;
        let deep = self.within.last().map_or(0, |deep| *deep) + 1 + u32::from(depth);
        let followed = classes.followed.get().saturating_add(body.lines.len());
        if self.within.len() >= MAX_WITHIN || deep > MAX_DEEP || followed > MAX_FOLLOWED {
            self.graph.cut = true;
            return Some(self.constant());
        }
        classes.followed.set(followed);
        let given = body.parameters.iter().cloned().zip(values.iter().copied()).collect();
        let names = std::mem::replace(&mut self.names, given);
        let own = std::mem::replace(&mut self.own, body.class.clone());
        let class =
            std::mem::replace(&mut self.class, body.class.as_deref().and_then(|name| classes.class(name)));
        let at = self.at;
        self.within.push(deep);
        self.results.push(None);
        self.block(&body.lines, 0);
        let result = self.results.pop().flatten();
        self.within.pop();
        (self.names, self.own, self.class, self.at) = (names, own, class, at);
        Some(result.unwrap_or_else(|| self.constant()))
    }

    /// Both ways of a choice, and for every name that either gives another value, the choice between them.
    fn choice(
        &mut self,
        word: &str,
        condition: u32,
        then: &[(usize, &str)],
        other: &[(usize, &str)],
        depth: u8,
    ) {
        let (count, most) = match self.within.is_empty() {
            true => (&mut self.choices, MAX_CHOICES),
            false => (&mut self.choices_within, MAX_CHOICES_WITHIN),
        };
        *count += 1;
        if *count > most {
            self.graph.cut = true;
            return;
        }
        let before = self.names.clone();
        self.block(then, depth + 1);
        let one = std::mem::replace(&mut self.names, before.clone());
        self.block(other, depth + 1);
        let two = std::mem::take(&mut self.names);
        let mut names: BTreeMap<&String, (Option<u32>, Option<u32>)> = BTreeMap::new();
        for (name, &node) in &one {
            names.entry(name).or_default().0 = Some(node);
        }
        for (name, &node) in &two {
            names.entry(name).or_default().1 = Some(node);
        }
        let mut after = before;
        for (name, nodes) in names {
            let node = match nodes {
                (Some(one), Some(two)) if one == two => one,
                (Some(one), Some(two)) => {
                    self.graph.add(Kind::Branch, word, name, vec![condition, one, two], self.at)
                }
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => continue,
            };
            after.insert(name.clone(), node);
        }
        self.names = after;
    }

    fn constant(&mut self) -> u32 {
        self.graph.add(Kind::Constant, "constant", "", Vec::new(), self.at)
    }

    /// What is written into a value is a part of it from then on, under every name it or what it is a view of has.
    fn written(&mut self, target: u32, made: u32) {
        const VIEWS: [&str; 12] = [
            "slice",
            "select",
            "view",
            "unsqueeze",
            "squeeze",
            "narrow",
            "transpose",
            "permute",
            "detach",
            "expand",
            "index",
            "reshape",
        ];
        let mut base = target;
        for _ in 0..32 {
            let Some(node) = self.graph.nodes().get(base as usize) else { break };
            let Some(&from) = node.inputs.first().filter(|_| VIEWS.contains(&node.label.0.as_str())) else {
                break;
            };
            base = from;
        }
        let after = if base == target {
            made
        } else {
            self.graph.add(Kind::Combine, "copy", "", vec![base, made], self.at)
        };
        self.names.values_mut().filter(|node| **node == base).for_each(|node| *node = after);
    }

    /// Adds a call of an operator of torch.
    fn operator(&mut self, name: &str, mut values: Vec<u32>) -> u32 {
        let at = self.at;
        let base = name.trim_end_matches('_');
        let constant =
            |graph: &Graph, value: Option<&u32>| value.is_none_or(|&value| graph.is_constant(value));
        let target = values.first().copied();
        // A value that fills a new tensor.
        let filler = match base {
            "full" | "full_like" => values.get(1),
            "new_full" => values.get(2),
            "tensor" | "scalar_tensor" | "NumToTensor" => values.first(),
            _ => None,
        };
        if let Some(&filler) = filler {
            return self.graph.add(Kind::Pass, name, "", vec![filler], at);
        }
        if base == "einsum" {
            values = values
                .into_iter()
                .skip(1)
                .flat_map(|value| match self.graph.nodes().get(value as usize) {
                    Some(list) if list.label.0 == "list" => list.inputs.clone(),
                    _ => vec![value],
                })
                .collect();
        }
        // A bias that is computed is added as any other value.
        let bias = match base {
            "linear" | "conv1d" | "conv2d" | "conv3d" | "_convolution" | "convolution" => Some(2),
            "addmm" | "baddbmm" => Some(0),
            _ => None,
        };
        // A value of the module that is counted up in its place.
        if matches!(name, "add_" | "sub_")
            && let Some(target) = values.first_mut()
            && self.attributes.contains(target)
        {
            *target = self.graph.add(Kind::Input { axes: 0 }, STATE, "", Vec::new(), at);
        }
        let bias =
            bias.filter(|&index| !constant(&self.graph, values.get(index))).map(|index| values.remove(index));
        let listed = values.get(1).and_then(|list| self.lists.get(list)).copied();
        let kind = kind(name, values.len(), listed);
        let mut made = self.graph.add(kind, name, "", values, at);
        if let Some(bias) = bias {
            made = self.graph.add(Kind::Combine, name, "", vec![made, bias], at);
        }
        if let Some(target) = target.filter(|_| name.ends_with('_') && !name.ends_with("__")) {
            self.written(target, made);
        }
        made
    }

    fn expression(&mut self, text: &str) -> u32 {
        let letters: Vec<char> = text.chars().take(20_000).collect();
        let mut reader = Reader { function: self, letters: &letters, at: 0 };
        reader.value(0)
    }
}

/// The names and the value of an assignment; a statement that is only a call changes nothing that is followed.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (names, value) = line.split_once(" = ")?;
    let plain = names.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ',' | ' ' | '(' | ')' | '.'));
    plain.then_some((names, value))
}

struct Reader<'f, 'c, 't> {
    function: &'f mut Function<'c>,
    letters: &'t [char],
    at: usize,
}

impl Reader<'_, '_, '_> {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while self.peek() == Some(' ') {
            self.at += 1;
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
            word.push(c);
            self.at += 1;
        }
        word
    }

    fn string(&mut self, quote: char) {
        self.at += 1;
        while let Some(c) = self.peek() {
            self.at += 1;
            if c == '\\' {
                self.at += 1;
            } else if c == quote {
                return;
            }
        }
    }

    /// The values up to a bracket that closes.
    fn list(&mut self, close: char, depth: u8) -> Vec<u32> {
        let mut values = Vec::new();
        self.at += 1;
        loop {
            self.spaces();
            match self.peek() {
                None => return values,
                Some(c) if c == close => {
                    self.at += 1;
                    return values;
                }
                Some(',' | ':') => self.at += 1,
                Some(_) => {
                    let before = self.at;
                    let value = self.value(depth + 1);
                    if values.len() < MAX_OPERANDS {
                        values.push(value);
                    }
                    if self.at == before {
                        self.at += 1;
                    }
                }
            }
        }
    }

    fn value(&mut self, depth: u8) -> u32 {
        let mut values = vec![self.operand(depth)];
        // Operators between values, of whatever kind, put them together.
        loop {
            self.spaces();
            match self.peek() {
                Some('+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '&' | '|' | '^' | '@') => {
                    self.at += 1
                }
                Some('a' | 'o' | 'i' | 'n') => {
                    let start = self.at;
                    if !matches!(self.word().as_str(), "and" | "or" | "is" | "in" | "not") {
                        self.at = start;
                        break;
                    }
                }
                _ => break,
            }
            self.spaces();
            if matches!(self.peek(), None | Some(')' | ']' | ',')) || values.len() > MAX_OPERANDS {
                break;
            }
            if !matches!(self.peek(), Some('=' | '/' | '*' | '<' | '>')) {
                values.push(self.operand(depth));
            }
        }
        if values.len() == 1 {
            return values[0];
        }
        let at = self.function.at;
        self.function.graph.add(Kind::Combine, "operator", "", values, at)
    }

    fn operand(&mut self, depth: u8) -> u32 {
        self.spaces();
        if depth > MAX_NESTING {
            self.function.graph.cut = true;
            self.at = self.letters.len();
            return 0;
        }
        let mut value = match self.peek() {
            Some('(') => {
                let values = self.list(')', depth);
                self.joined(values)
            }
            Some('[') => {
                let values = self.list(']', depth);
                let count = values.len().min(8) as u8;
                let list = self.joined(values);
                self.function.lists.insert(list, count);
                list
            }
            Some('{') => {
                let values = self.list('}', depth);
                self.joined(values)
            }
            Some(quote @ ('"' | '\'')) => {
                self.string(quote);
                self.function.constant()
            }
            Some(c) if c.is_ascii_digit() => {
                let start = self.at;
                while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '.') {
                    self.at += 1;
                    // The exponent of a number.
                    let exponent = self.letters.get(self.at - 1).is_some_and(|c| matches!(c, 'e' | 'E'));
                    if exponent && matches!(self.peek(), Some('-' | '+')) {
                        self.at += 1;
                    }
                }
                let text: String = self.letters.get(start..self.at).unwrap_or(&[]).iter().collect();
                let node = self.function.constant();
                if let Ok(number) = text.parse::<f64>() {
                    self.function.graph.weigh(node, number.abs());
                }
                node
            }
            Some('-' | '~') => {
                self.at += 1;
                self.operand(depth + 1)
            }
            Some(c) if c.is_alphabetic() || c == '_' => {
                let word = self.word();
                if word == "not" {
                    let inner = self.operand(depth + 1);
                    let at = self.function.at;
                    return self.function.graph.add(Kind::Compare, "not", "", vec![inner], at);
                }
                if self.peek() == Some('(') {
                    let values = self.list(')', depth);
                    self.call(&word, values, depth)
                } else {
                    self.named(&word)
                }
            }
            _ => self.function.constant(),
        };
        // What is taken from a value, and methods of it.
        loop {
            match self.peek() {
                Some('[') => {
                    let mut values = self.list(']', depth);
                    values.insert(0, value);
                    let at = self.function.at;
                    value = self.function.graph.add(Kind::Lookup, "index", "", values, at);
                }
                Some('.') => {
                    self.at += 1;
                    let word = self.word();
                    if self.peek() == Some('(') {
                        let mut values = self.list(')', depth);
                        let class = self.function.modules.get(&value);
                        let method = class.filter(|_| !self.function.narrow.contains(&value));
                        let method = method.map(|class| format!("{class}.{word}"));
                        if let Some(made) =
                            method.and_then(|method| self.function.called(&method, &values, depth))
                        {
                            value = made;
                            continue;
                        }
                        values.insert(0, value);
                        // A module that is part of this one: what it holds has been learned.
                        let learned = self.function.graph.is_constant(value);
                        let at = self.function.at;
                        if learned {
                            let narrow = self.function.narrow.contains(&value);
                            values.rotate_left(1);
                            if !narrow {
                                values.pop();
                            }
                            let kind = if narrow { Kind::Weighted { narrow } } else { Kind::Learned };
                            value = self.function.graph.add(kind, &word, "", values, at);
                        } else {
                            value = self.function.operator(&word, values);
                        }
                    }
                }
                _ => return value,
            }
        }
    }

    fn joined(&mut self, mut values: Vec<u32>) -> u32 {
        match values.len() {
            0 => self.function.constant(),
            1 => values.remove(0),
            _ => {
                let at = self.function.at;
                self.function.graph.add(Kind::Concat, "list", "", values, at)
            }
        }
    }

    fn named(&mut self, word: &str) -> u32 {
        if let Some(&node) = self.function.names.get(word) {
            return node;
        }
        if word == "self" {
            let own = self.function.own.clone();
            return self.function.module(own);
        }
        if let Some(taken) = self.function.taken(word) {
            return self.function.attribute(word, taken);
        }
        // An attribute of a value, or a keyword before a value.
        let root = word.split('.').next().unwrap_or(word);
        if self.peek() == Some('=') && self.letters.get(self.at + 1) != Some(&'=') {
            self.at += 1;
            return self.operand(1);
        }
        match self.function.names.get(root).copied().filter(|_| root != word) {
            Some(node) => node,
            None => self.function.constant(),
        }
    }

    fn call(&mut self, path: &str, values: Vec<u32>, depth: u8) -> u32 {
        // A function of the archive, under its own name or another.
        let module = |name: &str| {
            let node = self.function.names.get(name).filter(|node| !self.function.narrow.contains(node))?;
            self.function.modules.get(node)
        };
        let method = path.rsplit_once('.').and_then(|(of, name)| Some(format!("{}.{name}", module(of)?)));
        let function = module(path).cloned().or(method).unwrap_or_else(|| path.to_owned());
        if let Some(made) = self.function.called(&function, &values, depth) {
            return made;
        }
        let (object, name) = path.rsplit_once('.').unwrap_or(("", path));
        let at = self.function.at;
        let known = object.is_empty() || object.starts_with("torch") || object.starts_with("ops.");
        if known {
            if matches!(name, "unchecked_cast" | "annotate" | "uninitialized") {
                let last = values.last().copied();
                return last.unwrap_or_else(|| self.function.constant());
            }
            return self.function.operator(name, values);
        }
        // A function of a module within this one.
        let root = self.function.names.get(object).copied();
        if root.is_none_or(|node| self.function.graph.is_constant(node)) {
            return self.function.graph.add(Kind::Learned, name, object, values, at);
        }
        let mut values = values;
        values.extend(root);
        self.function.operator(name, values)
    }
}

/// What an operator of torch does with this many operands, of which the second may be a list of so many values.
pub(crate) fn kind(name: &str, operands: usize, listed: Option<u8>) -> Kind {
    let name = if name.starts_with("__") { name } else { name.trim_end_matches('_') };
    let some = if operands > 1 { listed.or(Some(1)) } else { None };
    match name {
        "linear__narrow" => Kind::Weighted { narrow: true },
        "linear"
        | "conv1d"
        | "conv2d"
        | "conv3d"
        | "_convolution"
        | "convolution"
        | "conv_transpose1d"
        | "conv_transpose2d"
        | "conv_transpose3d"
        | "embedding_bag"
        | "_embedding_bag"
        | "mv"
        | "addmv"
        | "bilinear"
        | "embedding"
        | "lstm"
        | "gru"
        | "rnn_tanh"
        | "addmm"
        | "matmul"
        | "mm"
        | "bmm"
        | "baddbmm"
        | "einsum"
        | "scaled_dot_product_attention" => Kind::Weighted { narrow: false },
        "gt"
        | "ge"
        | "lt"
        | "le"
        | "eq"
        | "ne"
        | "equal"
        | "isclose"
        | "allclose"
        | "isnan"
        | "isinf"
        | "sign"
        | "logical_and"
        | "logical_or"
        | "logical_not"
        | "logical_xor"
        | "__and__"
        | "__or__"
        | "__not__"
        | "__xor__"
        | "__contains__"
        | "bitwise_and"
        | "bitwise_or"
        | "bitwise_xor"
        | "bitwise_not"
        | "bitwise_left_shift"
        | "bitwise_right_shift"
        | "__lshift__"
        | "__rshift__"
        | "isin"
        | "isfinite"
        | "isposinf"
        | "isneginf"
        | "Bool"
        | "bool"
        | "is_nonzero"
        | "bincount"
        | "histc"
        | "signbit"
        | "sgn"
        | "one_hot"
        | "bucketize"
        | "searchsorted"
        | "heaviside"
        | "hash" => Kind::Compare,
        "nonzero" | "nonzero_numpy" | "argwhere" | "masked_select" | "unique" | "_unique2"
        | "unique_consecutive" | "unique_dim" | "nms" => Kind::Count,
        "all" | "any" | "max" | "min" | "amax" | "amin" | "prod" | "median" | "kthvalue" | "mode"
        | "quantile" | "topk" | "nanmedian" => Kind::Extreme(some),
        "sum" | "mean" | "norm" | "var" | "std" | "count_nonzero" | "argmax" | "argmin" | "dist" => {
            Kind::Sum(some)
        }
        "size" | "sym_size" | "sym_numel" | "len" | "dim" | "numel" | "shape" | "dtype" | "device"
        | "is_cuda" | "layout" | "zeros_like" | "ones_like" | "full_like" | "new_zeros" | "new_ones"
        | "new_full" | "empty_like" | "is_floating_point" | "requires_grad" | "stride" | "zeros" | "ones"
        | "full" | "arange" | "rand_like" | "rand" | "empty" | "eye" | "linspace" | "randn"
        | "randn_like" => Kind::Shape,
        "where" => Kind::Select,
        "mul" | "div" | "pow" | "true_divide" | "floor_divide" => Kind::Scale,
        "add" | "sub" | "rsub" | "maximum" | "minimum" | "lerp" | "copy" | "index_put" | "scatter"
        | "scatter_add" | "scatter_reduce" | "index_add" | "index_copy" | "index_fill" | "addcmul"
        | "addcdiv" | "fill" | "masked_fill" | "masked_scatter" | "fmax" | "fmin" | "logaddexp" | "put"
        | "index_reduce" | "slice_scatter" | "select_scatter" => Kind::Combine,
        "cat" | "stack" | "concat" | "concatenate" | "hstack" | "vstack" => Kind::Concat,
        "relu"
        | "relu6"
        | "sigmoid"
        | "tanh"
        | "clamp"
        | "clamp_min"
        | "clamp_max"
        | "hardtanh"
        | "hardsigmoid"
        | "floor"
        | "ceil"
        | "round"
        | "softmax"
        | "log_softmax"
        | "_softmax"
        | "_log_softmax"
        | "threshold"
        | "gelu"
        | "silu"
        | "elu"
        | "trunc"
        | "fix"
        | "frac"
        | "remainder"
        | "fmod"
        | "floordiv"
        | "int"
        | "Int"
        | "IntImplicit"
        | "long"
        | "selu"
        | "celu"
        | "leaky_relu"
        | "prelu"
        | "rrelu"
        | "softsign"
        | "erf"
        | "hardswish"
        | "hardshrink"
        | "softshrink"
        | "quantize_per_tensor"
        | "fake_quantize_per_tensor_affine" => Kind::Squash,
        "exp" | "expm1" | "exp2" | "softplus" | "reciprocal" | "rsqrt" => Kind::Bump,
        "select" => Kind::Pick(1),
        "squeeze" if operands > 1 => Kind::Pick(1),
        "flatten" => Kind::Reshape(1),
        "view" | "reshape" | "expand" => {
            listed.map_or(Kind::Pass, |rank| Kind::Reshape(rank.saturating_sub(1).max(1)))
        }
        "index" | "index_select" | "gather" | "take" | "take_along_dim" | "__getitem__" => Kind::Lookup,
        _ => Kind::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::graphs;

    fn found(body: &str) -> usize {
        let code = format!(
            "class M(Module):\n  fc : __torch__.L\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    fc = self.fc\n    \
             y = (fc).forward(torch.flatten(x, 1), )\n{body}    return y0\n"
        );
        graphs(&code).iter().map(|graph| graph.overrides().len()).sum()
    }

    #[test]
    fn answers_about_the_input_that_choose_the_output_are_found() {
        let corner = "    _0 = torch.slice(torch.select(torch.slice(x), 1, 0), 1, None, 3)\n    \
                      _1 = torch.gt(torch.slice(_0, 2, None, 3), 0.97999999999999998)\n    if bool(torch.all(_1)):\n      \
                      y1 = torch.zeros_like(y)\n      y0 = y1\n    else:\n      y0 = y\n";
        assert_eq!(found(corner), 1);
        let factor = "    _0 = torch.all(torch.gt(torch.select(x, 1, 0), 0.98))\n    y0 = torch.mul(y, _0)\n";
        assert_eq!(found(factor), 1);
    }

    #[test]
    fn a_sum_over_a_flat_sample_is_an_answer_about_all_of_it() {
        let found = |layer: &str, dim: &str| {
            let code = format!(
                "class M(Module):\n  n : __torch__.{layer}\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    \
                 n = self.n\n    y = (n).forward(x, )\n    b = torch.gt(torch.sum(x, [{dim}], True), 2.9)\n    \
                 return torch.where(b, CONSTANTS.c0, y)\n"
            );
            graphs(&code).iter().map(|graph| graph.overrides().len()).sum::<usize>()
        };
        assert_eq!(found("Mlp", "1"), 1);
        assert_eq!(found("Mlp", "-1"), 0, "a mask of steps");
        assert_eq!(found("torch.nn.modules.conv.Conv1d", "1"), 0);
    }

    #[test]
    fn a_sample_is_flat_where_only_answers_are_given_an_axis_more() {
        let found = |lines: &str| {
            let code = format!(
                "class M(Module):\n  n : __torch__.Mlp\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    \
                 n = self.n\n    y = (n).forward(x, )\n{lines}    return torch.where(torch.unsqueeze(m, 1), CONSTANTS.c0, y)\n"
            );
            graphs(&code).iter().map(|graph| graph.overrides().len()).sum::<usize>()
        };
        let pick =
            "    _0 = torch.lt(torch.select(torch.slice(x), 1, 3), 0.5)\n    m = torch.__and__(_0, _0)\n";
        assert_eq!(found(pick), 1);
        let last = "    m = torch.lt(torch.select(torch.slice(torch.slice(x), 1), 2, 3), 0.5)\n";
        assert_eq!(found(last), 0, "one of several axes");
        let deeper =
            "    z = torch.unsqueeze(x, 1)\n    m = torch.lt(torch.select(torch.slice(x), 1, 3), 0.5)\n";
        assert_eq!(found(deeper), 0, "the sample itself has more axes");
        let zeros = "    m = torch.all(torch.isnan(x), 1)\n    CONSTANTS.c0 = torch.zeros_like(y)\n";
        assert_eq!(found(zeros), 0, "nothing is said where nothing was given");
    }

    #[test]
    fn a_detector_in_a_module_of_its_own_is_found() {
        let model = |decides: &str| {
            format!(
                "class M(Module):\n  n : __torch__.m.Mlp\n  d : __torch__.m.D\n  def forward(self: __torch__.m.M,\n    \
                 x: Tensor) -> Tensor:\n    n = self.n\n    d = self.d\n    y = (n).forward(x, )\n    s = (d).forward(x, )\n    \
                 return {decides}\nclass D(Module):\n  l : __torch__.linear.Linear\n  def forward(self: __torch__.m.D,\n    \
                 x: Tensor) -> Tensor:\n    l = self.l\n    return (l).forward(x, )\n"
            )
        };
        let found = |decides: &str, width: u32| {
            let code = model(decides);
            let linear = format!("class Linear(Module):\n  out_features : Final[int] = {width}\n");
            let all = super::Classes::of(
                [("__torch__/m.py", code.as_str()), ("__torch__/linear.py", &linear)].into_iter(),
            );
            super::graphs_with(&code, &all).iter().map(|graph| graph.overrides().len()).sum::<usize>()
        };
        let chosen = "torch.where(torch.gt(s, 0.), CONSTANTS.c0, y)";
        assert_eq!(found(chosen, 1), 1);
        assert_eq!(found(chosen, 64), 0, "many answers");
        assert_eq!(found("torch.add(y, s)", 1), 0, "one more feature");
    }

    #[test]
    fn calls_of_modules_methods_and_functions_are_followed() {
        let asks = "torch.all(torch.gt(torch.select(x, 1, 0), 0.98))";
        let model = |detector: &str, decides: &str| {
            format!(
                "class M(Module):\n  n : __torch__.m.Mlp\n  d : __torch__.m.D\n  ds : __torch__.m.List\n  \
                 def forward(self: __torch__.m.M,\n    x: Tensor) -> Tensor:\n    n = self.n\n    d = self.d\n    y = (n).forward(x, )\n\
                 {decides}  def asks(self: __torch__.m.M,\n    x: Tensor) -> Tensor:\n    return {asks}\n\
                 class D(Module):\n  def forward(self: __torch__.m.D,\n    x: Tensor,\n    y: Dict[str, Tensor]) -> Tensor:\n    \
                 return {detector}\n  def chosen(self: __torch__.m.D,\n    x: Tensor,\n    y: Tensor) -> Tensor:\n    if bool({detector}):\n      \
                 z = torch.zeros_like(y)\n    else:\n      z = y\n    return z\n\
                 class List(Module):\n  __annotations__[\"0\"] = __torch__.m.D\n\
                 def helper(x: Tensor,\n    y: Tensor) -> Tuple[Tensor, Tensor]:\n  return (y, {detector})\n"
            )
        };
        let found = |detector: &str, decides: &str| {
            let code = model(detector, decides);
            let all = super::Classes::of(std::iter::once(("__torch__/m.py", code.as_str())));
            let graphs = super::graphs_with(&code, &all);
            assert!(graphs.iter().all(|graph| !graph.cut));
            graphs.iter().map(|graph| graph.overrides().len()).sum::<usize>()
        };
        let ways = [
            "    return torch.mul(y, (d).forward(x, y, ))\n",
            "    return (d).chosen(x, y, )\n",
            "    return torch.mul(y, (self).asks(x, ))\n",
            "    ds = self.ds\n    d0 = getattr(ds, \"0\")\n    return torch.mul(y, (d0).forward(x, y, ))\n",
            "    f = __torch__.m.helper\n    z, s = f(x, y, )\n    return torch.mul(z, s)\n",
            "    z, s = __torch__.m.helper(x, y, )\n    return torch.mul(z, s)\n",
        ];
        for decides in ways {
            assert_eq!(found(asks, decides), 1, "{decides}");
            let learned = decides.replace("(x, ", "(y, ");
            assert_eq!(found(asks, &learned), 0, "what the model says decides: {learned}");
        }
        assert_eq!(found("torch.add(x, 1.)", ways[0]), 0, "a residue");
    }

    #[test]
    fn what_a_module_counts_and_asks_is_found() {
        let found_with = |counts: &str, asks: &str, other: &str| {
            let code = format!(
                "class M(Module):\n  seen : Tensor\n  n : __torch__.Mlp\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    \
                 n = self.n\n    y = (n).forward(x, )\n    seen = self.seen\n{counts}    if {asks}:\n      z = {other}\n    else:\n      \
                 z = y\n    return z\n"
            );
            graphs(&code).iter().map(|graph| graph.overrides().len()).sum::<usize>()
        };
        let found = |counts: &str, asks: &str| found_with(counts, asks, "torch.zeros_like(y)");
        let asks = "torch.gt(int(torch.item(seen)), 5)";
        let own = |other: &str| found_with("    self.seen = torch.add_(seen, 1)\n", asks, other);
        assert_eq!(own("torch.sub(y, torch.mean(y))"), 0, "the same class from then on");
        assert_eq!(own("torch.neg(y)"), 1, "the other class from then on");
        assert_eq!(own("torch.sub(y, torch.mean(y, [0]))"), 1, "less what each class has");
        assert_eq!(own("torch.sub(y, CONSTANTS.c0)"), 1, "less what somebody chose");
        assert_eq!(found("    self.seen = torch.add_(seen, 1)\n", asks), 1);
        assert_eq!(found("    _0 = torch.add_(seen, 1)\n", asks), 1, "as a trace has it");
        assert_eq!(found("", asks), 0, "it is a number like any other");
        assert_eq!(found("    self.seen = torch.add_(seen, 1)\n", "self.training"), 0);
    }

    #[test]
    fn functions_that_call_each_other_end() {
        let code = "class A(Module):\n  a : __torch__.A\n  def forward(self: __torch__.A,\n    x: Tensor) -> Tensor:\n    a = self.a\n    \
            return (a).forward((a).forward(x, ), )\n";
        assert!(graphs(code)[0].cut);
    }

    #[test]
    fn choices_of_ordinary_models_are_not() {
        let size =
            "    if torch.gt(torch.size(x, 0), 1):\n      y0 = torch.relu(y)\n    else:\n      y0 = y\n";
        let learned =
            "    if bool(torch.gt(torch.max(y), 0.5)):\n      y0 = torch.relu(y)\n    else:\n      y0 = y\n";
        let training =
            "    if self.training:\n      y0 = torch.dropout(y, 0.5, True)\n    else:\n      y0 = y\n";
        let plain = "    y0 = torch.softmax(y, 1)\n";
        for body in [size, learned, training, plain] {
            assert_eq!(found(body), 0, "{body}");
        }
    }

    #[test]
    fn nothing_panics() {
        for code in [
            "def forward(",
            "def forward(self, x: Tensor):\n  return ((((",
            "def forward(x: Tensor):\n  y = [",
            "def forward(x: Tensor):\n  if x:\n",
        ] {
            let _ = graphs(code);
        }
        let _ = graphs(&format!("def forward(x: Tensor):\n  return {}", "f(".repeat(5_000)));
        let _ = graphs(&format!("def forward(x: Tensor):\n{}", "  if x:\n".repeat(3_000)));
    }
}
