//! Small graphs from one line of text.

use mantlet_formats::onnx::schema::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, dimension, type_proto,
};
use mantlet_vocab::{Tensor, Value};
use prost::Message as _;

/// A case of `operators.txt`.
pub(crate) struct Sketch {
    pub(crate) name: String,
    pub(crate) smooth: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) x: Value,
}

/// The hash of `scripts/vectors/operators.py`: from 0 to 1 in steps of 2^-24.
pub(crate) fn noise(seed: u32, index: u32) -> f32 {
    let mut h =
        index.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)).wrapping_add(12_345);
    h ^= h >> 16;
    h = h.wrapping_mul(0x045d_9f3b);
    h ^= h >> 16;
    (h >> 8) as f32 / (1 << 24) as f32
}

fn tensor(text: &str, seed: u32) -> Value {
    if let Some(list) = text.strip_prefix("i[") {
        let data: Vec<i64> = list.trim_end_matches(']').split(',').map(|v| v.parse().unwrap()).collect();
        return Value::I64(Tensor::new([data.len()], data).unwrap());
    }
    if let Some(list) = text.strip_prefix("f[") {
        let data: Vec<f32> = list.trim_end_matches(']').split(',').map(|v| v.parse().unwrap()).collect();
        return Value::F32(Tensor::new([data.len()], data).unwrap());
    }
    let (shape, span) = text.split_once('@').unwrap_or((text, "-1.0:1.0"));
    let (low, high) = span.split_once(':').unwrap();
    let (low, high): (f32, f32) = (low.parse().unwrap(), high.parse().unwrap());
    let shape: Vec<usize> = shape.split('x').map(|v| v.parse().unwrap()).collect();
    let count: usize = shape.iter().product();
    let data = (0..count as u32).map(|i| low + (high - low) * noise(seed, i)).collect();
    Value::F32(Tensor::new(shape, data).unwrap())
}

pub(crate) fn constant(name: &str, value: &Value) -> TensorProto {
    let (kind, raw): (_, Vec<u8>) = match value {
        Value::F32(t) => (DataType::Float, t.data().iter().flat_map(|v| v.to_le_bytes()).collect()),
        Value::I64(t) => (DataType::Int64, t.data().iter().flat_map(|v| v.to_le_bytes()).collect()),
        other => panic!("{other:?}"),
    };
    TensorProto {
        name: name.to_owned(),
        dims: value.shape().iter().map(|&axis| axis as i64).collect(),
        data_type: kind as i32,
        raw_data: raw.into(),
        ..TensorProto::default()
    }
}

pub(crate) fn attribute(name: &str, text: &str) -> AttributeProto {
    let mut attribute = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    if let Some(text) = text.strip_prefix('\'') {
        attribute.s = Some(text.trim_end_matches('\'').as_bytes().to_vec());
        attribute.r#type = AttributeType::String as i32;
    } else if let Some(list) = text.strip_prefix('[') {
        let list: Vec<&str> = list.trim_end_matches(']').split(',').collect();
        if list[0].contains('.') {
            attribute.floats = list.iter().map(|v| v.parse().unwrap()).collect();
            attribute.r#type = AttributeType::Floats as i32;
        } else {
            attribute.ints = list.iter().map(|v| v.parse().unwrap()).collect();
            attribute.r#type = AttributeType::Ints as i32;
        }
    } else if text.contains('.') {
        attribute.f = Some(text.parse().unwrap());
        attribute.r#type = AttributeType::Float as i32;
    } else {
        attribute.i = Some(text.parse().unwrap());
        attribute.r#type = AttributeType::Int as i32;
    }
    attribute
}

/// `y = Op(a, b) attr=1`.
pub(crate) fn node(statement: &str) -> NodeProto {
    let (outputs, call) = statement.split_once(" = ").unwrap();
    let (head, rest) = call.split_once('(').unwrap();
    let (inputs, attributes) = rest.split_once(')').unwrap();
    let names = |list: &str| {
        list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect::<Vec<_>>()
    };
    let head = head.trim();
    NodeProto {
        op_type: head.trim_start_matches("ml:").to_owned(),
        domain: if head.starts_with("ml:") { "ai.onnx.ml".to_owned() } else { String::new() },
        input: names(inputs),
        output: names(outputs),
        attribute: attributes
            .split_whitespace()
            .map(|word| word.split_once('=').unwrap())
            .map(|(name, text)| attribute(name, text))
            .collect(),
        ..NodeProto::default()
    }
}

/// An input or output; axes of 0 are free.
pub(crate) fn port(name: &str, kind: DataType, shape: Option<&[usize]>) -> ValueInfoProto {
    let axis = |&length: &usize| Dimension {
        value: Some(match length {
            0 => dimension::Value::DimParam("N".to_owned()),
            length => dimension::Value::DimValue(length as i64),
        }),
        ..Dimension::default()
    };
    let shape = shape.map(|shape| TensorShapeProto { dim: shape.iter().map(axis).collect() });
    let tensor = type_proto::Tensor { elem_type: kind as i32, shape };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

pub(crate) fn model(graph: GraphProto, opset: i64) -> ModelProto {
    let import = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
    ModelProto {
        ir_version: 9,
        opset_import: vec![import("", opset), import("ai.onnx.ml", 3)],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// A case from its line.
pub(crate) fn parse(line: &str) -> Sketch {
    let parts: Vec<&str> = line.split('|').map(str::trim).collect();
    let opset = parts.get(3).map_or(17, |text| text.trim_start_matches("opset ").parse().unwrap());
    let mut values: Vec<(String, Value)> = parts[1]
        .split_whitespace()
        .zip(0..)
        .map(|(word, seed)| {
            let (name, text) = word.split_once('=').unwrap();
            (name.to_owned(), tensor(text, seed))
        })
        .collect();
    let x = values.iter().position(|(name, _)| name == "x").map(|at| values.remove(at).1).unwrap();
    let kind = if matches!(x, Value::I64(_)) { DataType::Int64 } else { DataType::Float };
    let graph = GraphProto {
        name: "g".to_owned(),
        node: parts[2].split(';').map(node).collect(),
        initializer: values.iter().map(|(name, value)| constant(name, value)).collect(),
        input: vec![port("x", kind, Some(x.shape()))],
        output: vec![port("y", DataType::Float, None)],
        ..GraphProto::default()
    };
    let name = parts[0].trim_start_matches('!').to_owned();
    Sketch { smooth: !parts[0].starts_with('!'), name, bytes: model(graph, opset).encode_to_vec(), x }
}

/// All cases.
pub(crate) fn all() -> Vec<Sketch> {
    include_str!("operators.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(parse)
        .collect()
}
