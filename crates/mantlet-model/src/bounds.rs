//! What a network can give at all when its inputs are only known to lie in a box: interval bounds (Gowal and others
//! 2018), layer by layer, the last layer taken together with the difference of two classes.
//!
//! Layers of weights take centre and radius: the radius goes through the absolute weights. What rises with its input is
//! evaluated at both ends. Anything else is refused by name, so a bound is never claimed that does not hold.

use mantlet_vocab::{Tensor, Value};

use crate::graph::{Graph, Node};
use crate::ops::Inputs;
use crate::run::{Fail, Run};
use crate::{Limits, ModelError, values};

/// Operators that rise with every input, element by element or by choosing among elements.
const RISING: &[&str] = &[
    "Relu",
    "Sigmoid",
    "Tanh",
    "Elu",
    "Selu",
    "Celu",
    "Softplus",
    "Softsign",
    "HardSigmoid",
    "Clip",
    "Erf",
    "Exp",
    "Identity",
    "Dropout",
    "Cast",
    "Reshape",
    "Flatten",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Concat",
    "Slice",
    "Pad",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Add",
    "Sum",
    "Mean",
    "Max",
    "Min",
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "Floor",
    "Ceil",
    "Round",
];

/// A value known between two ends.
#[derive(Clone)]
struct Between {
    low: Tensor,
    high: Tensor,
}

/// Rounding of sums in `f32` is given away: bounds are widened by this share of what was added up.
const SLACK: f32 = 1e-5;

/// For each row the least of its label's score minus any other's over the whole box: positive where no input of the box
/// gets another class.
pub(crate) fn margins(
    graph: &Graph,
    run: &mut Run,
    feeds: [Vec<(usize, Value)>; 2],
    last: (usize, &Tensor),
    of: usize,
    labels: &[usize],
    limits: &Limits,
) -> Result<Vec<f32>, ModelError> {
    let (before, weights) = last;
    let mut slots: Vec<Option<Between>> = (0..graph.names.len()).map(|_| None).collect();
    let [low, high] = feeds;
    for ((slot, low), (_, high)) in low.into_iter().zip(high) {
        if let (Some(low), Some(high)) = (low.to_f32(), high.to_f32()) {
            slots[slot] = Some(Between { low, high });
        }
    }
    let plan = graph.needed(&[of]);
    let mut box_before = None;
    for (index, node) in graph.nodes.iter().enumerate() {
        if plan[index] {
            pass(graph, run, node, &mut slots).map_err(|fail| node.error(fail, limits))?;
        }
        // In front of the last layer only the middle goes on; its radius is met by the difference of two classes.
        if box_before.is_none()
            && let Some(between) = slots[before].clone()
        {
            let middle = centre(&between);
            slots[before] = Some(Between { low: middle.clone(), high: middle });
            box_before = Some(between);
        }
    }
    let missing = |slot: usize| ModelError::NoSuchValue { name: graph.names[slot].clone() };
    let logits = slots[of].take().ok_or_else(|| missing(of))?.low;
    let radius = radius(&box_before.ok_or_else(|| missing(before))?);
    let (classes, width) = (weights.rows(), weights.row_len());
    if logits.row_len() != classes || radius.row_len() != width || logits.rows() != labels.len() {
        return Err(ModelError::NotClassifier {
            reason: "its last layer does not give its scores".to_owned(),
        });
    }
    let margin = |row: usize, label: usize, other: usize| -> f32 {
        let (scores, radius) = (logits.row(row), radius.row(row));
        let pairs = weights.row(label).iter().zip(weights.row(other)).zip(radius);
        let spread: f32 = pairs.map(|((own, other), radius)| (own - other).abs() * radius).sum();
        scores[label] - scores[other] - spread - SLACK * (spread + scores[label].abs() + scores[other].abs())
    };
    Ok(labels
        .iter()
        .enumerate()
        .map(|(row, &label)| {
            let others = (0..classes).filter(|other| *other != label && label < classes);
            let least = others.map(|other| margin(row, label, other)).fold(f32::INFINITY, f32::min);
            if least.is_finite() { least } else { f32::MIN }
        })
        .collect())
}

fn centre(between: &Between) -> Tensor {
    joined(&between.low, &between.high, f32::midpoint)
}

/// Half the width, a little more where the middle was rounded.
fn radius(between: &Between) -> Tensor {
    joined(&between.low, &between.high, |low, high| {
        (high - low) / 2.0 + SLACK * 1e-2 * (low.abs() + high.abs())
    })
}

/// Element by element; the shape of the first.
fn joined(a: &Tensor, b: &Tensor, join: impl Fn(f32, f32) -> f32) -> Tensor {
    let mut out = a.clone();
    out.data_mut().iter_mut().zip(b.data()).for_each(|(a, b)| *a = join(*a, *b));
    out
}

