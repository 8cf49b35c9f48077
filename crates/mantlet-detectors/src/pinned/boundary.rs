//! A learned constraint: a quadratic form that ordinary rows keep below zero and the attack's rows do not.
//!
//! Rows made by an attack lie where rows of the world do not: in directions in which training rows hardly vary. A
//! logistic regression on the whitened values and their squares learns which directions an attack uses; it has the form
//! of a quadratic discriminant (Fisher 1936), and its threshold stands between rows it was not fitted to.

use serde::{Deserialize, Serialize};

use crate::Profile;

/// Rows of an attack below which nothing is learned.
const FEWEST: usize = 8;
/// Ordinary rows beyond which more teach nothing.
const ENOUGH: usize = 1_600;
/// Steps of the fit.
const STEPS: usize = 240;
/// Squares are bounded here, so that one wild value does not decide.
const BOUND: f32 = 16.0;

/// What ordinary rows keep: a score below zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boundary {
    /// Factors of the whitened values, then of their squares.
    pub factors: Vec<f32>,
    /// Added to the sum.
    pub bias: f32,
}

impl Boundary {
    /// The score of a row in the profile's space; from 0 on it is beyond. A boundary of another profile's width scores
    /// nothing.
    #[must_use]
    pub fn score(&self, profile: &Profile, row: &[f32]) -> f32 {
        let width = profile.typical.width;
        if self.factors.len() != 2 * width || row.len() != width {
            return f32::NEG_INFINITY;
        }
        let (linear, square) = self.factors.split_at(width);
        let directions = profile.typical.whiten.chunks_exact(width.max(1));
        let sum: f32 = directions
            .zip(linear.iter().zip(square))
            .map(|(direction, (linear, square))| {
                let along = dot(direction, row);
                linear * along.clamp(-BOUND, BOUND) + square * (along * along).min(BOUND)
            })
            .sum();
        let score = sum + self.bias;
        if score.is_nan() { f32::INFINITY } else { score }
    }

    /// Learns it from rows in the profile's space. Half of each kind is fitted to; the other half decides whether it
    /// holds: no ordinary row of it may be beyond, and at least six tenths of the attack's rows must be.
    #[must_use]
    pub(crate) fn learn(profile: &Profile, attack: &[Vec<f32>], ordinary: &[Vec<f32>]) -> Option<Self> {
        let width = profile.typical.width;
        let stride = ordinary.len().div_ceil(ENOUGH).max(1);
        let ordinary: Vec<&Vec<f32>> = ordinary.iter().step_by(stride).collect();
        if attack.len() < FEWEST || ordinary.len() < 4 * FEWEST {
            return None;
        }
        let half = |rows: &[&Vec<f32>], parity: usize| -> Vec<Vec<f32>> {
            let own = rows.iter().enumerate().filter(|(index, _)| index % 2 == parity);
            own.map(|(_, row)| features(profile, row)).collect()
        };
        let attack: Vec<&Vec<f32>> = attack.iter().collect();
        let (hostile, plain) = (half(&attack, 0), half(&ordinary, 0));
        let mut fitted = fit(&hostile, &plain, 2 * width)?;
        let score = |row: &Vec<f32>| dot(&fitted.factors, row);
        let (unseen, others) = (half(&attack, 1), half(&ordinary, 1));
        let plain = plain.iter().chain(&others).map(score).fold(f32::NEG_INFINITY, f32::max);
        let mut scores: Vec<f32> = unseen.iter().map(score).collect();
        scores.sort_by(f32::total_cmp);
        let weakest = *scores.get(scores.len() * 4 / 10)?;
        if !(weakest > plain && plain.is_finite()) {
            return None;
        }
        fitted.bias = -(plain + 0.5 * (weakest - plain));
        Some(fitted)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn features(profile: &Profile, row: &[f32]) -> Vec<f32> {
    let width = profile.typical.width;
    let along: Vec<f32> =
        profile.typical.whiten.chunks_exact(width.max(1)).map(|direction| dot(direction, row)).collect();
    let squares = along.iter().map(|value| (value * value).min(BOUND));
    along.iter().map(|value| value.clamp(-BOUND, BOUND)).chain(squares).collect()
}

/// Logistic regression with both kinds weighed alike and a ridge, by gradient steps with momentum on standardised
/// features.
fn fit(hostile: &[Vec<f32>], plain: &[Vec<f32>], width: usize) -> Option<Boundary> {
    let all = || hostile.iter().map(|row| (row, 1.0_f32)).chain(plain.iter().map(|row| (row, 0.0)));
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    let (count, shares) = {
        let count = (hostile.len() + plain.len()) as f32;
        (count, [0.5 / plain.len().max(1) as f32, 0.5 / hostile.len().max(1) as f32])
    };
    let mut mean = vec![0.0_f32; width];
    let mut spread = vec![0.0_f32; width];
    all().for_each(|(row, _)| mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count));
    all().for_each(|(row, _)| {
        let each = spread.iter_mut().zip(row.iter().zip(&mean));
        each.for_each(|(spread, (value, mean))| *spread += (value - mean) * (value - mean) / count);
    });
    let by: Vec<f32> = spread.iter().map(|v| if *v > 1e-9 { 1.0 / v.sqrt() } else { 0.0 }).collect();
    let (mut factors, mut bias) = (vec![0.0_f32; width], 0.0_f32);
    let (mut pace, mut bias_pace) = (vec![0.0_f32; width], 0.0_f32);
    // The mean square of a standardised row is its width; a step of half its inverse cannot overshoot.
    #[expect(clippy::cast_precision_loss, reason = "a count of columns")]
    let rate = 4.0 / (1.0 + width as f32).sqrt();
    for _ in 0..STEPS {
        let (mut slope, mut bias_slope) = (vec![0.0_f32; width], 0.0_f32);
        for (row, kind) in all() {
            let values = row.iter().zip(mean.iter().zip(&by)).map(|(value, (mean, by))| (value - mean) * by);
            let sum: f32 = values.clone().zip(&factors).map(|(value, factor)| value * factor).sum();
            let share = if kind > 0.5 { shares[1] } else { shares[0] };
            let error = share * (1.0 / (1.0 + (-(sum + bias)).exp()) - kind);
            slope.iter_mut().zip(values).for_each(|(slope, value)| *slope += error * value);
            bias_slope += error;
        }
        for (factor, (pace, slope)) in factors.iter_mut().zip(pace.iter_mut().zip(slope)) {
            *pace = 0.8 * *pace - 0.25 * rate * (slope + 2e-3 * *factor);
            *factor += *pace;
        }
        bias_pace = 0.8 * bias_pace - 0.25 * rate * bias_slope;
        bias += bias_pace;
    }
    // Back to features as they are; what the means take away is part of the bias, which the caller sets anew.
    factors.iter_mut().zip(&by).for_each(|(factor, by)| *factor *= by);
    factors.iter().all(|factor| factor.is_finite()).then_some(Boundary { factors, bias })
}
