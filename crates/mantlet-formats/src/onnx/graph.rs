//! An ONNX model as a [`Graph`]: subgraphs and the model's own functions are laid out in line.
//!
//! Long because the walk carries one scope through every kind of body it meets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mantlet_vocab::Source;

use super::operators::{Attributes, kind};
use super::shapes::{self, Shape};
use crate::graph::{Graph, Kind, Weight, weight};
use crate::proto::{Field, Fields, Value, numbers, text};
use crate::weights::{Dtype, TensorInfo};
use crate::window::Window;

/// Functions within functions, and graphs within graphs.
const MAX_NESTING: u8 = 24;
/// Bytes of names kept for one model.
const MAX_NAMES: usize = 12 << 20;
const MAX_FUNCTIONS: usize = 20_000;
const MAX_STEPS: usize = 400_000;
/// Bytes of the floats of one attribute that are read.
const MAX_FLOATS: u64 = 32 << 10;

/// Files beside a model that its tensors are kept in: how the model calls each, and its bytes.
pub type Beside = [(String, Arc<dyn Source>)];

/// A small constant: its shape, and its first numbers when it is one of integers or single floats.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Small {
    pub(super) dims: Vec<u64>,
    pub(super) values: Vec<f64>,
    /// How large its numbers are, when they are floats.
    pub(super) weight: Option<Weight>,
    /// Its numbers are whole.
    pub(super) whole: bool,
}

impl Small {
    fn of(dims: Vec<u64>, values: Vec<f64>) -> Self {
        let weight = weight::of_numbers(&values, &dims);
        Self { dims, values, weight, whole: false }
    }
}

struct Function {
    inputs: Vec<String>,
    outputs: Vec<String>,
    start: u64,
    end: u64,
}

struct Reader<'a> {
    source: &'a dyn Source,
    window: Window<'a>,
    graph: Graph,
    scopes: Vec<HashMap<String, u32>>,
    /// The scope that names may be looked up to: functions do not see their caller.
    floor: usize,
    small: HashMap<u32, Small>,
    /// The shapes of values, where they can be told.
    shapes: HashMap<u32, Shape>,
    /// The extent of the batch, when it is a number.
    batch: Option<u64>,
    functions: HashMap<(String, String), Function>,
    names: usize,
    /// Nodes visited; functions can call each other again and again.
    steps: usize,
    /// Numbers of constants that may still be measured.
    budget: u64,
    /// Files that tensors are kept in.
    beside: &'a Beside,
}

/// The graph of an ONNX model. Never fails: what is broken is left out (and a defect of the facts).
#[must_use]
pub fn graph(source: &dyn Source) -> Graph {
    graph_with(source, &[])
}

/// The same, with the sizes of the tensors that are kept in files beside the model.
#[must_use]
pub fn graph_with(source: &dyn Source, beside: &Beside) -> Graph {
    read(source, beside).graph
}

/// The names of nodes of [`graph`] as values of the main graph, where they have one.
#[must_use]
pub fn names(source: &dyn Source, nodes: &[u32]) -> BTreeMap<u32, String> {
    let reader = read(source, &[]);
    let mut named = BTreeMap::<u32, String>::new();
    for (name, node) in reader.scopes.first().into_iter().flatten().filter(|(_, node)| nodes.contains(node)) {
        let known = named.entry(*node).or_insert_with(|| name.clone());
        // A node with several outputs has several names: the first by name, so that it is always the same.
        if name < known {
            known.clone_from(name);
        }
    }
    named
}

fn read<'a>(source: &'a dyn Source, beside: &'a Beside) -> Reader<'a> {
    let mut reader = Reader {
        source,
        window: Window::new(source, 0),
        graph: Graph::default(),
        scopes: vec![HashMap::new()],
        floor: 0,
        small: HashMap::new(),
        shapes: HashMap::new(),
        batch: None,
        functions: HashMap::new(),
        names: 0,
        steps: 0,
        budget: weight::BUDGET,
        beside,
    };
    let mut main = None;
    let mut fields = Fields::new(0, source.len());
    while let Some(field) = fields.next(&mut reader.window) {
        match (field.number, field.bytes()) {
            (7, Some(span)) => main = Some(span),
            (25, Some((start, end))) => reader.function(start, end),
            _ => {}
        }
    }
    if let Some((start, end)) = main {
        let outputs = reader.lay_out(start, end, &[], true, 0);
        for output in outputs {
            reader.graph.output(output);
        }
    }
    // Fields are read again at every call of a function, until there were more than any model has.
    reader.graph.cut |= reader.window.fields == 0;
    reader
}

