//! A TensorFlow graph as a [`Graph`]: from the outputs of its signatures backwards, functions laid out in line.
//!
//! Long because the walk carries one scope through every kind of body it meets.

use std::collections::HashMap;

use mantlet_vocab::Source;

use super::File;
use super::kinds::kind;
use crate::graph::{Graph, Kind, weight};
use crate::proto::{Field, Fields, Value, text};
use crate::weights::{Dtype, TensorInfo};
use crate::window::Window;

/// Functions within functions.
const MAX_NESTING: u8 = 24;
/// Nodes of one graph or function.
const MAX_BODY: usize = 100_000;
/// Nodes laid out in all.
const MAX_STEPS: usize = 300_000;
/// Nodes read in all: a function is read again for each call.
const MAX_READ: usize = 2_000_000;
const MAX_FUNCTIONS: usize = 20_000;
/// Values that nobody reads; more outputs than a graph may have, so that having them all is seen.
const MAX_ENDS: usize = 2_000;

/// The attributes that matter.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    /// Axes of an input beside the batch that are not of extent one.
    pub(super) axes: Option<u8>,
    /// A slice takes single positions of an axis.
    pub(super) shrinks: bool,
    /// Functions that are called.
    calls: Vec<(String, String)>,
    /// How many numbers a constant has.
    count: Option<u64>,
    /// The largest of a few single floats, without sign.
    largest: Option<f64>,
    /// The numbers of a constant, as floats.
    content: Option<TensorInfo>,
    /// A few whole numbers.
    pub(super) whole: Vec<i64>,
}

struct Node {
    name: String,
    operator: String,
    inputs: Vec<String>,
    attributes: Attributes,
    at: u64,
}

/// A graph, or a function: where its nodes are, and what goes in and comes out.
#[derive(Clone, Default)]
struct Body {
    span: (u64, u64),
    field: u64,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

struct Reader<'a> {
    source: &'a dyn Source,
    window: Window<'a>,
    graph: Graph,
    functions: HashMap<String, Body>,
    sizes: HashMap<u32, u64>,
    shapes: HashMap<u32, Vec<u64>>,
    whole: HashMap<u32, Vec<i64>>,
    /// Numbers of constants that may still be measured.
    budget: u64,
    steps: usize,
    read: usize,
}

/// The graph of a TensorFlow file. Never fails: what is broken is left out (and a defect of the facts).
#[must_use]
pub fn graph(source: &dyn Source, file: File) -> Graph {
    let mut reader = Reader {
        source,
        window: Window::new(source, 0),
        graph: Graph::default(),
        functions: HashMap::new(),
        sizes: HashMap::new(),
        shapes: HashMap::new(),
        whole: HashMap::new(),
        budget: weight::BUDGET,
        steps: 0,
        read: 0,
    };
    let whole = (0, source.len());
    let meta = match file {
        File::SavedModel => reader.inner(whole, 2),
        File::MetaGraph => Some(whole),
        File::Graph | File::KerasMetadata => None,
    };
    let main = match file {
        File::Graph => Some(whole),
        _ => meta.and_then(|meta| reader.inner(meta, 2)),
    };
    let Some(main) = main else { return reader.graph };
    reader.library(main);
    let mut body = Body { span: main, field: 1, ..Body::default() };
    if let Some(meta) = meta {
        body.outputs = reader.signatures(meta);
    }
    let outputs = reader.lay_out(&body, &[], 0);
    for output in outputs {
        reader.graph.output(output);
    }
    reader.graph
}

/// The node a reference names, and which of its values.
fn reference(text: &str) -> (&str, usize) {
    let mut parts = text.trim_start_matches('^').split(':');
    let name = parts.next().unwrap_or_default();
    (name, parts.next_back().and_then(|index| index.parse().ok()).unwrap_or(0))
}

