//! A TensorFlow Lite model as a [`Graph`], the graphs of its branches and loops in line. Shapes are written for every tensor, so that what is left of
//! the axes need not be computed.

use mantlet_vocab::Source;

use super::{CUSTOM, MAX_ITEMS, Table, Tflite, Walk};
use crate::graph::{Graph, Kind, weight};
use crate::weights::{Dtype, TensorInfo};
use crate::window::Window;

/// Graphs within graphs, and graphs that are laid out in all: loops and branches may name the same again and again.
const MAX_NESTING: u8 = 16;
const MAX_LAID: u32 = 256;
/// Operators that run other graphs of the model.
const IF: u64 = 118;
const WHILE: u64 = 119;
const COMPOSITE: u64 = 206;

/// What all graphs of a model share.
struct Model<'a> {
    source: &'a dyn Source,
    codes: Vec<u64>,
    buffers: Vec<(u64, u64)>,
    graphs: Vec<Table>,
    /// Numbers that may still be measured.
    budget: u64,
    /// Graphs that were laid out.
    laid: u32,
}

struct Tensor {
    shape: Vec<u64>,
    kind: u64,
    buffer: u64,
}

impl Tensor {
    /// Axes beside the batch that are not of extent one.
    fn axes(&self) -> u8 {
        let beside = self.shape.iter().skip(usize::from(self.shape.len() > 1)).filter(|&&extent| extent != 1);
        beside.count().min(8) as u8
    }
}

/// The graph of a TensorFlow Lite model. Never fails: what is broken is left out (and a defect of the facts).
#[must_use]
pub fn graph(source: &dyn Source) -> Graph {
    let mut walk =
        Walk { window: Window::new(source, 0), facts: Tflite::default(), end: 8, max: 0, steps: 0 };
    let mut graph = Graph::default();
    walk.lay_out(source, &mut graph);
    graph
}

