//! Trees as lists of leaves: the box of inputs that reach each, and what it adds to the margin.

use mantlet_vocab::{Aggregate, Compare, Node, Tree, TreeEnsemble};

/// Leaves a tree may have.
const LEAVES: usize = 1 << 14;

/// The values of one feature that lead to a leaf: both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    pub(super) feature: usize,
    pub(super) low: f32,
    pub(super) high: f32,
}

/// A leaf: its box and what it adds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    /// By feature, ascending.
    pub(super) spans: Vec<Span>,
    pub(super) value: f64,
}

/// An ensemble as the margin of one class over another: positive when the row is the rival's.
pub(super) struct Forest {
    pub(super) trees: Vec<Vec<Leaf>>,
    pub(super) base: f64,
}

impl Forest {
    /// The margin of `rival` over `label`.
    pub(super) fn new(
        ensemble: &TreeEnsemble,
        label: usize,
        rival: usize,
        offset: f32,
    ) -> Result<Self, String> {
        let weight = |output: usize| -> f64 {
            if ensemble.outputs == 1 {
                // One output is the score of class 1.
                if rival == 1 { 1.0 } else { -1.0 }
            } else {
                f64::from(u8::from(output == rival)) - f64::from(u8::from(output == label))
            }
        };
        let mut forest = Self::weighed(ensemble, weight)?;
        if ensemble.outputs == 1 {
            forest.base += weight(0) * f64::from(offset);
        }
        Ok(forest)
    }

    /// How far the sum of one output lies beyond `aim`, above it or, when it is to fall, below.
    pub(super) fn toward(
        ensemble: &TreeEnsemble,
        output: usize,
        falls: bool,
        aim: f64,
    ) -> Result<Self, String> {
        let sign = if falls { -1.0 } else { 1.0 };
        let mut forest = Self::weighed(ensemble, |own| if own == output { sign } else { 0.0 })?;
        forest.base -= sign * aim;
        Ok(forest)
    }

    /// The sum of all outputs, each with its weight.
    fn weighed(ensemble: &TreeEnsemble, weight: impl Fn(usize) -> f64) -> Result<Self, String> {
        let scale = match ensemble.aggregate {
            Aggregate::Sum => 1.0,
            Aggregate::Average => 1.0 / ensemble.trees.len().max(1) as f64,
            Aggregate::Min | Aggregate::Max => {
                return Err("trees combined by their smallest or largest value are not supported".to_owned());
            }
        };
        let base =
            ensemble.base.iter().enumerate().map(|(output, value)| weight(output) * f64::from(*value)).sum();
        let value = |votes: &[(usize, f32)]| -> f64 {
            votes.iter().map(|(output, vote)| weight(*output) * f64::from(*vote)).sum::<f64>() * scale
        };
        let trees = ensemble.trees.iter().map(|tree| leaves(tree, value)).collect::<Result<_, _>>()?;
        Ok(Self { trees, base })
    }

    /// What it gives a row.
    pub(super) fn margin(&self, row: &[f32]) -> f64 {
        let inside = |leaf: &&Leaf| {
            leaf.spans
                .iter()
                .all(|span| row.get(span.feature).is_some_and(|v| (span.low..=span.high).contains(v)))
        };
        let values = self.trees.iter().filter_map(|tree| tree.iter().find(inside)).map(|leaf| leaf.value);
        self.base + values.sum::<f64>()
    }
}

/// The sum of an ensemble with one output for a row.
pub(super) fn sum(ensemble: &TreeEnsemble, row: &[f32]) -> f32 {
    let Ok(forest) = Forest::new(ensemble, 0, 1, 0.0) else { return 0.0 };
    #[expect(clippy::cast_possible_truncation, reason = "compared with zero")]
    {
        forest.margin(row) as f32
    }
}

fn leaves(tree: &Tree, value: impl Fn(&[(usize, f32)]) -> f64) -> Result<Vec<Leaf>, String> {
    let mut found = Vec::new();
    let mut todo: Vec<(usize, Vec<Span>)> = vec![(0, Vec::new())];
    while let Some((at, spans)) = todo.pop() {
        if found.len() + todo.len() > LEAVES {
            return Err(format!("a tree has more than {LEAVES} leaves"));
        }
        match tree.nodes.get(at) {
            None => {}
            Some(Node::Leaf { votes }) => found.push(Leaf { spans, value: value(votes) }),
            Some(Node::Split { feature, threshold, compare, left, right, .. }) => {
                let t = *threshold;
                // ((low, high) of the left branch, of the right branch)
                let (into_left, into_right) = match compare {
                    Compare::LessOrEqual => ((f32::MIN, t), (t.next_up(), f32::MAX)),
                    Compare::Less => ((f32::MIN, t.next_down()), (t, f32::MAX)),
                    Compare::GreaterOrEqual => ((t, f32::MAX), (f32::MIN, t.next_down())),
                    Compare::Greater => ((t.next_up(), f32::MAX), (f32::MIN, t)),
                    Compare::Equal | Compare::NotEqual => {
                        return Err("splits that ask for equality are not supported".to_owned());
                    }
                };
                for (child, (low, high)) in [(*left, into_left), (*right, into_right)] {
                    if child <= at {
                        return Err("a tree leads back to its own root".to_owned());
                    }
                    if let Some(spans) = narrowed(&spans, Span { feature: *feature, low, high }) {
                        todo.push((child, spans));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// A box cut by one more span; `None` when nothing is left.
fn narrowed(spans: &[Span], with: Span) -> Option<Vec<Span>> {
    meet(spans, &[with])
}

/// The box inside both; `None` when there is none.
pub(super) fn meet(a: &[Span], b: &[Span]) -> Option<Vec<Span>> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    loop {
        match (left.peek(), right.peek()) {
            (None, None) => return Some(out),
            (Some(one), Some(other)) if one.feature == other.feature => {
                let (low, high) = (one.low.max(other.low), one.high.min(other.high));
                if low > high {
                    return None;
                }
                out.push(Span { feature: one.feature, low, high });
                left.next();
                right.next();
            }
            (Some(one), Some(other)) if one.feature < other.feature => {
                out.push(**one);
                left.next();
            }
            (Some(one), None) => {
                out.push(**one);
                left.next();
            }
            (_, Some(other)) => {
                out.push(**other);
                right.next();
            }
        }
    }
}