impl Reader<'_> {
    /// The next field; a graph whose fields are broken or too many is cut.
    fn next(&mut self, fields: &mut Fields) -> Option<Field> {
        let field = fields.next(&mut self.window);
        self.graph.cut |= fields.broken.is_some();
        field
    }

    /// Whether a list has room; one that has none cuts the graph.
    fn room(&mut self, count: usize, max: usize) -> bool {
        self.graph.cut |= count >= max;
        count < max
    }

    /// The first field of this number.
    fn inner(&mut self, (start, end): (u64, u64), number: u64) -> Option<(u64, u64)> {
        let mut fields = Fields::new(start, end);
        while let Some(field) = self.next(&mut fields) {
            if field.number == number {
                return field.bytes();
            }
        }
        None
    }

    /// Every field of this number.
    fn all(&mut self, (start, end): (u64, u64), number: u64, max: usize) -> Vec<(u64, u64)> {
        let mut spans = Vec::new();
        let mut fields = Fields::new(start, end);
        while let Some(field) = self.next(&mut fields) {
            if field.number == number && self.room(spans.len(), max) {
                spans.extend(field.bytes());
            }
        }
        spans
    }

    fn text(&mut self, span: Option<(u64, u64)>) -> String {
        span.map(|(start, end)| text(&mut self.window, start, end)).unwrap_or_default()
    }

    /// The outputs of all signatures.
    fn signatures(&mut self, meta: (u64, u64)) -> Vec<String> {
        let mut outputs = Vec::new();
        for entry in self.all(meta, 5, 64) {
            let Some(signature) = self.inner(entry, 2) else { continue };
            for output in self.all(signature, 2, 64) {
                let tensor = self.inner(output, 2).and_then(|info| self.inner(info, 1));
                let name = self.text(tensor);
                if !name.is_empty() && !outputs.contains(&name) {
                    outputs.push(name);
                }
            }
        }
        outputs
    }

    fn library(&mut self, main: (u64, u64)) {
        let Some(library) = self.inner(main, 2) else { return };
        for function in self.all(library, 1, MAX_FUNCTIONS) {
            let Some(signature) = self.inner(function, 1) else { continue };
            let first = self.inner(signature, 1);
            let name = self.text(first);
            let names = |reader: &mut Self, field| -> Vec<String> {
                let arguments = reader.all(signature, field, 4_096);
                arguments
                    .into_iter()
                    .map(|argument| {
                        let name = reader.inner(argument, 1);
                        reader.text(name)
                    })
                    .collect()
            };
            let (inputs, results) = (names(self, 2), names(self, 3));
            let mut returns = HashMap::new();
            for entry in self.all(function, 4, 4_096) {
                let (key, value) = (self.inner(entry, 1), self.inner(entry, 2));
                returns.insert(self.text(key), self.text(value));
            }
            let outputs = results.iter().map(|name| returns.remove(name).unwrap_or_default()).collect();
            self.functions.insert(name, Body { span: function, field: 3, inputs, outputs });
        }
    }

    fn nodes(&mut self, body: &Body) -> Vec<Node> {
        let mut nodes = Vec::new();
        let (start, end) = body.span;
        let mut fields = Fields::new(start, end);
        while let Some(field) = self.next(&mut fields) {
            let Some(span) = field.bytes().filter(|_| field.number == body.field) else { continue };
            self.read += 1;
            if !self.room(nodes.len(), MAX_BODY) || !self.room(self.read, MAX_READ) || self.graph.cut {
                break;
            }
            nodes.push(self.node(span, field.at));
        }
        nodes
    }

    fn node(&mut self, (start, end): (u64, u64), at: u64) -> Node {
        let mut node = Node {
            name: String::new(),
            operator: String::new(),
            inputs: Vec::new(),
            attributes: Attributes::default(),
            at,
        };
        let mut attributes = Vec::new();
        let mut fields = Fields::new(start, end);
        while let Some(field) = self.next(&mut fields) {
            let span = field.bytes();
            match field.number {
                1 => node.name = self.text(span),
                2 => node.operator = self.text(span),
                3 if self.room(node.inputs.len(), 4_096) => node.inputs.push(self.text(span)),
                5 if self.room(attributes.len(), 64) => attributes.extend(span),
                _ => {}
            }
        }
        for entry in attributes {
            let (key, value) = (self.inner(entry, 1), self.inner(entry, 2));
            let (key, Some(value)) = (self.text(key), value) else { continue };
            self.attribute(&key, value, &mut node.attributes);
        }
        node
    }

    fn attribute(&mut self, key: &str, value: (u64, u64), attributes: &mut Attributes) {
        let mut fields = Fields::new(value.0, value.1);
        while let Some(field) = self.next(&mut fields) {
            match (key, field.number, field.value) {
                ("shrink_axis_mask", 3, Value::Number(mask)) => attributes.shrinks = mask != 0,
                ("shape", 7, Value::Bytes { start, end }) => {
                    let extents = self.extents((start, end));
                    let beside = extents.iter().skip(1).filter(|&&extent| extent != 1).count();
                    attributes.axes = Some(if extents.len() == 1 { 1 } else { beside.min(8) as u8 });
                }
                ("value", 8, Value::Bytes { start, end }) => {
                    let shape = self.inner((start, end), 2);
                    let extents = shape.map(|shape| self.extents(shape)).unwrap_or_default();
                    attributes.count = extents.iter().try_fold(1_u64, |all, &extent| all.checked_mul(extent));
                    self.numbers((start, end), extents, attributes);
                }
                // The functions of a choice among several.
                ("branches", 1, Value::Bytes { start, end }) => {
                    for function in self.all((start, end), 9, 64) {
                        let name = self.inner(function, 1);
                        let name = self.text(name);
                        attributes.calls.push((key.to_owned(), name));
                    }
                }
                (_, 10, Value::Bytes { start, end }) if self.room(attributes.calls.len(), 16) => {
                    let name = self.inner((start, end), 1);
                    attributes.calls.push((key.to_owned(), self.text(name)));
                }
                _ => {}
            }
        }
    }

    /// The numbers of a tensor: the largest of a few single floats, a few whole ones, or where many floats are.
    fn numbers(&mut self, tensor: (u64, u64), shape: Vec<u64>, attributes: &mut Attributes) {
        let (mut kind, mut content) = (0, None);
        let mut fields = Fields::new(tensor.0, tensor.1);
        while let Some(field) = self.next(&mut fields) {
            match (field.number, field.value) {
                (1, Value::Number(value)) => kind = value,
                (4 | 5, Value::Bytes { start, end }) => content = Some((start, end)),
                (5, Value::Number(bits)) if kind == 1 => {
                    attributes.largest = Some(f64::from(f32::from_bits(bits as u32)).abs());
                }
                (7 | 10, Value::Number(number)) if attributes.whole.len() < 16 => {
                    attributes.whole.push(number.cast_signed());
                }
                _ => {}
            }
        }
        let Some((start, end)) = content else { return };
        let dtype = match kind {
            1 => Dtype::F32,
            2 => Dtype::F64,
            14 => Dtype::Bf16,
            19 => Dtype::F16,
            3 | 9 if end - start <= 128 => {
                self.window.seek(start);
                let bytes = self.window.take((end - start) as usize).unwrap_or_default();
                attributes.whole = if kind == 3 {
                    bytes.as_chunks::<4>().0.iter().map(|&chunk| i32::from_le_bytes(chunk).into()).collect()
                } else {
                    bytes.as_chunks::<8>().0.iter().map(|&chunk| i64::from_le_bytes(chunk)).collect()
                };
                return;
            }
            _ => return,
        };
        let tensor = TensorInfo { name: String::new(), dtype, shape, start, len: end - start };
        if tensor.dtype == Dtype::F32 && tensor.len <= 256 {
            let mut few = 64;
            attributes.largest = weight::measure(self.source, &tensor, &mut few).map(|weight| weight.largest);
        }
        attributes.content = Some(tensor);
    }

    fn extents(&mut self, shape: (u64, u64)) -> Vec<u64> {
        let mut extents = Vec::new();
        for (start, end) in self.all(shape, 2, 16) {
            let extent = self.next(&mut Fields::new(start, end)).map(|field| field.value);
            extents.push(if let Some(Value::Number(extent)) = extent { extent } else { 0 });
        }
        extents
    }

    /// Adds what the outputs of a body depend on; `given` are the values of its inputs. Gives its outputs.
    fn lay_out(&mut self, body: &Body, given: &[u32], depth: u8) -> Vec<u32> {
        if depth > MAX_NESTING {
            self.graph.cut = true;
            return Vec::new();
        }
        let nodes = self.nodes(body);
        let places: HashMap<&str, usize> =
            nodes.iter().enumerate().map(|(place, node)| (node.name.as_str(), place)).collect();
        let outputs = if body.outputs.is_empty() { ends(&nodes) } else { body.outputs.clone() };
        let mut wanted = vec![false; nodes.len()];
        let mut open: Vec<usize> =
            outputs.iter().filter_map(|output| places.get(reference(output).0).copied()).collect();
        while let Some(place) = open.pop() {
            if !std::mem::replace(&mut wanted[place], true) {
                let reads = nodes[place].inputs.iter().filter(|input| !input.starts_with('^'));
                open.extend(reads.filter_map(|input| places.get(reference(input).0).copied()));
            }
        }
        let mut values: HashMap<&str, Vec<u32>> = HashMap::new();
        for (name, &value) in body.inputs.iter().zip(given) {
            values.insert(name, vec![value]);
        }
        // In the order of what reads what, without recursion: a node waits for those it reads.
        for place in ordered(&nodes, &places, &wanted) {
            self.steps += 1;
            if self.steps > MAX_STEPS || self.graph.cut {
                self.graph.cut = true;
                return Vec::new();
            }
            let made = self.make(&nodes[place], &values, depth);
            values.insert(&nodes[place].name, made);
        }
        outputs
            .iter()
            .map(|output| {
                let (name, index) = reference(output);
                let found = values.get(name).and_then(|made| made.get(index).or_else(|| made.first()));
                found
                    .copied()
                    .unwrap_or_else(|| self.graph.add(Kind::Constant, "absent", "", Vec::new(), body.span.0))
            })
            .collect()
    }

    /// Adds a node: one value for each of its outputs, or one for all of them.
    fn make(&mut self, node: &Node, values: &HashMap<&str, Vec<u32>>, depth: u8) -> Vec<u32> {
        let mut operands = Vec::new();
        for input in node.inputs.iter().filter(|input| !input.starts_with('^')) {
            let (name, index) = reference(input);
            let found = values.get(name).and_then(|made| made.get(index).or_else(|| made.first()));
            // What is not known yet is what a loop of the older kind brings back.
            operands.extend(found.copied());
        }
        let call = |key: &str| {
            node.attributes.calls.iter().find(|(name, _)| name == key).map(|(_, function)| function.clone())
        };
        let at = node.at;
        match node.operator.as_str() {
            "If" | "StatelessIf" => {
                let (yes, no) = (call("then_branch"), call("else_branch"));
                let given = operands.get(1..).unwrap_or_default().to_vec();
                let yes = self.call(yes.as_deref(), &given, depth);
                let no = self.call(no.as_deref(), &given, depth);
                let condition = operands.first().copied();
                yes.iter()
                    .zip(&no)
                    .map(|(&yes, &no)| {
                        let reads = condition.into_iter().chain([yes, no]).collect();
                        self.graph.add(Kind::Branch, &node.operator, &node.name, reads, at)
                    })
                    .collect()
            }
            "Case" | "StatelessCase" => {
                let names: Vec<String> = node
                    .attributes
                    .calls
                    .iter()
                    .filter(|(key, _)| key == "branches")
                    .map(|(_, name)| name.clone())
                    .collect();
                let given = operands.get(1..).unwrap_or_default().to_vec();
                let branches: Vec<Vec<u32>> =
                    names.iter().map(|name| self.call(Some(name), &given, depth)).collect();
                let outputs = branches.iter().map(Vec::len).min().unwrap_or(0);
                (0..outputs)
                    .map(|output| {
                        let results = branches.iter().map(|branch| branch[output]);
                        let reads = operands.first().copied().into_iter().chain(results).collect();
                        self.graph.add(Kind::Branch, &node.operator, &node.name, reads, at)
                    })
                    .collect()
            }
            "Merge" | "RefMerge" => {
                let reads = self.switched(&operands).into_iter().chain(operands.iter().copied()).collect();
                vec![self.graph.add(Kind::Branch, &node.operator, &node.name, reads, at)]
            }
            "While" | "StatelessWhile" => {
                // Whether it turns at all is asked of the values it begins with.
                let asked = self.call(call("cond").as_deref(), &operands, depth).first().copied();
                let turned = self.call(call("body").as_deref(), &operands, depth);
                operands
                    .iter()
                    .enumerate()
                    .map(|(index, &first)| {
                        let turned = turned.get(index).copied();
                        let (kind, reads) = match (asked, turned) {
                            (Some(asked), Some(turned)) => (Kind::Branch, vec![asked, first, turned]),
                            _ => (Kind::Pass, [first].into_iter().chain(turned).collect()),
                        };
                        self.graph.add(kind, &node.operator, &node.name, reads, at)
                    })
                    .collect()
            }
            "PartitionedCall" | "StatefulPartitionedCall" | "RemoteCall" => {
                self.call(call("f").as_deref(), &operands, depth)
            }
            operator if self.functions.contains_key(operator) => {
                let name = operator.to_owned();
                self.call(Some(&name), &operands, depth)
            }
            operator => {
                let sizes: Vec<Option<u64>> =
                    operands.iter().map(|operand| self.sizes.get(operand).copied()).collect();
                let kind = match kind(operator, &node.attributes, &sizes) {
                    Kind::Weighted { .. } => Kind::Weighted { narrow: self.narrow(operator, &operands) },
                    // One position of every axis.
                    Kind::Pass if operator == "Slice" && self.single(operands.get(2)) => Kind::Reshape(0),
                    kind => kind,
                };
                let reads = if kind == Kind::Constant { Vec::new() } else { operands };
                let made = self.graph.add(kind, operator, &node.name, reads, at);
                if let Some(largest) = node.attributes.largest.filter(|_| kind == Kind::Constant) {
                    self.graph.weigh(made, largest);
                }
                if let (Kind::Constant, Some(tensor)) = (kind, &node.attributes.content) {
                    if let Some(weight) = weight::measure(self.source, tensor, &mut self.budget) {
                        self.graph.measured(made, weight);
                    }
                    self.shapes.insert(made, tensor.shape.clone());
                } else if let (Kind::Constant, Some(largest)) = (kind, node.attributes.largest)
                    && let Some(weight) = weight::of_numbers(&[largest], &[])
                {
                    self.graph.measured(made, weight);
                }
                if kind == Kind::Constant && !node.attributes.whole.is_empty() {
                    if let [number] = node.attributes.whole[..] {
                        self.graph.weigh(made, number.unsigned_abs() as f64);
                    }
                    self.whole.insert(made, node.attributes.whole.clone());
                }
                if let Some(count) = node.attributes.count.filter(|_| kind == Kind::Constant) {
                    self.sizes.insert(made, count);
                }
                vec![made]
            }
        }
    }

    /// Whether a constant is all ones: the size of a slice of one position.
    fn single(&self, size: Option<&u32>) -> bool {
        let numbers = size.and_then(|size| self.whole.get(size));
        numbers.is_some_and(|numbers| !numbers.is_empty() && numbers.iter().all(|&number| number == 1))
    }

    /// Whether a layer with these weights gives one or two values.
    fn narrow(&self, operator: &str, operands: &[u32]) -> bool {
        let mut shapes = operands.iter().filter_map(|operand| self.shapes.get(operand));
        shapes.any(|shape| match shape[..] {
            [rows, columns] => rows.min(columns) <= 2,
            [.., last] if shape.len() > 2 => operator.contains("Conv") && last <= 1,
            _ => false,
        })
    }

    /// What decides which of these values is alive: the condition of the nearest switch before them.
    fn switched(&self, values: &[u32]) -> Option<u32> {
        let mut seen: Vec<u32> = values.to_vec();
        let mut next = 0;
        while let Some(&at) = seen.get(next).filter(|_| next < 512) {
            next += 1;
            let node = self.graph.nodes().get(at as usize)?;
            if node.label.0 == "Switch" || node.label.0 == "RefSwitch" {
                return node.inputs.get(1).copied();
            }
            let more: Vec<u32> = node.inputs.iter().copied().filter(|input| !seen.contains(input)).collect();
            seen.extend(more);
        }
        None
    }

    fn call(&mut self, function: Option<&str>, given: &[u32], depth: u8) -> Vec<u32> {
        let body = function.and_then(|name| self.functions.get(name)).cloned();
        match body.filter(|body| !body.outputs.is_empty()) {
            Some(body) => self.lay_out(&body, given, depth + 1),
            None => Vec::new(),
        }
    }
}

