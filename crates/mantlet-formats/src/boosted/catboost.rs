//! CatBoost's binary models: a flatbuffer with the trees, and parts behind it for what the trees ask.

use mantlet_vocab::{Source, read_window};

use crate::flat::{Flat, Table};
use crate::structure::Structure;
use crate::tree::{self, Event};
use crate::window::Window;

/// Whether the bytes begin like a model of CatBoost.
#[must_use]
pub fn is_catboost(head: &[u8]) -> bool {
    head.starts_with(b"CBM1")
}

/// Numbers of one list that are looked at.
const MAX_NUMBERS: u64 = 1 << 22;

/// The facts of a binary model. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let facts = Structure::of("CatBoost");
    let head = read_window(source, 0, 8).unwrap_or_default();
    let size = head.get(4..8).and_then(|size| size.try_into().ok()).map_or(0, u32::from_le_bytes);
    let limit = 8 + u64::from(size);
    if limit > source.len() || size < 16 {
        let mut facts = facts;
        facts.defect(format!("its core of {size} bytes is not all there"), 4);
        return facts;
    }
    let mut flat = Flat::new(Window::new(source, 8), 8, limit, facts);
    let parts = core(&mut flat);
    if parts.is_none() && flat.facts.limits.is_empty() {
        flat.facts.defect("its core cannot be read", 8);
    }
    flat.facts.end = match parts {
        // Parts are streams of their own lengths; what they are is named, and no code is among them.
        Some(parts) if !parts.is_empty() => {
            for part in parts {
                let known = ["static_ctr", "text_process", "embed_process", "embedding_process"];
                if !known.iter().any(|known| part.starts_with(known)) {
                    flat.facts.limit(format!("its part `{part}` is not known"));
                }
            }
            0
        }
        _ => limit,
    };
    if let Some(error) = flat.window.failed {
        flat.facts.limit(error.to_string());
    }
    flat.facts
}

fn core(flat: &mut Flat<'_>) -> Option<Vec<String>> {
    let core = flat.root()?;
    let version = flat.text(core, 0)?;
    if version.is_empty() || version.len() > 64 {
        flat.facts.defect("its version makes no sense", core.at);
    }
    for info in flat.tables(core, 2) {
        let (Some(key), Some(value)) = (flat.text(info, 0), flat.text(info, 1)) else {
            flat.facts.defect("an entry of its information lacks a name or a value", info.at);
            continue;
        };
        flat.facts.says(&key, &value);
    }
    let parts = flat.texts(core, 3, 64).into_iter().map(|(part, _)| part).collect();
    if let Some(trees) = flat.child(core, 1) {
        judge(flat, trees);
    }
    Some(parts)
}

/// The numbers of a list of 32 bits.
fn ints(flat: &mut Flat<'_>, table: Table, index: u64) -> Option<Vec<i64>> {
    let (first, count) = flat.vector(table, index, 4)?;
    if count > MAX_NUMBERS {
        flat.facts.limit(format!("a list has more than {MAX_NUMBERS} numbers"));
        return None;
    }
    (0..count)
        .map(|item| flat.number(first + 4 * item, 4).map(|n| i64::from((n as u32).cast_signed())))
        .collect()
}

fn judge(flat: &mut Flat<'_>, trees: Table) {
    let dimension = flat.value(trees, 0, 4).max(1);
    let splits = ints(flat, trees, 1).unwrap_or_default();
    let sizes = ints(flat, trees, 2).unwrap_or_default();
    let starts = ints(flat, trees, 3).unwrap_or_default();
    let leaves = flat.count(trees, 8, 8);
    let steps = flat.vector(trees, 10, 4).filter(|&(_, count)| count > 0);
    let ids = ints(flat, trees, 11).unwrap_or_default();
    if !flat.facts.limits.is_empty() {
        return;
    }
    let at = trees.at;
    if starts.len() != sizes.len() {
        flat.facts.defect(format!("{} trees begin and {} have a size", starts.len(), sizes.len()), at);
    }
    let mut conditions = features(flat, trees);
    let all = splits.len() as i64;
    let (mut needed, mut before) = (0_u64, 0);
    for (start, size) in starts.iter().zip(&sizes) {
        let end = start.checked_add(*size);
        if *start < 0 || *size < 0 || end.is_none_or(|end| end > all) {
            flat.facts
                .defect(format!("a tree of {size} splits at {start} leaves the {all} that there are"), at);
            return;
        }
        // Trees lie one after the other, so that all of them together are no longer than the lists.
        if *start < before {
            flat.facts.defect(format!("a tree begins at split {start}, within the one before it"), at);
            return;
        }
        before = start + size;
        if steps.is_none() {
            if *size > 16 {
                flat.facts.defect(format!("a symmetric tree is {size} splits deep"), at);
                return;
            }
            needed = needed.saturating_add(dimension.saturating_mul(1 << *size));
        }
    }
    if steps.is_none() && needed != leaves {
        flat.facts.defect(format!("its trees need {needed} leaves and there are {leaves}"), at);
    }
    if let Some((first, count)) = steps {
        non_symmetric(flat, at, (first, count), &starts, &sizes);
        if ids.len() as u64 != count {
            flat.facts.defect(format!("{count} steps and {} places of leaves", ids.len()), at);
        }
        let outside = ids.iter().find(|&&id| id != -1 && (id < 0 || id as u64 >= leaves));
        if let Some(outside) = outside {
            flat.facts.defect(format!("a leaf lies at {outside} of {leaves}"), at);
        }
    }
    // Splits of computed features are counted only as far as this reader knows their tables.
    let computed = flat.count(trees, 7, 4) + flat.count(trees, 13, 4);
    if computed > 0 {
        conditions = None;
    }
    if let Some(conditions) = conditions {
        let outside = splits.iter().find(|&&split| split < 0 || split as u64 >= conditions);
        if let Some(outside) = outside.filter(|_| steps.is_none()) {
            flat.facts.defect(format!("a tree asks split {outside} of {conditions}"), at);
        }
    }
}

