//! The graphs that ExecuTorch hands to XNNPACK: a flatbuffer of values and nodes, with constants behind it.

use std::collections::HashMap;

use mantlet_vocab::{Source, read_window};

use crate::flat::{Flat, Table};
use crate::graph::{Graph, Kind, weight};
use crate::structure::Structure;
use crate::weights::{Dtype, TensorInfo};
use crate::window::Window;

/// What a program calls this delegate.
pub(super) const NAME: &str = "XnnpackBackend";

/// Where the parts of what it is handed lie.
struct Parts {
    flat: (u64, u64),
    constants: u64,
}

fn parts(source: &dyn Source, start: u64, len: u64) -> Option<Parts> {
    let head = read_window(source, start, 32).ok()?;
    if head.get(4..6) == Some(b"XN") {
        return Some(Parts { flat: (start, start + len), constants: start });
    }
    if head.get(4..8) != Some(b"XH00") {
        return None;
    }
    let long = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes).map(u64::from);
    let (offset, size, constants) = (long(10)?, long(14)?, long(18)?);
    (offset + size <= len && constants <= len)
        .then_some(Parts { flat: (start + offset, start + offset + size), constants: start + constants })
}

/// A value of the graph.
#[derive(Default)]
struct Value {
    shape: Vec<u64>,
    kind: u64,
    constant: u64,
}

impl Value {
    fn axes(&self) -> u8 {
        self.shape.iter().skip(1).filter(|&&extent| extent != 1).count().min(8) as u8
    }
}

/// Whether all of a graph is understood.
pub(super) fn is_followed(source: &dyn Source, start: u64, len: u64) -> bool {
    lay_out(source, (start, len), &[], &mut Graph::default(), &mut 0).is_some()
}

/// Adds the graph to another; `given` are the values its inputs stand for. Gives its outputs; nothing when it is not
/// understood.
pub(super) fn lay_out(
    source: &dyn Source,
    (start, len): (u64, u64),
    given: &[u32],
    graph: &mut Graph,
    budget: &mut u64,
) -> Option<Vec<u32>> {
    let parts = parts(source, start, len)?;
    let (base, limit) = parts.flat;
    let mut flat = Flat::new(Window::new(source, 0), base, limit, Structure::of("XNNPACK"));
    let root = flat.root()?;
    let mut values: HashMap<u64, Value> = HashMap::new();
    for table in flat.tables(root, 2) {
        let tensor = match flat.value(table, 0, 1) {
            1 => flat.child(table, 1),
            2 => flat.child(table, 1).and_then(|quantised| flat.child(quantised, 0)),
            _ => None,
        }?;
        let value = Value {
            shape: numbers(&mut flat, tensor, 2),
            kind: flat.value(tensor, 0, 2),
            constant: flat.value(tensor, 3, 4),
        };
        values.insert(flat.value(tensor, 6, 4), value);
    }
    let places: Vec<(u64, u64)> = flat
        .tables(root, 8)
        .into_iter()
        .map(|place| (flat.value(place, 0, 8), flat.value(place, 1, 8)))
        .collect();
    let mut nodes: HashMap<u64, u32> = HashMap::new();
    for (&id, value) in values.iter().filter(|(_, value)| value.constant > 0) {
        let node = graph.add(Kind::Constant, "constant", "", Vec::new(), base);
        nodes.insert(id, node);
        let place = usize::try_from(value.constant).ok().and_then(|index| places.get(index));
        let begins = place.and_then(|(offset, _)| parts.constants.checked_add(*offset));
        if let (Some(&(_, len)), Some(begins)) = (place, begins) {
            let dtype = match value.kind {
                1 => Dtype::F32,
                2 => Dtype::F16,
                _ => Dtype::Other(String::new()),
            };
            let info =
                TensorInfo { name: String::new(), dtype, shape: value.shape.clone(), start: begins, len };
            if let Some(weight) = weight::measure(source, &info, budget) {
                if len <= 64 {
                    graph.weigh(node, weight.largest);
                }
                graph.measured(node, weight);
            }
        }
    }
    let mut inputs = numbers(&mut flat, root, 4);
    inputs.sort_unstable();
    nodes.extend(inputs.into_iter().zip(given.iter().copied()));
    for table in flat.tables(root, 1) {
        let kind = flat.value(table, 0, 1);
        let node = flat.child(table, 1)?;
        let (name, reads, result) = layout(kind)?;
        let ids: Vec<u64> = reads.iter().map(|&field| flat.value(node, field, 4)).collect();
        let shape = |index: usize| ids.get(index).and_then(|id| values.get(id)).map(|value| &value.shape[..]);
        let meaning = meaning(kind, shape(1));
        let operands = ids.iter().filter_map(|id| nodes.get(id).copied()).collect();
        let mut made = graph.add(meaning, name, "", operands, node.at);
        let out = flat.value(node, result, 4);
        if let Some(value) = values.get(&out).filter(|value| !value.shape.is_empty()) {
            graph.shaped(made, value.axes());
        }
        if flat.field(table, 3).is_some() {
            made = graph.add(Kind::Squash, "CLAMP", "", vec![made], node.at);
        }
        nodes.insert(out, made);
    }
    let mut outputs = numbers(&mut flat, root, 5);
    outputs.sort_unstable();
    // Circles and what is cut are no graph that was understood.
    let understood = flat.facts.limits.is_empty() && flat.facts.defects.is_empty();
    understood.then(|| outputs.into_iter().filter_map(|id| nodes.get(&id).copied()).collect())
}

