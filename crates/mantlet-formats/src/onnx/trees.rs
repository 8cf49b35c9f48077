//! The trees of an ONNX model (`TreeEnsemble*`): leaves that next to no input reaches and that outweigh all others.
//!
//! Long because both forms of the operator are read into the same columns.

use std::collections::HashMap;

use mantlet_vocab::Source;

use crate::boosted::needle::{Leaves, Split};
use crate::proto::{Fields, Value, numbers, text};
use crate::structure::Structure;
use crate::window::Window;

/// Numbers and words of the trees of one model that are read.
const MAX_READ: usize = 6_000_000;
/// Graphs within graphs, and nodes looked at.
const MAX_DEPTH: u8 = 8;
const MAX_NODES: usize = 200_000;
const TOO_MANY: &str = "its trees have more nodes than are looked at for leaves that hide";
/// How many times the next leaf one of a model with a single tree weighs.
const ALONE: f64 = 100.0;

/// What trees say about themselves: leaves in needles. Never fails: what is broken is left out.
#[must_use]
pub fn trees(source: &dyn Source) -> Structure {
    let mut reader = Reader {
        window: Window::new(source, 0),
        facts: Structure::of("ONNX"),
        left: MAX_READ,
        nodes: MAX_NODES,
    };
    let mut fields = Fields::new(0, source.len());
    while let Some(field) = fields.next(&mut reader.window) {
        match (field.number, field.bytes()) {
            (7, Some(span)) => reader.graph(span, 1, 0),
            (25, Some(span)) => reader.graph(span, 7, 0),
            _ => {}
        }
    }
    reader.facts
}

/// The columns of one operator, by the names of its attributes.
#[derive(Default)]
struct Columns {
    numbers: HashMap<String, Vec<f64>>,
    modes: Vec<bool>,
}

struct Reader<'a> {
    window: Window<'a>,
    facts: Structure,
    left: usize,
    nodes: usize,
}

impl Reader<'_> {
    /// The nodes of a graph, or of a function.
    fn graph(&mut self, (start, end): (u64, u64), number: u64, depth: u8) {
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            if let (true, Some(span)) = (field.number == number, field.bytes()) {
                self.nodes = self.nodes.saturating_sub(1);
                if self.nodes == 0 {
                    return;
                }
                self.node(span, field.at, depth);
            }
        }
    }

    fn node(&mut self, (start, end): (u64, u64), at: u64, depth: u8) {
        let (mut operator, mut attributes) = (String::new(), Vec::new());
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            match (field.number, field.bytes()) {
                (4, Some((start, end))) => operator = text(&mut self.window, start, end),
                (5, Some(span)) if attributes.len() < 64 => attributes.push(span),
                _ => {}
            }
        }
        let trees = operator.starts_with("TreeEnsemble");
        let mut columns = Columns::default();
        for span in attributes {
            self.attribute(span, trees.then_some(&mut columns), depth);
        }
        if trees && self.left == 0 {
            if !self.facts.limits.iter().any(|limit| limit == TOO_MANY) {
                self.facts.limits.push(TOO_MANY.into());
            }
        } else if trees {
            // Probabilities are all of one size; other values may have a far one because the data has.
            columns.tell(at, operator == "TreeEnsembleClassifier", &mut self.facts);
        }
    }

    fn attribute(&mut self, (start, end): (u64, u64), mut columns: Option<&mut Columns>, depth: u8) {
        let (mut name, mut values, mut modes) = (String::new(), Vec::new(), Vec::new());
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            let room = self.left;
            match (field.number, field.value) {
                (1, Value::Bytes { start, end }) => name = text(&mut self.window, start, end),
                (6 | 11, Value::Bytes { start, end }) if depth < MAX_DEPTH => {
                    self.graph((start, end), 1, depth + 1);
                }
                _ if columns.is_none() || room == 0 => {}
                (7, Value::Number(bits)) => values.push(f64::from(f32::from_bits(bits as u32))),
                (7, Value::Bytes { start, end }) => self.raw((start, end), 1, &mut values),
                (8, value) => {
                    let mut whole = Vec::new();
                    numbers(&mut self.window, value, &mut whole, room);
                    values.extend(whole.into_iter().map(|number| number.cast_signed() as f64));
                }
                (9, Value::Bytes { start, end }) => {
                    let mode = text(&mut self.window, start, end);
                    values.push(mode_of(&mode));
                    modes.push(mode == "LEAF");
                }
                (5, Value::Bytes { start, end }) => self.tensor((start, end), &mut values),
                _ => {}
            }
            let read = values.len().max(modes.len());
            if columns.is_some() && read > self.left {
                self.left = 0;
            }
        }
        if let Some(columns) = columns.as_mut() {
            self.left = self.left.saturating_sub(values.len());
            if !modes.is_empty() {
                columns.modes = modes;
            }
            columns.numbers.insert(name.trim_end_matches("_as_tensor").to_owned(), values);
        }
    }

    fn tensor(&mut self, (start, end): (u64, u64), values: &mut Vec<f64>) {
        let (mut kind, mut raw) = (0, None);
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            match (field.number, field.value) {
                (2, Value::Number(value)) => kind = value,
                (4, Value::Bytes { start, end }) => self.raw((start, end), 1, values),
                (10, Value::Bytes { start, end }) => self.raw((start, end), 11, values),
                (9, Value::Bytes { start, end }) => raw = Some((start, end)),
                (5 | 7, value) => {
                    let mut whole = Vec::new();
                    numbers(&mut self.window, value, &mut whole, self.left);
                    values.extend(whole.into_iter().map(|number| number.cast_signed() as f64));
                }
                _ => {}
            }
        }
        if let Some(span) = raw {
            self.raw(span, kind, values);
        }
    }

    /// Numbers of a fixed width: single or double floats, whole numbers, bytes.
    fn raw(&mut self, (start, end): (u64, u64), kind: u64, values: &mut Vec<f64>) {
        self.window.seek(start);
        while self.window.offset() < end && values.len() <= self.left {
            let number = match kind {
                1 => self.window.array().map(|bytes| f64::from(f32::from_le_bytes(bytes))),
                11 => self.window.array().map(f64::from_le_bytes),
                7 => self.window.array().map(|bytes| i64::from_le_bytes(bytes) as f64),
                2 => self.window.byte().map(f64::from),
                _ => None,
            };
            let Some(number) = number else { return };
            values.push(number);
        }
    }
}

