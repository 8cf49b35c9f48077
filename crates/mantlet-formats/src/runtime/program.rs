//! The programs of Paddle and of Core ML (MIL) as a [`Graph`]: lists of operators that name what they read and write.
//!
//! Long because three forms share one list of operators, and each has its test.

use std::collections::{HashMap, HashSet};

use mantlet_vocab::{Source, read_window};
use serde_json::Value as Json;

use super::mil;
use crate::graph::{Graph, Kind, weight};
use crate::proto::{Fields, Value, numbers, text};
use crate::torch;
use crate::window::Window;

/// Operators of one program, names of one operator, and blocks within blocks.
const MAX_OPERATORS: usize = 100_000;
const MAX_NAMES: usize = 1_024;
const MAX_NESTING: u8 = 16;
/// Bytes of a program in JSON.
const MAX_JSON: usize = 16 << 20;

struct Program<'a> {
    source: &'a dyn Source,
    /// The file of weights beside a program of Core ML.
    weights: Option<&'a dyn Source>,
    /// Numbers of constants that may still be measured.
    budget: u64,
    window: Window<'a>,
    graph: Graph,
    /// What each name stands for.
    names: HashMap<String, u32>,
    /// Values that something reads.
    read: HashSet<u32>,
    operators: usize,
    /// Outputs were named.
    ended: bool,
}

/// An operator: what it is, what it reads and writes by name, and over how many axes it goes.
#[derive(Default)]
struct Operator {
    kind: String,
    reads: Vec<String>,
    writes: Vec<String>,
    axes: Option<u8>,
    /// The block that runs in its place.
    block: Option<u64>,
    at: u64,
}

/// The name an operator has in torch.
fn translated(name: &str) -> &str {
    let name = name.strip_suffix("_v2").or_else(|| name.strip_suffix('2')).unwrap_or(name);
    let name = name.trim_end_matches('_');
    let name = ["elementwise_", "reduce_"].iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name);
    match name {
        "greater" | "greater_than" => "gt",
        "greater_equal" => "ge",
        "less" | "less_than" => "lt",
        "less_equal" => "le",
        "equal" => "eq",
        "not_equal" => "ne",
        "conv" | "conv2d" | "depthwise_conv2d" | "conv2d_fusion" | "fused_conv2d_add_act" => "conv2d",
        "conv_transpose" | "conv2d_transpose" => "conv_transpose2d",
        "lookup_table" | "embedding" => "embedding",
        "fc" | "linear" | "inner_product" => "linear",
        "real_div" | "divide" => "div",
        "multiply" => "mul",
        "subtract" => "sub",
        "select" | "where" => "where",
        "arg_max" | "reduce_argmax" => "argmax",
        "arg_min" | "reduce_argmin" => "argmin",
        "hard_sigmoid" | "sigmoid_hard" => "hardsigmoid",
        "hard_swish" => "hardswish",
        "top_k" | "topk" => "topk",
        "clip" => "clamp",
        "concat" => "cat",
        "gather_nd" | "gather_along_axis" => "gather",
        "non_zero" | "where_index" => "nonzero",
        "logical_and" => "logical_and",
        other => other,
    }
}

