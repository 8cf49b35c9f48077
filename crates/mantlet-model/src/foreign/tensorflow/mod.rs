//! TensorFlow graphs as the graph that the interpreter runs: functions in line, variables by what restores them.
//!
//! Long because nodes, functions and variables are resolved in one walk.

mod branches;
mod bundle;
mod ops;
mod tensor;

use std::collections::HashMap;
use std::rc::Rc;

use mantlet_formats::onnx::schema::{DataType, ModelProto};
use mantlet_formats::tensorflow::File;
use prost::bytes::Bytes;

use self::bundle::Bundle;
use super::invalid;
use super::numbers::Numbers;
use super::sketch::{Sketch, Val};
use super::wire::{Fields, Value, all, inner, number, text};
use crate::{ExternalData, Limits, ModelError};

/// Functions within functions.
const MAX_NESTING: u8 = 24;
/// Nodes that are read, of all bodies; a function is walked again for each call.
const MAX_NODES: usize = 200_000;
const MAX_STEPS: usize = 400_000;

/// A node as it is written. Attributes are read when they are asked for.
#[derive(Debug, Clone)]
struct Node {
    name: String,
    operator: String,
    inputs: Vec<String>,
    attributes: HashMap<String, Bytes>,
}

/// A graph or a function.
#[derive(Debug, Default)]
struct Body {
    nodes: HashMap<String, Rc<Node>>,
    /// Names in the order of the file.
    order: Vec<String>,
    inputs: Vec<String>,
    /// What comes out, as references to nodes.
    outputs: Vec<String>,
}

/// What a node gives: values, or a variable by the name of its handle, or nothing that flows.
#[derive(Debug, Clone)]
enum Given {
    Val(Val),
    /// The name of a variable's handle in the main graph.
    Handle(String),
}

struct Reader {
    sketch: Sketch,
    functions: HashMap<String, Rc<Body>>,
    /// The keys under which variables are stored, by their handles.
    keys: HashMap<String, String>,
    bundle: Option<Bundle>,
    steps: usize,
    calls: usize,
}

/// The node a reference names, and which of its values: by number, and by name within functions.
fn reference(text: &str) -> (&str, usize) {
    let mut parts = text.trim_start_matches('^').split(':');
    let name = parts.next().unwrap_or_default();
    let last = parts.clone().next_back().and_then(|last| last.parse().ok()).unwrap_or(0);
    // Of the operators that are known one has several values with names of their own.
    let base = usize::from(parts.next() == Some("indices"));
    (name, base.saturating_add(last))
}

fn flows(inputs: &[String]) -> impl Iterator<Item = &String> {
    inputs.iter().filter(|input| !input.starts_with('^'))
}

/// The model as ONNX has it.
pub(super) fn model(
    bytes: Bytes,
    file: File,
    beside: Option<&dyn ExternalData>,
    limits: Limits,
) -> Result<ModelProto, ModelError> {
    let none = || invalid("the file", "it has no graph");
    let meta = match file {
        File::SavedModel => Some(inner(&bytes, 2).ok_or_else(none)?),
        File::MetaGraph => Some(bytes.clone()),
        File::Graph => None,
        File::KerasMetadata => return Err(none()),
    };
    let main = match &meta {
        Some(meta) => inner(meta, 2).ok_or_else(none)?,
        None => bytes,
    };
    let mut read = 0;
    let mut body = body(&main, 1, &mut read)?;
    let mut reader = Reader {
        sketch: Sketch::new(limits),
        functions: HashMap::new(),
        keys: HashMap::new(),
        bundle: beside.map(|beside| Bundle::open(beside, &limits)).transpose()?.flatten(),
        steps: 0,
        calls: 0,
    };
    if let Some(library) = inner(&main, 2) {
        for function in all(&library, 1) {
            let (name, body) = self::function(&function, &mut read)?;
            reader.functions.insert(name, Rc::new(body));
        }
    }
    let signature = meta.as_ref().and_then(signature);
    body.outputs = match signature {
        Some(outputs) => outputs,
        None => ends(&body),
    };
    if body.outputs.is_empty() {
        return Err(invalid("the graph", "it gives nothing"));
    }
    reader.restored(&body);
    let outputs = reader.lay_out(&body, &[], "", 0)?;
    for (name, output) in body.outputs.iter().zip(outputs) {
        match output {
            Given::Val(value) => reader.sketch.output(reference(name).0, &value),
            Given::Handle(_) => return Err(invalid(format!("output `{name}`"), "it is no tensor")),
        }
    }
    reader.sketch.into_model()
}

