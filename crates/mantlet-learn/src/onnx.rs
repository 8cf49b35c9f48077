//! The network as an ONNX file: opset 17, free batch axis, the same bytes for the same weights.

use mantlet_formats::onnx::schema::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, dimension, type_proto,
};
use prost::Message as _;

use crate::Network;
use crate::layers::Layer;

/// How a network is written as ONNX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Name of the graph.
    pub name: String,
    /// Name of the input.
    pub input: String,
    /// Name of the output.
    pub output: String,
    /// Whether a softmax makes the outputs probabilities.
    pub softmax: bool,
}

impl Network {
    /// The network as an ONNX model (opset 17) whose input is `input` with a free batch axis `N` and whose
    /// output is `logits`. The same network gives the same bytes.
    #[must_use]
    pub fn to_onnx(&self, name: &str) -> Vec<u8> {
        self.to_onnx_with(&OnnxOptions {
            name: name.to_owned(),
            input: "input".to_owned(),
            output: "logits".to_owned(),
            softmax: false,
        })
    }

    /// The network as an ONNX model, with names of one's own and a softmax if wanted.
    #[must_use]
    pub fn to_onnx_with(&self, options: &OnnxOptions) -> Vec<u8> {
        let mut writer = Writer { nodes: Vec::new(), constants: Vec::new(), last: options.input.clone() };
        let mut image = self.row.len() > 1;
        for (index, layer) in self.layers.iter().enumerate() {
            if image && matches!(layer, Layer::Dense { .. }) {
                writer.node("Flatten", &[], vec![int("axis", 1)], &format!("flat{index}"));
                image = false;
            }
            writer.layer(index, layer);
        }
        if options.softmax {
            writer.node("Softmax", &[], vec![int("axis", 1)], "probabilities");
        }
        if let Some(node) = writer.nodes.last_mut() {
            node.output = vec![options.output.clone()];
        }
        let graph = GraphProto {
            node: writer.nodes,
            name: options.name.clone(),
            initializer: writer.constants,
            input: vec![value(&options.input, &self.row)],
            output: vec![value(&options.output, &[self.classes])],
            ..GraphProto::default()
        };
        ModelProto {
            ir_version: 8,
            producer_name: "mantlet".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
            ..ModelProto::default()
        }
        .encode_to_vec()
    }
}

struct Writer {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    last: String,
}

impl Writer {
    fn layer(&mut self, index: usize, layer: &Layer) {
        let name = format!("value{index}");
        match layer {
            Layer::Dense { input, output, weights, bias } => {
                let inputs = self.parameters(index, &[*output, *input], weights, bias);
                self.node("Gemm", &inputs, vec![int("transB", 1)], &name);
            }
            Layer::Conv { shape, output, weights, bias } => {
                let inputs = self.parameters(index, &[*output, shape.channels, 3, 3], weights, bias);
                let attributes = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])];
                self.node("Conv", &inputs, attributes, &name);
            }
            Layer::Relu => self.node("Relu", &[], Vec::new(), &name),
            Layer::Pool { .. } => {
                let attributes = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
                self.node("MaxPool", &[], attributes, &name);
            }
        }
    }

    fn parameters(&mut self, index: usize, shape: &[usize], weights: &[f32], bias: &[f32]) -> [String; 2] {
        let names = [format!("weight{index}"), format!("bias{index}")];
        self.constants.push(constant(&names[0], shape, weights));
        self.constants.push(constant(&names[1], &[bias.len()], bias));
        names
    }

    fn node(&mut self, operator: &str, inputs: &[String], attributes: Vec<AttributeProto>, output: &str) {
        let mut input = vec![std::mem::replace(&mut self.last, output.to_owned())];
        input.extend_from_slice(inputs);
        self.nodes.push(NodeProto {
            input,
            output: vec![output.to_owned()],
            name: format!("{}_{}", operator.to_lowercase(), self.nodes.len()),
            op_type: operator.to_owned(),
            attribute: attributes,
            ..NodeProto::default()
        });
    }
}

fn constant(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        dims: shape.iter().map(|&axis| axis as i64).collect(),
        data_type: DataType::Float as i32,
        name: name.to_owned(),
        raw_data: bytes.into(),
        ..TensorProto::default()
    }
}

fn value(name: &str, row: &[usize]) -> ValueInfoProto {
    let axis = |value| Dimension { value: Some(value), ..Dimension::default() };
    let batch = axis(dimension::Value::DimParam("N".to_owned()));
    let rest = row.iter().map(|&length| axis(dimension::Value::DimValue(length as i64)));
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: std::iter::once(batch).chain(rest).collect() }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        i: Some(value),
        r#type: AttributeType::Int as i32,
        ..AttributeProto::default()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        ints: values.to_vec(),
        r#type: AttributeType::Ints as i32,
        ..AttributeProto::default()
    }
}
