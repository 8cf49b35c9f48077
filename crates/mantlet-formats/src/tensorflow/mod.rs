//! TensorFlow: `saved_model.pb`, meta graphs (`.meta`), frozen graphs and `keras_metadata.pb`.
//!
//! All are one protobuf message within another; operators are read from the main graph and from every function
//! of the library, since that is where today's models have them.
//!
//! Long because every message of the format has its few lines here.

mod graph;
mod kinds;
mod operators;
mod readable;

pub use graph::graph;
pub use operators::{Reach, is_known, reach};
pub use readable::readable;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mantlet_vocab::Source;

use crate::Bounds;
use crate::proto::{Fields, Value, text};
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
    let mut walk = Walk { window: Window::new(source, 0), facts, max: bounds.max_facts };
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
    max: usize,
}

type Step<'a> = fn(&mut Walk<'a>, u64, u64, u64);

/// The first text that a value of a function is made of, when nothing that the function is handed has a part in it.
fn settled(nodes: &HashMap<String, Node>, value: &str, steps: &mut usize) -> Option<String> {
    let plain = |input: &str| input.split(':').next().unwrap_or_default().to_owned();
    let (mut text, mut waiting, mut seen) = (None, vec![plain(value)], BTreeSet::new());
    while let Some(name) = waiting.pop() {
        *steps = steps.checked_sub(1)?;
        // What is no node is what the function is handed.
        let node = nodes.get(&name)?;
        if !seen.insert(name) {
            continue;
        }
        text = text.or_else(|| node.text.clone());
        // Numbers that are written out say nothing of a place.
        if node.operator != "AsString" {
            waiting
                .extend(node.inputs.iter().filter(|input| !input.starts_with('^')).map(|input| plain(input)));
        }
    }
    text
}

#[derive(Default)]
struct Node {
    name: String,
    operator: String,
    inputs: Vec<String>,
    text: Option<String>,
    file: Option<String>,
    at: u64,
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
        self.each(start, end, 2, |walk, start, end, _| walk.graph(start, end));
        self.each(start, end, 6, |walk, start, end, at| {
            let mut fields = Fields::new(start, end);
            while let Some(field) = fields.next(&mut walk.window) {
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

    /// The nodes of a function by their names; none of one with too many.
    fn named(&mut self, start: u64, end: u64, number: u64) -> HashMap<String, Node> {
        let mut nodes = HashMap::new();
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            let Some((start, end)) = field.bytes().filter(|_| field.number == number) else { continue };
            if nodes.len() == MAX_TEXTS {
                self.limit(format!("a function with more than {MAX_TEXTS} nodes has its own savers"));
                return HashMap::new();
            }
            let node = self.node(start, end);
            nodes.insert(node.name.clone(), node);
        }
        nodes
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
                self.facts.limits.push(format!("only the first {MAX_NODES} nodes are read"));
                break;
            }
            let mut node = self.node(start, end);
            node.at = field.at;
            let mut reach = operators::reach(&node.operator);
            // Printing is harmless unless it goes to a file; so is decoding unless the schema is a file.
            if let (Some(file), None) = (&node.file, reach) {
                reach = Some(if file.starts_with("file://") { Reach::Writes } else { Reach::Reads });
            }
            if reach.is_some() || !operators::is_known(&node.operator) {
                *self.facts.counts.entry(node.operator.chars().take(100).collect()).or_default() += 1;
                if found.len() + self.facts.operators.len() < self.max {
                    found.push((node, reach));
                }
            } else if let Some(reach) =
                operators::reach_by_place(&node.operator).filter(|_| placed.len() < self.max)
            {
                placed.push((node, reach));
            } else if let Some(text) = node.text.filter(|_| texts.len() < MAX_TEXTS) {
                texts.insert(node.name, text);
            }
        }
        self.broken(&fields);
        let saves = |(_, reach): &(Node, Reach)| *reach == Reach::Writes;
        let saves = !function.is_empty() && placed.iter().any(saves);
        let named = if saves { self.named(start, end, number) } else { HashMap::new() };
        // Steps that all savers together are followed back.
        let mut steps = 4 * MAX_TEXTS;
        for (node, reach) in placed {
            let mut given = node.inputs.iter().filter_map(|input| {
                texts.get(input.trim_start_matches('^').split(':').next().unwrap_or_default())
            });
            let graph = node.operator == "DatasetFromGraph";
            // The saver of a model is a function that is handed the place; no other has one of its own.
            let place = usize::from(node.operator == "MergeV2Checkpoints");
            let own =
                !function.is_empty() && reach == Reach::Writes && node.operator != "CreateSummaryFileWriter";
            let fixed = node.inputs.get(place).filter(|_| own);
            let fixed = fixed.and_then(|input| settled(&named, input, &mut steps));
            let leads =
                given
                    .find(|text| {
                        if graph { operators::carried(text).is_some() } else { operators::leads_away(text) }
                    })
                    .cloned()
                    .or(fixed);
            if let Some(text) = leads {
                *self.facts.counts.entry(node.operator.chars().take(100).collect()).or_default() += 1;
                let (text, reach) = match graph.then(|| operators::carried(&text)).flatten() {
                    Some((operator, reach)) => (operator.to_owned(), reach),
                    None => (text, reach),
                };
                found.push((Node { file: Some(text), ..node }, Some(reach)));
            }
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
        let wanted = match node.operator.as_str() {
            "Const" => "value",
            "PrintV2" => "output_stream",
            "DecodeProtoV2" | "EncodeProto" => "descriptor_source",
            "ImmutableConst" => "memory_region_name",
            _ => return node,
        };
        for (start, end) in attributes {
            let Some(value) = self.attribute(start, end, wanted) else { continue };
            let (start, end) = value;
            let mut fields = Fields::new(start, end);
            while let Some(field) = fields.next(&mut self.window) {
                match (field.number, field.value) {
                    (2, Value::Bytes { start, end }) => {
                        let text = text(&mut self.window, start, end);
                        let plain = matches!(text.as_str(), "" | "stdout" | "stderr" | "local://")
                            || text.starts_with("log(")
                            || text.starts_with("bytes://");
                        node.file = (!plain).then(|| text.chars().take(200).collect());
                    }
                    (8, Value::Bytes { start, end }) => node.text = self.string(start, end),
                    _ => {}
                }
            }
        }
        node
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

    /// The first text of a tensor.
    fn string(&mut self, start: u64, end: u64) -> Option<String> {
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            if let (8, Some((start, end))) = (field.number, field.bytes()) {
                return Some(text(&mut self.window, start, end).chars().take(200).collect());
            }
        }
        None
    }
}