/// The outputs of the signature that servers ask first.
fn signature(meta: &Bytes) -> Option<Vec<String>> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for entry in all(meta, 5).take(64) {
        let name = text(inner(&entry, 1));
        let Some(signature) = inner(&entry, 2) else { continue };
        let outputs = all(&signature, 2).take(64);
        let mut outputs: Vec<String> = outputs
            .filter_map(|output| inner(&inner(&output, 2)?, 1))
            .map(|name| text(Some(name)))
            .filter(|name| !name.is_empty())
            .collect();
        outputs.sort();
        if !outputs.is_empty() && !name.starts_with("__") {
            found.push((name, outputs));
        }
    }
    found.sort();
    let usual = found.iter().position(|(name, _)| name == "serving_default").unwrap_or(0);
    found.into_iter().nth(usual).map(|(_, outputs)| outputs)
}

fn node(message: &Bytes) -> Result<Node, ModelError> {
    let mut node =
        Node { name: String::new(), operator: String::new(), inputs: Vec::new(), attributes: HashMap::new() };
    let mut fields = Fields::new(message.clone());
    for (number, value) in fields.by_ref() {
        match (number, value) {
            (1, Value::Bytes(bytes)) => node.name = text(Some(bytes)),
            (2, Value::Bytes(bytes)) => node.operator = text(Some(bytes)),
            (3, Value::Bytes(bytes)) if node.inputs.len() < 4_096 => node.inputs.push(text(Some(bytes))),
            (5, Value::Bytes(bytes)) if node.attributes.len() < 64 => {
                node.attributes.insert(text(inner(&bytes, 1)), inner(&bytes, 2).unwrap_or_default());
            }
            (3 | 5, _) => return Err(invalid(format!("node `{}`", node.name), "it has too many parts")),
            _ => {}
        }
    }
    if fields.broken {
        return Err(invalid(format!("node `{}`", node.name), "a field is cut"));
    }
    Ok(node)
}

/// The nodes in fields of this number.
fn body(message: &Bytes, field: u64, read: &mut usize) -> Result<Body, ModelError> {
    let mut body = Body::default();
    for bytes in all(message, field) {
        *read += 1;
        if *read > MAX_NODES {
            return Err(invalid("the graph", format!("more than {MAX_NODES} nodes")));
        }
        let node = node(&bytes)?;
        body.order.push(node.name.clone());
        if let Some(twice) = body.nodes.insert(node.name.clone(), Rc::new(node)) {
            return Err(invalid(format!("node `{}`", twice.name), "its name is used twice"));
        }
    }
    Ok(body)
}

fn function(message: &Bytes, read: &mut usize) -> Result<(String, Body), ModelError> {
    let signature = inner(message, 1).unwrap_or_default();
    let name = text(inner(&signature, 1));
    let mut body = body(message, 3, read)?;
    let names = |field| all(&signature, field).take(4_096).map(|argument| text(inner(&argument, 1)));
    body.inputs = names(2).collect();
    let returns: HashMap<String, String> =
        all(message, 4).map(|entry| (text(inner(&entry, 1)), text(inner(&entry, 2)))).collect();
    body.outputs = names(3).map(|name| returns.get(&name).cloned().unwrap_or_default()).collect();
    Ok((name, body))
}