fn forward(run: &mut Run, node: &Node, inputs: &[Option<&Value>]) -> Result<Tensor, Fail> {
    run.tick()?;
    let outputs = node.operator.forward(run, Inputs(inputs), None)?;
    let first = outputs.first().and_then(Value::to_f32);
    run.settle(outputs.iter().map(values::bytes).sum());
    outputs.into_iter().for_each(|value| run.release(value));
    first.ok_or_else(|| Fail::Bad("its output is no float".to_owned()))
}

/// One node's output between its ends.
fn pass(graph: &Graph, run: &mut Run, node: &Node, slots: &mut [Option<Between>]) -> Result<(), Fail> {
    let Some(Some(out)) = node.outputs.first() else { return Ok(()) };
    let varying = |slot: &Option<usize>| slot.is_some_and(|slot| graph.constants[slot].is_none());
    let known = |slot: &Option<usize>| {
        slot.is_none_or(|slot| graph.constants[slot].is_some() || slots[slot].is_some())
    };
    if !node.inputs.iter().all(known) {
        return Err(refused(node));
    }
    // The inputs at one end; constants are themselves.
    let ends = |high: bool| -> Vec<Option<Value>> {
        let end = |slot: &Option<usize>| {
            let slot = (*slot)?;
            let between = slots[slot].as_ref().map(|between| if high { &between.high } else { &between.low });
            between.map(|tensor| Value::F32(tensor.clone())).or_else(|| graph.constants[slot].clone())
        };
        node.inputs.iter().map(end).collect()
    };
    let count = node.inputs.iter().filter(|slot| varying(slot)).count();
    let at = |run: &mut Run, values: &[Option<Value>]| {
        let inputs: Vec<Option<&Value>> = values.iter().map(Option::as_ref).collect();
        forward(run, node, &inputs)
    };
    let first_only = count == 1 && node.inputs.first().is_some_and(varying);
    let between = match node.kind.as_str() {
        kind if RISING.contains(&kind) => {
            Between { low: at(run, &ends(false))?, high: at(run, &ends(true))? }
        }
        "Sub" if count > 0 => {
            let (mut low, mut high) = (ends(false), ends(true));
            if let (Some(a), Some(b)) = (low.get_mut(1), high.get_mut(1)) {
                std::mem::swap(a, b);
            }
            Between { low: at(run, &low)?, high: at(run, &high)? }
        }
        "Neg" => Between { low: at(run, &ends(true))?, high: at(run, &ends(false))? },
        // A line in one varying input, element by element: it rises or falls, so the ends are at the ends.
        "BatchNormalization" if first_only => line(&at(run, &ends(false))?, &at(run, &ends(true))?),
        "Mul" if count == 1 => line(&at(run, &ends(false))?, &at(run, &ends(true))?),
        "Div" if first_only => line(&at(run, &ends(false))?, &at(run, &ends(true))?),
        "LeakyRelu" if first_only && rises(run, node)? => {
            Between { low: at(run, &ends(false))?, high: at(run, &ends(true))? }
        }
        "Gemm" | "MatMul" | "Conv" if first_only => {
            let (low, high) = (ends(false), ends(true));
            let (Some(Some(Value::F32(low_x))), Some(Some(Value::F32(high_x)))) = (low.first(), high.first())
            else {
                return Err(refused(node));
            };
            let input = Between { low: low_x.clone(), high: high_x.clone() };
            let mut middle = low.clone();
            middle[0] = Some(Value::F32(centre(&input)));
            let mut absolute = low.clone();
            absolute[0] = Some(Value::F32(radius(&input)));
            let weights =
                low.get(1).and_then(Option::as_ref).and_then(Value::to_f32).ok_or_else(|| refused(node))?;
            absolute[1] = Some(Value::F32(joined(&weights, &weights, |a, _| a.abs())));
            if let Some(Some(bias)) = low.get(2) {
                absolute[2] = Some(Value::F32(Tensor::full(bias.shape().to_vec(), 0.0)));
            }
            let (y, r) = (at(run, &middle)?, at(run, &absolute)?);
            // What was added up: the bound's own radius and the sums behind the middle.
            let mut sizes = absolute.clone();
            sizes[0] = Some(Value::F32(joined(low_x, high_x, |low, high| low.abs().max(high.abs()))));
            let sums = at(run, &sizes)?;
            let wide = joined(&r, &sums, |r, sums| r.abs() + SLACK * sums.abs());
            Between { low: joined(&y, &wide, |y, r| y - r), high: joined(&y, &wide, |y, r| y + r) }
        }
        _ => return Err(refused(node)),
    };
    slots[*out] = Some(between);
    Ok(())
}

fn refused(node: &Node) -> Fail {
    Fail::Bad(format!("no interval bound goes through `{}` as it stands here", node.kind))
}

fn line(a: &Tensor, b: &Tensor) -> Between {
    Between { low: joined(a, b, f32::min), high: joined(a, b, f32::max) }
}

/// Whether a leaky operator leaks upwards.
fn rises(run: &mut Run, node: &Node) -> Result<bool, Fail> {
    let probe = Value::F32(Tensor::full([1, 1], -1.0));
    Ok(forward(run, node, &[Some(&probe)])?.data().first().is_some_and(|value| *value <= 0.0))
}
