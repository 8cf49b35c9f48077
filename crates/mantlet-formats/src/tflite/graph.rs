//! The first graph of a TensorFlow Lite model as a [`Graph`]. Shapes are written for every tensor, so that what is left of
//! the axes need not be computed.

use mantlet_vocab::Source;

use super::{CUSTOM, MAX_ITEMS, Table, Tflite, Walk};
use crate::graph::{Graph, Kind, weight};
use crate::weights::{Dtype, TensorInfo};
use crate::window::Window;

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
        let codes: Vec<u64> = self
            .tables(model, 1)
            .into_iter()
            .map(|code| self.value(code, 0, 1).max(self.value(code, 3, 4)))
            .collect();
        let buffers: Vec<(u64, u64)> = self
            .tables(model, 4)
            .into_iter()
            .map(|buffer| self.vector(buffer, 0, 1).unwrap_or((0, 0)))
            .collect();
        let main = self.tables(model, 2).into_iter().next()?;
        let mut tensors = Vec::new();
        for tensor in self.tables(main, 0) {
            let shape = self.numbers(tensor, 0);
            tensors.push(Tensor { shape, kind: self.value(tensor, 1, 1), buffer: self.value(tensor, 2, 4) });
        }
        let mut values: Vec<Option<u32>> = vec![None; tensors.len()];
        let mut budget = weight::BUDGET;
        for (index, tensor) in tensors.iter().enumerate() {
            let (start, len) = buffers.get(tensor.buffer as usize).copied().unwrap_or((0, 0));
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
            if let Some(weight) = weight::measure(source, &info, &mut budget) {
                if len <= 64 {
                    graph.weigh(node, weight.largest);
                }
                graph.measured(node, weight);
            }
            values[index] = Some(node);
        }
        for input in self.numbers(main, 1) {
            if let Some(tensor) = tensors.get(input as usize) {
                let axes = tensor.axes();
                values[input as usize] = Some(graph.add(Kind::Input { axes }, "input", "", Vec::new(), 0));
            }
        }
        for operator in self.tables(main, 3) {
            let code = codes.get(self.value(operator, 0, 4) as usize).copied().unwrap_or(CUSTOM);
            let (inputs, outputs) = (self.numbers(operator, 1), self.numbers(operator, 2));
            let reads =
                inputs.iter().filter_map(|&input| values.get(input as usize).copied().flatten()).collect();
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
        for output in self.numbers(main, 2) {
            if let Some(node) = values.get(output as usize).copied().flatten() {
                graph.output(node);
            }
        }
        Some(())
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
        0 => (Kind::Combine, "ADD"),
        2 => (Kind::Concat, "CONCATENATION"),
        3 => (Kind::Weighted { narrow }, "CONV_2D"),
        4 => (Kind::Weighted { narrow }, "DEPTHWISE_CONV_2D"),
        7 => (Kind::Lookup, "EMBEDDING_LOOKUP"),
        8 => (Kind::Squash, "FLOOR"),
        9 => (Kind::Weighted { narrow }, "FULLY_CONNECTED"),
        14 => (Kind::Squash, "LOGISTIC"),
        16 | 44 | 52 => (Kind::Learned, "LSTM"),
        18 => (Kind::Scale, "MUL"),
        19..=21 => (Kind::Squash, "RELU"),
        24 | 35 | 46 => (Kind::Learned, "RNN"),
        25 => (Kind::Squash, "SOFTMAX"),
        28 => (Kind::Squash, "TANH"),
        36 => (Kind::Lookup, "GATHER"),
        40 => (Kind::Sum(axes), "MEAN"),
        41 => (Kind::Combine, "SUB"),
        42 => (Kind::Scale, "DIV"),
        47 => (Kind::Bump, "EXP"),
        53 => (Kind::Pass, "CAST"),
        55 => (Kind::Combine, "MAXIMUM"),
        56 => (Kind::Sum(axes), "ARG_MAX"),
        57 => (Kind::Combine, "MINIMUM"),
        58 | 61 | 62 | 63 | 71 | 72 => (Kind::Compare, "COMPARE"),
        64 | 123 => (Kind::Select, "SELECT"),
        74 => (Kind::Sum(axes), "SUM"),
        76 => (Kind::Bump, "RSQRT"),
        77 | 110 => (Kind::Shape, "SHAPE"),
        78 => (Kind::Scale, "POW"),
        79 => (Kind::Sum(axes), "ARG_MIN"),
        81 => (Kind::Extreme(axes), "REDUCE_PROD"),
        82 => (Kind::Extreme(axes), "REDUCE_MAX"),
        84 | 86 | 87 => (Kind::Compare, "LOGICAL"),
        85 => (Kind::Compare, "ONE_HOT"),
        89 => (Kind::Extreme(axes), "REDUCE_MIN"),
        90 | 95 => (Kind::Squash, "FLOOR_MOD"),
        91 => (Kind::Extreme(axes), "REDUCE_ANY"),
        104 | 116 => (Kind::Squash, "ROUND"),
        106 => (Kind::Combine, "ADD_N"),
        126 => (Kind::Weighted { narrow }, "BATCH_MATMUL"),
        137 => (Kind::Compare, "HASHTABLE_FIND"),
        140 => (Kind::Extreme(axes), "REDUCE_ALL"),
        147 => (Kind::Compare, "BUCKETIZE"),
        _ => (Kind::Pass, "operator"),
    }
}
