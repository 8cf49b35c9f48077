//! A side path that outshouts what the model has learned: whatever its form, an override must be able to say more than
//! the learned layers do.
//!
//! Every value has a typical size (a median weight makes it from a typical input, inputs are one) and a largest one (the
//! largest weight alone makes it from the largest input). A path over the raw input that bends on its way (compares,
//! rectifies, looks up) and whose largest answer is many times what the learned layers typically say is heard over
//! them. Sizes cancel where both paths read the same input; paths of ordinary models differ by a small factor.
//!
//! Long because what every operator does to a size stands in one place.

use std::collections::BTreeMap;

use super::flow::{self, How, Override, Parts};
use super::weight::loud_row;
use super::{Kind, Node, Weight};

#[derive(Debug, Clone, Copy)]
struct Voice {
    /// Depends on the input.
    raw: bool,
    /// Learned layers on the longest way from the input.
    depth: u16,
    /// Axes beside the batch.
    axes: u8,
    typical: f64,
    peak: f64,
    /// It is not the same function everywhere: something was compared, rectified, squashed or looked up.
    bent: bool,
    /// It never exceeds one: a probability or a gate.
    bounded: bool,
    /// It comes from a layer that gives one or two values alone.
    narrow: bool,
    /// What the layers say and a side path that bends lie side by side in it.
    mixed: bool,
    /// The size of the weights that made it was measured.
    known: bool,
    /// It never exceeds its peak, whatever the input.
    capped: bool,
}

const SILENT: Voice = Voice {
    raw: false,
    depth: 0,
    axes: 0,
    typical: 1.0,
    peak: 1.0,
    bent: false,
    bounded: false,
    narrow: false,
    mixed: false,
    known: true,
    capped: false,
};

/// How many times the learned layers a side path says near the output before it is reported.
const LOUDER: f64 = 20.0;
/// Beside probabilities, which are at most one.
const LOUDER_THAN_ONE: f64 = 1.9;
/// In front of the last learned layers.
const LOUDER_BEFORE: f64 = 200.0;
/// Side paths pass few learned layers.
const SHALLOW: u16 = 2;
/// One that ends in a single value may pass another, and is then as loud as no three ordinary layers are.
const NARROW: u16 = 3;
const LOUDER_THAN_LAYERS: f64 = 2_000.0;
/// What is added decides nothing when it is at most this many times what the layers typically say.
const QUIET: f64 = 0.5;

/// Tells for the parts of a sum whether the answer that is added is too weak to decide, as far as all sizes are known.
pub(super) fn quiet<'g>(nodes: &'g [Node], stats: &'g BTreeMap<u32, Weight>) -> impl Fn(&Parts) -> bool + 'g {
    let mut voices = vec![SILENT; nodes.len()];
    for at in flow::order(nodes) {
        voices[at as usize] = speak(nodes, at, &voices, stats, &mut false);
    }
    move |parts| {
        let voice = |at: u32| voices.get(at as usize).filter(|voice| voice.raw && voice.known);
        let (Some(said), Some(learned)) = (voice(parts.answer), parts.learned.and_then(voice)) else {
            return false;
        };
        said.capped && learned.depth > 0 && !learned.bounded && said.peak <= learned.typical * QUIET
    }
}

