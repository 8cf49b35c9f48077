//! An ExecuTorch program as a [`Graph`]: its plans, instruction by instruction, as the runtime would run them. What a
//! jump passes over is decided by the value it asks; graphs handed to XNNPACK stand in line.
//!
//! Long because one walk holds what is read, run and decided.

use mantlet_vocab::Source;

use super::{Layout, TENSOR, blob, layout, segments, xnnpack};
use crate::flat::{Flat, Table};
use crate::graph::{Graph, Kind, STATE, weight};
use crate::structure::Structure;
use crate::torch;
use crate::weights::{Dtype, TensorInfo};
use crate::window::Window;

/// Jumps of one plan, and values that are kept for all of them together.
const MAX_JUMPS: u32 = 256;
const MAX_KEPT: usize = 1 << 22;
/// Operands of one call.
const MAX_OPERANDS: u64 = 256;

/// A value of a plan as it is written down.
#[derive(Debug, Clone)]
enum Item {
    Tensor(Vec<u64>),
    Number,
    /// So many numbers.
    List(u8),
    /// Values side by side.
    Tensors(Vec<u64>),
    Nothing,
    Other,
}

impl Item {
    fn sizes(&self) -> Option<&[u64]> {
        match self {
            Self::Tensor(sizes) => Some(sizes),
            _ => None,
        }
    }

    /// Axes beside the batch that are not of extent one.
    fn axes(&self) -> Option<u8> {
        let sizes = self.sizes()?;
        let beside = sizes.iter().skip(usize::from(sizes.len() > 1)).filter(|&&extent| extent != 1);
        Some(beside.count().min(8) as u8)
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Kernel(u64, Table),
    Delegate(u64, Table),
    Move(u64, u64),
    Jump(u64, u64),
    Other,
}

/// The graph of a program. Never fails: what is broken is left out (and a defect of the facts).
#[must_use]
pub fn graph(source: &dyn Source) -> Graph {
    let mut graph = Graph::default();
    let Some(Layout { limit, base }) = layout(source) else { return graph };
    let mut flat = Flat::new(Window::new(source, 0), 0, limit, Structure::of("ExecuTorch"));
    let Some(root) = flat.root() else { return graph };
    let segments = segments(&mut flat, root, 4, base, source);
    let constants = constants(&mut flat, root, &segments);
    let mut budget = weight::BUDGET;
    for plan in flat.tables(root, 1) {
        let operators = flat
            .tables(plan, 6)
            .into_iter()
            .map(|operator| flat.text(operator, 0).unwrap_or_default())
            .collect();
        let mut delegates = Vec::new();
        for delegate in flat.tables(plan, 7) {
            let name = flat.text(delegate, 0).unwrap_or_default();
            let place = blob(&mut flat, root, delegate, &segments).filter(|_| name == xnnpack::NAME);
            delegates.push((name, place));
        }
        let mut walk = Walk {
            source,
            flat: &mut flat,
            graph: &mut graph,
            operators,
            delegates,
            items: Vec::new(),
            values: Vec::new(),
            budget: &mut budget,
            jumps: 0,
            kept: 0,
        };
        walk.plan(plan, &constants);
    }
    graph
}

/// Where the constants lie; of the last ones of a segment the end is that of the segment.
fn constants(flat: &mut Flat<'_>, root: Table, segments: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let inline: Vec<(u64, u64)> =
        flat.tables(root, 2).into_iter().map(|buffer| flat.vector(buffer, 0, 1).unwrap_or((0, 0))).collect();
    let Some(table) = flat.child(root, 5) else { return inline };
    let segment = usize::try_from(flat.value(table, 0, 4)).ok().and_then(|index| segments.get(index));
    let (Some(&(start, len)), Some((first, count))) = (segment, flat.vector(table, 1, 8)) else {
        return inline;
    };
    let offsets = (0..flat.allow(count)).map(|item| flat.number(first + 8 * item, 8).unwrap_or(u64::MAX));
    offsets
        .map(|offset| match len.checked_sub(offset) {
            Some(rest) => (start + offset, rest),
            None => (0, 0),
        })
        .collect()
}

struct Walk<'w, 'f> {
    source: &'w dyn Source,
    flat: &'w mut Flat<'f>,
    graph: &'w mut Graph,
    operators: Vec<String>,
    delegates: Vec<(String, Option<(u64, u64)>)>,
    items: Vec<Item>,
    values: Vec<Option<u32>>,
    budget: &'w mut u64,
    jumps: u32,
    kept: usize,
}

impl Walk<'_, '_> {
    fn numbers(&mut self, table: Table, field: u64, width: u64) -> Vec<u64> {
        let Some((first, count)) = self.flat.vector(table, field, width) else { return Vec::new() };
        (0..self.flat.allow(count))
            .map(|item| self.flat.number(first + width * item, width as usize).unwrap_or(u64::MAX))
            .collect()
    }

