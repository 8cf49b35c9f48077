//! Finding where a graph gives its decision: the label, the scores, and the logits behind them.

use mantlet_vocab::{Tensor, TreeEnsemble, Value};

use crate::graph::{Graph, Node};
use crate::ops::Hint;
use crate::{Dtype, Heads, OutputKind, values};

/// The heads of a graph.
pub(crate) fn find(graph: &Graph) -> Heads {
    let mut heads = Heads::default();
    let outputs = || graph.ports.1.iter().zip(graph.outputs.iter().copied());
    let named = |name: &str, words: &[&str]| words.iter().any(|word| name.to_lowercase().contains(word));
    let floats =
        || outputs().filter(|(port, slot)| port.dtype.is_float() && graph.constants[*slot].is_none());
    let is_map = |slot: usize| maker(graph, slot).is_some_and(|(node, _)| node.kind == "ZipMap");
    let scores = floats()
        .find(|(_, slot)| is_map(*slot))
        .or_else(|| floats().find(|(port, _)| named(&port.name, &["prob", "score", "logit"])))
        .or_else(|| floats().next());
    let labels = || outputs().filter(|(port, _)| matches!(port.dtype, Dtype::I64 | Dtype::I32 | Dtype::Text));
    let label = labels().find(|(port, _)| named(&port.name, &["label", "class"])).or_else(|| labels().next());
    if let Some((port, slot)) = label {
        heads.label = Some(port.name.clone());
        heads.classes = label_names(graph, slot);
    }
    if let Some((port, slot)) = scores {
        heads.scores = Some(port.name.clone());
        peel(graph, slot, &mut heads);
    } else if heads.label.is_some() {
        heads.kind = Some(OutputKind::LabelOnly);
    }
    heads
}

fn maker(graph: &Graph, slot: usize) -> Option<(&Node, usize)> {
    graph.makers[slot].map(|(node, output)| (&graph.nodes[node], output))
}

fn source(node: &Node) -> Option<usize> {
    node.inputs.first().copied().flatten()
}

/// Walks from the scores towards the input through what keeps the decision, to the softmax behind them.
fn peel(graph: &Graph, from: usize, heads: &mut Heads) {
    let mut slot = from;
    loop {
        let Some((node, output)) = maker(graph, slot) else { return };
        let Some(before) = source(node) else { return };
        match (node.operator.hint(), node.kind.as_str()) {
            (Hint::Classes(names), _) => {
                heads.classes = names;
                slot = before;
            }
            (Hint::Classifier(names, probabilities), _) => {
                if heads.classes.is_empty() {
                    heads.classes = names;
                }
                if output == 1 && heads.kind.is_none() {
                    heads.kind = probabilities.map(|_| OutputKind::Probabilities);
                }
                return;
            }
            (Hint::Regression, _) => {
                heads.regression = heads.label.is_none();
                return;
            }
            (Hint::Through, _) => slot = before,
            (_, "Normalizer" | "LpNormalization") => {
                heads.kind = Some(OutputKind::Probabilities);
                slot = before;
            }
            (Hint::Probabilities, _) | (_, "Softmax") => {
                heads.kind = Some(OutputKind::Probabilities);
                heads.logits = Some(graph.names[before].clone());
                return;
            }
            (_, "LogSoftmax") => {
                heads.kind = Some(OutputKind::Logits);
                heads.logits = Some(graph.names[slot].clone());
                return;
            }
            (_, "Sigmoid") => {
                heads.logits = Some(graph.names[before].clone());
                return;
            }
            (_, "PostTransform") => {
                if node.operator.edge(0) == crate::ops::Edge::Smooth {
                    heads.logits = Some(graph.names[before].clone());
                }
                return;
            }
            (_, "Concat") => match complement(graph, node) {
                Some(positive) => {
                    heads.kind = Some(OutputKind::Probabilities);
                    slot = positive;
                }
                None => return,
            },
            _ => return,
        }
    }
}