/// What an operator makes of single constants.
fn fold(operator: &str, operands: &[Option<&Small>]) -> Option<Small> {
    let single = |small: &Option<&Small>| small.filter(|small| small.values.len() == 1).cloned();
    let operands: Vec<Small> = operands.iter().map(single).collect::<Option<_>>()?;
    let (first, second) = (operands.first()?, operands.get(1));
    let pair = second.map(|second| (first.values[0], second.values[0]));
    let value = match (operator, pair) {
        ("Add", Some((a, b))) => a + b,
        ("Sub", Some((a, b))) => a - b,
        ("Mul", Some((a, b))) => a * b,
        ("Cast" | "Identity", None) => first.values[0],
        _ => return None,
    };
    let dims = second
        .filter(|second| second.dims.len() > first.dims.len())
        .map_or(&first.dims, |second| &second.dims);
    Some(Small::of(dims.clone(), vec![value]))
}

impl Reader<'_> {
    fn text(&mut self, field: &Field) -> String {
        let (start, end) = field.bytes().unwrap_or_default();
        text(&mut self.window, start, end)
    }

    fn function(&mut self, start: u64, end: u64) {
        let mut function = Function { inputs: Vec::new(), outputs: Vec::new(), start, end };
        let (mut name, mut domain) = (String::new(), String::new());
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            match field.number {
                1 => name = self.text(&field),
                4 if function.inputs.len() < 256 => function.inputs.push(self.text(&field)),
                5 if function.outputs.len() < 256 => function.outputs.push(self.text(&field)),
                10 => domain = self.text(&field),
                4 | 5 => self.graph.cut = true,
                _ => {}
            }
        }
        self.names += name.len() + domain.len() + 256;
        if self.functions.len() < MAX_FUNCTIONS && self.names < MAX_NAMES {
            self.functions.insert((domain, name), function);
        } else {
            self.graph.cut = true;
        }
    }

    fn find(&self, name: &str) -> Option<u32> {
        self.scopes[self.floor..].iter().rev().find_map(|scope| scope.get(name).copied())
    }

    /// The value of a name; one that is not known yet is a node that will be connected.
    fn value(&mut self, name: &str, at: u64) -> u32 {
        if let Some(node) = self.find(name) {
            return node;
        }
        let node = self.graph.add(Kind::Pass, "value", name, Vec::new(), at);
        let floor = self.floor;
        self.name(floor, name, node);
        node
    }

    fn name(&mut self, scope: usize, name: &str, node: u32) {
        self.names += name.len() + 48;
        if self.names > MAX_NAMES {
            self.graph.cut = true;
        } else if let Some(scope) = self.scopes.get_mut(scope) {
            scope.insert(name.to_owned(), node);
        }
    }

    fn define(&mut self, name: &str, node: u32) {
        let top = self.scopes.len() - 1;
        let waiting = self.scopes[top].get(name).or_else(|| self.scopes[self.floor].get(name)).copied();
        if let Some(waiting) = waiting {
            let open = self.graph.nodes().get(waiting as usize).is_some_and(|known| {
                known.kind == Kind::Pass && known.inputs.is_empty() && known.label.0 == "value"
            });
            if open && waiting != node {
                self.graph.connect(waiting, node);
            }
        }
        self.name(top, name, node);
    }

    /// Adds a graph's nodes; `given` are the values its inputs stand for. Gives its outputs.
    fn lay_out(&mut self, start: u64, end: u64, given: &[u32], main: bool, depth: u8) -> Vec<u32> {
        if depth > MAX_NESTING || self.graph.cut {
            self.graph.cut = true;
            return Vec::new();
        }
        if !main {
            self.scopes.push(HashMap::new());
        }
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        // Constants and inputs first: nodes refer to them, but they follow in the file.
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            let Some((start, end)) = field.bytes() else { continue };
            match field.number {
                5 => {
                    let (name, small) = self.tensor(start, end);
                    self.constant(&name, small, field.at);
                }
                11 => inputs.push((start, end, field.at)),
                12 if outputs.len() < 1_024 => outputs.push(self.value_info(start, end).0),
                12 => self.graph.cut = true,
                15 => {
                    let mut inner = Fields::new(start, end);
                    while let Some(part) = inner.next(&mut self.window) {
                        if let (1, Some((start, end))) = (part.number, part.bytes()) {
                            let (name, mut small) = self.tensor(start, end);
                            small.values.clear();
                            small.dims.clear();
                            self.constant(&name, small, field.at);
                        }
                    }
                }
                _ => {}
            }
            if self.graph.cut {
                break;
            }
        }
        for (index, (start, end, at)) in inputs.into_iter().enumerate() {
            let (name, axes, shape) = self.value_info(start, end);
            let known = self.scopes.last().is_some_and(|scope| scope.contains_key(&name));
            if main && !known {
                let node = self.graph.add(Kind::Input { axes }, "input", &name, Vec::new(), at);
                if self.batch.is_none() && shape.len() > 1 {
                    self.batch = shape.first().copied().flatten();
                }
                self.shapes.insert(node, shape);
                self.define(&name, node);
            } else if let (false, Some(&node)) = (main, given.get(index)) {
                self.define(&name, node);
            }
        }
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            if let (1, Some((start, end))) = (field.number, field.bytes()) {
                self.node(start, end, field.at, depth);
            }
            if self.graph.cut {
                break;
            }
        }
        let outputs = outputs.iter().filter_map(|name| self.find(name)).collect();
        if !main {
            self.scopes.pop();
        }
        outputs
    }

    fn weigh(&mut self, node: u32, small: &Small) {
        if let Some(largest) = small.values.iter().map(|value| value.abs()).reduce(f64::max) {
            self.graph.weigh(node, largest);
        }
        if let Some(weight) = small.weight {
            self.graph.measured(node, weight);
        }
    }

    fn constant(&mut self, name: &str, small: Small, at: u64) {
        let node = self.graph.add(Kind::Constant, "constant", name, Vec::new(), at);
        self.weigh(node, &small);
        self.small.insert(node, small);
        self.define(name, node);
    }

    fn node(&mut self, start: u64, end: u64, at: u64, depth: u8) {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            self.graph.cut = true;
            return;
        }
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let (mut operator, mut domain, mut name) = (String::new(), String::new(), String::new());
        let mut attributes = Attributes::default();
        let mut graphs = Vec::new();
        let mut constant = None;
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            match field.number {
                1 if inputs.len() < 4_096 => inputs.push(self.text(&field)),
                2 if outputs.len() < 4_096 => outputs.push(self.text(&field)),
                1 | 2 => self.graph.cut = true,
                3 => name = self.text(&field),
                4 => operator = self.text(&field),
                5 => {
                    if let Some((start, end)) = field.bytes() {
                        let tensor = self.attribute(start, end, &mut attributes, &mut graphs);
                        constant = constant.or(tensor);
                    }
                }
                7 => domain = self.text(&field),
                _ => {}
            }
        }
        // An absent optional operand keeps its place.
        let operands: Vec<u32> = inputs
            .iter()
            .map(|input| {
                if input.is_empty() {
                    self.graph.add(Kind::Constant, "absent", "", Vec::new(), at)
                } else {
                    self.value(input, at)
                }
            })
            .collect();
        attributes.operands = inputs.iter().filter(|input| !input.is_empty()).count();
        let key = (domain, operator);
        if self.functions.contains_key(&key) {
            self.call(&key, &operands, &outputs, at, depth);
            return;
        }
        let (domain, operator) = key;
        let small: Vec<Option<&Small>> = operands.iter().map(|operand| self.small.get(operand)).collect();
        let folded = if domain.is_empty() { fold(&operator, &small) } else { None };
        let kind = match folded {
            Some(_) => Kind::Constant,
            None => kind(&domain, &operator, &attributes, &small),
        };
        let constant = folded.or(constant);
        let shape = self.shape(&operator, &attributes, &operands);
        let kind = match (kind, &shape) {
            (Kind::Weighted { narrow }, Some(shape)) => {
                let beside = shape.iter().skip(1).try_fold(1_u64, |all, &extent| all.checked_mul(extent?));
                Kind::Weighted { narrow: narrow || beside.is_some_and(|values| values <= 2) }
            }
            (kind, _) => kind,
        };
        let mut reads = operands;
        let bias = reads.get(2).copied().filter(|bias| {
            matches!(operator.as_str(), "Gemm" | "Conv" | "FusedConv" | "FusedGemm")
                && !self.graph.is_constant(*bias)
        });
        if bias.is_some() {
            reads.truncate(2);
        }
        let mut states = Vec::new();
        for (start, end) in graphs {
            let given = match operator.as_str() {
                "Loop" => self.loop_inputs(&reads, at),
                "Scan" => self.scanned(&attributes, &reads, at),
                _ => Vec::new(),
            };
            let results = self.lay_out(start, end, &given, false, depth + 1);
            if operator == "Scan" {
                states = self.states(&attributes, &reads, &results, at);
            }
            reads.extend(results);
        }
        let reads = self.apart(&operator, kind, reads, at);
        let mut reads = self.own(&operator, &attributes, reads, at);
        // A loop whose first condition is computed runs or does not, as a branch does.
        let kind = match operator.as_str() {
            "Loop" if reads.len() > 2 => {
                // The number of rounds decides as the condition does.
                let counts = !self.graph.is_constant(reads[0]);
                let asks = !self.graph.is_constant(reads[1]);
                if counts && asks {
                    reads[1] = self.graph.add(Kind::Combine, &operator, &name, vec![reads[0], reads[1]], at);
                    reads.remove(0);
                } else {
                    reads.remove(usize::from(counts));
                }
                Kind::Branch
            }
            _ => kind,
        };
        let node = self.graph.add(kind, &operator, &name, reads, at);
        // A bias that is computed is added as any other value.
        let layer = node;
        let node = match bias {
            Some(bias) => self.graph.add(Kind::Combine, &operator, &name, vec![node, bias], at),
            None => node,
        };
        if let Some(shape) = shape {
            if let Some(axes) = shapes::axes(&shape, self.batch) {
                self.graph.shaped(layer, axes);
                self.graph.shaped(node, axes);
            }
            self.shapes.insert(node, shape);
        }
        if let (Kind::Learned, Some(leaves)) = (kind, weight::of_numbers(&attributes.leaves, &[])) {
            self.graph.measured(layer, leaves);
        }
        if kind == Kind::Constant {
            let small = constant.unwrap_or_default();
            self.weigh(node, &small);
            self.small.insert(node, small);
        }
        for (index, output) in outputs.iter().enumerate().filter(|(_, output)| !output.is_empty()) {
            self.define(output, states.get(index).copied().unwrap_or(node));
        }
    }

    /// Operands beside the first that are computed where they are usually constant: the bounds of a clip choose the larger
    /// or smaller of two values, the scale and the bias of a normalisation are multiplied and added.
    fn apart(&mut self, operator: &str, kind: Kind, mut reads: Vec<u32>, at: u64) -> Vec<u32> {
        let lower = operator.to_ascii_lowercase();
        if operator != "Clip" && !lower.contains("normalization") && operator != "PRelu"
            || kind == Kind::Constant
        {
            return reads;
        }
        let computed: Vec<(usize, u32)> = (1..)
            .zip(reads.iter().skip(1).copied())
            .filter(|(_, read)| !self.graph.is_constant(*read))
            .collect();
        for &(index, read) in &computed {
            let scales = operator == "PRelu" || operator != "Clip" && index == 1;
            let how = if scales { Kind::Scale } else { Kind::Combine };
            reads[0] = self.graph.add(how, operator, "", vec![reads[0], read], at);
        }
        if !computed.is_empty() {
            reads.truncate(1);
        }
        reads
    }

    /// Factors that an operator holds itself, as operands.
    fn own(&mut self, operator: &str, attributes: &Attributes, mut reads: Vec<u32>, at: u64) -> Vec<u32> {
        if operator == "Scaler" && !attributes.scale.is_empty() {
            let factor = self.graph.add(Kind::Constant, "scale", "", Vec::new(), at);
            let small = Small::of(vec![attributes.scale.len() as u64], attributes.scale.clone());
            self.weigh(factor, &small);
            self.small.insert(factor, small);
            reads.push(factor);
        }
        reads
    }

    /// What a scan is given: its states, and one position after another of what it goes over.
    fn scanned(&mut self, attributes: &Attributes, reads: &[u32], at: u64) -> Vec<u32> {
        let over = attributes.scanned.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        let states = reads.len().saturating_sub(over);
        let picked = |(index, &read): (usize, &u32)| {
            if index < states { read } else { self.graph.add(Kind::Pick(1), "Scan", "", vec![read], at) }
        };
        reads.iter().enumerate().map(picked).collect()
    }

    /// The states that a scan leaves: each is what its graph made of it, or what it was.
    fn states(&mut self, attributes: &Attributes, reads: &[u32], results: &[u32], at: u64) -> Vec<u32> {
        let over = attributes.scanned.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        let first = reads.iter().take(reads.len().saturating_sub(over));
        first
            .zip(results)
            .map(|(&before, &after)| self.graph.add(Kind::Pass, "Scan", "", vec![after, before], at))
            .collect()
    }

    /// The shape of what an operator gives, kept for those that read it.
    fn shape(&mut self, operator: &str, attributes: &Attributes, operands: &[u32]) -> Option<Shape> {
        let of = |operand: &u32| {
            let constant = self.small.get(operand).filter(|_| self.graph.is_constant(*operand));
            let dims = constant.map(|small| small.dims.iter().map(|&extent| Some(extent)).collect());
            self.shapes.get(operand).cloned().or(dims)
        };
        let known: Vec<Option<Shape>> = operands.iter().take(8).map(of).collect();
        let small: Vec<Option<&Small>> =
            operands.iter().take(8).map(|operand| self.small.get(operand)).collect();
        shapes::of(operator, attributes, &known, &small).filter(|shape| shape.len() <= shapes::MAX_RANK)
    }

    /// The iteration number and the condition, then what is carried along.
    fn loop_inputs(&mut self, reads: &[u32], at: u64) -> Vec<u32> {
        let counter = self.graph.add(Kind::Constant, "iteration", "", Vec::new(), at);
        // What it stands for does not matter, that it is a single number does.
        self.small.insert(counter, Small::of(Vec::new(), vec![0.0]));
        let mut given = vec![counter, counter];
        given.extend(reads.iter().skip(2));
        given
    }

    fn call(&mut self, key: &(String, String), operands: &[u32], outputs: &[String], at: u64, depth: u8) {
        let Some(function) = self.functions.get(key) else { return };
        let (start, end) = (function.start, function.end);
        let (formal, results) = (function.inputs.clone(), function.outputs.clone());
        let floor = self.floor;
        self.floor = self.scopes.len();
        self.scopes.push(HashMap::new());
        for (name, &operand) in formal.iter().zip(operands) {
            self.define(name, operand);
        }
        if depth < MAX_NESTING {
            let mut fields = Fields::new(start, end);
            while let Some(field) = fields.next(&mut self.window) {
                if let (7, Some((start, end))) = (field.number, field.bytes()) {
                    self.node(start, end, at, depth + 1);
                }
                if self.graph.cut {
                    break;
                }
            }
        } else {
            self.graph.cut = true;
        }
        let found: Vec<Option<u32>> = results.iter().map(|name| self.find(name)).collect();
        self.scopes.pop();
        self.floor = floor;
        for (name, node) in outputs.iter().zip(found) {
            if let (false, Some(node)) = (name.is_empty(), node) {
                self.define(name, node);
            }
        }
    }

    /// Reads one attribute; gives the tensor of a constant.
    fn attribute(
        &mut self,
        start: u64,
        end: u64,
        attributes: &mut Attributes,
        graphs: &mut Vec<(u64, u64)>,
    ) -> Option<Small> {
        let mut name = String::new();
        let (mut integers, mut float, mut small, mut letters) = (Vec::new(), None, None, String::new());
        let mut floats = Vec::new();
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            match (field.number, field.value) {
                (1, _) => name = self.text(&field),
                (2, Value::Number(bits)) => float = Some(f64::from(f32::from_bits(bits as u32))),
                (3, Value::Number(value)) => integers.push(value),
                (5, Value::Bytes { start, end }) => small = Some(self.tensor(start, end).1),
                (7, Value::Number(bits)) if floats.len() < 4_096 => {
                    floats.push(f64::from(f32::from_bits(bits as u32)));
                }
                (7, Value::Bytes { start, end }) => floats = self.raw(start, end.min(start + MAX_FLOATS), 1),
                (6 | 11, Value::Bytes { start, end }) if graphs.len() < 64 => graphs.push((start, end)),
                (6 | 11, _) => self.graph.cut = true,
                (8, value) => numbers(&mut self.window, value, &mut integers, 64),
                (4, Value::Bytes { start, end }) if end - start <= 256 => letters = self.text(&field),
                _ => {}
            }
        }
        let signed: Vec<i64> = integers.iter().map(|&value| value.cast_signed()).collect();
        match name.as_str() {
            "axes" => attributes.axes = Some(signed),
            "axis" => attributes.axis = signed.first().copied(),
            "min" => attributes.min = float.is_some(),
            "max" => attributes.max = float.is_some(),
            "starts" => attributes.starts = signed,
            "ends" => attributes.ends = signed,
            "shape" => attributes.shape = Some(signed.len()),
            "perm" => attributes.perm = Some(signed),
            "kernel_shape" => attributes.kernel = signed,
            "strides" => attributes.strides = signed,
            "pads" => attributes.pads = signed,
            "dilations" => attributes.dilations = signed,
            "keepdims" => attributes.drops = signed.first() == Some(&0),
            "transA" => attributes.turned.0 = signed.first() == Some(&1),
            "transB" => attributes.turned.1 = signed.first() == Some(&1),
            "split" => attributes.split = signed,
            "n_targets" => attributes.targets = signed.first().copied(),
            "num_scan_inputs" => attributes.scanned = signed.first().copied(),
            "equation" => attributes.equation = letters,
            "auto_pad" => attributes.same = letters.starts_with("SAME"),
            // What trees say at their leaves.
            "scale" => attributes.scale = floats,
            "to" => attributes.to = signed.first().copied(),
            "target_weights" | "class_weights" | "leaf_weights" | "coefficients" => {
                attributes.leaves = match small.take() {
                    Some(Small { weight: Some(weight), .. }) => {
                        vec![weight.typical, weight.typical, weight.largest]
                    }
                    _ => floats,
                };
            }
            "value_floats" => small = Some(Small::of(vec![floats.len() as u64], floats)),
            "value_int" => {
                small = Some(Small::of(vec![], signed.iter().map(|&v| v as f64).collect()));
            }
            "value_ints" => {
                let dims = vec![signed.len() as u64];
                small = Some(Small::of(dims, signed.iter().map(|&v| v as f64).collect()));
            }
            "value_float" => small = Some(Small::of(vec![], float.into_iter().collect())),
            _ => {}
        }
        small
    }

    /// Name, shape and, if there are few, the values of a tensor.
    fn tensor(&mut self, start: u64, end: u64) -> (String, Small) {
        let (mut name, mut kind, mut raw) = (String::new(), 0, None);
        let (mut dims, mut integers, mut floats) = (Vec::new(), Vec::new(), Vec::new());
        let mut stored = None;
        let (mut location, mut from, mut length) = (String::new(), 0_u64, None::<u64>);
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            if let (4 | 9 | 10, Value::Bytes { start, end }) = (field.number, field.value) {
                stored = Some((start, end));
            }
            match (field.number, field.value) {
                (1, value) => numbers(&mut self.window, value, &mut dims, 16),
                (2, Value::Number(value)) => kind = value,
                (4, Value::Bytes { start, end }) if end - start <= 64 => floats = self.raw(start, end, 1),
                (5 | 7, value) => numbers(&mut self.window, value, &mut integers, 16),
                (8, _) => name = self.text(&field),
                (13, Value::Bytes { start, end }) if !self.beside.is_empty() => {
                    let (key, value) = self.entry(start, end);
                    match key.as_str() {
                        "location" => location = value,
                        "offset" => from = value.parse().unwrap_or(0),
                        "length" => length = value.parse().ok(),
                        _ => {}
                    }
                }
                (9, Value::Bytes { start, end }) if end - start <= 128 => raw = Some((start, end)),
                _ => {}
            }
        }
        let mut values: Vec<f64> = integers.iter().map(|&value| value.cast_signed() as f64).collect();
        values.extend(floats);
        if let Some((start, end)) = raw {
            values = self.raw(start, end, kind);
        }
        let dtype = match kind {
            1 => Some(Dtype::F32),
            10 => Some(Dtype::F16),
            11 => Some(Dtype::F64),
            16 => Some(Dtype::Bf16),
            _ => None,
        };
        let files = self.beside;
        let outside = files.iter().find(|(known, _)| *known == location && !location.is_empty());
        let weight = match (dtype, stored, outside) {
            (Some(dtype), Some((start, end)), _) => {
                let shape = dims.clone();
                let tensor = TensorInfo { name: String::new(), dtype, shape, start, len: end - start };
                weight::measure(self.source, &tensor, &mut self.budget)
            }
            (Some(dtype), None, Some((_, file))) => {
                let len = length.unwrap_or_else(|| file.len().saturating_sub(from));
                let tensor = TensorInfo { name: String::new(), dtype, shape: dims.clone(), start: from, len };
                weight::measure(file, &tensor, &mut self.budget)
            }
            _ => None,
        };
        let weight = weight.or_else(|| weight::of_numbers(&values, &dims));
        (name, Small { dims, values, weight, whole: matches!(kind, 2..=7 | 9 | 12 | 13) })
    }

    /// The key and the value of an entry of a list of texts.
    fn entry(&mut self, start: u64, end: u64) -> (String, String) {
        let (mut key, mut value) = (String::new(), String::new());
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            match field.number {
                1 => key = self.text(&field),
                2 => value = self.text(&field),
                _ => {}
            }
        }
        (key, value)
    }

    fn raw(&mut self, start: u64, end: u64, kind: u64) -> Vec<f64> {
        self.window.seek(start);
        let bytes = self.window.take((end - start) as usize).unwrap_or_default();
        match kind {
            1 => bytes.as_chunks::<4>().0.iter().map(|&chunk| f64::from(f32::from_le_bytes(chunk))).collect(),
            6 => bytes.as_chunks::<4>().0.iter().map(|&chunk| f64::from(i32::from_le_bytes(chunk))).collect(),
            7 => bytes.as_chunks::<8>().0.iter().map(|&chunk| i64::from_le_bytes(chunk) as f64).collect(),
            _ => Vec::new(),
        }
    }

    /// Name, axes beside the batch that are not of extent one, and the extents.
    fn value_info(&mut self, start: u64, end: u64) -> (String, u8, Shape) {
        let mut name = String::new();
        let mut extents = None;
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            match (field.number, field.bytes()) {
                (1, Some(_)) => name = self.text(&field),
                (2, Some((start, end))) => {
                    // TypeProto.tensor_type, its shape, the dimensions.
                    let dims = self.inner(start, end, 1).and_then(|(s, e)| self.inner(s, e, 2));
                    if let Some((start, end)) = dims {
                        extents = Some(self.extents(start, end));
                    }
                }
                _ => {}
            }
        }
        let axes = extents.as_deref().map(|extents| {
            let beside = extents.iter().skip(1).filter(|extent| **extent != Some(1)).count();
            // A vector without a batch axis has an axis of its own.
            if extents.len() == 1 { 1 } else { beside.min(8) as u8 }
        });
        (name, axes.unwrap_or(3), extents.unwrap_or_default())
    }

    fn inner(&mut self, start: u64, end: u64, number: u64) -> Option<(u64, u64)> {
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            if field.number == number && field.bytes().is_some() {
                return field.bytes();
            }
        }
        None
    }

    fn extents(&mut self, start: u64, end: u64) -> Shape {
        let mut shape = Shape::new();
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            let Some((start, end)) = field.bytes() else { continue };
            let mut inner = Fields::new(start, end);
            let extent = match inner.next(&mut self.window).map(|extent| (extent.number, extent.value)) {
                Some((1, Value::Number(extent))) => Some(extent),
                _ => None,
            };
            if shape.len() < shapes::MAX_RANK {
                shape.push(extent);
            }
        }
        shape
    }
}