    fn plan(&mut self, plan: Table, constants: &[(u64, u64)]) {
        for value in self.flat.tables(plan, 2) {
            let (item, node) = self.item(value, constants);
            self.items.push(item);
            self.values.push(node);
        }
        for input in self.numbers(plan, 3, 4) {
            let Some(index) = usize::try_from(input).ok().filter(|&index| index < self.items.len()) else {
                continue;
            };
            let axes = self.items[index].axes().unwrap_or(0);
            let node = self.graph.add(Kind::Input { axes }, "input", "", Vec::new(), plan.at);
            self.values[index] = Some(node);
        }
        for chain in self.flat.tables(plan, 5) {
            let mut steps = Vec::new();
            for instruction in self.flat.tables(chain, 2) {
                let kind = self.flat.value(instruction, 0, 1);
                let Some(call) = self.flat.child(instruction, 1) else {
                    steps.push(Step::Other);
                    continue;
                };
                let (first, second) = (self.flat.value(call, 0, 4), self.flat.value(call, 1, 4));
                steps.push(match kind {
                    1 => Step::Kernel(first, call),
                    2 => Step::Delegate(first, call),
                    3 => Step::Move(first, second),
                    4 => Step::Jump(first, second),
                    _ => Step::Other,
                });
            }
            self.run(&steps, 0, steps.len());
        }
        for output in self.numbers(plan, 4, 4) {
            if let Some(node) = self.value(output) {
                self.graph.output(node);
            }
        }
    }

    /// A value as it is written down, and the node of what does not change.
    fn item(&mut self, value: Table, constants: &[(u64, u64)]) -> (Item, Option<u32>) {
        let kind = self.flat.value(value, 0, 1);
        let Some(inner) = self.flat.child(value, 1) else {
            return (if kind == 1 { Item::Nothing } else { Item::Other }, None);
        };
        let at = inner.at;
        let constant = |graph: &mut Graph, number: Option<f64>| {
            let node = graph.add(Kind::Constant, "constant", "", Vec::new(), at);
            if let Some(number) = number {
                graph.weigh(node, number.abs());
            }
            Some(node)
        };
        match kind {
            1 => (Item::Nothing, None),
            2 | 3 => {
                let width = if kind == 2 { 8 } else { 1 };
                let number = self.flat.value(inner, 0, width).cast_signed() as f64;
                (Item::Number, constant(self.graph, Some(number)))
            }
            4 => {
                let number = f64::from_bits(self.flat.value(inner, 0, 8));
                (Item::Number, constant(self.graph, Some(number)))
            }
            TENSOR => {
                let sizes = self.numbers(inner, 2, 4);
                let buffer = self.flat.value(inner, 5, 4);
                let outside = self.flat.field(inner, 9).is_some() && self.flat.field(inner, 6).is_none();
                if buffer == 0 && !outside {
                    return (Item::Tensor(sizes), None);
                }
                // What changes from call to call, of one value.
                if self.flat.field(inner, 6).is_some() && sizes.iter().all(|&extent| extent == 1) {
                    let node = self.graph.add(Kind::Input { axes: 0 }, STATE, "", Vec::new(), at);
                    return (Item::Tensor(sizes), Some(node));
                }
                let node = constant(self.graph, None);
                let place = usize::try_from(buffer).ok().and_then(|index| constants.get(index));
                // The first value of what changes lies elsewhere.
                let place = place.filter(|_| self.flat.field(inner, 6).is_none() && buffer > 0);
                if let (Some(node), Some(&(start, room))) = (node, place) {
                    let dtype = match self.flat.value(inner, 0, 1) {
                        0 => Dtype::Int { width: 1, signed: false },
                        1 => Dtype::Int { width: 1, signed: true },
                        2 => Dtype::Int { width: 2, signed: true },
                        3 => Dtype::Int { width: 4, signed: true },
                        4 => Dtype::Int { width: 8, signed: true },
                        5 => Dtype::F16,
                        6 => Dtype::F32,
                        7 => Dtype::F64,
                        15 => Dtype::Bf16,
                        _ => Dtype::Other(String::new()),
                    };
                    let count = sizes.iter().try_fold(1_u64, |all, &extent| all.checked_mul(extent));
                    let len = count.and_then(|count| count.checked_mul(dtype.width()?)).unwrap_or(0);
                    if len > 0 && len <= room {
                        let shape = sizes.clone();
                        let info = TensorInfo { name: String::new(), dtype, shape, start, len };
                        if let Some(weight) = weight::measure(self.source, &info, self.budget) {
                            if len <= 64 {
                                self.graph.weigh(node, weight.largest);
                            }
                            self.graph.measured(node, weight);
                        }
                    }
                }
                (Item::Tensor(sizes), node)
            }
            7..=9 => {
                let width = if kind == 9 { 1 } else { 8 };
                let count = self.flat.count(inner, 0, width).min(8) as u8;
                (Item::List(count), constant(self.graph, None))
            }
            10 | 11 => (Item::Tensors(self.numbers(inner, 0, 4)), None),
            _ => (Item::Other, constant(self.graph, None)),
        }
    }