/// The nodes whose values nobody reads.
fn ends(body: &Body) -> Vec<String> {
    let read: std::collections::HashSet<&str> =
        body.nodes.values().flat_map(|node| &node.inputs).map(|input| reference(input).0).collect();
    let silent = ["NoOp", "Const", "Placeholder", "Assert", "SaveV2", "RestoreV2", "AssignVariableOp"];
    let ends = body.order.iter().filter(|name| !read.contains(name.as_str()));
    ends.filter(|name| !silent.contains(&body.nodes[*name].operator.as_str())).take(64).cloned().collect()
}

impl Reader {
    /// Notes under which key each variable is stored: what is assigned to a handle comes from one restored tensor.
    fn restored(&mut self, main: &Body) {
        self.assigned(main, &HashMap::new());
        for node in main.nodes.values() {
            let Some(function) = called(node, "f").and_then(|name| self.functions.get(&name)).cloned() else {
                continue;
            };
            let handles: HashMap<String, String> = function
                .inputs
                .iter()
                .zip(flows(&node.inputs))
                .filter_map(|(argument, given)| {
                    let handle = main.nodes.get(reference(given).0)?;
                    (handle.operator == "VarHandleOp").then(|| (argument.clone(), handle.name.clone()))
                })
                .collect();
            if !handles.is_empty() {
                self.assigned(&function, &handles);
            }
        }
    }

    fn assigned(&mut self, body: &Body, handles: &HashMap<String, String>) {
        for name in &body.order {
            let node = &body.nodes[name];
            let [handle, value, ..] = &node.inputs[..] else { continue };
            if !matches!(node.operator.as_str(), "AssignVariableOp") {
                continue;
            }
            let handle = reference(handle).0;
            let own = || body.nodes.get(handle).filter(|node| node.operator == "VarHandleOp").map(|_| handle);
            let Some(handle) = handles.get(handle).map(String::as_str).or_else(own) else { continue };
            // Past what passes the restored tensor on.
            let mut value = value.as_str();
            for _ in 0..8 {
                let (from, index) = reference(value);
                let Some(node) = body.nodes.get(from) else { break };
                match (node.operator.as_str(), node.inputs.first()) {
                    ("Identity", Some(next)) => value = next,
                    ("RestoreV2", _) => {
                        let names = node.inputs.get(1).and_then(|names| body.nodes.get(reference(names).0));
                        let names = names.and_then(|names| names.attributes.get("value"));
                        let tensor = names.and_then(|value| inner(value, 8));
                        if let Some(key) = tensor.and_then(|tensor| all(&tensor, 8).nth(index)) {
                            self.keys.insert(handle.to_owned(), text(Some(key)));
                        }
                        break;
                    }
                    _ => break,
                }
            }
        }
    }