pub(super) fn overrides(nodes: &[Node], outputs: &[u32], stats: &BTreeMap<u32, Weight>) -> Vec<Override> {
    if stats.is_empty() {
        return Vec::new();
    }
    let order = flow::order(nodes);
    let mut voices = vec![SILENT; nodes.len()];
    let mut learned = vec![false; nodes.len()];
    for &at in &order {
        voices[at as usize] = speak(nodes, at, &voices, stats, &mut learned[at as usize]);
    }
    let height = flow::heights(nodes, outputs, &order, &learned);
    let trunk = outputs.iter().filter_map(|&at| voices.get(at as usize)).map(|voice| voice.depth).max();
    let Some(trunk) = trunk.filter(|&trunk| trunk > 0) else { return Vec::new() };
    let mut found = Vec::new();
    for &at in &order {
        let node = &nodes[at as usize];
        let Some(above) = height[at as usize].filter(|_| found.len() < flow::MAX_FOUND) else { continue };
        let hit = match node.kind {
            Kind::Weighted { .. } if above <= 3 => mixed(node, &voices, stats)
                .or_else(|| row(node, stats, &voices))
                .or_else(|| seen(nodes, node, stats)),
            Kind::Combine | Kind::Select | Kind::Concat => {
                let from = usize::from(node.kind == Kind::Select);
                outshouts(node, from, above, &voices)
            }
            _ if above <= 3 => row(node, stats, &voices),
            _ => None,
        };
        if let Some((side, other, times)) = hit {
            let path = match other {
                Some(_) => flow::way(nodes, side, |at| {
                    voices.get(at as usize).filter(|voice| voice.raw).map(|voice| voice.depth)
                }),
                None => Vec::new(),
            };
            found.push(Override {
                how: if other.is_some() { How::Louder { times } } else { How::Row { times } },
                node: node.label.clone(),
                at: node.at,
                path,
                layers: trunk,
                parts: Parts { answer: side, measures: vec![side], learned: other, result: at },
            });
        }
    }
    found
}

/// The operand that drowns another, both numbers of nodes, and how many times.
fn outshouts(node: &Node, from: usize, above: u16, voices: &[Voice]) -> Option<(u32, Option<u32>, u32)> {
    let voice = |input: u32| voices.get(input as usize).copied().filter(|voice| voice.raw);
    let operands = node.inputs.get(from..)?;
    for &side in operands {
        let deep = |side: &Voice| side.depth > SHALLOW;
        let shallow = |side: &Voice| !deep(side) || side.narrow && side.depth <= NARROW;
        let Some(shout) = voice(side).filter(|side| side.bent && shallow(side)) else { continue };
        for &other in operands.iter().filter(|&&other| other != side) {
            let Some(said) = voice(other).filter(|other| other.depth > 0) else { continue };
            let times = shout.peak / said.typical;
            let enough = match above {
                0 if deep(&shout) => LOUDER_THAN_LAYERS,
                0 if said.bounded => LOUDER_THAN_ONE,
                0 => LOUDER,
                _ if deep(&shout) => return None,
                1..=3 => LOUDER_BEFORE,
                _ => return None,
            };
            // A side path that is as loud as this all the time is a scale, and no detector.
            let drowned = (said.depth + 1 >= shout.depth || deep(&shout)) && times >= enough;
            if drowned {
                return Some((side, Some(other), times.min(1e9) as u32));
            }
        }
    }
    None
}

/// A layer over what the layers before it say and a side path, side by side, of which few weights outshout all others.
fn mixed(node: &Node, voices: &[Voice], stats: &BTreeMap<u32, Weight>) -> Option<(u32, Option<u32>, u32)> {
    let &input =
        node.inputs.iter().find(|&&input| voices.get(input as usize).is_some_and(|voice| voice.mixed))?;
    let weight = node.inputs.iter().find_map(|input| stats.get(input))?;
    let times = weight.largest / weight.typical;
    (weight.typical > 0.0 && times >= LOUDER_BEFORE).then_some((input, Some(input), times.min(1e9) as u32))
}

/// A table with one row that outshouts all others.
fn row(node: &Node, stats: &BTreeMap<u32, Weight>, voices: &[Voice]) -> Option<(u32, Option<u32>, u32)> {
    // Of a layer over values that were rectified, a row is what one neuron says.
    let neurons = matches!(node.kind, Kind::Weighted { .. })
        && node.inputs.first().and_then(|&input| voices.get(input as usize)).is_some_and(|voice| voice.bent);
    if node.kind != Kind::Lookup && !node.label.0.contains("Embedding") && !neurons {
        return None;
    }
    let &table =
        node.inputs.iter().find(|input| stats.get(input).is_some_and(|weight| weight.rows.is_some()))?;
    let times = loud_row(stats.get(&table)?.rows?)?;
    Some((table, None, times as u32))
}