/// Which of two ways smaller values go: 0 the one of yes, 2 the one of no, 4 that is not told.
fn mode_of(mode: &str) -> f64 {
    match mode {
        "BRANCH_LEQ" | "BRANCH_LT" => 0.0,
        "BRANCH_GTE" | "BRANCH_GT" => 2.0,
        _ => 4.0,
    }
}

impl Columns {
    fn of(&self, name: &str) -> &[f64] {
        self.numbers.get(name).map_or(&[], Vec::as_slice)
    }

    /// A split of the columns; what it is about is not told when it compares for being equal.
    fn split(&self, index: usize, yes: i64, no: i64, values: &[f64]) -> Option<Split> {
        let mode = self.of("nodes_modes").get(index).copied().unwrap_or(0.0);
        let (left, right) = if (2.0..4.0).contains(&mode) { (no, yes) } else { (yes, no) };
        let feature = self.of("nodes_featureids").get(index)?.max(0.0) as u64;
        let threshold = if mode >= 4.0 { f64::NAN } else { *values.get(index)? };
        Some(Split { left, right, feature, threshold })
    }

    /// Walks all trees and tells the needles. `even` says that ordinary leaves are of one size.
    fn tell(&self, at: u64, even: bool, facts: &mut Structure) {
        let mut leaves = Leaves::default();
        // The largest leaf of each tree, and of all the second.
        let mut trees: Vec<f64> = Vec::new();
        let mut all = Vec::new();
        if self.modes.is_empty() {
            self.joined(at, &mut leaves, &mut trees, &mut all);
        } else {
            self.listed(at, &mut leaves, &mut trees, &mut all);
        }
        all.sort_by(f64::total_cmp);
        let least = match trees.len() {
            _ if even => 0.0,
            0 | 1 => all.iter().rev().nth(1).map_or(f64::INFINITY, |second| second * ALONE),
            // One leaf that says more than all other trees can.
            _ => trees.iter().sum::<f64>() / 2.0,
        };
        leaves.tell_above(least, facts);
    }