    /// Lays out what the outputs of a body depend on; `given` are the values of its inputs.
    fn lay_out(
        &mut self,
        body: &Body,
        given: &[Given],
        scope: &str,
        depth: u8,
    ) -> Result<Vec<Given>, ModelError> {
        if depth > MAX_NESTING {
            return Err(invalid("the graph", "functions call functions too deeply"));
        }
        let mut values: HashMap<String, Vec<Given>> = HashMap::new();
        for (name, value) in body.inputs.iter().zip(given) {
            values.insert(name.clone(), vec![value.clone()]);
        }
        for name in ordered(body)? {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(invalid(
                    "the graph",
                    format!("more than {MAX_STEPS} nodes with functions in line"),
                ));
            }
            self.sketch.room()?;
            let node = Rc::clone(&body.nodes[&name]);
            let mut reads = Vec::new();
            for input in flows(&node.inputs) {
                reads.push(found(&values, input)?);
            }
            let made = if node.operator == "Merge" {
                vec![self.merged(body, &values, &node, &reads, scope)?]
            } else {
                self.node(&node, &reads, scope, depth)?
            };
            values.insert(name, made);
        }
        body.outputs.iter().map(|output| found(&values, output)).collect()
    }

    /// What a node gives.
    fn node(
        &mut self,
        node: &Node,
        reads: &[Given],
        scope: &str,
        depth: u8,
    ) -> Result<Vec<Given>, ModelError> {
        let label = format!("{scope}{}", node.name);
        let many = |values: Vec<Val>| values.into_iter().map(Given::Val).collect::<Vec<_>>();
        match node.operator.as_str() {
            "VarHandleOp" => return Ok(vec![Given::Handle(node.name.clone())]),
            "Identity"
            | "ReadVariableOp"
            | "StopGradient"
            | "Snapshot"
            | "PreventGradient"
            | "EnsureShape"
            | "PlaceholderWithDefault"
            | "CheckNumerics"
            | "IdentityN" => {
                let values = reads.iter().map(|read| match read {
                    Given::Handle(handle) if node.operator == "ReadVariableOp" => {
                        self.variable(handle).map(Given::Val)
                    }
                    other => Ok(other.clone()),
                });
                return values.collect();
            }
            // Both sides of a branch of the older kind get the value; where they meet again one is chosen.
            "Switch" => {
                let value =
                    reads.first().ok_or_else(|| invalid(format!("node `{label}`"), "it reads nothing"))?;
                return Ok(vec![value.clone(), value.clone()]);
            }
            "PartitionedCall" | "StatefulPartitionedCall" => {
                return match called(node, "f") {
                    Some(name) => self.call(&name, reads, depth),
                    None => Err(invalid(format!("node `{label}`"), "it calls no function")),
                };
            }
            "If" | "StatelessIf" => return self.choice(node, reads, &label, depth),
            "Const" => {
                let tensor = node.attributes.get("value").and_then(|value| inner(value, 8));
                let numbers = tensor.as_ref().and_then(tensor::read);
                self.sketch.spend(numbers.as_ref().map_or(0, |numbers| numbers.raw.len()))?;
                // Texts and the like are constants that only operators without a place here read.
                let Some(numbers) = numbers else {
                    return Ok(many(vec![Val { name: String::new(), numbers: None }]));
                };
                return Ok(many(vec![self.sketch.constant(&label, numbers)]));
            }
            "Placeholder" => {
                let kind = node.attributes.get("dtype").and_then(|value| number(value, 6)).unwrap_or(1);
                let kind = tensor::kind(kind).ok_or_else(|| {
                    invalid(format!("input `{label}`"), "its element type is not supported")
                })?;
                let shape = node.attributes.get("shape").and_then(|value| inner(value, 7));
                let shape = shape.as_ref().and_then(tensor::shape);
                let shape: Option<Vec<Option<usize>>> = shape.map(|shape| {
                    shape
                        .into_iter()
                        .map(|axis| usize::try_from(axis).ok().filter(|&axis| axis > 0))
                        .collect()
                });
                return Ok(many(vec![self.sketch.input(&label, kind, shape.as_deref())]));
            }
            name if self.functions.contains_key(name) => return self.call(name, reads, depth),
            _ => {}
        }
        let mut values = Vec::with_capacity(reads.len());
        for read in reads {
            match read {
                Given::Val(value) => values.push(value.clone()),
                // Layers of older kinds read a table of words by its handle.
                Given::Handle(handle) => values.push(self.variable(handle)?),
            }
        }
        self.operator(node, &label, &values).map(many)
    }

    /// The value of a variable.
    fn variable(&mut self, handle: &str) -> Result<Val, ModelError> {
        let place = || format!("variable `{handle}`");
        let key =
            self.keys.get(handle).ok_or_else(|| invalid(place(), "nothing in the graph restores it"))?;
        let bundle = self
            .bundle
            .as_mut()
            .ok_or_else(|| invalid(place(), "there is no `variables/variables.index` beside the model"))?;
        let numbers = bundle.read(key)?;
        self.sketch.spend(numbers.raw.len())?;
        Ok(self.sketch.constant(handle, numbers))
    }

    fn call(&mut self, name: &str, given: &[Given], depth: u8) -> Result<Vec<Given>, ModelError> {
        let missing = || invalid(format!("function `{name}`"), "the library does not have it");
        let body = self.functions.get(name).cloned().ok_or_else(missing)?;
        if body.inputs.len() != given.len() {
            return Err(invalid(format!("function `{name}`"), "it is called with another number of values"));
        }
        self.calls += 1;
        self.lay_out(&body, given, &format!("call{}/", self.calls), depth + 1)
    }

    /// One of two functions: both are laid out, and the condition chooses among what they give.
    fn choice(
        &mut self,
        node: &Node,
        reads: &[Given],
        label: &str,
        depth: u8,
    ) -> Result<Vec<Given>, ModelError> {
        let wrong = || invalid(format!("node `{label}`"), "a branch takes a condition and two functions");
        let (yes, no) = called(node, "then_branch").zip(called(node, "else_branch")).ok_or_else(wrong)?;
        let Some((Given::Val(condition), given)) = reads.split_first() else { return Err(wrong()) };
        let yes = self.call(&yes, given, depth)?;
        let no = self.call(&no, given, depth)?;
        let mut made = Vec::with_capacity(yes.len());
        for pair in yes.into_iter().zip(no) {
            let (Given::Val(yes), Given::Val(no)) = pair else { return Err(wrong()) };
            made.push(Given::Val(self.sketch.branch(label, condition, &yes, &no)));
        }
        Ok(made)
    }
}