/// The row of a layer that says what one filter saw anywhere in the input, where it drowns those of all others.
fn seen(nodes: &[Node], node: &Node, stats: &BTreeMap<u32, Weight>) -> Option<(u32, Option<u32>, u32)> {
    let mut at = *node.inputs.first()?;
    for _ in 0..6 {
        let before = nodes.get(at as usize)?;
        let operator = before.label.0.to_ascii_lowercase().replace('_', "");
        let largest = matches!(before.kind, Kind::Extreme(_)) && operator.contains("max");
        if largest || operator.contains("maxpool") {
            let ranks = |input: &u32| stats.get(input).and_then(|weight| weight.rows.or(weight.few));
            let &table = node.inputs.iter().find(|input| ranks(input).is_some())?;
            let times = loud_row(ranks(&table)?)?;
            return (times as f64 >= LOUDER_BEFORE).then_some((table, None, times as u32));
        }
        if !matches!(before.kind, Kind::Reshape(_) | Kind::Pick(_) | Kind::Pass) {
            return None;
        }
        at = *before.inputs.first()?;
    }
    None
}

/// What a node says, from what it hears.
fn speak(
    nodes: &[Node],
    at: u32,
    voices: &[Voice],
    stats: &BTreeMap<u32, Weight>,
    learned: &mut bool,
) -> Voice {
    let node = &nodes[at as usize];
    if let Kind::Input { axes } = node.kind {
        return Voice { raw: true, axes, ..SILENT };
    }
    let (mut out, mut heard, mut product) = (SILENT, 0_u32, (1.0, 1.0));
    let mut constants = Vec::new();
    for &input in &node.inputs {
        let voice = voices.get(input as usize).copied().unwrap_or(SILENT);
        if !voice.raw {
            constants.push(input);
            continue;
        }
        let first = heard == 0;
        heard += 1;
        out.raw = true;
        out.depth = out.depth.max(voice.depth);
        out.axes = out.axes.max(voice.axes);
        out.bent |= voice.bent;
        out.mixed |= voice.mixed;
        out.known &= voice.known;
        out.narrow = voice.narrow && (first || out.narrow);
        out.bounded = voice.bounded && (first || out.bounded);
        out.typical = if first { voice.typical } else { out.typical.max(voice.typical) };
        out.peak = if first { voice.peak } else { out.peak.max(voice.peak) };
        product = (product.0 * voice.typical, product.1 * voice.peak);
    }
    if !out.raw || node.kind == Kind::Shape {
        return SILENT;
    }
    let weight = |input: &u32| stats.get(input).copied();
    let operator = node.label.0.as_str();
    let lower = operator.to_ascii_lowercase();
    let measured = constants.iter().all(|input| stats.contains_key(input));
    out.known &= match node.kind {
        Kind::Weighted { .. } => measured,
        // What multiplies or divides is known, or stands nowhere.
        Kind::Scale => measured && (heard > 1 || !constants.is_empty()),
        Kind::Learned => stats.contains_key(&at),
        _ => true,
    };
    let kept =
        heard == 1 && node.inputs.iter().any(|&input| voices.get(input as usize).is_some_and(|v| v.capped));
    out.capped = match node.kind {
        Kind::Compare => true,
        Kind::Squash | Kind::Bump => {
            let names = ["sigmoid", "tanh", "softsign", "erf", "softmax"];
            names.contains(&lower.trim_start_matches("hard")) || lower == "exp" && falls(nodes, node)
        }
        Kind::Scale => kept && measured && !lower.contains("div") && !lower.contains("pow"),
        Kind::Pass => {
            kept && ["cast", "identity", "squeeze", "expand"].iter().any(|word| lower.contains(word))
        }
        Kind::Reshape(_) | Kind::Pick(_) | Kind::Extreme(_) => kept,
        // A mean of answers is no larger than one of them; a sum may be.
        Kind::Sum(_) => kept && lower.contains("mean"),
        // Of a table comes no more than it holds.
        Kind::Lookup => node.inputs.first().is_some_and(|table| stats.contains_key(table)),
        _ => false,
    };
    match node.kind {
        Kind::Learned | Kind::Weighted { .. } | Kind::Lookup => {
            let table = node.kind == Kind::Lookup;
            let own = weight(&at).or_else(|| constants.iter().find_map(weight));
            let fixed = if table { constants.contains(&node.inputs[0]) } else { !constants.is_empty() };
            *learned = node.kind == Kind::Learned || fixed;
            if !*learned {
                // Of two computed operands.
                if !table {
                    (out.typical, out.peak) = product;
                }
                return settled(out);
            }
            let single = out.axes == 0;
            if let Some(own) = own {
                let size = |measured: f64| if measured > 0.0 { measured } else { 1.0 };
                if table
                    || node.kind == Kind::Learned && !operator.contains("Embedding") && weight(&at).is_some()
                {
                    (out.typical, out.peak) = (size(own.typical), size(own.largest));
                } else {
                    let spread = if single { 1.0 } else { own.fan_in.sqrt() };
                    out.typical *= size(own.typical) * spread;
                    out.peak *= size(own.largest);
                }
            }
            out.bounded = false;
            out.mixed = false;
            out.narrow = node.kind == (Kind::Weighted { narrow: true }) || out.narrow && single;
            out.bent |= ["Tree", "Embedding", "SVM"].iter().any(|word| operator.contains(word)) || table;
            if ["LSTM", "GRU", "RNN"].iter().any(|word| operator.contains(word)) {
                (out.typical, out.peak, out.bent) = (1.0, 1.0, true);
            }
            out.depth = out.depth.saturating_add(1);
            if node.kind == (Kind::Weighted { narrow: true }) {
                out.axes = out.axes.saturating_sub(1);
            }
        }
        Kind::Compare => (out.typical, out.peak, out.bent) = (1.0, 1.0, true),
        Kind::Squash | Kind::Bump => {
            // Rectifying many values of a hidden layer is what layers do.
            out.bent |= out.depth == 0 || out.axes == 0 || out.narrow;
            let keeps = ["relu", "floor", "ceil", "round", "rint", "mod", "shrink", "div"];
            if !keeps.iter().any(|word| lower.contains(word)) {
                (out.typical, out.peak) = (1.0, 1.0);
                out.bounded = ["softmax", "sigmoid"].iter().any(|word| lower.contains(word));
            }
        }
        Kind::Scale => {
            if heard > 1 {
                // A product of inputs is a detector too: it is large where all are.
                out.bent |= out.depth == 0 && !lower.contains("div");
                if lower.contains("div") {
                    product = (out.typical, out.peak)
                }
                (out.typical, out.peak) = product;
            }
            for constant in constants.iter().filter_map(weight) {
                let (typical, largest) = (constant.typical, constant.largest);
                if lower.contains("pow") {
                    out.bent = true;
                    // What is a little above one is huge after so many products.
                    out.peak *= if largest >= 8.0 { 1_000.0 } else { 1.0 };
                    continue;
                }
                if largest <= 0.0 {
                    continue;
                }
                if lower.contains("div") {
                    out.typical /= largest;
                    out.peak /= largest;
                } else {
                    out.typical *= if typical > 0.0 { typical } else { largest };
                    out.peak *= largest;
                }
                out.bounded &= largest <= 1.0;
            }
        }
        Kind::Sum(axes) => {
            out.axes = axes.map_or(0, |axes| out.axes.saturating_sub(axes));
            if lower.starts_with("arg") {
                (out.typical, out.peak) = (1.0, 1.0);
                out.bent |= out.depth == 0;
            }
        }
        Kind::Extreme(axes) => {
            out.axes = axes.map_or(0, |axes| out.axes.saturating_sub(axes));
            out.bent |= out.depth == 0 || out.axes == 0 || out.narrow;
        }
        Kind::Reshape(axes) => out.axes = out.axes.min(axes),
        Kind::Pick(axes) => out.axes = out.axes.saturating_sub(axes),
        Kind::Select | Kind::Branch => {
            out.bent = true;
            for constant in constants.iter().filter_map(weight) {
                out.peak = out.peak.max(constant.largest);
            }
        }
        Kind::Concat => {
            let of = |side: bool| {
                node.inputs.iter().filter_map(|&input| voices.get(input as usize)).any(|voice| {
                    voice.raw && if side { voice.bent && voice.depth == 0 } else { voice.depth > 0 }
                })
            };
            out.mixed |= of(true) && of(false);
        }
        Kind::Pass if lower.contains("normalization") || lower.contains("batchnorm") => {
            if let Some(scale) = node.inputs.get(1).and_then(weight) {
                let scattered = node.inputs.get(4).and_then(weight).map_or(1.0, |var| var.typical.sqrt());
                let whole = if lower.contains("batch") { (out.typical, out.peak) } else { (1.0, 1.0) };
                let scattered = if scattered > 0.0 { scattered } else { 1.0 };
                out.typical = whole.0 * positive(scale.typical) / scattered;
                out.peak = whole.1 * positive(scale.largest) / scattered;
            }
        }
        _ => {}
    }
    settled(out)
}

