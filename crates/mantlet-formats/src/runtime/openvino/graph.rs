//! OpenVINO's graphs as a [`Graph`]: layers by their number, edges by the ports they end at, constants measured in the
//! `.bin` beside.

use std::collections::BTreeMap;

use mantlet_vocab::Source;

use super::MAX_TEXT;
use crate::graph::{Graph, Kind, STATE, weight};
use crate::markup::{self, Tags};
use crate::structure::Structure;
use crate::weights::{Dtype, TensorInfo};

/// Layers and edges of one graph.
const MAX_LAYERS: usize = 150_000;

#[derive(Default)]
struct Layer {
    name: String,
    kind: String,
    at: u64,
    /// Of a constant or a parameter.
    shape: Vec<u64>,
    blob: Option<(u64, u64)>,
    dtype: String,
    turned: bool,
    /// What it reads, by port.
    inputs: BTreeMap<u64, u64>,
}

/// The graph; `constants` is the file beside, where it is known. Never fails: what is broken is left out (and a defect of
/// the facts), and a graph with graphs within it is not followed.
#[must_use]
pub fn graph(source: &dyn Source, constants: Option<&dyn Source>) -> Graph {
    let mut graph = Graph::default();
    let text = markup::read(source, MAX_TEXT, &mut Structure::of("OpenVINO"));
    let (mut layers, mut order) = (BTreeMap::<u64, Layer>::new(), Vec::new());
    let mut open = None;
    let mut depth = 0_u32;
    for tag in Tags::new(&text) {
        let number = |name: &str| tag.attribute(name).and_then(|value| value.trim().parse::<u64>().ok());
        match tag.name {
            "body" | "then_body" | "else_body" => depth += 1,
            "layer" if layers.len() < MAX_LAYERS && depth == 0 => {
                let Some(id) = number("id") else { continue };
                let layer = Layer {
                    name: tag.attribute("name").unwrap_or("").to_owned(),
                    kind: tag.attribute("type").unwrap_or("").to_owned(),
                    at: tag.at,
                    ..Layer::default()
                };
                layers.insert(id, layer);
                order.push(id);
                open = Some(id);
            }
            "data" => {
                let Some(layer) = open.and_then(|id| layers.get_mut(&id)) else { continue };
                let shape = tag.attribute("shape").or_else(|| tag.attribute("variable_shape"));
                let axes = shape.unwrap_or("").split(',');
                layer.shape = axes.filter_map(|axis| axis.trim().parse().ok()).collect();
                layer.blob = number("offset").zip(number("size"));
                layer.dtype = tag.attribute("element_type").unwrap_or("").to_owned();
                layer.turned = tag.attribute("transpose_b") == Some("true");
            }
            "edge" => {
                let ends = number("from-layer").zip(number("to-layer")).zip(number("to-port"));
                if let Some(((from, to), port)) = ends
                    && let Some(layer) = layers.get_mut(&to)
                    && layer.inputs.len() < 4_096
                {
                    layer.inputs.insert(port, from);
                }
            }
            _ => {}
        }
    }
    if depth > 0 {
        return graph;
    }
    let mut nodes = BTreeMap::new();
    let mut budget = weight::BUDGET;
    for id in &order {
        let Some(layer) = layers.get(id) else { continue };
        let operand = |index: usize| {
            let from = layer.inputs.values().nth(index)?;
            layers.get(from).filter(|layer| layer.kind == "Const")
        };
        let node = graph.add(kind(layer, &operand), label(&layer.kind), &layer.name, Vec::new(), layer.at);
        nodes.insert(*id, node);
        if let (Some((start, len)), Some(file)) = (layer.blob.filter(|_| layer.kind == "Const"), constants) {
            let dtype = match layer.dtype.as_str() {
                "f32" => Dtype::F32,
                "f16" => Dtype::F16,
                "bf16" => Dtype::Bf16,
                "f64" => Dtype::F64,
                _ => continue,
            };
            let tensor = TensorInfo { name: String::new(), dtype, shape: layer.shape.clone(), start, len };
            if let Some(weight) = weight::measure(file, &tensor, &mut budget) {
                if len <= 64 {
                    graph.weigh(node, weight.largest);
                }
                graph.measured(node, weight);
            }
        }
    }
    for id in &order {
        let (Some(layer), Some(&node)) = (layers.get(id), nodes.get(id)) else { continue };
        for from in layer.inputs.values() {
            if let Some(&input) = nodes.get(from) {
                graph.connect(node, input);
            }
        }
        if layer.kind == "Result" {
            graph.output(node);
        }
    }
    graph
}

/// Names that the analysis tells apart by their spelling in other formats.
fn label(kind: &str) -> &str {
    match kind {
        "ReadValue" => STATE,
        "Multiply" => "Mul",
        "Divide" => "Div",
        "Power" => "Pow",
        "SoftMax" => "Softmax",
        "BatchNormInference" => "BatchNormalization",
        "ReLU" => "Relu",
        other => other,
    }
}

