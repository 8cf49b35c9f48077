//! Recurrent cells: `LSTM`, `GRU` and `RNN` with the usual activations, in either or both directions. Gradients
//! pass to the sequence and to the initial states, back through time.
//!
//! Long because the three cells share one way there and one way back.

use mantlet_kernels::Layout;
use mantlet_vocab::{Tensor, Value};

use super::matmul::product;
use super::unary::logistic;
use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::attrs::Attrs;
use crate::run::{Fail, Run};
use crate::values::{integers, like, require_float, singles};

/// Which cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Lstm,
    Gru,
    Rnn,
}

/// A recurrent layer.
pub(super) struct Recurrent {
    cell: Cell,
    hidden: usize,
    /// Whether each direction runs from the end.
    reverse: Vec<bool>,
    /// `GRU`: whether the reset gate is applied after the product.
    after: bool,
    /// `RNN`: rectifier in place of the hyperbolic tangent.
    rectifier: bool,
}

/// Shapes of one call.
struct Extent {
    steps: usize,
    batch: usize,
    input: usize,
}

/// What one direction did, kept for the way back: all by step, then row.
struct Run1 {
    /// Gates after their activation; for `GRU` behind them the recurrent part of the candidate.
    gates: Vec<Vec<f32>>,
    /// Hidden states, the initial one first.
    hidden: Vec<Vec<f32>>,
    /// Cell states of an `LSTM`, the initial one first.
    cells: Vec<Vec<f32>>,
}

/// Units of a cell at most.
const HIDDEN: usize = 1 << 24;

impl Recurrent {
    pub(super) fn new(cell: Cell, attrs: Attrs<'_>) -> Result<Self, Fail> {
        let hidden =
            usize::try_from(attrs.int("hidden_size", 0)).ok().filter(|size| (1..=HIDDEN).contains(size));
        let reverse = match attrs.text("direction").as_deref() {
            None | Some("forward") => vec![false],
            Some("reverse") => vec![true],
            Some("bidirectional") => vec![false, true],
            Some(other) => return Err(format!("direction `{other}` does not exist").into()),
        };
        let activations: Vec<String> = attrs
            .texts("activations")
            .unwrap_or_default()
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        let usual: &[&str] = match cell {
            Cell::Lstm => &["sigmoid", "tanh", "tanh"],
            Cell::Gru => &["sigmoid", "tanh"],
            Cell::Rnn => &["tanh"],
        };
        let rectifier =
            cell == Cell::Rnn && !activations.is_empty() && activations.iter().all(|a| a == "relu");
        let as_usual = activations.iter().enumerate().all(|(at, name)| name == usual[at % usual.len()]);
        if !as_usual && !rectifier {
            return Err(format!("activations {activations:?} are not supported").into());
        }
        if attrs.has("clip") || attrs.flag("input_forget") || attrs.flag("layout") {
            return Err("clip, input_forget and batch-first layout are not supported".into());
        }
        Ok(Self {
            cell,
            hidden: hidden.ok_or("hidden_size is missing, or larger than any cell")?,
            reverse,
            after: attrs.flag("linear_before_reset"),
            rectifier,
        })
    }

    const fn gates(&self) -> usize {
        match self.cell {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::Rnn => 1,
        }
    }

    fn extent(&self, inputs: Inputs<'_>) -> Result<Extent, Fail> {
        let (x, w, r) = (inputs.get(0)?, inputs.get(1)?, inputs.get(2)?);
        require_float(x)?;
        let &[steps, batch, input] = x.shape() else {
            return Err(format!("[steps, batch, values] expected, {:?} found", x.shape()).into());
        };
        let (d, wide) = (self.reverse.len(), self.gates() * self.hidden);
        if w.shape() != [d, wide, input] || r.shape() != [d, wide, self.hidden] {
            return Err(format!("weights {:?} and {:?} do not fit", w.shape(), r.shape()).into());
        }
        if inputs.opt(3).is_some_and(|b| b.shape() != [d, 2 * wide]) {
            return Err("biases do not fit".into());
        }
        for index in [5, 6] {
            if inputs.opt(index).is_some_and(|state| state.shape() != [d, batch, self.hidden]) {
                return Err("initial states do not fit".into());
            }
        }
        if inputs.opt(7).is_some() {
            return Err("peepholes are not supported".into());
        }
        if let Some(lengths) = inputs.opt(4) {
            let full = i64::try_from(steps).unwrap_or(i64::MAX);
            if integers(lengths)?.iter().any(|length| *length != full) {
                return Err("sequences of different lengths are not supported".into());
            }
        }
        Ok(Extent { steps, batch, input })
    }

