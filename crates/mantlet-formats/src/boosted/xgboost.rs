//! XGBoost's JSON and UBJSON: the same document in two encodings.

use std::collections::BTreeMap;

use mantlet_vocab::Source;

use super::needle::{Leaves, Split};
use super::{MAX_NODES, cycle};
use crate::structure::Structure;
use crate::tree::{self, Event};
use crate::ubjson::{self, Item, Stop};
use crate::window::Window;

/// The facts of a model in JSON. Never fails: what is broken is a defect.
#[must_use]
pub fn json(source: &dyn Source) -> Structure {
    let mut model = Model::default();
    let walked = tree::json(source, &mut |event, at| match event {
        Event::Open { list, .. } => model.item(Item::Open { list }, at),
        Event::Close => model.item(Item::Close, at),
        Event::Key(key) => model.item(Item::Key(key), at),
        Event::Scalar { text, string: true, .. } => model.item(Item::Text(text), at),
        Event::Scalar { text, .. } => match text.parse() {
            Ok(number) => model.item(Item::Number(number), at),
            Err(_) => model.item(Item::Other, at),
        },
    });
    if let Some(defect) = walked.defect {
        model.facts.defect(defect, 0);
    }
    for limit in walked.limits {
        model.facts.limit(limit);
    }
    model.finish("XGBoost JSON")
}

/// The facts of a model in UBJSON. Never fails: what is broken is a defect.
#[must_use]
pub fn ubj(source: &dyn Source) -> Structure {
    let mut window = Window::new(source, 0);
    let mut model = Model::default();
    match ubjson::walk(&mut window, &mut |item, at| model.item(item, at)) {
        Ok(end) => model.facts.end = end,
        Err(Stop::Broken(what, at)) => model.facts.defect(what, at),
        Err(Stop::Limit(what)) => model.facts.limit(what),
    }
    if let Some(error) = window.failed {
        model.facts.limit(error.to_string());
    }
    model.finish("XGBoost UBJSON")
}

/// The arrays of a tree that have an item for every node.
const PER_NODE: [&str; 10] = [
    "left_children",
    "right_children",
    "parents",
    "split_indices",
    "split_conditions",
    "default_left",
    "loss_changes",
    "sum_hessian",
    "split_type",
    "base_weights",
];

#[derive(Default)]
struct Tree {
    at: u64,
    lengths: BTreeMap<String, u64>,
    left: Vec<i64>,
    right: Vec<i64>,
    splits: Vec<u64>,
    conditions: Vec<f64>,
    nodes: Option<u64>,
    vector: u64,
    cut: bool,
}

/// The right children of nodes that have a left one; leaves with vectors keep a place of theirs there.
fn children(left: &[i64], right: &[i64]) -> Vec<i64> {
    let own =
        |(node, &child): (usize, &i64)| if left.get(node).is_some_and(|&left| left < 0) { -1 } else { child };
    right.iter().enumerate().map(own).collect()
}

#[derive(Default)]
struct Model {
    facts: Structure,
    path: Vec<String>,
    lists: Vec<bool>,
    key: String,
    tree: Option<Tree>,
    trees: u64,
    declared: Option<u64>,
    info: u64,
    features: Option<u64>,
    names: u64,
    leaves: Leaves,
    /// The largest feature a tree splits on, and the tree.
    largest: Option<(u64, u64)>,
}

impl Model {
    fn parent(&self, back: usize) -> &str {
        self.path.len().checked_sub(back + 1).and_then(|at| self.path.get(at)).map_or("", String::as_str)
    }

    fn item(&mut self, item: Item<'_>, at: u64) {
        match item {
            Item::Open { list } => {
                let key = if self.lists.last() == Some(&true) { String::new() } else { self.key.clone() };
                if !list && key.is_empty() && self.parent(0) == "trees" {
                    self.tree = Some(Tree { at, ..Tree::default() });
                }
                self.path.push(key);
                self.lists.push(list);
            }
            Item::Close => {
                if self.lists.pop() == Some(false)
                    && self.parent(0).is_empty()
                    && self.parent(1) == "trees"
                    && let Some(tree) = self.tree.take()
                {
                    self.trees += 1;
                    self.judge(&tree);
                }
                self.path.pop();
            }
            Item::Key(key) => {
                self.key.clear();
                self.key.extend(key.chars().take(120));
            }
            Item::Number(number) => self.number(number),
            Item::Text(text) => self.text(text),
            Item::Other => self.count(),
        }
    }