    /// The node of a value; of a list what is in it side by side.
    fn value(&mut self, index: u64) -> Option<u32> {
        let index = usize::try_from(index).ok()?;
        if let Some(Some(node)) = self.values.get(index) {
            return Some(*node);
        }
        let Some(Item::Tensors(items)) = self.items.get(index) else { return None };
        let parts: Vec<u32> = items
            .iter()
            .take(MAX_OPERANDS as usize)
            .filter_map(|&item| *self.values.get(usize::try_from(item).ok()?)?)
            .collect();
        if parts.is_empty() {
            return None;
        }
        Some(self.graph.add(Kind::Concat, "list", "", parts, 0))
    }

    /// The steps from one place to another.
    fn run(&mut self, steps: &[Step], from: usize, to: usize) {
        let mut at = from;
        while let Some(&step) = steps.get(at).filter(|_| at < to && !self.graph.cut) {
            at += 1;
            match step {
                Step::Kernel(operator, call) => self.kernel(operator, call),
                Step::Delegate(delegate, call) => self.delegate(delegate, call),
                Step::Move(source, target) => {
                    let node = self.value(source);
                    self.set(target, node);
                }
                Step::Jump(condition, target) => {
                    let target = usize::try_from(target).unwrap_or(usize::MAX);
                    at = self.jump(steps, condition, at, target, to);
                }
                Step::Other => {}
            }
        }
    }

    fn set(&mut self, index: u64, node: Option<u32>) {
        if let Some(value) = usize::try_from(index).ok().and_then(|index| self.values.get_mut(index)) {
            *value = node;
        }
    }

    /// A jump at the place before `at`: both ways, and what the condition decides. Gives where it goes on.
    fn jump(&mut self, steps: &[Step], condition: u64, at: usize, target: usize, to: usize) -> usize {
        self.jumps += 1;
        self.kept += self.values.len();
        if self.jumps > MAX_JUMPS || self.kept > MAX_KEPT {
            self.graph.cut = true;
            return to;
        }
        let Some(answer) = self.value(condition) else { return at };
        if target <= at {
            // A loop was run once: what it wrote counts as often as it is asked.
            let written: Vec<u64> = steps
                .get(target..at)
                .unwrap_or(&[])
                .iter()
                .filter_map(|step| match step {
                    Step::Move(_, target) => Some(*target),
                    _ => None,
                })
                .collect();
            for index in written {
                if let Some(node) = self.value(index).filter(|&node| node != answer) {
                    let asked = self.graph.add(
                        Kind::Branch,
                        "while",
                        "",
                        vec![answer, node, node],
                        steps.len() as u64,
                    );
                    self.set(index, Some(asked));
                }
            }
            return at;
        }
        let target = target.min(to);
        // A jump at the end of the first way, over the other: its condition does not change.
        let last = target.checked_sub(1).filter(|&last| last >= at);
        let over = last.and_then(|last| match steps.get(last) {
            Some(&Step::Jump(always, end)) => {
                let fixed = self.value(always).is_some_and(|node| self.graph.is_constant(node));
                usize::try_from(end).ok().filter(|&end| fixed && end >= target && end <= to)
            }
            _ => None,
        });
        let before = self.values.clone();
        self.run(steps, at, if over.is_some() { target - 1 } else { target });
        let one = std::mem::replace(&mut self.values, before);
        if let Some(end) = over {
            self.run(steps, target, end);
        }
        for (index, mine) in one.into_iter().enumerate() {
            let other = self.values[index];
            self.values[index] = match (mine, other) {
                (Some(mine), Some(other)) if mine != other => {
                    Some(self.graph.add(Kind::Branch, "cond", "", vec![answer, mine, other], index as u64))
                }
                (mine, other) => mine.or(other),
            };
        }
        over.unwrap_or(target)
    }

