//! Models whose layers treat each row by itself, run on sixteen rows side by side: the way attacks take through a
//! model hundreds of times. Values are laid out as `[value][lane]`, so nothing is turned between one layer and the
//! next, and what a row gets does not depend on which rows it stands beside.
//!
//! A plan is made from the graph where every operator on the way has such a form ([`Side`]); else there is none and
//! the graph is run as usual.
//!
//! Long because a plan, the memory it works on and both directions of each form have to agree.

use std::sync::{Mutex, PoisonError};

use mantlet_kernels::{Dense, Direct, LANES, Lanes, Pool2d, interleave, part};
use mantlet_vocab::{Tensor, Value};

use crate::graph::Graph;
use crate::ops::{Edge, Operator};
use crate::run::{Fail, Run};

/// What reaches an operator: a constant of the file, or values with one row each of this shape.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    Constant(&'a Value),
    Row(&'a [usize]),
}

impl<'a> Given<'a> {
    pub(crate) fn constant(self) -> Option<&'a Value> {
        match self {
            Self::Constant(value) => Some(value),
            Self::Row(_) => None,
        }
    }

    pub(crate) fn row(self) -> Option<&'a [usize]> {
        match self {
            Self::Constant(_) => None,
            Self::Row(shape) => Some(shape),
        }
    }
}

/// An operator's work on rows side by side.
pub(crate) enum Side {
    /// A convolution: there, back, and its bias.
    Conv { there: Direct, back: Direct, bias: Option<Vec<f32>> },
    /// A full layer: there, back, and its bias.
    Dense { there: Dense, back: Dense, bias: Option<Vec<f32>> },
    /// The largest value of each window.
    Largest(Pool2d),
    /// Sums of windows, and the share of each that is given.
    Shared(Pool2d, Vec<f32>),
    /// A factor and a shift for each value.
    Affine(Vec<(f32, f32)>),
    /// A function of each value: [`Operator::each`].
    Each,
    /// The sum of two values.
    Sum,
    /// Softmax over all values of a row.
    Softmax,
}

impl Side {
    /// Values of scratch memory, there and back.
    fn margins(&self) -> (usize, usize) {
        match self {
            Self::Conv { there, back, .. } => (there.margins(), back.margins()),
            _ => (0, 0),
        }
    }

    /// Whether the operator's inputs and results have the length this form works on.
    fn fits(&self, from: &[usize], to: usize) -> bool {
        let one = |wanted: usize| from == [wanted];
        match self {
            Self::Conv { there, .. } => one(there.reads()) && to == there.gives(),
            Self::Dense { there, .. } => one(there.depth()) && to == there.results(),
            Self::Largest(pool) => one(pool.reads()) && to == pool.gives(),
            Self::Shared(pool, share) => {
                one(pool.reads()) && to == pool.gives() && share.len() * pool.channels == to
            }
            Self::Affine(lines) => one(lines.len()) && to == lines.len(),
            Self::Each | Self::Softmax => one(to),
            Self::Sum => from == [to, to],
        }
    }
}

/// One operator of a plan; values are numbered.
struct Step {
    node: usize,
    side: Side,
    from: Vec<usize>,
    to: usize,
    /// Where its scratch memory starts, there and back.
    margins: (usize, usize),
}

/// A way through the graph for rows side by side.
pub(crate) struct Plan {
    steps: Vec<Step>,
    /// Values of one row, of each value.
    lens: Vec<usize>,
    scratch: (usize, usize),
    output: usize,
    /// Shape of one row of the output.
    shape: Vec<usize>,
    /// Memory of earlier calls; margins in it stay zero, so it serves no other plan.
    desks: Mutex<Vec<Desk>>,
}

/// Values and gradients of one block of rows.
#[derive(Default)]
struct Block {
    values: Vec<Vec<Lanes>>,
}