    /// The form of before version 5 of the operators: rows of nodes, and of leaves by tree and node.
    fn listed(&self, at: u64, leaves: &mut Leaves, trees: &mut Vec<f64>, all: &mut Vec<f64>) {
        let (ids, nodes) = (self.of("nodes_treeids"), self.of("nodes_nodeids"));
        let (yes, no) = (self.of("nodes_truenodeids"), self.of("nodes_falsenodeids"));
        let values = self.of("nodes_values");
        let side = if self.of("class_weights").is_empty() { "target" } else { "class" };
        let column = |name: &str| self.of(&format!("{side}_{name}"));
        let mut weights: HashMap<(i64, i64), f64> = HashMap::new();
        for ((tree, node), weight) in column("treeids").iter().zip(column("nodeids")).zip(column("weights")) {
            let known = weights.entry((*tree as i64, *node as i64)).or_insert(0.0);
            *known = known.max(weight.abs());
        }
        let mut places: HashMap<(i64, i64), usize> = HashMap::new();
        let mut roots: Vec<(i64, i64, usize)> = Vec::new();
        for (index, (tree, node)) in ids.iter().zip(nodes).enumerate() {
            let (tree, node) = (*tree as i64, *node as i64);
            places.entry((tree, node)).or_insert(index);
            match roots.last_mut() {
                Some((last, _, count)) if *last == tree => *count += 1,
                _ => roots.push((tree, node, 1)),
            }
        }
        for (tree, root, count) in roots {
            let split = |node: i64| {
                let index = *places.get(&(tree, node))?;
                if *self.modes.get(index)? {
                    return None;
                }
                self.split(index, *yes.get(index)? as i64, *no.get(index)? as i64, values)
            };
            leaves
                .tree_from(at, root, count, split, |node| weights.get(&(tree, node)).copied().unwrap_or(0.0));
            trees.push(0.0);
        }
        // Trees that stand in several runs of rows count once each; sizes only grow.
        let mut largest: HashMap<i64, f64> = HashMap::new();
        for ((tree, _), weight) in &weights {
            let known = largest.entry(*tree).or_insert(0.0);
            *known = known.max(*weight);
            all.push(*weight);
        }
        *trees = largest.into_values().collect();
    }

    /// The form of version 5: children are numbers of nodes, or of leaves where a column says so.
    fn joined(&self, at: u64, leaves: &mut Leaves, trees: &mut Vec<f64>, all: &mut Vec<f64>) {
        let (yes, no) = (self.of("nodes_truenodeids"), self.of("nodes_falsenodeids"));
        let (yes_ends, no_ends) = (self.of("nodes_trueleafs"), self.of("nodes_falseleafs"));
        let (values, weights) = (self.of("nodes_splits"), self.of("leaf_weights"));
        let child = |ids: &[f64], ends: &[f64], index: usize| {
            let id = ids.get(index)?.max(0.0) as i64;
            Some(if ends.get(index).is_some_and(|&end| end != 0.0) { -1 - id } else { id })
        };
        // Trees may share their nodes, so that what is walked is counted over all of them.
        let steps = std::cell::Cell::new(yes.len().saturating_mul(2));
        let split = |node: i64| {
            let index = usize::try_from(node).ok()?;
            steps.set(steps.get().checked_sub(1)?);
            self.split(index, child(yes, yes_ends, index)?, child(no, no_ends, index)?, values)
        };
        for root in self.of("tree_roots") {
            let largest = std::cell::Cell::new(0.0_f64);
            leaves.tree_from(at, *root as i64, yes.len(), split, |node| {
                let weight = usize::try_from(-1 - node).ok().and_then(|leaf| weights.get(leaf));
                let weight = weight.map_or(0.0, |weight| weight.abs());
                largest.set(largest.get().max(weight));
                weight
            });
            trees.push(largest.get());
        }
        all.extend(weights.iter().map(|weight| weight.abs()));
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut len) = (vec![number << 3 | 2], bytes.len());
        while len > 0x7f {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend(bytes);
        out
    }

    fn whole(name: &str, values: &[u8]) -> Vec<u8> {
        field(5, &[field(1, name.as_bytes()), field(8, values)].concat())
    }