/// How many conditions trees may ask: the borders of numbers and the values of categories.
fn features(flat: &mut Flat<'_>, trees: Table) -> Option<u64> {
    let mut conditions = 0_u64;
    for float in flat.tables(trees, 5) {
        conditions += flat.count(float, 3, 4);
    }
    for one_hot in flat.tables(trees, 6) {
        conditions += flat.count(one_hot, 1, 4);
    }
    flat.facts.limits.is_empty().then_some(conditions)
}

/// Steps to the left and the right stay within their tree.
fn non_symmetric(flat: &mut Flat<'_>, at: u64, steps: (u64, u64), starts: &[i64], sizes: &[i64]) {
    let (first, count) = steps;
    for (start, size) in starts.iter().zip(sizes) {
        let (start, size) = (*start as u64, *size as u64);
        for node in start..start + size {
            let Some(step) = (node < count).then(|| flat.number(first + 4 * node, 4)).flatten() else {
                flat.facts.defect(format!("a tree has more nodes than the {count} steps"), at);
                return;
            };
            let furthest = node + (step & 0xffff).max(step >> 16);
            if furthest >= start + size {
                flat.facts.defect("a step leaves its tree", first + 4 * node);
                return;
            }
        }
    }
}

#[derive(Default)]
struct Shape {
    path: Vec<String>,
    lists: Vec<bool>,
    key: String,
    splits: u64,
    values: u64,
    weights: u64,
    dimensions: Vec<u64>,
    facts: Structure,
}

/// The facts of a model in JSON.
#[must_use]
pub fn json(source: &dyn Source) -> Structure {
    let mut shape = Shape { facts: Structure::of("CatBoost JSON"), ..Shape::default() };
    let walked = tree::json(source, &mut |event, at| shape.event(event, at));
    if let Some(defect) = walked.defect {
        shape.facts.defect(defect, 0);
    }
    for limit in walked.limits {
        shape.facts.limit(limit);
    }
    shape.dimensions.sort_unstable();
    shape.dimensions.dedup();
    if shape.dimensions.len() > 1 {
        shape.facts.defect("its trees give different numbers of values", 0);
    }
    shape.facts
}

impl Shape {
    fn event(&mut self, event: Event<'_>, at: u64) {
        match event {
            Event::Open { list, .. } => {
                let item = self.lists.last() == Some(&true);
                let key = if item { String::new() } else { self.key.clone() };
                if key.is_empty() && !list {
                    match self.path.last().map(String::as_str) {
                        Some("oblivious_trees") => (self.splits, self.values, self.weights) = (0, 0, 0),
                        Some("splits") => self.splits += 1,
                        _ => {}
                    }
                }
                self.path.push(key);
                self.lists.push(list);
            }
            Event::Close => {
                self.path.pop();
                let tree = self.lists.pop() == Some(false)
                    && self.path.last().is_some_and(|name| name == "oblivious_trees");
                if tree {
                    self.tree(at);
                }
            }
            Event::Key(key) => {
                self.key.clear();
                self.key.extend(key.chars().take(120));
            }
            Event::Scalar { .. } => match self.path.last().map(String::as_str) {
                Some("leaf_values") => self.values += 1,
                Some("leaf_weights") => self.weights += 1,
                _ => {}
            },
        }
    }

    fn tree(&mut self, at: u64) {
        let leaves = 1_u64.checked_shl(u32::try_from(self.splits).unwrap_or(64)).unwrap_or(0);
        if self.splits > 16 || leaves == 0 || !self.values.is_multiple_of(leaves) || self.values == 0 {
            let what = format!("a tree of {} splits has {} values", self.splits, self.values);
            self.facts.defect(what, at);
        } else if self.dimensions.len() < 64 {
            self.dimensions.push(self.values / leaves);
        }
        if self.weights != 0 && self.weights != leaves {
            self.facts.defect(format!("a tree of {leaves} leaves has {} weights", self.weights), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flat::forge;
    use mantlet_vocab::MemorySource;

    fn defects(starts: &[u32], sizes: &[u32]) -> Vec<String> {
        let mut bytes = vec![0; 4];
        let trees = forge::table(&mut bytes, 14);
        bytes[..4].copy_from_slice(&(trees as u32).to_le_bytes());
        for (field, items) in [(1, &[0; 4][..]), (2, sizes), (3, starts), (10, &[0; 4]), (11, &[!0; 4])] {
            forge::vector(&mut bytes, trees, field, items);
        }
        let source = MemorySource::new(&bytes);
        let facts = Structure::of("CatBoost");
        let mut flat = Flat::new(Window::new(&source, 0), 0, bytes.len() as u64, facts);
        let root = flat.root().expect("the root is a table");
        judge(&mut flat, root);
        flat.facts.defects.into_iter().map(|(what, _)| what).collect()
    }

    #[test]
    fn trees_lie_one_after_the_other() {
        assert!(defects(&[0, 1, 1], &[1, 0, 3]).is_empty());
        assert_eq!(defects(&[0; 4], &[4; 4]), ["a tree begins at split 0, within the one before it"]);
    }
}