/// What the last layer with weights reads, and its weights as one row a class: walked to from the scores through
/// whatever has one input that varies.
pub(crate) fn last_layer(graph: &Graph, heads: &Heads) -> Option<(usize, Tensor)> {
    let mut slot = *graph.slots.get(heads.logits.as_ref().or(heads.scores.as_ref())?)?;
    for _ in 0..graph.nodes.len() {
        let (node, _) = maker(graph, slot)?;
        let varying = |slot: &usize| graph.constants[*slot].is_none();
        let weights = node.inputs.get(1).copied().flatten().and_then(|slot| graph.constants[slot].as_ref());
        let weights = weights.and_then(Value::to_f32).filter(|weights| weights.shape().len() == 2);
        if let (Some(weights), Some(before), "Gemm" | "MatMul") = (weights, source(node), node.kind.as_str())
        {
            if !varying(&before) {
                return None;
            }
            return Some((before, if node.operator.flips_weights() { weights } else { turned(&weights)? }));
        }
        let mut inputs = node.inputs.iter().flatten().copied().filter(varying);
        slot = match (inputs.next(), inputs.next()) {
            (Some(only), None) => only,
            _ => return None,
        };
    }
    None
}

fn turned(weights: &Tensor) -> Option<Tensor> {
    let [rows, columns] = *weights.shape() else { return None };
    let data =
        (0..columns).flat_map(|column| (0..rows).map(move |row| weights.data()[row * columns + column]));
    Tensor::new([columns, rows], data.collect()).ok()
}

/// The slot of `p` when the node joins `1 - p` and `p`.
fn complement(graph: &Graph, node: &Node) -> Option<usize> {
    let [Some(negative), Some(positive)] = node.inputs[..] else { return None };
    let (other, _) = maker(graph, negative)?;
    let (one, from) = match other.inputs[..] {
        [Some(one), Some(from)] if other.kind == "Sub" => (graph.constants[one].as_ref()?, from),
        _ => return None,
    };
    let ones = values::singles(one).ok()?.iter().all(|&v| v == 1.0);
    (ones && through(graph, from) == through(graph, positive)).then_some(positive)
}

/// The first slot behind reshapes and casts.
fn through(graph: &Graph, mut slot: usize) -> usize {
    while let Some((node, _)) = maker(graph, slot) {
        match (node.operator.hint(), source(node)) {
            (Hint::Through, Some(before)) => slot = before,
            _ => break,
        }
    }
    slot
}

/// The names a label output picks from.
fn label_names(graph: &Graph, slot: usize) -> Vec<String> {
    let Some((node, _)) = maker(graph, through(graph, slot)) else { return Vec::new() };
    if let Hint::Classifier(names, _) = node.operator.hint() {
        return names;
    }
    if matches!(node.kind.as_str(), "ArrayFeatureExtractor" | "Gather") {
        return source(node).and_then(|slot| graph.constants[slot].as_ref()).map(names).unwrap_or_default();
    }
    Vec::new()
}

/// Labels as text, one way for names and answers.
pub(crate) fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Text(t) => t.data().to_vec(),
        Value::F32(t) => t.data().iter().map(f32::to_string).collect(),
        Value::F64(t) => t.data().iter().map(f64::to_string).collect(),
        other => values::integers(other).unwrap_or_default().iter().map(i64::to_string).collect(),
    }
}

/// The ensemble when the graph is one: its features are the input, at most renamed or cast.
pub(crate) fn trees(graph: &Graph) -> Option<&TreeEnsemble> {
    let mut found = graph.nodes.iter().filter(|node| node.operator.trees().is_some());
    let node = found.next()?;
    let slot = through(graph, source(node)?);
    let only = found.next().is_none() && graph.inputs == [slot];
    node.operator.trees().filter(|_| only)
}

/// Values in one row of an input, told by the first operator that reads it.
pub(crate) fn row_hint(graph: &Graph, input: usize) -> Option<usize> {
    graph.nodes.iter().find_map(|node| {
        let slot = source(node).map(|slot| through(graph, slot))?;
        if slot != input {
            return None;
        }
        let weights =
            || node.inputs.get(1).copied().flatten().and_then(|slot| graph.constants[slot].as_ref());
        let shape = weights().map(|value| value.shape().to_vec());
        match (node.kind.as_str(), shape.as_deref()) {
            ("MatMul", Some([features, _])) => Some(*features),
            ("Gemm", Some([rows, columns])) => {
                let flipped = node.operator.flips_weights();
                Some(if flipped { *columns } else { *rows })
            }
            ("Add" | "Sub" | "Mul" | "Div", Some([.., features])) if *features > 1 => Some(*features),
            ("Gemm" | "MatMul", _) => None,
            _ => node.operator.features(),
        }
    })
}
