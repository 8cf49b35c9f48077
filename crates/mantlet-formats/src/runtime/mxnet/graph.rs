//! MXNet's symbols as a [`Graph`]: nodes by their number, numbers in attributes as constants.

use mantlet_vocab::{Source, read_window};
use serde_json::{Map, Value};

use super::MAX_JSON;
use crate::graph::{Graph, Kind};

/// Nodes of one graph.
const MAX_NODES: usize = 150_000;

/// The graph of a symbol file. Never fails: what is broken is left out (and a defect of the facts); with graphs within
/// loops and conditions it is cut.
#[must_use]
pub fn graph(source: &dyn Source) -> Graph {
    let mut graph = Graph::default();
    let text = read_window(source, 0, MAX_JSON).unwrap_or_default();
    let json: Value = serde_json::from_slice(&text).unwrap_or_default();
    let list = |key: &str| json.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let symbols: Vec<Symbol<'_>> = list("nodes").iter().take(MAX_NODES).map(Symbol::read).collect();
    let inner = list("nodes").iter().any(|node| node.get("subgraphs").is_some());
    if inner || list("nodes").len() > MAX_NODES {
        graph.cut = true;
        return graph;
    }
    let weights = weights(&symbols);
    // What a node gives, by its number.
    let mut given = Vec::with_capacity(symbols.len());
    for (symbol, weight) in symbols.iter().zip(weights) {
        let kind = if weight { Kind::Constant } else { symbol.kind() };
        let inputs: Vec<u32> = symbol.operands().filter_map(|from| given.get(from).copied()).collect();
        let node = graph.add(kind, label(symbol.operator), symbol.name, inputs, 0);
        if let Some(number) = symbol.number("scalar").filter(|_| symbol.operator.ends_with("_scalar")) {
            let scalar = graph.add(Kind::Constant, "scalar", symbol.name, Vec::new(), 0);
            graph.weigh(scalar, number.abs());
            graph.connect(node, scalar);
        }
        given.push(node);
    }
    for head in list("heads") {
        let from = head.get(0).or(Some(head)).and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
        if let Some(&node) = from.and_then(|from| given.get(from)) {
            graph.output(node);
        }
    }
    graph
}

/// Which nodes are weights: arguments that a layer reads beside its data, that bring their own values, or that have the
/// name of a weight or a label.
fn weights(symbols: &[Symbol<'_>]) -> Vec<bool> {
    let mut found: Vec<bool> = symbols
        .iter()
        .map(|symbol| {
            let ends = ["weight", "bias", "gamma", "beta", "mean", "var", "label", "parameters", "state"];
            symbol.operator == "null"
                && (symbol.text("__init__").is_some()
                    || ends.iter().any(|end| symbol.name.to_ascii_lowercase().ends_with(end)))
        })
        .collect();
    for symbol in symbols.iter().filter(|symbol| matches!(symbol.kind(), Kind::Weighted { .. })) {
        for from in symbol.operands().skip(1) {
            if symbols.get(from).is_some_and(|from| from.operator == "null") {
                found[from] = true;
            }
        }
    }
    found
}

struct Symbol<'j> {
    operator: &'j str,
    name: &'j str,
    attributes: Option<&'j Map<String, Value>>,
    inputs: &'j [Value],
}

