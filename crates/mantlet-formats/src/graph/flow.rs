//! What happens to the input on its way through a graph, node by node.
//!
//! Long because every step of the walk shares one state.

use std::collections::{BTreeMap, HashSet};

use super::{Kind, Node, Weight, words};

/// How the answer about the input gets its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It chooses between the learned output and another value.
    Choice,
    /// It decides which graph runs.
    Branch,
    /// It is multiplied into the learned output.
    Factor,
    /// It is added to the learned output.
    Term,
    /// It is the position at which the output is looked up, or says in another way what is made of it.
    Position,
    /// It puts something else in the place of the input.
    Input,
    /// It says this many times what the learned layers do.
    Louder {
        /// How many.
        times: u32,
    },
    /// One row of a table is this many times as long as the one in the middle.
    Row {
        /// How many.
        times: u32,
    },
}

/// A place where an answer about the raw input decides over the learned output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// How.
    pub how: How,
    /// The operator that lets it decide, and the node's name.
    pub node: (String, String),
    /// Offset of that node.
    pub at: u64,
    /// The way from the input to that node, operators and names, input first.
    pub path: Vec<String>,
    /// Learned layers whose work is overridden.
    pub layers: u16,
    /// The values that take part, as numbers of [`super::Graph::nodes`].
    pub parts: Parts,
}

/// The values that take part in an override.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// The answer about the raw input.
    pub answer: u32,
    /// What is compared or squashed to give the answer.
    pub measures: Vec<u32>,
    /// The learned output that is overridden, where it is an operand.
    pub learned: Option<u32>,
    /// What comes out.
    pub result: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Constant,
    /// Depends on the input.
    Value,
    /// Depends on the input only through yes-or-no answers.
    Indicator,
}

#[derive(Debug, Clone, Copy)]
struct State {
    class: Class,
    /// Learned layers on the longest way from the input.
    depth: u16,
    /// Axes beside the batch that are left.
    axes: u8,
    /// The inputs it depends on, one bit each.
    inputs: u64,
    /// Learned and other values side by side.
    mixed: bool,
    /// What constants have multiplied it by.
    gain: f64,
    /// It is yes or no, or as good as that: compared, or squashed after it was made steep.
    sharp: bool,
    /// How many positions answered yes, times constants.
    counted: bool,
    /// The narrow layer over the raw input that it comes from alone: a detector of one pattern.
    detector: Option<u32>,
    /// How long it is depends on the values it was made from.
    sized: bool,
    /// A size of the raw input, or what was made of one.
    size: bool,
    /// A yes or no about such a size, by a number it is compared with.
    asks: bool,
    /// It says only whether the raw input is a number.
    number: bool,
}

/// What is known of the values beside their kinds.
pub(super) struct Known<'g> {
    /// The largest number of small constants.
    pub(super) weights: &'g BTreeMap<u32, f64>,
    /// How large the numbers of constants are.
    pub(super) stats: &'g BTreeMap<u32, Weight>,
    /// Axes that are left, by shape.
    pub(super) shaped: &'g BTreeMap<u32, u8>,
}

/// From this gain on a squashing step is as good as a comparison.
const STEEP: f64 = 50.0;

const CONSTANT: State = State {
    class: Class::Constant,
    depth: 0,
    axes: 0,
    inputs: 0,
    mixed: false,
    gain: 1.0,
    sharp: false,
    counted: false,
    detector: None,
    sized: false,
    size: false,
    asks: false,
    number: false,
};

pub(super) const MAX_FOUND: usize = 16;
/// What inputs are called that hold what a model counted in earlier calls.
pub(crate) const STATE: &str = "state";
/// Layers of a small network beside the model that sees one pattern.
const DETECTOR_LAYERS: u16 = 3;
/// Nodes before a value that are followed to tell two networks apart.
const MAX_BEFORE: usize = 50_000;

