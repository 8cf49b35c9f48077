//! The graph of a model file: checked, ordered, its operators built and its constants folded.

use std::collections::{BTreeSet, HashMap};

use mantlet_formats::onnx::schema::{
    GraphProto, ModelProto, NodeProto, ValueInfoProto, dimension, type_proto,
};
use mantlet_vocab::Value;

use crate::attrs::Attrs;
use crate::ops::{Edge, Inputs, Operator, Part, lower};
use crate::run::{Fail, Pool, Run};
use crate::{Dtype, ExternalData, Limits, ModelError, Port, decode};

/// One operator of the graph; values are numbered slots.
pub(crate) struct Node {
    pub(crate) operator: Box<dyn Operator>,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) inputs: Vec<Option<usize>>,
    pub(crate) outputs: Vec<Option<usize>>,
}

impl Node {
    /// The error of this node.
    pub(crate) fn error(&self, fail: Fail, limits: &Limits) -> ModelError {
        match fail {
            Fail::Bad(reason) => {
                ModelError::Run { node: format!("`{}`", self.name), operator: self.kind.clone(), reason }
            }
            Fail::Memory => ModelError::Memory { limit: limits.max_memory },
            Fail::Time => ModelError::Time { limit: limits.max_millis.unwrap_or(0) },
        }
    }
}

/// A graph ready to run: nodes come after what they need.
pub(crate) struct Graph {
    pub(crate) names: Vec<String>,
    pub(crate) slots: HashMap<String, usize>,
    pub(crate) constants: Vec<Option<Value>>,
    pub(crate) nodes: Vec<Node>,
    /// The node and output that make a slot.
    pub(crate) makers: Vec<Option<(usize, usize)>>,
    pub(crate) inputs: Vec<usize>,
    pub(crate) outputs: Vec<usize>,
    pub(crate) ports: (Vec<Port>, Vec<Port>),
}

fn invalid(place: impl Into<String>, reason: impl Into<String>) -> ModelError {
    ModelError::Graph { place: place.into(), reason: reason.into() }
}

fn quoted(node: &NodeProto, index: usize) -> String {
    if node.name.is_empty() { format!("node {index}") } else { format!("node `{}`", node.name) }
}

/// An operator as the field writes it: with its domain when it is not the default one.
fn full_name(node: &NodeProto) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

fn port(info: &ValueInfoProto) -> Port {
    let mut port = Port { name: info.name.clone(), dtype: Dtype::F32, shape: Vec::new() };
    if let Some(type_proto::Value::TensorType(tensor)) =
        info.r#type.as_ref().and_then(|kind| kind.value.as_ref())
    {
        port.dtype = decode::dtype(tensor.elem_type).unwrap_or(Dtype::F32);
        let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice()).unwrap_or_default();
        port.shape = dims
            .iter()
            .map(|dim| match dim.value {
                Some(dimension::Value::DimValue(length)) if length > 0 => usize::try_from(length).ok(),
                _ => None,
            })
            .collect();
    }
    port
}

impl Graph {
    /// Checks and builds the graph of a model.
    pub(crate) fn build(
        model: &ModelProto,
        external: Option<&dyn ExternalData>,
        limits: &Limits,
    ) -> Result<Self, ModelError> {
        let graph = model.graph.as_ref().ok_or_else(|| invalid("the model", "it has no graph"))?;
        if graph.node.len() > limits.max_nodes {
            let reason =
                format!("{} nodes, the limit is {} (raise `max_nodes`)", graph.node.len(), limits.max_nodes);
            return Err(invalid("the graph", reason));
        }
        if !graph.sparse_initializer.is_empty() {
            return Err(ModelError::Unsupported { operators: vec!["sparse initialisers".to_owned()] });
        }
        let mut built = Self {
            names: Vec::new(),
            slots: HashMap::new(),
            constants: Vec::new(),
            nodes: Vec::new(),
            makers: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            ports: (Vec::new(), Vec::new()),
        };
        let parts = built.lower_all(model, graph, limits)?;
        for tensor in &graph.initializer {
            if built.slots.contains_key(&tensor.name) {
                return Err(invalid(format!("tensor `{}`", tensor.name), "the name is used twice"));
            }
            let value = decode::constant(tensor, external, limits)?;
            let slot = built.slot(&tensor.name);
            built.constants[slot] = Some(value);
        }
        for info in &graph.input {
            // Old files list their initialisers as inputs too; those are constants.
            if built.slots.contains_key(&info.name) {
                continue;
            }
            let slot = built.slot(&info.name);
            built.inputs.push(slot);
            built.ports.0.push(port(info));
        }
        built.order(parts)?;
        if graph.output.is_empty() {
            return Err(invalid("the graph", "it gives nothing"));
        }
        for info in &graph.output {
            let Some(&slot) = built.slots.get(&info.name) else {
                return Err(invalid(format!("output `{}`", info.name), "nothing in the graph makes it"));
            };
            built.outputs.push(slot);
            built.ports.1.push(port(info));
        }
        built.fold(limits)?;
        built.fix_output_types();
        Ok(built)
    }

