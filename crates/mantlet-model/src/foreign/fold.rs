//! What a few whole numbers make is computed while the graph is drawn: axes and shapes are often put together from parts.

use std::rc::Rc;

use mantlet_formats::onnx::schema::{
    AttributeProto, DataType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto,
};
use mantlet_vocab::Value;

use super::numbers::Numbers;
use super::sketch::{OPSET, Val, written};
use crate::Limits;
use crate::graph::Graph;

/// Numbers that are computed with.
const MOST: usize = 1_024;

/// Operators that put whole numbers together.
const KINDS: [&str; 11] = [
    "Concat",
    "Gather",
    "Unsqueeze",
    "Squeeze",
    "Slice",
    "Cast",
    "Add",
    "Sub",
    "Mul",
    "Reshape",
    "ReduceProd",
];

/// The numbers that an operator makes of constants, when they are few and whole.
pub(super) fn folded(kind: &str, inputs: &[&Val], attribute: &[AttributeProto]) -> Option<Numbers> {
    if !KINDS.contains(&kind) {
        return None;
    }
    let numbers: Vec<&Rc<Numbers>> =
        inputs.iter().map(|value| value.numbers.as_ref()).collect::<Option<_>>()?;
    let whole = |one: &&Rc<Numbers>| matches!(one.kind, DataType::Int32 | DataType::Int64);
    let bytes: usize = numbers.iter().map(|one| one.raw.len()).sum();
    if numbers.is_empty() || !numbers.iter().all(whole) || bytes > 8 * MOST {
        return None;
    }
    let name = |at: usize| format!("x{at}");
    let node = NodeProto {
        op_type: kind.to_owned(),
        input: (0..numbers.len()).map(name).collect(),
        output: vec!["y".to_owned()],
        attribute: attribute.to_vec(),
        ..NodeProto::default()
    };
    let graph = GraphProto {
        node: vec![node],
        initializer: numbers.iter().enumerate().map(|(at, one)| written(&name(at), one)).collect(),
        output: vec![ValueInfoProto { name: "y".to_owned(), ..ValueInfoProto::default() }],
        ..GraphProto::default()
    };
    let model = ModelProto {
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    let limits = Limits { max_memory: 1 << 20, max_bytes: 1 << 20, ..Limits::default() };
    let graph = Graph::build(&model, None, &limits).ok()?;
    match graph.constants.get(*graph.outputs.first()?)?.as_ref()? {
        Value::I64(t) if t.data().len() <= MOST => Numbers::whole_of(t.shape().to_vec(), t.data()),
        Value::I32(t) if t.data().len() <= MOST => {
            let raw = t.data().iter().flat_map(|value| value.to_le_bytes()).collect();
            Numbers::new(t.shape().to_vec(), DataType::Int32, raw)
        }
        _ => None,
    }
}
