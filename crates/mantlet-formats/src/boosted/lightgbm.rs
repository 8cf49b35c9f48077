//! LightGBM's text models: sections of `key=value` lines, read as the loader in C++ reads them.

use std::collections::BTreeMap;

use mantlet_vocab::Source;

use super::MAX_NODES;
use super::needle::{Leaves, Split};
use crate::structure::Structure;
use crate::window::Window;

/// Bytes of one line that are kept.
const MAX_LINE: usize = 8 << 20;

/// Whether text begins like a model of LightGBM.
#[must_use]
pub fn is_lightgbm(head: &[u8]) -> bool {
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    lines.next() == Some(b"tree") && lines.next().is_some_and(|line| line.starts_with(b"version=v"))
}

/// The facts of a model. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut window = Window::new(source, 0);
    let mut model = Model { facts: Structure::of("LightGBM"), ..Model::default() };
    model.facts.whole_text = true;
    let mut at = 0;
    while window.rest() > 0 {
        let (text, cut) = match window.line(MAX_LINE) {
            Some(line) => (String::from_utf8_lossy(&line.bytes).into_owned(), line.cut),
            // The last line may lack its end.
            None if window.overlong || window.offset() - at > 64 << 10 => {
                model.facts.limit("a line of it is too long to be read");
                break;
            }
            None => {
                window.seek(at);
                let rest = window.rest().min(64 << 10) as usize;
                let bytes = window.take(rest).unwrap_or_default();
                (String::from_utf8_lossy(bytes).into_owned(), false)
            }
        };
        if cut {
            model.facts.limit(format!("only the first {MAX_LINE} bytes of a line are examined"));
        }
        model.line(text.trim_end(), at);
        at = window.offset();
    }
    if let Some(error) = window.failed {
        model.facts.limit(error.to_string());
    }
    model.finish()
}

#[derive(Default)]
struct Tree {
    at: u64,
    values: BTreeMap<String, usize>,
    left: Vec<i64>,
    right: Vec<i64>,
    largest: i64,
    features: Vec<u64>,
    thresholds: Vec<f64>,
    leaf_values: Vec<f64>,
    leaves: usize,
    categorical: usize,
    linear: bool,
    cut: bool,
}

#[derive(Default)]
struct Model {
    facts: Structure,
    tree: Option<Tree>,
    ended: bool,
    trees: usize,
    sizes: Vec<u64>,
    starts: Vec<u64>,
    features: Option<i64>,
    names: usize,
    all: Leaves,
    after: bool,
}

impl Model {
    fn line(&mut self, line: &str, at: u64) {
        if line == "end of trees" {
            self.close();
            self.starts.push(at);
            self.ended = true;
            return;
        }
        let Some((key, value)) = line.split_once('=') else {
            if self.ended {
                self.tail(line, at);
            }
            return;
        };
        if self.ended {
            self.tail(line, at);
        } else if key == "Tree" {
            self.close();
            self.starts.push(at);
            self.tree = Some(Tree { at, largest: -1, ..Tree::default() });
        } else if let Some(tree) = &mut self.tree {
            tree.line(key, value);
        } else {
            let count = value.split_ascii_whitespace().count();
            match key {
                "max_feature_idx" => self.features = value.trim().parse().ok(),
                "feature_names" => self.names = count,
                "tree_sizes" => {
                    let sizes = value.split_ascii_whitespace().take(1 << 20);
                    self.sizes = sizes.map(|size| size.parse().unwrap_or(u64::MAX)).collect();
                }
                _ => {}
            }
        }
    }

    /// Lines after the trees: importances, parameters, categories.
    fn tail(&mut self, line: &str, at: u64) {
        if line.starts_with("pandas_categorical:") {
            self.after = true;
            self.facts.says("pandas_categorical", line);
        } else if let Some((key, value)) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
            .and_then(|line| line.split_once(": "))
        {
            self.facts.says(key, value);
        } else if self.after && !line.trim().is_empty() {
            self.facts.defect("text follows the end of the model", at);
            self.after = false;
        }
    }

    fn close(&mut self) {
        let Some(tree) = self.tree.take() else { return };
        self.trees += 1;
        let features = self.features;
        let defects = tree.defects(features);
        let inner = tree.leaves.saturating_sub(1);
        let told = [tree.features.len(), tree.thresholds.len(), tree.left.len(), tree.right.len()];
        // Numbers of one kind of split only: categories are no intervals.
        if defects.is_empty()
            && inner > 0
            && tree.categorical == 0
            && told.iter().all(|&count| count == inner)
        {
            let split = |node: i64| {
                let node = usize::try_from(node).ok()?;
                Some(Split {
                    left: *tree.left.get(node)?,
                    right: *tree.right.get(node)?,
                    feature: *tree.features.get(node)?,
                    threshold: *tree.thresholds.get(node)?,
                })
            };
            let leaf = |node: i64| {
                usize::try_from(!node)
                    .ok()
                    .and_then(|leaf| tree.leaf_values.get(leaf))
                    .copied()
                    .unwrap_or(0.0)
            };
            self.all.tree(tree.at, inner, split, leaf);
        }
        for defect in defects {
            self.facts.defect(defect, tree.at);
        }
        if tree.cut {
            self.facts.limit(format!("a tree has more than {MAX_NODES} nodes"));
        }
    }