    /// The steps of a direction in the order they are taken.
    fn order(&self, direction: usize, steps: usize) -> Vec<usize> {
        if self.reverse[direction] { (0..steps).rev().collect() } else { (0..steps).collect() }
    }

    /// Runs one direction.
    fn direction(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        e: &Extent,
        direction: usize,
    ) -> Result<Run1, Fail> {
        let (h, wide) = (self.hidden, self.gates() * self.hidden);
        let x = singles(inputs.get(0)?)?;
        let (w, r) = (singles(inputs.get(1)?)?, singles(inputs.get(2)?)?);
        let (w, r) = (&w[direction * wide * e.input..], &r[direction * wide * h..]);
        let biases = inputs.opt(3).map(singles).transpose()?;
        let bias = |at: usize| biases.as_ref().map_or(0.0, |b| b[direction * 2 * wide + at]);
        let size = e.batch * h;
        let state = |index: usize| -> Result<Vec<f32>, Fail> {
            Ok(match inputs.opt(index) {
                Some(value) => singles(value)?[direction * size..(direction + 1) * size].to_vec(),
                None => vec![0.0; size],
            })
        };
        run.room(e.steps.saturating_mul(e.batch).saturating_mul(wide + 3 * h), 4)?;
        let mut done = Run1 { gates: Vec::new(), hidden: vec![state(5)?], cells: vec![state(6)?] };
        let transposed = Layout::transposed;
        for step in self.order(direction, e.steps) {
            run.tick()?;
            let input = &x[step * e.batch * e.input..(step + 1) * e.batch * e.input];
            let before = done.hidden.last().cloned().unwrap_or_default();
            let mut from_input = vec![0.0; e.batch * wide];
            let mut from_state = vec![0.0; e.batch * wide];
            let (li, lh) = (Layout::row_major(e.input), Layout::row_major(h));
            product(
                run,
                (e.batch, e.input, wide),
                1.0,
                input,
                li,
                w,
                transposed(e.input),
                0.0,
                &mut from_input,
            )?;
            product(run, (e.batch, h, wide), 1.0, &before, lh, r, transposed(h), 0.0, &mut from_state)?;
            let mut after = vec![0.0; size];
            match self.cell {
                Cell::Rnn => {
                    let mut gates = vec![0.0; size];
                    for at in 0..size {
                        let unit = at % h;
                        let sum = from_input[at] + from_state[at] + bias(unit) + bias(wide + unit);
                        gates[at] = if self.rectifier { sum.max(0.0) } else { sum.tanh() };
                    }
                    after.clone_from(&gates);
                    done.gates.push(gates);
                }
                Cell::Lstm => {
                    let old = done.cells.last().cloned().unwrap_or_default();
                    let (mut gates, mut cell) = (vec![0.0; e.batch * wide], vec![0.0; size]);
                    for row in 0..e.batch {
                        for unit in 0..h {
                            // Input, output, forget, candidate.
                            let gate = |k: usize| {
                                let at = k * h + unit;
                                from_input[row * wide + at]
                                    + from_state[row * wide + at]
                                    + bias(at)
                                    + bias(wide + at)
                            };
                            let (i, o, f, c) =
                                (logistic(gate(0)), logistic(gate(1)), logistic(gate(2)), gate(3).tanh());
                            let at = row * h + unit;
                            cell[at] = f * old[at] + i * c;
                            after[at] = o * cell[at].tanh();
                            for (k, value) in [i, o, f, c].into_iter().enumerate() {
                                gates[row * wide + k * h + unit] = value;
                            }
                        }
                    }
                    done.cells.push(cell);
                    done.gates.push(gates);
                }
                Cell::Gru => {
                    // Update, reset, candidate; behind them the recurrent part of the candidate.
                    let four = 4 * h;
                    let mut gates = vec![0.0; e.batch * four];
                    for row in 0..e.batch {
                        for unit in 0..2 * h {
                            let at = row * wide + unit;
                            let sum = from_input[at] + from_state[at] + bias(unit) + bias(wide + unit);
                            gates[row * four + unit] = logistic(sum);
                        }
                    }
                    let mut part = vec![0.0; size];
                    if self.after {
                        for row in 0..e.batch {
                            for unit in 0..h {
                                part[row * h + unit] =
                                    from_state[row * wide + 2 * h + unit] + bias(wide + 2 * h + unit);
                            }
                        }
                    } else {
                        let gated: Vec<f32> =
                            (0..size).map(|at| before[at] * gates[at / h * four + h + at % h]).collect();
                        let r = &r[2 * h * h..];
                        product(run, (e.batch, h, h), 1.0, &gated, lh, r, transposed(h), 0.0, &mut part)?;
                        for (at, value) in part.iter_mut().enumerate() {
                            *value += bias(wide + 2 * h + at % h);
                        }
                    }
                    for row in 0..e.batch {
                        for unit in 0..h {
                            let at = row * h + unit;
                            let (update, reset) = (gates[row * four + unit], gates[row * four + h + unit]);
                            let own = from_input[row * wide + 2 * h + unit] + bias(2 * h + unit);
                            let sum = own + if self.after { reset * part[at] } else { part[at] };
                            let candidate = sum.tanh();
                            gates[row * four + 2 * h + unit] = candidate;
                            gates[row * four + 3 * h + unit] = part[at];
                            after[at] = (1.0 - update) * candidate + update * before[at];
                        }
                    }
                    done.gates.push(gates);
                }
            }
            done.hidden.push(after);
        }
        Ok(done)
    }
}