    /// Outputs of scikit-learn exports are sequences of maps in the file and tensors here.
    fn fix_output_types(&mut self) {
        for (port, &slot) in self.ports.1.iter_mut().zip(&self.outputs) {
            let is_map = self.makers[slot].is_some_and(|(node, _)| self.nodes[node].kind == "ZipMap");
            if is_map {
                port.dtype = Dtype::F32;
                port.shape = vec![None, None];
            }
        }
    }

    fn slot(&mut self, name: &str) -> usize {
        if let Some(&slot) = self.slots.get(name) {
            return slot;
        }
        let slot = self.names.len();
        self.names.push(name.to_owned());
        self.slots.insert(name.to_owned(), slot);
        self.constants.push(None);
        self.makers.push(None);
        slot
    }

    /// Builds the operators of all nodes, naming every unknown one before giving up.
    fn lower_all(
        &self,
        model: &ModelProto,
        graph: &GraphProto,
        limits: &Limits,
    ) -> Result<Vec<(String, Part)>, ModelError> {
        let version = |domain: &str| {
            let same = |own: &str| own == domain || (domain == "ai.onnx" && own.is_empty());
            model.opset_import.iter().find(|opset| same(&opset.domain)).map(|opset| opset.version)
        };
        let common = version("ai.onnx").unwrap_or(1);
        let learned = version("ai.onnx.ml").unwrap_or(1);
        let mut unknown = BTreeSet::new();
        let mut parts = Vec::with_capacity(graph.node.len());
        for (index, node) in graph.node.iter().enumerate() {
            let opset = if node.domain == "ai.onnx.ml" { learned } else { common };
            let refs = node.attribute.iter().any(|attribute| !attribute.ref_attr_name.is_empty());
            if refs {
                return Err(invalid(quoted(node, index), "an attribute refers to a function's"));
            }
            match lower(Attrs { node, opset }, limits) {
                Ok(Some(own)) => {
                    let name = if node.name.is_empty() { index.to_string() } else { node.name.clone() };
                    parts.extend(own.into_iter().map(|part| (name.clone(), part)));
                }
                Ok(None) => {
                    unknown.insert(full_name(node));
                }
                Err(Fail::Bad(reason)) => {
                    return Err(invalid(format!("{} ({})", quoted(node, index), full_name(node)), reason));
                }
                Err(Fail::Memory) => return Err(ModelError::Memory { limit: limits.max_memory }),
                Err(Fail::Time) => return Err(ModelError::Time { limit: limits.max_millis.unwrap_or(0) }),
            }
        }
        if unknown.is_empty() {
            Ok(parts)
        } else {
            Err(ModelError::Unsupported { operators: unknown.into_iter().collect() })
        }
    }

