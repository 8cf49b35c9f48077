//! A functional Keras configuration as a [`Graph`].
//!
//! Long because the names of all layers and operations stand in one place.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::stored::{Stored, folder};
use crate::graph::weight::of_numbers;
use crate::graph::{Graph, Kind};

/// Models within models.
const MAX_NESTING: u8 = 8;

/// The graph of a configuration.
pub(super) fn graph(config: &Value, stored: &Stored) -> Graph {
    let mut graph = Graph::default();
    for output in model(config, None, stored, &mut graph, 0) {
        graph.output(output);
    }
    graph
}

/// Adds a model; `given` are the values its inputs stand for. Gives its outputs.
fn model(value: &Value, given: Option<&[u32]>, stored: &Stored, graph: &mut Graph, depth: u8) -> Vec<u32> {
    let empty = Map::new();
    let config = value.get("config").and_then(Value::as_object).unwrap_or(&empty);
    let layers = config.get("layers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if depth > MAX_NESTING {
        graph.cut = true;
        return Vec::new();
    }
    let names = |key: &str| config.get(key).map(ends).unwrap_or_default();
    let (inputs, outputs) = (names("input_layers"), names("output_layers"));
    let mut nodes: HashMap<&str, Vec<u32>> = HashMap::new();
    let mut chain = given.and_then(|given| given.first().copied());
    let sequential = outputs.is_empty();
    // Folders of weights are numbered by class.
    let mut folders: HashMap<String, usize> = HashMap::new();
    for layer in layers {
        let class = text(layer, "class_name");
        let inner = layer.get("config").and_then(Value::as_object).unwrap_or(&empty);
        let name =
            inner.get("name").or_else(|| layer.get("name")).and_then(Value::as_str).unwrap_or_default();
        if class == "InputLayer" {
            let at = inputs.iter().position(|input| input == name).unwrap_or(0);
            let node = match given.and_then(|given| given.get(at)) {
                Some(&node) => node,
                None => graph.add(Kind::Input { axes: axes(inner) }, "input", name, vec![], 0),
            };
            nodes.insert(name, vec![node]);
            chain = chain.or(Some(node));
            continue;
        }
        let mut place = folder(class.rsplit('>').next().unwrap_or(class));
        let count = folders.entry(place.clone()).or_insert(0);
        if *count > 0 {
            place = format!("{place}_{count}");
        }
        *count += 1;
        // A layer used several times has a node for each.
        let mut calls: Vec<Vec<u32>> = Vec::new();
        if sequential {
            let before = chain.unwrap_or_else(|| graph.add(Kind::Input { axes: 3 }, "input", "", vec![], 0));
            calls.push(vec![before]);
        } else {
            for inbound in layer.get("inbound_nodes").and_then(Value::as_array).into_iter().flatten() {
                let mut operands = Vec::new();
                operand(inbound, &nodes, graph, &mut operands, 0);
                calls.push(operands);
            }
        }
        for operands in calls {
            let taken = if class == "GetItem" { picks(layer) } else { 0 };
            let made = if inner.contains_key("layers") {
                let outputs = model(layer, Some(&operands), stored, graph, depth + 1);
                graph.add(Kind::Pass, class, name, outputs, 0)
            } else if taken > 0 {
                graph.add(Kind::Pick(taken), class, name, operands, 0)
            } else {
                let of = |variable: (&str, &[&str])| stored.find(name, &place, variable);
                add(class, name, inner, operands, of, graph)
            };
            nodes.entry(name).or_default().push(made);
            chain = Some(made);
        }
    }
    if sequential {
        return chain.into_iter().collect();
    }
    outputs.iter().filter_map(|name| nodes.get(name.as_str())?.last().copied()).collect()
}