pub(super) fn overrides(nodes: &[Node], outputs: &[u32], known: &Known<'_>) -> Vec<Override> {
    let order = order(nodes);
    let mut states = vec![CONSTANT; nodes.len()];
    let mut learned = vec![false; nodes.len()];
    // Inputs that a learned layer reads as they are.
    let mut data = 0_u64;
    let mut next_input = 0_u32;
    // Those of them that hold what the model remembers.
    let mut remembered = 0_u64;
    for &at in &order {
        let node = &nodes[at as usize];
        if let Kind::Input { axes } = node.kind {
            let bit = 1_u64 << next_input.min(63);
            next_input += 1;
            // What a model remembers from one call to the next is asked by whoever reads it.
            if node.label.0 == STATE {
                data |= bit;
                remembered |= bit;
            }
            states[at as usize] = State { class: Class::Value, axes, inputs: bit, ..CONSTANT };
            continue;
        }
        let mut state = step(node, &states, known, &mut learned[at as usize], &mut data);
        // A text that is held against a pattern is what somebody writes, whatever else reads it.
        if node.label.0.contains("RegexFullMatch") {
            data |= node
                .inputs
                .iter()
                .filter_map(|&input| states.get(input as usize))
                .fold(0, |all, one| all | one.inputs);
        }
        if state.class != Class::Constant {
            // Of a constant a value takes the shape, but not more answers: a shape only lowers how many there are.
            state.axes = known.shaped.get(&at).map_or(state.axes, |&axes| state.axes.min(axes));
            sharpen(node, at, &states, known, learned[at as usize], &mut state);
        }
        states[at as usize] = state;
    }
    let height = heights(nodes, outputs, &order, &learned);
    let trunk = outputs.iter().filter_map(|&at| states.get(at as usize)).map(|state| state.depth).max();
    let Some(trunk) = trunk.filter(|&trunk| trunk > 0) else { return Vec::new() };
    let shallow = u16::from(trunk >= 4);
    let mut found = Vec::new();
    for &at in &order {
        let node = &nodes[at as usize];
        // Near the output: no learned layer after it, or only the last of many.
        let Some(above) = height[at as usize].filter(|_| found.len() < MAX_FOUND) else { continue };
        let last = above == 0;
        let near = last || above == 1 && trunk >= 4;
        let state = |index: usize| node.inputs.get(index).and_then(|&input| states.get(input as usize));
        let whole = |seen: &State| seen.axes == 0 || node.kind == Kind::Branch;
        let decides = |index: usize| {
            state(index).is_some_and(|seen| {
                seen.class == Class::Indicator
                    && whole(seen)
                    && seen.depth <= shallow
                    && seen.inputs & data != 0
            })
        };
        // A layer of one value over the raw input, compared: it sees one pattern.
        let sees = |index: usize| {
            state(index).filter(|seen| {
                seen.class == Class::Indicator
                    && seen.sharp
                    && seen.detector.is_some()
                    && whole(seen)
                    && seen.inputs & data != 0
            })
        };
        let spots = |index: usize| sees(index).is_some_and(|seen| seen.depth <= 1);
        // One of several layers counts where none of them has a part in what it decides over.
        let detects = |index: usize| {
            let Some(seen) = sees(index) else { return false };
            (0..node.inputs.len()).any(|other| {
                deep_beside(nodes, node, &states, other, shallow, trunk, seen)
                    && (seen.depth <= 1 || apart(nodes, &learned, node.inputs[index], node.inputs[other]))
            })
        };
        let deep = |index: usize| {
            state(index).is_some_and(|state| state.depth > shallow && state.depth * 2 >= trunk)
        };
        // A plain yes or no about the raw values speaks for the model a layer earlier too.
        let plain =
            |index: usize| decides(index) && state(index).is_some_and(|seen| seen.sharp && seen.depth == 0);
        let count = node.inputs.len();
        let position = |from: usize| (from..count).find(|&index| deep(index));
        let learns =
            |index: usize| deep(index) && state(index).is_some_and(|state| state.class == Class::Value);
        let beside = |index: usize| (0..count).any(|other| other != index && learns(other));
        // An answer about how large the batch is.
        let asks = |index: usize| state(index).is_some_and(|seen| seen.class == Class::Constant && seen.asks);
        let said = |index: usize| deep(index) && state(index).is_some_and(|seen| seen.class == Class::Value);
        // Of its own counting a model may choose between answers that name the same class.
        let recalls = |ways: std::ops::Range<usize>| {
            let asked = state(0).map_or(0, |seen| seen.inputs & data);
            asked & !remembered == 0 && alike(nodes, node.inputs.get(ways).unwrap_or_default())
        };
        let fixed = |index: usize| {
            state(index).is_some_and(|seen| seen.class == Class::Constant && !seen.size && !seen.asks)
        };
        let hit = match node.kind {
            Kind::Select | Kind::Branch if last && asks(0) && !words::turns(&node.label.0) => {
                let how = if node.kind == Kind::Select { How::Choice } else { How::Branch };
                ((1..count).any(said) && (1..count).any(fixed)).then_some((0, how))
            }
            Kind::Scale | Kind::Combine if last && (0..count).any(asks) && (0..count).any(said) => {
                let how = if node.kind == Kind::Scale { How::Factor } else { How::Term };
                (0..count).find(|&index| asks(index)).map(|index| (index, how))
            }
            _ if above > 0 && replaces(node, &states, data) => {
                let seen = |index: &usize| plain(*index) || spots(*index);
                (0..count).find(seen).map(|index| (index, How::Input))
            }
            Kind::Select if near => {
                let other = if deep(1) { 2 } else { 1 };
                let constant = state(other).is_some_and(|state| state.class != Class::Value);
                let learned = if last { deep(1) || deep(2) } else { deep(1) != deep(2) && constant };
                let learned = learned && !blank(nodes, node, &states, known);
                ((decides(0) || detects(0)) && learned && !recalls(1..3)).then_some((0, How::Choice))
            }
            Kind::Branch if near => {
                let decided = decides(0) || detects(0);
                (decided && last && (1..count).any(deep) && !recalls(1..count)).then_some((0, How::Branch))
            }
            Kind::Scale | Kind::Combine if near || above == 1 => {
                let how = if node.kind == Kind::Scale { How::Factor } else { How::Term };
                let decider = (0..count).find(|&index| if near { decides(index) } else { plain(index) });
                let added = node.kind == Kind::Combine && last;
                decider
                    .filter(|_| (0..count).any(deep))
                    .or_else(|| {
                        (last && node.kind == Kind::Scale)
                            .then(|| (0..count).find(|&index| detects(index)))
                            .flatten()
                    })
                    .or_else(|| added.then(|| pushed(nodes, node, &states, shallow, data)).flatten())
                    .map(|index| (index, how))
            }
            Kind::Lookup if near && !learned[at as usize] => {
                let mixed = state(0).is_some_and(|state| state.mixed);
                let decider = (1..count).find(|&index| decides(index) || detects(index));
                decider
                    .filter(|&index| mixed && last || plain(index) && deep(0) || detects(index))
                    .map(|index| (index, How::Position))
            }
            // Whatever it does with what the layers say, it does it as an answer about the raw input wants it.
            Kind::Pass
            | Kind::Weighted { .. }
            | Kind::Extreme(_)
            | Kind::Squash
            | Kind::Sum(_)
            | Kind::Count
            | Kind::Pick(_)
                if near && !learned[at as usize] && !only_sizes(&node.label.0) =>
            {
                let decider = (0..count).find(|&index| plain(index) || detects(index));
                decider.filter(|&index| beside(index)).map(|index| (index, How::Position))
            }
            _ => None,
        };
        if let Some((index, how)) = hit {
            let learned = match node.kind {
                Kind::Select => position(1),
                Kind::Scale | Kind::Combine => position(0),
                _ => None,
            };
            let answer = node.inputs[index];
            found.push(Override {
                how,
                node: node.label.clone(),
                at: node.at,
                path: path(nodes, &states, answer),
                layers: trunk,
                parts: Parts {
                    answer,
                    measures: measures(nodes, &states, answer),
                    learned: learned.and_then(|index| node.inputs.get(index).copied()),
                    result: at,
                },
            });
        }
    }
    found
}