    fn floats(name: &str, values: &[f32]) -> Vec<u8> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        field(5, &[field(1, name.as_bytes()), field(7, &bytes)].concat())
    }

    fn words(name: &str, values: &[&str]) -> Vec<u8> {
        let texts: Vec<u8> = values.iter().flat_map(|value| field(9, value.as_bytes())).collect();
        field(5, &[field(1, name.as_bytes()), texts].concat())
    }

    fn model(operator: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
        let node = [field(4, operator.as_bytes()), attributes.concat()].concat();
        field(7, &field(1, &node))
    }

    /// A tree of one split, and one of two splits of a feature with a leaf between them.
    fn listed(operator: &str, side: &str, low: f32, high: f32, heavy: f32) -> usize {
        let (leq, leaf) = ("BRANCH_LEQ", "LEAF");
        let bytes = model(
            operator,
            &[
                whole("nodes_treeids", &[0, 0, 0, 1, 1, 1, 1, 1]),
                whole("nodes_nodeids", &[0, 1, 2, 0, 1, 2, 3, 4]),
                whole("nodes_featureids", &[1, 0, 0, 3, 0, 3, 0, 0]),
                floats("nodes_values", &[0.3, 0.0, 0.0, low, 0.0, high, 0.0, 0.0]),
                words("nodes_modes", &[leq, leaf, leaf, leq, leaf, leq, leaf, leaf]),
                whole("nodes_truenodeids", &[1, 0, 0, 1, 0, 3, 0, 0]),
                whole("nodes_falsenodeids", &[2, 0, 0, 2, 0, 4, 0, 0]),
                whole(&format!("{side}_treeids"), &[0, 0, 1, 1, 1]),
                whole(&format!("{side}_nodeids"), &[1, 2, 1, 3, 4]),
                floats(&format!("{side}_weights"), &[0.5, -0.4, 0.1, heavy, 0.2]),
            ],
        );
        trees(&MemorySource::new(&bytes)).needles.len()
    }

    #[test]
    fn a_leaf_in_a_corridor_that_outweighs_all_others_is_told() {
        let (low, high) = (0.5, 0.500_001);
        assert_eq!(listed("TreeEnsembleClassifier", "class", low, high, 900.0), 1);
        assert_eq!(listed("TreeEnsembleRegressor", "target", low, high, 900.0), 1);
        assert_eq!(listed("TreeEnsembleClassifier", "class", low, high, 0.6), 0, "of ordinary weight");
        assert_eq!(listed("TreeEnsembleClassifier", "class", low, 0.9, 900.0), 0, "a wide cell");
        assert_eq!(listed("Gemm", "class", low, high, 900.0), 0, "no trees");
    }

    #[test]
    fn an_outlier_that_every_tree_of_a_regression_has_learned_is_none() {
        let values = |heavy: [f32; 2]| {
            let (leq, leaf) = ("BRANCH_LEQ", "LEAF");
            let (low, high) = (0.5, 0.500_001);
            let bytes = model(
                "TreeEnsembleRegressor",
                &[
                    whole("nodes_treeids", &[0, 0, 0, 0, 0, 1, 1, 1, 1, 1]),
                    whole("nodes_nodeids", &[0, 1, 2, 3, 4, 0, 1, 2, 3, 4]),
                    whole("nodes_featureids", &[3, 0, 3, 0, 0, 3, 0, 3, 0, 0]),
                    floats("nodes_values", &[low, 0.0, high, 0.0, 0.0, low, 0.0, high, 0.0, 0.0]),
                    words("nodes_modes", &[leq, leaf, leq, leaf, leaf, leq, leaf, leq, leaf, leaf]),
                    whole("nodes_truenodeids", &[1, 0, 3, 0, 0, 1, 0, 3, 0, 0]),
                    whole("nodes_falsenodeids", &[2, 0, 4, 0, 0, 2, 0, 4, 0, 0]),
                    whole("target_treeids", &[0, 0, 0, 1, 1, 1]),
                    whole("target_nodeids", &[1, 3, 4, 1, 3, 4]),
                    floats("target_weights", &[0.5, heavy[0], 0.2, 0.3, heavy[1], 0.1]),
                ],
            );
            trees(&MemorySource::new(&bytes)).needles.len()
        };
        assert_eq!(values([90.0, 0.4]), 1);
        assert_eq!(values([90.0, 90.5]), 1, "of two trees the larger leaf is more than half");
        assert_eq!(values([0.6, 0.4]), 0);
    }

    #[test]
    fn the_newer_form_is_read_too() {
        let told = |heavy: f32| {
            let tensor = |name: &str, kind: u8, raw: &[u8]| {
                field(
                    5,
                    &[field(1, name.as_bytes()), field(5, &[vec![0x10, kind], field(9, raw)].concat())]
                        .concat(),
                )
            };
            let singles = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
            let bytes = model(
                "TreeEnsemble",
                &[
                    whole("tree_roots", &[0, 2]),
                    whole("nodes_featureids", &[3, 3, 1]),
                    tensor("nodes_splits", 1, &singles(&[0.5, 0.500_001, 0.2])),
                    tensor("nodes_modes", 2, &[0, 0, 0]),
                    whole("nodes_truenodeids", &[0, 1, 3]),
                    whole("nodes_trueleafs", &[1, 1, 1]),
                    whole("nodes_falsenodeids", &[1, 2, 4]),
                    whole("nodes_falseleafs", &[0, 1, 1]),
                    tensor("leaf_weights", 1, &singles(&[0.2, heavy, 0.3, 0.5, -0.5])),
                ],
            );
            trees(&MemorySource::new(&bytes)).needles.len()
        };
        assert_eq!((told(700.0), told(0.4)), (1, 0));
    }

    #[test]
    fn circles_and_broken_columns_end() {
        let bytes = model(
            "TreeEnsemble",
            &[
                whole("tree_roots", &[0; 100]),
                whole("nodes_featureids", &[0; 100]),
                whole("nodes_truenodeids", &[0; 100]),
                whole("nodes_falsenodeids", &[1; 100]),
                whole("nodes_modes", &[0; 3]),
            ],
        );
        for end in 0..bytes.len() {
            let _ = trees(&MemorySource::new(&bytes[..end]));
        }
        assert_eq!(trees(&MemorySource::new(&bytes)).needles, []);
    }
}