/// Adds a layer, its weights where they are known, and the activation it ends with.
fn add(
    class: &str,
    name: &str,
    config: &Map<String, Value>,
    mut operands: Vec<u32>,
    of: impl Fn((&str, &[&str])) -> Option<crate::graph::Weight>,
    graph: &mut Graph,
) -> u32 {
    let constant = |graph: &mut Graph, weight: Option<crate::graph::Weight>| {
        let node = graph.add(Kind::Constant, "weights", "", vec![], 0);
        if let Some(weight) = weight {
            graph.measured(node, weight);
        }
        node
    };
    let base = class.rsplit('>').next().unwrap_or(class);
    let mut kind = kind(class, config);
    if kind == Kind::Learned && operands.len() == 1 {
        let count = ["units", "filters"].iter().find_map(|key| config.get(*key)?.as_u64());
        let weights = of(("0", &["kernel", "embeddings", "depthwise_kernel"]));
        let node = constant(graph, weights);
        if base == "Embedding" {
            kind = Kind::Lookup;
            operands.insert(0, node);
        } else if base == "Dense" || base.starts_with("Conv") {
            kind = Kind::Weighted { narrow: count.is_some_and(|count| count <= 2) };
            operands.push(node);
        }
    } else if base.ends_with("BatchNormalization") {
        for variable in [("0", "gamma"), ("1", "beta"), ("2", "moving_mean"), ("3", "moving_variance")] {
            let node = constant(graph, of((variable.0, &[variable.1])));
            operands.push(node);
        }
    } else if base == "Rescaling" || base == "Normalization" {
        let number = |value: &Value| value.as_f64();
        let numbers = |key: &str| match config.get(key) {
            Some(Value::Array(items)) => items.iter().filter_map(number).collect(),
            Some(value) => number(value).into_iter().collect(),
            None => Vec::new(),
        };
        let scattered =
            numbers("variance").into_iter().filter(|var| *var > 0.0).map(|var| var.sqrt().recip());
        let factors: Vec<f64> = numbers("scale").into_iter().chain(scattered).collect();
        let node = constant(graph, of_numbers(&factors, &[]));
        graph.weigh(node, factors.iter().map(|factor| factor.abs()).fold(f64::NAN, f64::max));
        kind = Kind::Scale;
        operands.push(node);
    }
    let made = graph.add(kind, class, name, operands, 0);
    let activation = config.get("activation").and_then(|activation| match activation {
        Value::String(name) => Some(name.as_str()),
        other => other.get("class_name").or_else(|| other.get("config"))?.as_str(),
    });
    match activation {
        Some(bend) if base != "Activation" && base != "linear" && !matches!(bend, "linear" | "Linear") => {
            graph.add(Kind::Squash, bend, name, vec![made], 0)
        }
        _ => made,
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The names in `input_layers` and `output_layers`: `["a", 0, 0]`, a list of such, or a map.
fn ends(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => match items.first() {
            Some(Value::String(name)) => vec![name.clone()],
            _ => items.iter().flat_map(ends).collect(),
        },
        Value::Object(map) => map.values().flat_map(ends).collect(),
        _ => Vec::new(),
    }
}

fn axes(config: &Map<String, Value>) -> u8 {
    let shape = ["batch_shape", "batch_input_shape"].iter().find_map(|key| config.get(*key)?.as_array());
    shape.map_or(3, |shape| {
        shape.iter().skip(1).filter(|extent| extent.as_u64() != Some(1)).count().min(8) as u8
    })
}

/// The values a call reads, in order; numbers are constants.
fn operand(value: &Value, nodes: &HashMap<&str, Vec<u32>>, graph: &mut Graph, out: &mut Vec<u32>, depth: u8) {
    let history = |items: &[Value]| -> Option<u32> {
        let (name, call) = (items.first()?.as_str()?, items.get(1)?.as_u64()?);
        nodes.get(name)?.get(call as usize).copied()
    };
    if out.len() > 1_024 || depth > 16 {
        graph.cut = true;
        return;
    }
    match value {
        Value::Array(items) => match history(items) {
            Some(node) => {
                out.push(node);
                // Keras 2 puts further operands behind: names in the same form, numbers as they are.
                if let Some(Value::Object(more)) = items.get(3) {
                    more.values().for_each(|more| operand(more, nodes, graph, out, depth + 1));
                }
            }
            None => items.iter().for_each(|item| operand(item, nodes, graph, out, depth + 1)),
        },
        Value::Object(map) => {
            if text(value, "class_name") == "__keras_tensor__" {
                let config = map.get("config");
                let items = config.and_then(|config| config.get("keras_history")?.as_array());
                if let Some(node) = items.and_then(|items| history(items)) {
                    let shape = config.and_then(|config| config.get("shape")?.as_array());
                    if let Some(shape) = shape.filter(|shape| !shape.is_empty()) {
                        let beside = shape.iter().skip(1).filter(|extent| extent.as_u64() != Some(1));
                        graph.shaped(node, beside.count().min(8) as u8);
                    }
                    out.push(node);
                }
            } else if text(value, "class_name").contains("tensor") || text(value, "class_name") == "__numpy__"
            {
                let node = graph.add(Kind::Constant, "constant", "", vec![], 0);
                let mut numbers = Vec::new();
                if let Some(value) = map.get("config").and_then(|config| config.get("value")) {
                    written(value, &mut numbers, 0);
                }
                if let Some(weight) = of_numbers(&numbers, &[]) {
                    graph.weigh(node, weight.largest);
                    graph.measured(node, weight);
                }
                out.push(node);
            } else if map.contains_key("args") {
                map.values().for_each(|inner| operand(inner, nodes, graph, out, depth + 1));
            } else {
                map.values().filter(|inner| !inner.is_string()).for_each(|inner| {
                    operand(inner, nodes, graph, out, depth + 1);
                });
            }
        }
        Value::Number(number) => {
            let node = graph.add(Kind::Constant, "constant", "", vec![], 0);
            let number = number.as_f64().unwrap_or(f64::NAN).abs();
            graph.weigh(node, number);
            if let Some(weight) = of_numbers(&[number], &[]) {
                graph.measured(node, weight);
            }
            out.push(node);
        }
        _ => {}
    }
}

/// Axes of which an item takes one position: `x[:, 3]` is a slice and a number.
fn picks(layer: &Value) -> u8 {
    let calls = layer.get("inbound_nodes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let key = |call: &Value| {
        let taken = match call.get("args")?.get(1)? {
            Value::Array(parts) => parts.iter().filter(|part| part.is_i64() || part.is_u64()).count(),
            Value::Number(_) => 1,
            _ => 0,
        };
        Some(taken.min(8) as u8)
    };
    // The fewest of all calls.
    calls.iter().map(|call| key(call).unwrap_or(0)).min().unwrap_or(0)
}

/// The numbers of a constant tensor that is written out, as far as they are a few.
fn written(value: &Value, into: &mut Vec<f64>, depth: u8) {
    match value {
        Value::Number(number) if into.len() < 4_096 => into.extend(number.as_f64()),
        Value::Array(items) if depth < 8 => items.iter().for_each(|item| written(item, into, depth + 1)),
        _ => {}
    }
}

/// The kind of a layer or an operation.
fn kind(class: &str, config: &Map<String, Value>) -> Kind {
    let class = class.rsplit('>').next().unwrap_or(class);
    // Operations of TensorFlow carry their function by name.
    let operation = config.get("function").and_then(Value::as_str).filter(|_| class.ends_with("OpLambda"));
    let name = operation.map_or(class, |name| name.rsplit('.').next().unwrap_or(name));
    let axis = || match config.get("axis").or_else(|| config.get("axes")) {
        Some(Value::Array(axes)) => Some(axes.len().min(8) as u8),
        Some(Value::Number(_)) => Some(1),
        _ => None,
    };
    let learned = ["Dense", "Conv", "LSTM", "GRU", "RNN", "Embedding", "Attention", "Bidirectional", "Local"];
    let lower = name.to_ascii_lowercase();
    if learned.iter().any(|word| name.contains(word)) || name == "TimeDistributed" {
        return Kind::Learned;
    }
    match lower.as_str() {
        "greater"
        | "greaterequal"
        | "less"
        | "lessequal"
        | "equal"
        | "notequal"
        | "greater_equal"
        | "less_equal"
        | "not_equal"
        | "sign"
        | "isnan"
        | "isinf"
        | "isfinite"
        | "onehot"
        | "categoryencoding"
        | "discretization"
        | "hashing"
        | "hashedcrossing"
        | "stringlookup"
        | "integerlookup"
        | "textvectorization"
        | "logicaland"
        | "logicalor"
        | "logicalnot"
        | "logical_and"
        | "logical_or"
        | "logical_not"
        | "bincount"
        | "searchsorted"
        | "one_hot"
        | "isclose"
        | "isin"
        | "digitize"
        | "bucketize"
        | "logical_xor"
        | "logicalxor"
        | "bitwise_and"
        | "bitwise_or"
        | "bitwise_xor"
        | "bitwiseand"
        | "bitwiseor"
        | "bitwisexor"
        | "signbit"
        | "intopk"
        | "in_top_k"
        | "regex_full_match"
        | "string_to_hash_bucket_fast" => Kind::Compare,
        "sum"
        | "mean"
        | "var"
        | "std"
        | "reduce_sum"
        | "reduce_mean"
        | "norm"
        | "countnonzero"
        | "count_nonzero"
        | "nanmean"
        | "nansum"
        | "median"
        | "quantile"
        | "logsumexp"
        | "reduce_logsumexp"
        | "reduce_std"
        | "reduce_variance"
        | "reduce_euclidean_norm" => Kind::Sum(axis()),
        "topk" | "top_k" => Kind::Extreme(Some(1)),
        "einsum" | "matmul" | "dot" | "tensordot" => Kind::Weighted { narrow: false },
        "nonzero" | "unique" | "boolean_mask" | "dynamic_partition" => Kind::Count,
        "take" | "takealongaxis" | "take_along_axis" | "gather" | "gather_nd" | "gather_v2" => Kind::Lookup,
        "split" | "unstack" | "arraysplit" => Kind::Part,
        "argmax" | "argmin" => Kind::Sum(Some(1)),
        "max" | "min" | "amax" | "amin" | "all" | "any" | "prod" | "reduce_max" | "reduce_min"
        | "reduce_all" | "reduce_any" | "reduce_prod" => Kind::Extreme(axis()),
        "exp" | "expm1" | "exponential" | "reciprocal" | "rsqrt" | "softplus" => Kind::Bump,
        "where" | "where_v2" | "select" => Kind::Select,
        "cond" | "switch" | "case" | "switch_case" => Kind::Branch,
        "multiply" | "divide" | "truedivide" | "true_divide" | "power" | "truediv" | "pow" => Kind::Scale,
        "add"
        | "subtract"
        | "maximum"
        | "minimum"
        | "average"
        | "__operators__.add"
        | "sub"
        | "addn"
        | "add_n"
        | "logaddexp"
        | "scatter"
        | "scatterupdate"
        | "scatter_update"
        | "scatter_nd"
        | "sliceupdate"
        | "slice_update"
        | "tensor_scatter_nd_update"
        | "tensor_scatter_nd_add" => Kind::Combine,
        "concatenate" | "concat" | "stack" | "hstack" | "vstack" => Kind::Concat,
        "sigmoid" | "relu" | "tanh" | "hardsigmoid" | "hard_sigmoid" | "clip" | "clip_by_value" | "floor"
        | "ceil" | "round" | "softsign" | "step" | "softmax" | "relu6" | "leakyrelu" | "leaky_relu"
        | "prelu" | "thresholdedrelu" | "elu" | "selu" | "silu" | "gelu" | "mod" | "floordivide"
        | "floor_divide" | "remainder" | "floormod" | "floordiv" | "hardtanh" | "hard_tanh"
        | "hardshrink" | "hard_shrink" | "softshrink" | "soft_shrink" | "hardsilu" | "hard_silu"
        | "threshold" | "sparsemax" | "logsoftmax" | "log_softmax" | "trunc" | "fix" | "rint" | "celu"
        | "erf" => Kind::Squash,
        "activation" => match config.get("activation").and_then(Value::as_str) {
            Some("sigmoid" | "relu" | "tanh" | "hard_sigmoid" | "relu6" | "softmax" | "elu") => Kind::Squash,
            _ => Kind::Pass,
        },
        "flatten"
        | "globalaveragepooling2d"
        | "globalmaxpooling2d"
        | "globalaveragepooling1d"
        | "globalmaxpooling1d"
        | "globalaveragepooling3d"
        | "globalmaxpooling3d" => Kind::Reshape(1),
        "shape" | "size" => Kind::Shape,
        _ => Kind::Pass,
    }
}