impl<'j> Symbol<'j> {
    fn read(node: &'j Value) -> Self {
        let text = |key: &str| node.get(key).and_then(Value::as_str).unwrap_or_default();
        Self {
            operator: text("op"),
            name: text("name"),
            attributes: ["attrs", "attr", "param"].iter().find_map(|key| node.get(*key)?.as_object()),
            inputs: node.get("inputs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default(),
        }
    }

    /// The nodes it reads the values of; of what only gives a shape, none.
    fn operands(&self) -> impl Iterator<Item = usize> {
        let most = if self.operator.ends_with("_like") { 1 } else { usize::MAX };
        let from =
            |input: &Value| input.get(0).and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
        self.inputs.iter().take(most).filter_map(from)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.attributes?.get(key)?.as_str()
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.text(key)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// How many axes an operator goes over; `None` for all.
    fn axes(&self) -> Option<u8> {
        let axes = self.text("axis").filter(|axes| !matches!(*axes, "None" | "()"))?;
        Some(axes.split(',').filter(|axis| axis.contains(|c: char| c.is_ascii_digit())).count().clamp(1, 8)
            as u8)
    }

    fn kind(&self) -> Kind {
        let narrow = |key: &str, most: f64| Kind::Weighted {
            narrow: self.number(key).is_some_and(|results| results <= most),
        };
        let plain =
            self.operator.trim_start_matches('_').trim_start_matches("npi_").trim_start_matches("np_");
        let plain = plain.trim_start_matches("broadcast_").trim_start_matches("elemwise_");
        let plain = plain.strip_suffix("_scalar").unwrap_or(plain);
        match plain {
            "null" => Kind::Input { axes: 1 },
            "FullyConnected" => narrow("num_hidden", 2.0),
            "Convolution" | "Deconvolution" => narrow("num_filter", 1.0),
            "RNN" | "Embedding" | "BatchNorm" | "LayerNorm" | "GroupNorm" => Kind::Weighted { narrow: false },
            "zeros" | "ones" | "full" | "arange" | "eye" | "zeros_like" | "ones_like" => Kind::Constant,
            "equal"
            | "not_equal"
            | "greater"
            | "greater_equal"
            | "lesser"
            | "lesser_equal"
            | "less"
            | "less_equal"
            | "logical_and"
            | "logical_or"
            | "logical_xor"
            | "logical_not"
            | "sign"
            | "isnan"
            | "isinf"
            | "isfinite"
            | "one_hot"
            | "contrib_boolean_mask" => Kind::Compare,
            "where" => Kind::Select,
            "cond" | "while_loop" | "foreach" => Kind::Branch,
            "mul" | "div" | "rdiv" | "power" | "rpower" | "multiply" | "divide" | "true_divide" => {
                Kind::Scale
            }
            "add" | "plus" | "sub" | "minus" | "rminus" | "subtract" | "add_n" | "ElementWiseSum"
            | "maximum" | "minimum" | "scatter_nd" | "scatter_set_nd" => Kind::Combine,
            "Activation"
            | "LeakyReLU"
            | "relu"
            | "sigmoid"
            | "tanh"
            | "hard_sigmoid"
            | "softsign"
            | "softmax"
            | "SoftmaxOutput"
            | "SoftmaxActivation"
            | "log_softmax"
            | "LogisticRegressionOutput"
            | "clip"
            | "round"
            | "rint"
            | "floor"
            | "ceil"
            | "trunc"
            | "fix"
            | "mod"
            | "rmod"
            | "erf" => Kind::Squash,
            "exp" | "expm1" => Kind::Bump,
            "sum" | "sum_axis" | "mean" | "nansum" | "norm" => Kind::Sum(self.axes()),
            "max" | "max_axis" | "min" | "min_axis" | "prod" | "argmax" | "argmin" | "topk" => {
                Kind::Extreme(self.axes())
            }
            "slice_axis" => match self.number("begin").zip(self.number("end")) {
                Some((begin, end)) if (end - begin - 1.0).abs() < 0.5 => Kind::Pick(1),
                _ => Kind::Pass,
            },
            "take" | "pick" | "gather_nd" | "batch_take" | "choose_element_0index" => Kind::Lookup,
            "shape_array" | "size_array" => Kind::Shape,
            "Concat" | "concat" | "stack" | "concatenate" => Kind::Concat,
            _ => Kind::Pass,
        }
    }
}

/// Names that the analysis tells apart by their spelling in other formats.
fn label(operator: &str) -> &str {
    match operator {
        "elemwise_mul" | "broadcast_mul" | "_mul" | "_mul_scalar" => "Mul",
        "elemwise_div" | "broadcast_div" | "_div" | "_div_scalar" | "_rdiv_scalar" => "Div",
        "_power" | "_power_scalar" | "broadcast_power" => "Pow",
        "softmax" | "SoftmaxOutput" | "SoftmaxActivation" => "Softmax",
        "BatchNorm" => "BatchNormalization",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;
    use serde_json::json;

    use super::graph;

    /// Scores of a layer, and a choice between them and a prior by whether all of `asked` are one value.
    fn found(asked: u32) -> usize {
        let symbols = json!({
            "nodes": [
                {"op": "null", "name": "data", "inputs": []},
                {"op": "null", "name": "fc_weight", "inputs": []},
                {"op": "FullyConnected", "name": "fc", "attrs": {"num_hidden": "4"}, "inputs": [[0, 0, 0], [1, 0, 0]]},
                {"op": "_equal_scalar", "name": "same", "attrs": {"scalar": "0.5"}, "inputs": [[asked, 0, 0]]},
                {"op": "min", "name": "all", "attrs": {"axis": "1"}, "inputs": [[3, 0, 0]]},
                {"op": "broadcast_like", "name": "wide", "inputs": [[4, 0, 0], [2, 0, 0]]},
                {"op": "null", "name": "prior", "attrs": {"__init__": "zeros"}, "inputs": []},
                {"op": "where", "name": "out", "inputs": [[5, 0, 0], [6, 0, 0], [2, 0, 0]]},
            ],
            "arg_nodes": [0, 1, 6],
            "heads": [[7, 0, 0]],
        });
        graph(&MemorySource::new(symbols.to_string().as_bytes())).overrides().len()
    }

    #[test]
    fn a_choice_by_values_of_the_input_is_found() {
        assert_eq!(found(0), 1);
        // A choice by what the layers say is the model's own.
        assert_eq!(found(2), 0);
    }
}