/// Memory of one call, kept for the next.
#[derive(Default)]
pub(crate) struct Desk {
    blocks: Vec<Block>,
    gradients: Vec<Vec<Lanes>>,
    spare: Vec<Lanes>,
    there: Vec<f32>,
    back: Vec<f32>,
}

/// Rows tried when a plan is made: no number that shapes of files have by chance.
const PROBE: usize = 3;
/// Values of one row, over all layers, above which rows are not put side by side: a block would leave the cache.
const MOST: usize = 1 << 16;
/// Memory kept between calls, in number of calls and in bytes of each.
const DESKS: usize = 4;
const DESK_BYTES: usize = 64 << 20;
/// Rows from which on they are.
pub(crate) const LEAST: usize = 6;

impl Plan {
    /// The plan from input slot `input` to slot `of`, for rows of this shape (the batch left out).
    pub(crate) fn new(graph: &Graph, run: &mut Run, input: usize, of: usize, row: &[usize]) -> Option<Self> {
        let needed = graph.needed(&[of]);
        let mut shape = vec![PROBE];
        shape.extend_from_slice(row);
        let probe = run.zeros(&shape).ok()?;
        let limits = run.limits();
        let feeds = vec![(input, Value::F32(probe))];
        let trace = crate::execute::forward(graph, run, feeds, &needed, &[], true, &limits).ok()?;
        let plan = Self::over(graph, &trace, &needed, input, of);
        trace.release(run);
        plan
    }