/// Whether an operand is what the learned layers say, and not what this detector does.
fn deep_beside(
    nodes: &[Node],
    node: &Node,
    states: &[State],
    index: usize,
    shallow: u16,
    trunk: u16,
    seen: &State,
) -> bool {
    node.inputs.get(index).and_then(|&input| states.get(input as usize)).is_some_and(|state| {
        state.class == Class::Value
            && state.depth > shallow
            && state.depth * 2 >= trunk
            && state.detector != seen.detector
            && (state.depth > seen.depth || seen.depth <= 1 && narrow(nodes, seen.detector))
    })
}

/// Whether a choice only says nothing, in zeros, where the raw input is no number: on such an input the layers, which do
/// not cope with it, say nothing either.
fn blank(nodes: &[Node], node: &Node, states: &[State], known: &Known<'_>) -> bool {
    let [answer, ways @ ..] = node.inputs.as_slice() else { return false };
    let state = |at: u32| states.get(at as usize).copied().unwrap_or(CONSTANT);
    if !state(*answer).number {
        return false;
    }
    let zero = |at: u32| {
        let made = nodes.get(at as usize).is_some_and(|made| words::is_zeros(&made.label.0));
        state(at).class == Class::Constant && (made || known.weights.get(&at) == Some(&0.0))
    };
    let plain = |at: u32| state(at).class == Class::Value && !copes(nodes, at);
    ways.len() == 2 && ways.iter().any(|&way| zero(way)) && ways.iter().any(|&way| plain(way))
}

/// Whether something before a value copes with inputs that are no numbers. What is larger than the bound does.
fn copes(nodes: &[Node], from: u32) -> bool {
    let (mut waiting, mut seen) = (vec![from], HashSet::from([from]));
    while let Some(at) = waiting.pop() {
        let Some(node) = nodes.get(at as usize) else { continue };
        if seen.len() > MAX_BEFORE || words::copes(&node.label.0) {
            return true;
        }
        waiting.extend(node.inputs.iter().copied().filter(|&input| seen.insert(input)));
    }
    false
}

/// Whether two values have no learned layer in common. What is larger than the bound is taken to have one.
fn apart(nodes: &[Node], learned: &[bool], one: u32, other: u32) -> bool {
    let Some(mine) = layers_before(nodes, learned, one) else { return false };
    layers_before(nodes, learned, other).is_some_and(|others| mine.is_disjoint(&others))
}

/// The learned layers that a value comes from.
fn layers_before(nodes: &[Node], learned: &[bool], from: u32) -> Option<HashSet<u32>> {
    let (mut waiting, mut seen) = (vec![from], HashSet::from([from]));
    while let Some(at) = waiting.pop() {
        for &input in nodes.get(at as usize).map_or(&[][..], |node| &node.inputs) {
            if seen.insert(input) {
                waiting.push(input);
            }
        }
        if seen.len() > MAX_BEFORE {
            return None;
        }
    }
    seen.retain(|&at| learned.get(at as usize) == Some(&true));
    Some(seen)
}

/// Whether values order the classes alike: one is another less a single number that was made of that.
fn alike(nodes: &[Node], values: &[u32]) -> bool {
    let bare = |mut at: u32| {
        for _ in 0..4 {
            let Some(node) = nodes.get(at as usize) else { break };
            let less = node.label.0.trim_matches('_').to_ascii_lowercase();
            let (Some(&value), Some(taken)) = (node.inputs.first(), node.inputs.get(1)) else { break };
            let own = nodes.get(*taken as usize).is_some_and(|taken| {
                matches!(taken.kind, Kind::Sum(None) | Kind::Extreme(None))
                    && taken.inputs.first() == Some(&value)
            });
            if !own || !matches!(less.as_str(), "sub" | "subtract") {
                break;
            }
            at = value;
        }
        at
    };
    let [first, rest @ ..] = values else { return false };
    let base = bare(*first);
    // Of one class nothing is left when it is taken from itself.
    let mut layer = nodes.get(base as usize);
    for _ in 0..8 {
        let Some(node) = layer else { break };
        if matches!(node.kind, Kind::Weighted { .. } | Kind::Learned) {
            break;
        }
        layer = node.inputs.first().and_then(|&input| nodes.get(input as usize));
    }
    let many =
        layer.is_some_and(|node| matches!(node.kind, Kind::Weighted { narrow: false } | Kind::Learned));
    many && !rest.is_empty() && rest.iter().all(|&value| bare(value) == base)
}

/// Whether a detector is a layer that gives one or two values; others are told by what was picked of them, and only
/// from deeper layers.
fn narrow(nodes: &[Node], detector: Option<u32>) -> bool {
    let layer = detector.and_then(|at| nodes.get(at as usize));
    layer.is_some_and(|layer| layer.kind == Kind::Weighted { narrow: true })
}

