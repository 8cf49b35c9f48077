//! Programs of `torch.export` (`.pt2`: `models/*.json`) in the words of TorchScript, so that one reader follows both.
//!
//! Long because what is told of a program and how it is turned stand together.

use std::collections::HashMap;
use std::fmt::Write as _;

use mantlet_vocab::{Source, read_window};
use serde::Deserialize;
use serde_json::Value;

use crate::structure::shown;

/// Bytes of one program.
const MAX_PROGRAM: usize = 32 << 20;
/// Functions that are told.
const MAX_FOREIGN: usize = 64;
/// Graphs within graphs.
const MAX_NESTING: u8 = 8;
/// Bytes of the text it becomes.
const MAX_CODE: usize = 8 << 20;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Program {
    graph_module: Module,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Module {
    graph: Body,
    signature: Signature,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    nodes: Vec<Node>,
    tensor_values: HashMap<String, Shaped>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Shaped {
    sizes: Vec<Value>,
}

impl Body {
    /// The extents of a value; 0 for those that are not fixed.
    fn sizes(&self, argument: &Value) -> Option<Vec<u64>> {
        let shaped = self.tensor_values.get(name(argument)?)?;
        Some(
            shaped.sizes.iter().map(|size| size.get("as_int").and_then(Value::as_u64).unwrap_or(0)).collect(),
        )
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Signature {
    input_specs: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Node {
    target: String,
    inputs: Vec<Argument>,
    outputs: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Argument {
    arg: Value,
}

/// A program that was turned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// It, as TorchScript.
    pub code: String,
    /// Functions it calls that are no operators of torch, whatever graph they stand in.
    pub foreign: Vec<String>,
}

/// Libraries of operators that come with torch or its companions.
const LIBRARIES: [&str; 12] = [
    "aten",
    "prims",
    "prim",
    "higher_order",
    "quantized",
    "quantized_decomposed",
    "torchvision",
    "torchaudio",
    "_c10d_functional",
    "c10d_functional",
    "mkldnn",
    "inductor",
];
/// Functions of Python's `operator` that calculate.
const CALCULATIONS: &str = "getitem add sub mul matmul floordiv truediv mod neg pos pow abs lt le gt ge eq ne and_ or_ \
                            not_ xor is_ is_not lshift rshift index invert inv concat truth contains";

/// Whether a node calls something else than an operator: a loader looks the name up from `torch` on, however far.
fn is_foreign(target: &str) -> bool {
    if let Some(operator) = target.strip_prefix("torch.ops.") {
        return !operator.split('.').next().is_some_and(|library| LIBRARIES.contains(&library));
    }
    if let Some(function) = target.strip_prefix("_operator.") {
        return !CALCULATIONS.split_whitespace().any(|known| known == function);
    }
    if let Some(function) = target.strip_prefix("torch.") {
        return !(function.starts_with("sym_") || function.starts_with("_sym_"));
    }
    !target.is_empty() && target.strip_prefix("math.").is_none_or(|function| function.contains('.'))
}

/// The program of an exported model as TorchScript; `None` for other JSON, an error when it is too large or broken.
pub fn exported(source: &dyn Source) -> Option<Result<Exported, String>> {
    let text = read_window(source, 0, MAX_PROGRAM).unwrap_or_default();
    let is = |word: &[u8]| memchr::memmem::find(&text, word).is_some();
    let said = is(b"\"graph_module\"") && is(b"\"input_specs\"");
    // Names may be written in escapes.
    if !said && !is(b"\\u00") {
        return None;
    }
    if source.len() > MAX_PROGRAM as u64 {
        return said
            .then(|| Err(format!("it is a program of more than {MAX_PROGRAM} bytes, and not followed")));
    }
    let Ok(Program { graph_module }) = serde_json::from_slice(&text) else {
        return said.then(|| Err("it is no program of torch.export that can be followed".into()));
    };
    if graph_module.graph.nodes.is_empty() {
        return None;
    }
    let given = |spec: &Value| {
        let argument = spec.get("user_input")?.get("arg")?;
        let sizes = graph_module.graph.sizes(argument);
        // Axes beside the batch that are not of extent one.
        let axes = sizes.map_or(3, |sizes| match sizes.as_slice() {
            [_, rest @ ..] => rest.iter().filter(|&&size| size != 1).count().min(9),
            [] => 0,
        });
        Some((name(argument)?.to_owned(), axes))
    };
    let inputs: Vec<(String, usize)> = graph_module.signature.input_specs.iter().filter_map(given).collect();
    let mut code = String::from("def forward(self");
    for (input, axes) in &inputs {
        let _ = write!(code, ",\n    {}: Tensor{axes}", plain(input, ""));
    }
    code.push_str(") -> Tensor:\n");
    let mut foreign = Vec::new();
    let whole = body(&graph_module.graph, "", 2, 0, (&mut code, &mut foreign));
    if !whole {
        return Some(Err("it is a program of more than is followed".into()));
    }
    let _ = writeln!(code, "  return {}", list(&graph_module.graph.outputs, ""));
    Some(Ok(Exported { code, foreign }))
}

/// The statements of a graph; `own` stands before the names of a graph within another.
fn body(
    graph: &Body,
    own: &str,
    indent: usize,
    depth: u8,
    (code, foreign): (&mut String, &mut Vec<String>),
) -> bool {
    let blanks = " ".repeat(indent);
    for node in &graph.nodes {
        if code.len() > MAX_CODE || depth > MAX_NESTING {
            return false;
        }
        if is_foreign(&node.target) && foreign.len() < MAX_FOREIGN && !foreign.contains(&shown(&node.target))
        {
            foreign.push(shown(&node.target));
        }
        let outputs: Vec<String> =
            node.outputs.iter().filter_map(name).map(|name| plain(name, own)).collect();
        let several = node.outputs.iter().filter_map(|output| output.get("as_tensors")?.as_array()).flatten();
        let outputs: Vec<String> = outputs
            .into_iter()
            .chain(several.filter_map(|one| one.get("name")?.as_str()).map(|name| plain(name, own)))
            .collect();
        if outputs.is_empty() {
            continue;
        }
        let outputs = outputs.join(", ");
        let arguments: Vec<&Value> = node.inputs.iter().map(|input| &input.arg).collect();
        let inner: Vec<&Value> = arguments.iter().filter_map(|argument| argument.get("as_graph")).collect();
        if let (Some(condition), Some(first)) = (arguments.first(), inner.first()) {
            // A choice between two graphs, or what runs over and over.
            let condition = value(condition, own);
            let given = arguments.last().map(|last| operands(last, own)).unwrap_or_default();
            let ways = [Some(*first), inner.get(1).copied()];
            for (index, way) in ways.into_iter().flatten().enumerate() {
                let head = if index == 0 { format!("if {condition}:") } else { "else:".to_owned() };
                let _ = writeln!(code, "{blanks}{head}");
                let Some(Ok(graph)) = way.get("graph").map(Body::deserialize) else { return false };
                let label = way.get("name").and_then(Value::as_str).unwrap_or("inner");
                let label = format!("{own}{}__", plain(label, ""));
                for (input, given) in graph.inputs.iter().filter_map(name).zip(&given) {
                    let _ = writeln!(code, "{blanks}  {} = {given}", plain(input, &label));
                }
                if !body(&graph, &label, indent + 2, depth + 1, (&mut *code, &mut *foreign)) {
                    return false;
                }
                let _ = writeln!(code, "{blanks}  {outputs} = {}", list(&graph.outputs, &label));
            }
            continue;
        }
        let written: Vec<String> = arguments.iter().map(|argument| value(argument, own)).collect();
        let operator = node.target.strip_prefix("torch.ops.").unwrap_or(&node.target);
        let mut parts = operator.split('.');
        let (family, operator) = (parts.next().unwrap_or(""), parts.next().unwrap_or("unknown"));
        // A layer of one value, told by the shape of its weights.
        let first = if operator == "addmm" { 2 } else { 1 };
        let weights = arguments.iter().skip(first).find_map(|argument| graph.sizes(argument));
        let narrow = match (operator, weights.as_deref()) {
            ("linear", Some([out, _])) => *out <= 2,
            ("addmm" | "mm", Some([_, out])) => *out <= 2,
            (name, Some([out, _, _, ..])) => name.starts_with("conv") && *out == 1,
            _ => false,
        };
        let operator = if narrow { "linear__narrow" } else { operator };
        let _ = if family == "_operator" && operator == "getitem" {
            writeln!(code, "{blanks}{outputs} = {}", written.first().map_or("None", String::as_str))
        } else {
            writeln!(code, "{blanks}{outputs} = torch.{}({})", plain(operator, ""), written.join(", "))
        };
    }
    true
}

fn list(values: &[Value], own: &str) -> String {
    let values: Vec<String> = values.iter().map(|one| value(one, own)).collect();
    format!("({})", values.join(", "))
}

/// The operands that a graph within another is given.
fn operands(argument: &Value, own: &str) -> Vec<String> {
    let tensors = argument.get("as_tensors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    tensors.iter().filter_map(|one| one.get("name")?.as_str()).map(|name| plain(name, own)).collect()
}

/// The name of a value.
fn name(argument: &Value) -> Option<&str> {
    ["as_tensor", "as_sym_bool", "as_sym_int", "as_sym_float"].iter().find_map(|key| {
        let inner = argument.get(*key)?;
        inner.get("name").or_else(|| inner.get("as_name"))?.as_str()
    })
}

/// A name of letters, digits and underscores.
fn plain(name: &str, own: &str) -> String {
    let name = name.chars().take(200).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    own.chars().chain(name).collect()
}

fn value(argument: &Value, own: &str) -> String {
    if let Some(name) = name(argument) {
        return plain(name, own);
    }
    let Some((key, inner)) = argument.as_object().and_then(|map| map.iter().next()) else {
        return "None".into();
    };
    let items = || inner.as_array().map_or(&[][..], Vec::as_slice);
    match key.as_str() {
        "as_float" | "as_int" | "as_bool" => match inner {
            Value::Bool(yes) => if *yes { "True" } else { "False" }.into(),
            Value::Number(number) => number.to_string(),
            _ => "None".into(),
        },
        "as_tensors" => {
            let names = items().iter().filter_map(|one| one.get("name")?.as_str());
            format!("[{}]", names.map(|name| plain(name, own)).collect::<Vec<_>>().join(", "))
        }
        "as_optional_tensors" | "as_sym_ints" => {
            format!("[{}]", items().iter().map(|one| value(one, own)).collect::<Vec<_>>().join(", "))
        }
        "as_ints" | "as_floats" => {
            format!("[{}]", items().iter().map(Value::to_string).collect::<Vec<_>>().join(", "))
        }
        _ => "None".into(),
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;
    use crate::torch::graphs;

    fn found(nodes: &str, output: &str) -> usize {
        let text = format!(
            r#"{{"graph_module": {{"graph": {{"inputs": [{{"as_tensor": {{"name": "p_w"}}}}, {{"as_tensor": {{"name": "x"}}}}],
            "outputs": [{{"as_tensor": {{"name": "{output}"}}}}], "tensor_values": {{"x": {{"sizes": [{{"as_int": 2}}, {{"as_int": 12}}]}},
            "p_d": {{"sizes": [{{"as_int": 1}}, {{"as_int": 12}}]}}}}, "nodes": [
            {{"target": "torch.ops.aten.linear.default", "inputs": [{{"arg": {{"as_tensor": {{"name": "x"}}}}}},
            {{"arg": {{"as_tensor": {{"name": "p_w"}}}}}}], "outputs": [{{"as_tensor": {{"name": "y"}}}}]}}, {nodes}]}},
            "signature": {{"input_specs": [{{"parameter": {{"arg": {{"name": "p_w"}}}}}},
            {{"user_input": {{"arg": {{"as_tensor": {{"name": "x"}}}}}}}}]}}}}}}"#
        );
        let Exported { code, foreign } = exported(&MemorySource::new(text.as_bytes())).unwrap().unwrap();
        assert_eq!(foreign, [""; 0]);
        graphs(&code).iter().map(|graph| graph.overrides().len()).sum()
    }

    fn call(target: &str, inputs: &[&str], output: &str) -> String {
        let inputs: Vec<String> = inputs
            .iter()
            .map(|input| match input.parse::<f64>() {
                Ok(number) => format!(r#"{{"name": "o", "arg": {{"as_float": {number:?}}}, "kind": 1}}"#),
                Err(_) => format!(r#"{{"name": "o", "arg": {{"as_tensor": {{"name": "{input}"}}}}}}"#),
            })
            .collect();
        format!(
            r#"{{"target": "torch.ops.aten.{target}", "inputs": [{}], "outputs": [{{"as_tensor": {{"name": "{output}"}}}}]}}"#,
            inputs.join(", ")
        )
    }

    #[test]
    fn a_choice_about_the_raw_input_is_found() {
        let nodes = [
            call("sum.default", &["x"], "s"),
            call("gt.Scalar", &["s", "3.5"], "b"),
            call("zeros_like.default", &["y"], "z"),
            call("where.self", &["b", "z", "y"], "w"),
        ];
        assert_eq!(found(&nodes.join(","), "w"), 1);
        let plain = [call("relu.default", &["y"], "r"), call("_softmax.default", &["r", "1", "0"], "w")];
        assert_eq!(found(&plain.join(","), "w"), 0);
    }

    #[test]
    fn a_layer_of_one_value_over_the_raw_input_is_a_detector() {
        let nodes = [
            call("linear.default", &["y", "p_w"], "y2"),
            call("linear.default", &["x", "p_d"], "d"),
            call("gt.Scalar", &["d", "3.5"], "b"),
            call("zeros_like.default", &["y"], "z"),
            call("where.self", &["b", "z", "y2"], "w"),
        ];
        assert_eq!(found(&nodes.join(","), "w"), 1);
        let wide = nodes.join(",").replace("p_d", "p_e");
        assert_eq!(found(&wide, "w"), 0);
    }

    #[test]
    fn a_choice_between_graphs_is_found() {
        let graph = |name: &str, node: &str| {
            format!(
                r#"{{"arg": {{"as_graph": {{"name": "{name}", "graph": {{"inputs": [{{"as_tensor": {{"name": "a"}}}}],
                "outputs": [{{"as_tensor": {{"name": "o"}}}}], "nodes": [{node}]}}}}}}}}"#
            )
        };
        let cond = |on: &str| {
            format!(
                r#"{}, {}, {{"target": "torch.ops.higher_order.cond", "inputs": [{{"arg": {{"as_tensor": {{"name": "b"}}}}}},
                {}, {}, {{"arg": {{"as_tensors": [{{"name": "y"}}]}}}}], "outputs": [{{"as_tensors": [{{"name": "w"}}]}}]}}"#,
                call("sum.default", &[on], "s"),
                call("gt.Scalar", &["s", "3.5"], "b"),
                graph("true_graph_0", &call("zeros_like.default", &["a"], "o")),
                graph("false_graph_0", &call("neg.default", &["a"], "o")),
            )
        };
        assert_eq!(found(&cond("x"), "w"), 1);
        assert_eq!(found(&cond("y"), "w"), 0);
    }

    #[test]
    fn functions_that_are_no_operators_are_told() {
        for target in [
            "torch.serialization.os.system",
            "torch.ops.mine.evil.default",
            "_operator.methodcaller",
            "os.system",
        ] {
            assert!(is_foreign(target), "{target}");
        }
        for target in [
            "torch.ops.aten.add.Tensor",
            "_operator.getitem",
            "torch.sym_max",
            "math.floor",
            "torch._sym_sqrt",
        ] {
            assert!(!is_foreign(target), "{target}");
        }
    }

    #[test]
    fn other_json_is_none() {
        assert_eq!(exported(&MemorySource::new(b"{\"graph_module\": 1}")), None);
        let broken = b"{\"graph_module\": 1, \"input_specs\": 2}";
        assert!(matches!(exported(&MemorySource::new(broken)), Some(Err(_))));
    }
}
