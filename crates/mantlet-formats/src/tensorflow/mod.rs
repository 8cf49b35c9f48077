//! TensorFlow: `saved_model.pb`, meta graphs (`.meta`), frozen graphs and `keras_metadata.pb`.
//!
//! All are one protobuf message within another; operators are read from the main graph and from every function
//! of the library, since that is where today's models have them.
//!
//! Long because every message of the format has its few lines here.

mod graph;
mod kinds;
mod operators;

pub use graph::graph;
pub use operators::{Reach, is_known, reach};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use mantlet_vocab::Source;

use self::operators::Class;
use crate::Bounds;
use crate::proto::{Fields, Value, text, varint};
use crate::window::Window;

/// What kind of file it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum File {
    /// `saved_model.pb`.
    #[default]
    SavedModel,
    /// A meta graph.
    MetaGraph,
    /// A graph by itself.
    Graph,
    /// `keras_metadata.pb`.
    KerasMetadata,
}

/// An operator that reaches out of the model, or that TensorFlow does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Its name.
    pub name: String,
    /// The node's name.
    pub node: String,
    /// The function it is in; empty for the main graph.
    pub function: String,
    /// What it does; `None` for operators TensorFlow does not have.
    pub reach: Option<Reach>,
    /// Constant texts it is given, such as file names.
    pub texts: Vec<String>,
    /// Offset of the node.
    pub at: u64,
}

/// A text that is configuration: where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration {
    /// Offset of its first byte.
    pub start: u64,
    /// Its bytes.
    pub len: u64,
}

/// The facts of a TensorFlow file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TensorFlow {
    /// What kind of file it is.
    pub file: File,
    /// Nodes, functions included.
    pub nodes: u64,
    /// Functions of the library.
    pub functions: u64,
    /// Operators that matter.
    pub operators: Vec<Operator>,
    /// How often each of them is used.
    pub counts: BTreeMap<String, u64>,
    /// Files beside the model that it reads when it is loaded, as written.
    pub assets: Vec<(String, u64)>,
    /// Keras configurations of layers.
    pub configurations: Vec<Configuration>,
    /// What is wrong, in words, with offsets.
    pub defects: Vec<(String, u64)>,
    /// What was not followed.
    pub limits: Vec<String>,
}

const MAX_NODES: u64 = 4 << 20;
const MAX_TEXTS: usize = 20_000;
/// Nodes of one graph that are kept by name.
const MAX_NAMED: usize = 300_000;
/// Texts of one constant that are looked at.
const MAX_STRINGS: usize = 256;
/// Graphs within constants.
const MAX_CARRIED: usize = 64;
const MAX_ASSETS: usize = 4_096;
const MAX_ATTRIBUTES: usize = 256;

/// The kind of file, told by the fields of the outermost messages.
#[must_use]
pub fn recognise(source: &dyn Source) -> Option<File> {
    let mut window = Window::new(source, 0);
    let end = source.len();
    // The fields a message may have: numbers, and which of them are bytes.
    let shape = |window: &mut Window<'_>, start: u64, end: u64, bytes: &[u64], numbers: &[u64]| {
        let mut fields = Fields::new(start, end);
        let mut firsts: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for _ in 0..2_000_000 {
            let Some(field) = fields.next(window) else { break };
            match field.bytes() {
                Some(span) if bytes.contains(&field.number) => {
                    firsts.entry(field.number).or_insert(span);
                }
                None if numbers.contains(&field.number) => {}
                _ => return None,
            }
        }
        (fields.broken.is_none() || !firsts.is_empty()).then_some(firsts)
    };
    let is_graph = |window: &mut Window<'_>, (start, end): (u64, u64)| {
        let Some(graph) = shape(window, start, end, &[1, 2, 4], &[3]) else { return false };
        let node = graph.get(&1).copied().or_else(|| {
            let library = shape(window, graph.get(&2)?.0, graph.get(&2)?.1, &[1, 2, 3], &[])?;
            let function =
                shape(window, library.get(&1)?.0, library.get(&1)?.1, &[1, 3, 4, 5, 6, 7, 8], &[])?;
            function.get(&3).copied()
        });
        let Some((start, end)) = node else { return false };
        let Some(node) = shape(window, start, end, &[1, 2, 3, 4, 5, 6, 7], &[]) else { return false };
        let Some(&(start, end)) = node.get(&2) else { return false };
        let operator = text(window, start, end);
        !operator.is_empty()
            && operator.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '>' | '.' | ':'))
    };
    let meta: &[u64] = &[1, 2, 3, 4, 5, 6, 7];
    if is_graph(&mut window, (0, end)) {
        return Some(File::Graph);
    }
    if let Some(saved) = shape(&mut window, 0, end, &[2], &[1]) {
        let (start, stop) = *saved.get(&2)?;
        let graph = shape(&mut window, start, stop, meta, &[])?;
        return is_graph(&mut window, *graph.get(&2)?).then_some(File::SavedModel);
    }
    if let Some(graph) = shape(&mut window, 0, end, meta, &[])
        && let Some(&span) = graph.get(&2)
    {
        return is_graph(&mut window, span).then_some(File::MetaGraph);
    }
    let metadata = shape(&mut window, 0, end, &[1], &[])?;
    let node = shape(&mut window, metadata.get(&1)?.0, metadata.get(&1)?.1, &[1, 3, 4, 5, 6], &[2])?;
    let (start, stop) = *node.get(&5)?;
    text(&mut window, start, stop).starts_with('{').then_some(File::KerasMetadata)
}