    /// Puts the nodes behind what they need; refuses cycles, missing and doubly made values.
    fn order(&mut self, parts: Vec<(String, Part)>) -> Result<(), ModelError> {
        let mut made: HashMap<&str, usize> = HashMap::new();
        for (index, (name, part)) in parts.iter().enumerate() {
            for output in part.outputs.iter().filter(|output| !output.is_empty()) {
                if self.slots.contains_key(output) || made.insert(output, index).is_some() {
                    return Err(invalid(format!("node `{name}`"), format!("value `{output}` is made twice")));
                }
            }
        }
        let mut waiting = vec![0_usize; parts.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); parts.len()];
        for (index, (name, part)) in parts.iter().enumerate() {
            for input in part.inputs.iter().filter(|input| !input.is_empty()) {
                match made.get(input.as_str()) {
                    Some(&maker) => {
                        waiting[index] += 1;
                        readers[maker].push(index);
                    }
                    None if self.slots.contains_key(input) => {}
                    None => {
                        let reason = format!("nothing makes its input `{input}`");
                        return Err(invalid(format!("node `{name}` ({})", part.kind), reason));
                    }
                }
            }
        }
        // Files list nodes in order; among the ready ones the earliest goes first, so that order is kept.
        let mut ready: BTreeSet<usize> = (0..parts.len()).filter(|&index| waiting[index] == 0).collect();
        let mut order = Vec::with_capacity(parts.len());
        while let Some(index) = ready.pop_first() {
            order.push(index);
            for &reader in &readers[index] {
                waiting[reader] -= 1;
                if waiting[reader] == 0 {
                    ready.insert(reader);
                }
            }
        }
        if order.len() < parts.len() {
            let stuck = (0..parts.len()).find(|&index| waiting[index] > 0).unwrap_or(0);
            return Err(invalid(format!("node `{}`", parts[stuck].0), "the nodes form a cycle"));
        }
        let mut parts: Vec<Option<(String, Part)>> = parts.into_iter().map(Some).collect();
        for index in order {
            let Some((name, part)) = parts[index].take() else { continue };
            let mut place = |names: &[String]| -> Vec<Option<usize>> {
                names.iter().map(|name| if name.is_empty() { None } else { Some(self.slot(name)) }).collect()
            };
            let (inputs, outputs) = (place(&part.inputs), place(&part.outputs));
            for (output, slot) in outputs.iter().enumerate() {
                if let Some(slot) = slot {
                    self.makers[*slot] = Some((self.nodes.len(), output));
                }
            }
            self.nodes.push(Node { operator: part.operator, kind: part.kind, name, inputs, outputs });
        }
        Ok(())
    }

    /// Computes once what depends on constants alone. A node that fails is left to fail when it is run.
    fn fold(&mut self, limits: &Limits) -> Result<(), ModelError> {
        let mut run = Run::new(*limits, Pool::default());
        for node in &self.nodes {
            let known = node.inputs.iter().all(|slot| slot.is_none_or(|slot| self.constants[slot].is_some()));
            if !known {
                continue;
            }
            run.tick().map_err(|fail| node.error(fail, limits))?;
            let inputs: Vec<Option<&Value>> =
                node.inputs.iter().map(|slot| slot.and_then(|slot| self.constants[slot].as_ref())).collect();
            let outputs = match node.operator.forward(&mut run, Inputs(&inputs), None) {
                Ok(outputs) => outputs,
                Err(Fail::Bad(_)) => {
                    run.settle(0);
                    continue;
                }
                Err(fail) => return Err(node.error(fail, limits)),
            };
            run.settle(outputs.iter().map(crate::values::bytes).sum());
            for (slot, value) in node.outputs.iter().zip(outputs) {
                if let Some(slot) = slot {
                    self.constants[*slot] = Some(value);
                }
            }
        }
        Ok(())
    }

    /// The nodes that must run for these slots.
    pub(crate) fn needed(&self, targets: &[usize]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        let mut todo: Vec<usize> = targets.to_vec();
        while let Some(slot) = todo.pop() {
            if self.constants[slot].is_some() {
                continue;
            }
            if let Some((node, _)) = self.makers[slot]
                && !std::mem::replace(&mut needed[node], true)
            {
                todo.extend(self.nodes[node].inputs.iter().flatten());
            }
        }
        needed
    }

    /// The slots that gradients can reach from `of`, walking smooth edges; and the operators in the way of
    /// floating-point inputs.
    pub(crate) fn smooth(&self, of: usize) -> (Vec<bool>, Vec<String>) {
        let mut reached = vec![false; self.names.len()];
        let mut blocked = BTreeSet::new();
        let mut todo = vec![of];
        while let Some(slot) = todo.pop() {
            if self.constants[slot].is_some() || std::mem::replace(&mut reached[slot], true) {
                continue;
            }
            let Some((index, output)) = self.makers[slot] else { continue };
            let node = &self.nodes[index];
            for (at, input) in node.inputs.iter().enumerate() {
                let Some(input) = *input else { continue };
                if self.constants[input].is_some() {
                    continue;
                }
                let edge = if node.operator.returns(output) { node.operator.edge(at) } else { Edge::Blocked };
                match edge {
                    Edge::Smooth => todo.push(input),
                    Edge::Blocked if self.reads_float(input) => drop(blocked.insert(node.kind.clone())),
                    Edge::Blocked | Edge::Blind => {}
                }
            }
        }
        let floats = self.inputs.iter().zip(&self.ports.0).filter(|(_, port)| port.dtype.is_float());
        let arrives = floats.clone().any(|(&slot, _)| reached[slot]);
        if blocked.is_empty() && !arrives {
            blocked = self.obstacles(of);
        }
        (reached, blocked.into_iter().collect())
    }

    /// Every operator on a way from a floating-point input that lets no gradient pass.
    fn obstacles(&self, of: usize) -> BTreeSet<String> {
        let needed = self.needed(&[of]);
        let blocks = |node: &Node| {
            let stops = |(at, slot): (usize, &Option<usize>)| {
                let measures = matches!(node.kind.as_str(), "Shape" | "Size" | "ConstantOfShape");
                let rough = node.operator.edge(at) != Edge::Smooth && !measures;
                rough && slot.is_some_and(|slot| self.constants[slot].is_none() && self.reads_float(slot))
            };
            node.inputs.iter().enumerate().any(stops)
        };
        let nodes = self.nodes.iter().zip(&needed).filter(|(node, on)| **on && blocks(node));
        let mut names: BTreeSet<String> = nodes.map(|(node, _)| node.kind.clone()).collect();
        if names.is_empty() {
            names.insert("inputs that are not floating-point".to_owned());
        }
        names
    }

    /// Whether a floating-point input decides the slot.
    fn reads_float(&self, slot: usize) -> bool {
        let needed = self.needed(&[slot]);
        let floats = self.inputs.iter().zip(&self.ports.0).filter(|(_, port)| port.dtype.is_float());
        let feeds = |input: usize| {
            let reads = |(node, on): (&Node, &bool)| *on && node.inputs.contains(&Some(input));
            input == slot || self.nodes.iter().zip(&needed).any(reads)
        };
        floats.into_iter().any(|(&input, _)| feeds(input))
    }
}