    fn over(
        graph: &Graph,
        trace: &crate::execute::Trace,
        needed: &[bool],
        input: usize,
        of: usize,
    ) -> Option<Self> {
        // The shape of one row, where the value has one for each.
        let row = |slot: usize| match trace.value(graph, slot) {
            Some(Value::F32(t)) if t.shape().first() == Some(&PROBE) => Some(&t.shape()[1..]),
            _ => None,
        };
        let len = |slot: usize| row(slot).map(|row| row.iter().product::<usize>());
        let mut plan = Self {
            steps: Vec::new(),
            lens: vec![len(input)?],
            scratch: (0, 0),
            output: 0,
            shape: row(of)?.to_vec(),
            desks: Mutex::default(),
        };
        let mut places: Vec<Option<usize>> = vec![None; graph.names.len()];
        places[input] = Some(0);
        for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
            let to = node.outputs.first().copied().flatten()?;
            if graph.constants[to].is_some() {
                continue;
            }
            let first = node.inputs.first().copied().flatten()?;
            let same = matches!(
                node.kind.as_str(),
                "Flatten" | "Reshape" | "Identity" | "Dropout" | "Squeeze" | "Unsqueeze"
            );
            if same && places[first].is_some() && len(first)? == len(to)? {
                places[to] = places[first];
                continue;
            }
            let mut given = Vec::with_capacity(node.inputs.len());
            let mut from = Vec::new();
            for (at, slot) in node.inputs.iter().enumerate() {
                let slot = (*slot)?;
                given.push(match (&graph.constants[slot], places[slot]) {
                    (Some(value), _) => Given::Constant(value),
                    (None, Some(place)) if node.operator.edge(at) == Edge::Smooth => {
                        from.push(place);
                        Given::Row(row(slot)?)
                    }
                    _ => return None,
                });
            }
            let side = node.operator.side(&given, row(to)?)?;
            let lens: Vec<usize> = from.iter().map(|place| plan.lens[*place]).collect();
            if !side.fits(&lens, len(to)?) {
                return None;
            }
            let (there, back) = side.margins();
            let margins = plan.scratch;
            plan.scratch = (margins.0 + there, margins.1 + back);
            places[to] = Some(plan.lens.len());
            plan.steps.push(Step { node: index, side, from, to: plan.lens.len(), margins });
            plan.lens.push(len(to)?);
        }
        plan.output = places[of]?;
        let total: usize = plan.lens.iter().sum();
        let fits = !plan.lens.contains(&0) && !plan.steps.is_empty() && total <= MOST;
        (fits && plan.scratch.0.max(plan.scratch.1) <= MOST * LANES).then_some(plan)
    }

    /// Memory to work on.
    pub(crate) fn desk(&self) -> Desk {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps memory for the next call.
    pub(crate) fn clear(&self, desk: Desk) {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if desks.len() < DESKS && self.bytes(desk.blocks.len() * LANES) <= DESK_BYTES {
            desks.push(desk);
        }
    }

    /// Bytes a call over so many rows holds.
    pub(crate) fn bytes(&self, rows: usize) -> usize {
        let block = self.lens.iter().sum::<usize>() * LANES * 4;
        let scratch = 4 * (self.scratch.0 + self.scratch.1);
        block.saturating_mul(rows.div_ceil(LANES) + 2).saturating_add(scratch)
    }

    /// The output for these rows, `[n, ..]`. The values stay on the desk.
    pub(crate) fn forward(
        &self,
        graph: &Graph,
        run: &Run,
        desk: &mut Desk,
        x: &[f32],
    ) -> Result<Tensor, Fail> {
        let (wide, out_len) = (self.lens[0], self.lens[self.output]);
        let rows = x.len() / wide;
        desk.there.resize(self.scratch.0, 0.0);
        desk.blocks.resize_with(rows.div_ceil(LANES).max(desk.blocks.len()), Block::default);
        let mut out = vec![0.0; rows * out_len];
        let parts = x.chunks(wide * LANES).zip(out.chunks_mut(out_len * LANES));
        for ((x, out), block) in parts.zip(&mut desk.blocks) {
            block.values.resize_with(self.lens.len(), Vec::new);
            for (value, len) in block.values.iter_mut().zip(&self.lens) {
                value.resize(*len, [0.0; LANES]);
            }
            interleave(x, &mut block.values[0]);
            for step in &self.steps {
                run.tick()?;
                let mut to = std::mem::take(&mut block.values[step.to]);
                step.forward(&*graph.nodes[step.node].operator, &block.values, &mut to, &mut desk.there);
                block.values[step.to] = to;
            }
            part(&block.values[self.output], out);
        }
        let mut shape = vec![rows];
        shape.extend_from_slice(&self.shape);
        Ok(Tensor::new(shape, out)?)
    }

    /// The gradient of the rows, given that of the output and what [`Plan::forward`] left on the desk.
    pub(crate) fn backward(
        &self,
        graph: &Graph,
        run: &Run,
        desk: &mut Desk,
        slope: &[f32],
        gradient: &mut [f32],
    ) -> Result<(), Fail> {
        let (wide, out_len) = (self.lens[0], self.lens[self.output]);
        desk.back.resize(self.scratch.1, 0.0);
        desk.gradients.resize_with(self.lens.len(), Vec::new);
        for (gradient, len) in desk.gradients.iter_mut().zip(&self.lens) {
            gradient.resize(*len, [0.0; LANES]);
        }
        let parts = slope.chunks(out_len * LANES).zip(gradient.chunks_mut(wide * LANES));
        for ((slope, gradient), block) in parts.zip(&desk.blocks) {
            let mut filled = vec![false; self.lens.len()];
            interleave(slope, &mut desk.gradients[self.output]);
            filled[self.output] = true;
            for step in self.steps.iter().rev().filter(|step| step.to <= self.output) {
                if !filled[step.to] {
                    continue;
                }
                run.tick()?;
                let own = std::mem::take(&mut desk.gradients[step.to]);
                for (at, &from) in step.from.iter().enumerate() {
                    let mut to = std::mem::take(&mut desk.gradients[from]);
                    let fresh = !std::mem::replace(&mut filled[from], true);
                    let operator = &*graph.nodes[step.node].operator;
                    if fresh {
                        step.backward(operator, &block.values, &own, &mut to, &mut desk.back);
                    } else {
                        desk.spare.resize(to.len(), [0.0; LANES]);
                        step.backward(operator, &block.values, &own, &mut desk.spare, &mut desk.back);
                        add(&desk.spare, &mut to);
                    }
                    debug_assert!(at < 2, "no form has more inputs");
                    desk.gradients[from] = to;
                }
                desk.gradients[step.to] = own;
            }
            if filled[0] {
                part(&desk.gradients[0], gradient);
            } else {
                gradient.fill(0.0);
            }
        }
        Ok(())
    }
}