/// The places that are wanted, what is read before what reads it.
fn ordered(nodes: &[Node], places: &HashMap<&str, usize>, wanted: &[bool]) -> Vec<usize> {
    let mut order = Vec::new();
    let mut state = vec![0_u8; nodes.len()];
    for start in (0..nodes.len()).filter(|&start| wanted[start]) {
        let mut open = vec![start];
        while let Some(&place) = open.last() {
            if state[place] == 0 {
                state[place] = 1;
                let reads = nodes[place].inputs.iter().filter(|input| !input.starts_with('^'));
                open.extend(
                    reads
                        .filter_map(|input| places.get(reference(input).0).copied())
                        .filter(|&read| state[read] == 0),
                );
            } else {
                open.pop();
                if std::mem::replace(&mut state[place], 2) == 1 {
                    order.push(place);
                }
            }
        }
    }
    order
}

/// The nodes whose values nobody reads.
fn ends(nodes: &[Node]) -> Vec<String> {
    let read: std::collections::HashSet<&str> =
        nodes.iter().flat_map(|node| &node.inputs).map(|input| reference(input).0).collect();
    let silent = ["NoOp", "Const", "Placeholder", "Assert", "SaveV2", "RestoreV2", "AssignVariableOp"];
    let ends = nodes.iter().filter(|node| !read.contains(node.name.as_str()));
    ends.filter(|node| !silent.contains(&node.operator.as_str()))
        .map(|node| node.name.clone())
        .take(MAX_ENDS)
        .collect()
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut len) = (vec![number << 3 | 2], bytes.len());
        while len > 0x7f {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend(bytes);
        out
    }

    fn cut(main: &[u8]) -> bool {
        graph(&MemorySource::new(main), File::Graph).cut
    }

    #[test]
    fn what_is_not_read_of_a_graph_is_said() {
        let node = |name: &str, operator: &str, more: &[u8]| {
            field(1, &[&field(1, name.as_bytes())[..], &field(2, operator.as_bytes()), more].concat())
        };
        let junk = |count: usize| field(5, &field(1, b"junk")).repeat(count);
        assert!(!cut(&node("a", "Relu", &junk(64))));
        assert!(cut(&node("a", "Relu", &junk(65))), "attributes");
        assert!(cut(&node("a", "Relu", &field(3, b"b").repeat(4_097))), "inputs");
        assert!(cut(&[&node("a", "Relu", &[])[..], &[0x0a, 99]].concat()), "broken");
        let functions = field(1, &field(1, &field(1, b"f"))).repeat(MAX_FUNCTIONS + 1);
        assert!(cut(&[node("a", "Relu", &[]), field(2, &functions)].concat()), "functions");
        // A function of nodes that nobody reads, called again and again.
        let signature = field(1, &[field(1, b"f"), field(3, &field(1, b"o"))].concat());
        let nothing = field(3, &[field(1, b"x"), field(2, b"Relu")].concat()).repeat(10_000);
        let returns = field(4, &[field(1, b"o"), field(2, b"x:0")].concat());
        let library = field(2, &field(1, &[signature, nothing, returns].concat()));
        let calls = |count: usize| -> Vec<u8> {
            (0..count)
                .flat_map(|n| {
                    node(
                        &format!("c{n}"),
                        "f",
                        &if n == 0 { vec![] } else { field(3, format!("c{}", n - 1).as_bytes()) },
                    )
                })
                .collect()
        };
        assert!(!cut(&[calls(3), library.clone()].concat()));
        assert!(cut(&[calls(800), library].concat()), "reading again");
    }
}