/// The facts of a TensorFlow file. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, file: File, bounds: &Bounds) -> TensorFlow {
    let facts = TensorFlow { file, ..TensorFlow::default() };
    let mut walk = Walk {
        window: Window::new(source, 0),
        facts,
        assets: BTreeSet::new(),
        carried: 0,
        max: bounds.max_facts,
    };
    let end = source.len();
    match file {
        File::SavedModel => walk.each(0, end, 2, |walk, start, end, _| walk.meta(start, end)),
        File::MetaGraph => walk.meta(0, end),
        File::Graph => walk.graph(0, end),
        File::KerasMetadata => walk.each(0, end, 1, |walk, start, end, _| {
            walk.each(start, end, 5, |walk, start, end, _| {
                if walk.facts.configurations.len() < MAX_TEXTS {
                    walk.facts.configurations.push(Configuration { start, len: end - start });
                } else if walk.facts.limits.is_empty() {
                    walk.facts.limits.push(format!("only the first {MAX_TEXTS} layers are read"));
                }
            });
        }),
    }
    if let Some(error) = walk.window.failed.take() {
        walk.facts.limits.push(error.to_string());
    }
    walk.facts
}

struct Walk<'a> {
    window: Window<'a>,
    facts: TensorFlow,
    /// Constants in whose place a loader puts a file of the model.
    assets: BTreeSet<String>,
    /// Graphs within constants that were read.
    carried: usize,
    max: usize,
}

type Step<'a> = fn(&mut Walk<'a>, u64, u64, u64);

#[derive(Default)]
struct Node {
    name: String,
    operator: String,
    inputs: Vec<String>,
    text: Option<String>,
    /// Where the text is, whole.
    content: Option<(u64, u64)>,
    file: Option<String>,
    at: u64,
}

/// What a text that an operator is given is made of.
#[derive(Default)]
struct Made {
    /// The constants, in the order they are put together.
    texts: Vec<String>,
    /// Where those texts are, whole.
    contents: Vec<(u64, u64)>,
    /// Nothing that the graph or function is handed has a part in it.
    settled: bool,
    /// A constant was decoded, replaced or spelled out on the way.
    disguised: bool,
}

/// Nodes by a hash of their names, and where they are.
type Names = HashMap<u64, (u64, u64)>;