impl<'a> Program<'a> {
    fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            weights: None,
            budget: weight::BUDGET,
            window: Window::new(source, 0),
            graph: Graph::default(),
            names: HashMap::new(),
            read: HashSet::new(),
            operators: 0,
            ended: false,
        }
    }

    fn all(&mut self, (start, end): (u64, u64), number: u64) -> Vec<(u64, u64)> {
        let (mut found, mut fields) = (Vec::new(), Fields::new(start, end));
        while let Some(field) = fields.next(&mut self.window) {
            if found.len() >= MAX_OPERATORS {
                self.graph.cut = true;
                break;
            }
            found.extend(field.bytes().filter(|_| field.number == number));
        }
        self.graph.cut |= fields.broken.is_some();
        found
    }

    fn first(&mut self, span: (u64, u64), number: u64) -> Option<(u64, u64)> {
        self.all(span, number).into_iter().next()
    }

    fn text(&mut self, span: Option<(u64, u64)>) -> String {
        span.map(|(start, end)| text(&mut self.window, start, end)).unwrap_or_default()
    }

    fn input(&mut self, name: String) {
        self.input_of(name, 3);
    }

    fn input_of(&mut self, name: String, axes: u8) {
        let node = self.graph.add(Kind::Input { axes }, "input", &name, Vec::new(), 0);
        self.names.insert(name, node);
    }

    /// Axes beside the batch that are neither of extent one nor missing, where a named value of Core ML says its shape.
    fn extent(&mut self, named: (u64, u64)) -> Option<u8> {
        let kind = self.first(named, 2)?;
        let tensor = self.first(kind, 1)?;
        let mut axes = 0_u8;
        for dimension in self.all(tensor, 3).into_iter().skip(1).take(16) {
            let size = match self.first(dimension, 1) {
                Some((start, end)) => {
                    let mut fields = Fields::new(start, end);
                    fields.next(&mut self.window).map(|field| field.value)
                }
                None => None,
            };
            axes += u8::from(!matches!(size, Some(Value::Number(1))));
        }
        Some(axes)
    }

    /// Values by their names; what nobody wrote is a weight.
    fn values(&mut self, names: &[String]) -> Vec<u32> {
        let mut values = Vec::new();
        for name in names {
            let value = match self.names.get(name) {
                Some(&value) => value,
                None => {
                    let value = self.graph.add(Kind::Constant, "constant", name, Vec::new(), 0);
                    self.names.insert(name.clone(), value);
                    value
                }
            };
            self.read.insert(value);
            values.push(value);
        }
        values
    }

    /// Adds an operator and gives its value.
    fn add(&mut self, operator: &Operator) -> u32 {
        let values = self.values(&operator.reads);
        let name = translated(&operator.kind);
        let kind = match operator.kind.as_str() {
            "const" | "fill_constant" | "assign_value" | "full" | "full_int_array" => Kind::Constant,
            "cond" | "select_input" | "while" | "while_loop" => Kind::Branch,
            // Of several at once, all are put together.
            "sum" if operator.axes.is_none() && values.len() > 1 => Kind::Combine,
            _ => torch::kind(name, if operator.axes.is_some() { 2 } else { 1 }, operator.axes),
        };
        let values = if kind == Kind::Constant { Vec::new() } else { values };
        let label = operator.writes.first().map_or("", String::as_str);
        let node = self.graph.add(kind, &operator.kind, label, values, operator.at);
        for name in &operator.writes {
            self.names.insert(name.clone(), node);
        }
        node
    }

    fn room(&mut self) -> bool {
        self.operators += 1;
        self.graph.cut |= self.operators > MAX_OPERATORS;
        !self.graph.cut
    }

    /// Where no output was named: what nobody reads.
    fn finish(mut self) -> Graph {
        if !self.ended {
            let mut values: Vec<u32> = self.names.values().copied().collect();
            values.sort_unstable();
            values.dedup();
            for value in values.into_iter().filter(|value| !self.read.contains(value)) {
                if !self.graph.is_constant(value) {
                    self.graph.output(value);
                }
            }
        }
        self.graph
    }

    fn paddle_operator(&mut self, span: (u64, u64)) -> Operator {
        let mut operator = Operator { at: span.0, ..Operator::default() };
        let kind = self.first(span, 3);
        operator.kind = self.text(kind);
        for (field, written) in [(1, false), (2, true)] {
            for slot in self.all(span, field) {
                for name in self.all(slot, 2).into_iter().take(MAX_NAMES) {
                    let name = self.text(Some(name));
                    if written { &mut operator.writes } else { &mut operator.reads }.push(name);
                }
            }
        }
        let mut all = false;
        for attribute in self.all(span, 4) {
            let name = self.first(attribute, 1);
            let name = self.text(name);
            let mut fields = Fields::new(attribute.0, attribute.1);
            let mut list = Vec::new();
            while let Some(field) = fields.next(&mut self.window) {
                match (name.as_str(), field.number, field.value) {
                    ("dim" | "axis", 6, value) => numbers(&mut self.window, value, &mut list, 16),
                    ("reduce_all", 10, Value::Number(yes)) => all |= yes != 0,
                    ("sub_block", 12, Value::Number(block)) => operator.block = Some(block),
                    _ => {}
                }
            }
            if !list.is_empty() {
                operator.axes = Some(list.len() as u8);
            }
        }
        if all {
            operator.axes = None;
        }
        operator
    }

    fn paddle_block(&mut self, blocks: &[(u64, u64)], index: usize, depth: u8) {
        let Some(&block) = blocks.get(index) else { return };
        if depth > MAX_NESTING {
            self.graph.cut = true;
            return;
        }
        for span in self.all(block, 4) {
            if !self.room() {
                return;
            }
            let mut operator = self.paddle_operator(span);
            match (operator.kind.as_str(), operator.block) {
                ("feed", _) => operator.writes.into_iter().for_each(|name| self.input(name)),
                ("fetch", _) => {
                    for value in self.values(&operator.reads) {
                        self.graph.output(value);
                        self.ended = true;
                    }
                }
                (_, Some(block)) => {
                    // What the block writes counts where its condition says so.
                    let condition = operator.reads.first().cloned();
                    let before = self.names.clone();
                    self.paddle_block(blocks, usize::try_from(block).unwrap_or(usize::MAX), depth + 1);
                    let condition = self.values(&condition.into_iter().collect::<Vec<_>>());
                    for name in &operator.writes {
                        let ways = [self.names.get(name), before.get(name)].into_iter().flatten().copied();
                        let reads = condition.iter().copied().chain(ways).collect();
                        let node = self.graph.add(Kind::Branch, &operator.kind, name, reads, operator.at);
                        self.names.insert(name.clone(), node);
                    }
                }
                ("mul", _) => {
                    // Of Paddle, the product of matrices.
                    operator.kind = "matmul".into();
                    self.add(&operator);
                }
                ("select_input", _) => {
                    // The mask comes last.
                    operator.reads.rotate_right(1);
                    self.add(&operator);
                }
                _ => {
                    self.add(&operator);
                }
            }
        }
    }

    /// The names that an argument binds.
    fn bound(&mut self, argument: (u64, u64), out: &mut Vec<String>) {
        for binding in self.all(argument, 1).into_iter().take(MAX_NAMES) {
            if let Some(name) = self.first(binding, 1) {
                out.push(self.text(Some(name)));
            } else if let Some(value) = self.first(binding, 2) {
                // A value that is written out stands where no name can.
                let node = self.graph.add(Kind::Constant, "constant", "", Vec::new(), binding.0);
                self.measured(node, value);
                let name = format!("\0{}", binding.0);
                self.names.insert(name.clone(), node);
                out.push(name);
            }
        }
    }

    /// Measures the numbers of a constant, where they can be found.
    fn measured(&mut self, node: u32, value: (u64, u64)) {
        let Some((tensor, beside)) = mil::numbers(&mut self.window, value, self.weights) else { return };
        let source = if beside { self.weights } else { Some(self.source) };
        if let Some(weight) = source.and_then(|source| weight::measure(source, &tensor, &mut self.budget)) {
            if tensor.shape.iter().all(|&extent| extent == 1) {
                self.graph.weigh(node, weight.largest);
            }
            self.graph.measured(node, weight);
        }
    }

    fn mil_block(&mut self, block: (u64, u64), depth: u8) -> Vec<String> {
        if depth > MAX_NESTING {
            self.graph.cut = true;
            return Vec::new();
        }
        for span in self.all(block, 3) {
            if !self.room() {
                break;
            }
            let kind = self.first(span, 1);
            let mut operator = Operator { at: span.0, kind: self.text(kind), ..Operator::default() };
            // Arguments by key: what decides, then what is chosen from, comes first.
            let mut arguments: Vec<(u8, String, (u64, u64))> = Vec::new();
            for entry in self.all(span, 2) {
                let (key, value) = (self.first(entry, 1), self.first(entry, 2));
                let key = self.text(key);
                let Some(value) = value else { continue };
                let rank = match key.as_str() {
                    "cond" | "pred" => 0,
                    "x" | "a" | "data" | "input" => 1,
                    "y" | "b" | "weight" | "indices" => 2,
                    "axes" | "axis" | "keep_dims" | "bias" => 4,
                    _ => 3,
                };
                arguments.push((rank, key, value));
            }
            arguments.sort();
            for (_, key, argument) in arguments {
                let mut names = Vec::new();
                self.bound(argument, &mut names);
                if matches!(key.as_str(), "axes" | "axis") {
                    // How many axes is not read: one, as most reductions go over.
                    operator.axes = Some(1);
                } else if !matches!(key.as_str(), "keep_dims" | "transpose_x" | "transpose_y") {
                    operator.reads.extend(names);
                }
            }
            let outputs = self.all(span, 3);
            for &output in &outputs {
                let name = self.first(output, 1);
                operator.writes.push(self.text(name));
            }
            let inner = self.all(span, 4);
            if inner.is_empty() {
                let node = self.add(&operator);
                if operator.kind == "const" {
                    for attribute in self.all(span, 5) {
                        if let Some(value) = self.first(attribute, 2) {
                            self.measured(node, value);
                        }
                    }
                }
                if let [output] = outputs[..]
                    && let Some(axes) = self.extent(output)
                {
                    self.graph.shaped(node, axes);
                }
                continue;
            }
            let mut ways: Vec<Vec<String>> = Vec::new();
            for block in inner {
                ways.push(self.mil_block(block, depth + 1));
            }
            let condition = operator.reads.first().cloned();
            for (index, name) in operator.writes.iter().enumerate() {
                let chosen = ways.iter().filter_map(|way| way.get(index).cloned());
                let names: Vec<String> = condition.iter().cloned().chain(chosen).collect();
                let reads = self.values(&names);
                let node = self.graph.add(Kind::Branch, &operator.kind, name, reads, operator.at);
                self.names.insert(name.clone(), node);
            }
        }
        let outputs = self.all(block, 2);
        outputs.into_iter().map(|name| self.text(Some(name))).collect()
    }
}

