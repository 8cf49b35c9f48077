//! What a row's label is expected to be when its own cell is not asked: learned from the rows outside every cell that
//! turned, by two models of different make, which are averaged as held-out rows say.

use mantlet_datachecks::feed::{Additive, Alarm};
use mantlet_learn::{Boosted, Boosting, boost};
use mantlet_vocab::Tensor;

use super::within;
use crate::CurateError;
use crate::coding::{Chunk, Coded, NO_LABEL};

/// Rows the trees learn from at most, and half as many that judge them.
const LEARNED: u64 = 240_000;
/// Every third row judges; the others teach.
const JUDGES: u64 = 3;
/// Parts the trees can have in the average.
const PARTS: [f64; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
/// What the trees have to better the logarithmic loss by, in standard errors, before they are listened to.
const SURE: f64 = 2.0;

/// The average of the models.
pub(super) struct Expect<'a> {
    additive: &'a Additive,
    trees: Option<(Boosted, f64)>,
}

impl<'a> Expect<'a> {
    /// Trains the trees on rows outside the cells, and asks the rows that were held out how far to listen to them.
    pub(super) fn learn(
        coded: &Coded<'_>,
        additive: &'a Additive,
        code: u8,
        named: &[Alarm],
    ) -> Result<Self, CurateError> {
        let every = coded.rows.div_ceil(LEARNED).max(1);
        let (mut taught, mut judging) = (Rows::default(), Rows::default());
        coded.visit(|chunk| {
            for row in 0..chunk.rows() {
                let number = chunk.first + row as u64;
                let drawn = mantlet_drift::mix(number ^ 0x7472_6565);
                let sampled = drawn.is_multiple_of(every);
                if !sampled || chunk.label[row] == NO_LABEL || within(named, |axis| chunk.levels[axis][row]) {
                    continue;
                }
                let judges = (drawn / every).is_multiple_of(JUDGES);
                let rows = if judges { &mut judging } else { &mut taught };
                rows.push(additive, chunk, row, chunk.label[row] == code);
            }
        })?;
        let alone = Self { additive, trees: None };
        if taught.ones < 100 || judging.ones < 50 {
            return Ok(alone);
        }
        let failed = |why: String| CurateError::Learn(why);
        let boosting = Boosting { rounds: 60, depth: 4, weight: 4.0, ..Boosting::default() };
        let (x, y) = taught.tensors().map_err(failed)?;
        let trees = boost(&x, &y, &boosting).map_err(|error| failed(error.to_string()))?;
        let (x, _) = judging.tensors().map_err(failed)?;
        let second: Vec<f64> = trees.scores(&x).data().chunks_exact(2).map(margin).collect();
        // Losses of each average, against the additive model alone on the same rows.
        let mut best = (0.0, 0.0);
        for part in PARTS.into_iter().skip(1) {
            let (mut sum, mut squares) = (0.0, 0.0);
            for ((&first, &second), &one) in judging.margins.iter().zip(&second).zip(&judging.truth) {
                let gain = loss(first, one) - loss(first + part * (second - first), one);
                sum += gain;
                squares += gain * gain;
            }
            let error = squares.sqrt();
            if sum > SURE * error && sum > best.1 {
                best = (part, sum);
            }
        }
        Ok(if best.0 > 0.0 { Self { additive, trees: Some((trees, best.0)) } } else { alone })
    }

    /// What part the trees have in the average.
    #[cfg(test)]
    pub(super) fn listened(&self) -> f64 {
        self.trees.as_ref().map_or(0.0, |(_, part)| *part)
    }

    /// The chance that rows of a chunk have the label.
    pub(super) fn chances(&self, chunk: &Chunk, rows: &[usize]) -> Vec<f64> {
        let mut own = Rows::default();
        rows.iter().for_each(|&row| own.push(self.additive, chunk, row, false));
        let first = &own.margins;
        let Some((trees, part)) = &self.trees else {
            return first.iter().map(|&first| logistic(first)).collect();
        };
        let Ok((x, _)) = own.tensors() else { return first.iter().map(|&first| logistic(first)).collect() };
        let scores = trees.scores(&x);
        let second = scores.data().chunks_exact(2).map(margin);
        first.iter().zip(second).map(|(first, second)| logistic(first + part * (second - first))).collect()
    }
}

/// Rows as the trees see them: their codes, and what the additive model says.
#[derive(Default)]
struct Rows {
    values: Vec<f32>,
    width: usize,
    margins: Vec<f64>,
    truth: Vec<bool>,
    ones: usize,
}

impl Rows {
    fn push(&mut self, additive: &Additive, chunk: &Chunk, row: usize, one: bool) {
        let chance = additive.chance(chunk.features.iter().map(|codes| codes[row]));
        let chance = chance.clamp(1e-9, 1.0 - 1e-9);
        let margin = (chance / (1.0 - chance)).ln();
        self.values.extend(chunk.features.iter().map(|codes| f32::from(codes[row])));
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm of odds")]
        self.values.push(margin as f32);
        self.width = chunk.features.len() + 1;
        self.margins.push(margin);
        self.truth.push(one);
        self.ones += usize::from(one);
    }

    fn tensors(&self) -> Result<(Tensor, Tensor), String> {
        let rows = self.truth.len();
        let truth: Vec<f32> =
            self.truth.iter().flat_map(|&one| if one { [0.0, 1.0] } else { [1.0, 0.0] }).collect();
        let x =
            Tensor::new(vec![rows, self.width], self.values.clone()).map_err(|error| error.to_string())?;
        let y = Tensor::new(vec![rows, 2], truth).map_err(|error| error.to_string())?;
        Ok((x, y))
    }
}

fn margin(pair: &[f32]) -> f64 {
    f64::from(pair[1] - pair[0])
}

fn logistic(margin: f64) -> f64 {
    1.0 / (1.0 + (-margin).exp())
}

/// Of a row with these odds, the logarithm of what it was given against.
fn loss(margin: f64, one: bool) -> f64 {
    let away = if one { -margin } else { margin };
    away.max(0.0) + (-away.abs()).exp().ln_1p()
}