fn hashed(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Operators whose texts are asked about, and are no part of what comes out.
const ASKS: [&str; 5] = ["RegexFullMatch", "StaticRegexFullMatch", "Equal", "NotEqual", "StringLength"];
/// Operators that turn a constant into a text that nobody can read in it.
const DISGUISES: [&str; 8] = [
    "DecodeBase64",
    "DecodeCompressed",
    "DecodeRaw",
    "RegexReplace",
    "StaticRegexReplace",
    "UnicodeEncode",
    "UnicodeTranscode",
    "Substr",
];

/// Whether a name ends like a file that something runs or reads code from.
fn runs(name: &str) -> bool {
    const ENDINGS: [&str; 13] =
        ["pth", "py", "pyc", "sh", "so", "pkl", "pickle", "desktop", "service", "exe", "bat", "ps1", "cfg"];
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

impl<'a> Walk<'a> {
    /// Every field of this number that holds bytes.
    fn each(&mut self, start: u64, end: u64, number: u64, step: Step<'a>) {
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            if let Some((start, end)) = field.bytes().filter(|_| field.number == number) {
                step(self, start, end, field.at);
            }
        }
        self.broken(&fields);
    }

    fn limit(&mut self, limit: String) {
        if !self.facts.limits.contains(&limit) {
            self.facts.limits.push(limit);
        }
    }

    fn broken(&mut self, fields: &Fields) {
        if let Some(at) = fields.broken
            && self.facts.defects.len() < self.max
        {
            self.facts.defects.push(("a field is cut, or longer than its message".into(), at));
        }
    }

    fn meta(&mut self, start: u64, end: u64) {
        self.each(start, end, 6, |walk, start, end, at| {
            let mut fields = Fields::new(start, end);
            while let Some(field) = fields.next(&mut walk.window) {
                if let (1, Some((start, end))) = (field.number, field.bytes()) {
                    let mut info = Fields::new(start, end);
                    while let Some(field) = info.next(&mut walk.window) {
                        if let (1, Some((start, end))) = (field.number, field.bytes()) {
                            let tensor = text(&mut walk.window, start, end);
                            if walk.assets.len() < MAX_ASSETS {
                                walk.assets.insert(tensor.split(':').next().unwrap_or_default().to_owned());
                            }
                        }
                    }
                }
                if let (2, Some((start, end))) = (field.number, field.bytes()) {
                    let name = text(&mut walk.window, start, end);
                    if walk.facts.assets.len() < MAX_ASSETS {
                        walk.facts.assets.push((name, at));
                    } else {
                        walk.limit(format!("only the first {MAX_ASSETS} paths of assets are examined"));
                    }
                }
            }
        });
        self.each(start, end, 2, |walk, start, end, _| walk.graph(start, end));
    }

    fn graph(&mut self, start: u64, end: u64) {
        self.nodes(start, end, 1, "");
        self.each(start, end, 2, |walk, start, end, _| {
            walk.each(start, end, 1, |walk, start, end, _| {
                walk.facts.functions += 1;
                let mut name = String::new();
                let mut fields = Fields::new(start, end);
                while let Some(field) = fields.next(&mut walk.window) {
                    if let (1, Some((start, end))) = (field.number, field.bytes()) {
                        let mut signature = Fields::new(start, end);
                        while let Some(field) = signature.next(&mut walk.window) {
                            if let (1, Some((start, end))) = (field.number, field.bytes()) {
                                name = text(&mut walk.window, start, end);
                                break;
                            }
                        }
                        break;
                    }
                }
                walk.nodes(start, end, 3, &name);
            });
        });
    }

    /// The nodes of a graph or function by their names; none of one with too many.
    fn named(&mut self, start: u64, end: u64, number: u64) -> Names {
        let mut nodes = Names::new();
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            let Some(span) = field.bytes().filter(|_| field.number == number) else { continue };
            if nodes.len() == MAX_NAMED {
                self.limit(format!(
                    "places that are put together are followed in graphs of up to {MAX_NAMED} nodes"
                ));
                return Names::new();
            }
            let mut inner = Fields::new(span.0, span.1);
            while let Some(field) = inner.next(&mut self.window) {
                if let (1, Some((start, end))) = (field.number, field.bytes()) {
                    nodes.insert(hashed(&text(&mut self.window, start, end)), span);
                    break;
                }
            }
        }
        nodes
    }

    /// What a value is made of; `steps` are the nodes that may still be read.
    fn made(&mut self, names: &Names, value: &str, steps: &mut usize) -> Made {
        let plain = |input: &str| hashed(input.split(':').next().unwrap_or_default());
        let mut made = Made { settled: true, ..Made::default() };
        let (mut waiting, mut seen) = (vec![(plain(value), false)], BTreeSet::new());
        while let Some((name, asked)) = waiting.pop() {
            if !seen.insert(name) {
                continue;
            }
            // What is no node is what the function is handed.
            let Some(&(start, end)) = names.get(&name) else {
                made.settled = false;
                continue;
            };
            let Some(left) = steps.checked_sub(1) else {
                made.settled = false;
                break;
            };
            *steps = left;
            let node = self.node(start, end);
            made.settled &= !node.operator.starts_with("Placeholder");
            // Of numbers that are written out a part is digits, and hides nothing.
            let digits = node.operator == "Substr"
                && node
                    .inputs
                    .first()
                    .and_then(|input| names.get(&plain(input)).copied())
                    .is_some_and(|(start, end)| self.node(start, end).operator == "AsString");
            made.disguised |= !asked && !digits && DISGUISES.contains(&node.operator.as_str());
            if !asked {
                made.texts.extend(node.text);
                made.contents.extend(node.content);
            }
            // Numbers that are written out say nothing of a place.
            if node.operator != "AsString" {
                let asked = asked || ASKS.contains(&node.operator.as_str());
                let inputs = node.inputs.iter().filter(|input| !input.starts_with('^'));
                waiting.extend(inputs.rev().map(|input| (plain(input), asked)));
            }
        }
        made
    }

    /// Where an operator that is judged by the place it is given leads: away from the model, or to a place of its own.
    fn leads(
        &mut self,
        (node, reach): (&Node, Reach),
        function: &str,
        names: &Names,
        steps: &mut usize,
    ) -> Option<String> {
        let inputs: Vec<&String> = node.inputs.iter().filter(|input| !input.starts_with('^')).collect();
        // The saver of a model is a function that is handed the place; no other has one of its own.
        let writer = node.operator == "CreateSummaryFileWriter";
        let place = usize::from(writer || node.operator == "MergeV2Checkpoints");
        // A writer of summaries is opened once, by the function that makes it ready, and not by one that is served.
        let made_ready = writer && function.contains("initializer");
        let own = !function.is_empty() && reach == Reach::Writes && !made_ready;
        let served = self.facts.file == File::SavedModel;
        for (index, input) in inputs.into_iter().enumerate() {
            if self.assets.contains(input.split(':').next().unwrap_or_default()) {
                continue;
            }
            let mut made = self.made(names, input, steps);
            if node.operator == "DatasetFromGraph" {
                for span in std::mem::take(&mut made.contents) {
                    self.carried(span);
                }
            }
            let whole = made.texts.concat();
            let away = |text: &&String| operators::leads_away(text, &node.operator, reach, served);
            // Of a place that is put together only the first piece says where it begins.
            let grave = |text: &&String| operators::leads_away(text, &node.operator, Reach::Reads, false);
            let first = made.texts.first().into_iter().chain([&whole]).find(away);
            if let Some(text) = first.or_else(|| made.texts.iter().find(grave)) {
                return Some(text.clone());
            }
            // What the name of a file of summaries ends in makes it one that something runs.
            if let Some(text) = made.texts.first().filter(|text| writer && index == 4 && runs(text)) {
                return Some(text.clone());
            }
            let settled = made.settled && !made.texts.is_empty();
            if settled && (own && index == place || made.disguised && index <= 1) {
                return made.texts.into_iter().next();
            }
        }
        None
    }

    /// A graph that is itself a constant.
    fn carried(&mut self, (start, end): (u64, u64)) {
        if self.carried < MAX_CARRIED {
            self.carried += 1;
            self.graph(start, end);
        } else {
            self.limit(format!("only the first {MAX_CARRIED} graphs within constants are read"));
        }
    }

    fn count(&mut self, operator: &str) {
        *self.facts.counts.entry(operator.chars().take(100).collect()).or_default() += 1;
    }

    /// The nodes of a graph or function.
    fn nodes(&mut self, start: u64, end: u64, number: u64, function: &str) {
        let mut texts: HashMap<String, String> = HashMap::new();
        let mut found: Vec<(Node, Option<Reach>)> = Vec::new();
        // Operators that are judged by the place they are given.
        let mut placed: Vec<(Node, Reach)> = Vec::new();
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            let Some((start, end)) = field.bytes().filter(|_| field.number == number) else { continue };
            self.facts.nodes += 1;
            if self.facts.nodes > MAX_NODES {
                self.limit(format!("only the first {MAX_NODES} nodes are read"));
                break;
            }
            let mut node = self.node(start, end);
            node.at = field.at;
            let class = operators::class(&node.operator);
            let reach = match class {
                Some(Class::Always(reach)) => Some(reach),
                // Printing is harmless unless it goes to a file; so is decoding unless the schema is a file.
                Some(Class::ByAttribute(reach)) => node.file.is_some().then_some(reach),
                _ => None,
            };
            if class == Some(Class::Opaque) {
                self.limit(format!(
                    "`{}` holds a program in another form, which is not followed",
                    node.operator
                ));
            }
            if reach.is_some() || !operators::is_known(&node.operator) {
                self.count(&node.operator);
                if found.len() + self.facts.operators.len() < self.max {
                    found.push((node, reach));
                }
            } else if let Some(Class::ByPlace(reach)) = class {
                if placed.len() < self.max {
                    placed.push((node, reach));
                } else {
                    self.limit("it has more savers and readers than are followed".into());
                }
            } else if let Some(text) = node.text.take() {
                let text: String = text.chars().take(200).collect();
                // A file of keys has no place in a model, whatever function it is handed to.
                let secret = crate::config::secret_file(&text);
                if texts.len() < MAX_TEXTS {
                    texts.insert(node.name.clone(), text.clone());
                }
                if secret && found.len() + self.facts.operators.len() < self.max {
                    found.push((Node { file: Some(text), ..node }, Some(Reach::Reads)));
                }
            }
        }
        self.broken(&fields);
        let names = if placed.is_empty() { Names::new() } else { self.named(start, end, number) };
        // Steps that all of them together are followed back.
        let mut steps = 4 * MAX_TEXTS;
        for (node, reach) in placed {
            if let Some(text) = self.leads((&node, reach), function, &names, &mut steps) {
                self.count(&node.operator);
                found.push((Node { file: Some(text.chars().take(200).collect()), ..node }, Some(reach)));
            }
        }
        if steps == 0 {
            self.limit("places are put together in more steps than are followed".into());
        }
        for (node, reach) in found {
            let given = node.inputs.iter().filter_map(|input| {
                texts.get(input.trim_start_matches('^').split(':').next().unwrap_or_default()).cloned()
            });
            let texts = given.chain(node.file.clone()).collect();
            self.facts.operators.push(Operator {
                name: node.operator,
                node: node.name,
                function: function.to_owned(),
                reach,
                texts,
                at: node.at,
            });
        }
    }

    fn node(&mut self, start: u64, end: u64) -> Node {
        let mut node = Node::default();
        let mut attributes = Vec::new();
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            let Some((start, end)) = field.bytes() else { continue };
            match field.number {
                1 => node.name = text(&mut self.window, start, end),
                2 => node.operator = text(&mut self.window, start, end),
                3 if node.inputs.len() < 64 => node.inputs.push(text(&mut self.window, start, end)),
                5 if attributes.len() < MAX_ATTRIBUTES => attributes.push((start, end)),
                5 => self.limit(format!("only the first {MAX_ATTRIBUTES} attributes of a node are read")),
                _ => {}
            }
        }
        self.broken(&fields);
        let constant = node.operator == "Const";
        let wanted = if constant { Some("value") } else { operators::telling(&node.operator) };
        let Some(wanted) = wanted else { return node };
        for (start, end) in attributes {
            let Some(value) = self.attribute(start, end, wanted) else { continue };
            let (start, end) = value;
            let mut fields = Fields::new(start, end);
            while let Some(field) = fields.next(&mut self.window) {
                match (field.number, field.value) {
                    (1, Value::Bytes { start, end }) => {
                        let mut list = Fields::new(start, end);
                        while let Some(field) = list.next(&mut self.window) {
                            if let (2, Some(span), None) = (field.number, field.bytes(), &node.file) {
                                node.file = self.told(span);
                            }
                        }
                    }
                    (2, Value::Bytes { start, end }) => node.file = self.told((start, end)),
                    (8, Value::Bytes { start, end }) => self.string((start, end), &mut node),
                    _ => {}
                }
            }
        }
        node
    }

    /// What an attribute says, unless it is a stream of the program itself.
    fn told(&mut self, (start, end): (u64, u64)) -> Option<String> {
        let text = text(&mut self.window, start, end);
        let plain = matches!(text.as_str(), "" | "stdout" | "stderr" | "local://")
            || text.starts_with("log(")
            || text.starts_with("bytes://");
        (!plain).then(|| text.chars().take(200).collect())
    }

    /// The value of an attribute, if it has this name.
    fn attribute(&mut self, start: u64, end: u64, wanted: &str) -> Option<(u64, u64)> {
        let (mut name, mut value) = (String::new(), None);
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            match (field.number, field.bytes()) {
                (1, Some((start, end))) => name = text(&mut self.window, start, end),
                (2, Some(span)) => value = Some(span),
                _ => {}
            }
        }
        value.filter(|_| name == wanted)
    }

    /// A text of a tensor: the first that is a place, or the first.
    fn string(&mut self, (start, end): (u64, u64), node: &mut Node) {
        let mut fields = Fields::new(start, end);
        let mut kind = 0;
        for _ in 0..MAX_STRINGS {
            let Some(field) = fields.next(&mut self.window) else { return };
            let Some((mut start, end)) = field.bytes() else {
                if let (1, Value::Number(number)) = (field.number, field.value) {
                    kind = number;
                }
                continue;
            };
            match field.number {
                8 => {}
                // Packed: the length of each, then their bytes.
                4 if kind == 7 => {
                    self.window.seek(start);
                    if varint(&mut self.window).is_some() {
                        start = self.window.offset();
                    }
                }
                _ => continue,
            }
            let text = text(&mut self.window, start, end);
            let place = text.starts_with(['/', '~', '\\']) || text.contains("..") || text.contains(":");
            if place || node.content.is_none() {
                (node.content, node.text) = (Some((start, end)), Some(text));
            }
            if place {
                return;
            }
        }
    }
}