fn add(values: &[Lanes], to: &mut [Lanes]) {
    for (slot, value) in to.as_flattened_mut().iter_mut().zip(values.as_flattened()) {
        *slot += value;
    }
}

impl Step {
    fn forward(&self, operator: &dyn Operator, values: &[Vec<Lanes>], to: &mut [Lanes], scratch: &mut [f32]) {
        let x = &values[self.from[0]];
        match &self.side {
            Side::Conv { there, bias, .. } => {
                there.run_lanes(x, to, bias.as_deref(), &mut scratch[self.margins.0..]);
            }
            Side::Dense { there, bias, .. } => there.run(x, to, bias.as_deref()),
            Side::Largest(pool) => pool.largest(x, to),
            Side::Shared(pool, share) => pool.shared(x, to, share),
            Side::Affine(lines) => {
                for ((to, x), (factor, shift)) in to.iter_mut().zip(x).zip(lines) {
                    to.iter_mut().zip(x).for_each(|(to, x)| *to = x * factor + shift);
                }
            }
            Side::Each => operator.each(x.as_flattened(), to.as_flattened_mut()),
            Side::Sum => {
                to.copy_from_slice(x);
                add(&values[self.from[1]], to);
            }
            Side::Softmax => {
                for lane in 0..LANES {
                    let top = x.iter().map(|lanes| lanes[lane]).fold(f32::NEG_INFINITY, f32::max);
                    let top = if top == f32::NEG_INFINITY { 0.0 } else { top };
                    let mut sum = 0.0;
                    for (to, x) in to.iter_mut().zip(x) {
                        to[lane] = (x[lane] - top).exp();
                        sum += to[lane];
                    }
                    to.iter_mut().for_each(|to| to[lane] /= sum);
                }
            }
        }
    }

    /// The gradient of one input; that of a sum is the same for both.
    fn backward(
        &self,
        operator: &dyn Operator,
        values: &[Vec<Lanes>],
        gradient: &[Lanes],
        to: &mut [Lanes],
        scratch: &mut [f32],
    ) {
        let (x, y) = (&values[self.from[0]], &values[self.to]);
        match &self.side {
            Side::Conv { back, .. } => back.run_lanes(gradient, to, None, &mut scratch[self.margins.1..]),
            Side::Dense { back, .. } => back.run(gradient, to, None),
            Side::Largest(pool) => pool.largest_back(x, y, gradient, to),
            Side::Shared(pool, share) => pool.shared_back(gradient, to, share),
            Side::Affine(lines) => {
                for ((to, gradient), (factor, _)) in to.iter_mut().zip(gradient).zip(lines) {
                    to.iter_mut().zip(gradient).for_each(|(to, gradient)| *to = gradient * factor);
                }
            }
            Side::Each => operator.each_back(
                (x.as_flattened(), y.as_flattened()),
                gradient.as_flattened(),
                to.as_flattened_mut(),
            ),
            Side::Sum => to.copy_from_slice(gradient),
            Side::Softmax => {
                let mut sums = [0.0; LANES];
                for (gradient, y) in gradient.iter().zip(y) {
                    (0..LANES).for_each(|lane| sums[lane] += gradient[lane] * y[lane]);
                }
                for ((to, gradient), y) in to.iter_mut().zip(gradient).zip(y) {
                    (0..LANES).for_each(|lane| to[lane] = y[lane] * (gradient[lane] - sums[lane]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