fn numbers(flat: &mut Flat<'_>, table: Table, field: u64) -> Vec<u64> {
    let Some((first, count)) = flat.vector(table, field, 4) else { return Vec::new() };
    (0..flat.allow(count)).map(|item| flat.number(first + 4 * item, 4).unwrap_or(0)).collect()
}

/// The name of a node, the fields of what it reads, and that of its result.
fn layout(kind: u64) -> Option<(&'static str, &'static [u64], u64)> {
    const ONE: &[u64] = &[0];
    const TWO: &[u64] = &[0, 1];
    Some(match kind {
        1 => ("ADD", TWO, 2),
        2 => ("FULLY_CONNECTED", &[0, 1, 2], 3),
        3 => ("SOFTMAX", ONE, 1),
        4 => ("SIGMOID", ONE, 1),
        5 => ("TRANSPOSE", &[2], 3),
        6 => ("CLAMP", ONE, 1),
        7 => ("CONV", &[15, 16, 17], 18),
        8 => ("DIV", TWO, 2),
        9 => ("RESIZE", &[2], 3),
        10 => ("PAD", &[3], 4),
        11 => ("AVERAGE_POOL", &[10], 11),
        12 => ("MINIMUM", TWO, 2),
        13 => ("DEPTHWISE_CONV", &[15, 16, 17], 18),
        14 => ("MAX_POOL", &[10], 11),
        15 => ("MUL", TWO, 2),
        16 => ("SUB", TWO, 2),
        17 => ("FLOOR", ONE, 1),
        18 => ("CONVERT", ONE, 1),
        19 => ("GLOBAL_AVERAGE", ONE, 1),
        20 => ("RESHAPE", &[2], 3),
        21 => ("ARGMAX_POOL", &[6], 8),
        22 => ("SQRT", ONE, 1),
        23 => ("CEIL", ONE, 1),
        24 => ("HARDSWISH", ONE, 1),
        25 => ("LEAKY_RELU", &[1], 2),
        26 => ("MAXIMUM", TWO, 2),
        27 => ("NEGATE", ONE, 1),
        28 => ("SQUARE", ONE, 1),
        29 => ("ELU", &[1], 2),
        30 => ("ABS", ONE, 1),
        31 => ("PRELU", TWO, 2),
        32 => ("CONCATENATE", &[1, 2], 5),
        33 => ("CONCATENATE", &[1, 2, 3], 5),
        34 => ("CONCATENATE", &[1, 2, 3, 4], 5),
        35 => ("SLICE", &[3], 4),
        36 => ("ATTENTION", &[0, 1, 2, 3, 4], 5),
        37 => ("BATCH_MATMUL", TWO, 2),
        38 => ("CONCATENATE", &[1, 2, 3, 4, 7], 5),
        39 => ("TRANSPOSE_CONV", &[15, 16, 17], 18),
        40 => ("RSQRT", ONE, 1),
        41 => ("LOG", ONE, 1),
        42 => ("GELU", ONE, 1),
        43 => ("TANH", ONE, 1),
        44 => ("EXP", ONE, 1),
        45 => ("SIN", ONE, 1),
        46 => ("COPY", ONE, 1),
        47 => ("COS", ONE, 1),
        _ => return None,
    })
}

/// What a node does. `filter` is the shape of its second operand.
fn meaning(kind: u64, filter: Option<&[u64]>) -> Kind {
    match kind {
        1 | 12 | 16 | 26 => Kind::Combine,
        8 | 15 | 28 => Kind::Scale,
        2 => Kind::Weighted { narrow: matches!(filter, Some([outputs, _]) if *outputs <= 2) },
        7 | 39 => Kind::Weighted { narrow: matches!(filter, Some([1, _, ..])) },
        13 | 36 | 37 => Kind::Weighted { narrow: false },
        3 | 4 | 6 | 17 | 23..=25 | 29 | 31 | 42 | 43 => Kind::Squash,
        11 | 19 | 21 => Kind::Sum(Some(0)),
        14 => Kind::Extreme(Some(0)),
        40 | 44 => Kind::Bump,
        32..=34 | 38 => Kind::Concat,
        _ => Kind::Pass,
    }
}