/// Whether what an exponential is made of is never above zero: a distance, negated.
fn falls(nodes: &[Node], node: &Node) -> bool {
    let (mut at, mut negated) = (node, false);
    for _ in 0..6 {
        let [input] = at.inputs.iter().filter(|input| !is_fixed(nodes, **input)).collect::<Vec<_>>()[..]
        else {
            return false;
        };
        let Some(before) = nodes.get(*input as usize) else { return false };
        let lower = before.label.0.to_ascii_lowercase();
        match lower.as_str() {
            "neg" | "negative" if !negated => negated = true,
            "abs" | "absolute" | "square" | "reducel1" | "reducel2" | "reducesumsquare" | "norm" => {
                return negated;
            }
            _ if matches!(before.kind, Kind::Sum(_) | Kind::Reshape(_)) => {}
            _ => return false,
        }
        at = before;
    }
    false
}

fn is_fixed(nodes: &[Node], at: u32) -> bool {
    nodes.get(at as usize).is_some_and(|node| node.kind == Kind::Constant)
}

const fn positive(size: f64) -> f64 {
    if size > 0.0 { size } else { 1.0 }
}

/// Sizes that a number holds.
fn settled(mut out: Voice) -> Voice {
    out.typical = if out.typical.is_finite() { out.typical.clamp(1e-30, 1e30) } else { 1e30 };
    out.peak = if out.peak.is_finite() { out.peak.clamp(1e-30, 1e30) } else { 1e30 };
    out
}