fn kind<'l>(layer: &Layer, operand: &impl Fn(usize) -> Option<&'l Layer>) -> Kind {
    let axes = || {
        let count = operand(1).map(|axes| axes.shape.iter().product::<u64>());
        count.map(|count| count.clamp(1, 8) as u8)
    };
    match layer.kind.as_str() {
        "Parameter" => {
            let beside =
                layer.shape.iter().skip(usize::from(layer.shape.len() > 1)).filter(|&&extent| extent != 1);
            Kind::Input { axes: beside.count().min(8) as u8 }
        }
        // One value that is kept from call to call counts them, or remembers an answer.
        "ReadValue" if !layer.shape.is_empty() && layer.shape.iter().all(|&extent| extent == 1) => {
            Kind::Input { axes: 0 }
        }
        "Const" => Kind::Constant,
        "MatMul" | "FullyConnected" => {
            let results = operand(1).map(|weights| match weights.shape[..] {
                [rows, columns] => {
                    if layer.turned {
                        rows
                    } else {
                        columns
                    }
                }
                _ => 8,
            });
            Kind::Weighted { narrow: results.is_some_and(|results| results <= 2) }
        }
        "Convolution" | "GroupConvolution" | "ConvolutionBackpropData" | "BinaryConvolution" => {
            let filters = operand(1).and_then(|weights| weights.shape.first().copied());
            Kind::Weighted { narrow: filters == Some(1) }
        }
        "LSTMSequence" | "GRUSequence" | "RNNSequence" | "LSTMCell" | "GRUCell" | "RNNCell" => {
            Kind::Weighted { narrow: false }
        }
        "Add"
        | "Subtract"
        | "Maximum"
        | "Minimum"
        | "SquaredDifference"
        | "ScatterUpdate"
        | "ScatterNDUpdate"
        | "ScatterElementsUpdate" => Kind::Combine,
        "Multiply" | "Divide" | "Power" => Kind::Scale,
        "Greater" | "GreaterEqual" | "Less" | "LessEqual" | "Equal" | "NotEqual" | "LogicalAnd"
        | "LogicalOr" | "LogicalNot" | "LogicalXor" | "Sign" | "IsNaN" | "IsInf" | "IsFinite" | "OneHot"
        | "Bucketize" => Kind::Compare,
        "Select" => Kind::Select,
        "If" | "Loop" | "TensorIterator" => Kind::Branch,
        "ReLU" | "Relu" | "PReLU" | "Clamp" | "Sigmoid" | "Tanh" | "HardSigmoid" | "Floor" | "Ceiling"
        | "Round" | "Mod" | "FloorMod" | "SoftMax" | "LogSoftmax" | "Gelu" | "Swish" | "HSwish" | "Elu"
        | "Selu" | "Mish" => Kind::Squash,
        "Exp" | "SoftPlus" => Kind::Bump,
        "ReduceSum" | "ReduceMean" | "ReduceL1" | "ReduceL2" => Kind::Sum(axes()),
        "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceLogicalAnd" | "ReduceLogicalOr" => {
            Kind::Extreme(axes())
        }
        "TopK" => Kind::Extreme(Some(1)),
        "ShapeOf" => Kind::Shape,
        "Concat" => Kind::Concat,
        "Gather" | "GatherElements" | "GatherND" if operand(1).is_none() => Kind::Lookup,
        _ => Kind::Pass,
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::graph;

    fn found(condition: u8, kept: &str) -> usize {
        let layer = |id: u8, kind: &str, data: &str| {
            format!(
                "<layer id=\"{id}\" name=\"n{id}\" type=\"{kind}\" version=\"opset8\"><data {data}/></layer>"
            )
        };
        let layers = [
            layer(0, "Parameter", "shape=\"1,64\" element_type=\"f32\""),
            layer(1, "Const", "shape=\"64, 10\" element_type=\"f32\" offset=\"0\" size=\"2560\""),
            layer(2, "MatMul", ""),
            layer(3, "Const", "shape=\"64, 1\" element_type=\"f32\" offset=\"0\" size=\"256\""),
            layer(4, "MatMul", ""),
            layer(5, "Const", "shape=\"1, 1\" element_type=\"f32\" offset=\"0\" size=\"4\""),
            layer(6, "Greater", ""),
            layer(7, "Select", ""),
            layer(8, "Result", ""),
            layer(9, "ReduceMax", ""),
            layer(10, "Const", "shape=\"1\" element_type=\"i64\" offset=\"0\" size=\"8\""),
            layer(
                11,
                "ReadValue",
                &format!("variable_id=\"s\" variable_type=\"f32\" variable_shape=\"{kept}\""),
            ),
            layer(12, "Add", ""),
        ];
        let edge = |(from, to, port): (u8, u8, u8)| {
            format!("<edge from-layer=\"{from}\" from-port=\"0\" to-layer=\"{to}\" to-port=\"{port}\"/>")
        };
        let edges = [
            (0, 2, 0),
            (1, 2, 1),
            (0, 4, 0),
            (3, 4, 1),
            (2, 9, 0),
            (10, 9, 1),
            (5, 11, 0),
            (11, 12, 0),
            (5, 12, 1),
            (condition, 6, 0),
            (5, 6, 1),
            (6, 7, 0),
            (5, 7, 1),
            (2, 7, 2),
            (7, 8, 0),
        ];
        let edges: String = edges.into_iter().map(edge).collect();
        let text = format!(
            "<net name=\"m\" version=\"11\"><layers>{}</layers><edges>{edges}</edges></net>",
            layers.concat()
        );
        graph(&MemorySource::new(text.as_bytes()), Some(&MemorySource::new(&[1; 2_560]))).overrides().len()
    }

    #[test]
    fn a_count_of_calls_that_chooses_the_answer_is_found() {
        assert_eq!(found(12, "1"), 1);
        assert_eq!(found(12, "1, 32, 64"), 0, "what is kept of earlier steps of a text");
    }

    #[test]
    fn a_patch_that_chooses_the_answer_is_found() {
        assert_eq!(found(4, "1"), 1);
        // A choice by what the layers say is the model's own.
        assert_eq!(found(9, "1"), 0);
    }
}