    /// What a call reads and what it writes: its results stand last, and were not there before.
    fn operands(&mut self, call: Table) -> (Vec<u64>, Vec<u64>) {
        let mut reads = self.numbers(call, 1, 4);
        let Some(&last) = reads.last() else { return (reads, Vec::new()) };
        let mut writes = vec![last];
        while let Some(&index) = reads.last() {
            let place = usize::try_from(index).unwrap_or(usize::MAX);
            let fresh = match self.items.get(place) {
                Some(Item::Tensor(_)) => self.values.get(place).copied().flatten().is_none(),
                Some(Item::Tensors(items)) => items.iter().all(|&item| {
                    usize::try_from(item).is_ok_and(|item| self.values.get(item).is_none_or(Option::is_none))
                }),
                _ => false,
            };
            if !fresh && !writes.contains(&index) {
                break;
            }
            if !writes.contains(&index) {
                writes.push(index);
            }
            reads.pop();
        }
        (reads, writes)
    }

    fn write(&mut self, writes: &[u64], node: u32) {
        for &index in writes {
            let Some(place) = usize::try_from(index).ok() else { continue };
            match self.items.get(place).cloned() {
                Some(Item::Tensors(items)) => items.iter().for_each(|&item| self.set(item, Some(node))),
                _ => self.set(index, Some(node)),
            }
        }
    }

    fn kernel(&mut self, operator: u64, call: Table) {
        let (reads, writes) = self.operands(call);
        let name = usize::try_from(operator).ok().and_then(|index| self.operators.get(index).cloned());
        let name = name.unwrap_or_default();
        let base = name.split_once("::").map_or(name.as_str(), |(_, base)| base);
        let base =
            base.strip_suffix("_copy").unwrap_or(base).trim_start_matches("_to_").trim_end_matches('_');
        let item = |walk: &Self, index: usize| {
            let place = usize::try_from(*reads.get(index)?).ok()?;
            walk.items.get(place).cloned()
        };
        let sizes =
            |walk: &Self, index: usize| item(walk, index).and_then(|item| item.sizes().map(<[u64]>::to_vec));
        let narrow = match base {
            "linear" => matches!(sizes(self, 1).as_deref(), Some([outputs, _]) if *outputs <= 2),
            "mm" => matches!(sizes(self, 1).as_deref(), Some([_, outputs]) if *outputs <= 2),
            "addmm" => matches!(sizes(self, 2).as_deref(), Some([_, outputs]) if *outputs <= 2),
            "convolution" => matches!(sizes(self, 1).as_deref(), Some([1, _, _, ..])),
            _ => false,
        };
        let (count, listed) = match item(self, 1) {
            Some(Item::Nothing) => (1, None),
            Some(Item::List(count)) => (reads.len(), Some(count)),
            _ => (reads.len(), None),
        };
        let mut kind = match base {
            _ if narrow => Kind::Weighted { narrow },
            _ if base.starts_with("embedding") => Kind::Learned,
            _ => torch::kind(base, count, listed),
        };
        // A value that fills a new tensor.
        let filler = match base {
            "full" | "full_like" => Some(1),
            "scalar_tensor" => Some(0),
            _ => None,
        };
        let mut reads = reads;
        if let Some(index) = filler.filter(|&index| index < reads.len()) {
            reads = vec![reads[index]];
            kind = Kind::Pass;
        }
        // A bias that is computed is added as any other value.
        let bias = match base {
            "linear" | "convolution" => Some(2),
            "addmm" => Some(0),
            _ => None,
        };
        let bias = bias.filter(|&index| index < reads.len()).map(|index| reads.remove(index));
        let mut values = Vec::new();
        for &index in reads.iter().take(MAX_OPERANDS as usize) {
            match self.value(index) {
                Some(node) => values.push(node),
                // What a choice reads keeps its place.
                None => values.push(self.graph.add(Kind::Constant, "nothing", "", Vec::new(), call.at)),
            }
        }
        let mut node = self.graph.add(kind, base, "", values, call.at);
        if let Some(bias) = bias.and_then(|bias| self.value(bias)) {
            node = self.graph.add(Kind::Combine, base, "", vec![node, bias], call.at);
        }
        let axes = writes.first().and_then(|&index| self.items.get(usize::try_from(index).ok()?)?.axes());
        if let Some(axes) = axes {
            self.graph.shaped(node, axes);
        }
        self.write(&writes, node);
    }

    fn delegate(&mut self, delegate: u64, call: Table) {
        let (reads, writes) = self.operands(call);
        let known = usize::try_from(delegate).ok().and_then(|index| self.delegates.get(index).cloned());
        let (name, place) = known.unwrap_or_default();
        let mut given = Vec::new();
        for index in reads {
            if let Some(node) = self.value(index) {
                given.push(node);
            }
        }
        if let Some(place) = place
            && let Some(results) = xnnpack::lay_out(self.source, place, &given, self.graph, self.budget)
        {
            // They were collected from the last one on.
            for (&index, result) in writes.iter().rev().zip(results) {
                self.set(index, Some(result));
            }
            return;
        }
        let node = self.graph.add(Kind::Learned, &name, "", given, call.at);
        self.write(&writes, node);
    }
}
