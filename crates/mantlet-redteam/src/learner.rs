//! Copying the model from what an extraction gathered: the learner is a port.

use std::rc::Rc;

use mantlet_attacks::{Detail, Interval, Lesson, Loss, Outcome, Purpose, Random, wilson};
use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

use crate::GradientAnswer;

/// A model of the attacker's own.
pub trait Imitation {
    /// Logits of each row, one column a class.
    fn scores(&self, rows: &Tensor) -> Tensor;

    /// Scores, losses and the gradient of each row's loss.
    ///
    /// # Errors
    /// When this kind of model has no gradient.
    fn gradient(&self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, String>;

    /// The class of each row.
    fn labels(&self, rows: &Tensor) -> Vec<usize> {
        self.scores(rows).argmax_rows()
    }
}

/// Trains models for the attacker: copies of the target and shadows of it.
pub trait Learner {
    /// Trains one on this lesson, or gives the one trained on the same lesson before.
    ///
    /// # Errors
    /// In plain words, when it cannot.
    fn fit(&mut self, lesson: &Lesson) -> Result<Rc<dyn Imitation>, String>;
}

/// Trains nothing: attacks that need a model of their own are not examined.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLearner;

impl Learner for NoLearner {
    fn fit(&mut self, _: &Lesson) -> Result<Rc<dyn Imitation>, String> {
        Err("no learner is given to train models with".to_owned())
    }
}

/// One point of the fidelity curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Rows asked of the victim.
    pub queries: usize,
    /// Share of held-out rows on which the copy agrees with the victim; of a score the share of its variance that the
    /// copy explains (R2), which is below 0 for a copy that errs more than the mean does.
    pub fidelity: Interval,
    /// Of a score: how far the copy puts held-out rows in the same order (Spearman's rank correlation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<Interval>,
}

/// Trains a copy on each of the first `points` rows of an extraction's transfer set and measures its
/// agreement with the victim's labels on rows that were not sent. Points past the rows gathered are left out.
///
/// # Errors
/// When the outcome is no extraction, or the learner fails.
pub fn fidelity(
    outcome: &Outcome,
    classes: usize,
    points: &[usize],
    held_out: &Tensor,
    victim: &[usize],
    learner: &mut dyn Learner,
    seed: u64,
) -> Result<Vec<CurvePoint>, String> {
    let Detail::Extraction { rows, labels, probabilities, .. } = &outcome.detail else {
        return Err(format!("attack `{}` gathered no transfer set", outcome.attack));
    };
    let mut curve = Vec::new();
    for &point in points {
        if point == 0 || point > rows.rows() || point > labels.len() {
            continue;
        }
        let first: Vec<usize> = (0..point).collect();
        let mut lesson =
            Lesson::new(rows.select(&first), labels[..point].to_vec(), classes, Purpose::Copy, seed);
        lesson.probabilities = probabilities.as_ref().map(|soft| soft.select(&first));
        let thief = learner.fit(&lesson)?;
        let agree = thief.labels(held_out).iter().zip(victim).filter(|(copy, victim)| copy == victim).count();
        curve.push(CurvePoint { queries: point, fidelity: wilson(agree, held_out.rows()), rank: None });
    }
    Ok(curve)
}

/// As [`fidelity`], of a model that gives a score: how much of the victim's score the copy explains, and whether it ranks
/// alike, on rows that were not sent.
///
/// # Errors
/// When the outcome holds no scores, the victim's scores are all alike, or the learner fails.
pub fn score_fidelity(
    outcome: &Outcome,
    points: &[usize],
    held_out: &Tensor,
    victim: &[f32],
    learner: &mut dyn Learner,
    seed: u64,
) -> Result<Vec<CurvePoint>, String> {
    let Detail::Extraction { rows, values, .. } = &outcome.detail else {
        return Err(format!("attack `{}` gathered no transfer set", outcome.attack));
    };
    if victim.len() != held_out.rows() || victim.iter().any(|score| !score.is_finite()) {
        return Err("the model did not give every held-out row a score".to_owned());
    }
    if victim.iter().all(|score| *score == victim[0]) {
        return Err("the model gives every held-out row the same score: there is nothing to copy".to_owned());
    }
    let mut curve = Vec::new();
    for &point in points.iter().filter(|point| **point > 0 && **point <= values.len()) {
        let lesson = Lesson::of_values(rows, &values[..point], Purpose::Copy, seed);
        let scores = learner.fit(&lesson)?.scores(held_out);
        if scores.rows() != victim.len() || scores.row_len() == 0 {
            return Err("the copy did not give every held-out row a score".to_owned());
        }
        let copied: Vec<f32> = (0..victim.len()).map(|row| scores.row(row)[0]).collect();
        let (fidelity, rank) = agreement(victim, &copied, seed);
        curve.push(CurvePoint { queries: point, fidelity, rank: Some(rank) });
    }
    Ok(curve)
}