impl Walk<'_> {
    /// The tables of a vector, as far as they can be read.
    fn tables(&mut self, table: Table, index: u64) -> Vec<Table> {
        let Some((first, count)) = self.vector(table, index, 4) else { return Vec::new() };
        let mut tables = Vec::new();
        for item in 0..count {
            self.steps += 1;
            if self.steps > MAX_ITEMS {
                break;
            }
            // What cannot be read keeps its place.
            let inner = self.reference(first + 4 * item).and_then(|at| self.table(at));
            tables.push(inner.unwrap_or(Table { at: 0, fields: 0, count: 0 }));
        }
        tables
    }

    /// A vector of whole numbers.
    fn numbers(&mut self, table: Table, index: u64) -> Vec<u64> {
        let Some((first, count)) = self.vector(table, index, 4) else { return Vec::new() };
        let mut numbers = Vec::new();
        for item in 0..count {
            self.steps += 1;
            if self.steps > MAX_ITEMS {
                break;
            }
            numbers.push(self.number(first + 4 * item, 4).unwrap_or(0));
        }
        numbers
    }

    fn value(&mut self, table: Table, index: u64, width: usize) -> u64 {
        self.field(table, index).and_then(|at| self.number(at, width)).unwrap_or(0)
    }

    fn lay_out(&mut self, source: &dyn Source, graph: &mut Graph) -> Option<()> {
        let root = self.number(0, 4)?;
        let model = self.table(root)?;
        let codes = self
            .tables(model, 1)
            .into_iter()
            .map(|code| self.value(code, 0, 1).max(self.value(code, 3, 4)))
            .collect();
        let buffers = self
            .tables(model, 4)
            .into_iter()
            .map(|buffer| self.vector(buffer, 0, 1).unwrap_or((0, 0)))
            .collect();
        let graphs = self.tables(model, 2);
        // Each signature is a way to run the model of its own.
        let mut mains = vec![0];
        for signature in self.tables(model, 7) {
            let main = self.value(signature, 4, 4);
            if !mains.contains(&main) {
                mains.push(main);
            }
        }
        let mut model = Model { source, codes, buffers, graphs, budget: weight::BUDGET, laid: 0 };
        for main in mains {
            for output in self.subgraph(&mut model, main, None, graph, 0) {
                graph.output(output);
            }
        }
        Some(())
    }

    /// Adds a graph of the model; `given` are the values its inputs stand for. Gives its outputs.
    fn subgraph(
        &mut self,
        model: &mut Model<'_>,
        index: u64,
        given: Option<&[u32]>,
        graph: &mut Graph,
        depth: u8,
    ) -> Vec<u32> {
        let main = usize::try_from(index).ok().and_then(|index| model.graphs.get(index).copied());
        let Some(main) = main else { return Vec::new() };
        model.laid += 1;
        if depth > MAX_NESTING || model.laid > MAX_LAID || graph.cut {
            graph.cut = true;
            return Vec::new();
        }
        let mut tensors = Vec::new();
        for tensor in self.tables(main, 0) {
            let shape = self.numbers(tensor, 0);
            tensors.push(Tensor { shape, kind: self.value(tensor, 1, 1), buffer: self.value(tensor, 2, 4) });
        }
        let mut values: Vec<Option<u32>> = vec![None; tensors.len()];
        for (index, tensor) in tensors.iter().enumerate() {
            let (start, len) = model.buffers.get(tensor.buffer as usize).copied().unwrap_or((0, 0));
            if len == 0 {
                continue;
            }
            let node = graph.add(Kind::Constant, "constant", "", Vec::new(), start);
            let dtype = match tensor.kind {
                0 => Dtype::F32,
                1 => Dtype::F16,
                _ => Dtype::Other(String::new()),
            };
            let info = TensorInfo { name: String::new(), dtype, shape: tensor.shape.clone(), start, len };
            if let Some(weight) = weight::measure(model.source, &info, &mut model.budget) {
                if len <= 64 {
                    graph.weigh(node, weight.largest);
                }
                graph.measured(node, weight);
            }
            values[index] = Some(node);
        }
        for (place, input) in self.numbers(main, 1).into_iter().enumerate() {
            let Some(tensor) = tensors.get(input as usize) else { continue };
            let node = match given {
                Some(given) => given.get(place).copied(),
                None => Some(graph.add(Kind::Input { axes: tensor.axes() }, "input", "", Vec::new(), 0)),
            };
            values[input as usize] = node;
        }
        for operator in self.tables(main, 3) {
            let code = model.codes.get(self.value(operator, 0, 4) as usize).copied().unwrap_or(CUSTOM);
            let (inputs, outputs) = (self.numbers(operator, 1), self.numbers(operator, 2));
            let reads: Vec<u32> =
                inputs.iter().filter_map(|&input| values.get(input as usize).copied().flatten()).collect();
            if matches!(code, IF | WHILE | COMPOSITE) {
                let results = self.control(model, code, operator, &reads, graph, depth);
                for (place, output) in outputs.into_iter().enumerate() {
                    if let Some(value) = values.get_mut(output as usize) {
                        *value = results.get(place).copied();
                    }
                }
                continue;
            }
            let first = outputs.first().and_then(|&output| tensors.get(output as usize));
            let operand = |index: usize| {
                inputs
                    .get(index)
                    .and_then(|&input| tensors.get(input as usize))
                    .map(|tensor| &tensor.shape[..])
            };
            let (kind, name) = kind(code, operand(1), first.map_or(&[][..], |tensor| &tensor.shape[..]));
            let mut node = graph.add(kind, name, "", reads, operator.at);
            let left = first.map_or(8, Tensor::axes);
            if matches!(kind, Kind::Pass | Kind::Sum(_) | Kind::Extreme(_) | Kind::Reshape(_)) {
                node = graph.add(Kind::Reshape(left), name, "", vec![node], operator.at);
            }
            for output in outputs {
                if let Some(value) = values.get_mut(output as usize) {
                    *value = Some(node);
                }
            }
        }
        let outputs = self.numbers(main, 2);
        outputs.into_iter().filter_map(|output| values.get(output as usize).copied().flatten()).collect()
    }

    /// A branch or a loop: one value for each output, decided by the condition. The rounds of a loop are one round, whose
    /// condition decides between what came in and what it makes of it.
    fn control(
        &mut self,
        model: &mut Model<'_>,
        code: u64,
        operator: Table,
        reads: &[u32],
        graph: &mut Graph,
        depth: u8,
    ) -> Vec<u32> {
        if code == COMPOSITE {
            let options = self.field(operator, 12).and_then(|at| self.reference(at));
            let body = options.and_then(|at| self.table(at)).map_or(0, |table| self.value(table, 1, 4));
            return self.subgraph(model, body, Some(reads), graph, depth + 1);
        }
        let options = self.field(operator, 4).and_then(|at| self.reference(at)).and_then(|at| self.table(at));
        let (one, other) = options.map_or((0, 0), |table| (self.value(table, 0, 4), self.value(table, 1, 4)));
        let (condition, mine, others, name) = if code == IF {
            let Some((&condition, given)) = reads.split_first() else { return Vec::new() };
            let mine = self.subgraph(model, one, Some(given), graph, depth + 1);
            let others = self.subgraph(model, other, Some(given), graph, depth + 1);
            (condition, mine, others, "IF")
        } else {
            let asked = self.subgraph(model, one, Some(reads), graph, depth + 1);
            let Some(&condition) = asked.first() else { return reads.to_vec() };
            let body = self.subgraph(model, other, Some(reads), graph, depth + 1);
            (condition, body, reads.to_vec(), "WHILE")
        };
        let choose = |(mine, other): (u32, u32)| {
            graph.add(Kind::Branch, name, "", vec![condition, mine, other], operator.at)
        };
        mine.into_iter().zip(others).map(choose).collect()
    }
}

