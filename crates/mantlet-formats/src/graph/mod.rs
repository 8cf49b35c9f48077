//! A model's graph, whatever its format, as far as is needed to see an architectural backdoor: a branch that
//! reads a pattern of the raw input and overrides what the learned layers say, without any code.
//!
//! Importers translate operators into a [`Kind`]; [`Graph::overrides`] follows, for every value, how many
//! learned layers it has passed, whether it still is the raw input, and whether it has become an indicator: a
//! yes-or-no answer about the whole sample. An indicator that has passed no learned layer and decides over the
//! output of the learned ones is reported. Masks that speak about single positions (padding, attention) are not
//! indicators of the whole sample, sizes are not values, and inputs that feed no learned layer (lengths, flags)
//! are not data; so ordinary exports are silent. Where the sizes of weights are known, a side path that outshouts the
//! learned one is reported too, whatever its form.

mod flow;
mod loud;
pub(crate) mod weight;
mod words;

use std::collections::BTreeMap;

pub(crate) use flow::STATE;
pub use flow::{How, Override, Parts};
pub use weight::Weight;

/// What an operator does to what it is given, as far as this analysis cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An input of the model with this many axes that are neither the batch nor of extent one.
    Input {
        /// Axes beside the batch.
        axes: u8,
    },
    /// Weights, and whatever does not depend on the input.
    Constant,
    /// A layer with weights when one of its operands is constant; `narrow` when it gives one or two values.
    Weighted {
        /// It gives one or two values a sample.
        narrow: bool,
    },
    /// A learned layer whatever its operands: tree ensembles, support vectors.
    Learned,
    /// A comparison or another step to yes or no.
    Compare,
    /// A step that squashes: clip, sigmoid, rectifier. It makes an indicator of a single value only.
    Squash,
    /// A step that rises or falls without end: it makes an indicator of a single value that was made steep.
    Bump,
    /// Sums or averages over this many axes; `None` means all.
    Sum(Option<u8>),
    /// Largest, smallest, all or any over this many axes; `None` means all.
    Extreme(Option<u8>),
    /// Leaves at most this many axes beside the batch.
    Reshape(u8),
    /// Takes one fixed position of this many axes.
    Pick(u8),
    /// Keeps as many parts as the values say: how long it is answers a question about them.
    Count,
    /// Gives the parts of an axis apart: of yes-or-no answers along one axis, single ones.
    Part,
    /// Reads sizes, not values.
    Shape,
    /// Chooses between its second and third operand by its first.
    Select,
    /// Runs one of two graphs by its first operand; the others are what the graphs give.
    Branch,
    /// Multiplication and division.
    Scale,
    /// Addition, subtraction, minimum, maximum of several operands.
    Combine,
    /// Puts operands side by side.
    Concat,
    /// Looks the second operand up in the first.
    Lookup,
    /// Everything else: what goes in comes out, changed.
    Pass,
}

/// An operator, an input or a constant.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it does.
    pub kind: Kind,
    /// The nodes whose values it reads, in order.
    pub inputs: Vec<u32>,
    /// The operator as the format calls it, and the node's name.
    pub label: (String, String),
    /// Offset in the file.
    pub at: u64,
}

/// What an override does when the model runs on inputs that were searched for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The place.
    pub place: Override,
    /// Inputs that were tried.
    pub tried: u64,
    /// Inputs on which the answer is another than on most.
    pub reached: u64,
    /// Those of them on which the output is not what the learned layers say.
    pub changed: u64,
    /// The class that all of these get, when it is one.
    pub class: Option<usize>,
}

/// Nodes are numbered in the order they were added; all outputs of a node count as one value.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    outputs: Vec<u32>,
    /// The largest number, without sign, of constants that are known.
    weights: BTreeMap<u32, f64>,
    /// How large the numbers of constants are, and those that learned nodes hold themselves.
    stats: BTreeMap<u32, Weight>,
    /// Axes beside the batch that are left of a value, where its shape is known.
    shaped: BTreeMap<u32, u8>,
    /// The graph was larger than the bound, so that it says nothing.
    pub cut: bool,
}

/// Nodes of one graph; the largest exports have some tens of thousands.
const MAX_NODES: usize = 150_000;
/// Outputs of one graph.
const MAX_OUTPUTS: usize = 1_024;
/// Edges of one node.
const MAX_EDGES: usize = 4_096;

impl Graph {
    /// Adds a node and gives its number.
    pub fn add(&mut self, kind: Kind, operator: &str, name: &str, inputs: Vec<u32>, at: u64) -> u32 {
        if self.nodes.len() >= MAX_NODES || inputs.len() > MAX_EDGES {
            self.cut = true;
            return 0;
        }
        // The larger of a value and a constant is what a rectifier gives.
        let fixed = inputs.iter().filter(|&&input| self.is_constant(input)).count();
        let bound = kind == Kind::Combine && inputs.len() == 2 && fixed == 1 && words::bounds(operator);
        let kind = if bound { Kind::Squash } else { kind };
        let short = |text: &str| text.chars().take(80).collect::<String>();
        self.nodes.push(Node { kind, inputs, label: (short(operator), short(name)), at });
        self.nodes.len() as u32 - 1
    }

    /// Adds an operand to a node.
    pub fn connect(&mut self, node: u32, input: u32) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            if node.inputs.len() < MAX_EDGES {
                node.inputs.push(input);
            } else {
                self.cut = true;
            }
        }
    }

    /// Says how large a constant is: the largest of its numbers, without sign.
    pub fn weigh(&mut self, node: u32, largest: f64) {
        if largest.is_finite() && (node as usize) < self.nodes.len() {
            self.weights.insert(node, largest);
        }
    }

    /// Says how large the numbers of a constant are, or those that a learned node holds itself.
    pub fn measured(&mut self, node: u32, weight: Weight) {
        if (node as usize) < self.nodes.len() {
            self.stats.insert(node, weight);
        }
    }

    /// Says that a value has this many axes that are neither the batch nor of extent one.
    pub fn shaped(&mut self, node: u32, axes: u8) {
        if (node as usize) < self.nodes.len() {
            self.shaped.insert(node, axes);
        }
    }

    /// Says that a node's value is an output of the model.
    pub fn output(&mut self, node: u32) {
        if self.outputs.contains(&node) {
            return;
        }
        if self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push(node);
        } else {
            self.cut = true;
        }
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Whether a node is a constant.
    #[must_use]
    pub fn is_constant(&self, node: u32) -> bool {
        self.nodes.get(node as usize).is_some_and(|node| node.kind == Kind::Constant)
    }

    fn known(&self) -> flow::Known<'_> {
        flow::Known { weights: &self.weights, stats: &self.stats, shaped: &self.shaped }
    }

    /// Where an answer about the raw input decides over the learned output.
    #[must_use]
    pub fn overrides(&self) -> Vec<Override> {
        if self.cut {
            return Vec::new();
        }
        let mut found = flow::overrides(&self.nodes, &self.outputs, &self.known());
        // What is added and cannot outweigh what the layers say decides nothing.
        if found.iter().any(|hit| hit.how == How::Term) {
            let quiet = loud::quiet(&self.nodes, &self.stats);
            found.retain(|hit| hit.how != How::Term || !quiet(&hit.parts));
        }
        let louder = loud::overrides(&self.nodes, &self.outputs, &self.stats);
        // One place is told once, by what it does.
        found.extend(
            louder
                .into_iter()
                .filter(|hit| !found.iter().any(|known| known.at == hit.at && known.node == hit.node))
                .collect::<Vec<_>>(),
        );
        found
    }
}