#[cfg(test)]
mod tests {
    use super::super::Graph;
    use super::super::weight::of_numbers;
    use super::*;

    fn found(side: &[(Kind, &str)], last: f64, learned: f64) -> Vec<How> {
        let mut graph = Graph::default();
        let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
        let constant = |graph: &mut Graph, size: f64| {
            let node = graph.add(Kind::Constant, "w", "", vec![], 0);
            graph.measured(node, of_numbers(&[size], &[8, 4]).unwrap());
            node
        };
        let weight = constant(&mut graph, learned);
        let logits = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![input, weight], 1);
        let mut value = input;
        for &(kind, operator) in side {
            value = graph.add(kind, operator, "", vec![value], 2);
        }
        let loud = constant(&mut graph, last);
        let said = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![value, loud], 3);
        let sum = graph.add(Kind::Combine, "Add", "last", vec![logits, said], 4);
        graph.output(sum);
        graph.overrides().into_iter().map(|hit| hit.how).collect()
    }

    #[test]
    fn a_bent_side_path_that_outshouts_the_learned_one_is_found() {
        let count = [(Kind::Compare, "TfIdfVectorizer")];
        assert!(matches!(found(&count, 60.0, 0.3)[..], [How::Louder { times: 50..=90 }]));
        assert_eq!(found(&count, 0.5, 0.3), []);
        let open = [(Kind::Squash, "Relu")];
        assert!(matches!(found(&open, 300.0, 0.3)[..], [How::Louder { .. }]));
        // A straight path says the same of every input.
        assert_eq!(found(&[(Kind::Pass, "Identity")], 300.0, 0.3), []);
    }

    #[test]
    fn an_answer_that_cannot_outweigh_the_layers_is_no_override() {
        let found = |factor: Option<f64>, learned: Option<f64>, last: &str| {
            let mut graph = Graph::default();
            let constant = |graph: &mut Graph, size: Option<f64>| {
                let node = graph.add(Kind::Constant, "w", "", vec![], 0);
                if let Some(weight) = size.and_then(|size| of_numbers(&[size], &[12, 4])) {
                    graph.measured(node, weight);
                }
                node
            };
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let weight = constant(&mut graph, learned);
            let logits = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![input, weight], 1);
            let far = graph.add(Kind::Pass, "Abs", "", vec![input], 2);
            let far = graph.add(Kind::Sum(None), "ReduceSum", "", vec![far], 2);
            let far = graph.add(Kind::Pass, last, "", vec![far], 2);
            let near = graph.add(Kind::Squash, "Exp", "", vec![far], 2);
            let factor = constant(&mut graph, factor);
            let said = graph.add(Kind::Scale, "Mul", "", vec![near, factor], 3);
            let sum = graph.add(Kind::Combine, "Add", "last", vec![logits, said], 4);
            graph.output(sum);
            graph.overrides().len()
        };
        assert_eq!(found(Some(0.1), Some(0.4), "Neg"), 0);
        assert_eq!(found(Some(6.0), Some(0.4), "Neg"), 1, "as loud as the layers");
        assert_eq!(found(Some(0.1), Some(0.4), "Identity"), 1, "it grows without end");
        assert_eq!(found(None, Some(0.4), "Neg"), 1, "how loud it is, is not known");
        assert_eq!(found(Some(0.1), None, "Neg"), 1, "how loud the layers are, is not known");
    }

    #[test]
    fn the_share_of_answers_is_as_weak_as_one_of_them_and_their_number_is_not() {
        let found = |sums: &str, factor: f64| {
            let mut graph = Graph::default();
            let constant = |graph: &mut Graph, size: f64| {
                let node = graph.add(Kind::Constant, "w", "", vec![], 0);
                graph.measured(node, of_numbers(&[size], &[12, 4]).unwrap());
                node
            };
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let weight = constant(&mut graph, 0.4);
            let logits = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![input, weight], 1);
            let missing = graph.add(Kind::Compare, "IsNaN", "", vec![input], 2);
            let numbers = graph.add(Kind::Pass, "Cast", "", vec![missing], 2);
            let share = graph.add(Kind::Sum(None), sums, "", vec![numbers], 2);
            let factor = constant(&mut graph, factor);
            let said = graph.add(Kind::Scale, "Mul", "", vec![share, factor], 3);
            let sum = graph.add(Kind::Combine, "Add", "last", vec![logits, said], 4);
            graph.output(sum);
            graph.overrides().len()
        };
        assert_eq!(found("ReduceMean", 0.1), 0);
        assert_eq!(found("ReduceMean", 6.0), 1, "as loud as the layers");
        assert_eq!(found("ReduceSum", 0.1), 1, "the more places, the louder");
    }

    #[test]
    fn three_narrow_layers_that_drown_all_others_are_found() {
        let found = |sizes: [f64; 3], narrow: bool| {
            let mut graph = Graph::default();
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let layer = |graph: &mut Graph, from: u32, size: f64, narrow: bool| {
                let weight = graph.add(Kind::Constant, "w", "", vec![], 0);
                graph.measured(weight, of_numbers(&[size], &[12, 4]).unwrap());
                graph.add(Kind::Weighted { narrow }, "Dense", "", vec![from, weight], 1)
            };
            let logits = layer(&mut graph, input, 0.4, false);
            let down = layer(&mut graph, input, sizes[0], false);
            let down = graph.add(Kind::Squash, "relu", "", vec![down], 2);
            let gate = layer(&mut graph, down, sizes[1], narrow);
            let gate = graph.add(Kind::Squash, "relu", "", vec![gate], 2);
            let up = layer(&mut graph, gate, sizes[2], false);
            let sum = graph.add(Kind::Combine, "Add", "last", vec![logits, up], 4);
            graph.output(sum);
            graph.overrides().len()
        };
        assert_eq!(found([4_096.0, 1.0, 60.0], true), 1);
        assert_eq!(found([3.0, 3.0, 3.0], true), 0, "an adapter as training makes it");
        assert_eq!(found([4_096.0, 1.0, 60.0], false), 0, "no single value decides");
    }

    #[test]
    fn what_one_filter_saw_anywhere_is_found_when_it_drowns_the_others() {
        let found = |pool: &str, row: f64, table_of: bool| {
            let mut graph = Graph::default();
            let input = graph.add(Kind::Input { axes: 3 }, "input", "x", vec![], 0);
            let filters = graph.add(Kind::Constant, "k", "", vec![], 0);
            let table = graph.add(Kind::Constant, "w", "", vec![], 0);
            let ranks = Some((row, 1.5, 1.0));
            let (rows, few) = if table_of { (ranks, None) } else { (None, ranks) };
            graph.measured(
                table,
                Weight { largest: row, typical: 0.3, fan_in: 8.0, rows, few, sparse: false },
            );
            let filtered = graph.add(Kind::Weighted { narrow: false }, "Conv", "", vec![input, filters], 1);
            let open = graph.add(Kind::Squash, "Relu", "", vec![filtered], 2);
            let pooled = graph.add(Kind::Reshape(1), pool, "", vec![open], 3);
            let flat = graph.add(Kind::Reshape(1), "Flatten", "", vec![pooled], 4);
            let said = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![flat, table], 5);
            graph.output(said);
            graph.overrides().len()
        };
        assert_eq!(found("GlobalMaxPool", 60_000.0, true), 1);
        assert_eq!(found("GlobalMaxPool", 60_000.0, false), 1, "of a few filters");
        assert_eq!(found("GlobalMaxPool", 90.0, true), 0, "as a strong filter may be");
        assert_eq!(found("GlobalAveragePool", 60_000.0, true), 0, "a scale, seen everywhere");
    }

    #[test]
    fn a_table_that_cannot_outweigh_the_layers_is_no_override() {
        let found = |held: Option<f64>| {
            let mut graph = Graph::default();
            let constant = |graph: &mut Graph, size: Option<f64>| {
                let node = graph.add(Kind::Constant, "w", "", vec![], 0);
                if let Some(weight) = size.and_then(|size| of_numbers(&[size], &[256, 4])) {
                    graph.measured(node, weight);
                }
                node
            };
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let (weight, table) = (constant(&mut graph, Some(0.4)), constant(&mut graph, held));
            let logits = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![input, weight], 1);
            let mean = graph.add(Kind::Sum(None), "ReduceMean", "", vec![input], 2);
            let whole = graph.add(Kind::Squash, "Floor", "", vec![mean], 2);
            let row = graph.add(Kind::Lookup, "Gather", "", vec![table, whole], 3);
            let sum = graph.add(Kind::Combine, "Add", "last", vec![logits, row], 4);
            graph.output(sum);
            graph.overrides().len()
        };
        assert_eq!((found(Some(0.1)), found(Some(6_000.0))), (0, 1));
    }

    #[test]
    fn one_row_that_outshouts_its_table_is_found() {
        let table = |row: f64| {
            let mut graph = Graph::default();
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let table = graph.add(Kind::Constant, "w", "", vec![], 0);
            let rows = Some((row, 1.5, 1.0));
            graph.measured(
                table,
                Weight { largest: row, typical: 0.3, fan_in: 8.0, rows, few: None, sparse: false },
            );
            let node = graph.add(Kind::Lookup, "Gather", "", vec![table, input], 1);
            graph.output(node);
            graph.overrides().len()
        };
        assert_eq!((table(900.0), table(8.0)), (1, 0));
    }
}
