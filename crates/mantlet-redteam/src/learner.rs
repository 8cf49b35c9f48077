//! Copying the model from what an extraction gathered: the learner is a port.

use std::rc::Rc;

use mantlet_attacks::{Detail, Interval, Lesson, Loss, Outcome, Purpose, wilson};
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
    /// Share of held-out rows on which the copy agrees with the victim.
    pub fidelity: Interval,
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
        curve.push(CurvePoint { queries: point, fidelity: wilson(agree, held_out.rows()) });
    }
    Ok(curve)
}