    fn finish(mut self) -> Structure {
        if !self.ended {
            let at = self.tree.as_ref().map_or(0, |tree| tree.at);
            self.facts.defect("it ends before its trees do", at);
        }
        self.close();
        self.all.tell(&mut self.facts);
        if !self.sizes.is_empty() && self.ended {
            if self.sizes.len() != self.trees {
                let what = format!("it declares {} trees and has {}", self.sizes.len(), self.trees);
                self.facts.defect(what, 0);
            } else {
                let wrong = self.sizes.iter().zip(self.starts.windows(2)).find(|(size, ends)| {
                    // Copies whose line ends were changed to two bytes are longer.
                    ends[1] - ends[0] < **size
                });
                if let Some((size, ends)) = wrong {
                    let what = format!("a tree of {} bytes is declared as {size}", ends[1] - ends[0]);
                    self.facts.defect(what, ends[0]);
                }
            }
        }
        if let Some(features) = self.features.filter(|_| self.names > 0)
            && usize::try_from(features).ok() != Some(self.names - 1)
        {
            self.facts.defect(format!("{} names, the largest feature is {features}", self.names), 0);
        }
        self.facts
    }
}

impl Tree {
    fn line(&mut self, key: &str, value: &str) {
        let numbers = || value.split_ascii_whitespace();
        match key {
            "num_leaves" => self.leaves = value.trim().parse().unwrap_or(0),
            "num_cat" => self.categorical = value.trim().parse().unwrap_or(0),
            "is_linear" => self.linear = value.trim() == "1",
            "left_child" | "right_child" => {
                self.cut |= numbers().count() > MAX_NODES;
                let parsed = numbers().take(MAX_NODES).map(|number| number.parse().unwrap_or(i64::MAX));
                if key == "left_child" { self.left = parsed.collect() } else { self.right = parsed.collect() }
            }
            "split_feature" => {
                self.features = numbers().take(MAX_NODES).map(|n| n.parse().unwrap_or(0)).collect();
                self.largest = numbers().map(|n| n.parse().unwrap_or(i64::MAX)).max().unwrap_or(-1);
            }
            "threshold" => {
                self.thresholds = numbers().take(MAX_NODES).map(|n| n.parse().unwrap_or(f64::NAN)).collect();
            }
            "leaf_value" => {
                self.leaf_values = numbers().take(MAX_NODES).map(|n| n.parse().unwrap_or(0.0)).collect();
            }
            _ => {}
        }
        if self.values.len() < 64 {
            self.values.insert(key.to_owned(), numbers().count());
        }
    }

    fn defects(&self, features: Option<i64>) -> Vec<String> {
        let mut defects = Vec::new();
        if self.leaves == 0 {
            defects.push("a tree has no leaves".to_owned());
            return defects;
        }
        let inner = self.leaves - 1;
        let mut expect = |names: &[&str], wanted: usize| {
            for name in names {
                if let Some(&count) = self.values.get(*name).filter(|&&count| count != wanted) {
                    // A tree of one leaf leaves lists empty.
                    if !(count == 0 && self.leaves == 1) {
                        defects
                            .push(format!("a tree of {} leaves has {count} items in `{name}`", self.leaves));
                    }
                }
            }
        };
        expect(&["split_feature", "threshold", "decision_type", "left_child", "right_child"], inner);
        expect(&["leaf_value"], self.leaves);
        if self.categorical > 0 {
            expect(&["cat_boundaries"], self.categorical.saturating_add(1));
        }
        if self.linear {
            expect(&["leaf_const", "num_features"], self.leaves);
        }
        if let Some(features) = features.filter(|&features| self.largest > features) {
            defects.push(format!("a tree asks for feature {}, the largest is {features}", self.largest));
        }
        if self.cut {
            return defects;
        }
        // The number of leaves is only believed as far as there are children.
        if self.left.len() != inner || self.right.len() != inner {
            if defects.is_empty() {
                let (left, right) = (self.left.len(), self.right.len());
                defects.push(format!("a tree of {} leaves has {left} and {right} children", self.leaves));
            }
            return defects;
        }
        // Inner nodes are numbered from 0, leaves are written as their complement.
        let mut seen = vec![false; 2 * inner + 1];
        for &child in self.left.iter().chain(&self.right) {
            let place = if child >= 0 {
                usize::try_from(child).ok().filter(|&child| child < inner)
            } else {
                usize::try_from(!child).ok().filter(|&leaf| leaf < self.leaves).map(|leaf| leaf + inner)
            };
            let what = match place.and_then(|place| seen.get_mut(place)) {
                None => "a child lies outside the tree",
                Some(seen) if *seen => "a node has two parents",
                Some(_) if child == 0 => "the root is a child",
                Some(seen) => {
                    *seen = true;
                    continue;
                }
            };
            defects.push(format!("a tree is none: {what}"));
            break;
        }
        defects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn defects(numbers: &str) -> Vec<String> {
        let text = format!("tree\nversion=v4\nmax_feature_idx=0\nTree=0\n{numbers}\nend of trees\n");
        let facts = analyse(&MemorySource::new(text.as_bytes()));
        facts.defects.into_iter().map(|(what, _)| what).collect()
    }

    #[test]
    fn leaves_without_children_take_no_memory() {
        for leaves in ["90000000000000", "18446744073709551615", "2"] {
            let said = defects(&format!("num_leaves={leaves}\nnum_cat=0"));
            assert_eq!(said, [format!("a tree of {leaves} leaves has 0 and 0 children")]);
        }
        let all = "num_leaves=1\nnum_cat=18446744073709551615\ncat_boundaries=0 1\nleaf_value=1";
        assert_eq!(defects(all), ["a tree of 1 leaves has 2 items in `cat_boundaries`"]);
        assert!(defects("num_leaves=1\nnum_cat=0\nleft_child=\nright_child=\nleaf_value=1").is_empty());
        assert!(defects("num_leaves=2\nleft_child=-1\nright_child=-2\nleaf_value=1 2").is_empty());
        assert_eq!(
            defects("num_leaves=3\nleft_child=1 -1\nright_child=-2 0"),
            ["a tree is none: the root is a child"]
        );
    }
}