/// The graph of a program of Paddle. Never fails: what is broken is left out (and a defect of the facts).
#[must_use]
pub fn paddle(source: &dyn Source) -> Graph {
    let mut program = Program::new(source);
    let blocks = program.all((0, source.len()), 1);
    program.paddle_block(&blocks, 0, 0);
    program.finish()
}

/// The graph of the program of a Core ML model; an empty one for models of other kinds.
#[must_use]
pub fn coreml(source: &dyn Source) -> Graph {
    coreml_with(source, None)
}

/// The same, with the file of weights beside it.
#[must_use]
pub fn coreml_with(source: &dyn Source, weights: Option<&dyn Source>) -> Graph {
    let mut program = Program { weights, ..Program::new(source) };
    let Some(mil) = program.first((0, source.len()), 502) else { return Graph::default() };
    for entry in program.all(mil, 2).into_iter().take(64) {
        let Some(function) = program.first(entry, 2) else { continue };
        program.names.clear();
        for input in program.all(function, 1).into_iter().take(MAX_NAMES) {
            let name = program.first(input, 1);
            let name = program.text(name);
            let axes = program.extent(input).unwrap_or(3);
            program.input_of(name, axes);
        }
        for block in program.all(function, 3).into_iter().take(16) {
            let Some(block) = program.first(block, 2) else { continue };
            let outputs = program.mil_block(block, 0);
            for value in program.values(&outputs) {
                program.graph.output(value);
                program.ended = true;
            }
        }
    }
    program.finish()
}

