//! The graph of another format in the making: operators of ONNX under the names of that format.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use mantlet_formats::onnx::schema::{
    AttributeProto, DataType, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, dimension, type_proto,
};

use super::fold::folded;
use super::invalid;
use super::numbers::{Numbers, int, whole};
use crate::{Limits, ModelError};

/// The version of the operators that are written.
pub(super) const OPSET: i64 = 17;

/// A value: its name, and its numbers when it is a constant.
#[derive(Debug, Clone)]
pub(super) struct Val {
    pub(super) name: String,
    pub(super) numbers: Option<Rc<Numbers>>,
}

/// A graph in the making.
pub(super) struct Sketch {
    graph: GraphProto,
    names: HashSet<String>,
    kept: HashSet<String>,
    unknown: BTreeSet<String>,
    /// Names that were made apart.
    count: usize,
    limits: Limits,
    /// Bytes of constants that may still be made.
    left: usize,
}

impl Sketch {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            graph: GraphProto { name: "main".to_owned(), ..GraphProto::default() },
            names: HashSet::new(),
            kept: HashSet::new(),
            unknown: BTreeSet::new(),
            count: 0,
            left: limits.max_bytes,
            limits,
        }
    }

    /// A name that no other value has.
    fn fresh(&mut self, base: &str) -> String {
        let base: String = base.chars().take(200).collect();
        let mut name = base.clone();
        while name.is_empty() || !self.names.insert(name.clone()) {
            self.count += 1;
            name = format!("{base}#{}", self.count);
        }
        name
    }

    /// An error when there is more of the graph than is built.
    pub(super) fn room(&self) -> Result<(), ModelError> {
        if self.graph.node.len() >= self.limits.max_nodes {
            let reason = format!("more than {} nodes (raise `max_nodes`)", self.limits.max_nodes);
            return Err(invalid("the graph", reason));
        }
        Ok(())
    }

    /// Takes so many bytes from those that constants may have.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), ModelError> {
        let limit = self.limits.max_bytes;
        self.left = self.left.checked_sub(bytes).ok_or(ModelError::TooLarge { len: bytes as u64, limit })?;
        Ok(())
    }

    /// Notes an operator that is not known, and gives a value in its place.
    pub(super) fn unknown(&mut self, operator: &str) -> Val {
        if self.unknown.len() < 64 {
            self.unknown.insert(operator.chars().take(80).collect());
        }
        Val { name: String::new(), numbers: None }
    }

    /// An input of the model; `None` for a free axis.
    pub(super) fn input(&mut self, name: &str, kind: DataType, shape: Option<&[Option<usize>]>) -> Val {
        let name = self.fresh(name);
        self.graph.input.push(port(&name, kind, shape));
        Val { name, numbers: None }
    }

    /// An output of the model.
    pub(super) fn output(&mut self, name: &str, value: &Val) {
        if self.graph.output.iter().any(|output| output.name == value.name) {
            return;
        }
        // What is an input or a constant as well has to be made by a node.
        let made = self.graph.node.iter().any(|node| node.output.contains(&value.name));
        let value = if made { value.clone() } else { self.op("Identity", name, &[value], vec![]) };
        self.graph.output.push(port(&value.name, DataType::Float, None));
    }

    pub(super) fn constant(&mut self, name: &str, numbers: Numbers) -> Val {
        Val { name: self.fresh(name), numbers: Some(Rc::new(numbers)) }
    }

    /// A constant that the format has written in its own way; numbers that do not fit their shape are an error.
    pub(super) fn made(&mut self, name: &str, numbers: Option<Numbers>) -> Result<Val, ModelError> {
        let numbers = numbers.ok_or_else(|| {
            invalid(format!("constant `{name}`"), "its numbers are not those that its place takes")
        })?;
        Ok(self.constant(name, numbers))
    }

    pub(super) fn number(&mut self, name: &str, value: f32) -> Val {
        let raw = value.to_le_bytes().to_vec().into();
        self.constant(name, Numbers { dims: Vec::new(), kind: DataType::Float, raw })
    }

    pub(super) fn list(&mut self, name: &str, values: &[i64]) -> Val {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, Numbers { dims: vec![values.len()], kind: DataType::Int64, raw })
    }

    /// The name of a value that something reads; constants are written down when they are first read.
    fn read(&mut self, value: &Val) -> String {
        if let Some(numbers) = &value.numbers
            && self.kept.insert(value.name.clone())
        {
            self.graph.initializer.push(written(&value.name, numbers));
        }
        value.name.clone()
    }

    /// An operator with several values.
    pub(super) fn many(
        &mut self,
        kind: &str,
        label: &str,
        inputs: &[&Val],
        attribute: Vec<AttributeProto>,
        outputs: usize,
    ) -> Vec<Val> {
        let input = inputs.iter().map(|value| self.read(value)).collect();
        let output: Vec<String> = (0..outputs).map(|_| self.fresh(label)).collect();
        self.graph.node.push(NodeProto {
            op_type: kind.to_owned(),
            name: label.chars().take(200).collect(),
            input,
            output: output.clone(),
            attribute,
            ..NodeProto::default()
        });
        output.into_iter().map(|name| Val { name, numbers: None }).collect()
    }

    /// An operator with one value.
    pub(super) fn op(
        &mut self,
        kind: &str,
        label: &str,
        inputs: &[&Val],
        attribute: Vec<AttributeProto>,
    ) -> Val {
        if let Some(numbers) = folded(kind, inputs, &attribute) {
            return self.constant(label, numbers);
        }
        self.many(kind, label, inputs, attribute, 1)
            .pop()
            .unwrap_or(Val { name: String::new(), numbers: None })
    }

    pub(super) fn cast(&mut self, label: &str, x: &Val, to: DataType) -> Val {
        self.op("Cast", label, &[x], vec![int("to", i64::from(to as i32))])
    }

    /// The whole as a model file.
    ///
    /// # Errors
    /// When an operator was not known.
    pub(super) fn into_model(self) -> Result<ModelProto, ModelError> {
        if !self.unknown.is_empty() {
            return Err(ModelError::Unsupported { operators: self.unknown.into_iter().collect() });
        }
        let import = OperatorSetIdProto { domain: String::new(), version: OPSET };
        Ok(ModelProto {
            ir_version: 8,
            opset_import: vec![import],
            graph: Some(self.graph),
            ..ModelProto::default()
        })
    }
}

/// A constant as the file has it.
pub(super) fn written(name: &str, numbers: &Numbers) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: whole(&numbers.dims),
        data_type: numbers.kind as i32,
        raw_data: numbers.raw.clone(),
        ..TensorProto::default()
    }
}

fn port(name: &str, kind: DataType, shape: Option<&[Option<usize>]>) -> ValueInfoProto {
    let axis = |(at, length): (usize, &Option<usize>)| Dimension {
        value: Some(match length {
            Some(length) => dimension::Value::DimValue(i64::try_from(*length).unwrap_or(i64::MAX)),
            None => dimension::Value::DimParam(if at == 0 { "rows".to_owned() } else { format!("free{at}") }),
        }),
        ..Dimension::default()
    };
    let shape = shape.map(|shape| TensorShapeProto { dim: shape.iter().enumerate().map(axis).collect() });
    let value = Some(type_proto::Value::TensorType(type_proto::Tensor { elem_type: kind as i32, shape }));
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value, ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}