    /// An item of a list: the lists that are counted.
    fn count(&mut self) {
        if self.lists.last() != Some(&true) {
            return;
        }
        let name = self.parent(0).to_owned();
        if let Some(tree) = &mut self.tree {
            *tree.lengths.entry(name).or_default() += 1;
        } else if name == "tree_info" {
            self.info += 1;
        } else if name == "feature_names" {
            self.names += 1;
        }
    }

    fn number(&mut self, number: f64) {
        self.count();
        if self.lists.last() != Some(&true) {
            return;
        }
        let which = match self.parent(0) {
            "left_children" => 0,
            "right_children" => 1,
            "split_indices" => 2,
            "split_conditions" => 3,
            _ => return,
        };
        let Some(tree) = &mut self.tree else { return };
        match which {
            2 if tree.splits.len() < MAX_NODES => {
                tree.splits.push(if number >= 0.0 { number as u64 } else { u64::MAX });
            }
            2 => tree.cut = true,
            3 if tree.conditions.len() < MAX_NODES => tree.conditions.push(number),
            3 => tree.cut = true,
            _ => {
                let side = if which == 0 { &mut tree.left } else { &mut tree.right };
                if side.len() < MAX_NODES { side.push(number as i64) } else { tree.cut = true }
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.count();
        let number = text.parse::<u64>().ok();
        match (self.parent(0), self.key.as_str()) {
            ("tree_param", key) => {
                if let Some(tree) = &mut self.tree {
                    match key {
                        "num_nodes" => tree.nodes = number,
                        "size_leaf_vector" => tree.vector = number.unwrap_or(0),
                        _ => {}
                    }
                }
            }
            ("gbtree_model_param", "num_trees") => self.declared = number,
            ("learner_model_param", "num_feature") => self.features = number,
            ("attributes", key) => {
                let key = key.to_owned();
                self.facts.says(&key, text);
            }
            ("feature_names", _) if self.names <= 64 => self.facts.says("feature_names", text),
            _ => {}
        }
    }

    fn judge(&mut self, tree: &Tree) {
        let nodes = tree.nodes.unwrap_or(tree.left.len() as u64);
        for name in PER_NODE {
            let length = tree.lengths.get(name).copied().unwrap_or(0);
            // Trees with a vector in each leaf keep the weights elsewhere.
            let free = name == "base_weights" && tree.vector > 1
                || length == 0
                    && matches!(name, "split_type" | "loss_changes" | "sum_hessian" | "base_weights");
            if length != nodes && !free {
                self.facts.defect(format!("a tree of {nodes} nodes has {length} items in `{name}`"), tree.at);
            }
        }
        if tree.cut {
            self.facts.limit(format!("a tree has more than {MAX_NODES} nodes"));
        } else if let Some(what) = cycle(&tree.left, &children(&tree.left, &tree.right)) {
            self.facts.defect(format!("a tree is none: {what}"), tree.at);
        } else if tree.conditions.len() == tree.left.len() && tree.vector <= 1 {
            let at = |node: i64| usize::try_from(node).ok();
            let split = |node: i64| {
                let node = at(node)?;
                Some(Split {
                    left: tree.left.get(node).copied().filter(|left| *left > 0)?,
                    right: tree.right.get(node).copied()?,
                    feature: tree.splits.get(node).copied()?,
                    threshold: tree.conditions.get(node).copied()?,
                })
            };
            let leaf =
                |node: i64| at(node).and_then(|node| tree.conditions.get(node)).copied().unwrap_or(0.0);
            self.leaves.tree(tree.at, tree.left.len(), split, leaf);
        }
        // Only nodes with children ask for a feature; what was pruned away names none.
        let asks = tree.splits.iter().zip(&tree.left).filter(|(_, left)| **left > 0).map(|(split, _)| *split);
        if let Some(feature) = asks.max().filter(|&f| self.largest.is_none_or(|(largest, _)| f > largest)) {
            self.largest = Some((feature, tree.at));
        }
    }

    fn finish(mut self, format: &'static str) -> Structure {
        if let Some(declared) = self.declared {
            for (what, count) in [("trees", self.trees), ("entries in `tree_info`", self.info)] {
                if count != declared {
                    self.facts.defect(format!("it declares {declared} trees and has {count} {what}"), 0);
                }
            }
        }
        // Models without any feature count are valid before 1.0; zero says nothing.
        if let (Some(features), Some((largest, at))) =
            (self.features.filter(|&count| count > 0), self.largest)
        {
            if largest >= features {
                self.facts.defect(format!("a tree asks for feature {largest} of {features}"), at);
            }
            if self.names > 0 && self.names != features {
                self.facts.defect(format!("{} names for {features} features", self.names), 0);
            }
        }
        self.leaves.tell(&mut self.facts);
        self.facts.format = format;
        self.facts
    }
}