/// How often rows are drawn again for an interval.
const DRAWS: usize = 400;

/// The share of the variance explained and the rank correlation, each with the middle 95 % of rows drawn again.
fn agreement(victim: &[f32], copied: &[f32], seed: u64) -> (Interval, Interval) {
    let (own, other) = (ranks(victim), ranks(copied));
    let all: Vec<usize> = (0..victim.len()).collect();
    let mut random = Random::new(seed ^ 0x5c0e);
    let (mut shares, mut orders) = (Vec::with_capacity(DRAWS), Vec::with_capacity(DRAWS));
    for _ in 0..DRAWS {
        let drawn: Vec<usize> = all.iter().map(|_| random.below(all.len())).collect();
        shares.push(explained(victim, copied, &drawn));
        orders.push(correlation(&own, &other, &drawn));
    }
    let interval = |value: f64, mut drawn: Vec<f64>| {
        drawn.sort_by(f64::total_cmp);
        let at = |place: usize| drawn.get(place).copied().unwrap_or(value);
        Interval { value, low: at(DRAWS / 40).min(value), high: at(DRAWS - 1 - DRAWS / 40).max(value) }
    };
    (interval(explained(victim, copied, &all), shares), interval(correlation(&own, &other, &all), orders))
}

fn mean(values: impl Iterator<Item = f64>, count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let count = count.max(1) as f64;
    values.sum::<f64>() / count
}

/// 1 minus the squared errors over the squared deviations; 0 where there are none.
fn explained(victim: &[f32], copied: &[f32], rows: &[usize]) -> f64 {
    let centre = mean(rows.iter().map(|&row| f64::from(victim[row])), rows.len());
    let spread: f64 = rows.iter().map(|&row| (f64::from(victim[row]) - centre).powi(2)).sum();
    let errors: f64 = rows.iter().map(|&row| (f64::from(victim[row]) - f64::from(copied[row])).powi(2)).sum();
    if spread > 0.0 { 1.0 - errors / spread } else { 0.0 }
}

/// Pearson's correlation; 0 where one side does not move.
fn correlation(own: &[f64], other: &[f64], rows: &[usize]) -> f64 {
    let centre = |values: &[f64]| mean(rows.iter().map(|&row| values[row]), rows.len());
    let (own_centre, other_centre) = (centre(own), centre(other));
    let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
    for &row in rows {
        let (a, b) = (own[row] - own_centre, other[row] - other_centre);
        (both, first, second) = (both + a * b, first + a * a, second + b * b);
    }
    if first > 0.0 && second > 0.0 { both / (first * second).sqrt() } else { 0.0 }
}

/// The place of each value in the order; equal values share the middle of theirs.
#[expect(clippy::cast_precision_loss, reason = "places of rows")]
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let like =
            order[start..].iter().take_while(|&&row| values[row] == values[order[start]]).count().max(1);
        let middle = start as f64 + (like as f64 - 1.0) / 2.0;
        order[start..start + like].iter().for_each(|&row| ranks[row] = middle);
        start += like;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_as_good_as_its_errors_and_its_order() {
        let victim: Vec<f32> = (0..200).map(|row| ((row * 37) % 200) as f32).collect();
        let (share, rank) = agreement(&victim, &victim, 1);
        assert_eq!((share.value, share.low, rank.value), (1.0, 1.0, 1.0));
        // Another unit: the order is right, the price is not.
        let halved: Vec<f32> = victim.iter().map(|score| 0.5 * score).collect();
        let (share, rank) = agreement(&victim, &halved, 1);
        assert!(share.value < 0.1 && (rank.value - 1.0).abs() < 1e-9, "{share:?} {rank:?}");
        // The mean explains nothing and ranks nothing.
        let (share, rank) = agreement(&victim, &[99.5; 200], 1);
        assert!(share.value.abs() < 1e-9 && rank.value == 0.0 && share.low <= share.high);
        // Errors of a tenth of the spread cost a hundredth of the variance, and the interval holds it.
        let off: Vec<f32> = victim
            .iter()
            .enumerate()
            .map(|(row, score)| score + if row % 2 == 0 { 5.77 } else { -5.77 })
            .collect();
        let (share, _) = agreement(&victim, &off, 1);
        assert!((share.value - 0.99).abs() < 1e-3 && share.low < 0.99 && share.high > 0.99, "{share:?}");
        assert_eq!(ranks(&[3.0, 1.0, 3.0]), [1.5, 0.0, 1.5]);
    }
}