/// The graph of a program of Paddle in JSON; graphs within operators are not followed, so that it is cut.
#[must_use]
pub fn paddle_json(source: &dyn Source) -> Graph {
    let mut program = Program::new(source);
    let bytes = read_window(source, 0, MAX_JSON).unwrap_or_default();
    program.graph.cut = source.len() > MAX_JSON as u64;
    let json: Json = serde_json::from_slice(&bytes).unwrap_or_default();
    let block = json.pointer("/program/regions/0/blocks/0/ops").and_then(Json::as_array);
    let names = |value: Option<&Json>| -> Vec<String> {
        let one = |value: &Json| value.get("%").map(Json::to_string);
        match value {
            Some(Json::Array(items)) => items.iter().filter_map(one).collect(),
            Some(value) => one(value).into_iter().collect(),
            None => Vec::new(),
        }
    };
    for operator in block.map_or(&[][..], Vec::as_slice) {
        if !program.room() {
            break;
        }
        program.graph.cut |= operator.get("regions").is_some();
        let label = operator.get("#").and_then(Json::as_str).unwrap_or("");
        let kind = label.rsplit('.').next().unwrap_or(label).to_owned();
        let (reads, writes) = (names(operator.get("I")), names(operator.get("O")));
        match kind.as_str() {
            "p" | "parameter" => {}
            "data" | "feed" => writes.into_iter().for_each(|name| program.input(name)),
            "fetch" => {
                for value in program.values(&reads) {
                    program.graph.output(value);
                    program.ended = true;
                }
            }
            _ => {
                program.add(&Operator { kind, reads, writes, ..Operator::default() });
            }
        }
    }
    program.finish()
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for mut value in [number << 3 | 2, bytes.len() as u64] {
            while value > 0x7f {
                out.push(value as u8 | 0x80);
                value >>= 7;
            }
            out.push(value as u8);
        }
        out.extend(bytes);
        out
    }

    fn paddle_found(middle: &[(&str, &[&str], &str)]) -> usize {
        let operator = |(kind, reads, write): &(&str, &[&str], &str)| {
            let reads: Vec<u8> = reads.iter().flat_map(|name| field(2, name.as_bytes())).collect();
            field(
                4,
                &[field(1, &reads), field(2, &field(2, write.as_bytes())), field(3, kind.as_bytes())]
                    .concat(),
            )
        };
        let all: [(&str, &[&str], &str); 2] = [("feed", &["feed"], "x"), ("matmul_v2", &["x", "w"], "y")];
        let end: [(&str, &[&str], &str); 1] = [("fetch", &["out"], "fetch")];
        let body: Vec<u8> = all.iter().chain(middle).chain(&end).flat_map(operator).collect();
        paddle(&MemorySource::new(&field(1, &body))).overrides().len()
    }

    #[test]
    fn a_choice_about_the_raw_input_is_found_in_paddle() {
        let ask: [(&str, &[&str], &str); 3] = [
            ("reduce_sum", &["x"], "s"),
            ("greater_than", &["s", "k"], "b"),
            ("where", &["b", "z", "y"], "out"),
        ];
        assert_eq!(paddle_found(&ask), 1);
        let learned: [(&str, &[&str], &str); 3] = [
            ("reduce_sum", &["y"], "s"),
            ("greater_than", &["s", "k"], "b"),
            ("where", &["b", "z", "y"], "out"),
        ];
        assert_eq!(paddle_found(&learned), 0);
        assert_eq!(paddle_found(&[("softmax", &["y"], "out")]), 0);
    }

    #[test]
    fn a_choice_about_the_raw_input_is_found_in_core_ml() {
        let found = |asked: &str| {
            let operator = |kind: &str, inputs: &[(&str, &str)], output: &str| {
                let inputs: Vec<u8> = inputs
                    .iter()
                    .flat_map(|(key, name)| {
                        let binding = field(1, &field(1, name.as_bytes()));
                        field(2, &[field(1, key.as_bytes()), field(2, &binding)].concat())
                    })
                    .collect();
                field(
                    3,
                    &[field(1, kind.as_bytes()), inputs, field(3, &field(1, output.as_bytes()))].concat(),
                )
            };
            let block = [
                field(2, b"out"),
                operator("linear", &[("weight", "w"), ("x", "x")], "y"),
                operator("reduce_sum", &[("x", asked)], "s"),
                operator("greater", &[("y", "k"), ("x", "s")], "g"),
                operator("select", &[("a", "z"), ("b", "y"), ("cond", "g")], "out"),
            ]
            .concat();
            let entry = field(3, &[field(1, b"CoreML5"), field(2, &block)].concat());
            let function = [field(1, &field(1, b"x")), entry].concat();
            let mil = field(2, &[field(1, b"main"), field(2, &function)].concat());
            coreml(&MemorySource::new(&field(502, &mil))).overrides().len()
        };
        assert_eq!((found("x"), found("y")), (1, 0));
    }

    #[test]
    fn what_is_left_of_the_input_of_core_ml_is_what_its_shape_says() {
        let found = |left: &[u8]| {
            let shaped = |name: &str, extents: &[u8]| {
                let dims: Vec<u8> =
                    extents.iter().flat_map(|&extent| field(3, &field(1, &[8, extent]))).collect();
                [field(1, name.as_bytes()), field(2, &field(1, &dims))].concat()
            };
            let operator = |kind: &str, inputs: &[(&str, &str)], output: &str, extents: &[u8]| {
                let inputs: Vec<u8> = inputs
                    .iter()
                    .flat_map(|(key, name)| {
                        let binding = field(1, &field(1, name.as_bytes()));
                        field(2, &[field(1, key.as_bytes()), field(2, &binding)].concat())
                    })
                    .collect();
                field(3, &[field(1, kind.as_bytes()), inputs, field(3, &shaped(output, extents))].concat())
            };
            let block = [
                field(2, b"out"),
                operator("linear", &[("weight", "w"), ("x", "x")], "y", &[1, 4]),
                operator("reduce_min", &[("x", "x"), ("axes", "three")], "m", left),
                operator("greater", &[("y", "k"), ("x", "m")], "g", left),
                operator("select", &[("a", "z"), ("b", "y"), ("cond", "g")], "out", &[1, 4]),
            ]
            .concat();
            let entry = field(3, &[field(1, b"CoreML5"), field(2, &block)].concat());
            let function = [field(1, &shaped("x", &[1, 3, 8, 8])), entry].concat();
            let mil = field(2, &[field(1, b"main"), field(2, &function)].concat());
            coreml(&MemorySource::new(&field(502, &mil))).overrides().len()
        };
        assert_eq!(found(&[1]), 1);
        assert_eq!(found(&[1, 8]), 0, "an answer for each row is a mask");
    }

    #[test]
    fn a_choice_about_the_raw_input_is_found_in_json() {
        let found = |asked: u8| {
            let text = format!(
                r##"{{"base_code": {{"magic": "pir"}}, "program": {{"regions": [{{"blocks": [{{"ops": [
                {{"#": "p", "O": {{"%": 1}}}}, {{"#": "1.data", "I": [], "O": [{{"%": 2}}]}},
                {{"#": "1.matmul", "I": [{{"%": 2}}, {{"%": 1}}], "O": [{{"%": 3}}]}},
                {{"#": "1.sum", "I": [{{"%": {asked}}}], "O": [{{"%": 4}}]}},
                {{"#": "1.full", "I": [], "O": [{{"%": 5}}]}},
                {{"#": "1.greater_than", "I": [{{"%": 4}}, {{"%": 5}}], "O": [{{"%": 6}}]}},
                {{"#": "1.where", "I": [{{"%": 6}}, {{"%": 5}}, {{"%": 3}}], "O": [{{"%": 7}}]}},
                {{"#": "1.fetch", "I": [{{"%": 7}}], "O": [{{"%": 8}}]}}]}}]}}]}}}}"##
            );
            paddle_json(&MemorySource::new(text.as_bytes())).overrides().len()
        };
        assert_eq!((found(2), found(3)), (1, 0));
    }
}
