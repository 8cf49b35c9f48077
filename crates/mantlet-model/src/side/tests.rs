//! Which graphs have a way for rows side by side.

use mantlet_formats::onnx::schema::{
    DataType, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, dimension, type_proto,
};

use super::*;
use crate::Limits;
use crate::run::Pool;

/// `op(inputs)` after each other, from `x` of `[n, 2, 5, 5]`; a value has the name of the operator that makes it.
fn plan(nodes: &[(&str, &[&str])], constants: &[(&str, &[i64])]) -> Option<Plan> {
    let axis = |length: i64| Dimension {
        value: Some(match length {
            0 => dimension::Value::DimParam("n".to_owned()),
            length => dimension::Value::DimValue(length),
        }),
        ..Dimension::default()
    };
    let port = |name: &str, shape: &[i64]| {
        let shape = TensorShapeProto { dim: shape.iter().map(|length| axis(*length)).collect() };
        let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
        let value = Some(type_proto::Value::TensorType(tensor));
        ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(TypeProto { value, ..TypeProto::default() }),
            ..ValueInfoProto::default()
        }
    };
    let node = |(name, inputs): &(&str, &[&str])| NodeProto {
        op_type: (*name).to_owned(),
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![(*name).to_owned()],
        ..NodeProto::default()
    };
    let constant = |(name, dims): &(&str, &[i64])| {
        let len = dims.iter().product::<i64>();
        TensorProto {
            name: (*name).to_owned(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            raw_data: (0..len).flat_map(|at| (at as f32 * 0.1).to_le_bytes()).collect::<Vec<u8>>().into(),
            ..TensorProto::default()
        }
    };
    let (last, _) = nodes[nodes.len() - 1];
    let graph = GraphProto {
        node: nodes.iter().map(node).collect(),
        initializer: constants.iter().map(constant).collect(),
        input: vec![port("x", &[0, 2, 5, 5])],
        output: vec![port(last, &[])],
        ..GraphProto::default()
    };
    let model = ModelProto {
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    let limits = Limits::default();
    let graph = Graph::build(&model, None, &limits).unwrap();
    let mut run = Run::new(limits, Pool::default());
    Plan::new(&graph, &mut run, graph.slots["x"], graph.slots[last], &[2, 5, 5])
}

#[test]
fn layers_that_treat_each_row_by_itself_have_one() {
    let nodes: [(&str, &[&str]); 6] = [
        ("Conv", &["x", "k", "b"]),
        ("Relu", &["Conv"]),
        ("Add", &["Relu", "Conv"]),
        ("GlobalMaxPool", &["Add"]),
        ("Flatten", &["GlobalMaxPool"]),
        ("Gemm", &["Flatten", "w"]),
    ];
    let found = plan(&nodes, &[("k", &[3, 2, 3, 3]), ("b", &[3]), ("w", &[3, 4])]).unwrap();
    // Flattening moves nothing.
    assert_eq!(found.steps.len(), 5);
    assert_eq!((found.lens[0], found.shape.as_slice()), (50, &[4][..]));
    assert!(found.bytes(32) > found.bytes(16));
}

#[test]
fn what_mixes_rows_or_has_no_such_form_has_none() {
    assert!(plan(&[("Transpose", &["x"])], &[]).is_none());
    assert!(plan(&[("Relu", &["x"]), ("Floor", &["Relu"])], &[]).is_none());
    assert!(plan(&[("ReduceMean", &["x"])], &[]).is_none());
    // A constant with its own batch is not the same for each row.
    assert!(plan(&[("Add", &["x", "c"])], &[("c", &[3, 2, 5, 5])]).is_none());
}