/// What a built-in operator does, and its name. `second` is the shape of its second operand, `out` that of its result.
fn kind(code: u64, second: Option<&[u64]>, out: &[u64]) -> (Kind, &'static str) {
    // What is reduced is seen from the shape that is left.
    let axes = Some(0);
    let values = out.iter().skip(1).try_fold(1_u64, |all, &extent| all.checked_mul(extent));
    let narrow = values.is_some_and(|values| values <= 2)
        || second.is_some_and(|weights| weights.len() > 2 && weights.first() == Some(&1));
    match code {
        0 | 163 => (Kind::Combine, "ADD"),
        2 | 83 | 169 => (Kind::Concat, "CONCATENATION"),
        3 | 132 => (Kind::Weighted { narrow }, "CONV"),
        4 => (Kind::Weighted { narrow }, "DEPTHWISE_CONV_2D"),
        67 | 141 => (Kind::Weighted { narrow }, "TRANSPOSE_CONV"),
        171 => (Kind::Weighted { narrow }, "CONVOLUTION"),
        7 | 33 => (Kind::Lookup, "EMBEDDING_LOOKUP"),
        8 | 179 => (Kind::Squash, "FLOOR"),
        9 => (Kind::Weighted { narrow }, "FULLY_CONNECTED"),
        10 => (Kind::Lookup, "HASHTABLE_LOOKUP"),
        14 | 162 => (Kind::Squash, "LOGISTIC"),
        16 | 44 | 52 => (Kind::Learned, "LSTM"),
        18 | 165 => (Kind::Scale, "MUL"),
        19..=21 | 152 => (Kind::Squash, "RELU"),
        24 | 35 | 46 => (Kind::Learned, "RNN"),
        25 => (Kind::Squash, "SOFTMAX"),
        27 => (Kind::Learned, "SVDF"),
        28 | 189 => (Kind::Squash, "TANH"),
        36 | 107 | 201 => (Kind::Lookup, "GATHER"),
        40 => (Kind::Sum(axes), "MEAN"),
        41 | 188 => (Kind::Combine, "SUB"),
        42 | 164 => (Kind::Scale, "DIV"),
        47 | 178 => (Kind::Bump, "EXP"),
        48 => (Kind::Extreme(axes), "TOPK_V2"),
        49 | 88 | 102 => (Kind::Part, "SPLIT"),
        53 | 192 => (Kind::Pass, "CAST"),
        54 | 98 => (Kind::Squash, "LEAKY_RELU"),
        55 | 166 => (Kind::Combine, "MAXIMUM"),
        56 => (Kind::Sum(axes), "ARG_MAX"),
        57 | 181 => (Kind::Combine, "MINIMUM"),
        58 | 61 | 62 | 63 | 71 | 72 | 191 => (Kind::Compare, "COMPARE"),
        64 | 123 | 187 => (Kind::Select, "SELECT"),
        68 | 122 | 151 | 190 | 194 => (Kind::Combine, "SCATTER"),
        74 => (Kind::Sum(axes), "SUM"),
        76 | 186 => (Kind::Bump, "RSQRT"),
        77 | 110 | 139 => (Kind::Shape, "SHAPE"),
        78 | 184 => (Kind::Scale, "POW"),
        79 => (Kind::Sum(axes), "ARG_MIN"),
        81 => (Kind::Extreme(axes), "REDUCE_PROD"),
        82 => (Kind::Extreme(axes), "REDUCE_MAX"),
        84 | 86 | 87 | 176 | 183 => (Kind::Compare, "LOGICAL"),
        85 => (Kind::Compare, "ONE_HOT"),
        89 => (Kind::Extreme(axes), "REDUCE_MIN"),
        90 | 95 | 185 => (Kind::Squash, "FLOOR_MOD"),
        91 => (Kind::Extreme(axes), "REDUCE_ANY"),
        103 | 109 | 120 | 121 => (Kind::Count, "WHERE"),
        104 | 116 => (Kind::Squash, "ROUND"),
        106 => (Kind::Combine, "ADD_N"),
        111 | 150 => (Kind::Squash, "ELU"),
        126 => (Kind::Weighted { narrow }, "BATCH_MATMUL"),
        197 => (Kind::Weighted { narrow }, "DOT_GENERAL"),
        137 => (Kind::Compare, "HASHTABLE_FIND"),
        140 => (Kind::Extreme(axes), "REDUCE_ALL"),
        147 => (Kind::Compare, "BUCKETIZE"),
        158 => (Kind::Compare, "SIGN"),
        160 => (Kind::Compare, "BITWISE_XOR"),
        161 | 207 => (Kind::Squash, "SHIFT"),
        168 => (Kind::Squash, "CLAMP"),
        _ => (Kind::Pass, "operator"),
    }
}