/// The function in an attribute.
fn called(node: &Node, key: &str) -> Option<String> {
    let function = inner(node.attributes.get(key)?, 10)?;
    Some(text(inner(&function, 1)))
}

fn found(values: &HashMap<String, Vec<Given>>, input: &str) -> Result<Given, ModelError> {
    let (name, index) = reference(input);
    let value = values.get(name).and_then(|made| made.get(index));
    value.cloned().ok_or_else(|| invalid(format!("`{input}`"), "nothing makes it"))
}

/// The nodes that the outputs depend on, what is read before what reads it.
fn ordered(body: &Body) -> Result<Vec<String>, ModelError> {
    let mut order = Vec::new();
    // Begun, and done.
    let mut state: HashMap<&str, bool> = HashMap::new();
    for output in &body.outputs {
        let mut open = vec![reference(output).0];
        while let Some(&name) = open.last() {
            let Some(node) = body.nodes.get(name) else {
                open.pop();
                continue;
            };
            if state.contains_key(name) {
                open.pop();
                if state.insert(name, true) == Some(false) {
                    order.push(name.to_owned());
                }
                continue;
            }
            state.insert(name, false);
            for input in flows(&node.inputs).map(|input| reference(input).0) {
                match state.get(input) {
                    None => open.push(input),
                    Some(true) => {}
                    Some(false) => {
                        return Err(invalid(format!("node `{name}`"), "the nodes form a cycle"));
                    }
                }
            }
        }
    }
    Ok(order)
}

impl Node {
    /// The number of an attribute: whole, a type, or yes and no.
    fn int(&self, key: &str, none: i64) -> i64 {
        let value = |value: &Bytes| number(value, 3).or(number(value, 6)).or(number(value, 5));
        self.attributes.get(key).and_then(value).map_or(none, u64::cast_signed)
    }

    fn float(&self, key: &str, none: f32) -> f32 {
        let value = |value: &Bytes| number(value, 4).map(|bits| f32::from_bits(bits as u32));
        self.attributes.get(key).and_then(value).unwrap_or(none)
    }

    fn ints(&self, key: &str) -> Vec<i64> {
        let list = self.attributes.get(key).and_then(|value| inner(value, 1));
        let found = list.and_then(|list| super::wire::numbers(&list, 3)).unwrap_or_default();
        found.into_iter().map(u64::cast_signed).collect()
    }

    fn word(&self, key: &str) -> String {
        text(self.attributes.get(key).and_then(|value| inner(value, 2)))
    }

    /// The element type in an attribute.
    fn kind(&self, key: &str) -> Option<DataType> {
        tensor::kind(u64::try_from(self.int(key, 0)).ok()?)
    }
}

/// Numbers that a format keeps, checked against their shape.
fn checked(dims: &[i64], kind: DataType, raw: Bytes) -> Option<Numbers> {
    let dims = dims.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<Vec<_>>>()?;
    Numbers::new(dims, kind, raw)
}