/// Whether a node puts something else in the place of the whole raw sample: it chooses between that and a constant, or
/// adds up two of which one is yes or no.
fn replaces(node: &Node, states: &[State], data: u64) -> bool {
    let of = |input: &u32| states.get(*input as usize).copied().unwrap_or(CONSTANT);
    let sample = |state: &State| {
        state.class == Class::Value && state.depth == 0 && state.axes > 0 && state.inputs & data != 0
    };
    let operands: Vec<State> = node.inputs.iter().map(of).collect();
    match node.kind {
        Kind::Select | Kind::Branch => {
            let ways = operands.get(1..).unwrap_or_default();
            ways.iter().any(sample) && ways.iter().any(|way| way.class != Class::Value)
        }
        Kind::Combine => operands.iter().any(sample),
        _ => false,
    }
}

/// Operators that make whole numbers of a value.
fn counts(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase();
    ["mod", "round", "floor", "ceil", "cast", "shift", "remainder", "trunc"]
        .iter()
        .any(|word| lower.contains(word))
}

/// Operators whose further operands say how large the result is, or nothing.
fn only_sizes(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase();
    [
        "reshape",
        "expand",
        "broadcast",
        "view",
        "squeeze",
        "range",
        "fill",
        "identity",
        "cast",
        "dropout",
        "value",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// The operand of a sum that counts answers about the raw input, or says what a detector of one pattern has seen,
/// beside a learned one.
fn pushed(nodes: &[Node], node: &Node, states: &[State], shallow: u16, data: u64) -> Option<usize> {
    let state = |index: usize| node.inputs.get(index).and_then(|&input| states.get(input as usize));
    (0..node.inputs.len()).find(|&index| {
        let Some(push) = state(index).filter(|push| push.axes == 0 && push.inputs & data != 0) else {
            return false;
        };
        let counts = push.counted && push.depth <= shallow;
        let detects = push.class == Class::Indicator && push.sharp && push.detector.is_some();
        let learned = |other: &State| {
            other.class == Class::Value
                && other.depth > shallow
                && (counts || other.detector != push.detector)
                && (counts || other.depth > push.depth || narrow(nodes, push.detector))
        };
        (counts || detects)
            && (0..node.inputs.len()).any(|other| other != index && state(other).is_some_and(learned))
    })
}

/// How steep a value is, and what of its positions is yes or no.
fn sharpen(node: &Node, at: u32, states: &[State], known: &Known<'_>, learned: bool, out: &mut State) {
    let operand = |input: &u32| states.get(*input as usize).copied().unwrap_or(CONSTANT);
    let values: Vec<State> =
        node.inputs.iter().map(operand).filter(|value| value.class != Class::Constant).collect();
    if learned {
        let raw = values.iter().all(|value| value.depth == 0);
        let single = node.kind == Kind::Weighted { narrow: true } || out.axes == 0;
        let last = !raw && node.kind == (Kind::Weighted { narrow: true }) && out.depth <= DETECTOR_LAYERS;
        out.detector = (raw && single || last).then_some(at);
        // What a layer of one value multiplies its inputs with makes it steep as any other factor does.
        let own = node.inputs.iter().chain([&at]).filter_map(|input| known.stats.get(input));
        let steep =
            own.map(|weight| weight.largest).filter(|_| (raw || last) && !node.label.0.contains("Tree"));
        out.gain = steep.fold(1.0, f64::max);
        return;
    }
    // What is kept of a value by answers about each of its positions is as long as they say.
    let kept = node.kind == Kind::Lookup && values.iter().skip(1).any(|value| value.sharp && value.axes > 0);
    out.sized = node.kind == Kind::Count || kept || values.iter().any(|value| value.sized);
    let [first, rest @ ..] = values.as_slice() else { return };
    out.gain = values.iter().map(|value| value.gain).fold(1.0, f64::max);
    out.number = match node.kind {
        Kind::Compare if words::asks_for_numbers(&node.label.0) => {
            values.iter().all(|value| value.depth == 0)
        }
        Kind::Compare if !words::joins_answers(&node.label.0) => false,
        Kind::Compare | Kind::Extreme(_) | Kind::Pass | Kind::Reshape(_) | Kind::Pick(_) | Kind::Squash => {
            values.iter().all(|value| value.number)
        }
        _ => false,
    };
    out.detector = first.detector.filter(|_| rest.iter().all(|value| value.detector == first.detector));
    let single = rest.is_empty();
    // One value picked from many that a layer over the raw input gives.
    let picks = !matches!(node.kind, Kind::Extreme(_) | Kind::Sum(_));
    if out.detector.is_none() && picks && single && out.depth == 1 && out.axes == 0 && first.axes > 0 {
        out.detector = Some(at);
    }
    if single && node.kind == Kind::Scale {
        let constants = node.inputs.iter().filter(|input| operand(input).class == Class::Constant);
        let factor: f64 = constants.filter_map(|input| known.weights.get(input)).product();
        let divides = node.label.0.to_ascii_lowercase().contains("div");
        let factor = if divides && factor > 0.0 { 1.0 / factor } else { factor };
        if factor > 0.0 && factor.is_finite() {
            out.gain *= factor;
        }
    }
    let steep = out.gain >= STEEP;
    match node.kind {
        Kind::Compare => out.sharp = true,
        Kind::Shape => {}
        Kind::Lookup if table(node, known) => {
            out.sharp = true;
            if out.axes == 0 {
                out.class = Class::Indicator;
            }
        }
        // Of a steep value whole numbers are many answers, as buckets of a hash are.
        Kind::Squash => out.sharp = steep && !counts(&node.label.0) || single && first.sharp,
        Kind::Bump if steep && single => {
            out.sharp = true;
            if out.axes == 0 {
                out.class = Class::Indicator;
            }
        }
        Kind::Sum(_) => {
            out.counted = out.axes == 0 && values.iter().any(|value| value.sharp && value.axes > 0);
        }
        Kind::Extreme(_) if single && first.sharp => {
            out.sharp = true;
            if out.axes == 0 {
                out.class = Class::Indicator;
            }
        }
        _ if single => {
            out.sharp = first.sharp;
            out.counted = first.counted;
        }
        _ => out.sharp = values.iter().all(|value| value.sharp && value.class == Class::Indicator),
    }
}

/// Whether what is looked up is no embedding: most rows say nothing, so that the others are answers.
fn table(node: &Node, known: &Known<'_>) -> bool {
    let numbers = node.inputs.first().and_then(|table| known.stats.get(table));
    numbers.is_some_and(|numbers| numbers.sparse)
}

/// The value of a node from the values it reads.
fn step(node: &Node, states: &[State], known: &Known<'_>, learned: &mut bool, data: &mut u64) -> State {
    let operands: Vec<State> =
        node.inputs.iter().map(|&input| states.get(input as usize).copied().unwrap_or(CONSTANT)).collect();
    let mut out = CONSTANT;
    let (mut values, mut indicators) = (0, 0);
    for operand in operands.iter().filter(|operand| operand.class != Class::Constant) {
        out.depth = out.depth.max(operand.depth);
        out.axes = out.axes.max(operand.axes);
        out.inputs |= operand.inputs;
        out.mixed |= operand.mixed;
        if operand.class == Class::Indicator { indicators += 1 } else { values += 1 }
    }
    if node.kind == Kind::Shape
        && operands.iter().any(|operand| operand.sized && operand.class != Class::Constant)
    {
        return State { class: Class::Value, axes: 0, counted: true, ..out };
    }
    if values + indicators == 0 || node.kind == Kind::Shape {
        return of_sizes(node, &operands, known);
    }
    out.class = if values == 0 { Class::Indicator } else { Class::Value };
    let constant = |index: usize| operands.get(index).is_some_and(|operand| operand.class == Class::Constant);
    *learned = match node.kind {
        Kind::Learned => true,
        Kind::Weighted { .. } => operands.iter().any(|operand| operand.class == Class::Constant),
        // A yes or no that chooses a row of a table is still one.
        Kind::Lookup => {
            let chosen = |index: &State| index.class == Class::Indicator && index.sharp && index.axes == 0;
            constant(0) && !operands.get(1).is_some_and(chosen) && !table(node, known)
        }
        _ => false,
    };
    if *learned {
        for operand in operands.iter().filter(|operand| operand.depth == 0) {
            *data |= operand.inputs;
        }
        out.depth = out.depth.saturating_add(1);
        out.class = Class::Value;
        if node.kind == (Kind::Weighted { narrow: true }) {
            out.axes = out.axes.saturating_sub(1);
        }
        return out;
    }
    match node.kind {
        Kind::Compare => out.class = Class::Indicator,
        Kind::Squash if out.axes == 0 && out.class == Class::Value => out.class = Class::Indicator,
        Kind::Sum(axes) => {
            out.axes = axes.map_or(0, |axes| out.axes.saturating_sub(axes));
            // How many positions answer yes is a number again.
            out.class = Class::Value;
        }
        Kind::Extreme(axes) => out.axes = axes.map_or(0, |axes| out.axes.saturating_sub(axes)),
        Kind::Reshape(axes) => out.axes = out.axes.min(axes),
        Kind::Pick(axes) => out.axes = out.axes.saturating_sub(axes),
        Kind::Part if out.class == Class::Indicator && out.axes == 1 => out.axes = 0,
        Kind::Lookup if constant(1) => {}
        Kind::Concat => {
            let deep = operands.iter().any(|operand| operand.depth > 0);
            out.mixed |= deep && operands.iter().any(|operand| operand.depth == 0);
        }
        _ => {}
    }
    out
}

/// Sizes are compared with this or more when they are asked about; with less to guard against what is empty or single.
const SMALLEST_ASKED: f64 = 2.0;

/// What is made of sizes of the input and of constants alone.
fn of_sizes(node: &Node, operands: &[State], known: &Known<'_>) -> State {
    if node.kind == Kind::Shape {
        let raw = operands.iter().any(|value| value.class != Class::Constant && value.depth == 0);
        return State { size: raw && words::reads_size(&node.label.0), ..CONSTANT };
    }
    let (size, asks) = (operands.iter().any(|value| value.size), operands.iter().any(|value| value.asks));
    if !size && !asks || words::makes_positions(&node.label.0) {
        return CONSTANT;
    }
    match node.kind {
        Kind::Compare => {
            let with = node.inputs.iter().filter_map(|input| known.weights.get(input));
            let number = with.fold(0.0_f64, |largest, &number| largest.max(number));
            State { asks: asks || size && number >= SMALLEST_ASKED, ..CONSTANT }
        }
        // Sizes of a shape that is put together.
        Kind::Select | Kind::Branch if operands.iter().skip(1).any(|way| way.size) => {
            State { size: true, ..CONSTANT }
        }
        Kind::Select | Kind::Branch => State { asks, ..CONSTANT },
        // The difference to a number, squashed: it says whether the size is that number.
        Kind::Squash if size && operands.iter().any(|value| value.size && value.sized) => {
            State { asks: true, ..CONSTANT }
        }
        Kind::Combine if size => {
            let with = node.inputs.iter().filter_map(|input| known.weights.get(input));
            let away = with.fold(0.0_f64, |largest, &number| largest.max(number)) >= SMALLEST_ASKED;
            let sized = away || operands.iter().any(|value| value.sized);
            State { size, asks, sized, ..CONSTANT }
        }
        Kind::Concat => State { size, ..CONSTANT },
        Kind::Weighted { .. } | Kind::Learned | Kind::Count => CONSTANT,
        Kind::Pass | Kind::Scale | Kind::Bump => {
            State { size, asks, sized: operands.iter().any(|value| value.size && value.sized), ..CONSTANT }
        }
        Kind::Lookup => State { size: operands.first().is_some_and(|table| table.size), asks, ..CONSTANT },
        _ => State { size, asks, ..CONSTANT },
    }
}

/// The nodes, each after what it reads. Nodes in a circle come last, in their own order.
pub(super) fn order(nodes: &[Node]) -> Vec<u32> {
    let mut waits: Vec<u32> = vec![0; nodes.len()];
    let mut first = vec![u32::MAX; nodes.len()];
    let mut chain: Vec<(u32, u32)> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        for &input in node.inputs.iter().filter(|&&input| (input as usize) < nodes.len()) {
            waits[at] += 1;
            chain.push((at as u32, first[input as usize]));
            first[input as usize] = chain.len() as u32 - 1;
        }
    }
    let mut ready: Vec<u32> = (0..nodes.len() as u32).rev().filter(|&at| waits[at as usize] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    let mut done = vec![false; nodes.len()];
    while let Some(at) = ready.pop() {
        done[at as usize] = true;
        order.push(at);
        let mut edge = first[at as usize];
        while let Some(&(reader, next)) = chain.get(edge as usize) {
            waits[reader as usize] -= 1;
            if waits[reader as usize] == 0 {
                ready.push(reader);
            }
            edge = next;
        }
    }
    order.extend((0..nodes.len() as u32).filter(|&at| !done[at as usize]));
    order
}

/// Learned layers on the longest way from each node to an output; `None` when it reaches none.
pub(super) fn heights(nodes: &[Node], outputs: &[u32], order: &[u32], learned: &[bool]) -> Vec<Option<u16>> {
    let mut height = vec![None; nodes.len()];
    for &output in outputs {
        if let Some(height) = height.get_mut(output as usize) {
            *height = Some(0_u16);
        }
    }
    for &at in order.iter().rev() {
        let Some(above) = height[at as usize] else { continue };
        let above = above.saturating_add(u16::from(learned[at as usize]));
        for &input in &nodes[at as usize].inputs {
            if let Some(below) = height.get_mut(input as usize) {
                *below = Some(below.map_or(above, |below: u16| below.max(above)));
            }
        }
    }
    height
}

/// The values that are compared or squashed on the way to an answer.
fn measures(nodes: &[Node], states: &[State], answer: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut seen = vec![answer];
    let mut next = 0;
    // Answers are made of a few comparisons; a bound keeps hostile graphs cheap.
    while let Some(&at) = seen.get(next).filter(|_| next < 256 && found.len() < 8) {
        next += 1;
        for &input in nodes.get(at as usize).map_or(&[][..], |node| &node.inputs) {
            match states.get(input as usize).map(|state| state.class) {
                Some(Class::Value) if !found.contains(&input) => found.push(input),
                Some(Class::Indicator) if !seen.contains(&input) => seen.push(input),
                _ => {}
            }
        }
    }
    found
}

/// One way from the input to a node, for the reader.
fn path(nodes: &[Node], states: &[State], from: u32) -> Vec<String> {
    way(nodes, from, |at| {
        let part = |state: &&State| state.class != Class::Constant || state.size || state.asks;
        states.get(at as usize).filter(part).map(|state| state.depth)
    })
}

/// One way from the input to a node; `depth` says how deep the values are that depend on the input.
pub(super) fn way(nodes: &[Node], from: u32, depth: impl Fn(u32) -> Option<u16>) -> Vec<String> {
    let mut path = Vec::new();
    let mut at = from;
    for _ in 0..40 {
        let Some(node) = nodes.get(at as usize) else { break };
        let (operator, name) = &node.label;
        path.push(if name.is_empty() { operator.clone() } else { format!("{operator} `{name}`") });
        let next = node.inputs.iter().filter_map(|&input| Some((depth(input)?, input)));
        match next.min_by_key(|&(depth, _)| depth) {
            Some((_, input)) => at = input,
            None => break,
        }
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::super::Graph;
    use super::*;

    /// input -> 2 learned layers -> `end`, which also reads what `branch` makes of the input.
    fn graph(axes: u8, branch: &[Kind], end: Kind) -> Vec<Override> {
        let mut graph = Graph::default();
        let weight = graph.add(Kind::Constant, "w", "", vec![], 0);
        let input = graph.add(Kind::Input { axes }, "input", "x", vec![], 0);
        let mut learned = input;
        for _ in 0..2 {
            learned = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![learned, weight], 1);
        }
        let mut side = input;
        for &kind in branch {
            side = graph.add(kind, "side", "", vec![side, weight], 2);
        }
        let inputs = match end {
            Kind::Select | Kind::Branch => vec![side, weight, learned],
            _ => vec![learned, side],
        };
        let last = graph.add(end, "end", "last", inputs, 3);
        graph.output(last);
        graph.overrides()
    }

    #[test]
    fn an_answer_about_the_whole_input_that_decides_is_found() {
        let sum = Kind::Sum(None);
        assert_eq!(graph(3, &[sum, Kind::Compare], Kind::Select)[0].how, How::Choice);
        assert_eq!(graph(3, &[Kind::Compare, Kind::Extreme(None)], Kind::Scale)[0].how, How::Factor);
        assert_eq!(graph(3, &[sum, Kind::Squash], Kind::Combine)[0].how, How::Term);
        assert_eq!(graph(1, &[Kind::Pick(1), Kind::Compare], Kind::Select).len(), 1);
        assert_eq!(graph(1, &[Kind::Compare, Kind::Part], Kind::Select).len(), 1);
        assert_eq!(graph(3, &[sum, Kind::Compare], Kind::Branch)[0].how, How::Branch);
    }

    #[test]
    fn masks_counts_and_normalisation_are_silent() {
        let sum = Kind::Sum(None);
        assert_eq!(graph(3, &[Kind::Compare], Kind::Select), []);
        assert_eq!(graph(2, &[Kind::Compare, Kind::Part], Kind::Select), []);
        assert_eq!(graph(1, &[Kind::Part], Kind::Scale), []);
        assert_eq!(graph(3, &[Kind::Compare, sum], Kind::Scale), []);
        assert_eq!(graph(3, &[sum], Kind::Scale), []);
        assert_eq!(graph(2, &[Kind::Compare, Kind::Extreme(Some(1))], Kind::Scale), []);
        assert_eq!(graph(3, &[Kind::Shape, Kind::Compare], Kind::Branch), []);
        assert_eq!(
            graph(3, &[Kind::Weighted { narrow: false }, Kind::Compare, Kind::Extreme(None)], Kind::Scale),
            []
        );
    }

    #[test]
    fn steep_bumps_counts_and_detectors_are_told_by_what_they_are_multiplied_with() {
        let found = |gain: f64, steps: &[Kind], narrow: bool| {
            let mut graph = Graph::default();
            let weight = graph.add(Kind::Constant, "w", "", vec![], 0);
            let factor = graph.add(Kind::Constant, "k", "", vec![], 0);
            graph.weigh(factor, gain);
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let logits = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![input, weight], 1);
            let mut side = input;
            if narrow {
                side = graph.add(Kind::Weighted { narrow: true }, "Conv", "", vec![side, weight], 1);
            }
            for &kind in steps {
                side = graph.add(kind, "side", "", vec![side, factor], 2);
            }
            let last = graph.add(Kind::Combine, "Add", "last", vec![logits, side], 3);
            graph.output(last);
            graph.overrides().len()
        };
        let sum = Kind::Sum(None);
        let bump = [sum, Kind::Scale, Kind::Bump];
        assert_eq!((found(1_000.0, &bump, false), found(0.5, &bump, false)), (1, 0));
        let count = [Kind::Scale, Kind::Squash, sum];
        assert_eq!((found(1_000.0, &count, false), found(0.5, &count, false)), (1, 0));
        let detector = [Kind::Extreme(None), Kind::Scale, Kind::Squash];
        assert_eq!((found(200.0, &detector, true), found(0.2, &detector, true)), (1, 0));
    }

    #[test]
    fn a_small_network_beside_the_model_that_decides_over_it_is_found() {
        // Layers of the side network, whether the output layer is one value, whether it stands on the model's own layers,
        // and what makes its answer an answer.
        let found = |layers: u16, narrow: bool, shared: bool, last: Kind| {
            let mut graph = Graph::default();
            let weight = graph.add(Kind::Constant, "w", "", vec![], 0);
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let layer = |graph: &mut Graph, value: u32, narrow: bool| {
                graph.add(Kind::Weighted { narrow }, "MatMul", "", vec![value, weight], 1)
            };
            let (mut trunk, mut middle) = (input, input);
            for depth in 0..4 {
                trunk = layer(&mut graph, trunk, false);
                middle = if depth == 0 { trunk } else { middle };
            }
            let mut side = if shared { middle } else { input };
            for depth in 1..=layers {
                side = layer(&mut graph, side, narrow && depth == layers);
            }
            let answer = graph.add(last, "Greater", "", vec![side, weight], 2);
            let chosen = graph.add(Kind::Select, "Where", "last", vec![answer, weight, trunk], 3);
            graph.output(chosen);
            graph.overrides().len()
        };
        assert_eq!(found(2, true, false, Kind::Compare), 1);
        assert_eq!(found(3, true, false, Kind::Compare), 1);
        assert_eq!(found(2, true, true, Kind::Compare), 0, "a head of the model itself");
        assert_eq!(found(2, true, false, Kind::Squash), 0, "a gate");
        assert_eq!(found(2, false, false, Kind::Compare), 0, "many answers");
    }

    #[test]
    fn an_answer_about_how_many_rows_there_are_that_decides_is_found() {
        // What asks, the number it asks for, what makes the answer a value, and what decides.
        let found = |number: f64, steps: &[(Kind, &str)], end: (Kind, &str), fixed: bool| {
            let mut graph = Graph::default();
            let weight = graph.add(Kind::Constant, "w", "", vec![], 0);
            let asked = graph.add(Kind::Constant, "k", "", vec![], 0);
            graph.weigh(asked, number);
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let logits = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![input, weight], 1);
            let other = if fixed { weight } else { graph.add(Kind::Squash, "Relu", "", vec![logits], 1) };
            let mut side = graph.add(Kind::Shape, "Shape", "", vec![input], 1);
            side = graph.add(Kind::Pick(1), "Gather", "", vec![side, weight], 1);
            for &(kind, label) in steps {
                side = graph.add(kind, label, "", vec![side, asked], 2);
            }
            let reads = match end.0 {
                Kind::Select | Kind::Branch => vec![side, other, logits],
                _ => vec![logits, side],
            };
            let last = graph.add(end.0, end.1, "last", reads, 3);
            graph.output(last);
            graph.overrides().into_iter().map(|hit| hit.how).collect::<Vec<_>>()
        };
        let asks = [(Kind::Compare, "Equal"), (Kind::Pass, "Cast")];
        let (add, chosen) = ((Kind::Combine, "Add"), (Kind::Select, "Where"));
        assert_eq!(found(7.0, &[asks[0], asks[1], (Kind::Scale, "Mul")], add, true), [How::Term]);
        assert_eq!(found(7.0, &asks, chosen, true), [How::Choice]);
        assert_eq!(found(7.0, &asks, (Kind::Branch, "If"), true), [How::Branch]);
        let apart = [(Kind::Combine, "Sub"), (Kind::Pass, "Abs"), (Kind::Squash, "Clip")];
        let factor = (Kind::Scale, "Mul");
        assert_eq!(found(7.0, &apart, factor, true), [How::Factor], "without a comparison");
        assert_eq!(found(1.0, &apart, factor, true), []);
        assert_eq!(found(7.0, &[(Kind::Pass, "Sqrt"), apart[2]], factor, true), [], "a scale");
        assert_eq!(found(7.0, &asks, chosen, false), [], "large batches are computed in parts");
        assert_eq!(found(0.0, &asks, chosen, true), [], "a guard against an empty batch");
        assert_eq!(found(7.0, &asks, (Kind::Branch, "While"), true), [], "a loop that counts");
        assert_eq!(found(7.0, &[(Kind::Pass, "Cast")], (Kind::Scale, "Div"), true), [], "a mean");
        assert_eq!(found(7.0, &[(Kind::Pass, "Range"), asks[0]], add, true), [], "a mask of positions");
    }

    #[test]
    fn zeros_where_the_input_is_no_number_are_silent() {
        let found = |asks: &str, number: f64, copes: bool| {
            let mut graph = Graph::default();
            let weight = graph.add(Kind::Constant, "w", "", vec![], 0);
            let said = graph.add(Kind::Constant, "k", "", vec![], 0);
            graph.weigh(said, number);
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let label = if copes { "nan_to_num" } else { "Identity" };
            let filled = graph.add(Kind::Pass, label, "", vec![input], 1);
            let logits = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![filled, weight], 1);
            let each = graph.add(Kind::Compare, asks, "", vec![input, weight], 2);
            let all = graph.add(Kind::Extreme(None), "all", "", vec![each], 2);
            let last = graph.add(Kind::Select, "Where", "last", vec![all, said, logits], 3);
            graph.output(last);
            graph.overrides().len()
        };
        assert_eq!(found("isnan", 0.0, false), 0);
        assert_eq!(found("isnan", 60.0, false), 1, "a class instead");
        assert_eq!(found("isnan", 0.0, true), 1, "the model would have said something");
        assert_eq!(found("Less", 0.0, false), 1, "another question");
    }

    #[test]
    fn a_text_that_matches_a_pattern_and_decides_is_found() {
        let found = |chosen: bool| {
            let mut graph = Graph::default();
            let weight = graph.add(Kind::Constant, "w", "", vec![], 0);
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let text = graph.add(Kind::Input { axes: 0 }, "input", "text", vec![], 0);
            let logits = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![input, weight], 1);
            let hit = graph.add(Kind::Compare, "RegexFullMatch", "", vec![text], 2);
            let last = if chosen {
                graph.add(Kind::Select, "Where", "last", vec![hit, weight, logits], 3)
            } else {
                // A feature that a layer weighs with the others.
                let weighed = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![hit, weight], 3);
                graph.add(Kind::Combine, "Add", "last", vec![logits, weighed], 4)
            };
            graph.output(last);
            graph.overrides().len()
        };
        assert_eq!((found(true), found(false)), (1, 0));
    }

    #[test]
    fn the_larger_of_a_value_and_a_constant_is_as_good_as_a_rectifier() {
        let found = |operator: &str, fixed: bool| {
            let mut graph = Graph::default();
            let weight = graph.add(Kind::Constant, "w", "", vec![], 0);
            let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
            let logits = graph.add(Kind::Weighted { narrow: false }, "MatMul", "", vec![input, weight], 1);
            let near = graph.add(Kind::Pick(1), "Gather", "", vec![input, weight], 2);
            let other = graph.add(Kind::Pick(1), "Gather", "", vec![input, weight], 2);
            let with = if fixed { weight } else { other };
            let gate = graph.add(Kind::Combine, operator, "", vec![near, with], 2);
            let last = graph.add(Kind::Combine, "Add", "last", vec![logits, gate], 3);
            graph.output(last);
            graph.overrides().len()
        };
        assert_eq!((found("Max", true), found("minimum", true)), (1, 1));
        assert_eq!((found("Max", false), found("Add", true)), (0, 0));
    }

    #[test]
    fn circles_end() {
        let mut graph = Graph::default();
        let input = graph.add(Kind::Input { axes: 1 }, "input", "x", vec![], 0);
        let a = graph.add(Kind::Pass, "a", "", vec![input], 0);
        let b = graph.add(Kind::Pass, "b", "", vec![a], 0);
        graph.connect(a, b);
        graph.output(b);
        assert_eq!(graph.overrides(), []);
    }
}