impl Operator for Recurrent {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let e = self.extent(inputs)?;
        let (d, size) = (self.reverse.len(), e.batch * self.hidden);
        let mut all = run.zeros(&[e.steps, d, e.batch, self.hidden])?;
        let (mut last, mut last_cell) = (Vec::new(), Vec::new());
        for direction in 0..d {
            let done = self.direction(run, inputs, &e, direction)?;
            for (at, step) in self.order(direction, e.steps).into_iter().enumerate() {
                let to = (step * d + direction) * size;
                all.data_mut()[to..to + size].copy_from_slice(&done.hidden[at + 1]);
            }
            last.extend_from_slice(done.hidden.last().map_or(&[], Vec::as_slice));
            last_cell.extend_from_slice(done.cells.last().map_or(&[], Vec::as_slice));
        }
        let x = inputs.get(0)?;
        let shape = [d, e.batch, self.hidden];
        let mut outputs = vec![like(x, all)?, like(x, Tensor::new(shape, last)?)?];
        if self.cell == Cell::Lstm {
            outputs.push(like(x, Tensor::new(shape, last_cell)?)?);
        }
        Ok(outputs)
    }

    fn edge(&self, index: usize) -> Edge {
        match index {
            0 | 5 | 6 => Edge::Smooth,
            4 => Edge::Blind,
            _ => Edge::Blocked,
        }
    }

    fn returns(&self, _: usize) -> bool {
        true
    }

    fn backward_all(&self, run: &mut Run, pass: &Pass<'_>, gradients: Gradients) -> Result<Gradients, Fail> {
        let inputs = pass.inputs;
        let e = self.extent(inputs)?;
        let (d, h, wide, size) =
            (self.reverse.len(), self.hidden, self.gates() * self.hidden, e.batch * self.hidden);
        let slope = |index: usize| gradients.get(index).and_then(Option::as_ref).map(Tensor::data);
        let mut dx = run.zeros(inputs.get(0)?.shape())?;
        let mut dh0 = run.zeros(&[d, e.batch, h])?;
        let mut dc0 = run.zeros(&[d, e.batch, h])?;
        let (ws, rs) = (singles(inputs.get(1)?)?, singles(inputs.get(2)?)?);
        for direction in 0..d {
            let done = self.direction(run, inputs, &e, direction)?;
            let (w, r) = (&ws[direction * wide * e.input..], &rs[direction * wide * h..]);
            let part = |index: usize| {
                slope(index)
                    .map_or_else(|| vec![0.0; size], |g| g[direction * size..(direction + 1) * size].to_vec())
            };
            let (mut dh, mut dc) = (part(1), part(2));
            for (at, step) in self.order(direction, e.steps).into_iter().enumerate().rev() {
                run.tick()?;
                if let Some(all) = slope(0) {
                    let from = (step * d + direction) * size;
                    dh.iter_mut().zip(&all[from..from + size]).for_each(|(dh, own)| *dh += own);
                }
                let (before, gates) = (&done.hidden[at], &done.gates[at]);
                // Slopes of the sums before the activations, for the input and for the state.
                let (mut sums, mut state_sums) = (vec![0.0; e.batch * wide], Vec::new());
                let mut dh_before = vec![0.0; size];
                match self.cell {
                    Cell::Rnn => {
                        for (index, sum) in sums.iter_mut().enumerate() {
                            let y = gates[index];
                            let own = if self.rectifier { f32::from(u8::from(y > 0.0)) } else { 1.0 - y * y };
                            *sum = dh[index] * own;
                        }
                    }
                    Cell::Lstm => {
                        let (old, cell) = (&done.cells[at], &done.cells[at + 1]);
                        for row in 0..e.batch {
                            for unit in 0..h {
                                let index = row * h + unit;
                                let gate = |k: usize| gates[row * wide + k * h + unit];
                                let (i, o, f, c) = (gate(0), gate(1), gate(2), gate(3));
                                let t = cell[index].tanh();
                                let whole = dc[index] + dh[index] * o * (1.0 - t * t);
                                let slopes = [
                                    whole * c * i * (1.0 - i),
                                    dh[index] * t * o * (1.0 - o),
                                    whole * old[index] * f * (1.0 - f),
                                    whole * i * (1.0 - c * c),
                                ];
                                for (k, value) in slopes.into_iter().enumerate() {
                                    sums[row * wide + k * h + unit] = value;
                                }
                                dc[index] = whole * f;
                            }
                        }
                    }
                    Cell::Gru => {
                        let four = 4 * h;
                        state_sums = vec![0.0; e.batch * wide];
                        let mut candidates = vec![0.0; size];
                        for row in 0..e.batch {
                            for unit in 0..h {
                                let index = row * h + unit;
                                let gate = |k: usize| gates[row * four + k * h + unit];
                                let (update, reset, candidate, own) = (gate(0), gate(1), gate(2), gate(3));
                                let sum = dh[index] * (1.0 - update) * (1.0 - candidate * candidate);
                                sums[row * wide + unit] =
                                    dh[index] * (before[index] - candidate) * update * (1.0 - update);
                                sums[row * wide + 2 * h + unit] = sum;
                                dh_before[index] += dh[index] * update;
                                candidates[index] = sum;
                                if self.after {
                                    sums[row * wide + h + unit] = sum * own * reset * (1.0 - reset);
                                    state_sums[row * wide + 2 * h + unit] = sum * reset;
                                }
                            }
                        }
                        if !self.after {
                            // The candidate saw the gated state.
                            let mut gated = vec![0.0; size];
                            let (lh, r) = (Layout::row_major(h), &r[2 * h * h..]);
                            product(run, (e.batch, h, h), 1.0, &candidates, lh, r, lh, 0.0, &mut gated)?;
                            for row in 0..e.batch {
                                for unit in 0..h {
                                    let index = row * h + unit;
                                    let reset = gates[row * four + h + unit];
                                    sums[row * wide + h + unit] =
                                        gated[index] * before[index] * reset * (1.0 - reset);
                                    dh_before[index] += gated[index] * reset;
                                }
                            }
                        }
                        for row in 0..e.batch {
                            for unit in 0..2 * h {
                                state_sums[row * wide + unit] = sums[row * wide + unit];
                            }
                        }
                    }
                }
                let lw = Layout::row_major(wide);
                let target = &mut dx.data_mut()[step * e.batch * e.input..(step + 1) * e.batch * e.input];
                product(
                    run,
                    (e.batch, wide, e.input),
                    1.0,
                    &sums,
                    lw,
                    w,
                    Layout::row_major(e.input),
                    1.0,
                    target,
                )?;
                let through = if state_sums.is_empty() { &sums } else { &state_sums };
                product(
                    run,
                    (e.batch, wide, h),
                    1.0,
                    through,
                    lw,
                    r,
                    Layout::row_major(h),
                    1.0,
                    &mut dh_before,
                )?;
                dh = dh_before;
            }
            dh0.data_mut()[direction * size..(direction + 1) * size].copy_from_slice(&dh);
            dc0.data_mut()[direction * size..(direction + 1) * size].copy_from_slice(&dc);
        }
        let mut out: Gradients = (0..inputs.len()).map(|_| None).collect();
        for (index, gradient) in [(0, dx), (5, dh0), (6, dc0)] {
            if let Some(slot) = out.get_mut(index).filter(|_| pass.wants(index)) {
                *slot = Some(gradient);
            }
        }
        Ok(out)
    }
}
